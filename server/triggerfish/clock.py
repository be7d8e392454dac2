"""Time as the rooms see it: an instant is a whole number of milliseconds since 1970-01-01 UTC.

No room reads a clock: instants come in as arguments. The edges get theirs from a `Clock`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

Instant = int
"""Milliseconds since 1970-01-01T00:00:00Z."""

Millis = int
"""A length of time in milliseconds."""

SECOND: Millis = 1_000
MINUTE: Millis = 60 * SECOND
HOUR: Millis = 60 * MINUTE
DAY: Millis = 24 * HOUR
WEEK: Millis = 7 * DAY

_UNITS: dict[str, Millis] = {
    "ms": 1, "millisecond": 1, "milliseconds": 1,
    "s": SECOND, "sec": SECOND, "second": SECOND, "seconds": SECOND,
    "m": MINUTE, "min": MINUTE, "minute": MINUTE, "minutes": MINUTE,
    "h": HOUR, "hour": HOUR, "hours": HOUR,
    "d": DAY, "day": DAY, "days": DAY,
    "w": WEEK, "week": WEEK, "weeks": WEEK,
}  # fmt: skip
_DURATION = re.compile(r"\s*(\d{1,9}(?:\.\d{1,3})?)\s*([a-z]+)\s*")
_LONGEST: Millis = 3_660 * DAY


def parse_duration(text: str) -> Millis:
    """`"30 minutes"`, `"7d"`, `"1h 30m"` as milliseconds, more than zero and at most ten years.

    Raises ValueError with a sentence for a marketer when the text is no duration.
    """
    total, at = 0.0, 0
    while at < len(text):
        found = _DURATION.match(text.lower(), at)
        if not found or found[2] not in _UNITS:
            raise ValueError(f'"{text}" is no length of time; write it like "30 minutes", "12h" or "7 days"')
        total += float(found[1]) * _UNITS[found[2]]
        at = found.end()
    if not 0 < total <= _LONGEST:
        raise ValueError(f'"{text}" is out of range; a length of time is more than zero and at most ten years')
    return round(total)


def say_duration(length: Millis) -> str:
    """`1800000` as `"30 minutes"`: the two largest units, in words."""
    parts = []
    rest = length
    for word, unit in (("day", DAY), ("hour", HOUR), ("minute", MINUTE), ("second", SECOND)):
        count, rest = divmod(rest, unit)
        if count:
            parts.append(f"{count} {word}{'s' if count != 1 else ''}")
    return " ".join(parts[:2]) or "0 seconds"


def to_iso(instant: Instant) -> str:
    """An instant as RFC 3339 text in UTC with milliseconds: `2026-01-31T09:00:00.000Z`."""
    return to_datetime(instant).isoformat(timespec="milliseconds")[: -len("+00:00")] + "Z"


def to_datetime(instant: Instant) -> datetime:
    """An instant as an aware datetime in UTC."""
    return EPOCH + timedelta(milliseconds=instant)


def from_datetime(when: datetime) -> Instant:
    """An aware datetime as an instant (microseconds are cut off)."""
    since = when - EPOCH
    return since.days * DAY + since.seconds * SECOND + since.microseconds // 1_000


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def within(seconds: float) -> Callable[[], bool]:
    """For work that must end: asks whether so many seconds have passed since this was made."""
    until = time.monotonic() + seconds
    return lambda: time.monotonic() > until


class Clock(Protocol):
    """Where the edges get `now` from."""

    def now(self) -> Instant:
        """The instant by which waits, windows and quiet hours go."""
        ...

    def wall(self) -> Instant:
        """The machine's time: when a request arrived, whatever `now` shows."""
        ...

    def done_at(self, due_at: Instant) -> Instant:
        """The instant to note for what is done now and was due at `due_at`."""
        ...

    def wall_of(self, instant: Instant) -> Instant | None:
        """The machine's time at which `now` will be `instant` (or was); None when only events can take it there."""
        ...

    def receipt_of(self, event_time: Instant, arrived_at: Instant) -> Instant:
        """The instant of receipt to note in the log for an event of `event_time` that arrived at `arrived_at`."""
        ...


class WallClock:
    """The machine's clock."""

    def now(self) -> Instant:
        return time.time_ns() // 1_000_000

    def wall(self) -> Instant:
        return time.time_ns() // 1_000_000

    def done_at(self, due_at: Instant) -> Instant:
        return self.now()

    def wall_of(self, instant: Instant) -> Instant | None:
        return instant

    def receipt_of(self, event_time: Instant, arrived_at: Instant) -> Instant:
        return arrived_at


class EventClock:
    """The demo's clock: it shows the time of the newest event until the events have caught up with `since`, an instant
    on the machine's clock (when the demo began); from then on it is the machine's clock.
    """

    def __init__(self, since: Instant, newest: Callable[[], Instant]) -> None:
        self._since = since
        self._newest = newest
        self._wall = WallClock()
        self._is_level = False

    def now(self) -> Instant:
        return self._wall.now() if self.has_caught_up() else self._newest()

    def wall(self) -> Instant:
        return self._wall.wall()

    def done_at(self, due_at: Instant) -> Instant:
        """What was due before the demo began was done in time."""
        return due_at if due_at < self._since else self.now()

    def wall_of(self, instant: Instant) -> Instant | None:
        return instant if self.has_caught_up() or instant <= self._newest() else None

    def receipt_of(self, event_time: Instant, arrived_at: Instant) -> Instant:
        """Until the events have caught up, an event is received when it happened."""
        return arrived_at if self.has_caught_up() else event_time

    def has_caught_up(self) -> bool:
        """Whether it is the machine's clock by now. Once true, it stays so: the newest event never gets older."""
        self._is_level = self._is_level or self._newest() >= self._since
        return self._is_level
