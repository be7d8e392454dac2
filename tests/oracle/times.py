"""The oracle's local times, found by looking at every minute."""

from __future__ import annotations

from calendar import monthrange
from datetime import date
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from oracle.language import EPOCH, WEEKDAYS, is_number, local

MINUTE = 60_000
QUARTER = 15 * MINUTE
DAY = 86_400_000


@cache
def zone_of(name: str, otherwise: str) -> ZoneInfo:
    """The zone of this name; of no name, or of one that is none, the other."""
    if not name:
        return ZoneInfo(otherwise)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo(otherwise)


@cache
def begins(day: int, minute: int, zone: ZoneInfo) -> int:
    """The instant at which a local time of a local day (its ordinal) comes: the first at which the clock shows that
    time of that day, or a later one. So a time that is skipped comes when the clocks change, and one that comes twice
    the first time.
    """
    start = (day - EPOCH.toordinal() - 2) * DAY
    for instant in range(start, start + 5 * DAY, MINUTE):
        wall = local(instant, zone)
        if (wall.toordinal(), wall.hour * 60 + wall.minute) >= (day, minute):
            return instant
    raise AssertionError(f"{minute // 60:02d}:{minute % 60:02d} never comes in {zone}")


def quiet_until(now: int, quiet: tuple[int, int], zone: ZoneInfo) -> int | None:
    """The end of the quiet hours in which `now` is: each local day some begin, and they last until the next end."""
    start, end = quiet
    today = local(now, zone).toordinal()
    for day in (today - 2, today - 1, today, today + 1):
        over = begins(day if start < end else day + 1, end, zone)
        if begins(day, start, zone) <= now < over:
            return over
    return None


def open_from(
    now: int, quiet: tuple[int, int] | None, windows: list[dict[str, Any]], zone: ZoneInfo
) -> tuple[str, int]:
    """What is in marketing's way by the clock, and when nothing is: minute by minute once it is."""
    why, at = "", now
    while True:
        if quiet is not None and (end := quiet_until(at, quiet, zone)) is not None:
            why, at = why or "quiet", end
        elif windows and not any(_is_in(at, window, zone) for window in windows):
            why, at = why or "windows", (at // MINUTE + 1) * MINUTE
        else:
            return why, at


def _is_in(now: int, window: dict[str, Any], zone: ZoneInfo) -> bool:
    today = local(now, zone).toordinal()
    for day in (today - 2, today - 1, today, today + 1):
        over = begins(day if window["from"] < window["to"] else day + 1, window["to"], zone)
        if date.fromordinal(day).weekday() in window["days"] and begins(day, window["from"], zone) <= now < over:
            return True
    return False


@cache
def _turn_after(quarter: int, zone: ZoneInfo) -> int:
    instant = (quarter + 1) * QUARTER
    while True:
        before, now = local(instant - 1, zone), local(instant, zone)
        if (before.hour, before.date()) != (now.hour, now.date()):
            return instant
        instant += QUARTER


def next_turn(after: int, zone: ZoneInfo) -> int:
    """The first instant later than `after` at which the local hour or day changes. In our time clocks only ever change
    at quarters of an hour.
    """
    return _turn_after(after // QUARTER, zone)


# The calendar.

FAR = 62


def next_time(after: int, text: str, zone: ZoneInfo) -> int:
    """The first instant later than `after` of something like "monday, thursday 09:00" or "month last day 08:00"."""
    words = text.removeprefix("every ").replace(",", " ").split()
    minute = int(words[-1][:2]) * 60 + int(words[-1][3:])
    days = words[:-1] or ["day"]
    today = local(after, zone).toordinal()
    for day in range(today - 1, today + FAR):
        if _is_on(date.fromordinal(day), days) and begins(day, minute, zone) > after:
            return begins(day, minute, zone)
    raise AssertionError(f"{text} does not come within {FAR} days")


def _is_on(day: date, words: list[str]) -> bool:
    if words[0] == "month":
        last = monthrange(day.year, day.month)[1]
        return day.day == (last if words[1] == "last" else min(int(words[2]), last))
    weekday = WEEKDAYS[day.weekday()]
    groups = {"day": WEEKDAYS, "weekday": WEEKDAYS[:5], "weekend": WEEKDAYS[5:]}
    return any(weekday in groups.get(word, (word,)) for word in words)


def next_date(after: int, told: Any, calendar: dict[str, Any], zone: ZoneInfo, until: int) -> int | None:
    """The first instant in (after, until] of the days that a trait tells."""
    first = day_told(told, zone)
    if first is None:
        return None
    for day in range(local(after, zone).toordinal() - 1, local(until, zone).toordinal() + 2):
        comes = date.fromordinal(day - calendar["shift"])
        is_day = comes >= first and comes.day == min(first.day, monthrange(comes.year, comes.month)[1])
        is_month = calendar["repeat"] == "monthly" or comes.month == first.month
        if calendar["repeat"] == "once":
            is_day, is_month = comes == first, True
        if is_day and is_month and after < begins(day, calendar["minute"], zone) <= until:
            return begins(day, calendar["minute"], zone)
    return None


def day_told(told: Any, zone: ZoneInfo) -> date | None:
    """The day in a text such as 1990-05-17 (with a time or without), or of milliseconds since 1970."""
    if isinstance(told, str):
        try:
            return date.fromisoformat(told[:10]) if told[10:11] in ("", "T", " ") else None
        except ValueError:
            return None
    return local(int(told), zone).date() if is_number(told) and told >= 0 else None
