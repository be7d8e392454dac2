"""Before a rulebook goes live, the workspace's own tests (`rules/*.test.yaml`) must pass, as in `triggerfish test`.

They run as generated Python, whatever engine the settings name: it decides the same, and leaves nothing behind in the
process that is about to work.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from triggerfish import walk
from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.adapters.composed import PlainLinks
from triggerfish.adapters.memory_store import MemoryStateStore
from triggerfish.clock import Instant
from triggerfish.compose import Workshop
from triggerfish.errors import RulebookBroken
from triggerfish.profile import Profile
from triggerfish.render import Message, Template
from triggerfish.rulefile.folder import read_tests
from triggerfish.rulefile.problems import Problem
from triggerfish.rulefile.trial import Failure, Result, run_trials
from triggerfish.rulefile.trial_stage import Compose
from triggerfish.rules import Rulebook
from triggerfish.schedule import Due

TOLD = 100
"""Of failures, at most this many are told."""


def prove(workshop: Workshop, sources: Path) -> None:
    """Run the tests below `sources`, if there are any. Raises RulebookBroken with what failed, each at its place."""
    tests, problems = read_tests(sources / "rules")
    if tests:
        results = run_trials(
            workshop.rulebook,
            workshop.templates,
            tests,
            matcher=CompiledMatcher,
            new_store=MemoryStateStore,
            compose=composing(workshop.templates),
        )
        failed = [told(result, failure) for result in results.failed for failure in result.failures]
        problems = [*problems, *results.problems, *failed[:TOLD]]
    if any(not problem.is_warning for problem in problems):
        raise RulebookBroken(sorted(problems))


def told(result: Result, failure: Failure) -> Problem:
    """A test's failure as a problem at its place."""
    return Problem(
        path=result.file,
        line=failure.line,
        column=failure.column,
        code="TF639",
        sentence=f"the test fails at {failure.when}: expected {failure.expected}; it was {failure.actual}",
        hint="see: triggerfish test",
        within=f'test "{result.name}"',
        source=failure.source,
        width=failure.width,
        skipped=failure.skipped,
    )


def composing(templates: Mapping[str, Template]) -> Compose:
    """Messages as the live send composes them, with plain links, and of feeds what the samples say."""

    def compose(rulebook: Rulebook, due: Due, profile: Profile, now: Instant) -> Message:
        template = templates[due.template]
        return walk.compose(rulebook, template, profile, due, PlainLinks(), now, template.sample["feeds"])

    return compose
