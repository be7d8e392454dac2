"""Mutation: change the rules a little, one place at a time, and see whether a test notices. What no test notices may
just as well be wrong.

Each mutant is compiled from the changed text and tried against the tests that reach the place, until one fails.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

import msgspec
from msgspec import Struct

from triggerfish.engine import StateStore
from triggerfish.errors import RulebookBroken
from triggerfish.rulefile.compile import load_rulebook
from triggerfish.rulefile.coverage_watch import Recorder, watched
from triggerfish.rulefile.decode import decode_file
from triggerfish.rulefile.desk import Compiled
from triggerfish.rulefile.folder import SUFFIXES
from triggerfish.rulefile.mutation_sites import Mutant, mutants_of
from triggerfish.rulefile.problems import Problem, nearest, quote
from triggerfish.rulefile.trial import Player, Results
from triggerfish.rulefile.trial_read import Equivalent, Trial
from triggerfish.rulefile.trial_stage import Compose
from triggerfish.rules import Matcher, Rulebook, RuleSet

Fate = Literal["killed", "survived", "unreached", "refused"]
"""Of a mutant: a test failed; none did; no test reaches the place; the rulebook is not sound any more."""
_CHUNK = 8
_NAMINGS, _CONDITIONS = 3, 20_000
_REMEMBERED = 1_100
"""Files: all that a rulebook may have, and some of the mutants'."""


class Verdict(Struct, frozen=True):
    """What became of a mutant. `by` is the test that noticed it; `why` says why it is equivalent, if it is listed."""

    mutant: Mutant
    fate: Fate
    by: str = ""
    why: str = ""


class MutationReport(Struct, frozen=True):
    """What became of all mutants. `problems` are listed equivalents that a test does notice, or that are none."""

    verdicts: tuple[Verdict, ...]
    problems: tuple[Problem, ...]

    @property
    def survivors(self) -> tuple[Verdict, ...]:
        """Mutants that no test noticed, but those listed as equivalent."""
        return tuple(each for each in self.verdicts if each.fate in ("survived", "unreached") and not each.why)

    @property
    def equivalents(self) -> tuple[Verdict, ...]:
        """Mutants that no test noticed and that are listed as equivalent."""
        return tuple(each for each in self.verdicts if each.fate in ("survived", "unreached") and each.why)

    def count(self, fate: Fate) -> int:
        """How many came to this."""
        return sum(each.fate == fate for each in self.verdicts)


class Laboratory(Struct, frozen=True):
    """What mutants are made from and tried with. `load` makes a rulebook of rule files (`loading`). `reaching` are the
    tests, each with what it reaches: (trial, owners); `noticed` remembers by which one a line's changes were noticed.
    """

    files: Mapping[str, str]
    load: Callable[[Mapping[str, str]], Rulebook]
    matcher: Callable[[Sequence[RuleSet]], Matcher]
    new_store: Callable[[], StateStore]
    compose: Compose | None
    reaching: Sequence[tuple[Trial, frozenset[Any]]]
    noticed: dict[tuple[str, int], str] = {}

    def try_one(self, mutant: Mutant) -> tuple[Fate, str]:
        """What becomes of a mutant, and by which test."""
        trials = [trial for trial, reached in self.reaching if not mutant.owners or reached & set(mutant.owners)]
        if not trials:
            return "unreached", ""
        try:
            rulebook = self.load({**self.files, mutant.path: mutant.apply(self.files[mutant.path])})
        except RulebookBroken:
            return "refused", ""
        failed = self.first_failed(rulebook, sorted(trials, key=lambda trial: self.promise(trial, mutant)))
        if failed is None:
            return "survived", ""
        self.noticed[mutant.path, mutant.line] = failed.name
        return "killed", failed.name

    def promise(self, trial: Trial, mutant: Mutant) -> tuple[bool, bool]:
        """What to try first: the test that noticed another change of the line, and those beside the file."""
        is_beside = trial.file.rpartition(".test.")[0] == mutant.path.rpartition(".")[0]
        return self.noticed.get((mutant.path, mutant.line)) != trial.name, not is_beside

    def first_failed(self, rulebook: Rulebook, trials: Sequence[Trial]) -> Trial | None:
        """The first of these tests that does not pass under a rulebook."""
        recorder = Recorder()
        heard = watched(rulebook, self.matcher, recorder)
        for trial in trials:
            compose = self.compose if trial.is_composed else None
            if not Player(heard, self.new_store, compose, recorder).play(trial, stops_early=True).has_passed:
                return trial
        return None


