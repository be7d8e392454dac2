"""Local time: a person's wall clock at an instant, and the instant of a local time, through every change of the clocks.

Stated rules: a local time that a change of the clocks skips means the instant of the change; one that happens twice
means the first. So a daily time happens exactly once for every local day; one that is skipped at a day's very end
happens as the next day begins.
"""

from __future__ import annotations

import functools
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from triggerfish.clock import HOUR, MINUTE, Instant, from_datetime, to_datetime

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
ZONES_KEPT = 1_000
INSTANTS_KEPT = 8_192
"""Local times that stand ready as instants: a crowd asks for the same few (the end of the quiet hours) all day long."""


class Zones:
    """Time zones by name, with the one to take when a person's is unknown or misspelt."""

    def __init__(self, default: str = "UTC") -> None:
        self.default = ZoneInfo(default)
        self._known: dict[str, ZoneInfo] = {"": self.default}

    def of(self, name: str) -> ZoneInfo:
        known = self._known.get(name)
        if known is None:
            try:
                known = ZoneInfo(name)
            except (KeyError, ValueError, OSError):
                known = self.default
            if len(self._known) < ZONES_KEPT:
                self._known[name] = known
        return known


class Local:
    """A wall clock at an instant: hour 0 to 23, weekday in English, date as 2026-01-31."""

    def __init__(self, now: Instant, zone: ZoneInfo) -> None:
        self.now = now
        self.zone = zone
        self.when: datetime = to_datetime(now).astimezone(zone)

    @property
    def hour(self) -> int:
        return self.when.hour

    @property
    def weekday(self) -> str:
        return WEEKDAYS[self.when.weekday()]

    @property
    def date(self) -> str:
        return self.when.date().isoformat()

    def next_hour(self) -> Instant:
        """The next instant at which the hour may change."""
        past = self.when.minute * MINUTE + self.when.second * 1_000 + self.when.microsecond // 1_000
        return self.now - past + HOUR

    def next_day(self) -> Instant:
        """The instant at which the next local day begins."""
        return next_daily(self.now, 0, self.zone)


@functools.lru_cache(INSTANTS_KEPT)
def instant_of(day: date, minute: int, zone: ZoneInfo) -> Instant:
    """The instant of a local time, given as minutes after midnight of a local day."""
    wall = datetime.combine(day, datetime.min.time()) + timedelta(minutes=minute)
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == wall:
        return from_datetime(first)
    before, after = from_datetime(wall.replace(tzinfo=zone, fold=1).astimezone(UTC)), from_datetime(first)
    return _jump(before, after, zone)


def next_daily(after: Instant, minute: int, zone: ZoneInfo) -> Instant:
    """The first instant later than `after` at which a daily local time happens."""
    day = to_datetime(after).astimezone(zone).date()
    for ahead in range(-1, 4):
        found = instant_of(day + timedelta(days=ahead), minute, zone)
        if found > after:
            return found
    raise ValueError(f"no {minute // 60:02d}:{minute % 60:02d} within three days in {zone.key}")


def _jump(low: Instant, high: Instant, zone: ZoneInfo) -> Instant:
    """The instant in (low, high] at which the zone's offset changes."""
    offset = to_datetime(low).astimezone(zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if to_datetime(middle).astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high
