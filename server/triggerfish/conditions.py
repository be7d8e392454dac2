"""Conditions, as the rooms see them: what a condition looks at (View) and what a compiled one is (Condition).

`rulefile/expressions.py` makes them from text. A condition is a tree of All, Some, Not over Tests; `holds` and `look`
are the whole tree as one Python function each. Semantics (docs/rules.md): a comparison with a missing value or of
unlike types is false; `not` is plain negation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct

from triggerfish.activity import Activity, Tally, Window
from triggerfish.clock import Instant, Millis
from triggerfish.ingest import Event
from triggerfish.profile import Profile
from triggerfish.traces import Distinct, Followed, Score, Unfollowed
from triggerfish.zones import Local, Zones

NUMBERS = frozenset({int, float})
"""The types that count as numbers; a boolean does not."""
NEVER: Instant = 2**63 - 1
"""The instant of what time alone does not change."""

ANY_SEGMENT = "*"
"""Stands for all segments, where a condition looks at them otherwise than by name."""

Look = tuple[bool, Instant]
"""Whether a condition holds, and an instant before which time alone cannot change that."""


class Late:
    """A function that is made when it is first called: of most of a large rulebook's conditions nobody ever asks for
    each part by itself.
    """

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], Callable[..., Any]]) -> None:
        self._make = make
        self._made: Callable[..., Any] | None = None

    def __call__(self, *given: Any) -> Any:
        return (self._made or self.made)(*given)

    @property
    def made(self) -> Callable[..., Any]:
        """The function itself, for whoever calls it often."""
        if self._made is None:
            self._made = self._make()
        return self._made


def made(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function itself, where it may be a Late one."""
    return function.made if isinstance(function, Late) else function


Primary = Callable[[Mapping[str, Instant]], str | None]
"""Tells of memberships which segment is the primary one."""


class View:
    """What a condition may look at: a profile at an instant, and the triggering event, if there is one."""

    __slots__ = (
        "_local", "_primary", "_segment", "_zones", "activity", "event", "now", "profile", "properties", "segments",
        "traits",
    )  # fmt: skip

    def __init__(
        self,
        profile: Profile,
        now: Instant,
        zones: Zones,
        *,
        event: Event | None = None,
        segments: Mapping[str, Instant] | None = None,
        segment: str | None = None,
        primary: Primary | None = None,
    ) -> None:
        self.profile = profile
        self.activity = profile.activity
        self.traits = profile.traits
        self.now = now
        self.event = event
        self.properties: dict[str, Any] = {} if event is None else event.properties
        self.segments = profile.memberships if segments is None else segments
        self._segment = segment
        self._primary = primary
        self._zones = zones
        self._local: Local | None = None

    @property
    def segment(self) -> str | None:
        """The primary segment: as given, or worked out when it is asked for."""
        if self._primary is not None:
            self._segment, self._primary = self._primary(self.segments), None
        return self._segment

    @property
    def local(self) -> Local:
        if self._local is None:
            self._local = Local(self.now, self._zones.of(self.profile.time_zone))
        return self._local

    @property
    def context(self) -> dict[str, Any]:
        return {} if self.event is None else self.event.context


class Elapsed(Struct, frozen=True):
    """A test changes when `delay` has passed since the newest event of an activity."""

    activity: Activity
    delay: Millis

    def next(self, view: View) -> Instant | None:
        """The next instant after now at which it changes, should nothing happen."""
        state = view.activity.get(self.activity.key)
        if type(state) is not Tally or state.last_at is None:
            return None
        at = state.last_at + self.delay
        return at if at > view.now else None


class Leaving(Struct, frozen=True):
    """A test changes when the oldest event (or value) leaves an activity's window."""

    activity: Activity

    def next(self, view: View) -> Instant | None:
        activity = self.activity
        state, window = view.activity.get(activity.key), activity.window
        if window is None or not (type(state) is Window or type(state) is Distinct):
            return None
        oldest = state.oldest_since(view.now - window)
        return None if oldest is None else oldest + window


class Fading(Struct, frozen=True):
    """A test changes when a score reaches or passes a bound, or leaves it."""

    activity: Activity
    bound: float

    def next(self, view: View) -> Instant | None:
        state = view.activity.get(self.activity.key)
        return state.crosses(self.bound, view.now) if type(state) is Score else None


class Following(Struct, frozen=True):
    """A test changes when the time for a sequence's second event is over, or when the sequence leaves its window."""

    activity: Activity

    def next(self, view: View) -> Instant | None:
        state = view.activity.get(self.activity.key)
        if type(state) is Followed or type(state) is Unfollowed:
            return state.turns(view.now, self.activity.window)
        return None


class Turning(Struct, frozen=True):
    """A test changes with the person's local hour or day."""

    what: Literal["hour", "day"]

    def next(self, view: View) -> Instant | None:
        return view.local.next_hour() if self.what == "hour" else view.local.next_day()


Change = Elapsed | Leaving | Fading | Following | Turning
"""What time alone can change."""


class Test(Struct, frozen=True):
    """A leaf of a condition: something that is true or false by itself.

    `value` gives what it looks at (for explanations, and for the rule engine's network); when the test is a plain
    comparison of that value with a constant, `operator` and `bound` say so, else they are None.
    `changes` are what time alone can change about it. `code` and `value_code` are the Python of `holds` and `value`.
    Within a rulebook two tests with one `text` are the same test, and two values with one `value_key` the same value.
    """

    text: str
    holds: Callable[[View], bool]
    value: Callable[[View], Any] | None = None
    value_key: str = ""
    operator: Literal["==", "!=", "<", "<=", ">", ">="] | None = None
    bound: int | float | str | bool | None = None
    changes: tuple[Change, ...] = ()
    code: str = ""
    value_code: str = "None"


