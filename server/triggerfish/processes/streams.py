"""Streams listen in the api process, for as long as it serves."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from triggerfish import mailroom, walk
from triggerfish.compose import Desk
from triggerfish.errors import Busy, Unavailable
from triggerfish.measure import Hit
from triggerfish.plugin.channel import PluginContext
from triggerfish.reports import MailHeard

log = logging.getLogger("triggerfish.plugin")

T = TypeVar("T")

_WAIT_SECONDS = 5.0
_GRACE_SECONDS = 5.0
_SIGNATURE_SECONDS = 60.0


@dataclass(frozen=True)
class DeskDoor:
    """Where one stream tells what it heard (`plugin.source.Door`)."""

    desk: Desk
    stream: str

    @property
    def context(self) -> PluginContext:
        return self.desk.context

    async def tell(self, told: Sequence[Hit | Mapping[str, Any]], *, nonce: str) -> int:
        front = self.desk.front
        name = hashlib.sha256(f"{self.stream}\0{nonce}".encode()).hexdigest()[:24]
        return await self._patiently(lambda: walk.hear_hook(front, told, front.clock.wall(), nonce=name))

    async def tell_mail(self, raw: bytes, came_to: Sequence[str] = ()) -> MailHeard:
        room = self.desk.mailroom
        try:
            async with asyncio.timeout(_SIGNATURE_SECONDS):
                return await self._patiently(lambda: mailroom.take(room, raw, came_to))
        except TimeoutError:
            # A name server that does not answer for one mail must not keep those behind it waiting.
            return await self._patiently(lambda: mailroom.take(room, raw, came_to, is_last_try=True))

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """The answer, as soon as the server can give one."""
        while True:
            try:
                return await call()
            except Busy as busy:
                await asyncio.sleep(busy.retry_after_seconds)
            except Unavailable as error:
                log.warning('stream "%s": %s; it waits', self.stream, error.sentence)
                await asyncio.sleep(_WAIT_SECONDS)


@contextlib.asynccontextmanager
async def listening(desk: Desk) -> AsyncIterator[None]:
    """All streams of the desk run while this is open."""
    running = [
        asyncio.create_task(stream.run(DeskDoor(desk, name)), name=f"stream {name}")
        for name, stream in desk.streams.items()
    ]
    try:
        yield
    finally:
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=_GRACE_SECONDS)
