"""Rule tests: `rules/*.test.yaml` on a virtual clock, decided by the production engine. Docs: docs/testing.md.

`run_trials` is the whole of it, for `triggerfish test` and for a reload that wants to know before a rulebook goes live.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from msgspec import Struct

from triggerfish import refit
from triggerfish.clock import to_iso
from triggerfish.conditions import View
from triggerfish.engine import StateStore
from triggerfish.rulefile.coverage_watch import Owner, Recorder, watched
from triggerfish.rulefile.problems import Problem
from triggerfish.rulefile.trial_judge import Judge, Mismatch
from triggerfish.rulefile.trial_read import Check, Happening, Suite, Trial, read_suite
from triggerfish.rulefile.trial_stage import Compose, Line, Stage
from triggerfish.rulefile.trial_time import say_instant
from triggerfish.rules import Matcher, Rule, Rulebook, RuleSet

TIMELINE_LIMIT = 60
"""Lines of the timeline that a failure shows: the last ones before it."""


class Failure(Struct, frozen=True):
    """An expectation that was not met: in words, with its place in the test file (as a Problem has it) and with the
    timeline up to it. `when` is local time, `at` the instant in UTC.
    """

    key: str
    expected: str
    actual: str
    at: str
    when: str
    line: int
    column: int
    width: int
    source: str
    skipped: int
    timeline: tuple[str, ...]


class Result(Struct, frozen=True):
    """What came of one test. `reached` are the rules and segments that it had to do with."""

    name: str
    file: str
    line: int
    failures: tuple[Failure, ...]
    seconds: float
    reached: frozenset[Owner] = frozenset()

    @property
    def has_passed(self) -> bool:
        return not self.failures


class Results(Struct, frozen=True):
    """What came of all tests. `problems` are those of the test files themselves: what cannot be read is not run.

    `suite` is what was read, `recorder` what the tests reached.
    """

    results: tuple[Result, ...]
    problems: tuple[Problem, ...]
    suite: Suite
    recorder: Recorder
    seconds: float

    @property
    def failed(self) -> tuple[Result, ...]:
        return tuple(result for result in self.results if not result.has_passed)

    @property
    def is_fine(self) -> bool:
        """Whether every test could be read, and passed. True when there is none."""
        return not self.problems and not self.failed


def run_trials(
    rulebook: Rulebook,
    templates: Iterable[str],
    test_files: Mapping[str, str],
    *,
    matcher: Callable[[Sequence[RuleSet]], Matcher],
    new_store: Callable[[], StateStore],
    compose: Compose | None = None,
    chosen: Callable[[str], bool] = lambda name: True,
    told: Callable[[Result], None] = lambda result: None,
) -> Results:
    """Run the tests in these files (path -> text, from folder.read_tests) against a rulebook. Raises nothing.

    `templates` are their names, `matcher` makes the rule engine, `new_store` an empty store in memory (for each test).
    `compose` makes messages as the live send does; without it, `subject` and `contains` match nothing. Tests whose name
    is not `chosen` are left out; `told` hears of each result as it comes.
    """
    began = time.perf_counter()
    suite = read_suite(test_files, rulebook, templates)
    recorder = Recorder()
    player = Player(watched(rulebook, matcher, recorder), new_store, compose, recorder)
    results = []
    for trial in suite.trials:
        if chosen(trial.name):
            results.append(player.play(trial))
            told(results[-1])
    return Results(tuple(results), suite.problems, suite, recorder, time.perf_counter() - began)


def choose(pattern: str) -> Callable[[str], bool]:
    """Whether a test's name has this part, or fits the pattern if that has `*`, `?` or `[`; large or small letters."""
    wanted = pattern.casefold()
    if any(sign in wanted for sign in "*?["):
        return lambda name: fnmatchcase(name.casefold(), wanted)
    return lambda name: wanted in name.casefold()


class _Deaf:
    """A matcher that no event wakes anything in."""

    def match(self, view: View) -> list[Rule]:
        return []


def silent(rulebook: Rulebook) -> Rulebook:
    """The rulebook without its rules: people are still who they are, and in their segments."""
    return Rulebook(
        matcher=lambda rulesets: _Deaf(),
        segments=rulebook.segments,
        activities=rulebook.activities,
        policy=rulebook.policy,
        short_names=rulebook.short_names,
        version=rulebook.version,
    )


class Player:
    """Plays tests against one rulebook, each on a stage of its own."""

    def __init__(
        self,
        rulebook: Rulebook,
        new_store: Callable[[], StateStore],
        compose: Compose | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self._rulebook = rulebook
        self._silent = silent(rulebook)
        self._new_store = new_store
        self._compose = compose
        self._recorder = recorder or Recorder()

    def play(self, trial: Trial, *, stops_early: bool = False) -> Result:
        """Let a test happen and judge it; with `stops_early` no further than the first expectation that is not met."""
        began = time.perf_counter()
        stage = Stage(self._new_store(), self._rulebook, self._compose)
        recorder = self._recorder
        recorder.reached = set()
        recorder.on_failed = stage.overhear
        failures: list[Failure] = []
        try:
            stage.prepare(trial, self._silent, lambda people: refit.settle(people, self._rulebook, trial.start - 1))
            judge = Judge(stage, self._rulebook)
            for step in _in_order(trial):
                if isinstance(step, Happening):
                    stage.happen(step)
                    continue
                stage.pass_time(step.at)
                found = judge.judge(step)
                failures += [_failure(trial, step, each, stage.lines) for each in found]
                if failures and stops_early:
                    break
        except TimeoutError as error:
            endless = Mismatch(trial.path, "time", "an end", str(error))
            failures.append(_failure(trial, trial.checks[-1], endless, stage.lines))
        except Exception as error:
            # A plugin's function may raise anything; one test that breaks must not hide what the others say.
            broken = Mismatch(trial.path, "error", "no error", f"{type(error).__name__}: {error}")
            failures.append(_failure(trial, trial.checks[-1], broken, stage.lines))
        recorder.take(stage.moments)
        seconds = time.perf_counter() - began
        return Result(trial.name, trial.file, trial.line, tuple(failures), seconds, frozenset(recorder.reached))


def _in_order(trial: Trial) -> list[Happening | Check]:
    """What happens and what is expected, in order of time; what happens at an instant comes first."""
    steps: Collection[Happening | Check] = (*trial.events, *trial.checks)
    return sorted(steps, key=lambda step: (step.at, isinstance(step, Check)))


def _failure(trial: Trial, check: Check, mismatch: Mismatch, lines: Sequence[Line]) -> Failure:
    place = trial.marks.place(mismatch.path)
    shown = [
        f"{say_instant(line.at, trial.start, trial.zone):<32} {line.kind:<9}{line.text}"
        for line in lines
        if line.is_shown
    ]
    left_out = [f"… {len(shown) - TIMELINE_LIMIT} lines before these"] if len(shown) > TIMELINE_LIMIT else []
    return Failure(
        key=mismatch.key, expected=mismatch.expected, actual=mismatch.actual,
        at=to_iso(check.at), when=say_instant(check.at, trial.start, trial.zone),
        line=place.line, column=place.column, width=place.width, source=place.source, skipped=place.skipped,
        timeline=(*left_out, *shown[-TIMELINE_LIMIT:]),
    )  # fmt: skip
