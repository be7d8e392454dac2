"""The pages: who may look, what they show, and that nothing that comes from outside does harm there."""

import re
from dataclasses import replace
from email import policy
from email.parser import BytesParser
from html.parser import HTMLParser

import msgspec
import pytest

from shop import ADMIN_KEY, HOSTILE, NOW, SETTINGS, connect
from triggerfish.clock import HOUR
from triggerfish.config import DEMO_ADMIN_KEY, load_settings
from triggerfish.web.pages import access, words
from triggerfish.web.pages.access import COOKIE, SESSION, has_session, safe_path, session_for

ORIGIN = {"Origin": "http://shop.test"}
PAGES = ["/", "/rulebook", "/segments", "/segments/vip", "/people", "/people/ana", "/people/bo", "/sends", "/outbox"]
FRAMELESS = "frame-ancestors 'none'"


class Elements(HTMLParser):
    """Every element of a page with its attributes, and its text."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.found = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.text += " "

    def handle_data(self, data):
        self.text += data


def named(html, name):
    return [attributes for tag, attributes in Elements(html).found if tag == name]


async def read(reader, path):
    answer = await reader.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    return answer.text


async def sent_id(reader):
    return (await reader.get("/v1/sends?status=sent")).json()[0]["id"]


# --- who may look -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES)
async def test_without_the_key_there_is_nothing_but_a_form_to_sign_in(shop, path):
    async with connect(shop) as stranger:
        answer = await stranger.get(path)
    assert answer.status_code == 401
    assert "Sign in" in answer.text
    for secret in ("ana", "customers", "welcome", "31", ADMIN_KEY):
        assert secret not in Elements(answer.text).text.lower()


async def test_the_admin_key_signs_in_with_a_cookie_that_does_not_hold_it(shop):
    async with connect(shop) as client:
        form = (await client.get("/people/ana?before=9")).text
        (onward,) = [field["value"] for field in named(form, "input") if field["name"] == "next"]
        answer = await client.post("/login", data={"key": ADMIN_KEY, "next": onward}, headers=ORIGIN)
        assert (answer.status_code, answer.headers["location"]) == (303, "/people/ana?before=9")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert ADMIN_KEY not in cookie
        assert "Ana Lima" in await read(client, "/people/ana")
        await client.post("/logout", headers=ORIGIN)
        assert (await client.get("/people/ana")).status_code == 401


async def test_the_cookie_is_sent_over_https_only_where_there_is_https(shop):
    async with connect(replace(shop, public_url="https://mail.shop.test")) as client:
        answer = await client.post("/login", data={"key": ADMIN_KEY}, headers={"Origin": "https://mail.shop.test"})
    assert "; Secure" in answer.headers["set-cookie"]


async def test_a_wrong_key_signs_nobody_in(shop, monkeypatch):
    monkeypatch.setattr(access, "_WRONG_KEY_SECONDS", 0)
    async with connect(shop) as client:
        for data in ({"key": "wrong"}, {"key": ""}, {}, {"key": "é"}):
            answer = await client.post("/login", data=data, headers=ORIGIN)
            assert answer.status_code == 401
            assert "set-cookie" not in answer.headers
            assert "this is not the admin key" in answer.text


@pytest.mark.parametrize(
    "headers", [{}, {"Origin": "null"}, {"Origin": "http://evil.test"}, {"Origin": "http://shop.test.evil.test"}]
)
async def test_a_form_that_another_site_sends_is_refused(shop, headers):
    async with connect(shop) as client:
        for path in ("/login", "/logout"):
            answer = await client.post(path, data={"key": ADMIN_KEY}, headers=headers)
            assert answer.status_code == 403
            assert "set-cookie" not in answer.headers


def test_a_session_ends_and_cannot_be_made_up(shop):
    good = session_for(shop, NOW + SESSION)
    until, mac = good.split(".")
    assert has_session(shop, good)
    for bad in (
        "",
        ".",
        mac,
        f"{until}.",
        f"{int(until) + 1}.{mac}",
        f"-{until}.{mac}",
        f"{until}.{mac[:-1]}x",
        "٣." + mac,
    ):
        assert not has_session(shop, bad), bad
    assert not has_session(shop, session_for(shop, NOW - 1))
    other = replace(shop, front=replace(shop.front, admin_key="another admin key"))
    assert not has_session(other, good)


@pytest.mark.parametrize(
    "path", ["//evil.test", "https://evil.test", "/\\evil.test", "javascript:alert(1)", "", "/a\nb"]
)
def test_signing_in_leads_nowhere_else(path):
    assert safe_path(path) == "/"
    assert safe_path("/people/ana?before=3") == "/people/ana?before=3"


@pytest.fixture
def demo(shop, tmp_path):
    """The same shop with the demo's admin key, listening on loopback."""
    (tmp_path / "triggerfish.toml").write_text(SETTINGS.format(admin=DEMO_ADMIN_KEY))
    keys = load_settings(tmp_path, {}).keys
    settings = msgspec.structs.replace(shop.settings, keys=keys)
    return replace(shop, settings=settings, front=replace(shop.front, admin_key=DEMO_ADMIN_KEY))


@pytest.mark.parametrize("host", ["127.0.0.1:8400", "localhost:8400", "[::1]:8400"])
async def test_with_the_demo_keys_this_machine_may_look_and_is_told_so(demo, host):
    async with connect(demo, base_url=f"http://{host}") as client:
        assert "Demo keys: this machine only" in await read(client, "/people/ana")


async def test_with_the_demo_keys_a_foreign_name_forwarded_request_or_machine_may_not(demo):
    rebound = connect(demo, base_url="http://evil.test:8400")
    forwarded = connect(demo, base_url="http://127.0.0.1", headers={"X-Forwarded-For": "203.0.113.9"})
    far = connect(demo, base_url="http://127.0.0.1", client=("203.0.113.9", 1))
    for client in (rebound, forwarded, far):
        async with client:
            assert (await client.get("/people/ana")).status_code == 401


async def test_the_api_stays_shut_to_a_signed_in_browser_without_the_key(shop):
    """A cookie is for pages: what a browser sends by itself must not open the API."""
    async with connect(shop) as client:
        client.cookies.set(COOKIE, session_for(shop, NOW + HOUR))
        assert (await client.get("/people/ana")).status_code == 200
        assert (await client.get("/v1/profiles/ana")).status_code == 401


# --- what they show ---------------------------------------------------------------------------------------------------


async def test_the_first_page_shows_the_figures_and_the_results(reader):
    text = " ".join(Elements(await read(reader, "/")).text.split())
    for said in (
        "6 events stored",
        "3 people",
        "1 messages sent",
        "Rulebook live",
        "hello welcome",
        "Returned happened",
    ):
        assert said in text


async def test_it_refreshes_by_itself_until_told_to_hold_still(reader):
    assert [each for each in named(await read(reader, "/"), "meta") if each.get("http-equiv") == "refresh"]
    still = await read(reader, "/?refresh=off")
    assert not [each for each in named(still, "meta") if "http-equiv" in each]


async def test_segments_are_a_tree_with_counts_and_shares(reader):
    text = " ".join(Elements(await read(reader, "/segments")).text.split())
    assert "of 3 people" in text
    assert re.search(r"customers .* 2 67% vip 1 33% empty 0 0%", text)


async def test_a_segment_shows_who_is_in_it_and_what_it_means(reader):
    html = await read(reader, "/segments/vip")
    assert "sum(Bought.total) &gt;= 500" in html
    assert HOSTILE in Elements(html).text
    assert "Nobody is in it now." in await read(reader, "/segments/empty")


async def test_a_person_has_their_story_with_every_condition_and_its_values(reader):
    text = " ".join(Elements(await read(reader, "/people/bo")).text.split())
    for said in (
        "vip", "bo@example.com", "Returned happened meanwhile", "event.total > 10 it was 700",
        "traits.vip == True it was missing", "never fired: Bought came in vain once", "entered customers",
        "Thursday, 1 January 2026", "01:01:00",
    ):  # fmt: skip
        assert said in text, said
    assert "✓" in text
    assert "✗" in text


async def test_a_person_is_found_by_any_identity(reader):
    for q in ("ana", "ANA@example.com", " user:ana "):
        answer = await reader.get("/people", params={"q": q})
        assert answer.status_code == 303
        assert "Ana Lima" in await read(reader, answer.headers["location"])
    answer = await reader.get("/people", params={"q": HOSTILE})
    assert answer.status_code == 404
    assert f"Nobody is known as “{HOSTILE}”" in Elements(answer.text).text


async def test_sends_can_be_chosen_and_each_tells_its_history(reader):
    chosen = await read(reader, "/sends?status=skipped&template=&rule=hello+/+welcome&profile=")
    assert "Returned happened meanwhile" in chosen
    assert [each for each in named(chosen, "option") if "selected" in each]
    assert await sent_id(reader) not in chosen
    text = " ".join(Elements(await read(reader, f"/sends/{await sent_id(reader)}")).text.split())
    assert re.search(r"welcome sent .* due .* scheduled waits 10 minutes", text)
    answer = await reader.get("/sends?status=lost")
    assert answer.status_code == 400
    assert "there is no status" in answer.text


async def test_the_outbox_shows_the_message_as_it_was_sent(reader, lived):
    send = await sent_id(reader)
    assert f"/outbox/{send}" in await read(reader, "/outbox")
    mail = BytesParser(policy=policy.default).parsebytes((lived / "data" / "outbox" / f"{send}.eml").read_bytes())
    page = await read(reader, f"/outbox/{send}")
    text = Elements(page).text
    assert mail["subject"] in text
    assert mail["list-unsubscribe"] in text
    assert mail.get_body(("plain",)).get_content().strip().replace("\r\n", "\n") in text
    for frame in named(page, "iframe"):
        assert frame["src"] == f"/outbox/{send}/html"
        assert "allow-scripts" not in frame["sandbox"]
        assert "allow-same-origin" not in frame["sandbox"]


