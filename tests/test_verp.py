"""Return paths that name their send, and that nobody else can make."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggerfish.errors import Refused
from triggerfish.verp import Verp, address, fault_of, key_of, read

PATTERN = "bounces+{token}@mail.shop.example"
KEY = key_of("the secret of this test")
SEND = "0123456789abcdef0123"


def test_an_address_names_its_send_and_fits_a_mailbox():
    made = address(PATTERN, SEND, KEY)
    assert re.fullmatch(r"bounces\+[a-z2-7]{37}@mail\.shop\.example", made)
    assert read(made, [KEY]) == SEND


def test_an_address_is_the_same_in_every_release():
    # Bounces come days after the message left: another spelling would lose them.
    assert address(PATTERN, SEND, KEY) == "bounces+aaasgrlhrgv433ybepbxq2wwsrmyfkxeeciw4@mail.shop.example"


@given(
    st.text("0123456789abcdef", min_size=1, max_size=20) | st.text(st.characters(codec="utf-8"), min_size=1, max_size=4)
)
def test_any_short_id_comes_back_whatever_a_server_did_to_the_case(send):
    made = address("b-{token}@x.example", send, KEY)
    assert read(made, [KEY]) == read(made.upper(), [KEY]) == read(made.title(), [KEY]) == send


def test_addresses_of_a_retired_secret_are_understood_and_those_of_another_are_not():
    old = Verp("the old secret").address(PATTERN, SEND)
    assert Verp("the new secret", retired=["the old secret"]).read(old) == SEND
    assert Verp("the new secret").read(old) is None
    assert Verp().read(old) is None


def test_without_a_secret_nothing_is_made():
    with pytest.raises(ValueError, match="without a secret"):
        Verp().address(PATTERN, SEND)


def test_a_secret_is_not_shown():
    assert "hunter2" not in repr(Verp("hunter2", ["hunter2"]))


def test_an_address_that_was_altered_anywhere_in_its_token_names_nothing():
    made = address(PATTERN, SEND, KEY)
    start = made.index("+") + 1
    for at in range(start, made.index("@")):
        for other in "abcdefghijklmnopqrstuvwxyz234567":
            if other != made[at]:
                assert read(made[:at] + other + made[at + 1 :], [KEY]) is None
        assert read(made[:at] + made[at + 1 :], [KEY]) is None


@pytest.mark.parametrize(
    "wrapped",
    [
        "SRS0=HHHH=TT=mail.shop.example={local}@forwarder.example",
        "SRS1=HHH=one.example==HHH=TT=mail.shop.example={local}@two.example",
        "prvs=1234567abc={local}@mail.shop.example",
        "btv1==05601a2b3c4==={local}@mail.shop.example",
        "{local}@localhost",
    ],
)
def test_what_forwarders_put_around_it_does_not_matter(wrapped):
    made = address(PATTERN, SEND, KEY)
    assert read(wrapped.format(local=made.partition("@")[0]), [KEY]) == SEND


@pytest.mark.parametrize(
    "text",
    ["", "@", "bounces@mail.shop.example", "bounces+@x", "bounces+" + "a" * 37 + "@x", "x" * 10_000 + "@x", "bounces+"
     + "ä" * 37 + "@x", "bounces+" + "a" * 24 + "@x", address(PATTERN, SEND, KEY).partition("@")[0]],
)  # fmt: skip
def test_what_is_no_return_path_of_ours_names_nothing(text):
    assert read(text, [KEY]) is None


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("bounces@shop.example", "{token} once, before the @"),
        ("a+{token}+{token}@shop.example", "{token} once, before the @"),
        ("bounces@{token}.shop.example", "{token} once, before the @"),
        ("bounces{token}@shop.example", "a mark such as"),
        ("b+{token}1@shop.example", "a mark such as"),
        ("b+{token}@shop example", "with its token"),
        ("b+{token}@", "with its token"),
        ("a-part-that-is-much-too-long+{token}@shop.example", "with its token"),
    ],
)
def test_a_pattern_that_cannot_work_is_found_out_at_once(pattern, says):
    assert says in fault_of(pattern)
    with pytest.raises(ValueError, match=re.escape(fault_of(pattern))):
        address(pattern, SEND, KEY)


def test_an_id_that_is_too_long_for_an_address_is_refused():
    with pytest.raises(Refused):
        address(PATTERN, "ff" * 32, KEY)
