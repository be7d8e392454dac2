"""Room 6. Windows: when marketing may leave by the person's own clock. Quiet hours and send windows together, exact
through every change of the clocks: a local time that one skips means the instant of the change; one that happens twice
means the first (zones.py).
"""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from triggerfish.clock import Instant
from triggerfish.rules import Policy, SendWindow
from triggerfish.zones import Local, instant_of, next_daily

DAYS_AHEAD = 9
"""Local days that are looked at for the next window: it comes within a week, or a day skipped by a zone later."""
_TURNS = 64
"""How often quiet hours and windows may hand on to one another; then it is asked again from there."""


class Shut(NamedTuple):
    """No marketing leaves: why, and the first instant at which nothing stands in the way."""

    reason: str
    until: Instant


def shut(policy: Policy, local: Local) -> Shut | None:
    """Whether quiet hours or the send windows hold marketing back at this local time; None when they do not."""
    if policy.quiet is None and not policy.windows:
        return None
    reason = ""
    for _ in range(_TURNS):
        until = quiet_until(policy, local)
        why = "quiet hours"
        if until is None:
            until = window_from(policy, local)
            why = "outside the send windows"
        if until is None:
            break
        reason = reason or why
        local = Local(until, local.zone)
    return Shut(reason, local.now) if reason else None


def quiet_until(policy: Policy, local: Local) -> Instant | None:
    """The end of the quiet hours that this local time lies in, or None."""
    quiet = policy.quiet
    if quiet is None:
        return None
    # By what comes next and not by the clock's face, which shows some times twice and others never.
    start, end = (next_daily(local.now, minute, local.zone) for minute in (quiet.start, quiet.end))
    is_over_midnight = quiet.start > quiet.end
    return end if end < start or (end == start and is_over_midnight) else None


def window_from(policy: Policy, local: Local) -> Instant | None:
    """The next instant at which a send window opens; None when one is open at this local time, or there are none."""
    if not policy.windows:
        return None
    today = local.when.date()
    opens: list[Instant] = []
    for ahead in (0, -1, *range(1, DAYS_AHEAD)):  # today first: it is most often today's
        day = today + timedelta(days=ahead)
        for window in policy.windows:
            if day.weekday() in window.days:
                start = instant_of(day, window.start, local.zone)
                end = instant_of(day + timedelta(days=_nights(window)), window.end, local.zone)
                if start <= local.now < end:
                    return None
                if local.now < start < end:
                    opens.append(start)
        if opens and ahead >= 1:
            break
    return min(opens, default=instant_of(today + timedelta(days=1), 0, local.zone))


def _nights(window: SendWindow) -> int:
    return 1 if window.end <= window.start else 0
