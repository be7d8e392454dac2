"""Room 4. Segments: which a profile is in at an instant, what it entered or left, and when that can next change."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b
from typing import Literal

from msgspec import Struct

from triggerfish.activity import Activity
from triggerfish.clock import Instant
from triggerfish.conditions import NEVER, Condition, View
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
        self.version = _version(segments)
        self._places = {segment.name: place for place, segment in enumerate(segments)}
        self._rank = {segment.name: segment.rank for segment in segments}
        self._taken_by = {segment.name for segment in segments if segment.is_exclusive}
        self._readers: dict[str, list[str]] = {}
        for segment in segments:
            for activity in () if segment.when is None else segment.when.activities:
                self._readers.setdefault(activity.key, []).append(segment.name)

    def settle(
        self, profile: Profile, now: Instant, zones: Zones, counted: Collection[Activity] | None = None
    ) -> list[Move]:
        """Bring a copy's memberships up to `now` and note when to look again. Gives what was left, then entered.

        `counted` are the activities that an event added to, when nothing else can have changed but by time: then, until
        `recheck_at`, only the segments that read them are looked at, and those behind the first that changes. None
        looks at all.
        """
        before, recheck_at = profile.memberships, profile.recheck_at
        is_open = counted is None or (recheck_at is not None and recheck_at <= now)
        readers = set() if counted is None else {name for each in counted for name in self._readers.get(each.key, ())}
        if not is_open and not readers:
            return []
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
            elif is_open or name in readers:
                is_in, at = segment.when.root.look(view, soonest)
                soonest = min(soonest, at)
            else:
                is_in = was_in
            if is_in:
                after[name] = before[name] if was_in else now
                if parent is not None and parent in self._taken_by:
                    taken.add(parent)
            is_open = is_open or is_in is not was_in
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


def _version(segments: Sequence[Segment]) -> str:
    """A short name for exactly these definitions."""
    told = [
        (each.name, each.parent, each.is_exclusive, "" if each.when is None else each.when.meaning or each.when.text)
        for each in segments
    ]
    return blake2b(repr(told).encode(), digest_size=6).hexdigest()


def ranked(segments: Sequence[Segment]) -> list[str]:
    """Names, the most telling first: highest priority, then deepest, then first in the file."""
    order = sorted(enumerate(segments), key=lambda item: (-item[1].priority, -item[1].depth, item[0]))
    return [segment.name for _, segment in order]
