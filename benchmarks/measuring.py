"""What a measurement gives, and how it is repeated, summed up and shown."""

from __future__ import annotations

import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from msgspec import Struct

P = ParamSpec("P")
T = TypeVar("T")


class Wrong(Exception):
    """What was measured did not do what it should: its time means nothing."""


class Figure(Struct, frozen=True):
    """One figure of one run. `floor` is that of something which does only what cannot be avoided, `peers` those of
    others that do the same work, all in the same run. `goal` is to be reached; with `is_bound`, not to be passed.
    """

    what: str
    unit: str
    value: float
    floor: float | None = None
    peers: dict[str, float] = {}
    goal: float | None = None
    is_bound: bool = False


class Summary(Struct, frozen=True, omit_defaults=True):
    """One figure over all runs: median, least and greatest, the medians of floor, peers and goal, and the median of
    the runs' ratios to the floor. `is_disturbed`: something else took the machine while it was measured.
    """

    what: str
    unit: str
    median: float
    least: float
    greatest: float
    floor: float | None = None
    ratio: float | None = None
    peers: dict[str, float] = {}
    goal: float | None = None
    is_bound: bool = False
    is_disturbed: bool = False

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        if self.goal is None:
            return None
        return self.median <= self.goal if self.is_bound else self.median >= self.goal


def sum_up(runs: Sequence[Sequence[Figure]], *, is_disturbed: bool = False) -> list[Summary]:
    """Each figure over the runs, which gave the same figures in the same order."""
    found = []
    for figures in zip(*runs, strict=True):
        first = figures[0]
        if any((figure.what, figure.unit) != (first.what, first.unit) for figure in figures):
            raise ValueError("two runs did not measure the same")
        values = [figure.value for figure in figures]
        ratios = [figure.value / figure.floor for figure in figures if figure.floor]
        found.append(
            Summary(
                what=first.what,
                unit=first.unit,
                median=statistics.median(values),
                least=min(values),
                greatest=max(values),
                floor=_median(figure.floor for figure in figures),
                ratio=statistics.median(ratios) if ratios else None,
                peers={name: statistics.median(figure.peers[name] for figure in figures) for name in first.peers},
                goal=_median(figure.goal for figure in figures),
                is_bound=first.is_bound,
                is_disturbed=is_disturbed,
            )
        )
    return found


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


_SPIN = """
import time
began, x = time.perf_counter(), 1
for _ in range(1_500_000):
    x = (x * 1_103_515_245 + 12_345) & 0x7FFFFFFF
print(time.perf_counter() - began)
"""


def spin() -> float:
    """Seconds that a fixed piece of work takes on every core at once, the slowest of them: how busy others keep the
    machine. It is the same before and after a measurement that nothing disturbed.
    """
    command = [sys.executable, "-S", "-c", _SPIN]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(os.cpu_count() or 1)]
    return max(float(process.communicate()[0]) for process in running)


def fresh_process(call: Callable[P, T], *values: P.args, **more: P.kwargs) -> T:
    """What `call` gives in a process of its own: nothing that ran before is in its memory, or in its way."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(call, *values, **more).result()


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), ""
    )
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return {
        "cpu": model or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 2**20, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "triggerfish": version("triggerfish"),
        "load_average": [round(each, 2) for each in os.getloadavg()],
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def number(value: float) -> str:
    """Three figures that say something; thousands in full."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(summaries: Sequence[Summary]) -> str:
    """The figures as a Markdown table, with such columns as are needed."""
    has_goals = any(each.goal is not None for each in summaries)
    has_peers = any(each.peers for each in summaries)
    head = ["what", "unit", "median", "least – greatest", *(["goal"] if has_goals else []), "floor", "of the floor"]
    head += ["others in the same run"] if has_peers else []
    lines = [f"| {' | '.join(head)} |", "| --- | --- | " + " | ".join(["--:"] * (len(head) - 2)) + " |"]
    for each in summaries:
        mark = " ~" if each.is_disturbed else ""
        cells = [each.what, each.unit, number(each.median) + mark, f"{number(each.least)} – {number(each.greatest)}"]
        if has_goals:
            cells.append(goal(each))
        cells += ["" if each.floor is None else number(each.floor), "" if each.ratio is None else f"{each.ratio:.0%}"]
        if has_peers:
            cells.append(", ".join(f"{name} {number(value)}" for name, value in each.peers.items()))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def goal(summary: Summary) -> str:
    """A goal, and whether it is met, for a table."""
    if summary.goal is None:
        return ""
    word = "at most" if summary.is_bound else "at least"
    return f"{word} {number(summary.goal)}: {'met' if summary.is_met else '**missed**'}"
