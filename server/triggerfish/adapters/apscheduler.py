"""APScheduler as the waker, and nothing else: it calls us at the earliest instant on the agenda. What is to be done then
is in the store; a lost or late wake-up loses nothing (DESIGN.md says why it holds no job of ours).
"""

from __future__ import annotations

from collections.abc import Callable

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger

from triggerfish.clock import Clock, Instant, to_datetime


class Waker:
    """Calls `wake` in the running loop at the instant last set."""

    def __init__(self, clock: Clock, wake: Callable[[], None]) -> None:
        self._clock = clock
        self._wake = wake
        self._set_for: Instant | None = None
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._scheduler.start()

    def set(self, instant: Instant | None) -> None:
        """Wake at `instant`, at once if it is past, not at all if None."""
        if instant == self._set_for:
            return
        self._set_for = instant
        if instant is None:
            self._scheduler.remove_all_jobs()
            return
        late = self._clock.now() >= instant
        self._scheduler.add_job(
            self._ring,
            None if late else DateTrigger(to_datetime(instant)),
            id="wake",
            replace_existing=True,
            misfire_grace_time=None,
        )

    def _ring(self) -> None:
        self._set_for = None
        self._wake()

    def close(self) -> None:
        self._scheduler.shutdown(wait=False)
