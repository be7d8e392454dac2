"""Room 4. Segments: which a profile is in at an instant, what it entered or left, and when that can next change."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Literal

from msgspec import Struct

from triggerfish.activity import Tally
from triggerfish.clock import Instant, Millis
from triggerfish.conditions import Change, Condition, Elapsed, View
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
        self._rank = {segment.name: segment.rank for segment in segments}
        self._taken_by = {segment.name for segment in segments if segment.is_exclusive}
        changes = {change for segment in segments if segment.when is not None for change in segment.when.changes}
        self._elapsed = _delays(changes)
        self._others = [change for change in changes if not isinstance(change, Elapsed)]

    def settle(self, profile: Profile, now: Instant, zones: Zones) -> list[Move]:
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
        left = [Move(name, "left") for name in before if name not in after]
        return left + [Move(name, "entered") for name in after if name not in before]

    def primary(self, memberships: Mapping[str, Instant]) -> str | None:
        """The one segment that speaks for the person."""
        known = [name for name in memberships if name in self._rank]
        return min(known, key=self._rank.__getitem__, default=None)

    def _next_change(self, view: View) -> Instant | None:
        """The next instant at which any segment can change, should nothing happen."""
        instants = [change.next(view) for change in self._others]
        activity, now = view.profile.activity, view.now
        for key, delays in self._elapsed:
            state = activity.get(key)
            if isinstance(state, Tally) and state.last_at is not None:
                place = bisect_right(delays, now - state.last_at)
                if place < len(delays):
                    instants.append(state.last_at + delays[place])
        return min((instant for instant in instants if instant is not None), default=None)


def _version(segments: Sequence[Segment]) -> str:
    """A short name for exactly these definitions."""
    told = [
        (each.name, each.parent, each.is_exclusive, "" if each.when is None else each.when.text) for each in segments
    ]
    return blake2b(repr(told).encode(), digest_size=6).hexdigest()


def _delays(changes: Iterable[Change]) -> list[tuple[str, list[Millis]]]:
    """By activity, the ages of its newest event at which something changes, ascending: the first that is to come is
    all that needs to be known, however many segments look at it.
    """
    delays: dict[str, set[Millis]] = {}
    for change in changes:
        if isinstance(change, Elapsed):
            delays.setdefault(change.activity.key, set()).add(change.delay)
    return [(key, sorted(each)) for key, each in delays.items()]


def ranked(segments: Sequence[Segment]) -> list[str]:
    """Names, the most telling first: highest priority, then deepest, then first in the file."""
    order = sorted(enumerate(segments), key=lambda item: (-item[1].priority, -item[1].depth, item[0]))
    return [segment.name for _, segment in order]
