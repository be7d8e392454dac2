"""Consent over HTTP, from the wish to the profile: the API, the privacy signal, the pages behind the links."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest

from shop import ADMIN, REPOSITORY, connect, make_workspace
from triggerfish import walk
from triggerfish.clock import DAY, HOUR, MINUTE, to_iso
from triggerfish.compose import load_workshop, open_desk, open_house, prepare, signer_of, verp_of
from triggerfish.config import load_settings
from triggerfish.config.secret import Secret
from triggerfish.errors import Unavailable
from triggerfish.plugin.testing import START, SetClock
from triggerfish.processes.api import app_for
from triggerfish.reads import describe
from triggerfish.web.leaf_words import WORDS, language_for
from triggerfish.web.serve import bind, make_server
from worlds import feedback

PURPOSES = """
purposes:
  newsletter:
    title: {en: Our newsletter, de: Unser Newsletter}
    description: {en: "What is <new>, once a week", de: "Neues, jede Woche"}
  offers: {title: Offers, consent: double_opt_in}
  ads: {title: Ads, gpc: true, categories: [C0004]}
"""
RULES = """
ruleset: offers
rules:
  - {name: offer, on: Looked, purpose: offers, then: [{send: welcome}]}
  - {name: news, on: Read, purpose: newsletter, then: [{send: welcome}]}
  - {name: ask, on: consent.requested, class: transactional, purpose: offers, then: [{send: welcome}]}
