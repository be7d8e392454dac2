"""The headers of a good sender: what they are for, and that nobody can be found in them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triggerfish.headers import label_of, sender_id, with_headers
from triggerfish.mime import to_mime
from triggerfish.render import Address, Class, Message

UNSUBSCRIBE = {"List-Unsubscribe": "<https://t.example/t/u/x>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}


def headers(
    class_: Class = "marketing", sender: str = "hello@shop.example", rule: str = "vip cart", purpose: str = "newsletter"
) -> dict[str, str]:
    message = Message(
        send_id="s1", to=Address("ana@example.com"), sender=Address(sender), subject="Hello", html="", text="",
        headers=UNSUBSCRIBE if class_ == "marketing" else {}, class_=class_, profile_id="p-ana",
    )  # fmt: skip
    made = with_headers(message, ruleset="cart-recovery", rule=rule, purpose=purpose)
    assert (made.ruleset, made.rule, made.purpose) == ("cart-recovery", rule, purpose)
    to_mime(made, date=0, message_id_domain="shop.example")
    return dict(made.headers)


def test_marketing_says_which_list_it_is_of_and_how_to_leave_it() -> None:
    assert headers() == UNSUBSCRIBE | {
        "Feedback-ID": "vip-cart:cart-recovery:newsletter:shop-example",
        "List-Id": "<newsletter.shop.example>",
    }


def test_transactional_mail_says_that_a_machine_wrote_it_and_is_of_no_list() -> None:
    assert headers("transactional", purpose="orders") == {
        "Feedback-ID": "vip-cart:cart-recovery:orders:shop-example",
        "Auto-Submitted": "auto-generated",
    }


def test_a_header_that_the_template_made_stays() -> None:
    message = Message(
        send_id="s1", to=Address("a@b.example"), sender=Address("c@d.example"), subject="", html="", text="",
        headers={"list-id": "<mine.example>"},
    )  # fmt: skip
    assert with_headers(message, ruleset="", rule="", purpose="").headers == {
        "list-id": "<mine.example>", "Feedback-ID": sender_id("d.example"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("shop.example", "shop-example"),
        ("a.io", "a-io-"),
        ("x.example", "x-example"),
        ("newsletter.a-very-long-name.example", "newslett-"),
        ("", "id-"),
    ],
)
def test_a_senders_id_has_the_length_that_gmail_asks_for(domain: str, expected: str) -> None:
    made = sender_id(domain)
    assert made.startswith(expected) or made == expected
    assert 5 <= len(made) <= 15


@settings(max_examples=150)
@given(rule=st.text(max_size=300), purpose=st.text(max_size=300))
def test_any_names_make_headers_that_can_be_read_back(rule: str, purpose: str) -> None:
    made = headers(rule=rule, purpose=purpose)
    assert re.fullmatch(r"([a-z0-9-]{1,40}:){1,3}shop-example", made["Feedback-ID"])
    assert re.fullmatch(r"<[a-z0-9-]{1,40}\.shop\.example>", made["List-Id"])


def test_names_that_differ_by_more_than_blanks_keep_apart() -> None:
    labels = [
        label_of(name) for name in ("50 % off", "50 off", "50+off", "Grüße", "Grüsse", "x" * 40, "x" * 41, "y" * 60)
    ]
    assert len({*labels}) == len(labels)
    assert label_of("VIP cart") == label_of("vip-cart") == "vip-cart"


def test_a_domain_that_leaves_no_room_for_a_list_gets_none() -> None:
    long = ".".join(["a" * 60] * 4) + ".example"
    assert "List-Id" not in headers(sender=f"x@{long}", purpose="newsletter")
