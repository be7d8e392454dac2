"""The worker's own loop, `walk.follow` (read, load, decide, commit), over a whole log: how long, by part, and with what
result.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from triggerfish import walk
from triggerfish.adapters.sqlite.log import SqliteEventLog
from triggerfish.adapters.sqlite.state import SqliteStateStore
from triggerfish.clock import EventClock
from triggerfish.rules import Rulebook

BATCH = 2_000
"""Events in a transaction, when so many wait, as the server takes them ([limits] batch_events)."""
PORTS = {"read": "read", "load": "load", "agenda": "load", "position": "load", "commit": "commit"}
"""What each call of a port is told as; all else is `decide`."""
PARTS = ("read", "load", "decide", "commit")


class Timed:
    """A port whose calls are timed, in this thread's processor time."""

    def __init__(self, port: Any, spent: dict[str, float]) -> None:
        self._port, self._spent = port, spent

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call, what, spent = getattr(self._port, name), PORTS.get(name), self._spent
        if what is None:
            return call

        def timed(*values: Any) -> Any:
            began = time.thread_time()
            try:
                return call(*values)
            finally:
                spent[what] = spent.get(what, 0.0) + time.thread_time() - began

        self.__dict__[name] = timed
        return timed


class Followed(NamedTuple):
    """A run: its events, seconds by the clock and of processor time, the latter also by part, profiles that the agenda
    woke, and what came of it: rows of each table (and of the timelines by kind), members by segment, messages let go by
    rule, and a digest of all that was decided but the rows' numbers.
    """

    events: int
    seconds: float
    cpu: float
    spent: dict[str, float]
    woken: int
    rows: dict[str, int]
    segments: dict[str, int]
    sends: dict[str, int]
    digest: str


def follow(log_path: Path, state_path: Path, rulebook: Rulebook, *, profile_out: Path | None = None) -> Followed:
    """Follow the whole log from a state that stands at its beginning."""
    spent: dict[str, float] = {}
    before = _rows(state_path)
    with (
        contextlib.closing(SqliteEventLog(log_path)) as log,
        contextlib.closing(SqliteStateStore(state_path)) as store,
    ):
        events = log.head()[0]
        house: Any = walk.House(
            log=Timed(log, spent), store=Timed(store, spent), clock=EventClock(2**62, lambda: log.head()[1]),
            rulebook=rulebook, templates={}, channel=None, links=None, dice=None, batch_events=BATCH,
        )  # type: ignore[arg-type]  # fmt: skip
        # As the worker has it (processes/worker.py).
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        taken = 0
        with _watched(profile_out):
            began, cpu_before = time.perf_counter(), time.process_time()
            while done := walk.follow(house):
                taken += done
            seconds, cpu = time.perf_counter() - began, time.process_time() - cpu_before
    spent["decide"] = cpu - sum(spent.values())
    rows = {name: count - before.get(name, 0) for name, count in _rows(state_path).items()}
    return Followed(events, seconds, cpu, spent, taken - events, rows, *outcome(state_path))


@contextlib.contextmanager
def _watched(profile_out: Path | None) -> Iterator[None]:
    """Let py-spy write its samples of this process (raw stacks) to a file meanwhile."""
    if profile_out is None:
        yield
        return
    spy = Path(sys.executable).with_name("py-spy")
    command = [spy, "record", "--pid", str(_this_process()), "-f", "raw", "-r", "250", "-o", profile_out]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as watcher:
        time.sleep(1)
        try:
            yield
        finally:
            watcher.send_signal(2)


def _this_process() -> int:
    return int(Path("/proc/self").readlink().name)


def _rows(state: Path) -> dict[str, int]:
    """How many rows each table of a state has, and the timelines of each kind."""
    with contextlib.closing(sqlite3.connect(state)) as db:
        tables = ("profiles", "memberships", "sends", "moments")
        rows = {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}
        return rows | dict(db.execute("SELECT 'moments: ' || kind, count(*) FROM moments GROUP BY 1 ORDER BY 1"))


def outcome(state: Path) -> tuple[dict[str, int], dict[str, int], str]:
    """Members by segment, messages let go by rule, and a digest of all that was decided but the rows' numbers."""
    with contextlib.closing(sqlite3.connect(state)) as db:
        segments = dict(db.execute("SELECT segment, count(*) FROM memberships GROUP BY 1 ORDER BY 1"))
        sends = dict(
            db.execute("SELECT ruleset || '/' || rule, count(*) FROM sends WHERE status = 'due' GROUP BY 1 ORDER BY 1")
        )
        digest = hashlib.blake2b(digest_size=8)
        for query in (
            "SELECT profile, at, kind, position, body FROM moments ORDER BY profile, id",
            "SELECT segment, profile, since FROM memberships ORDER BY 1, 2",
            "SELECT id, profile, status, reason, due_at FROM sends ORDER BY 1",
        ):
            for row in db.execute(query):
                digest.update(repr(row).encode())
    return segments, sends, digest.hexdigest()
