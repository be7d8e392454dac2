"""Instants of a test, as its lines give them: from the start, from the line before, or as local time."""

from __future__ import annotations

import re
from datetime import date
from zoneinfo import ZoneInfo

from triggerfish.clock import MINUTE, SECOND, Instant, Millis, parse_duration, to_datetime
from triggerfish.zones import WEEKDAYS, instant_of

_LOCAL = re.compile(r"(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2})(?::(\d{2}))?")
_NOTHING = re.compile(r"0+(?:\.0+)?\s*[a-z]*")


def local_instant(text: str, zone: ZoneInfo) -> Instant | None:
    """The instant of a local time such as `2026-01-05 09:00` or `2026-01-05 09:00:30`; None for other text.

    Raises ValueError with a sentence for a marketer when there is no such day or time.
    """
    found = _LOCAL.fullmatch(text.strip())
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
    if hour > 23 or minute > 59 or second > 59 or not 1970 <= year <= 9998:
        raise ValueError(f'"{text}" is no time of day, or no year, that there is')
    try:
        whole = date(year, month, day)
    except ValueError:
        raise ValueError(f'"{text}" is no day that there is') from None
    return instant_of(whole, hour * 60 + minute, zone) + second * SECOND


def parse_instant(text: str, start: Instant, before: Instant, zone: ZoneInfo) -> Instant:
    """The instant that a line's `at` means. `before` is that of the line before it.

    Raises ValueError with a sentence for a marketer when the text means none.
    """
    text = text.strip()
    local = local_instant(text, zone)
    if local is not None:
        return local
    sign, rest = (text[0], text[1:].strip()) if text[:1] in ("+", "-") else ("", text)
    length = _length(rest, text)
    if sign == "-":
        return start - length
    return (before if sign == "+" else start) + length


def _length(text: str, whole: str) -> Millis:
    if _NOTHING.fullmatch(text.lower()):
        return 0
    try:
        return parse_duration(text)
    except ValueError:
        raise ValueError(f'"{whole}" is no instant of a test') from None


def say_instant(instant: Instant, start: Instant, zone: ZoneInfo) -> str:
    """`mon 2026-01-05 09:30, 30m`: local time, and how long after the start."""
    when = to_datetime(instant).astimezone(zone)
    text = f"{WEEKDAYS[when.weekday()][:3]} {when:%Y-%m-%d %H:%M}"
    if instant % MINUTE:
        text += f":{when:%S}"
        if instant % SECOND:
            text += f".{instant % SECOND:03d}"
    return f"{text}, {say_offset(instant - start)}"


def say_offset(length: Millis) -> str:
    """A length of time as tests write it: `0m`, `1d 2h`, `-30m`, `1h 59m 59s`."""
    parts, rest = [], abs(length)
    for unit, size in (("d", 24 * 60 * MINUTE), ("h", 60 * MINUTE), ("m", MINUTE), ("s", SECOND), ("ms", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return ("-" if length < 0 else "") + (" ".join(parts) or "0m")
