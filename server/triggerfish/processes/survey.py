"""The log is read once to learn which events must be played together (rulefile/circles.py), and they are dealt out in
shards: whole circles, each shard a list of positions in a temporary file. Of the events themselves nothing is copied.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from struct import calcsize, iter_unpack, pack
from typing import Literal

from msgspec import Struct

from triggerfish.clock import Instant
from triggerfish.log import Entry, EventLog, Position
from triggerfish.rulefile.circles import Circles, Node

ClockName = Literal["received", "event"]
"""By which time events are played: when the log took them, or when they happened."""

READ = 5_000
"""Events read at a time."""
MOST_SHARDS = 512

Mark = tuple[Position, Instant, Node]
"""What is noted of an event."""

_FIELDS = "QqI"
_BLOCK_BYTES = 50_000 * calcsize(f"<{_FIELDS}")


class Shard(Struct, frozen=True):
    """Whole circles: a file of marks."""

    path: Path
    events: int


class Dealt(Struct, frozen=True):
    """All shards, the largest first; how many events there are in the period, and before it."""

    shards: list[Shard]
    events: int
    before: int


class Circle(Struct, frozen=True):
    """The events of people who may be one another, in the order in which they are played."""

    positions: list[Position]
    instants: list[Instant]


class Survey:
    """What a log holds. `first` and `last` are the instants of its first and last event, None when there are none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "survey"
        self._circles = Circles()
        self.first: Instant | None = None
        self.last: Instant | None = None

    def read(
        self, log: EventLog, clock: ClockName, until: Instant | None, on_progress: Callable[[int, int], None]
    ) -> None:
        """Read the log as it is now, but nothing from `until` on; `on_progress` gets the position reached and the last
        one.
        """
        head, _ = log.head()
        position = 0
        with self._path.open("wb") as stream:
            while position < head and (entries := log.read(position, READ)):
                position = entries[-1].position
                marks: list[Mark] = []
                for entry in entries:
                    at = at_of(entry, clock)
                    if entry.position > head or (until is not None and at >= until):
                        continue
                    marks.append((entry.position, at, self._circles.add(entry.event, entry.position)))
                stream.write(_packed(marks))
                if marks:
                    instants = [at for _, at, _ in marks]
                    self.first = min(instants) if self.first is None else min(self.first, *instants)
                    self.last = max(instants) if self.last is None else max(self.last, *instants)
                elif clock == "received":
                    break
                on_progress(min(position, head), head)
        self._circles.close()

    def deal(self, since: Instant, until: Instant, events_a_shard: int) -> Dealt:
        """Deal the events before `until` out into shards of about so many. May be done once."""
        sizes: Counter[Node] = Counter()
        before = 0
        for marks in _blocks(self._path):
            for _, at, node in marks:
                if at < until:
                    sizes[self._circles.circle(node)] += 1
                    before += at < since
        total = sizes.total()
        target = max(events_a_shard, total // MOST_SHARDS)
        shard_of = array("I", bytes(array("I").itemsize * len(self._circles)))
        counts = [0]
        for circle, size in sizes.items():
            if counts[-1] and counts[-1] + size > target:
                counts.append(0)
            counts[-1] += size
            shard_of[circle] = len(counts) - 1
        shards = [Shard(self._folder / f"shard{place}", count) for place, count in enumerate(counts)]
        for marks in _blocks(self._path):
            dealt: dict[int, list[Mark]] = {}
            for position, at, node in marks:
                if at < until:
                    circle = self._circles.circle(node)
                    dealt.setdefault(shard_of[circle], []).append((position, at, circle))
            for place, some in dealt.items():
                with shards[place].path.open("ab") as stream:
                    stream.write(_packed(some))
        self._path.unlink()
        return Dealt(sorted(shards, key=lambda shard: -shard.events), total - before, before)


def at_of(entry: Entry, clock: ClockName) -> Instant:
    """The instant at which an event is played."""
    return entry.received_at if clock == "received" else entry.event.timestamp


def circles_of(shard: Shard) -> list[Circle]:
    """The circles of a shard, whose file is gone after this."""
    found: dict[Node, list[tuple[Instant, Position]]] = {}
    for marks in _blocks(shard.path):
        for position, at, circle in marks:
            found.setdefault(circle, []).append((at, position))
    shard.path.unlink()
    circles = []
    for known in found.values():
        known.sort()
        circles.append(Circle([position for _, position in known], [at for at, _ in known]))
    return circles


def _packed(marks: list[Mark]) -> bytes:
    return pack(f"<{_FIELDS * len(marks)}", *chain.from_iterable(marks))


def _blocks(path: Path) -> Iterator[list[Mark]]:
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            yield list(iter_unpack(f"<{_FIELDS}", block))
