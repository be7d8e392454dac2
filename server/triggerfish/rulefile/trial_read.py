"""Test files to trials: decoded, their instants worked out, and their names held against the rulebook."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct, inspect

from triggerfish.clock import Instant, Millis, parse_duration
from triggerfish.consent import CONFIRMED, UPDATED
from triggerfish.consent import EVENTS as CONSENT_EVENTS
from triggerfish.engine.journeys import HOLDOUT
from triggerfish.measure import NAMES as FEEDBACK_NAMES
from triggerfish.rulefile.check import KINDS
from triggerfish.rulefile.decode import Walk
from triggerfish.rulefile.marks import Marks, Path
from triggerfish.rulefile.problems import Problem, nearest, quote
from triggerfish.rulefile.reading import PROBLEM_LIMIT, read_yaml
from triggerfish.rulefile.trial_format import (
    EquivalentForm,
    ExpectForm,
    HappensForm,
    MembersForm,
    SentForm,
    TrialFileForm,
    TrialForm,
)
from triggerfish.rulefile.trial_time import local_instant, parse_instant
from triggerfish.rules import Rulebook
from triggerfish.steps import Emit, Split

_FILE = inspect.type_info(TrialFileForm)
LONGEST: Millis = 3_700 * 86_400_000
"""How far from its start a test may reach: ten years and some."""
_TIME_HINT = 'write "30m" (after the start), "+10m" (after the line above) or a local time like "2026-01-05 09:00"'


class Happening(Struct, frozen=True):
    """Something that happens in a test: `at` an instant, as `form` says; `path` is its place in the file."""

    at: Instant
    form: HappensForm
    path: Path
    late: Millis = 0


class Check(Struct, frozen=True):
    """What is expected at an instant, and its place in the file."""

    at: Instant
    form: ExpectForm
    path: Path


class Trial(Struct, frozen=True):
    """A test that can be run. `history` comes before `start`; each list ascends in time."""

    name: str
    marks: Marks
    path: Path
    form: TrialForm
    start: Instant
    zone: ZoneInfo
    history: tuple[Happening, ...]
    events: tuple[Happening, ...]
    checks: tuple[Check, ...]

    @property
    def file(self) -> str:
        """The test file's path."""
        return self.marks.path

    @property
    def line(self) -> int:
        """The line of the file at which the test begins."""
        return self.marks.place(self.path).line

    @property
    def is_composed(self) -> bool:
        """Whether its expectations look at the text of messages."""
        sends = (each for check in self.checks for each in check.form.sends or ())
        return any(isinstance(each, SentForm) and (each.subject or each.contains) for each in sends)


class Equivalent(Struct, frozen=True):
    """A change that no test can notice, and its place in the test file."""

    form: EquivalentForm
    marks: Marks
    path: Path


class Suite(Struct, frozen=True):
    """The tests of a rulebook, as far as they can be run, and what is wrong with the files."""

    trials: tuple[Trial, ...]
    equivalents: tuple[Equivalent, ...]
    problems: tuple[Problem, ...]


def read_suite(test_files: Mapping[str, str], rulebook: Rulebook, templates: Iterable[str]) -> Suite:
    """The trials in these files (path -> text). Never raises; a test with a problem is not among the trials."""
    trials: list[Trial] = []
    equivalents: list[Equivalent] = []
    problems: list[Problem] = []
    names = _Names(rulebook, templates)
    for path, text in test_files.items():
        form, marks, found = _decode(text, path)
        problems += found
        if form is None:
            continue
        first: dict[str, int] = {}
        for place, each in enumerate(form.tests):
            reader = _Reader(names, marks, ("tests", place), each)
            trial = reader.trial()
            line = first.setdefault(each.name, place)
            if line != place:
                there = marks.place(("tests", line, "name")).line
                sentence = f"there is another test {quote(each.name)} in this file"
                reader.report(("name",), "TF614", sentence, f"it is in line {there}; give one of them another name")
            problems += reader.problems
            if trial is not None and not reader.problems:
                trials.append(trial)
        equivalents += [Equivalent(each, marks, ("equivalent", place)) for place, each in enumerate(form.equivalent)]
    return Suite(tuple(trials), tuple(equivalents), tuple(problems))


def _decode(text: str, path: str) -> tuple[TrialFileForm | None, Marks, list[Problem]]:
    marks, problems = read_yaml(text, path)
    if marks.is_readable:
        problems = sorted(problems + _Walk(marks).problems_of(_FILE))
    if problems:
        return None, marks, problems[:PROBLEM_LIMIT]
    return msgspec.convert(marks.data, TrialFileForm), marks, []


