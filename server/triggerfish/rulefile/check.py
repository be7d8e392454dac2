"""What must hold between rule files, and within their texts: names, lengths of time, times of day, zones, events.

Conditions are looked at when they are compiled (compile.py), which begins with this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, lru_cache
from typing import get_args
from zoneinfo import available_timezones

from msgspec import Struct

from triggerfish.clock import parse_duration
from triggerfish.consent import EVENTS as CONSENT_EVENTS
from triggerfish.ingest import Kind
from triggerfish.measure import NAMES as FEEDBACK_NAMES
from triggerfish.rulefile.decode import decode_file
from triggerfish.rulefile.folder import LIST_FILE
from triggerfish.rulefile.format import FileForm, PolicyForm, RuleForm, SegmentForm
from triggerfish.rulefile.forms import actions_of, events_of
from triggerfish.rulefile.marks import Marks, Path
from triggerfish.rulefile.problems import Problem, nearest, quote

KINDS = tuple(kind for kind in get_args(Kind) if kind not in ("track", "consent", "feedback", "instruction"))
"""Calls that rules can listen to by their kind."""

SEGMENT_EVENTS = ("segment.entered", "segment.left")
NEAR = 0.85
"""How alike two event names are when one is taken for a misspelling of the other (1 is the same)."""


Decode = Callable[[str, str], tuple[FileForm | None, Marks, list[Problem]]]
"""Makes a form of a file's (text, path), as decode_file does."""


class Checked(Struct, frozen=True):
    """Rule files as far as they could be read. `files` are those with a form, in the order given.

    `is_complete` is False when a file has no form: then what the others name may well stand in that one.
    """

    files: tuple[tuple[FileForm, Marks], ...]
    problems: tuple[Problem, ...]
    is_complete: bool

    @property
    def is_broken(self) -> bool:
        """Whether there is a problem that is more than a warning."""
        return any(not problem.is_warning for problem in self.problems)


def check_files(files: Mapping[str, str], *, decode: Decode = decode_file) -> Checked:
    """Decode rule files (path -> text) and check them, alone and together. Reads nothing, never raises.

    Lists (*.txt) are left to the definitions that name them.
    """
    read: list[tuple[FileForm, Marks]] = []
    problems: list[Problem] = []
    rule_files = {path: text for path, text in files.items() if not path.endswith(LIST_FILE)}
    for path, text in rule_files.items():
        form, marks, found = decode(text, path)
        problems += found
        if form is not None:
            read.append((form, marks))
    is_complete = len(read) == len(rule_files)
    known = _known_events(read)
    names = _Names()
    for form, marks in read:
        checker = _Checker(form, marks)
        checker.check(names, known if is_complete else frozenset())
        problems += checker.problems
    places = {path: place for place, path in enumerate(files)}
    problems.sort(key=lambda problem: (places[problem.path], problem))
    return Checked(tuple(read), tuple(problems), is_complete)


def _known_events(read: list[tuple[FileForm, Marks]]) -> frozenset[str]:
    """Every name that an event is known by: short and own names, kinds, feedback, and what rules emit."""
    known = {*KINDS, *SEGMENT_EVENTS, *CONSENT_EVENTS.values(), *FEEDBACK_NAMES.values()}
    for form, _ in read:
        for short, event in form.events.items():
            known |= {short, event if isinstance(event, str) else event.name}
        for place, rule in enumerate(form.rules):
            known |= {action.emit for _, action in actions_of(rule, ("rules", place)) if action.emit is not None}
    return frozenset(known)


