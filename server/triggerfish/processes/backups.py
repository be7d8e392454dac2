"""Backups that the server takes by itself: once a day, in a process of its own that holds up nobody."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from datetime import UTC, datetime, time, timedelta

from triggerfish.adapters.apscheduler import Waker
from triggerfish.clock import HOUR, Instant, WallClock
from triggerfish.config import Settings

log = logging.getLogger("triggerfish.backup")

AGAIN: int = HOUR
"""After one that failed."""


def next_at(now: Instant, at: str) -> Instant:
    """The next instant at which the machine's clock shows `at` (03:30): where it does so twice, the first one; where it
    is put forward over it, an hour off.
    """
    today = datetime.fromtimestamp(now / 1_000, UTC).astimezone().date()
    for day in (today, today + timedelta(days=1)):
        instant = int(datetime.combine(day, time.fromisoformat(at)).timestamp() * 1_000)
        if instant > now:
            return instant
    return now + 24 * HOUR


async def back_up_daily(settings: Settings) -> None:
    """Take backups as `[backup]` says, for ever."""
    clock, is_time = WallClock(), asyncio.Event()
    waker = Waker(clock, is_time.set)
    due = next_at(clock.now(), settings.backup.at)
    try:
        while True:
            waker.set(due)
            await is_time.wait()
            is_time.clear()
            is_taken = await take(settings)
            due = next_at(clock.now(), settings.backup.at) if is_taken else clock.now() + AGAIN
    finally:
        waker.close()


async def take(settings: Settings) -> bool:
    """Take one, by the command that people use. Whether it was taken; the log says why not."""
    folder = settings.workspace / settings.backup.folder
    options = ("--keep", str(settings.backup.keep), "--workspace", str(settings.workspace))
    command = (sys.executable, "-m", "triggerfish.cli", "backup", str(folder), *options)
    child = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        said, _ = await child.communicate()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
        raise
    text = " ".join(said.decode(errors="replace").split())
    if child.returncode == 0:
        log.info("backup: %s", text)
    else:
        log.error("no backup was taken: %s; trying again in an hour", text)
    return child.returncode == 0
