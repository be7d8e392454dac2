"""A million people who wait and as many messages in line, beside ten thousand: agenda.py's figures by how many there
are, with their goals, and as a curve.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.agenda import play
from benchmarks.measuring import Figure, fresh_process

MICROSECONDS = 100
COUNTS = (1_000, 10_000, 100_000, 1_000_000)
QUICK_COUNTS = (1_000, 20_000)


def measure(quick: bool, folder: Path) -> list[Figure]:
    counts = QUICK_COUNTS if quick else COUNTS
    runs = {}
    for count in counts:
        path = folder / f"pending-{count}.sqlite3"
        runs[count] = fresh_process(play, path, count)
        for file in folder.glob(f"{path.name}*"):
            file.unlink()
    most, few = counts[-1], counts[1] if len(counts) > 2 else counts[0]
    found = []
    for what, (value, unit) in runs[most].items():
        goal = MICROSECONDS if unit == "µs of CPU" else None
        label = f"{what}, {most:,} pending; the floor has {few:,}"
        found.append(Figure(label, unit, value, runs[few][what][0], goal=goal, is_bound=True))
    for count, run in runs.items():
        found += [
            Figure(f"{count:,} pending, {what}", unit, value) for what, (value, unit) in run.items() if unit != "MB"
        ]
    return found
