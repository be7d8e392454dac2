"""Many random rulebooks and histories through both sides: `python -m oracle.campaign 0 150` (in tests/). A failure is
made as small as it gets and printed as rule files and events.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random
from typing import Any

from oracle.dice import History, Table, as_files, some_book, some_history
from oracle.sides import differences, run_engine, run_oracle
from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.adapters.durable import DurableMatcher
from triggerfish.errors import RulebookBroken

OUTCOMES = {
    "due", "scheduled wait", "scheduled quiet", "skipped email", "skipped suppressed", "skipped opted out",
    "skipped cooldown", "skipped cap", "skipped unless", "skipped restart", "skipped untrue",
}  # fmt: skip
"""What can become of a message."""


@dataclass
class Found:
    """What a campaign came across. `outcomes` counts what became of messages, and of everything else by its kind."""

    histories: int = 0
    failures: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)


def run(seeds: Iterable[int], histories: int = 3) -> Found:
    """A rulebook for each seed, with some histories each; the first of them on durable_rules, too."""
    found = Found()
    for seed in seeds:
        dice = Random(seed)
        tables = some_book(dice)
        for number in range(histories):
            history = some_history(dice)
            cuts = dice.randrange(2**32)
            told = compare(tables, history, cuts, has_durable=number == 0, outcomes=found.outcomes)
            found.histories += 1
            if told:
                found.failures.append(f"seed {seed}, history {number}: {told}\n{_smallest(tables, history, cuts)}")
                break
    return found


def compare(
    tables: list[Table], history: History, cuts: int, *, has_durable: bool, outcomes: Counter[str] | None = None
) -> str:
    """What the sides say differently about this history; empty when they agree."""
    files = as_files(tables)
    try:
        oracle, told = run_oracle(files, history)
        for matcher in (CompiledMatcher, DurableMatcher) if has_durable else (CompiledMatcher,):
            wrong = differences(oracle, run_engine(files, told, matcher, Random(cuts)))
            if wrong:
                return f"{matcher.__name__}: " + "\n".join(wrong)
    except RulebookBroken as broken:
        return "broken: " + "\n".join(str(problem) for problem in broken.problems)
    except Exception:
        return traceback.format_exc()
    for what, _, *more in (line for lines in oracle.timelines.values() for line in lines):
        if outcomes is not None:
            told = more[3:] if what == "send" else more[1:2] + more[3:4] if what == "decision" else [what]
            outcomes[" ".join(told).strip()] += 1
    return ""


def _smallest(tables: list[Table], history: History, cuts: int) -> str:
    """The failure with everything taken away that it does not need."""

    def fails(tables: list[Table], history: History) -> bool:
        told = compare(tables, history, cuts, has_durable=False) if history else ""
        return bool(told) and not told.startswith(("broken", "Traceback"))

    if not fails(tables, history):
        return "(as it is: it cannot be made smaller)"
    is_smaller = True
    while is_smaller:
        is_smaller = False
        for place in reversed(range(len(history))):
            fewer = history[:place] + history[place + 1 :]
            if fails(tables, fewer):
                history, is_smaller = fewer, True
        for less in _less(tables):
            if fails(less, history):
                tables, is_smaller = less, True
                break
    lines = [text for _, text in sorted(as_files(tables).items())]
    lines += [f"{at}: {event}" for at, event in history]
    return "\n".join([*lines, compare(tables, history, cuts, has_durable=False)])


def _less(tables: list[Table]) -> Iterator[list[Table]]:
    """The tables with one thing less, each in turn."""
    for place in _places(tables, ()):
        less: Any = deepcopy(tables)
        inner = less
        for step in place[:-1]:
            inner = inner[step]
        del inner[place[-1]]
        yield less


def _places(made: Any, before: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    items = list(made.items()) if isinstance(made, dict) else list(enumerate(made)) if isinstance(made, list) else []
    for key, inner in items:
        yield (*before, key)
        yield from _places(inner, (*before, key))


def main() -> int:
    """Print what was found. 1 when the sides differ anywhere."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("begin", type=int)
    parser.add_argument("end", type=int)
    parser.add_argument("--histories", type=int, default=3)
    given = parser.parse_args()
    found = run(range(given.begin, given.end), given.histories)
    for failure in found.failures:
        print(failure, end="\n\n")
    print(f"{found.histories} histories, {len(found.failures)} failures, {dict(found.outcomes)}")
    return 1 if found.failures else 0


if __name__ == "__main__":
    sys.exit(main())
