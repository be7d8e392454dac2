"""What a measurement gives, and how it is repeated, summed up and shown."""

from __future__ import annotations

import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
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
    """One figure of one run. `floor` is that of something which does only what cannot be avoided, in the same run."""

    what: str
    unit: str
    value: float
    floor: float | None = None


class Summary(Struct, frozen=True):
    """One figure over all runs: median, least and greatest, the floor's median, and the median of the runs' ratios."""

    what: str
    unit: str
    median: float
    least: float
    greatest: float
    floor: float | None = None
    ratio: float | None = None


def sum_up(runs: Sequence[Sequence[Figure]]) -> list[Summary]:
    """Each figure over the runs, which gave the same figures in the same order."""
    found = []
    for figures in zip(*runs, strict=True):
        first = figures[0]
        if any((figure.what, figure.unit) != (first.what, first.unit) for figure in figures):
            raise ValueError("two runs did not measure the same")
        values = [figure.value for figure in figures]
        floors = [figure.floor for figure in figures if figure.floor is not None]
        ratios = [figure.value / figure.floor for figure in figures if figure.floor]
        found.append(
            Summary(
                what=first.what,
                unit=first.unit,
                median=statistics.median(values),
                least=min(values),
                greatest=max(values),
                floor=statistics.median(floors) if floors else None,
                ratio=statistics.median(ratios) if ratios else None,
            )
        )
    return found


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
    """The figures as a Markdown table."""
    lines = [
        "| what | unit | median | least – greatest | floor | of the floor |",
        "| --- | --- | --: | --: | --: | --: |",
    ]
    for each in summaries:
        floor = "" if each.floor is None else number(each.floor)
        ratio = "" if each.ratio is None else f"{each.ratio:.0%}"
        spread = f"{number(each.least)} – {number(each.greatest)}"
        lines.append(f"| {each.what} | {each.unit} | {number(each.median)} | {spread} | {floor} | {ratio} |")
    return "\n".join(lines)