class _Walk(Walk):
    """Properties and traits may be anything that YAML can say."""

    def value(self, type_: inspect.Type, value: Any, path: Path) -> None:
        if not isinstance(type_, inspect.AnyType):
            super().value(type_, value, path)


class _Names:
    """What tests may name."""

    def __init__(self, rulebook: Rulebook, templates: Iterable[str]) -> None:
        rules = [rule for ruleset in rulebook.rulesets for rule in ruleset.rules]
        self.zones = rulebook.zones
        self.short_names = rulebook.short_names
        self.templates = frozenset(templates)
        self.segments = frozenset(segment.name for segment in rulebook.segments.segments)
        self.rules = frozenset({rule.name for rule in rules} | {f"{rule.ruleset} / {rule.name}" for rule in rules})
        self.emitted = frozenset(a.event for rule in rules for a in rule.actions if isinstance(a, Emit))
        self.events = frozenset(
            {*rulebook.short_names, *rulebook.short_names.values(), *KINDS, *FEEDBACK_NAMES.values(), *self.emitted}
            | {name for rule in rules for name in (*rule.on, *rule.unless)}
            | {event for activity in rulebook.activities for event in activity.events}
        ) - {"segment.entered", "segment.left", *CONSENT_EVENTS.values()}
        splits = [step for rule in rules for step in rule.steps if isinstance(step, Split)]
        self.experiments = {
            split.experiment: frozenset(
                [*(each.name for each in split.variants), *([HOLDOUT] if split.holdout else [])]
            )
            for split in splits
        }


