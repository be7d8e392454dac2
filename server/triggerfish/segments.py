"""Room 4. Segments: which a profile is in at an instant, what it entered or left, and when that can next change."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b
from typing import Literal

from msgspec import Struct

from triggerfish.activity import Activity
from triggerfish.clock import Instant
from triggerfish.conditions import ANY_SEGMENT, NEVER, Condition, Turning, View
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
        self._readers: dict[str, list[str]] = {}
        for segment in segments:
            for activity in () if segment.when is None else segment.when.activities:
                self._readers.setdefault(activity.key, []).append(segment.name)
        # By each segment those before it that its members hang on directly, and the other way round.
        self._behind: dict[str, list[str]] = {}
        self._hanging: dict[str, set[str]] = {}
        rivals: dict[str, list[str]] = {}
        for place, segment in enumerate(segments):
            asked = frozenset[str]() if segment.when is None else segment.when.segments
            if ANY_SEGMENT in asked:
                asked = frozenset(each.name for each in segments[:place])
            behind = sorted(name for name in asked if self._places.get(name, place) < place)
            if segment.parent is not None:
                behind.append(segment.parent)
            if segment.parent is not None and segment.parent in self._taken_by:
                others = rivals.setdefault(segment.parent, [])
                behind += others
                others.append(segment.name)
            self._behind[segment.name] = behind
            for name in behind:
                self._hanging.setdefault(name, set()).add(segment.name)

    def readers(self, activities: Collection[Activity]) -> set[str]:
        """The names of the segments that read any of these activities."""
        return {name for activity in activities for name in self._readers.get(activity.key, ())}

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

    def settle(self, profile: Profile, now: Instant, zones: Zones, asked: Collection[str] | None = None) -> list[Move]:
        """Bring a copy's memberships up to `now` and note when to look again. Gives what was left, then entered.

        `asked` names segments, when of no other anything can have changed but by time: then, until `recheck_at`, only
        they are looked at, and what hangs on those that change. None looks at all.
        """
        before, recheck_at = profile.memberships, profile.recheck_at
        is_open = asked is None or (recheck_at is not None and recheck_at <= now)
        if not is_open and not asked and before.keys() <= self._places.keys():
            return []
        looked_at = set(asked or ())
        soonest = NEVER if is_open or recheck_at is None else recheck_at
        after: dict[str, Instant] = {}
        view = View(profile, now, zones, segments=after)
        taken: set[str] = set()
        for segment in self.segments:
            name, parent, was_in = segment.name, segment.parent, segment.name in before
            if parent is not None and (parent not in after or parent in taken):
                is_in = False
            elif segment.when is None:
                is_in = True
            elif is_open or name in looked_at:
                is_in, at = segment.when.root.look(view, soonest)
                soonest = min(soonest, at)
            else:
                is_in = was_in
            if is_in:
                after[name] = before[name] if was_in else now
                if parent is not None and parent in self._taken_by:
                    taken.add(parent)
            if is_in is not was_in and name in self._hanging:
                looked_at |= self._hanging[name]
        profile.recheck_at = None if soonest == NEVER else soonest
        if after.keys() == before.keys():
            return []
        profile.memberships = after
        gone = [name for name in before if name not in after]
        left = [Move(name, "left") for name in sorted(gone, key=lambda name: self._places.get(name, -1))]
        return left + [Move(name, "entered") for name in after if name not in before]

    def primary(self, memberships: Mapping[str, Instant]) -> str | None:
        """The one segment that speaks for the person."""
        known = [name for name in memberships if name in self._rank]
        return min(known, key=self._rank.__getitem__, default=None)


def ranked(segments: Sequence[Segment]) -> list[str]:
    """Names, the most telling first: highest priority, then deepest, then first in the file."""
    order = sorted(enumerate(segments), key=lambda item: (-item[1].priority, -item[1].depth, item[0]))
    return [segment.name for _, segment in order]
