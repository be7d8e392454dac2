"""The oracle's local times, found by looking at every minute."""

from __future__ import annotations

from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from oracle.language import EPOCH, local

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