class _Reader:
    """Reads one test."""

    def __init__(self, names: _Names, marks: Marks, path: Path, form: TrialForm) -> None:
        self.names = names
        self.marks = marks
        self.path = path
        self.form = form
        self.problems: list[Problem] = []

    def report(self, path: Path, code: str, sentence: str, hint: str = "", *, at_key: bool = False) -> None:
        self.problems.append(self.marks.problem((*self.path, *path), code, sentence, hint=hint, at_key=at_key))

    def trial(self) -> Trial | None:
        zone = self.zone()
        start = self.start(zone)
        if start is None:
            return None
        history = self.happenings("history", self.form.history, start, zone, is_before=True)
        events = self.happenings("events", self.form.events, start, zone, is_before=False)
        checks = []
        before = start
        for place, form in enumerate(self.form.expect):
            path: Path = ("expect", place)
            before = self.instant(form.at, (*path, "at"), start, before, zone)
            self.expectation(form, path)
            checks.append(Check(before, form, (*self.path, *path)))
        for name, variant in self.form.assign.items():
            self.assignment(name, variant)
        return Trial(self.form.name, self.marks, self.path, self.form, start, zone, history, events, tuple(checks))

    def zone(self) -> ZoneInfo:
        name = self.form.time_zone
        if name is None:
            return self.names.zones.default
        zone = self.names.zones.of(name)
        if zone.key != name:
            self.report(("time_zone",), "TF615", f"there is no time zone {quote(name)}", "as in  Europe/Berlin")
        return zone

    def start(self, zone: ZoneInfo) -> Instant | None:
        hint = 'write a local time like "2026-01-05 09:00"'
        try:
            start = local_instant(self.form.start, zone)
        except ValueError as error:
            self.report(("start",), "TF615", str(error), hint)
            return None
        if start is None:
            self.report(("start",), "TF615", f"{quote(self.form.start)} is no local time", hint)
        return start

    def instant(self, text: str, path: Path, start: Instant, before: Instant, zone: ZoneInfo) -> Instant:
        """A line's instant; that of the line above when there is a problem with it."""
        try:
            at = parse_instant(text, start, before, zone)
        except ValueError as error:
            self.report(path, "TF615", str(error), _TIME_HINT)
            return before
        if abs(at - start) > LONGEST or at < 0:
            self.report(path, "TF615", "this is more than ten years from the start of the test")
            return before
        if at < before:
            what = "the start of the test" if before == start else "the line above"
            self.report(path, "TF615", f"this is before {what}", "put the lines in order of time; history has its own")
            return before
        return at

    def happenings(
        self, key: str, forms: Sequence[HappensForm], start: Instant, zone: ZoneInfo, *, is_before: bool
    ) -> tuple[Happening, ...]:
        made = []
        before = start - LONGEST if is_before else start
        for place, form in enumerate(forms):
            path: Path = (key, place)
            before = self.instant(form.at, (*path, "at"), start, before, zone)
            if is_before and before >= start:
                hint = 'write "-30 days", or put it under events'
                self.report((*path, "at"), "TF615", "history is before the start of the test", hint)
            self.happening(form, path)
            made.append(Happening(before, form, (*self.path, *path), self.late(form, path)))
        return tuple(made)

    def late(self, form: HappensForm, path: Path) -> Millis:
        try:
            return 0 if form.late is None else parse_duration(form.late)
        except ValueError as error:
            self.report((*path, "late"), "TF615", str(error))
            return 0

    def happening(self, form: HappensForm, path: Path) -> None:
        if (form.event is None) == (form.identify is None):
            sentence = "a line of events has either an event or identify"
            self.report(path, "TF616", sentence, "as in  event: purchase  or  identify: {plan: gold}")
        elif form.identify is not None and form.properties:
            hint = "identify has traits: write them under it"
            self.report((*path, "properties"), "TF616", "properties go with event", hint, at_key=True)
        if form.event is not None:
            self.event(form.event, (*path, "event"))

    def event(self, name: str, path: Path) -> None:
        if name not in self.names.events:
            sentence = f"no rule, segment or short name knows an event {quote(name)}"
            if name in ("segment.entered", "segment.left"):
                sentence = "segments are entered and left by what a person does"
            elif name in CONSENT_EVENTS.values():
                sentence = f"consent changes by what a person says: {quote(CONFIRMED)}, {quote(UPDATED)}, Unsubscribed"
            hint = nearest(name, self.names.events) or "an event that nothing knows would change nothing"
            self.report(path, "TF611", sentence, hint)

    def expectation(self, form: ExpectForm, path: Path) -> None:
        for place, each in enumerate(form.sends or ()):
            at: Path = (*path, "sends", place)
            if isinstance(each, SentForm):
                self.template(each.template, (*at, "template"))
                if each.rule is not None:
                    self.rule(each.rule, (*at, "rule"))
            else:
                self.template(each, at)
        for place, name in enumerate(form.no_sends):
            self.template(name, (*path, "no_sends", place))
        groups: dict[Path, Sequence[str]] = {}
        if isinstance(form.segments, MembersForm):
            groups = {("segments", "in"): form.segments.in_, ("segments", "not_in"): form.segments.not_in}
        elif form.segments is not None:
            groups = {("segments",): form.segments}
        for key, listed in groups.items():
            for place, name in enumerate(listed):
                self.segment(name, (*path, *key, place))
        if form.segment is not None:
            self.segment(form.segment, (*path, "segment"))
        for place, name in enumerate(form.waiting or ()):
            self.rule(name, (*path, "waiting", place))
        for place, name in enumerate(form.emits or ()):
            if self.names.short_names.get(name, name) not in self.names.emitted:
                hint = nearest(name, self.names.emitted)
                self.report((*path, "emits", place), "TF611", f"no rule emits {quote(name)}", hint)
        for name in form.reasons:
            if name not in self.names.templates and name not in self.names.rules:
                hint = nearest(name, [*self.names.templates, *self.names.rules])
                self.report((*path, "reasons", name), "TF613", f"no template or rule is called {quote(name)}", hint,
                            at_key=True)  # fmt: skip

    def template(self, name: str, path: Path) -> None:
        if name not in self.names.templates:
            self.report(path, "TF610", f"there is no template {quote(name)}", nearest(name, self.names.templates))

    def segment(self, name: str, path: Path) -> None:
        if name not in self.names.segments:
            self.report(path, "TF612", f"there is no segment {quote(name)}", nearest(name, self.names.segments))

    def rule(self, name: str, path: Path) -> None:
        if name not in self.names.rules:
            hint = nearest(name, self.names.rules)
            self.report(path, "TF613", f"there is no rule {quote(name)}", hint)

    def assignment(self, experiment: str, variant: str) -> None:
        variants = self.names.experiments.get(experiment)
        if variants is None:
            hint = nearest(experiment, self.names.experiments)
            sentence = f"there is no experiment {quote(experiment)}"
            self.report(("assign", experiment), "TF613", sentence, hint, at_key=True)
        elif variant not in variants:
            hint = nearest(variant, variants) or f"it has {', '.join(sorted(variants))}"
            sentence = f"the experiment {quote(experiment)} has no variant {quote(variant)}"
            self.report(("assign", experiment), "TF613", sentence, hint)
