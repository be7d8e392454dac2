"""Room 4. Segments: which a profile is in at an instant, what it entered or left, and when that can next change."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from hashlib import blake2b
from itertools import chain
from typing import Literal

from msgspec import Struct

from triggerfish.activity import Activity
from triggerfish.clock import Instant
from triggerfish.conditions import ANY_SEGMENT, NEVER, Condition, Late, Look, Turning, View, made
from triggerfish.profile import Profile
from triggerfish.zones import Zones


class Segment(Struct, frozen=True):
    """A segment as compiled. `parent` comes before it in `SegmentTree.segments`; `rank` orders for the primary one:
    highest priority, then deepest, then first in the file.
    """

    name: str
    when: Condition | None = None
    priority: int = 0
    parent: str | None = None
    is_exclusive: bool = False
    depth: int = 0
    rank: int = 0
    description: str = ""


Marks = bytes
"""Some segments of a tree: 1 at the place of each; none at all: empty."""


def either(one: Marks, other: Marks) -> Marks:
    """The segments of both."""
    if not one or not other:
        return one or other
    return (int.from_bytes(one) | int.from_bytes(other)).to_bytes(len(one))


_Row = tuple[str, str | None, tuple[str, ...], Callable[[View, Instant], Look] | None, bool, tuple[int, ...]]
"""What settling goes by: a segment's name, its parent, its rivals (those whose members cannot be in this one), how to
look at its condition, whether that looks at all segments before it, and what hangs on it: the places of those that are
to be looked at when this one changes.
"""


class Move(Struct, frozen=True):
    segment: str
    what: Literal["entered", "left"]


class SegmentTree:
    """All segments, in the order in which they are looked at: parents before children, file order; within an exclusive
    parent the highest priority first, and the first child that holds takes the place.
    """

    def __init__(self, segments: Sequence[Segment] = ()) -> None:
        self.segments = tuple(segments)
        self._places = {segment.name: place for place, segment in enumerate(segments)}
        self._rank = {segment.name: segment.rank for segment in segments}
        self._taken_by = {segment.name for segment in segments if segment.is_exclusive}
        self._of_activities: dict[str, list[int]] = {}
        of_traits: dict[str, list[int]] = {}
        for place, segment in enumerate(segments):
            for activity in () if segment.when is None else segment.when.activities:
                self._of_activities.setdefault(activity.key, []).append(place)
            for trait in () if segment.when is None else segment.when.traits:
                of_traits.setdefault(trait, []).append(place)
        changes = [() if segment.when is None else segment.when.changes for segment in segments]
        self._of_traits = {trait: self._marked(places) for trait, places in of_traits.items()}
        self.everything = self._marked(range(len(segments)))
        self.timed = self._marked(place for place, found in enumerate(changes) if found)
        """Those that time alone can change."""
        self.local = self._marked(
            place for place, found in enumerate(changes) if any(isinstance(change, Turning) for change in found)
        )
        """Those that the person's time zone can change."""
        # By each segment those before it that its members hang on directly, and the other way round.
        self._behind: dict[str, list[str]] = {}
        hanging: dict[str, list[int]] = {}
        rivals: dict[str, list[str]] = {}
        own_rivals: list[tuple[str, ...]] = []
        for place, segment in enumerate(segments):
            asked = frozenset[str]() if segment.when is None else segment.when.segments
            if ANY_SEGMENT in asked:
                asked = frozenset(each.name for each in segments[:place])
            behind = sorted(name for name in asked if self._places.get(name, place) < place)
            if segment.parent is not None:
                behind.append(segment.parent)
            own_rivals.append(())
            if segment.parent is not None and segment.parent in self._taken_by:
                others = rivals.setdefault(segment.parent, [])
                own_rivals[-1] = tuple(others)
                behind += others
                others.append(segment.name)
            self._behind[segment.name] = behind
            for name in behind:
                hanging.setdefault(name, []).append(place)
        self._rows: list[_Row] = [
            (
                segment.name,
                segment.parent,
                own_rivals[place],
                None if segment.when is None else segment.when.look,
                segment.when is not None and ANY_SEGMENT in segment.when.segments,
                tuple(dict.fromkeys(hanging.get(segment.name, ()))),
            )
            for place, segment in enumerate(segments)
        ]

    def readers(self, activities: Collection[Activity]) -> Marks:
        """Those that read any of these activities."""
        return self._marked(chain(*(self._of_activities.get(activity.key, ()) for activity in activities)))

    def readers_of_traits(self, names: Collection[str]) -> Marks:
        """Those that read any of these traits."""
        marks = b""
        for name in names:
            marks = either(marks, self._of_traits.get(name, b""))
        return marks

    def marks(self, names: Collection[str]) -> Marks:
        """These, as far as they are there."""
        return self._marked(self._places[name] for name in names if name in self._places)

    def named(self, marks: Marks) -> set[str]:
        """The names of these."""
        return {segment.name for segment, mark in zip(self.segments, marks, strict=False) if mark}

    def _marked(self, places: Iterable[int]) -> Marks:
        marks = bytearray(len(self.segments))
        for place in places:
            marks[place] = 1
        return bytes(marks) if 1 in marks else b""

    def fingerprints(self, time_zone: str) -> dict[str, str]:
        """By the name of each segment, a short name for its own definition, where people are in this time zone unless
        they have their own: while nobody moves in or out of those that it hangs on, equal ones have equal members.
        """
        told = {}
        for segment in self.segments:
            when = segment.when
            asked = () if when is None else (when.meaning or when.text, sorted(each.key for each in when.activities))
            is_local = when is not None and any(isinstance(change, Turning) for change in when.changes)
            own = (segment.name, segment.parent, segment.parent in self._taken_by, self._behind[segment.name], asked)
            text = repr((own, time_zone if is_local else ""))
            told[segment.name] = blake2b(text.encode(), digest_size=12).hexdigest()
        return told

    def settle(self, profile: Profile, now: Instant, zones: Zones, asked: Marks | None = None) -> list[Move]:
        """Bring a copy's memberships up to `now` and note when to look again. Gives what was left, then entered.

        `asked` marks segments, when nothing else can have changed but by time: then only they are looked at, and what
        hangs on those that change; with them, once `recheck_at` has come, those that time can change. None looks at
        all.
        """
        before, recheck_at = profile.memberships, profile.recheck_at
        if asked is None:
            asked, soonest = self.everything, NEVER
        elif recheck_at is None:
            soonest = NEVER
        elif recheck_at > now:
            soonest = recheck_at
        else:
            asked, soonest = either(asked, self.timed), NEVER
        is_known = before.keys() <= self._places.keys()
        if not asked and is_known:
            profile.recheck_at = None if soonest == NEVER else soonest
            return []
        after = before
        if not is_known:
            # The rulebook has no such segment any more.
            after = {name: since for name, since in before.items() if name in self._places}
        view = View(profile, now, zones, segments=after)
        marks, rows = bytearray(asked), self._rows
        place = marks.find(1)
        while place >= 0:
            name, parent, rivals, look, sees_all, hanging = rows[place]
            was_in = name in after
            if (parent is not None and parent not in after) or (rivals and not after.keys().isdisjoint(rivals)):
                is_in = False
            elif look is None:
                is_in = True
            else:
                if type(look) is Late:
                    look = made(look)
                    rows[place] = (name, parent, rivals, look, sees_all, hanging)
                if sees_all:
                    view.segments = {each: after[each] for each, *_ in rows[:place] if each in after}
                    is_in, at = look(view, soonest)
                    view.segments = after
                else:
                    is_in, at = look(view, soonest)
                if at < soonest:
                    soonest = at
            if is_in is not was_in:
                if after is before:
                    after = view.segments = before.copy()
                if is_in:
                    after[name] = now
                else:
                    del after[name]
                for each in hanging:
                    marks[each] = 1
            place = marks.find(1, place + 1)
        profile.recheck_at = None if soonest == NEVER else soonest
        if after is before or after.keys() == before.keys():
            return []
        places = self._places
        profile.memberships = {name: after[name] for name in sorted(after, key=places.__getitem__)}
        gone = [name for name in before if name not in after]
        left = [Move(name, "left") for name in sorted(gone, key=lambda name: places.get(name, -1))]
        return left + [Move(name, "entered") for name in profile.memberships if name not in before]

    def primary(self, memberships: Mapping[str, Instant]) -> str | None:
        """The one segment that speaks for the person."""
        known = [name for name in memberships if name in self._rank]
        return min(known, key=self._rank.__getitem__, default=None)


def ranked(segments: Sequence[Segment]) -> list[str]:
    """Names, the most telling first: highest priority, then deepest, then first in the file."""
    order = sorted(enumerate(segments), key=lambda item: (-item[1].priority, -item[1].depth, item[0]))
    return [segment.name for _, segment in order]
