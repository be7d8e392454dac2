"""Where the rules of one file are compiled: names are looked up here, conditions made, and problems placed."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Protocol
from zoneinfo import available_timezones

import msgspec
from msgspec import Struct, field

from triggerfish.activity import Activity
from triggerfish.clock import Millis, parse_duration
from triggerfish.conditions import Condition
from triggerfish.render import Class
from triggerfish.rulefile.defined import Definitions
from triggerfish.rulefile.expressions import Scope, Tree, compile_condition, compile_value, read_condition
from triggerfish.rulefile.format import ComputedForm, ConditionForm
from triggerfish.rulefile.grammar import Faulty
from triggerfish.rulefile.marks import Marks, Path
from triggerfish.rulefile.problems import Problem
from triggerfish.rulefile.recall import Recall, frame_of
from triggerfish.steps import Computed


class TemplateFacts(Protocol):
    """What a rulebook needs to know of a template."""

    @property
    def class_(self) -> Class: ...
    @property
    def purpose(self) -> str: ...
    @property
    def variables(self) -> frozenset[str]: ...


Compiled = dict[tuple[str, Path, bool, frozenset[str], bytes], Condition]
"""Conditions that were compiled before, by file, place, what they may name, and text."""


class Known(Struct):
    """What the rules of all files may name, and what has been found out about them so far.

    `channels` are those that a rule may name; None: any.
    `compiled` spares the work for conditions of rulebooks that differ little: their short names, definitions and
    plugins must be the same. `recall` spares most of it for those of earlier loads; `frame` is recall.frame_of.
    """

    templates: Mapping[str, TemplateFacts]
    functions: Mapping[str, Callable[..., Any]]
    actions: Collection[str]
    channel: str
    channels: Collection[str] | None = None
    short_names: dict[str, str] = {}
    segment_names: list[str] = []
    definitions: Definitions = field(default_factory=Definitions)
    activities: dict[str, Activity] = {}
    experiments: dict[str, tuple[Marks, Path]] = {}
    problems: list[Problem] = []
    compiled: Compiled = {}
    recall: Recall | None = None
    frame: bytes = b""
    segments: frozenset[str] = frozenset()

    def segments_so_far(self) -> frozenset[str]:
        """The names of the segments that are known by now: one and the same set until there are more."""
        if len(self.segments) != len(self.segment_names):
            self.segments = frozenset(self.segment_names)
        return self.segments

    def scope(self, segments: Collection[str] = (), *, has_event: bool = True) -> Scope:
        """What a condition may name."""
        return Scope(
            short_names=self.short_names,
            segments=frozenset(segments),
            has_event=has_event,
            functions=self.functions,
            definitions=self.definitions,
        )

    def settle(self) -> None:
        """Short names and definitions are known: from here on, conditions are compiled."""
        if self.recall is not None:
            self.frame = frame_of(self.scope())


class Desk:
    """One file's marks, and what all files know."""

    def __init__(self, known: Known, marks: Marks) -> None:
        self._known = known
        self._marks = marks
        self.templates = known.templates
        self.actions = known.actions
        self.channel = known.channel
        self.channels = known.channels
        self.segment_names = known.segment_names

    @property
    def time_zones(self) -> Collection[str]:
        """The names of all IANA time zones that this machine knows."""
        return available_timezones()

    def problem(
        self, path: Path, code: str, sentence: str, hint: str = "", *, at_key: bool = False, is_warning: bool = False
    ) -> None:
        """Note what is wrong, and where."""
        self._known.problems.append(
            self._marks.problem(path, code, sentence, hint=hint, at_key=at_key, is_warning=is_warning)
        )

    def given(self, path: Path) -> Collection[str]:
        """The keys that were written at a path."""
        at: Any = self._marks.data
        for step in path:
            at = at[step]
        return at.keys() if isinstance(at, dict) else ()

    def events(self, names: str | Sequence[str]) -> list[str]:
        """Events' own names for names as written."""
        written = [names] if isinstance(names, str) else names
        return [self._known.short_names.get(name, name) for name in written]

    def length(self, text: str, path: Path) -> Millis:
        """A length of time; 0 for one that does not parse, which is a problem."""
        try:
            return parse_duration(text)
        except ValueError as error:
            sentence, _, hint = str(error).partition("; ")
            self.problem(path, "TF274", sentence, hint)
            return 0

    def experiment(self, name: str, path: Path) -> None:
        """Note an experiment; its name is its own in the whole rulebook, since people are assigned by it."""
        there, path_there = self._known.experiments.setdefault(name, (self._marks, path))
        if there is self._marks and path_there == path:
            return
        first = f"{there.path}, line {there.place(path_there).line}"
        if first != f"{self._marks.path}, line {self._marks.place(path).line}":
            hint = f"it is in {first}; give one of them another name"
            self.problem(path, "TF284", f'there is another experiment "{name}"', hint)

    def digest(self, *parts: bytes) -> str:
        """A short name for exactly these bytes, and for what the defined names in them come to."""
        definitions = self._known.definitions
        named = {
            name.decode() for part in parts if definitions for name in re.findall(rb"[A-Za-z_][A-Za-z0-9_]*", part)
        }
        meant = [definitions[name].meaning.encode() for name in sorted(named & definitions.keys())]
        return blake2b(b"\0".join([*parts, *meant]), digest_size=6).hexdigest()

    def values(self, forms: Mapping[str, Any], path: Path) -> dict[str, Any]:
        """Values as written, and those that are worked out when they are needed."""
        made: dict[str, Any] = {}
        for name, form in forms.items():
            if isinstance(form, ComputedForm):
                made[name] = self.computed(form.value, (*path, name, "value"))
            else:
                made[name] = form
        return made

    def computed(self, text: str, path: Path) -> Computed:
        """A value that is worked out when it is needed."""
        try:
            function, activities = compile_value(text, self._known.scope())
        except Faulty as faulty:
            self._report(faulty, path)
            return Computed(text, _nothing)
        self._remember(activities)
        return Computed(text, function)

    def condition(self, form: str | ConditionForm | None, path: Path, *, has_event: bool = True) -> Condition | None:
        """The compiled condition; with a problem for each fault of each of its texts."""
        if form is None:
            return None
        segments = self._known.segments_so_far()
        text = msgspec.json.encode(form)
        key = (self._marks.path, path, has_event, segments, text)
        condition = self._known.compiled.get(key)
        if condition is None:
            condition = self._compile(form, path, self._known.scope(segments, has_event=has_event), text)
            if condition is None:
                return None
            self._known.compiled[key] = condition
        self._remember(condition.activities)
        return condition

    def is_sound(self, form: str | ConditionForm, path: Path, segments: Collection[str]) -> bool:
        """Whether this is a value, or conditions, for which there is a use; with a problem for each fault."""
        scope = self._known.scope(segments)
        if isinstance(form, ConditionForm):
            return self._compile(form, path, scope) is not None
        try:
            compile_value(form, scope)
        except Faulty as faulty:
            self._report(faulty, path)
            return False
        return True

    def _compile(self, form: str | ConditionForm, path: Path, scope: Scope, text: bytes = b"") -> Condition | None:
        """The condition, perhaps as an earlier load found a form with this text."""
        recall = self._known.recall if text else None
        try:
            if recall is not None:
                return recall.condition(
                    text, self._known.frame, scope, lambda: read_condition(_tree(form, path), scope)
                )
            return compile_condition(_tree(form, path), scope)
        except Faulty as faulty:
            self._report(faulty, path)
            return None

    def _remember(self, activities: Sequence[Activity]) -> None:
        for activity in activities:
            self._known.activities.setdefault(activity.key, activity)

    def _report(self, faulty: Faulty, path: Path) -> None:
        for fault in faulty.faults:
            problem = self._marks.problem(
                fault.path or path,
                fault.code,
                fault.sentence,
                hint=fault.hint,
                offset=fault.offset,
                width=fault.width,
            )
            self._known.problems.append(problem)


def _tree(form: str | ConditionForm, path: Path) -> Tree:
    """The texts of a condition, and where they stand."""
    if isinstance(form, str):
        return Tree(form, path=path)
    made = {
        word: tuple(_tree(part, (*path, word, place)) for place, part in enumerate(listed))
        for word, listed in (("all", form.all), ("any", form.any), ("none", form.none))
        if listed is not None
    }
    if len(made) == 1:
        return Tree(all=made.get("all"), any=made.get("any"), none=made.get("none"))
    trees = {"all": Tree(all=made.get("all")), "any": Tree(any=made.get("any")), "none": Tree(none=made.get("none"))}
    return Tree(all=tuple(trees[word] for word in made))


def _nothing(view: object) -> None:
    """What stands for a value that could not be compiled; a rulebook with a problem is never used."""
