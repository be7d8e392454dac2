"""When something recurs by the calendar, in local time: `monday 09:00`, or three days before a person's birthday.

Local times follow zones.py: one that a change of the clocks skips means the instant of the change, one that happens
twice means the first. So each happens exactly once.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from msgspec import Struct

from triggerfish.clock import DAY, Instant, Millis, to_datetime
from triggerfish.zones import WEEKDAYS, instant_of

LAST = 32
"""The last day of a month, as a day of the month."""
_AHEAD_DAYS = 70
"""A day of the month comes within this many days, even the 31st."""
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_GROUPS = {"day": WEEKDAYS, "weekday": WEEKDAYS[:5], "weekend": WEEKDAYS[5:]}
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[T ].*)?")
_LARGEST_INSTANT = 253_402_300_799_999  # the end of the year 9999


class Timetable(Struct, frozen=True):
    """A time of day, `minute` after local midnight, on some `weekdays` (0 is monday) or on one `day` of each month."""

    text: str
    minute: int
    weekdays: frozenset[int] = frozenset()
    day: int = 0

    def next(self, after: Instant, zone: ZoneInfo) -> Instant:
        """The first instant later than `after`."""
        today = to_datetime(after).astimezone(zone).date()
        for ahead in range(-1, _AHEAD_DAYS):
            day = today + timedelta(days=ahead)
            if self._is_on(day) and (at := instant_of(day, self.minute, zone)) > after:
                return at
        raise ValueError(f"{self.text} does not happen within {_AHEAD_DAYS} days")

    def _is_on(self, day: date) -> bool:
        if self.day:
            return day.day == min(self.day, monthrange(day.year, day.month)[1])
        return day.weekday() in self.weekdays


def parse_timetable(text: str) -> Timetable:
    """`monday 09:00`, `every weekday 18:30`, `monday, thursday 09:00`, `month day 1 08:00`, `month last day 08:00`.

    A month that is too short for its day takes its last one. Raises ValueError with a sentence for a marketer.
    """
    words = text.lower().replace(",", " ").split()
    if words[:1] == ["every"]:
        words = words[1:]
    time = _TIME.fullmatch(words[-1]) if words else None
    if time is None:
        raise ValueError(f'"{text}" has no time of day at its end; write it like "monday 09:00"')
    minute = int(time[1]) * 60 + int(time[2])
    days = words[:-1]
    if not days:
        return Timetable(text, minute, frozenset(range(7)))
    if days[0] == "month":
        if days[1:] == ["last", "day"]:
            return Timetable(text, minute, day=LAST)
        if len(days) == 3 and days[1] == "day" and days[2].isdigit() and 1 <= int(days[2]) <= 31:
            return Timetable(text, minute, day=int(days[2]))
        raise ValueError(f'"{text}" names no day of the month; write "month day 1 09:00" or "month last day 09:00"')
    found: set[int] = set()
    for word in days:
        named = _GROUPS.get(word) or ((word,) if word in WEEKDAYS else ())
        if not named:
            raise ValueError(f'"{word}" is no day; write day, weekday, weekend, monday … sunday, or "month day 1"')
        found |= {WEEKDAYS.index(name) for name in named}
    return Timetable(text, minute, frozenset(found))


class Anniversary(Struct, frozen=True):
    """A day that a trait tells, moved by `shift`, at a local time of day."""

    trait: str
    minute: int
    shift: Millis = 0
    repeat: Literal["yearly", "monthly", "once"] = "yearly"

    def next(self, value: Any, after: Instant, zone: ZoneInfo) -> Instant | None:
        """The first instant later than `after`; None when the value tells no day, or none that is still to come."""
        first = day_of(value, zone)
        if first is None:
            return None
        days = self.shift // DAY
        around = to_datetime(after).astimezone(zone).date() - timedelta(days=days)
        for day in self._days(first, around):
            try:
                at = instant_of(day + timedelta(days=days), self.minute, zone)
            except OverflowError:
                return None
            if at > after:
                return at
        return None

    def _days(self, first: date, around: date) -> Iterator[date]:
        """Days on which it recurs, in order, from shortly before `around`. The 29th of February is the 28th in a year
        that has none, and so with every month that is too short. It never recurs before it first was.
        """
        if self.repeat == "once":
            yield first
            return
        step = 12 if self.repeat == "yearly" else 1
        start = max(0, ((around.year - first.year) * 12 + around.month - first.month) // step - 1)
        for count in range(start, start + 4):
            months = first.year * 12 + first.month - 1 + count * step
            year, month = months // 12, months % 12 + 1
            if year > 9998:
                return
            yield date(year, month, min(first.day, monthrange(year, month)[1]))


def day_of(value: Any, zone: ZoneInfo) -> date | None:
    """The day that a trait's value tells: text such as `1990-05-17` (with a time or without), or milliseconds since
    1970; None for anything else. Text is taken as it is written: a birthday has no time zone.
    """
    if type(value) is str:
        found = _DATE.fullmatch(value.strip()[:40])
        if found is None:
            return None
        try:
            return date(int(found[1]), int(found[2]), int(found[3]))
        except ValueError:
            return None
    if (type(value) is int or type(value) is float) and 0 <= value <= _LARGEST_INSTANT:
        return to_datetime(int(value)).astimezone(zone).date()
    return None
