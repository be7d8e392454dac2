"""How fast events come in, for the page that shows it."""

from __future__ import annotations

from itertools import pairwise

from triggerfish.clock import MINUTE, Instant
from triggerfish.log import EventLog, Position


def events_by_minute(log: EventLog, now: Instant, minutes: int = 60) -> list[int]:
    """How many events the log took in each of the last `minutes` whole minutes up to `now`, oldest first.

    By bisection over the log, whose instants never decrease: no index on time is needed.
    """
    head, newest = log.head()
    low = 0
    bounds = []
    for ago in range(minutes, -1, -1):
        edge = now - ago * MINUTE
        low = head if newest <= edge else _last_until(log, edge, low, head)
        bounds.append(low)
    return [later - earlier for earlier, later in pairwise(bounds)]


def _last_until(log: EventLog, edge: Instant, low: Position, high: Position) -> Position:
    """The last position in [low, high] whose event the log took at or before `edge`; `low` if there is none."""
    while low < high:
        middle = (low + high + 1) // 2
        found = log.read(middle - 1, 1)
        if found and found[0].received_at <= edge:
            low = middle
        else:
            high = middle - 1
    return low