async def test_the_frame_of_a_message_runs_nothing_and_counts_no_open(reader, lived):
    send = await sent_id(reader)
    answer = await reader.get(f"/outbox/{send}/html")
    rules = answer.headers["content-security-policy"]
    assert rules.startswith("sandbox allow-popups")
    assert "default-src 'none'" in rules
    assert "script" not in rules
    raw = (lived / "data" / "outbox" / f"{send}.eml").read_bytes()
    html = BytesParser(policy=policy.default).parsebytes(raw).get_body(("html",)).get_content()
    assert "/t/o/" in html
    assert "/t/o/" not in answer.text
    assert "/t/c/" in answer.text
    assert {link.get("target") for link in named(answer.text, "a")} == {"_blank"}


@pytest.mark.parametrize("path", ["/people/nobody", "/segments/none", "/sends/none", "/outbox/none", "/outbox/..%2fx"])
async def test_what_is_not_there_is_a_page_that_says_so(reader, path):
    answer = await reader.get(path)
    assert answer.status_code == 404
    assert "There is nothing here" in answer.text or "nothing at" in answer.text


async def test_an_unknown_question_is_a_page_that_says_so(reader):
    for path in ("/sends?colour=red", "/people/ana?before=x"):
        answer = await reader.get(path)
        assert answer.status_code == 400
        assert "That cannot be asked" in answer.text


# --- what is harmless -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*PAGES, "/people/a-1", "/people?q=" + HOSTILE, "/sends?template=" + HOSTILE])
async def test_what_people_send_is_shown_and_never_run(reader, path):
    answer = await reader.get(path)
    page = Elements(answer.text)
    assert not [tag for tag, _ in page.found if tag in ("script", "object", "embed", "base", "style")]
    for tag, attributes in page.found:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name != "style"
            assert not (name in ("href", "src", "action") and not (value or "").startswith(("/", "#"))), (tag, value)


@pytest.mark.parametrize("path", ["/people/bo", "/people/a-1", "/segments", "/people"])
async def test_hostile_names_are_readable_as_text(reader, path):
    assert HOSTILE in Elements(await read(reader, path)).text


async def test_every_page_forbids_scripts_frames_and_foreign_sources(reader):
    for path in (*PAGES, "/people/nobody", "/login"):
        answer = await reader.get(path)
        if path == "/login":
            assert answer.status_code == 405
            continue
        rules = answer.headers["content-security-policy"]
        assert rules.startswith("default-src 'none'; style-src 'self'")
        assert FRAMELESS in rules
        assert "unsafe" not in rules
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_style_and_logo_are_ours_and_need_no_key(shop):
    async with connect(shop) as stranger:
        (style,) = [
            each["href"] for each in named((await stranger.get("/")).text, "link") if each["rel"] == "stylesheet"
        ]
        answer = await stranger.get(style)
        assert answer.headers["content-type"].startswith("text/css")
        assert "immutable" in answer.headers["cache-control"]
        assert not re.search(r"url\(|@import|https?:", answer.text)
        assert (await stranger.get("/assets/triggerfish.svg")).headers["content-type"].startswith("image/svg+xml")


@pytest.mark.parametrize("path", PAGES)
async def test_pages_have_headings_labels_and_a_language(reader, path):
    html = await read(reader, path)
    elements = Elements(html).found
    assert ("html", {"lang": "en"}) in elements
    assert [tag for tag, _ in elements].count("h1") == 1
    assert [tag for tag, _ in elements].count("main") == 1
    labels = html.count("<label")
    fields = [each for tag, each in elements if tag in ("input", "select")]
    assert sum("aria-label" not in each for each in fields) <= labels


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("2026-01-04T00:00:00.000Z", "now"), ("2026-01-03T23:59:20.000Z", "40 s ago"),
        ("2026-01-03T23:57:00.000Z", "3 min ago"), ("2026-01-03T00:00:00.000Z", "24 h ago"),
        ("2026-01-02T00:00:00.000Z", "2 days ago"), ("2026-01-04T02:00:00.000Z", "in 2 h"),
        ("2026-01-07T00:00:00.000Z", "in 3 days"),
    ],
)  # fmt: skip
def test_how_long_ago_is_said_shortly(at, said):
    assert words.say_ago(at, NOW) == said


def test_shares_never_claim_nothing_where_there_is_something():
    assert [words.say_share(*pair) for pair in ((0, 0), (0, 9), (1, 1000), (1, 3), (3, 3))] == [
        "0%", "0%", "<1%", "33%", "100%",
    ]  # fmt: skip


def test_instants_within_a_reason_are_written_plainly():
    assert words.plain_times("until 2026-01-01T00:11:00.000Z!") == "until 2026-01-01 00:11:00!"


def test_an_event_that_holds_much_is_told_shortly():
    facts = words.facts_of({"a": "x" * 500, "b": {"deep": 1}, "c": [1], "d": 1.5, "e": True, "f": 1, "g": 2})
    assert [name for name, _ in facts] == ["a", "d", "e", "f"]
    assert len(facts[0][1]) <= words.LONGEST_FACT
