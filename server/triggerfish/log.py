"""Room 2. The log: an append-only, ordered, durable record of events.

The api process appends, the worker reads after a position. `adapters/sqlite/log.py` is the embedded one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from triggerfish.clock import Instant
from triggerfish.errors import TriggerfishError
from triggerfish.ingest import Event
from triggerfish.quarantine import Aside, Counted

Position = int
"""A place in the log: 1 for the first event, growing, never used twice. 0 is before the first."""


Arrival = tuple[Event, Instant]
"""An event on its way into the log, with its instant of receipt."""


class Entry(Struct, frozen=True, gc=False):
    """An event as the log holds it. `received_at` is the instant at which the log took it; it never decreases."""

    position: Position
    received_at: Instant
    event: Event


class Queue(Struct, frozen=True):
    """What waits for the disk, and the most that may."""

    events: int
    bytes: int
    most_events: int
    most_bytes: int


class Unreadable(TriggerfishError):
    """An entry is there and cannot be decoded: the file is damaged at `position`."""

    code = "TF419"

    def __init__(self, position: Position, received_at: Instant) -> None:
        super().__init__(
            f"the event at position {position} of the log cannot be read: the file is damaged",
            hint="`triggerfish verify` lists all that is; a backup may have it whole",
        )
        self.position = position
        self.received_at = received_at


class EventLog(Protocol):
    """Append once, read after a position. `tests/contracts/event_log.py` says what every adapter must do."""

    async def append(self, arrivals: Sequence[Arrival], aside: Sequence[Aside] = ()) -> None:
        """Return once all events are on disk, in order and together, those in `aside` in the quarantine.

        An instant earlier than the newest entry's is raised to it, so that `received_at` never decreases. Appending
        nothing returns once the log has shown that it can write.
        Raises Busy when too many events wait already, Unavailable when the disk refuses, and Refused (TF119) when the
        quarantine is full; then none is stored.
        """
        ...

    def check_room(self) -> None:
        """Raises Busy when an append would: whoever asks first need not read what would be refused."""
        ...

    def note(self, counts: Sequence[Counted]) -> None:
        """Add to the counts of violations, within a second or so; returns at once. A crash may lose the last ones."""
        ...

    def read(self, after: Position, limit: int) -> list[Entry]:
        """At most `limit` entries with positions greater than `after`, in order; those before one that cannot be
        decoded. Raises Unreadable when that is the first.
        """
        ...

    def at(self, positions: Sequence[Position]) -> list[Entry]:
        """The entries at these positions, in order of position; those that do not exist, or cannot be decoded, are left
        out.
        """
        ...

    def head(self) -> tuple[Position, Instant]:
        """Position and `received_at` of the newest entry; (0, 0) in an empty log."""
        ...

    def close(self) -> None: ...
