"""The EventLog for tests and trials: a list."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from triggerfish.clock import Instant
from triggerfish.log import Arrival, Entry, Position
from triggerfish.quarantine import Aside, Counted, Key, add_up


class MemoryEventLog:
    """An EventLog that forgets when the process ends. `aside` and `counted` are what the quarantine would hold."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self.aside: list[Aside] = []
        self.counted: dict[Key, Counted] = {}

    async def append(self, arrivals: Sequence[Arrival], aside: Sequence[Aside] = ()) -> None:
        _, newest = self.head()
        for event, received_at in arrivals:
            newest = max(newest, received_at)
            self._entries.append(Entry(len(self._entries) + 1, newest, event))
        self.aside += aside

    def check_room(self) -> None:
        """There always is."""

    def note(self, counts: Sequence[Counted]) -> None:
        add_up(self.counted, counts)

    def read(self, after: Position, limit: int) -> list[Entry]:
        start = bisect_right(self._entries, after, key=lambda entry: entry.position)
        return self._entries[start : start + limit]

    def at(self, positions: Sequence[Position]) -> list[Entry]:
        return [
            self._entries[position - 1] for position in sorted(set(positions)) if 0 < position <= len(self._entries)
        ]

    def head(self) -> tuple[Position, Instant]:
        return (self._entries[-1].position, self._entries[-1].received_at) if self._entries else (0, 0)

    def close(self) -> None:
        """Nothing is held."""
