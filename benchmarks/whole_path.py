"""The whole path: HTTP, the log, the worker, the store, as two real processes, with the reference workload.

Events are offered at a set rate, singly and in batches of 100, and the worker's lag is looked at each second. It is the
highest rate at which the lag stays flat that counts; the goals' own rates are offered for ten minutes (quick: 12 s), or
until it is plain that they are too much. Events that were answered must all be in the log, and all be decided.
"""

from __future__ import annotations

import shutil
import sqlite3
import statistics
import time
from contextlib import closing
from pathlib import Path

from benchmarks.measuring import Figure, Wrong
from benchmarks.offering import Load, Offered, load_on, rss_of
from benchmarks.reference import Size, rulebook_of, state_of
from benchmarks.reference_rules import rule_files
from benchmarks.streams import ROOT
from benchmarks.workspaces import Server, serving
from triggerfish.clock import HOUR, WallClock

GOALS = {1: 5_000, 100: 10_000}
"""Events a second by the events in a request."""
LONG_SECONDS, SHORT_SECONDS, QUICK_SECONDS = 600.0, 20.0, 12.0
MEGABYTES = 400
TRIES = 6


def workspace_of(size: Size, engine: str, folder: Path) -> Path:
    """A workspace with the reference rulebook and people who are known already, as of this hour."""
    workspace = folder / f"workspace-{engine}"
    for name, text in rule_files(size.rules, size.segments).items():
        path = workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    shutil.copytree(ROOT / "templates", workspace / "templates")
    settings = (ROOT / "triggerfish.toml").read_text().replace('engine = "durable"', f'engine = "{engine}"')
    (workspace / "triggerfish.toml").write_text(settings + "\n[plugins.outbox]\nkeep = 200\n")
    (workspace / "data").mkdir()
    now = WallClock().now()
    state = workspace / "data" / "state.sqlite3"
    shutil.copyfile(state_of(Size(profiles=size.profiles), start=now - now % HOUR), state)
    with closing(sqlite3.connect(state)) as db, db:
        db.execute("DELETE FROM fitted")
        fitting = sorted(rulebook_of(size).fitting)
        db.executemany("INSERT INTO fitted VALUES (?, ?)", fitting)
    return workspace


def settle(load: Load) -> None:
    """Let it warm up, and let what time has changed since the hour be decided."""
    load.offer(200, 3)
    load.drain()


def highest(load: Load, goal: float, batch: int, *, long: float, short: float) -> tuple[Offered, Offered]:
    """The goal's rate offered for long, and the highest rate that was found to leave the lag flat."""
    at_goal = load.offer(goal, long, batch=batch)
    found, rate = (at_goal, goal) if at_goal.is_flat else (None, min(goal, 0.95 * at_goal.decided))
    for _ in range(TRIES):
        load.drain()
        if found is not None:
            rate *= 1.25
        offered = load.offer(rate, short, batch=batch)
        if offered.is_flat:
            found = offered
        elif found is not None:
            break
        else:
            rate *= 0.8
    if found is None:
        raise Wrong(f"not even at {rate:,.0f} events/s the lag stays flat")
    return at_goal, found


def check(load: Load, server: Server) -> None:
    """All that was sent is in the log, and is decided."""
    load.drain()
    if load.head() < load.number:
        raise Wrong(f"{load.number} events were sent, {load.head()} are in the log")
    with closing(sqlite3.connect(f"file:{server.workspace / 'data' / 'state.sqlite3'}?mode=ro", uri=True)) as db:
        if db.execute("SELECT count(*) FROM dead_letters").fetchone()[0]:
            raise Wrong("there are dead letters")
        if not db.execute("SELECT count(*) FROM sends").fetchone()[0]:
            raise Wrong("no rule announced a message")


def measure(quick: bool, folder: Path, *, long_seconds: float = LONG_SECONDS) -> list[Figure]:
    long, short = (QUICK_SECONDS, 8.0) if quick else (long_seconds, SHORT_SECONDS)
    size = Size(profiles=10_000 if quick else 100_000)
    found = []
    with serving(workspace_of(size, "compiled", folder)) as server, load_on(server, size.profiles) as load:
        settle(load)
        for batch, goal in GOALS.items():
            at_goal, best = highest(load, goal, batch, long=long, short=short)
            found += told(at_goal, best, batch, goal)
            load.drain()
        check(load, server)
    return found


def told(at_goal: Offered, best: Offered, batch: int, goal: float) -> list[Figure]:
    how = "singly" if batch == 1 else f"in batches of {batch}"
    seconds = len(at_goal.lags)
    took = statistics.quantiles(best.took, n=100)[98]
    events = best.answered * len(best.lags)
    figures = [Figure(f"{how}: the highest rate with flat lag", "events/s", best.rate, goal=goal)]
    figures.append(Figure(f"  at {goal:,}/s: the longest lag in {seconds} s", "s", at_goal.lag_seconds))
    figures.append(Figure("  at the highest rate: answers, 99 in 100 within", "ms", 1_000 * took))
    figures += [
        Figure(f"  {what}: processor time", "µs an event", 1e6 * spent / max(1.0, events))
        for what, spent in best.cpu.items()
    ]
    return figures


def measure_people(quick: bool, folder: Path) -> list[Figure]:
    """A million people and 10,000 rules: seconds until it is ready, memory under load, and events a second."""
    size = Size(rules=10_000, segments=1_000, profiles=100_000 if quick else 1_000_000)
    workspace = workspace_of(size, "compiled", folder)
    with serving(workspace):
        pass  # the log is made, everything is checked once
    began = time.perf_counter()
    with serving(workspace) as server:
        ready = time.perf_counter() - began
        with load_on(server, size.profiles) as load:
            settle(load)
            offered = load.offer(1_000, 8 if quick else 30, batch=100)
            memory = {what: max(offered.memory[what], rss_of(server.child(what))) for what in offered.memory}
            check(load, server)
    figures = [Figure(f"start to ready: 10,000 rules, {size.profiles:,} people", "s", ready, goal=5, is_bound=True)]
    figures += [
        Figure(f"{what}, at most, with them: RSS", "MB", megabytes, goal=MEGABYTES, is_bound=True)
        for what, megabytes in memory.items()
    ]
    return figures
