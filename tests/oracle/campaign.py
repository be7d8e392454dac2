"""Many random rulebooks and histories through both sides: `python -m oracle.campaign 0 150` (in tests/). A failure is
made as small as it gets and printed as rule files and events.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random
from typing import Any

from oracle.dice import History, Table, as_files, some_book, some_history
from oracle.rules import read_book
from oracle.sides import differences, made_rulebook, run_engine, run_oracle
from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.adapters.durable import DurableMatcher
from triggerfish.rules import Matcher

OUTCOMES = {
    "due", "scheduled wait", "scheduled quiet", "skipped email", "skipped suppressed", "skipped opted out",
    "skipped cooldown", "skipped cap", "skipped unless", "skipped restart", "skipped untrue", "skipped set cooldown",
    "scheduled windows", "scheduled arbitration", "scheduled deferred cap", "skipped cap patience",
}  # fmt: skip
"""What can become of a message."""


@dataclass
class Found:
    """What a campaign came across. `outcomes` counts what became of messages, and of everything else by its kind."""

    histories: int = 0
    failures: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)


class Case:
    """A rulebook as both sides have it. `rulebooks` are the engine's, with each matcher."""

    def __init__(self, tables: list[Table], matchers: Sequence[Callable[[Any], Matcher]]) -> None:
        files = as_files(tables)
        self.book = read_book(files)
        self.rulebooks = {matcher.__name__: made_rulebook(files, matcher) for matcher in matchers}


def run(seeds: Iterable[int], histories: int = 3) -> Found:
    """A rulebook for each seed, on both matchers, with some histories each."""
    found = Found()
    for seed in seeds:
        dice = Random(seed)
        tables = some_book(dice)
        case = Case(tables, (CompiledMatcher, DurableMatcher))
        for number in range(histories):
            history = some_history(dice)
            cuts = dice.randrange(2**32)
            told = compare(case, history, cuts, outcomes=found.outcomes)
            found.histories += 1
            if told:
                found.failures.append(f"seed {seed}, history {number}: {told}\n{_smallest(tables, history, cuts)}")
                print(found.failures[-1], flush=True)
                break
    return found


def compare(case: Case, history: History, cuts: int, *, outcomes: Counter[str] | None = None) -> str:
    """What the sides say differently about this history; empty when they agree."""
    try:
        oracle, told = run_oracle(case.book, history)
        for name, rulebook in case.rulebooks.items():
            wrong = differences(oracle, run_engine(rulebook, told, Random(cuts)))
            if wrong:
                return f"{name}: " + "\n".join(wrong)
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
        try:
            told = compare(Case(tables, (CompiledMatcher,)), history, cuts) if history else ""
        except Exception:  # less is no rulebook any more
            return False
        return bool(told) and not told.startswith("Traceback")

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
    return "\n".join([*lines, compare(Case(tables, (CompiledMatcher,)), history, cuts)])


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
    parser.add_argument("--histories", type=int, default=6)
    given = parser.parse_args()
    found = run(range(given.begin, given.end), given.histories)
    print(f"{found.histories} histories, {len(found.failures)} failures, {dict(found.outcomes)}")
    return 1 if found.failures else 0


if __name__ == "__main__":
    sys.exit(main())
