"""Opens, clicks and unsubscribes over HTTP, and how they come back in at the front door."""

from __future__ import annotations

import logging

import httpx
import pytest

from triggerfish.adapters.memory import MemoryEventLog
from triggerfish.consent import Purpose, digest_of
from triggerfish.errors import Busy, Unavailable
from triggerfish.measure import Hit, Signer
from triggerfish.plugin.testing import START, SetClock
from triggerfish.walk import FrontDoor
from triggerfish.web import tracking
from triggerfish.web.app import build_app
from triggerfish.web.visits import Visits

SIGNER = Signer("a secret of some length")
LINKS = SIGNER.links("s1", "p1", "newsletter", "")
SHOP = "https://shop.example.com/cart?id=7&q=a%20b#top"
ALL = [LINKS.open_pixel(), LINKS.click(SHOP), LINKS.unsubscribe(), LINKS.confirm()]


class Rings:
    def __init__(self):
        self.count = 0

    def __call__(self):
        self.count += 1


class FullLog(MemoryEventLog):
    """A log that takes nothing."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    async def append(self, arrivals, aside=()):
        raise self.error


def make_front(log):
    return FrontDoor(
        log=log, clock=SetClock(), ring=Rings(), write_keys=frozenset({"key"}), admin_key="an admin key of 16+"
    )


@pytest.fixture
def front():
    return make_front(MemoryEventLog())


@pytest.fixture
async def client(front):
    async with connect(front) as client:
        yield client


def connect(front):
    visits = Visits(
        signer=SIGNER, person=lambda profile_id: None, purposes=lambda: [Purpose("newsletter")], language=lambda: "en"
    )
    app = build_app(front, tracking.routes, dependencies={"visits": visits})
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(
        transport=transport, base_url="http://mail.example.com", headers={"User-Agent": "Mail/1.0"}
    )


def heard(front):
    return [entry.event for entry in front.log.read(0, 100)]


async def test_the_pixel_is_a_gif_that_nobody_keeps_and_counts_each_time(client, front):
    for _ in range(2):
        answer = await client.get(LINKS.open_pixel())
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/gif"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.content.startswith(b"GIF89a")
        assert len(answer.content) == 43
    first, second = heard(front)
    assert (first.kind, first.name, first.profile_id) == ("feedback", "Email Opened", "p1")
    assert first.properties == {"send_id": "s1", "purpose": "newsletter", "human": 0.95}
    assert first.context == {"userAgent": "Mail/1.0"}
    assert first.timestamp == START
    assert first.message_id != second.message_id
    assert front.ring.count == 2


async def test_a_click_is_recorded_and_leads_to_the_signed_address(client, front):
    answer = await client.get(LINKS.click(SHOP))
    assert answer.status_code == 302
    assert answer.headers["location"] == SHOP
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    (event,) = heard(front)
    assert (event.name, event.properties["url"]) == ("Email Link Clicked", SHOP)


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("https://shop.example.com/grüße?q=ü", "https://shop.example.com/gr%C3%BC%C3%9Fe?q=%C3%BC"),
        ("https://shop.example.com/a%2Fb?x=%C3%BC", "https://shop.example.com/a%2Fb?x=%C3%BC"),
        ('https://shop.example.com/"<>`{|}^', "https://shop.example.com/%22%3C%3E%60%7B%7C%7D%5E"),
    ],
)
async def test_an_address_in_other_letters_is_escaped_once(client, url, location):
    answer = await client.get(LINKS.click(url))
    assert answer.headers["location"] == location


async def test_looking_at_the_page_never_unsubscribes(client, front):
    answer = await client.get(LINKS.unsubscribe())
    assert answer.status_code == 200
    assert '<button type="submit">Unsubscribe</button></form>' in answer.text
    assert "no more emails of this kind from us: <b>newsletter</b>." in answer.text
    assert heard(front) == []


@pytest.mark.parametrize(
    ("body", "proof"),
    [
        ({"List-Unsubscribe": "One-Click"}, {}),
        (
            {"shown": "page"},
            {
                "text": "Press the button and you will get no more emails of this kind from us: newsletter. "
                "[Unsubscribe]"
            },
        ),
    ],
    ids=["one click (RFC 8058)", "the button of the page"],
)
async def test_a_post_unsubscribes_and_again_is_the_same_event(client, front, body, proof):
    for _ in range(2):
        answer = await client.post(LINKS.unsubscribe(), data=body)
        assert answer.status_code == 200
        assert "You are unsubscribed" in answer.text
    first, second = heard(front)
    assert (first.name, first.profile_id) == ("Unsubscribed", "p1")
    assert first.properties == {"send_id": "s1", "purpose": "newsletter", "address": digest_of(""), **proof}
    assert first.message_id == second.message_id


async def test_one_click_as_a_multipart_form_works_as_well(client, front):
    await client.post(LINKS.unsubscribe(), files={"List-Unsubscribe": (None, "One-Click")})
    assert len(heard(front)) == 1


@pytest.mark.parametrize("address", ALL)
async def test_head_requests_and_prefetching_are_answered_and_not_counted(client, front, address):
    full = await client.get(address, headers={"Sec-Purpose": "prefetch;prerender"})
    head = await client.head(address)
    assert head.status_code == full.status_code
    assert head.headers.get("location") == full.headers.get("location")
    assert heard(front) == []


@pytest.mark.parametrize("address", ALL)
@pytest.mark.parametrize("change", ["cut", "grow", "other secret", "nonsense"])
async def test_a_token_that_is_not_ours_does_nothing(client, front, address, change):
    folder, _, name = address.rpartition("/")
    token = name.removesuffix(".gif")
    other = {
        "cut": token[:-2],
        "grow": token + "A",
        "other secret": Signer("another secret").token(Hit("clicked", "s1", "p1", "", "https://evil.example")),
        "nonsense": "%3Cimg%20onerror=x%3E",
    }[change]
    answer = await client.get(f"{folder}/{other}")
    assert answer.status_code == 404
    assert "location" not in answer.headers
    assert "onerror" not in answer.text
    assert (await client.post(f"/t/u/{other}")).status_code == 404
    assert heard(front) == []


async def test_a_token_opens_only_the_door_it_was_made_for(client, front):
    click, pixel = LINKS.click(SHOP).rpartition("/")[2], LINKS.open_pixel().rpartition("/")[2].removesuffix(".gif")
    for address in (f"/t/o/{click}.gif", f"/t/u/{click}", f"/t/c/{pixel}", f"/t/u/{pixel}"):
        assert (await client.get(address)).status_code == 404
    assert (await client.post(f"/t/u/{pixel}")).status_code == 404
    assert heard(front) == []


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//evil.example", "/relative", "ftp://a.example", ""])
async def test_even_a_signed_token_leads_only_to_web_addresses(client, url):
    answer = await client.get("/t/c/" + SIGNER.token(Hit("clicked", "s1", "p1", "", url)))
    assert answer.status_code == 404
    assert "location" not in answer.headers


async def test_pages_run_nothing_load_nothing_and_are_framed_by_nobody(client):
    for answer in (await client.get(LINKS.unsubscribe()), await client.get("/t/u/nonsense")):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "frame-ancestors 'none'" in policy
        assert "form-action 'self'" in policy
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-type"].startswith("text/html")
        for foreign in ("<script", "src=", 'href="h', 'href="//', "http:", "https:"):
            assert foreign not in answer.text


async def test_a_purpose_is_escaped_on_the_page(client):
    links = SIGNER.links("s1", "p1", "<img onerror=x>", "")
    assert "&lt;img onerror=x&gt;" in (await client.get(links.unsubscribe())).text


@pytest.mark.parametrize("error", [Busy("the log is full"), Unavailable("the disk is full")])
async def test_a_log_that_takes_nothing_holds_up_no_reader_but_an_unsubscribe_says_so(error, caplog):
    front = make_front(FullLog(error))
    async with connect(front) as client:
        with caplog.at_level(logging.WARNING):
            assert (await client.get(LINKS.open_pixel())).status_code == 200
            assert (await client.get(LINKS.click(SHOP))).headers["location"] == SHOP
            answer = await client.post(LINKS.unsubscribe())
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "60"
    assert "try again" in answer.text
    assert "You are unsubscribed" not in answer.text
    assert "'clicked' of send s1 was not recorded" in caplog.text
    assert "a wish (unsubscribed) could not be stored" in caplog.text
    assert front.ring.count == 0


async def test_other_methods_are_refused(client, front):
    assert (await client.post(LINKS.click(SHOP))).status_code == 405
    assert (await client.put(LINKS.unsubscribe())).status_code == 405
    assert heard(front) == []
