"""Unmodified Segment SDKs against a running server. The first request is refused with 429, the second with 500."""

from __future__ import annotations

import json
import subprocess
import time
from datetime import UTC, datetime

import pytest
import segment.analytics

from sdks.harness import CHROMIUM, ROOT, needs_chromium, needs_node, run_node
from triggerfish.clock import from_datetime

NOON = datetime(2026, 1, 31, 9, 0, 0, 250_000, tzinfo=UTC)


def just_now(instant: int) -> bool:
    return abs(instant - time.time() * 1_000) < 60_000


def refused_twice(server) -> bool:
    return [status for _, status in server.refusals.seen[:2]] == [429, 500]


@pytest.mark.parametrize("gzip", [False, True])
def test_everything_that_the_python_sdk_sends_is_stored_once(server, gzip):
    problems = []
    client = segment.analytics.Client(
        server.write_key,
        host=server.url,
        gzip=gzip,
        upload_size=5,
        upload_interval=0.1,
        on_error=lambda error, items: problems.append((error, items)),
    )
    client.identify("ana", {"email": "ana@example.org", "plan": "pro", "seats": 3})
    client.track("ana", "Order Completed", {"order_id": "o-1", "total": 99.5}, timestamp=NOON)
    client.page("ana", "Shop", "Home", {"path": "/"})
    client.screen(anonymous_id="visitor-1", name="Basket")
    client.group("ana", "acme", {"size": 40})
    client.alias("visitor-1", "ana")
    for number in range(20):
        client.track(
            anonymous_id="visitor-1", event="Product Viewed", properties={"number": number, "name": "Grüße 🐟"}
        )
    client.shutdown()

    events = server.wait_for(26)
    assert problems == []
    assert refused_twice(server)
    check_a_server_sdk(events)
    check_the_person(server)
    assert all(event.context["library"]["name"] == "analytics-python" for event in events)


@pytest.mark.node
@needs_node
def test_everything_that_the_node_sdk_sends_is_stored_once(server):
    run_node("node_sdk.mjs", server.url, server.write_key)
    events = server.wait_for(26)
    assert refused_twice(server)
    check_a_server_sdk(events)
    check_the_person(server)
    assert all(event.context["library"]["name"] == "@segment/analytics-node" for event in events)


def check_a_server_sdk(events):
    assert len(events) == 26
    named = {event.name: event for event in events}
    assert named["identify"].traits == {"email": "ana@example.org", "plan": "pro", "seats": 3}
    assert named["identify"].user_id == "ana"
    assert named["identify"].anonymous_id is None
    assert just_now(named["identify"].timestamp)
    assert named["Order Completed"].properties["total"] == 99.5
    assert abs(named["Order Completed"].timestamp - from_datetime(NOON)) < 60_000  # moved by sentAt, as the spec says
    assert named["page"].properties == {"path": "/", "name": "Home", "category": "Shop"}
    assert named["screen"].properties["name"] == "Basket"
    assert named["screen"].anonymous_id == "visitor-1"
    assert (named["group"].group_id, named["group"].traits) == ("acme", {"size": 40})
    assert (named["alias"].user_id, named["alias"].previous_id) == ("ana", "visitor-1")
    viewed = [event for event in events if event.name == "Product Viewed"]
    assert sorted(event.properties["number"] for event in viewed) == list(range(20))
    assert {event.properties["name"] for event in viewed} == {"Grüße 🐟"}
    assert {event.anonymous_id for event in viewed} == {"visitor-1"}


def check_the_person(server):
    """The visitor and Ana are one person, who looked around and bought."""
    ana = server.profile("ana")
    assert ana == server.profile("visitor-1") == server.profile("ana@example.org")
    assert sorted((each["kind"], each["value"]) for each in ana["identities"]) == [
        ("anonymous", "visitor-1"),
        ("email", "ana@example.org"),
        ("user", "ana"),
    ]
    assert ana["traits"] == {"email": "ana@example.org", "plan": "pro", "seats": 3}
    assert (sorted(ana["segments"]), ana["segment"]) == (["customers", "lookers"], "customers")


@pytest.mark.node
@pytest.mark.browser
@needs_node
@needs_chromium
def test_everything_that_the_browser_sdk_sends_is_stored_once(server):
    script = ROOT / "tests" / "sdks" / "browser_sdk.mjs"
    command = ["node", str(script), server.url, server.write_key, str(CHROMIUM)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True) as page:
        line = page.stdout.readline()
        assert line.startswith("{"), line + page.communicate(timeout=60)[0]
        visitor = json.loads(line)
        events = server.wait_for(7)
        page.communicate(timeout=60)
    assert page.returncode == 0

    assert refused_twice(server)
    assert {path for path, _ in server.refusals.seen} == {f"/v1/{letter}" for letter in "ptigas"}
    named = {event.name: event for event in events}
    assert len(events) == len(named) == 7, visitor["said"]
    assert {event.anonymous_id for event in events if event.kind != "alias"} == {visitor["anonymousId"]}
    # What is sent again carries who the visitor is by then: the SDK adds that when it sends.
    assert named["page"].user_id in (None, "ben")
    assert named["page"].properties["name"] == "Basket"
    assert named["page"].properties["category"] == "Shop"
    assert named["page"].context["page"]["path"] == "/basket"
    assert named["page"].context["campaign"] == {"source": "letter"}
    assert named["Product Added"].properties == {"product_id": "p-1", "price": 19.9}
    assert named["identify"].user_id == visitor["userId"] == "ben"
    assert named["identify"].traits == {"email": "ben@example.org", "logins": 7}
    assert named["Order Completed"].user_id == "ben"
    assert named["group"].group_id == "acme"
    assert (named["alias"].user_id, named["alias"].previous_id) == ("ben", visitor["anonymousId"])
    assert named["screen"].properties["name"] == "Receipt"
    assert all(just_now(event.timestamp) for event in events)
    assert all(event.context["library"]["name"] == "analytics.js" for event in events)

    ben = server.profile("ben")
    assert ben == server.profile(visitor["anonymousId"]) == server.profile("ben@example.org")
    assert sorted((each["kind"], each["value"]) for each in ben["identities"]) == [
        ("anonymous", visitor["anonymousId"]),
        ("email", "ben@example.org"),
        ("user", "ben"),
    ]
    assert ben["traits"] == {"email": "ben@example.org", "logins": 7}
    assert (ben["segments"], ben["segment"]) == (["customers"], "customers")
