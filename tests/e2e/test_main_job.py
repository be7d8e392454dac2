"""The main job, as its users see it: an event comes in over HTTP, a letter goes out, and what people do with it comes
back as events.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from running import ADMIN_KEY, Running, identify, track, wait_until, write_key_header

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def links_in(server: Running, send_id: str) -> dict[str, str]:
    """The tracked addresses of a letter: click, open, unsubscribe (as the footer and the header have it)."""
    letter = server.letter(send_id)
    html = letter.get_body(("html",)).get_content()
    found = {
        "click": re.search(r'href="([^"]+/t/c/[^"]+)"', html),
        "open": re.search(r'src="([^"]+/t/o/[^"]+\.gif)"', html),
        "footer": re.search(r'href="([^"]+/t/u/[^"]+)"', html),
    }
    links = {name: match[1] for name, match in found.items() if match}
    if letter["List-Unsubscribe"]:
        links["header"] = letter["List-Unsubscribe"].strip("<>")
    return links


def heard(server: Running, person: str) -> list[str]:
    """The names of a person's events, oldest first."""
    return [line["event"] for line in reversed(server.timeline(person)) if line["kind"] == "event"]


def test_a_person_is_greeted_clicks_and_unsubscribes(server):
    server.take(
        identify("ana", email="Ana@Example.com", firstName="Ana"), track("ana", "Order Completed", messageId="o")
    )
    profile = server.profile("ana")
    assert server.profile("ana@example.com")["id"] == profile["id"]
    waiting = server.sends(profile="ana", template="hello")
    assert [(each["status"], each["reason"]) for each in waiting] == [("scheduled", "waits 2 seconds")]

    sent = server.sent("hello", "ana")
    letter = server.letter(sent["id"])
    assert letter["To"] == "Ana <Ana@Example.com>"
    assert letter["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "Hi Ana." in letter.get_body(("html",)).get_content()
    assert "Hi Ana." in letter.get_body(("plain",)).get_content()
    links = links_in(server, sent["id"])
    assert all(link.startswith(server.address) for link in links.values())

    with httpx.Client() as mail_program:
        pixel = mail_program.get(links["open"])
        assert (pixel.status_code, pixel.headers["content-type"]) == (200, "image/gif")
        click = mail_program.get(links["click"])
        assert (click.status_code, click.headers["location"]) == (302, "https://shop.example/offer?a=1&b=2")
        asked = mail_program.get(links["footer"])
        assert (asked.status_code, "<form" in asked.text) == (200, True)
        wait_until(lambda: "Interest Shown" in heard(server, "ana"), "the click's rule")
        assert "Unsubscribed" not in heard(server, "ana"), "looking at the page unsubscribes nobody"
        one_click = mail_program.post(links["header"], data={"List-Unsubscribe": "One-Click"})
        assert one_click.status_code == 200

    wait_until(lambda: "Unsubscribed" in heard(server, "ana"), "the unsubscribe")
    names = heard(server, "ana")
    feedback = [
        name for name in names if name in ("Email Opened", "Email Link Clicked", "Interest Shown", "Unsubscribed")
    ]
    assert feedback == ["Email Opened", "Email Link Clicked", "Interest Shown", "Unsubscribed"]
    assert server.profile("ana")["traits"] == {
        "email": "Ana@Example.com",
        "firstName": "Ana",
        "greeted": True,
        "looked_at": "https://shop.example/offer?a=1&b=2",
    }

    server.take(track("ana", "Offer Wanted"), track("ana", "Order Completed"))
    skipped = server.sent("offer", "ana", "skipped")
    assert skipped["reason"].startswith("opted out of newsletter")
    assert server.sent("receipt", "ana")["status"] == "sent"
    server.quiet()
    receipts = server.sends(profile="ana", template="receipt")
    assert [each["status"] for each in receipts] == ["sent", "sent"]
    results = next(each for each in server.get("/v1/results") if each["rule"] == "hello")["results"]
    assert (results["sent"], results["opened_by_any"], results["clicked_by_any"], results["unsubscribed"]) == (
        1,
        1,
        1,
        1,
    )
    assert (results["opened"], results["clicked"]) == (0, 0), "a program that opens within a second is no human"


def test_a_visitor_who_says_who_they_are_is_one_person(server):
    server.take(
        {"type": "page", "anonymousId": "visitor-9", "name": "Home"},
        {"type": "track", "anonymousId": "visitor-9", "event": "Order Completed"},
    )
    visitor = server.profile("visitor-9")
    assert visitor["identities"] == [{"kind": "anonymous", "value": "visitor-9"}]
    server.take(
        {"type": "identify", "anonymousId": "visitor-9", "userId": "ben", "traits": {"email": "ben@example.org"}}
    )
    server.quiet()
    by_name = [server.profile(name) for name in ("visitor-9", "ben", "ben@example.org", visitor["id"])]
    assert all(each == by_name[0] for each in by_name)
    assert sorted((each["kind"], each["value"]) for each in by_name[0]["identities"]) == [
        ("anonymous", "visitor-9"),
        ("email", "ben@example.org"),
        ("user", "ben"),
    ]
    assert "customers" in by_name[0]["segments"]


def test_a_segment_that_depends_on_time_ends_by_itself(server):
    server.take({"type": "page", "userId": "cleo", "name": "Home"})
    assert server.profile("cleo")["segments"] == ["active"]
    wait_until(lambda: server.profile("cleo")["segments"] == [], "the end of the two seconds")
    changes = [line for line in server.timeline("cleo") if line["kind"] == "segment"]
    assert [(line["segment"], line["change"]) for line in changes] == [("active", "left"), ("active", "entered")]
    left, entered = (datetime.fromisoformat(line["at"]) for line in changes)
    assert timedelta(seconds=2) <= left - entered < timedelta(seconds=2, milliseconds=5), "exact, not polled"


def test_the_answers_have_the_shapes_that_others_rely_on(server):
    server.take(identify("dora", email="dora@example.org"), *[track("dora", "Order Completed") for _ in range(3)])
    server.sent("hello", "dora")
    profile = server.profile("dora")
    shape = {"id", "identities", "traits", "segments", "segment", "updated_at", "consent", "suppressed"}
    assert set(profile) == shape
    assert (profile["segment"], sorted(profile["segments"])) == ("loyal", ["customers", "loyal"])
    assert ISO.fullmatch(profile["updated_at"])

    sends = server.sends(profile="dora")
    assert len(sends) == 4
    columns = ["id", "profile", "ruleset", "rule", "template", "channel", "status", "reason", "due_at", "sent_at"]
    assert all(list(each) == columns and each["profile"] == profile["id"] for each in sends)
    assert all(ISO.fullmatch(each["due_at"]) and ISO.fullmatch(each["sent_at"]) for each in sends)
    hello = server.sends(profile="dora", template="hello", status="sent")[0]
    assert (hello["ruleset"], hello["rule"], hello["channel"], hello["reason"]) == ("greeting", "hello", "outbox", "")
    assert server.sends(profile="nobody") == []

    timeline = server.timeline("dora")
    assert {line["kind"] for line in timeline} == {"event", "segment", "decision", "send"}
    assert [line["id"] for line in timeline] == sorted((line["id"] for line in timeline), reverse=True), "newest first"
    decision = next(line for line in timeline if line["kind"] == "decision" and line["rule"] == "greeting / hello")
    assert (decision["outcome"], decision["event"], decision["because"]["holds"]) == ("waiting", "identify", True)
    assert len(server.get("/v1/profiles/dora/timeline", limit=2)) == 2

    tree = server.get("/v1/segments")
    assert [(each["name"], each["priority"]) for each in tree] == [("active", 5), ("customers", 10)]
    assert [(each["name"], each["children"]) for each in tree[1]["children"]] == [("loyal", [])]
    assert tree[1]["count"] >= tree[1]["children"][0]["count"] >= 1

    unknown = server.ask("/v1/profiles/nobody")
    assert (unknown.status_code, unknown.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("path", ["/v1/profiles/ana", "/v1/sends", "/v1/segments", "/v1/rulebook", "/v1/status"])
@pytest.mark.parametrize("header", [{}, {"Authorization": f"Bearer {ADMIN_KEY}x"}, write_key_header()])
def test_reads_need_the_admin_key(server, path, header):
    answer = server.http.get(path, headers=header)
    assert answer.status_code == 401
    assert answer.json()["code"] == "TF114"


def test_history_makes_people_and_segments_and_sends_nothing(server):
    ago = (datetime.now(UTC) - timedelta(days=365)).isoformat()
    history = [{**identify("emil", email="emil@example.org"), "timestamp": ago}]
    history += [track("emil", "Order Completed", timestamp=ago) for _ in range(3)]
    history += [track("emil", "Offer Wanted", timestamp=ago)]
    server.take(*history, call="import")
    server.quiet()
    profile = server.profile("emil")
    assert sorted(profile["segments"]) == ["customers", "loyal"]
    assert server.sends(profile="emil") == []
    reasons = {line["reason"] for line in server.timeline("emil") if line["kind"] == "decision"}
    assert reasons == {"the event is older than 1 hour"}


def test_a_batch_that_comes_again_changes_nothing(server):
    batch = [identify("fay", email="fay@example.org"), track("fay", "Order Completed")]
    batch = [{**each, "messageId": f"fay-{number}"} for number, each in enumerate(batch)]
    for _ in range(3):
        server.take(*batch)
    server.quiet()
    assert heard(server, "fay") == ["identify", "Order Completed"]
    server.sent("hello", "fay")
    assert len(server.sends(profile="fay")) == 2


def test_nothing_is_sent_before_its_time(server):
    server.take(identify("gil", email="gil@example.org"))
    sent = server.sent("hello", "gil")
    asked = next(line for line in server.timeline("gil") if line["kind"] == "event")
    due = datetime.fromisoformat(sent["due_at"])
    assert due - datetime.fromisoformat(asked["at"]) == timedelta(seconds=2)
    assert datetime.fromisoformat(sent["sent_at"]) >= due


def test_a_letter_is_there_once_whatever_the_reads_cost(server):
    """The api process answers reads while the worker works; both see the same."""
    people = [f"crowd-{number}" for number in range(200)]
    began = time.monotonic()
    for person in people:
        server.take(track(person, "Order Completed"), {**identify(person, email=f"{person}@example.org")})
        server.ask(f"/v1/profiles/{person}")
    status = server.quiet()
    assert status["dead_letters"] == 0, f"after {time.monotonic() - began:.1f} s"
    for person in people[::20]:
        assert heard(server, person) == ["Order Completed", "identify"]
        assert [each["reason"] for each in server.sends(profile=person, template="receipt")] == ["no email address"]
