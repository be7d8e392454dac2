"""Streams of events to measure with: the demo's shop, and a made-up shop with more people."""

from __future__ import annotations

import asyncio
import json
from bisect import bisect
from collections.abc import Iterable, Iterator
from itertools import accumulate, islice
from pathlib import Path
from random import Random

from triggerfish import ingest
from triggerfish.adapters.sqlite.log import SqliteEventLog
from triggerfish.cli.replay.calls import calls_of
from triggerfish.cli.replay.mapping import load_mapping
from triggerfish.cli.replay.rows import Rows
from triggerfish.clock import SECOND, to_iso

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "demo"
FAR = 2**42
"""An instant of receipt after all of the data: no event's time is in the future."""
FIRST = 1_767_225_600_000
"""2026-01-01T00:00:00Z: when the made-up shop opens."""
PEOPLE = 10_000
PACE_SECONDS = 12.0
"""Mean seconds between two events of the made-up shop."""
ZIPF = 1.0

# How often each event comes, roughly as in the demo's data.
_EVENTS = {
    "Product Viewed": 40,
    "Product List Viewed": 20,
    "Products Searched": 10,
    "Product Added": 10,
    "Cart Viewed": 8,
    "Checkout Step Viewed": 5,
    "Payment Info Entered": 3,
    "Order Completed": 3,
    "Payment Failed": 1,
}


def shop() -> Iterator[bytes]:
    """The demo's half year as calls of the tracking API, in order of time, each as JSON."""
    mapping = load_mapping(DEMO / "ecom.mapping.yaml")
    with Rows(DEMO / "ecom.csv.gz", mapping) as rows:
        for call in calls_of(rows, mapping):
            yield call.json


def crowd(events: int) -> Iterator[bytes]:
    """Calls of PEOPLE people, the n-th of whom comes 1/n as often as the first (Zipf's law), each of them identified
    by their first call. The same calls at every run.
    """
    dice = Random(7)
    weights = list(accumulate(1 / rank**ZIPF for rank in range(1, PEOPLE + 1)))
    names, shares = list(_EVENTS), list(accumulate(_EVENTS.values()))
    known: set[int] = set()
    at = FIRST
    for number in range(events):
        at += round(dice.expovariate(1 / PACE_SECONDS) * SECOND)
        person = bisect(weights, dice.random() * weights[-1])
        call = {"userId": f"crowd-{person}", "messageId": f"crowd:{number}", "timestamp": to_iso(at)}
        if person not in known:
            known.add(person)
            yield json.dumps({**call, "type": "identify", "traits": {"email": f"crowd-{person}@example.com"}}).encode()
            continue
        name = names[bisect(shares, dice.random() * shares[-1])]
        properties = {"product_id": f"p-{dice.randrange(500)}", "category": "Shoes", "price": dice.randrange(5, 200)}
        if name == "Order Completed":
            properties["total"] = dice.randrange(10, 400)
        yield json.dumps({**call, "type": "track", "event": name, "properties": properties}).encode()


def fill(log: SqliteEventLog, calls: Iterable[bytes]) -> int:
    """Put these calls into a log through the front door's own decoding, received when they happened. How many."""
    calls = iter(calls)
    count = 0
    while some := list(islice(calls, 1_000)):
        body = b'{"batch":[' + b",".join(some) + b"]}"
        events = ingest.accept(body, "import", FAR, new_message_id=str)
        asyncio.run(log.append([(event, event.timestamp) for event in events]))
        count += len(events)
    return count
