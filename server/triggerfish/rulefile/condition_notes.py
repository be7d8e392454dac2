"""Conditions as data, and back: what a condition looks at, its tree, what time alone changes; everything but functions.

Those of a condition that comes back are made of the rule file's own text, when somebody first asks for one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from msgspec import Struct

from triggerfish.activity import Activity, Kind, Pick
from triggerfish.conditions import (
    All,
    Change,
    Condition,
    Elapsed,
    Fading,
    Following,
    Late,
    Leaving,
    Node,
    Not,
    Some,
    Test,
    Turning,
    leaves_of,
    made,
)

_T = TypeVar("_T")


class ChangeNote(Struct, array_like=True, frozen=True, gc=False):
    """A Change: the name of its class, the place of its activity among the notes' (-1: none), its delay or bound, or
    what turns.
    """

    kind: str
    activity: int = -1
    number: int | float = 0
    what: str = ""


class TestNote(Struct, array_like=True, frozen=True, tag="test"):
    """A Test without its functions."""

    text: str
    has_value: bool
    value_key: str
    operator: Any
    bound: int | float | str | bool | None
    changes: tuple[ChangeNote, ...]


class JoinNote(Struct, array_like=True, frozen=True, tag="join"):
    """`word` is all, some or not."""

    word: str
    parts: tuple[TestNote | JoinNote, ...]


class ActivityNote(Struct, array_like=True, frozen=True):
    """An activity without its functions. `then` is the event of its Pick, and whether that has a filter."""

    key: str
    text: str
    event: str
    field: tuple[str, ...] | None
    window: int | None
    is_filtered: bool
    kind: Kind
    span: int
    then: tuple[str, bool] | None


class ConditionNote(Struct, array_like=True, frozen=True):
    """A condition without its functions. `uses` are the definitions that it names; they bring so many `parts`."""

    text: str
    meaning: str
    root: TestNote | JoinNote
    activities: tuple[int, ...]
    changes: tuple[ChangeNote, ...]
    names: tuple[str, ...]
    segments: tuple[str, ...]
    traits: tuple[str, ...]
    uses: tuple[str, ...]
    parts: int


class ConditionWriter:
    """Writes conditions down. `activities` are those that they share."""

    def __init__(self) -> None:
        self.activities: list[ActivityNote] = []
        self._places: dict[str, int] = {}

    def note(self, condition: Condition, uses: tuple[str, ...], parts: int) -> ConditionNote:
        return ConditionNote(
            text=condition.text,
            meaning=condition.meaning,
            root=self._node(condition.root),
            activities=tuple(self._place(activity) for activity in condition.activities),
            changes=self._changes(condition.changes),
            names=tuple(sorted(condition.names)),
            segments=tuple(sorted(condition.segments)),
            traits=tuple(sorted(condition.traits)),
            uses=uses,
            parts=parts,
        )

    def _node(self, node: Node) -> TestNote | JoinNote:
        match node:
            case Test():
                return TestNote(
                    node.text, node.value is not None, node.value_key, node.operator, node.bound,
                    self._changes(node.changes),
                )  # fmt: skip
            case All(parts=parts):
                return JoinNote("all", tuple(self._node(part) for part in parts))
            case Some(parts=parts):
                return JoinNote("some", tuple(self._node(part) for part in parts))
            case Not(part=part):
                return JoinNote("not", (self._node(part),))

    def _changes(self, changes: tuple[Change, ...]) -> tuple[ChangeNote, ...]:
        return tuple(self._change(change) for change in changes)

    def _change(self, change: Change) -> ChangeNote:
        match change:
            case Elapsed(activity=activity, delay=delay):
                return ChangeNote("elapsed", self._place(activity), delay)
            case Leaving(activity=activity):
                return ChangeNote("leaving", self._place(activity))
            case Fading(activity=activity, bound=bound):
                return ChangeNote("fading", self._place(activity), bound)
            case Following(activity=activity):
                return ChangeNote("following", self._place(activity))
            case Turning(what=what):
                return ChangeNote("turning", what=what)

    def _place(self, activity: Activity) -> int:
        place = self._places.get(activity.key)
        if place is None:
            place = self._places[activity.key] = len(self.activities)
            then = activity.then
            self.activities.append(
                ActivityNote(
                    activity.key,
                    activity.text,
                    activity.event,
                    activity.field,
                    activity.window,
                    activity.keeps is not None,
                    activity.kind,
                    activity.span,
                    None if then is None else (then.event, then.keeps is not None),
                )
            )
        return place


class _Again:
    """Makes the condition itself, once, when one of its functions is asked for."""

    __slots__ = ("_condition", "_leaves", "_make")

    def __init__(self, make: Callable[[], Condition]) -> None:
        self._make = make
        self._condition: Condition | None = None
        self._leaves: list[Test] = []

    def condition(self) -> Condition:
        if self._condition is None:
            self._condition = self._make()
            self._leaves = list(leaves_of(self._condition.root))
        return self._condition

    def leaf(self, place: int) -> Test:
        self.condition()
        return self._leaves[place]

    def activity(self, key: str) -> Activity:
        return next(activity for activity in self.condition().activities if activity.key == key)


class ConditionReader:
    """Makes conditions of notes. Equal activities of theirs are one."""

    def __init__(self, activities: list[ActivityNote]) -> None:
        self._notes = activities
        self._activities: list[Activity | None] = [None] * len(activities)

    def condition(self, note: ConditionNote, make: Callable[[], Condition]) -> Condition:
        """The condition that `make` makes; it is called when one of the functions is."""
        again = _Again(make)
        activities = tuple([self._activity(place, again) for place in note.activities])
        root, _ = self._node(note.root, again, 0)
        return Condition(
            text=note.text,
            root=root,
            holds=Late(lambda: made(again.condition().holds)),
            look=Late(lambda: made(again.condition().look)),
            because=Late(lambda: made(again.condition().because)),
            activities=activities,
            changes=self._changes(note.changes, again),
            names=frozenset(note.names),
            meaning=note.meaning,
            segments=frozenset(note.segments),
            traits=frozenset(note.traits),
        )

    def _node(self, note: TestNote | JoinNote, again: _Again, place: int) -> tuple[Node, int]:
        """The node, whose first leaf is the one at this place, and the place behind its last."""
        if isinstance(note, TestNote):
            test = Test(
                note.text,
                Late(lambda: made(again.leaf(place).holds)),
                Late(lambda: _value(again.leaf(place))) if note.has_value else None,
                note.value_key,
                note.operator,
                note.bound,
                self._changes(note.changes, again) if note.changes else (),
            )
            return test, place + 1
        parts = []
        for each in note.parts:
            part, place = self._node(each, again, place)
            parts.append(part)
        match note.word:
            case "all":
                return All(tuple(parts)), place
            case "some":
                return Some(tuple(parts)), place
        return Not(parts[0]), place

    def _changes(self, notes: tuple[ChangeNote, ...], again: _Again) -> tuple[Change, ...]:
        return tuple([self._change(note, again) for note in notes])

    def _change(self, note: ChangeNote, again: _Again) -> Change:
        if note.kind == "turning":
            return Turning("hour" if note.what == "hour" else "day")
        activity = self._activity(note.activity, again)
        match note.kind:
            case "elapsed":
                return Elapsed(activity, int(note.number))
            case "leaving":
                return Leaving(activity)
            case "fading":
                return Fading(activity, note.number)
        return Following(activity)

    def _activity(self, place: int, again: _Again) -> Activity:
        known = self._activities[place]
        if known is not None:
            return known
        note = self._notes[place]
        key, then = note.key, None
        if note.then is not None:
            event, is_filtered = note.then
            then = Pick(event, Late(lambda: _then(again.activity(key))) if is_filtered else None)
        activity = self._activities[place] = Activity(
            key, note.text, note.event, note.field, note.window,
            Late(lambda: _keeps(again.activity(key))) if note.is_filtered else None,
            note.kind, note.span, then,
        )  # fmt: skip
        return activity


def _value(test: Test) -> Callable[..., Any]:
    return made(_there(test.value))


def _keeps(activity: Activity) -> Callable[..., Any]:
    return made(_there(activity.keeps))


def _then(activity: Activity) -> Callable[..., Any]:
    return made(_there(_there(activity.then).keeps))


def _there(value: _T | None) -> _T:
    """What the note says is there."""
    if value is None:
        raise LookupError("a condition is not what was noted of it")
    return value
