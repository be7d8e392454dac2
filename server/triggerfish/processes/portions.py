"""How much the worker decides in one go: as much as there is, unless messages are leaving. Deciding has the event loop
for itself, so that whatever waits for an answer of a channel waits for the end of a batch.
"""

from __future__ import annotations

SECONDS = 0.1
"""How much of the processor a batch may take, about, while messages leave."""
LEAST = 50
"""Fewer events are never cut off: a commit by itself costs as much."""
_NEWEST = 0.3
"""What the newest batch counts for in the time that an event is reckoned to take."""


class Portions:
    """`most` bounds a batch in any case."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._event_seconds = 0.0

    def next(self, *, is_sending: bool) -> int:
        """How many events to decide next."""
        if not is_sending or not self._event_seconds:
            return self._most
        return max(min(LEAST, self._most), min(self._most, int(SECONDS / self._event_seconds)))

    def took(self, count: int, seconds: float) -> None:
        """So many events and due people took so long of the processor: smaller batches help nobody against others at
        work on it.
        """
        each = seconds / count
        self._event_seconds += (each - self._event_seconds) * (_NEWEST if self._event_seconds else 1.0)
