"""APScheduler as the waker, and nothing else: it calls us at the earliest instant on the agenda.

What is to be done then is in the store, so that a lost or late wake-up loses nothing. It holds no job of ours: across a
change of the clocks its cron misses or doubles days, and a late job is dropped.
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
        """Wake when the clock shows `instant`, at once if that is past. Not at all if None, or while the clock does not
        run by itself.
        """
        if instant == self._set_for:
            return
        self._set_for = instant
        at = None if instant is None else self._clock.wall_of(instant)
        if at is None:
            self._scheduler.remove_all_jobs()
            return
        self._scheduler.add_job(
            self._ring,
            DateTrigger(to_datetime(at)),
            id="wake",
            replace_existing=True,
            misfire_grace_time=None,
            max_instances=2,  # the one that is ending, and the one that it set
        )

    async def _ring(self) -> None:
        self._set_for = None
        self._wake()

    def close(self) -> None:
        self._scheduler.shutdown(wait=False)