"""
KEY = {"auth": ("a write key", "")}


class Server:
    """The api process's application, and a worker beside it that follows when it is told to."""

    def __init__(self, desk, house, client, clock):
        self.desk, self.house, self.client, self.clock = desk, house, client, clock
        self.calls = 0

    def follow(self, after=MINUTE):
        self.clock.at += after
        while walk.follow(self.house):
            pass

    async def track(self, event, headers=None, **more):
        self.calls += 1
        call = {
            "userId": "ana",
            "event": event,
            "messageId": f"t{self.calls}",
            "timestamp": to_iso(self.clock.at),
        } | more
        answer = await self.client.post("/v1/track", json=call, headers=headers, **KEY)
        assert answer.status_code == 200, answer.text
        self.follow()

    async def consent(self, **choice):
        answer = await self.client.post("/v1/consent", json={"userId": "ana", **choice}, **KEY)
        assert answer.status_code == 200, answer.text
        self.follow()

    async def profile(self, who="ana"):
        answer = await self.client.get(f"/v1/profiles/{who}", headers=ADMIN)
        return answer.json()

    async def sends(self):
        answer = await self.client.get("/v1/sends", headers=ADMIN)
        return [(each["rule"], each["status"], each["reason"]) for each in reversed(answer.json())]

    async def link(self, what="preferences"):
        person = await self.profile()
        links = self.desk.signer.links(
            "s1", person["id"], "newsletter", "", at=self.clock.at, address=person["traits"]["email"]
        )
        return getattr(links, what)()

    def offers_link(self, person, address="ana@example.com"):
        return self.desk.signer.links("s2", person["id"], "offers", "", at=self.clock.at, address=address).confirm()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A workspace in which nothing has happened, and what its files make."""
    workspace = make_workspace(tmp_path_factory.mktemp("consent") / "workspace")
    (workspace / "rules" / "purposes.yaml").write_text(PURPOSES)
    (workspace / "rules" / "offers.yaml").write_text(RULES)
    settings = load_settings(workspace, {})
    workshop = load_workshop(settings)
    prepare(settings)
    told = {"state": "live", "loaded_at": to_iso(START), "problems": [], **describe(workshop.rulebook)}
    settings.rulebook_path.write_bytes(msgspec.json.encode(told))
    return workspace, workshop, workshop.rulebook.match


@pytest.fixture
async def server(prepared, tmp_path: Path):
    origin, workshop, match = prepared
    workspace = Path(shutil.copytree(origin, tmp_path / "workspace"))
    settings = load_settings(workspace, {})
    workshop.rulebook.match = match  # without the watch that was put around it
    clock = SetClock()
    async with (
        open_house(settings, workshop, public_url="http://127.0.0.1:1") as house,
        open_desk(settings, ring=lambda: None, public_url="http://127.0.0.1:1") as desk,
    ):
        desk = replace(desk, front=replace(desk.front, clock=clock))
        house = replace(house, clock=clock)
        async with connect(desk) as client:
            made = Server(desk, house, client, clock)
            identify = {"userId": "ana", "traits": {"email": "ana@example.com"}, "messageId": "i"}
            answer = await client.post("/v1/identify", json=identify, **KEY)
            assert answer.status_code == 200
            made.follow()
            yield made


# --- POST /v1/consent -------------------------------------------------------------------------------------------------


async def test_a_consent_is_kept_with_its_proof(server):
    await server.consent(
        purposes={"newsletter": True, "ads": False}, text="Yes, send me news.", how="sign-up form",
        page="https://shop.example/news", messageId="c1",
    )  # fmt: skip
    consent = (await server.profile())["consent"]
    at = to_iso(START + MINUTE)
    assert consent["newsletter"] == {
        "is_given": True, "at": at, "source": "sign-up form", "text": "Yes, send me news.",
        "page": "https://shop.example/news", "user_agent": "python-httpx/" + consent["newsletter"]["user_agent"][13:],
        "message_id": "c1",
    }  # fmt: skip
    assert not consent["ads"]["is_given"]
    lines = (await server.client.get("/v1/profiles/ana/timeline", headers=ADMIN)).json()
    (line,) = [each for each in lines if each.get("message_id") == "c1"]
    assert line["properties"]["purposes"] == {"newsletter": True, "ads": False}


async def test_an_address_alone_makes_somebody_who_can_be_asked_to_confirm(server):
    answer = await server.client.post(
        "/v1/consent", json={"email": "Bo@Example.com", "purposes": {"offers": True}, "writeKey": "a write key"}
    )
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert answer.headers["access-control-allow-origin"] == "*"
    server.follow()
    bo = await server.profile("bo@example.com")
    assert bo["traits"] == {"email": "Bo@Example.com"}
    assert bo["identities"] == [{"kind": "email", "value": "bo@example.com"}]
    assert await server.sends() == [("ask", "due", "")]


REFUSED = [
    ({"userId": "ana", "purposes": {}}, "TF681", "purposes"),
    ({"userId": "ana"}, "TF681", ""),
    ({"userId": "ana", "purposes": {"newsletter": "yes"}}, "TF681", "purposes"),
    ({"userId": "ana", "purposes": {"newsletter": True}, "tekst": "x"}, "TF681", ""),
    ({"email": "ana", "purposes": {"newsletter": True}}, "TF681", "email"),
    ({"email": "a@b\n", "purposes": {"newsletter": True}}, "TF681", "email"),
    ({"purposes": {"newsletter": True}}, "TF103", "userId"),
    ({"userId": "ana", "purposes": {"newslettr": True}}, "TF682", "purposes.newslettr"),
    ({"userId": "ana", "purposes": {"newsletter": True}, "confirmed": True}, "TF683", "confirmed"),
    ({"userId": "ana", "purposes": {"newsletter": True}, "timestamp": "soon"}, "TF104", "timestamp"),
]


async def test_a_consent_that_cannot_be_taken_is_refused_with_its_field(server):
    head = server.desk.front.log.head()
    for body, code, field in REFUSED:
        answer = await server.client.post("/v1/consent", json=body, **KEY)
        told = answer.json()
        assert (told["code"], told.get("field", "")) == (code, field), body
        assert answer.status_code == (403 if code == "TF683" else 400)
    assert server.desk.front.log.head() == head


async def test_without_a_key_nothing_is_taken(server):
    body = {"userId": "ana", "purposes": {"newsletter": True}}
    assert (await server.client.post("/v1/consent", json=body)).status_code == 401
    assert (await server.client.post("/v1/consent", json=body, auth=("no", ""))).status_code == 401
    assert (await server.client.options("/v1/consent")).headers["access-control-allow-methods"]


async def test_who_runs_the_server_can_bring_confirmed_consents_along(server):
    body = {"userId": "ana", "purposes": {"offers": True}, "confirmed": True, "how": "imported"}
    assert (await server.client.post("/v1/consent", json=body, headers=ADMIN)).status_code == 200
    server.follow()
    await server.track("Looked")
    assert await server.sends() == [("offer", "due", "")]


async def test_a_browser_s_privacy_signal_is_a_no_that_a_yes_by_name_outlasts(server):
    await server.track("Looked", headers={"Sec-GPC": "1"})
    consent = (await server.profile())["consent"]
    assert list(consent) == ["ads"]
    assert (consent["ads"]["is_given"], consent["ads"]["source"]) == (False, "Global Privacy Control")
    await server.consent(purposes={"ads": True})
    await server.track("Looked", headers={"Sec-GPC": "1"})
    assert (await server.profile())["consent"]["ads"]["is_given"]
    await server.track("Looked", headers={"Sec-GPC": "0"})
    assert (await server.profile())["consent"]["ads"]["is_given"]


# --- double opt-in ----------------------------------------------------------------------------------------------------


async def test_only_the_button_behind_the_link_confirms(server):
    await server.consent(purposes={"offers": True})
    await server.track("Looked")
    person = await server.profile()
    link = server.offers_link(person)
    page = await server.client.get(link)
    assert page.status_code == 200
    assert "Press the button if you want to get these emails: <b>Offers</b>." in page.text
    server.follow()
    await server.track("Looked")
    done = await server.client.post(link, data={"shown": "page"})
    assert "You can stop them at any time." in done.text
    server.follow()
    await server.track("Looked")
    no = ("offer", "skipped", "consent to offers is not confirmed")
    assert await server.sends() == [("ask", "due", ""), no, no, ("offer", "due", "")]
    word = (await server.profile())["consent"]["offers"]
    assert word["is_confirmed"]
    assert word["text"] == "Press the button if you want to get these emails: Offers. [Yes, send them to me]"


async def test_nobody_can_confirm_for_another_address(server):
    """Whoever lets a link come to themselves and changes the address then has confirmed nothing."""
    await server.consent(purposes={"offers": True})
    person = await server.profile()
    link = server.offers_link(person, "eve@example.com")
    assert (await server.client.post(link)).status_code == 200
    server.follow()
    await server.track("Looked")
    assert (await server.sends())[-1] == ("offer", "skipped", "consent to offers was confirmed from another address")


async def test_a_link_to_confirm_ends(server):
    link = server.offers_link(await server.profile())
    server.clock.at += 31 * DAY
    head = server.desk.front.log.head()
    for answer in (await server.client.get(link), await server.client.post(link)):
        assert answer.status_code == 410
        assert "This link is too old" in answer.text
    assert server.desk.front.log.head() == head


# --- the preference page ----------------------------------------------------------------------------------------------


def form_of(html: str) -> dict[str, list[str]]:
    """The first form of a page, as a browser would send it back."""
    form = html[html.index("<form") : html.index("</form>")]
    fields: dict[str, list[str]] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        found = dict(re.findall(r'([a-z]+)="([^"]*)"', tag))
        if found["type"] == "hidden" or " checked" in tag:
            fields.setdefault(found["name"], []).append(found["value"])
    return fields


async def test_the_page_shows_what_somebody_gets_and_looking_changes_nothing(server):
    head = server.desk.front.log.head()
    page = await server.client.get(await server.link())
    assert page.status_code == 200
    assert form_of(page.text)["purpose"] == ["newsletter", "ads"], "offers need a confirmation"
    assert "<b>a•••@example.com</b>" in page.text
    assert "ana@example.com" not in page.text
    assert "What is &lt;new&gt;, once a week" in page.text
    assert server.desk.front.log.head() == head


async def test_what_changes_is_stored_with_the_words_that_were_shown(server):
    link = await server.link()
    fields = form_of((await server.client.get(link)).text)
    fields["purpose"] = ["offers", "ads"]
    saved = await server.client.post(link, data=fields)
    assert "You will not get any more: <b>Our newsletter</b>" in saved.text
    assert "You will get: <b>Offers</b>" in saved.text
    assert "<b>Ads</b>" not in saved.text
    server.follow()
    consent = (await server.profile())["consent"]
    assert list(consent) == ["newsletter", "offers"], "a box that was left as it was is no word"
    assert consent["newsletter"]["text"] == "[ ] Our newsletter: What is <new>, once a week\n[x] Offers"
    assert (consent["newsletter"]["source"], consent["newsletter"]["is_given"]) == ("preference page", False)
    await server.track("Looked")
    await server.track("Read")
    assert await server.sends() == [
        ("offer", "due", ""), ("news", "skipped", "opted out of newsletter (preference page)"),
    ]  # fmt: skip
    again = form_of((await server.client.get(link)).text)
    assert again["purpose"] == ["offers", "ads"]
    assert "Nothing has changed." in (await server.client.post(link, data=again)).text


async def test_one_button_ends_everything_and_a_box_brings_one_back(server):
    link = await server.link()
    saved = await server.client.post(link, data={"everything": "1", "language": "en"})
    assert "You will not get any more: <b>Marketing emails</b>" in saved.text
    server.follow()
    page = (await server.client.get(link)).text
    assert "At the moment you get no marketing emails from us at all." in page
    assert "Unsubscribe from everything" not in page
    fields = form_of(page)
    assert "purpose" not in fields
    await server.client.post(link, data=fields | {"purpose": ["newsletter"]})
    server.follow()
    await server.track("Read")
    assert await server.sends() == [("news", "due", "")]
    consent = (await server.profile())["consent"]
    assert (consent[""]["is_given"], consent["newsletter"]["is_given"]) == (False, True)


async def test_a_page_that_shows_something_else_by_now_is_shown_again(server):
    link = await server.link()
    fields = form_of((await server.client.get(link)).text)
    head = server.desk.front.log.head()
    for body in (b"x=1&" * 2_000, b"\xff\x00", b"", b"shown=" + b"x" * 50_000):
        assert (await server.client.post(link, content=body)).status_code == 409
    answer = await server.client.post(link, data=fields | {"shown": ["another digest"], "purpose": []})
    assert answer.status_code == 409
    assert "This page has changed in the meantime." in answer.text
    assert server.desk.front.log.head() == head


async def test_a_form_larger_than_any_of_ours_is_not_read(server):
    link = await server.link()
    assert (await server.client.post(link, content=b"purpose=" + b"x" * 100_000)).status_code == 413
    assert (await server.client.post(link, content=b"purpose=" + b"x" * 60_000)).status_code == 409


async def test_a_choice_that_cannot_be_stored_is_not_called_saved(server, monkeypatch):
    link = await server.link()
    fields = form_of((await server.client.get(link)).text) | {"purpose": ["offers"]}

    async def full(arrivals, aside=()):
        raise Unavailable("the disk is full")

    monkeypatch.setattr(server.desk.front.log, "append", full)
    answer = await server.client.post(link, data=fields)
    assert answer.status_code == 503
    assert "Saved" not in answer.text
    assert form_of(answer.text)["purpose"] == ["offers"], "to try again is to say the same"


async def test_the_page_of_another_kind_of_link_or_of_nobody_is_none(server):
    unsubscribe = (await server.link("unsubscribe")).rpartition("/")[2]
    nobody = server.desk.signer.links("s1", "nobody", "", "", at=START, address="x@example.com").preferences()
    for address in (f"/t/p/{unsubscribe}", "/t/p/nonsense", nobody):
        assert (await server.client.get(address)).status_code == 404
        assert (await server.client.post(address)).status_code == 404


async def test_the_way_from_unsubscribing_leads_to_the_choice(server):
    page = (await server.client.post(await server.link("unsubscribe"), data={"shown": "page"})).text
    (link,) = re.findall(r'href="(/t/p/[^"]+)"', page)
    assert (await server.client.get(link)).status_code == 200
    server.follow()
    assert "newsletter" not in form_of((await server.client.get(link)).text)["purpose"]


async def test_a_person_is_spoken_to_in_their_own_language(server):
    link = await server.link()
    german = await server.client.get(link, headers={"Accept-Language": "xx, de-AT;q=0.9, en;q=0.8"})
    assert "Welche E-Mails möchten Sie?" in german.text
    assert "Unser Newsletter" in german.text
    await server.track("Looked", context={"locale": "fr-CA"})
    french = await server.client.get(link, headers={"Accept-Language": "de"})
    assert '<html lang="fr">' in french.text
    assert "Quels e-mails souhaitez-vous ?" in french.text


async def test_links_and_return_paths_outlive_a_change_of_the_secret(server):
    """`retired_secrets` are understood; what was signed with another one is not."""
    keys = server.desk.settings.keys
    changed = msgspec.structs.replace(keys, secret=Secret("another secret of ours"), retired_secrets=(keys.secret,))
    settings = msgspec.structs.replace(server.desk.settings, keys=changed)
    token = (await server.link()).rpartition("/")[2]
    address = verp_of(server.desk.settings).address("b+{token}@shop.example", "0a1b")
    assert signer_of(settings).read_token(token).kind == "preferences"
    assert verp_of(settings).read(address) == "0a1b"
    forgotten = msgspec.structs.replace(settings, keys=msgspec.structs.replace(changed, retired_secrets=()))
    assert signer_of(forgotten).read_token(token) is None
    assert verp_of(forgotten).read(address) is None


def test_every_language_says_the_same_things():
    for language, words in WORDS.items():
        assert words.keys() == WORDS["en"].keys(), language
        for key, text in words.items():
            assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", WORDS["en"][key])), (language, key)


@pytest.mark.parametrize(
    ("wishes", "language"),
    [((), "en"), (("",), "en"), (("pt-BR",), "pt"), (("ja", "pl"), "pl"), (("en;q=0, nl;q=0.1",), "nl"),
     (("da, it;q=0.2, es;q=0.3",), "es"), (("de;q=x, fr",), "fr"), (("*",), "en")],
)  # fmt: skip
def test_the_first_language_that_the_pages_speak_is_taken(wishes, language):
    assert language_for(*wishes) == language


async def test_the_page_looks_as_ever_in_every_language(server):
    """Golden pages; TRIGGERFISH_UPDATE_GOLDEN=1 writes them anew."""
    link = await server.link()
    for language in WORDS:
        page = (await server.client.get(link, headers={"Accept-Language": language})).text
        body = re.sub(r"<style>.*?</style>", "", page).replace("><", ">\n<")
        body = re.sub(r'value="[0-9a-f]{16}"', 'value="…"', body) + "\n"
        golden = REPOSITORY / "tests" / "golden" / "preferences" / f"{language}.html"
        if os.environ.get("TRIGGERFISH_UPDATE_GOLDEN"):
            golden.parent.mkdir(exist_ok=True)
            golden.write_text(body, encoding="utf-8")
        assert body == golden.read_text(encoding="utf-8")


@pytest.mark.browser
async def test_a_person_chooses_in_a_browser_without_javascript(server, tmp_path):
    """By keyboard, on a phone, in the light and in the dark (tests/node/preferences.mjs)."""
    listener = bind("127.0.0.1", 0)
    serving = make_server(app_for(server.desk))
    running = asyncio.create_task(serving.serve(sockets=[listener]))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}{await server.link()}"
    script = REPOSITORY / "tests" / "node" / "preferences.mjs"
    try:
        node = await asyncio.create_subprocess_exec(
            "node",
            str(script),
            address,
            str(tmp_path),
            shutil.which("chromium"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(node.communicate(), 60)
    finally:
        serving.should_exit = True
        await running
    assert node.returncode == 0, err.decode()
    seen = json.loads(out)
    for scheme in ("light", "dark"):
        found = seen[scheme]
        assert found["contrast"] >= 4.5, scheme
        assert (found["fits"], found["unlabelled"], found["small"], found["language"]) == (True, 0, 0, "en"), scheme
    assert (seen["focused"], seen["outlined"]) == ("newsletter", "solid")
    assert seen["saved"] == ["Saved", "You will not get any more: Our newsletter", "Back to your choice"]
    assert seen["ended"][:2] == ["Saved", "You will not get any more: Marketing emails"]
    server.follow()
    words = (await server.profile())["consent"]
    assert [(purpose, word["is_given"]) for purpose, word in words.items()] == [("newsletter", False), ("", False)]
    assert "Chrome" in words[""]["user_agent"]


# --- the suppression list ---------------------------------------------------------------------------------------------


async def test_the_suppression_list_can_be_read_and_changed(server):
    add = await server.client.post(
        "/v1/suppressions", json=[{"address": "Bo@Example.com", "note": "asked us"}], headers=ADMIN
    )
    assert (add.status_code, add.json()) == (200, {"suppressions": 1})
    text = "Email,Reason,Created\n@spam.example,manual,2026\nana@example.com,spam_complaint,2026\n"
    csv = await server.client.post(
        "/v1/suppressions", content=text.encode(), headers={**ADMIN, "Content-Type": "text/csv; charset=utf-8"}
    )
    assert csv.json() == {"suppressions": 2}
    server.follow()
    listed = (await server.client.get("/v1/suppressions", headers=ADMIN)).json()
    assert [(each["address"], each["reason"], each.get("note"), each["by"]) for each in listed] == [
        ("@spam.example", "manual", None, "admin key"), ("ana@example.com", "complaint", None, "admin key"),
        ("bo@example.com", "manual", "asked us", "admin key"),
    ]  # fmt: skip
    one = (await server.client.get("/v1/suppressions?address=x@SPAM.example", headers=ADMIN)).json()
    assert [each["address"] for each in one] == ["@spam.example"]
    rest = (await server.client.get("/v1/suppressions?after=ana@example.com&limit=5", headers=ADMIN)).json()
    assert [each["address"] for each in rest] == ["bo@example.com"]
    gone = await server.client.delete("/v1/suppressions/bo@example.com", headers=ADMIN)
    assert gone.status_code == 200
    server.follow()
    assert len((await server.client.get("/v1/suppressions", headers=ADMIN)).json()) == 2


NO_LINES = [
    b"{}", b"[1]", b'{"address": "ana"}', b'{"address": "a b@c"}', b'{"address": "a@b", "reason": "because"}',
    b'{"address": "a@b", "purpos": "x"}', b"nonsense", b'{"address": "a\\u0000@b"}',
    b'[{"address": "a@b"}, {"address": ""}]',
]  # fmt: skip


@pytest.mark.parametrize("address", ["c=de/a=x@example.com", "a+b@example.com", "@example.com"])
async def test_any_address_that_is_on_the_list_can_be_taken_off(server, address):
    await server.client.post("/v1/suppressions", json={"address": address}, headers=ADMIN)
    server.follow()
    away = await server.client.delete(f"/v1/suppressions/{quote(address, safe='')}", headers=ADMIN)
    assert away.status_code == 200, away.text
    server.follow()
    assert (await server.client.get("/v1/suppressions", headers=ADMIN)).json() == []


async def test_what_is_no_line_of_the_list_is_refused_and_nothing_is_stored(server):
    head = server.desk.front.log.head()
    for body in NO_LINES:
        answer = await server.client.post("/v1/suppressions", content=body, headers=ADMIN)
        assert (answer.status_code, answer.json()["code"]) == (400, "TF684"), body
    assert server.desk.front.log.head() == head


async def test_the_list_is_for_who_runs_the_server(server):
    for method, path in (("GET", ""), ("POST", ""), ("DELETE", "/ana@example.com")):
        assert (await server.client.request(method, f"/v1/suppressions{path}", **KEY)).status_code == 401


async def test_taking_an_address_off_the_list_frees_its_owner(server):
    person = await server.profile()
    bounce = {"send_id": "s", "is_permanent": True, "recipient": "ANA@example.com", "detail": "no such user"}
    await server.desk.front.log.append(
        [(feedback("Email Bounced", server.clock.at, person["id"], **bounce), server.clock.at)]
    )
    server.follow()
    assert (await server.profile())["suppressed"] == "hard bounce"
    (line,) = (await server.client.get("/v1/suppressions", headers=ADMIN)).json()
    assert (line["address"], line["reason"], line["note"], line["by"]) == (
        "ana@example.com", "hard bounce", "no such user", "feedback",
    )  # fmt: skip
    await server.track("Read")
    await server.client.delete("/v1/suppressions/ana@example.com", headers=ADMIN)
    server.follow()
    assert (await server.profile())["suppressed"] == ""
    await server.track("Read")
    assert await server.sends() == [("news", "skipped", "suppressed: hard bounce"), ("news", "due", "")]


# --- the race ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_decided", [True, False], ids=["decided", "in the log"])
async def test_from_the_answer_to_an_opt_out_on_nothing_of_its_purpose_is_handed_over(server, is_decided):
    """Messages wait to be sent while the opt-out comes in, and it may wait to be decided itself."""
    for _ in range(3):
        await server.track("Read")
    assert [status for _, status, _ in await server.sends()] == ["due"] * 3
    house = replace(server.house, channel=_Slow(server.house.channel), channels={})
    link = await server.link("unsubscribe")
    assert (await server.client.post(link)).status_code == 200
    if is_decided:
        server.follow(0)
    server.clock.at += HOUR
    while await walk.send(house):
        pass
    assert house.channel.handed == []
    assert {(status, reason) for _, status, reason in await server.sends()} == {
        ("skipped", "opted out of newsletter (unsubscribe link)")
    }


class _Slow:
    """A channel that notes what it is handed."""

    def __init__(self, channel):
        self._channel = channel
        self.handed = []

    def __getattr__(self, name):
        return getattr(self._channel, name)

    def free_at(self):
        return 0

    async def send(self, batch):
        self.handed += batch
        return await self._channel.send(batch)