class _Names:
    """Where each name was first given, by what it names."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], tuple[Marks, Path]] = {}

    def first(self, kind: str, name: str, marks: Marks, path: Path) -> str:
        """Where the name was given before ("rules/cart.yaml, line 3"), or an empty text when this is the first time."""
        there, path_there = self._first.setdefault((kind, name), (marks, path))
        if there is marks and path_there == path:
            return ""
        line = there.key_place(path_there).line
        is_here = there.path == marks.path and line == marks.key_place(path).line
        return "" if is_here else f"{there.path}, line {line}"


class _Checker:
    """Looks through one form and notes what is wrong."""

    def __init__(self, form: FileForm, marks: Marks) -> None:
        self.form = form
        self.marks = marks
        self.problems: list[Problem] = []

    def report(
        self, path: Path, code: str, sentence: str, hint: str = "", *, at_key: bool = False, is_warning: bool = False
    ) -> None:
        self.problems.append(self.marks.problem(path, code, sentence, hint=hint, at_key=at_key, is_warning=is_warning))

    def check(self, names: _Names, known: frozenset[str]) -> None:
        self.events(names)
        self.purposes(names)
        self.policy(names)
        for path, segment in _segments(self.form.segments, ("segments",)):
            self.name("segment", segment.name, names, (*path, "name"))
        self.ruleset(names)
        for place, rule in enumerate(self.form.rules):
            self.rule(rule, ("rules", place), names, known)

    def name(self, kind: str, name: str, names: _Names, path: Path, *, scope: str = "", at_key: bool = False) -> None:
        first = names.first(kind + scope, name, self.marks, path)
        if first:
            sentence = f"there is another {kind} {quote(name)}"
            self.report(path, "TF270", sentence, f"it is in {first}; give one of them another name", at_key=at_key)

    def events(self, names: _Names) -> None:
        for short in self.form.events:
            path = ("events", short)
            self.name("event", short, names, path, at_key=True)
            if short in (*KINDS, *SEGMENT_EVENTS, *CONSENT_EVENTS.values()):
                sentence = f"{quote(short)} is taken: rules already know it as an event of its own"
                self.report(path, "TF277", sentence, "choose another short name", at_key=True)

    def purposes(self, names: _Names) -> None:
        for purpose in self.form.purposes:
            self.name("purpose", purpose, names, ("purposes", purpose), at_key=True)

    def policy(self, names: _Names) -> None:
        policy: PolicyForm | None = self.form.policy
        if policy is None:
            return
        first = names.first("policy", "", self.marks, ("policy",))
        if first:
            hint = f"the other one is in {first}; make them one"
            self.report(("policy",), "TF273", "a rulebook has one policy, and this is another", hint, at_key=True)
        if policy.time_zone not in _time_zones():
            self.time_zone(policy.time_zone)
        for place, cap in enumerate(policy.caps):
            self.length(cap.within, ("policy", "caps", place, "within"))
        if policy.arbitration is not None:
            self.length(policy.arbitration.window, ("policy", "arbitration", "window"))
        for place, window in enumerate(policy.send_windows):
            for key, text in (("from", window.from_), ("to", window.to)):
                self.time_of_day(text, ("policy", "send_windows", place, key))
        quiet = policy.quiet_hours
        if quiet is None:
            return
        for key, text in (("start", quiet.start), ("end", quiet.end)):
            self.time_of_day(text, ("policy", "quiet_hours", key))
        if quiet.start == quiet.end:
            hint = "delete quiet_hours if there are none"
            self.report(("policy", "quiet_hours", "end"), "TF275", "quiet hours end when they start", hint)

    def time_of_day(self, text: str, path: Path) -> None:
        if not _is_time_of_day(text):
            hint = 'write hours and minutes with two digits each, from "00:00" to "23:59"'
            self.report(path, "TF275", f"{quote(text)} is no time of day", hint)

    def time_zone(self, name: str) -> None:
        by_city = {zone.rpartition("/")[2].casefold(): zone for zone in sorted(_time_zones())}
        city = by_city.get(name.strip().rpartition("/")[2].replace(" ", "_").casefold())
        hint = f'did you mean "{city}"?' if city else nearest(name, _time_zones())
        sentence = f"there is no time zone {quote(name)}"
        self.report(("policy", "time_zone"), "TF276", sentence, hint or 'write it like "Europe/Berlin"')

    def ruleset(self, names: _Names) -> None:
        form = self.form
        if form.ruleset is not None:
            self.name("rule set", form.ruleset, names, ("ruleset",))
            if not form.rules:
                hint = "give it rules, or delete it"
                self.report(("ruleset",), "TF272", "this rule set has no rules", hint)
            return
        for key in ("rules", "priority", "mode", "max_age", "cooldown"):
            if key in self.marks.data and not (key == "rules" and not form.rules):
                hint = "name the rule set:  ruleset: cart-recovery"
                self.report(
                    (key,), "TF271", f'"{key}" belongs to a rule set, and this file names none', hint, at_key=True
                )

    def rule(self, rule: RuleForm, path: Path, names: _Names, known: frozenset[str]) -> None:
        self.name("rule", rule.name, names, (*path, "name"), scope=f" of {self.marks.path}")
        for place, event in events_of(rule, path):
            self.event(event, place, known)
        given = self.marks.data["rules"][path[1]]
        for key in ("unless", "while_waiting"):
            if key in given and rule.wait is None and rule.then is not None:
                sentence = f'"{key}" looks at what happens during a wait, and this rule has none'
                self.report(
                    (*path, key), "TF278", sentence, "give it a wait:  wait: 30 minutes", at_key=True, is_warning=True
                )

    def event(self, name: str, path: Path, known: frozenset[str]) -> None:
        """Rules may name any event; one that is nearly a known one is most likely misspelt."""
        if name not in known and (hint := _nearly(name, known)):
            sentence = f"no event {quote(name)} is known so far"
            self.report(path, "TF279", sentence, hint, is_warning=True)

    def length(self, text: str, path: Path) -> None:
        try:
            parse_duration(text)
        except ValueError as error:
            sentence, _, hint = str(error).partition("; ")
            self.report(path, "TF274", sentence, hint)


@lru_cache(1_024)
def _nearly(name: str, known: frozenset[str]) -> str:
    """Many rules may listen to one event that nothing else knows: it is compared with all others once."""
    return nearest(name, known, cutoff=NEAR)


def _segments(forms: list[SegmentForm], path: Path) -> Iterator[tuple[Path, SegmentForm]]:
    """Segments with their paths, parents before children."""
    for place, form in enumerate(forms):
        yield (*path, place), form
        yield from _segments(form.segments, (*path, place, "segments"))


def _is_time_of_day(text: str) -> bool:
    hours, colon, minutes = text.partition(":")
    digits = (hours + minutes).isascii() and (hours + minutes).isdigit() and len(hours) == len(minutes) == 2
    return digits and colon == ":" and int(hours) < 24 and int(minutes) < 60


@cache
def _time_zones() -> frozenset[str]:
    """The names of all IANA time zones that this machine knows."""
    return frozenset(available_timezones())
