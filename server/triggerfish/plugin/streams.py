"""The guard around a stream: whatever it raises costs it a rest, and nobody else anything."""

from __future__ import annotations

import asyncio
import logging

from triggerfish import meters
from triggerfish.plugin.registering import said
from triggerfish.plugin.source import Door, StreamSource

log = logging.getLogger("triggerfish.plugin")

FIRST_REST_SECONDS = 1.0
LONGEST_REST_SECONDS = 300.0
_HEALTHY_SECONDS = 60.0


class GuardedStream:
    """Keeps a stream going. `plugin` is the plugin's name, for logs. `problem` is why it rests now; empty while it
    runs.

    It is started again after a second, and after twice as long each time that it ends within a minute, up to five
    minutes.
    """

    def __init__(self, stream: StreamSource, *, plugin: str, first_rest_seconds: float = FIRST_REST_SECONDS) -> None:
        self.name = stream.name
        self.problem = ""
        self._stream = stream
        self._who = f'plugin "{plugin}", stream "{stream.name}"'
        self._first_rest = first_rest_seconds

    async def run(self, door: Door) -> None:
        """Run the stream until this is cancelled."""
        rest = self._first_rest
        clock = asyncio.get_running_loop().time
        why: str | BaseException
        while True:
            began = clock()
            try:
                await self._stream.run(door)
                self.problem, why = "it ended", "it ended"
            except (Exception, SystemExit) as error:
                self.problem, why = said(error), error
                meters.PLUGIN_ERRORS.add(1, self.name, "raised")
                log.debug("%s: run raised", self._who, exc_info=error)
            rest = self._first_rest if clock() - began >= _HEALTHY_SECONDS else rest
            log.warning("%s: %s; it is started again in %g s", self._who, why, rest)
            await asyncio.sleep(rest)
            self.problem = ""
            rest = min(LONGEST_REST_SECONDS, rest * 2)