class All(Struct, frozen=True):
    parts: tuple[Node, ...]


class Some(Struct, frozen=True):
    """At least one of the parts."""

    parts: tuple[Node, ...]


class Not(Struct, frozen=True):
    part: Node


Node = Test | All | Some | Not


def leaves_of(node: Node) -> Iterator[Test]:
    """The tests of a tree, from left to right."""
    match node:
        case Test():
            yield node
        case Not(part=part):
            yield from leaves_of(part)
        case All(parts=parts) | Some(parts=parts):
            for part in parts:
                yield from leaves_of(part)


class Condition(Struct, frozen=True):
    """A compiled condition. `text` is how it was written; `meaning` is the same for conditions that say the same: it,
    and what the names in it are defined as. `segments` are those that it asks for (ANY_SEGMENT: maybe all), `traits`
    the names of those.

    `look(view, enough)` tells more than `holds(view)`. It need not look further than `enough`: its instant may be any
    later one, should it be later. `because(view)` gives what `findings(explain(root, view))` does, in less time.
    """

    text: str
    root: Node
    holds: Callable[[View], bool]
    look: Callable[[View, Instant], Look]
    because: Callable[[View], dict[str, Any]]
    activities: tuple[Activity, ...] = ()
    changes: tuple[Change, ...] = ()
    names: frozenset[str] = frozenset()
    meaning: str = ""
    segments: frozenset[str] = frozenset()
    traits: frozenset[str] = frozenset()


class Finding(Struct, frozen=True):
    """Why a condition held or did not: the tree with each leaf's actual value."""

    text: str
    holds: bool
    value: Any = None
    parts: tuple[Finding, ...] = ()


def explain(node: Node, view: View) -> Finding:
    """The condition's tree at this view. It agrees with `holds` (a property test checks it)."""
    match node:
        case Test():
            return Finding(node.text, node.holds(view), None if node.value is None else node.value(view))
        case All():
            parts = tuple(explain(part, view) for part in node.parts)
            return Finding("all of", all(part.holds for part in parts), None, parts)
        case Some():
            parts = tuple(explain(part, view) for part in node.parts)
            return Finding("any of", any(part.holds for part in parts), None, parts)
        case Not():
            inner = explain(node.part, view)
            return Finding("not", not inner.holds, None, (inner,))


def findings(finding: Finding) -> dict[str, Any]:
    """A finding as plain data for the timeline."""
    told: dict[str, Any] = {"condition": finding.text, "holds": finding.holds}
    if finding.parts:
        told["parts"] = [findings(part) for part in finding.parts]
    elif finding.value is not None:
        told["value"] = sayable(finding.value)
    return told


PLAIN = frozenset({int, float, str, bool})
"""The types of values that timelines keep as they are."""


def sayable(value: Any) -> Any:
    """A value as timelines keep it."""
    return value if isinstance(value, int | float | str | bool) else str(value)


def first_failed(finding: Finding) -> str:
    """The first leaf that kept a condition from holding, with what it saw."""
    if finding.text == "not":
        return f"not {finding.parts[0].text}"
    for part in finding.parts:
        if not part.holds and finding.text == "all of":
            return first_failed(part)
    if finding.value is None or isinstance(finding.value, bool):
        return finding.text
    return f"{finding.text} (it is {finding.value!r})"


# What compiled conditions call, besides figures.py. Each takes and gives plain values; None is "missing".


def dig(value: Any, path: tuple[str, ...]) -> Any:
    """The value at a path within nested objects, or None."""
    for name in path:
        if type(value) is not dict:
            return None
        value = value.get(name)
    return value


def alike(left: Any, right: Any) -> bool:
    """Whether two values may be compared: both numbers, both text, or both booleans."""
    if type(left) in NUMBERS:
        return type(right) in NUMBERS
    return type(left) is type(right) and type(left) in (str, bool)


def ordered(left: Any, right: Any) -> bool:
    """Whether two values have an order: both numbers or both text."""
    return (type(left) in NUMBERS and type(right) in NUMBERS) or (type(left) is str and type(right) is str)


class Items:
    """The items of a list that a rule file writes, to be looked up however many there are. Unlike types are never
    equal: text, numbers and booleans are kept apart.
    """

    __slots__ = ("_numbers", "_texts", "_truths", "given")

    def __init__(self, items: Iterable[str | int | float | bool]) -> None:
        self.given = tuple(items)
        self._texts = frozenset(item for item in self.given if type(item) is str)
        self._numbers = frozenset(item for item in self.given if type(item) in NUMBERS and item == item)
        self._truths = frozenset(item for item in self.given if type(item) is bool)

    def __contains__(self, value: Any) -> bool:
        kind = type(value)
        if kind is str:
            return value in self._texts
        return value in (self._truths if kind is bool else self._numbers) if kind in _LISTED else False


_LISTED = frozenset({bool, int, float})


def among(left: Any, right: Any) -> bool:
    """`left in right`: right is a list or set of values, or the segments. Unlike types are never equal."""
    if left is None or right is None:
        return False
    if type(right) is Items:
        return left in right
    if type(right) is list or type(right) is tuple:
        return any(alike(left, item) and left == item for item in right)
    return type(left) is str and isinstance(right, Mapping) and left in right


def beside(left: Any, right: Any) -> bool:
    """`left not in right`: there is a value and there is a list, and none of its items equals the value."""
    return left is not None and type(right) in _LISTS and not among(left, right)


_LISTS = (Items, list, tuple)


def plain(value: Any) -> Any:
    """A value as data that can be kept: a list instead of what only serves to look its items up."""
    return list(value.given) if type(value) is Items else value