def loading(
    templates: Mapping[str, Any], matcher: Callable[[Sequence[RuleSet]], Matcher], **more: Any
) -> Callable[[Mapping[str, str]], Rulebook]:
    """Makes rulebooks of files, as compile.load_rulebook does (`more` is for it). Files that it saw lately are not read
    again: of a mutant, only one is new; nor are conditions made again, unless what they name may have changed.
    """
    decode = lru_cache(_REMEMBERED)(decode_file)
    compiled: dict[Any, Compiled] = {}

    def load(files: Mapping[str, str]) -> Rulebook:
        forms = [form for path, text in files.items() if path.endswith(SUFFIXES) and (form := decode(text, path)[0])]
        names = msgspec.json.encode([(form.events, form.define) for form in forms])
        made = compiled.setdefault(names, {})
        if len(compiled) > _NAMINGS:
            del compiled[next(iter(compiled))]
        if len(made) > _CONDITIONS:
            made.clear()
        return load_rulebook(files, templates=templates, matcher=matcher, decode=decode, compiled=made, **more)[0]

    return load


def mutate(
    laboratory: Laboratory,
    equivalents: Sequence[Equivalent],
    templates: Sequence[str],
    *,
    jobs: int,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> MutationReport:
    """Make every mutant and try it, on `jobs` processes; `told` hears how many of how many are done.

    Processes are forked, since compiled rules cannot be handed over otherwise; with one job all is done here.
    Raises ValueError when a test fails although nothing is changed.
    """
    mutants = mutants_of(laboratory.files, templates)
    # Unchanged, the rules must pass; and every process begins with all files decoded.
    unchanged = laboratory.load(laboratory.files)
    failed = laboratory.first_failed(unchanged, [trial for trial, _ in laboratory.reaching])
    if failed is not None:
        raise ValueError(f'the test "{failed.name}" fails without any change: mutants could not be told by it')
    fates: dict[int, tuple[Fate, str]] = {}
    for place, fate, by in _each(laboratory, mutants, jobs):
        fates[place] = (fate, by)
        told(len(fates), len(mutants))
    listed, problems = _match(equivalents, mutants, fates)
    verdicts = [Verdict(mutant, *fates[place], why=listed.get(place, "")) for place, mutant in enumerate(mutants)]
    return MutationReport(tuple(verdicts), tuple(problems))


_present: tuple[Laboratory, Sequence[Mutant]] | None = None
"""What forked processes find when they begin."""


def _each(laboratory: Laboratory, mutants: Sequence[Mutant], jobs: int) -> Any:
    global _present
    _present = (laboratory, mutants)
    try:
        if jobs == 1:
            yield from map(_try_place, range(len(mutants)))
            return
        with multiprocessing.get_context("fork").Pool(jobs) as pool:
            yield from pool.imap_unordered(_try_place, range(len(mutants)), _CHUNK)
    finally:
        _present = None


def _try_place(place: int) -> tuple[int, Fate, str]:
    if _present is None:
        raise RuntimeError("mutants are tried by mutate() only")
    laboratory, mutants = _present
    return (place, *laboratory.try_one(mutants[place]))


def reaching(results: Results) -> list[tuple[Trial, frozenset[Any]]]:
    """The tests that ran, the quickest first, each with what it reached."""
    trials = {(trial.file, trial.name): trial for trial in results.suite.trials}
    ordered = sorted(results.results, key=lambda result: result.seconds)
    return [(trials[result.file, result.name], result.reached) for result in ordered]


def _match(
    equivalents: Sequence[Equivalent], mutants: Sequence[Mutant], fates: Mapping[int, tuple[Fate, str]]
) -> tuple[dict[int, str], list[Problem]]:
    """Which mutants are listed, and why; and what is wrong with the list."""
    listed: dict[int, str] = {}
    problems = []
    for each in equivalents:
        form = each.form
        places = [place for place, mutant in enumerate(mutants) if _is_meant(each, mutant)]
        if not places:
            known = [mutant.became for mutant in mutants if (mutant.path, mutant.old) == (form.file, form.line.strip())]
            hint = nearest(form.becomes, known, cutoff=0.4) or "delete it, or copy line and becomes from the report"
            sentence = f"there is no such change of {quote(form.file)} (any more)"
            problems.append(each.marks.problem((*each.path, "line"), "TF618", sentence, hint=hint))
        for place in places:
            fate, by = fates[place]
            if fate == "killed":
                sentence = f"this change is not equivalent: the test {quote(by)} notices it"
                problems.append(each.marks.problem((*each.path, "line"), "TF617", sentence, hint="delete it"))
            listed[place] = form.why
    return listed, problems


def _is_meant(each: Equivalent, mutant: Mutant) -> bool:
    form = each.form
    if (mutant.path, mutant.old, mutant.became) != (form.file, form.line.strip(), form.becomes.strip()):
        return False
    if form.rule is not None:
        name = form.rule.rpartition(" / ")[2]
        return mutant.within.startswith(f"rule {quote(name)}")
    return form.segment is None or mutant.within == f"segment {quote(form.segment)}"
