"""The reference workload: a large shop's rulebook, people who are known already, and a stream of their events.

    python -m benchmarks.reference [--rules 200] [--segments 50] [--profiles 100000] [--events 50000]
        [--engine durable|compiled] [--profile-out FILE]

200 rules in 10 rule sets, 50 segments three deep, 20 activity functions, 100,000 profiles of about 1 KB, a Zipf stream:
`walk.follow` goes over it in one process. Prints events a second, by processor time and by the clock, the shares of the
parts, what came of it, and a digest of all that was decided. The same parameters give the same digest at every run and
with both rule engines. --profile-out lets py-spy sample it meanwhile.

The log and the state are made once and kept in the temporary folder, by a digest of the parameters and of the code that
makes them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import shutil
import sqlite3
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Literal

from msgspec import Struct

from benchmarks import reference_people, reference_rules
from benchmarks.following import PARTS, Followed, follow
from benchmarks.measuring import fresh_process
from benchmarks.streams import ROOT
from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.adapters.sqlite.log import SqliteEventLog
from triggerfish.adapters.sqlite.migrate import migrate
from triggerfish.clock import Instant
from triggerfish.compose import matcher_of
from triggerfish.rulefile.compile import load_rulebook
from triggerfish.rules import Rulebook

START = 1_795_348_800_000
"""2026-11-22T12:00:00Z: when the stream begins."""
SHELF = Path(tempfile.gettempdir()) / "triggerfish-reference"
"""Where logs and states are kept between runs."""
_MAKERS = (
    "benchmarks/reference_people.py", "benchmarks/reference_rules.py", "migrations/log.py", "migrations/state.py",
    "server/triggerfish/ingest.py", "server/triggerfish/profile.py", "server/triggerfish/activity.py",
    "server/triggerfish/traces.py", "server/triggerfish/segments.py", "server/triggerfish/adapters/sqlite/log.py",
    "server/triggerfish/adapters/sqlite/state.py",
)  # fmt: skip


class Size(Struct, frozen=True):
    """How large a workload is; each of them alone makes a curve."""

    rules: int = 200
    segments: int = 50
    profiles: int = 100_000
    events: int = 50_000


class Facts(Struct):
    """What the rulebook asks of a template."""

    class_: Literal["marketing", "transactional"] = "marketing"
    purpose: str = "marketing"
    variables: frozenset[str] = frozenset()


def rulebook_of(size: Size, engine: str = "compiled") -> Rulebook:
    """The reference rulebook, on one of the two rule engines."""
    files = reference_rules.rule_files(size.rules, size.segments)
    templates = dict.fromkeys(reference_rules.TEMPLATES, Facts())
    matcher = CompiledMatcher if engine == "compiled" else matcher_of(engine)
    return load_rulebook(files, templates=templates, matcher=matcher, channel="outbox")[0]


def log_of(size: Size, shelf: Path = SHELF) -> Path:
    """A log with the stream; made if it is not on the shelf."""
    path = shelf / f"log-{_key(size.events, size.profiles)}.sqlite3"
    _tidy(shelf)
    if not path.exists():
        fresh = _fresh(path)
        migrate(fresh, ROOT / "migrations" / "log.py")
        events = reference_people.stream(size.events, size.profiles, START)
        with contextlib.closing(SqliteEventLog(fresh)) as log:
            while some := [(event, event.timestamp) for event in islice(events, 1_000)]:
                asyncio.run(log.append(some))
        _put(fresh, path)
    return path


def state_of(size: Size, shelf: Path = SHELF, start: Instant = START) -> Path:
    """A state with the people; made if it is not on the shelf. To be copied, not changed."""
    path = shelf / f"state-{_key(size.segments, size.profiles, start)}.sqlite3"
    if not path.exists():
        fresh = _fresh(path)
        migrate(fresh, ROOT / "migrations" / "state.py")
        fresh_process(_populate, fresh, size, start)
        _put(fresh, path)
    return path


def _populate(path: Path, size: Size, start: Instant) -> None:
    reference_people.populate(path, rulebook_of(Size(segments=size.segments)), size.profiles, start)


def _key(*values: int) -> str:
    digest = hashlib.blake2b(repr(values).encode(), digest_size=8)
    for name in _MAKERS:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def _tidy(shelf: Path) -> None:
    """Let go of what has not been used for a day."""
    for old in shelf.glob("*-*.sqlite3"):
        if time.time() - old.stat().st_atime > 86_400:
            old.unlink()


def _fresh(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="making-", dir=path.parent)) / path.name


def _put(fresh: Path, path: Path) -> None:
    """Put a finished file into its place, at once."""
    with contextlib.closing(sqlite3.connect(fresh)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    fresh.replace(path)
    shutil.rmtree(fresh.parent)


def run(size: Size, engine: str, folder: Path, *, shelf: Path = SHELF, profile_out: Path | None = None) -> Followed:
    """Follow the stream, in a process of its own, from a copy of the state in `folder`."""
    log = log_of(size, shelf)
    state = folder / f"reference-{engine}.sqlite3"
    for old in folder.glob(f"{state.name}*"):
        old.unlink()
    shutil.copyfile(state_of(size, shelf), state)
    return fresh_process(_run, log, state, size, engine, profile_out)


def _run(log: Path, state: Path, size: Size, engine: str, profile_out: Path | None) -> Followed:
    rulebook = rulebook_of(size, engine)
    with contextlib.closing(sqlite3.connect(state)) as db, db:
        # Rules ask for no more of people than the state has; so nobody is to be looked at again.
        db.execute("DELETE FROM fitted")
        db.executemany("INSERT INTO fitted VALUES (?, ?)", sorted(rulebook.fitting))
    return follow(log, state, rulebook, profile_out=profile_out)


def told(found: Followed) -> str:
    """A run for people to read."""
    events, rows = found.events, found.rows
    shares = ", ".join(f"{part} {100 * found.spent.get(part, 0) / found.cpu:.1f} %" for part in PARTS)
    micros = ", ".join(f"{part} {1e6 * found.spent.get(part, 0) / events:.1f}" for part in PARTS)
    an_event = {
        "woken by the agenda": found.woken,
        "segments entered and left": rows.get("moments: segment", 0),
        "decisions": rows.get("moments: decision", 0),
        "messages announced": rows["sends"],
        "messages let go": sum(found.sends.values()),
        "lines of timelines": rows["moments"],
    }
    lines = [
        f"{events / found.cpu:,.0f} events/s of processor time, {events / found.seconds:,.0f} by the clock",
        f"{1e6 * found.cpu / events:.1f} µs of processor time an event: {micros}; {shares}",
        "an event: " + ", ".join(f"{count / events:.3f} {what}" for what, count in an_event.items()),
        f"digest {found.digest}",
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual = Size()
    parser.add_argument("--rules", type=int, default=usual.rules)
    parser.add_argument("--segments", type=int, default=usual.segments, help="a multiple of 10, from 50 on")
    parser.add_argument("--profiles", type=int, default=usual.profiles)
    parser.add_argument("--events", type=int, default=usual.events)
    parser.add_argument("--engine", choices=("durable", "compiled"), action="append", help="given twice: both")
    parser.add_argument("--profile-out", type=Path, help="py-spy's samples, as raw stacks")
    given = parser.parse_args()
    size = Size(given.rules, given.segments, given.profiles, given.events)
    with tempfile.TemporaryDirectory(prefix="triggerfish-bench-") as folder:
        for engine in given.engine or ["durable"]:
            print(f"{size}, {engine} rules", flush=True)
            print(told(run(size, engine, Path(folder), profile_out=given.profile_out)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
