"""Random histories for tests of backtests: people who share names and merge, look around and buy, over some days."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from triggerfish.adapters.sqlite.log import SqliteEventLog
from triggerfish.clock import HOUR, MINUTE, Instant
from triggerfish.compose import prepare
from triggerfish.config import load_settings
from triggerfish.ingest import Event
from triggerfish.log import Entry
from worlds import NOON, alias, identify, track

RULES = """
    policy:
      time_zone: Europe/Berlin
      quiet_hours: {start: "21:00", end: "08:00"}
      caps: [{sends: 2, within: 1 day}]
    segments:
      - name: buyers
        when: count(Order) >= 1
        segments: [{name: loyal, priority: 5, when: 'count(Order, "5d") >= 2'}]
      - {name: idle, when: days_since(View) >= 1}
    ruleset: shop
    rules:
      - {name: cart, on: Cart, wait: 1 hour, unless: Order, then: [{send: hello}]}
      - {name: thanks, on: Order, cooldown: 2 hours, then: [{send: receipt}, {set: {bought: yes}}]}
      - {name: idle, on: segment.entered, when: event.segment == "idle", then: [{send: offer}]}
      - {name: again, on: View, when: 'count(View, "1d") > 2', then: [{send: offer}]}
"""
_USERS = st.sampled_from(["ana", "bo", "cy", "di"])
_ANONS = st.sampled_from(["a1", "a2", "a3", "a4"])


@st.composite
def _event(draw: Any, at: int) -> Event:
    who = draw(st.sampled_from(["user", "anon", "both"]))
    user = draw(_USERS) if who != "anon" else None
    anon = draw(_ANONS) if who != "user" else None
    match draw(st.sampled_from(["View", "View", "Cart", "Order", "identify", "alias"])):
        case "identify":
            email = draw(st.sampled_from(["ana", "bo", "both"])) + "@example.com"
            return identify(at, user=user, anon=anon, email=email)
        case "alias":
            return alias(at, user or "ana", draw(_USERS | _ANONS))
        case name:
            return track(name, at, user=user, anon=anon, properties={"total": draw(st.integers(1, 99))})


@st.composite
def histories(draw: Any, most: int = 40) -> list[Entry]:
    """What a log holds: entries in order, some of them at one instant, the first at NOON."""
    at, entries = NOON, []
    for position in range(1, draw(st.integers(1, most)) + 1):
        at += draw(st.sampled_from([0, MINUTE, 20 * MINUTE, HOUR, 7 * HOUR, 26 * HOUR]))
        entries.append(Entry(position, at, draw(_event(at))))
    return entries


def store(workspace: Path, events: Sequence[tuple[Event, Instant]]) -> None:
    """Put events, each with its instant of receipt, into the workspace's log."""
    given = load_settings(workspace, {})
    prepare(given)
    with contextlib.closing(SqliteEventLog(given.log_path)) as log:
        asyncio.run(log.append([(event, at) for event, at in events]))
