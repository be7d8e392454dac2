"""Room 4. Segments: which a profile is in at an instant, what it entered or left, and when that can next change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from triggerfish.clock import Instant
from triggerfish.conditions import Condition, View
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


class Change(Struct, frozen=True):
    segment: str
    what: Literal["entered", "left"]


class SegmentTree:
    """All segments, in the order in which they are looked at: parents before children, file order; within an exclusive
    parent the highest priority first, and the first child that holds takes the place.
    """

    def __init__(self, segments: Sequence[Segment] = ()) -> None:
        self.segments = tuple(segments)
        self._rank = {segment.name: segment.rank for segment in segments}
        self._taken_by = {segment.name for segment in segments if segment.is_exclusive}
        self._changes = _distinct_changes(segments)

    def settle(self, profile: Profile, now: Instant, zones: Zones) -> list[Change]:
        """Bring a copy's memberships up to `now` and note when to look again. Gives what was left, then entered."""
        before = profile.memberships
        after: dict[str, Instant] = {}
        view = View(profile, now, zones, segments=after)
        taken: set[str] = set()
        for segment in self.segments:
            parent = segment.parent
            if parent is not None and (parent not in after or parent in taken):
                continue
            if segment.when is None or segment.when.holds(view):
                after[segment.name] = before.get(segment.name, now)
                if parent in self._taken_by and parent is not None:
                    taken.add(parent)
        profile.recheck_at = self._next_change(view)
        if after.keys() == before.keys():
            return []
        profile.memberships = after
        left = [Change(name, "left") for name in before if name not in after]
        return left + [Change(name, "entered") for name in after if name not in before]

    def primary(self, memberships: Mapping[str, Instant]) -> str | None:
        """The one segment that speaks for the person."""
        known = [name for name in memberships if name in self._rank]
        return min(known, key=self._rank.__getitem__, default=None)

    def _next_change(self, view: View) -> Instant | None:
        soonest: Instant | None = None
        for change in self._changes:
            at = change(view)
            if at is not None and (soonest is None or at < soonest):
                soonest = at
        return soonest


def _distinct_changes(segments: Sequence[Segment]) -> tuple[Callable[[View], Instant | None], ...]:
    """What can change with time alone; segments that look at the same thing share it."""
    distinct = {}
    for segment in segments:
        if segment.when is not None:
            distinct.update(dict(segment.when.changes))
    return tuple(distinct.values())


def ranked(segments: Sequence[Segment]) -> list[str]:
    """Names, the most telling first: highest priority, then deepest, then first in the file."""
    order = sorted(enumerate(segments), key=lambda item: (-item[1].priority, -item[1].depth, item[0]))
    return [segment.name for _, segment in order]
