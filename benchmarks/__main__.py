"""Measure: `python -m benchmarks [--quick] [--only NAME] [--json FILE]` from the repository's root.

Each measurement is repeated three times, next to its floor in the same run; a figure is believed only when what was
measured did the right thing. Prints one table and writes benchmarks/last.json. Exits with 1 when a result is wrong.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import msgspec

from benchmarks import (
    agenda,
    backtest,
    checks,
    composing,
    engine,
    front_door,
    latency,
    matchers,
    memory,
    reloading,
    sending,
)
from benchmarks.measuring import Summary, Wrong, machine, sum_up, table

MEASUREMENTS = {
    "front-door": front_door.measure,
    "engine": engine.measure,
    "matchers": matchers.measure,
    "latency": latency.measure,
    "memory": memory.measure,
    "composing": composing.measure,
    "sending": sending.measure,
    "checks": checks.measure,
    "agenda": agenda.measure,
    "reloading": reloading.measure,
    "backtest": backtest.measure,
}
REPEATS = 3
LAST = Path(__file__).parent / "last.json"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="shorter, and once instead of three times")
    parser.add_argument("--only", choices=MEASUREMENTS, action="append", help="this one; may be given again")
    parser.add_argument("--json", type=Path, help=f"where the figures go  [default: {LAST.name}, unless --quick]")
    parser.add_argument("--folder", type=Path, help="a folder on the disk to measure; the temporary one's unless given")
    given = parser.parse_args()
    about = machine()
    print(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in about.items()), flush=True)
    found: dict[str, list[Summary]] = {}
    for name in given.only or MEASUREMENTS:
        runs = []
        for repeat in range(1 if given.quick else REPEATS):
            print(f"{name}, run {repeat + 1} …", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory(prefix="triggerfish-bench-", dir=given.folder) as folder:
                try:
                    runs.append(MEASUREMENTS[name](given.quick, Path(folder)))
                except Wrong as wrong:
                    print(f"{name}: {wrong}", file=sys.stderr)
                    return 1
        found[name] = sum_up(runs)
        print(f"\n**{name}**\n\n{table(found[name])}", flush=True)
    file = given.json or (None if given.quick or given.only else LAST)
    if file is not None:
        told = {"machine": about, "repeats": 1 if given.quick else REPEATS, "figures": found}
        file.write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=1) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
