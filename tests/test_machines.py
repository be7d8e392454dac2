"""Who opened, who clicked: what real mail programs, proxies and scanners call themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggerfish.machines import LIKELY_HUMAN, guess
from triggerfish.measure import Hit, Signer, is_human
from triggerfish.web.visits import LINKS_REMEMBERED, SENDS_REMEMBERED, Recent, Visits

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
)
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
OUTLOOK = "Mozilla/4.0 (compatible; ms-office; MSOffice 16)"
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
GMAIL_AHEAD = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 "
    "Safari/537.36 Edge/12.246 Mozilla/5.0"
)
YAHOO = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"
HUMANS = [CHROME, IPHONE, OUTLOOK, "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.0"]
MACHINES = {
    "": "no user agent",
    "   ": "no user agent",
    GMAIL_AHEAD: "Gmail loading ahead",
    "Barracuda Sentinel (EE)": "a mail scanner",
    "Mozilla/5.0 (compatible; Mimecast/1.0)": "a mail scanner",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)": "a link preview",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)": "a link preview",
    "curl/8.5.0": "a program",
    "python-requests/2.32.3": "a program",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": "a program",
    CHROME.replace("Chrome/", "HeadlessChrome/"): "a program",
}


@pytest.mark.parametrize("user_agent", HUMANS)
@pytest.mark.parametrize("kind", ["opened", "clicked"])
def test_a_mail_program_or_a_browser_is_most_likely_a_human_s(kind, user_agent):
    found = guess(kind, user_agent, seconds=600)
    assert (found.human, found.machine) == (0.95, "")


@pytest.mark.parametrize("user_agent", MACHINES)
@pytest.mark.parametrize("kind", ["opened", "clicked"])
def test_a_machine_that_says_so_is_one(kind, user_agent):
    found = guess(kind, user_agent, seconds=600)
    assert found.human < LIKELY_HUMAN
    assert found.machine == MACHINES[user_agent]


@pytest.mark.parametrize("user_agent", [GMAIL, YAHOO])
def test_a_proxy_loads_pictures_for_a_human_and_follows_no_links(user_agent):
    assert guess("opened", user_agent).human >= LIKELY_HUMAN
    assert guess("clicked", user_agent).machine == "an image proxy"


def test_apple_loads_every_picture_of_every_mail():
    assert guess("opened", "Mozilla/5.0", seconds=9_000).machine == "Apple's privacy proxy"


def test_nobody_reads_as_soon_as_a_message_leaves():
    assert guess("clicked", CHROME, seconds=2).human < LIKELY_HUMAN
    assert guess("opened", GMAIL, seconds=0).human < LIKELY_HUMAN
    assert guess("clicked", CHROME, seconds=9).human >= LIKELY_HUMAN
    assert guess("clicked", CHROME, seconds=9).machine == "within 15 seconds of sending"


@given(
    st.sampled_from(["opened", "clicked"]), st.text(max_size=300), st.none() | st.floats(-1e9, 1e9), st.integers(0, 9)
)
def test_a_guess_is_a_probability_and_below_half_it_has_a_reason(kind, user_agent, seconds, others):
    found = guess(kind, user_agent, seconds=seconds, others=others)
    assert 0 <= found.human <= 1
    assert found.machine or found.human >= LIKELY_HUMAN


def visits() -> Visits:
    return Visits(signer=Signer("a secret of some length"), person=lambda _: None, purposes=list, language=lambda: "en")


def test_several_links_of_one_message_at_once_are_a_scanner_s():
    here, sent_at = visits(), 1_000_000_000
    clicks = [Hit("clicked", "s1", "p1", url=f"https://shop.example/{place}", sent_at=sent_at) for place in range(3)]
    now = sent_at + 600_000
    humans = [here.guessed("clicked", hit, now + place * 500, CHROME)["human"] for place, hit in enumerate(clicks)]
    assert [human >= LIKELY_HUMAN for human in humans] == [True, False, False]
    later = here.guessed("clicked", clicks[0], now + 60_000, CHROME)
    assert later == {"human": 0.95}
    twice = here.guessed("clicked", clicks[0], now + 60_500, CHROME)
    assert twice == {"human": 0.95}, "the same link twice is an impatient hand"


def test_the_memory_of_recent_links_is_bounded():
    recent = Recent()
    for number in range(SENDS_REMEMBERED + 10):
        recent.others(Hit("clicked", f"s{number}", "p", url="u"), 0)
    for number in range(LINKS_REMEMBERED + 10):
        recent.others(Hit("clicked", "s", "p", url=str(number)), 0)
    assert len(recent._sends) == SENDS_REMEMBERED
    assert len(recent._sends["s"]) == LINKS_REMEMBERED


@pytest.mark.parametrize(("human", "is_one"), [(None, True), (0.5, True), (0.49, False), (1, True), ("no", True)])
def test_feedback_that_does_not_say_is_taken_for_a_human_s(human, is_one):
    assert is_human({} if human is None else {"human": human}) is is_one
