"""The worker's post: one loop for each way out (a channel and a class of messages) and one for plugins' actions, so
that a slow channel holds up no other, and marketing no transactional mail. Each sleeps until there is something for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from triggerfish import leave, walk
from triggerfish.adapters.apscheduler import Waker
from triggerfish.clock import Instant, Millis
from triggerfish.errors import Unavailable
from triggerfish.processes.patience import Patience

SHORTEST_REST: Millis = 50
"""A loop that finds nothing it may do now looks again after so long at the earliest."""


class Post:
    """The loops of one worker. `ring` says that there may be something to send, `is_sending` that something leaves."""

    def __init__(self, house: walk.House, stopping: asyncio.Event) -> None:
        self._house = house
        self._stopping = stopping
        self._bells: list[asyncio.Event] = []
        self._sending = 0

    def start(self) -> set[asyncio.Task[None]]:
        """Start all loops; each ends between two batches once the worker is stopping."""
        house = self._house
        loops = [self._loop(_batch(house, way), _turn(house, way)) for way in leave.ways(house)]
        loops.append(self._loop(lambda: walk.call(house), house.store.next_call))
        return {asyncio.create_task(loop) for loop in loops}

    @property
    def is_sending(self) -> bool:
        """Whether a batch is with a channel, or the next one is about to be."""
        return self._sending > 0

    def ring(self) -> None:
        for bell in self._bells:
            bell.set()

    async def _loop(self, batch: Callable[[], Awaitable[int]], next_turn: Callable[[], Instant | None]) -> None:
        house, bell = self._house, asyncio.Event()
        self._bells.append(bell)
        bell.set()
        waker = Waker(house.clock, bell.set)
        patience = Patience(self._stopping)
        while not self._stopping.is_set():
            await bell.wait()
            bell.clear()
            self._sending += 1
            try:
                while not self._stopping.is_set() and await batch():
                    # What was looked at may stand in another lane now.
                    self.ring()
                    await asyncio.sleep(0)
                turn = next_turn()
            except Unavailable:
                # The store has said so; what could not be marked has not left.
                await patience.rest()
                bell.set()
                continue
            finally:
                self._sending -= 1
            patience.over()
            waker.set(None if turn is None else max(turn, house.clock.now() + SHORTEST_REST))


def _batch(house: walk.House, way: leave.Way) -> Callable[[], Awaitable[int]]:
    return lambda: walk.send_over(house, way)


def _turn(house: walk.House, way: leave.Way) -> Callable[[], Instant | None]:
    return lambda: leave.next_turn(house, way)
