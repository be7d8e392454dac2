"""The tracking plan over HTTP: violations, the quarantine, and its way back; on the pages and for Prometheus, too."""

import asyncio
import shutil
from dataclasses import replace

import msgspec
import pytest

from shop import ADMIN, connect, open_shop
from triggerfish import walk
from triggerfish.plan import Checks, Field, Plan, PlannedEvent

BOUGHT = Field("number", required=True)
EMAIL = Field("text", allowed=("x@example.com",), sensitivity="personal")
PLAN = Plan(events={"Bought": PlannedEvent({"total": BOUGHT, "email": EMAIL}, "quarantine")}, unknown_events="warn")


@pytest.fixture
async def shop(lived, tmp_path):
    """A desk of its own over a copy of the shop, with a plan; and what its doorbell heard."""
    shutil.copytree(lived, tmp_path / "shop")
    async with open_shop(tmp_path / "shop") as desk:
        rung = []
        front = replace(desk.front, checks=lambda: Checks(PLAN), ring=lambda: rung.append(1))
        await send(front, "Bought", total="12.50")
        await send(front, "Bought", total=1, email="ana@example.com")
        await send(front, "Bougt", total=1)
        await send(front, "Bought", total=5)
        rung.clear()
        yield replace(desk, front=front), rung


@pytest.fixture
async def reader(shop):
    async with connect(shop[0], headers=ADMIN) as client:
        yield client


async def send(front, event, **properties):
    body = {"userId": "ana", "event": event, "properties": properties, "messageId": f"{event} {len(properties)}"}
    await walk.receive(front, msgspec.json.encode(body), "track", front.clock.wall())


async def counts(reader):
    """The violations, once they are written."""
    for _ in range(100):
        found = (await reader.get("/v1/violations")).json()
        if sum(one["quarantined"] + one["warned"] for one in found) == 3:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(found)


async def test_violations_are_counted_with_examples_that_tell_nothing_personal(reader):
    found = {(one["field"], one["what"]): one for one in await counts(reader)}
    assert {key: (one["refused"], one["quarantined"], one["warned"]) for key, one in found.items()} == {
        ("properties.total", "type"): (0, 1, 0),
        ("properties.email", "not allowed"): (0, 1, 0),
        ("", "unknown event"): (0, 0, 1),
    }
    assert found["properties.total", "type"]["examples"][0]["value"] == '"12.50"'
    assert "ana@example.com" not in str(found)


async def test_the_quarantine_shows_events_whole_newest_first(reader):
    found = (await reader.get("/v1/quarantine")).json()
    assert [each["event"]["properties"]["total"] for each in found] == [1, "12.50"]
    assert found[1]["why"] == [
        {
            "field": "properties.total",
            "what": "type",
            "sentence": '"total" of "Bought" is text, and a number is expected',
            "expected": "a number",
        }
    ]
    assert (await reader.get("/v1/quarantine", params={"before": found[0]["id"]})).json() == found[1:]
    assert (await reader.get("/v1/quarantine", params={"event": "Other"})).json() == []


async def test_a_replay_lets_in_what_is_mended_and_rings_the_bell(shop, reader):
    desk, rung = shop
    before = desk.front.log.head()[0]
    answer = await reader.post("/v1/quarantine/replay", json={})
    assert (answer.status_code, answer.json()["released"], rung) == (200, 0, [])
    answer = await reader.post("/v1/quarantine/replay", json={"fix": {"convert": {"total": "number"}}})
    assert (answer.json()["released"], answer.json()["kept"], rung) == (1, 1, [1])
    (entry,) = desk.front.log.read(before, 9)
    assert (entry.event.properties, entry.event.message_id) == ({"total": 12.5}, "Bought 1")
    assert (await reader.post("/v1/quarantine/replay", json={})).json()["released"] == 0
    assert desk.front.log.head()[0] == before + 1


async def test_a_number_that_no_profile_holds_is_refused(reader):
    answer = await reader.post("/v1/quarantine/replay", content=b'{"fix": {"set": {"total": %d}}}' % (10**30))
    assert (answer.status_code, answer.json()["field"]) == (400, "fix.set")


async def test_what_is_discarded_is_gone(reader):
    assert (await reader.post("/v1/quarantine/discard", json={"event": "Other"})).json() == {"discarded": 0}
    assert (await reader.post("/v1/quarantine/discard", json={})).json() == {"discarded": 2}
    assert (await reader.get("/v1/quarantine")).json() == []


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"fxi": {}}', b'{"fix": {"convert": {"total": "numbr"}}}'])
async def test_a_body_that_cannot_be_read_changes_nothing(reader, body):
    answer = await reader.post("/v1/quarantine/replay", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "TF101")
    assert len((await reader.get("/v1/quarantine")).json()) == 2


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/quarantine"),
        ("GET", "/v1/violations"),
        ("POST", "/v1/quarantine/replay"),
        ("POST", "/v1/quarantine/discard"),
    ],
)
async def test_nobody_gets_in_without_the_admin_key(shop, method, path):
    async with connect(shop[0]) as client:
        assert (await client.request(method, path)).json()["code"] == "TF114"


async def test_the_status_page_and_prometheus_tell_of_it(reader):
    await counts(reader)
    page = (await reader.get("/")).text
    assert "properties.total" in page
    assert "2 events wait in the quarantine" in page
    assert "text that is not shown (personal)" in page
    metrics = (await reader.get("/metrics")).text
    assert "triggerfish_quarantined_events 2.0" in metrics
    assert 'triggerfish_plan_violations_total{action="quarantined",what="type"} 1.0' in metrics
