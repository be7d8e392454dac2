"""What `triggerfish test` works on: a workspace's rulebook, its tests, and all that is needed to run them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.adapters.memory_store import MemoryStateStore
from triggerfish.cli.check import AnyEnvironment
from triggerfish.compose import Workshop, load_workshop, matcher_of
from triggerfish.config import Settings, load_settings
from triggerfish.processes.proving import composing
from triggerfish.rulefile.folder import read_folder, read_tests
from triggerfish.rulefile.mutation import Laboratory, MutationReport, loading, mutate, reaching
from triggerfish.rulefile.problems import Problem
from triggerfish.rulefile.trial import Result, Results, run_trials
from triggerfish.rules import Matcher, RuleSet


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A workspace ready to be tested. `rules` and `tests` are files' texts by path; `problems` are files that cannot
    be read.
    """

    settings: Settings
    workshop: Workshop
    rules: Mapping[str, str]
    tests: Mapping[str, str]
    problems: Sequence[Problem]
    matcher: Callable[[Sequence[RuleSet]], Matcher]

    def run(self, chosen: Callable[[str], bool], told: Callable[[Result], None]) -> Results:
        """Run the tests with such names, under the rule engine that the settings name."""
        return run_trials(
            self.workshop.rulebook,
            self.workshop.templates,
            self.tests,
            matcher=self.matcher,
            new_store=MemoryStateStore,
            compose=composing(self.workshop.templates),
            chosen=chosen,
            told=told,
        )

    def mutate(self, results: Results, *, jobs: int, told: Callable[[int, int], None]) -> MutationReport:
        """Try every mutant of the rules against the tests that ran.

        They run as generated Python, whatever engine the settings name: it decides the same, and leaves nothing behind.
        """
        workshop = self.workshop
        load = loading(
            workshop.templates,
            CompiledMatcher,
            functions=workshop.plugins.functions,
            channel=self.settings.delivery.channel,
        )
        laboratory = Laboratory(
            self.rules, load, CompiledMatcher, MemoryStateStore, composing(workshop.templates), reaching(results)
        )
        return mutate(laboratory, results.suite.equivalents, list(workshop.templates), jobs=jobs, told=told)


def open_bench(workspace: Path) -> Bench:
    """A workspace's rulebook and tests. Secrets are not needed, as for `check`.

    Raises RulebookBroken with all problems when rules or templates are not sound; SettingsWrong and PluginFailed.
    """
    settings = load_settings(workspace.resolve(), AnyEnvironment(os.environ))
    workshop = load_workshop(settings)
    rules, _ = read_folder(settings.workspace / "rules")
    tests, problems = read_tests(settings.workspace / "rules")
    return Bench(
        settings=settings, workshop=workshop, rules=rules, tests=tests, problems=problems,
        matcher=matcher_of(settings.engine),
    )  # fmt: skip
