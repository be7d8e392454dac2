"""From the start of the process to the first 200 of /readyz, with 10,000 rules and 1,000 segments, by the clock: when
nothing is known of them, when they are as they were at the last start, and when one file was edited since.

Beside it the processor time of all processes, until they have ended again: what else runs on the machine changes that
less. There is no floor: nothing else does the same.
"""

from __future__ import annotations

import resource
import time
from pathlib import Path

import httpx

from benchmarks.measuring import Figure, Wrong
from benchmarks.reference import Size
from benchmarks.whole_path import workspace_of
from benchmarks.workspaces import serving

GOAL = 5
PATIENCE = 300.0


def measure(quick: bool, folder: Path) -> list[Figure]:
    size = Size(rules=1_000 if quick else 10_000, segments=100 if quick else 1_000, profiles=10_000)
    workspace = workspace_of(size, "durable", folder)
    first, of_first = start(workspace)
    again, of_again = start(workspace)
    edited = workspace / "rules" / "set-001.yaml"
    text = edited.read_text()
    if "cooldown: 3 days" not in text:
        raise Wrong(f"{edited} does not hold what is to be edited")
    edited.write_text(text.replace("cooldown: 3 days", "cooldown: 4 days", 1))
    after, of_after = start(workspace)
    what = f"start to ready: {size.rules:,} rules, {size.segments:,} segments, {size.profiles:,} people"
    return [
        Figure(what, "s", again, goal=GOAL, is_bound=True),
        Figure("  processor time of all processes", "s", of_again),
        Figure("the same after one of the files was edited", "s", after),
        Figure("  processor time of all processes", "s", of_after),
        Figure("the same for the very first time", "s", first),
        Figure("  processor time of all processes", "s", of_first),
    ]


def start(workspace: Path) -> tuple[float, float]:
    """Seconds until it is ready, and of processor time until it has ended."""
    before = _spent()
    began = time.perf_counter()
    with serving(workspace) as server, httpx.Client(base_url=server.url, timeout=30) as http:
        while http.get("/readyz").status_code != httpx.codes.OK:
            if time.perf_counter() - began > PATIENCE:
                raise Wrong(f"the server was not ready within {PATIENCE:g} s")
            time.sleep(0.02)
        seconds = time.perf_counter() - began
    return seconds, _spent() - before


def _spent() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime
