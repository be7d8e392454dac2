"""The log by itself: events a second that are encoded and on disk (synchronous=FULL), 100 in an append, beside raw
sqlite3 that writes the same rows, and beside the same with a unique index on message ids, which the log does without.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks.measuring import Figure, Wrong
from benchmarks.reference import START
from benchmarks.reference_people import stream
from benchmarks.streams import ROOT
from triggerfish.adapters.sqlite.log import SqliteEventLog
from triggerfish.adapters.sqlite.migrate import migrate
from triggerfish.ingest import Event

BATCH = 100
AT_ONCE = 8
"""Appends that wait at the same time, as behind so many connections."""


class Took(NamedTuple):
    """Seconds by the clock, and of processor time."""

    clock: float
    cpu: float


def measure(quick: bool, folder: Path) -> list[Figure]:
    events = list(stream(10_000 if quick else 50_000, 10_000, START))
    groups = [events[start : start + BATCH] for start in range(0, len(events), BATCH)]
    ours = append(folder / "log.sqlite3", groups)
    raw = write(folder / "raw.sqlite3", groups, "")
    unique = write(folder / "unique.sqlite3", groups, "CREATE UNIQUE INDEX ids ON events (event ->> '$.message_id')")
    count = len(events)
    return [
        Figure("append to the log, in hundreds", "events/s", count / ours.clock, count / raw.clock,
               peers={"raw with a unique index": count / unique.clock}),
        Figure("  processor time", "µs an event", 1e6 * ours.cpu / count, 1e6 * raw.cpu / count,
               peers={"raw with a unique index": 1e6 * unique.cpu / count}),
    ]  # fmt: skip


def append(path: Path, groups: Sequence[Sequence[Event]]) -> Took:
    migrate(path, ROOT / "migrations" / "log.py")
    waiting = iter(groups)

    async def sender(log: SqliteEventLog) -> None:
        for group in waiting:
            await log.append([(event, event.timestamp) for event in group])

    async def all_of_them(log: SqliteEventLog) -> None:
        await asyncio.gather(*(sender(log) for _ in range(AT_ONCE)))

    with contextlib.closing(SqliteEventLog(path)) as log:
        began, cpu = time.perf_counter(), time.process_time()
        asyncio.run(all_of_them(log))
        took = Took(time.perf_counter() - began, time.process_time() - cpu)
        if log.head()[0] != sum(map(len, groups)):
            raise Wrong(f"{sum(map(len, groups))} events were appended, {log.head()[0]} are in the log")
    return took


def write(path: Path, groups: Sequence[Sequence[Event]], index: str) -> Took:
    """The floor: a transaction of as many groups as would wait at once."""
    encode = msgspec.json.Encoder().encode
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE events (position INTEGER PRIMARY KEY AUTOINCREMENT, received_at INTEGER, event TEXT)")
        if index:
            db.execute(index)
        began, cpu = time.perf_counter(), time.process_time()
        for start in range(0, len(groups), AT_ONCE):
            some = [event for group in groups[start : start + AT_ONCE] for event in group]
            db.execute("BEGIN IMMEDIATE")
            db.executemany(
                "INSERT INTO events (received_at, event) VALUES (?, ?)",
                [(event.timestamp, encode(event).decode()) for event in some],
            )
            db.execute("COMMIT")
        return Took(time.perf_counter() - began, time.process_time() - cpu)
