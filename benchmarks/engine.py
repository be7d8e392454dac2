"""Events a second through the worker's own loop (`walk.follow`: read, load, decide, commit) with the starter rulebook.

The floor follows the same log and writes one row an event, 500 in a transaction, and decides nothing.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import following
from benchmarks.following import BATCH, PARTS, Followed
from benchmarks.measuring import Figure, Wrong, fresh_process
from benchmarks.streams import DEMO, ROOT, crowd, fill, shop
from triggerfish.adapters.sqlite.log import SqliteEventLog
from triggerfish.adapters.sqlite.migrate import migrate
from triggerfish.adapters.templates import load_templates
from triggerfish.compose import matcher_of
from triggerfish.rulefile.compile import load_rulebook
from triggerfish.rulefile.folder import read_folder
from triggerfish.rules import Rulebook

COMPANY = {"name": "The Demo Shop", "address": "1 Reef Street", "sender": "Demo <hello@shop.example>"}


def starter(engine: str) -> Rulebook:
    files, _ = read_folder(ROOT / "rules")
    templates = load_templates(ROOT / "templates", COMPANY)
    return load_rulebook(files, templates=templates, matcher=matcher_of(engine), channel="outbox")[0]


def follow(log_path: Path, engine: str, folder: Path) -> Followed:
    """Follow the whole log with a fresh state in `folder`."""
    state = folder / f"{engine}.sqlite"
    for old in folder.glob(f"{state.name}*"):
        old.unlink()
    migrate(state, ROOT / "migrations" / "state.py")
    return following.follow(log_path, state, starter(engine))


def bare(log_path: Path, folder: Path) -> float:
    """The floor: seconds to read the log and write a row an event."""
    state = folder / "bare.sqlite"
    state.unlink(missing_ok=True)
    with (
        contextlib.closing(SqliteEventLog(log_path)) as log,
        contextlib.closing(sqlite3.connect(state, isolation_level=None)) as db,
    ):
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("CREATE TABLE seen (position INTEGER PRIMARY KEY, at INTEGER, name TEXT)")
        position = 0
        began = time.perf_counter()
        while entries := log.read(position, BATCH):
            position = entries[-1].position
            rows = [(entry.position, entry.received_at, entry.event.name) for entry in entries]
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT INTO seen VALUES (?, ?, ?)", rows)
            db.execute("COMMIT")
        return time.perf_counter() - began


def make_log(path: Path, calls: Iterator[bytes]) -> int:
    migrate(path, ROOT / "migrations" / "log.py")
    with contextlib.closing(SqliteEventLog(path)) as log:
        return fill(log, calls)


def expected_of_the_shop() -> dict[str, dict[str, int]]:
    """What demo/check_ecom.py works out from the raw file, which shares no code with the server."""
    sys.path.insert(0, str(DEMO))
    try:
        import check_ecom
        import figures
    finally:
        sys.path.remove(str(DEMO))
    return json.loads(json.dumps(figures.figures(check_ecom.people())))


def measure(quick: bool, folder: Path) -> list[Figure]:
    streams = {
        "the demo's shop, 400 people": shop,
        "a crowd of 10,000 people, Zipf": lambda: crowd(10_000 if quick else 40_000),
    }
    found: list[Figure] = []
    for place, (label, calls) in enumerate(streams.items()):
        log_path = folder / f"log{place}.sqlite"
        events = make_log(log_path, calls())
        floor = events / fresh_process(bare, log_path, folder)
        runs = {engine: fresh_process(follow, log_path, engine, folder) for engine in ("durable", "compiled")}
        if runs["durable"].digest != runs["compiled"].digest:
            raise Wrong(f"{label}: durable_rules and the compiled rules came to different ends")
        if place == 0:
            expected = expected_of_the_shop()
            for name in ("segments", "sends"):
                have = getattr(runs["durable"], name)
                if have != {key: count for key, count in expected[name].items() if count}:
                    raise Wrong(f"{label}: {name} are {have}, expected {expected[name]}")
        for engine, run in runs.items():
            found.append(Figure(f"{label}: {engine} rules", "events/s", events / run.seconds, floor))
            found += [Figure(f"  of it {part}", "%", 100 * run.spent[part] / run.cpu) for part in PARTS]
        found.append(Figure("  profiles woken by the agenda, an event", "", runs["durable"].woken / events))
    return found
