"""Room 10: signed links, what comes back over them, and the results."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from triggerfish.clock import HOUR, MINUTE, SECOND
from triggerfish.consent import digest_of
from triggerfish.measure import (
    LONGEST_TOKEN,
    LONGEST_URL,
    NAMES,
    Hit,
    Results,
    Signer,
    is_web_address,
    tally,
    to_event,
)

NOW = 1_767_225_600_000
SIGNER = Signer("a secret of some length")
SHOP = "https://shop.example.com/cart?id=7&x=ü#top"
ids = st.text(st.characters(codec="utf-8"), max_size=60)


def links(signer=SIGNER):
    return signer.links("s1", "p1", "newsletter", "https://mail.example.com/")


def last(address):
    return address.rpartition("/")[2]


@given(
    kind=st.sampled_from(["opened", "clicked", "unsubscribed", "confirmed", "preferences"]),
    send_id=ids, profile_id=ids, purpose=ids, tail=ids, seconds=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_a_token_says_what_was_put_in(kind, send_id, profile_id, purpose, tail, seconds):
    what = {"url": tail} if kind in ("opened", "clicked") else {"address": tail}
    hit = Hit(kind, send_id, profile_id, purpose, sent_at=seconds * SECOND, **what)
    assert SIGNER.read_token(SIGNER.token(hit)) == hit


TOKEN = last(links().click(SHOP))
KINDS = {
    "opened": links().open_pixel().removesuffix(".gif"),
    "clicked": links().click(SHOP),
    "unsubscribed": links().unsubscribe(),
    "confirmed": links().confirm(),
    "preferences": links().preferences(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_with_any_bit_flipped_is_no_token(kind):
    token = last(KINDS[kind])
    assert SIGNER.read_token(token).kind == kind
    raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for bit in range(8 * len(raw)):
        altered = bytearray(raw)
        altered[bit // 8] ^= 1 << bit % 8
        assert SIGNER.read_token(urlsafe_b64encode(altered).rstrip(b"=").decode()) is None, f"bit {bit}"


def test_a_link_says_when_its_message_was_composed_and_for_which_address():
    made = SIGNER.links("s1", "p1", "news", "https://m.example.com", at=NOW + 999, address=" Ana@Example.com")
    assert SIGNER.read_token(last(made.click(SHOP))).sent_at == NOW
    for url in (made.unsubscribe(), made.confirm(), made.preferences()):
        assert SIGNER.read_token(last(url)).address == digest_of("ana@example.com")
    assert SIGNER.read_token(last(made.click(SHOP))).address == ""


@given(at=st.integers(0, len(TOKEN) - 1), to=st.characters(codec="ascii"))
@example(at=len(TOKEN) - 1, to="A")
def test_a_token_with_one_other_character_is_no_token(at, to):
    altered = TOKEN[:at] + to + TOKEN[at + 1 :]
    assert (SIGNER.read_token(altered) is None) == (altered != TOKEN)


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda raw: raw.hex()))
def test_made_up_tokens_are_refused(token):
    assert SIGNER.read_token(token) is None


@pytest.mark.parametrize("token", ["", TOKEN[:-1], TOKEN + "A", TOKEN + "=", " " + TOKEN, TOKEN * 40, "A" * 5000])
def test_a_token_that_was_cut_padded_or_grown_is_refused(token):
    assert SIGNER.read_token(token) is None


def test_a_token_of_another_secret_is_refused():
    assert Signer("another secret altogether").read_token(TOKEN) is None


def test_links_in_delivered_mail_outlive_a_change_of_the_secret():
    after = Signer("a new secret of some length", retired=["a secret of some length"])
    assert after.read_token(TOKEN) == Hit("clicked", "s1", "p1", "newsletter", SHOP)
    assert last(links(after).click(SHOP)) != TOKEN
    assert SIGNER.read_token(last(links(after).click(SHOP))) is None


def test_the_key_in_a_signer_is_not_shown():
    assert repr(SIGNER) == "Signer(1 keys)"


def test_links_lie_below_the_public_address():
    made = links()
    assert made.click(SHOP).startswith("https://mail.example.com/t/c/")
    assert made.open_pixel().startswith("https://mail.example.com/t/o/")
    assert made.open_pixel().endswith(".gif")
    assert made.unsubscribe().startswith("https://mail.example.com/t/u/")
    assert len(made.unsubscribe()) < 135


def test_the_longest_target_fits_into_a_token():
    ids = "i" * 255
    wide = SIGNER.links(ids, ids, ids, "https://m.example.com")
    url = "https://x.example/" + "y" * (LONGEST_URL - 18)
    token = last(wide.click(url))
    assert len(token) <= LONGEST_TOKEN
    assert SIGNER.read_token(token).url == url


def test_a_target_that_is_too_long_stays_as_it_is():
    url = "https://x.example/" + "y" * LONGEST_URL
    assert links().click(url) == url


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "mailto:a@example.com", "//evil.example", "/cart", "", "https://", "https:///evil.example",
     "https://a.example/\r\nSet-Cookie: x", "https://a.example/ b", "https://\\evil.example", "https://a\x00b"],
)  # fmt: skip
def test_only_web_addresses_are_tracked(url):
    assert not is_web_address(url)
    assert links().click(url) == url


@pytest.mark.parametrize("url", [SHOP, "HTTP://a.example", "https://user@a.example:8443/x?y=1;z", "http://[::1]:80/"])
def test_web_addresses_are_tracked(url):
    assert is_web_address(url)
    assert links().click(url) != url


def test_an_id_that_is_too_long_is_an_error_and_not_a_broken_link():
    with pytest.raises(ValueError, match="255 bytes"):
        SIGNER.links("s" * 256, "p", "", "https://m.example.com").unsubscribe()
    with pytest.raises(ValueError, match='no link says "bounced"'):
        SIGNER.token(Hit("bounced", "s", "p"))


def test_a_click_becomes_an_event_of_the_person():
    hit = Hit("clicked", "s1", "p1", "newsletter", SHOP)
    event = to_event(hit, NOW, nonce="n1", template="welcome", user_agent="Mozilla/5.0 " + "x" * 1000)
    assert (event.kind, event.name, event.profile_id, event.timestamp) == ("feedback", "Email Link Clicked", "p1", NOW)
    assert event.properties == {"send_id": "s1", "template": "welcome", "purpose": "newsletter", "url": SHOP}
    assert len(event.context["userAgent"]) == 512


def test_every_open_counts_and_an_unsubscribe_counts_once_an_hour():
    def message_id(kind, at, nonce):
        return to_event(Hit(kind, "s1", "p1"), at, nonce=nonce).message_id

    assert message_id("opened", NOW, "a") != message_id("opened", NOW, "b")
    assert message_id("unsubscribed", NOW, "a") == message_id("unsubscribed", NOW + 59 * MINUTE, "b")
    assert message_id("unsubscribed", NOW, "a") != message_id("unsubscribed", NOW + HOUR, "b")
    assert message_id("bounced", NOW, "a") == message_id("bounced", NOW + HOUR, "b")
    assert message_id("bounced", NOW, "a") != message_id("delivered", NOW, "a")


def test_results_count_each_send_once():
    sends = [("s1", ("cart", "vip")), ("s2", ("cart", "vip")), ("s3", ("welcome", "all"))]
    feedback = [
        ("s1", "Email Opened", True),
        ("s1", "Email Opened", False),
        ("s1", "Email Link Clicked", True),
        ("s2", "Email Link Clicked", True),
        ("s2", "Unsubscribed", True),
        ("s3", "Email Bounced", True),
        ("s3", "Email Opened", False),
        ("s3", "Order Completed", True),
        ("other", "Email Opened", True),
    ]
    assert tally(sends, feedback) == {
        ("cart", "vip"): Results(sent=2, opened=2, clicked=2, unsubscribed=1, opened_by_any=2, clicked_by_any=2),
        ("welcome", "all"): Results(sent=1, bounced=1, opened_by_any=1),
    }


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(sorted(NAMES.values())), st.booleans()), max_size=60)
)
def test_nothing_happens_more_often_than_it_was_sent(feedback):
    for result in tally([("a", 1), ("b", 1), ("c", 2)], feedback).values():
        counts = [result.delivered, result.opened, result.clicked, result.unsubscribed, result.bounced]
        assert max(*counts, result.complained) <= result.sent
        assert result.clicked <= result.opened <= result.opened_by_any <= result.sent
        assert result.clicked <= result.clicked_by_any <= result.opened_by_any


def test_a_bounce_for_good_counts_though_one_that_may_pass_came_before():
    soft, hard = (Hit("bounced", "s1", "p1", is_permanent=is_permanent) for is_permanent in (False, True))
    ids = [to_event(each, at, nonce="n").message_id for at, each in enumerate((soft, soft, hard, hard))]
    assert ids[0] == ids[1] != ids[2] == ids[3]
