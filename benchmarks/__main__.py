"""Measure: `python -m benchmarks [--quick] [--goals] [--only NAME] [--json FILE]` from the repository's root.

Every row of the goals is measured beside its floor and its peers, in the same run; a figure is believed only when what
was measured did the right thing. Prints a table of each and writes benchmarks/last.json, which `python -m
benchmarks.page` puts into the documents. A fixed piece of work is timed before and after each measurement: where it
took much longer than at its best, something else had the machine, and the figures bear a mark (~). Exits with 1 when a
result is wrong; what else there is, is measured all the same.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from benchmarks import (
    backtest,
    checks,
    composing,
    dispatching,
    engine,
    front_door,
    latency,
    matchers,
    memory,
    pending,
    reference_goals,
    reloading,
    rendering,
    rule_engines,
    sending,
    starting,
    storing,
    whole_path,
)
from benchmarks.measuring import Figure, Summary, Wrong, machine, spin, sum_up, table

LAST = Path(__file__).parent / "last.json"
DISTURBED = 1.35
"""The fixed work took so many times as long as at its best in this run."""


class Measurement(NamedTuple):
    """How often it is repeated, whether it is of the goals, and whether it is part of the quick run."""

    measure: Callable[[bool, Path], list[Figure]]
    repeats: int = 3
    is_goal: bool = True
    is_quick: bool = True


def measurements(minutes: float) -> dict[str, Measurement]:
    """By name, in order: first the rows of the goals, then what else there is."""
    return {
        "front-door": Measurement(front_door.measure),
        "storing": Measurement(storing.measure),
        "reference": Measurement(reference_goals.measure),
        "rule-engines": Measurement(rule_engines.measure, 1),
        "many": Measurement(reference_goals.measure_many, 1),
        "whole-path": Measurement(partial(whole_path.measure, long_seconds=60 * minutes), 1),
        "latency": Measurement(latency.measure, 2),
        "people": Measurement(whole_path.measure_people, 1),
        "starting": Measurement(starting.measure, 2),
        "pending": Measurement(pending.measure, 1),
        "dispatching": Measurement(dispatching.measure, 1),
        "sending": Measurement(sending.measure),
        "rendering": Measurement(rendering.measure),
        "curves": Measurement(reference_goals.measure_curves, 1, is_quick=False),
        "checks": Measurement(checks.measure, 1, is_goal=False),
        "engine": Measurement(engine.measure, 1, is_goal=False, is_quick=False),
        "matchers": Measurement(matchers.measure, 1, is_goal=False, is_quick=False),
        "memory": Measurement(memory.measure, 1, is_goal=False, is_quick=False),
        "composing": Measurement(composing.measure, 1, is_goal=False, is_quick=False),
        "reloading": Measurement(reloading.measure, 1, is_goal=False, is_quick=False),
        "backtest": Measurement(backtest.measure, 1, is_goal=False, is_quick=False),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the goals only, small and once: some 3 minutes")
    parser.add_argument("--goals", action="store_true", help="only what has goals, and the curves")
    parser.add_argument("--only", choices=measurements(0), action="append", help="this one; may be given again")
    parser.add_argument("--minutes", type=float, default=10, help="how long the whole path's goals are offered  [10]")
    parser.add_argument("--json", type=Path, help=f"where the figures go  [default: {LAST.name}, unless --quick]")
    parser.add_argument("--add", action="store_true", help="keep what the file has of other measurements")
    parser.add_argument("--folder", type=Path, help="a folder on the disk to measure; the temporary one's unless given")
    given = parser.parse_args()
    about = machine()
    print(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in about.items()), flush=True)
    file = given.json or (None if given.quick else LAST)
    told: dict[str, Any] = {"machine": about, "begun": {}, "repeats": {}, "spins": {}, "figures": {}}
    if given.add and file is not None and file.exists():
        told = {**msgspec.json.decode(file.read_bytes()), "machine": about}
    spins = [spin()]
    is_wrong = False
    known = measurements(given.minutes)
    usual = [
        name for name, each in known.items() if (each.is_quick or not given.quick) and (each.is_goal or not given.goals)
    ]
    for name in given.only or usual:
        repeats = 1 if given.quick else known[name].repeats
        began, first = time.monotonic(), len(spins) - 1
        begun = f"{time.strftime('%Y-%m-%dT%H:%MZ', time.gmtime())} at load {os.getloadavg()[0]:.1f}"
        try:
            runs = [_run(known[name], name, repeat, given, spins) for repeat in range(repeats)]
        except Exception as error:  # whatever it was, the others are measured all the same
            print(f"\n**{name}**: {error}", flush=True)
            if not isinstance(error, Wrong):
                traceback.print_exc()
            is_wrong = True
            continue
        slowest = max(spins[first:]) / min(spins)
        found: list[Summary] = sum_up(runs, is_disturbed=slowest > DISTURBED)
        seconds = time.monotonic() - began
        print(f"\n**{name}** ({seconds:.0f} s; fixed work up to {slowest:.0%})\n\n{table(found)}", flush=True)
        told["figures"][name] = found
        told.setdefault("begun", {})[name] = f"{begun}, small" if given.quick else begun
        told["repeats"][name] = repeats
        told["spins"][name] = [round(each / min(spins), 3) for each in spins[first:]]
        if file is not None:
            told["machine"] = about | {"load_average_at_the_end": [round(each, 2) for each in os.getloadavg()]}
            file.write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=1) + b"\n")
    missed = [each for found in told["figures"].values() for each in _summaries(found) if each.is_met is False]
    for each in missed:
        print(f"missed: {each.what}: {each.median:,.4g} {each.unit}, goal {each.goal:,.4g}")
    return 1 if is_wrong else 0


def _run(each: Measurement, name: str, repeat: int, given: argparse.Namespace, spins: list[float]) -> list[Figure]:
    print(f"{name}, run {repeat + 1} …", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="triggerfish-bench-", dir=given.folder) as folder:
        found = each.measure(given.quick, Path(folder))
    spins.append(spin())
    return found


def _summaries(found: Any) -> list[Summary]:
    return [each if isinstance(each, Summary) else msgspec.convert(each, Summary) for each in found]


if __name__ == "__main__":
    sys.exit(main())
