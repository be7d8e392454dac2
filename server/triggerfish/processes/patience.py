"""Waiting for a disk that is full or fails: longer and longer, and told once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from triggerfish.errors import Unavailable

log = logging.getLogger("triggerfish.worker")

FIRST_SECONDS, LONGEST_SECONDS = 0.1, 5.0

T = TypeVar("T")


class Patience:
    """The rests of one loop between two tries; `stopping` ends them."""

    def __init__(self, stopping: asyncio.Event) -> None:
        self._stopping = stopping
        self._seconds = FIRST_SECONDS

    async def rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), self._seconds)
        self._seconds = min(2 * self._seconds, LONGEST_SECONDS)

    def over(self) -> None:
        """It worked: the next rest is a short one again."""
        self._seconds = FIRST_SECONDS


async def as_soon_as_it_can(work: Callable[[], Awaitable[T]], stopping: asyncio.Event) -> T:
    """What `work` gives, tried until it is not Unavailable. Raises Unavailable when `stopping` comes first."""
    patience, told = Patience(stopping), ""
    while True:
        try:
            return await work()
        except Unavailable as trouble:
            if stopping.is_set():
                raise
            if trouble.sentence != told:
                told = trouble.sentence
                log.error("the worker waits: %s", trouble)
            await patience.rest()
