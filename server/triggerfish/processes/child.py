"""A child process of the supervisor: started with its orders, listened to, stopped, and killed when it does neither."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable

import msgspec

from triggerfish.errors import TriggerfishError
from triggerfish.processes.orders import THROUGH, Orders, Report, encode, read_report

log = logging.getLogger("triggerfish.supervisor")

STOP_SECONDS = 15
REPORT_BYTES = 16 * 1024 * 1024
"""The longest report that is read."""


class NotStarted(TriggerfishError):
    """The rulebook is broken, or a process could not be started; `report` says why."""

    code = "TF414"

    def __init__(self, report: Report) -> None:
        super().__init__(report.error or "a process ended before it was ready")
        self.report = report

    def __str__(self) -> str:
        # What a process reports names its own code.
        return self.report.error or super().__str__()


class Process:
    """A child process and our end of its control socket."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.started = time.monotonic()
        self.is_through = False
        self.report = Report(is_ready=False)

    async def start(self, module: str, orders: Callable[[int], Orders], *, seconds: float) -> Report:
        """Start it and wait for its report; kill it when that does not come in time, or cannot be read."""
        ours, theirs = socket.socketpair()
        given = orders(theirs.fileno())
        inherited = [each for each in (given.bell, given.control, given.listen, given.board) if each >= 0]
        self._child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, encode(given).decode(), pass_fds=inherited
        )
        theirs.close()
        reader, self._writer = await asyncio.open_unix_connection(sock=ours, limit=REPORT_BYTES)
        fault = ""
        try:
            line = await asyncio.wait_for(reader.readline(), seconds)
            report = read_report(line) if line else Report(is_ready=False)
        except TimeoutError:
            fault = f"TF638  the {self.name} process was not ready after {seconds:g} s and was killed"
        except (ValueError, msgspec.DecodeError):
            fault = f"TF638  what the {self.name} process reported cannot be read, and it was killed"
        except asyncio.CancelledError:
            # We are stopping: nobody waits for it any more.
            await self._kill()
            raise
        if fault:
            await self._kill()
            return Report(is_ready=False, error=fault)
        if not line:
            code = await self._child.wait()
            error = f"TF638  the {self.name} process ended with {ending(code)} before it was ready"
            return Report(is_ready=False, error=error)
        self._listening = asyncio.create_task(self._listen(reader))
        if not report.is_ready:
            # It is ending; a signal would meet it half-way out.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._child.wait(), STOP_SECONDS)
        return report

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            self.is_through = self.is_through or line == THROUGH

    @property
    def pid(self) -> int:
        return self._child.pid

    def go(self) -> None:
        self._writer.write(b"go")

    async def ended(self) -> int:
        return await self._child.wait()

    async def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._child.kill()
        await self._child.wait()

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Ask it to stop; kill it when it does not within so long."""
        if self._child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._child.terminate()
            try:
                async with asyncio.timeout(seconds):
                    await self._child.wait()
            except TimeoutError:
                log.warning("the %s process did not stop in %d s and is killed", self.name, seconds)
                await self._kill()
        self._writer.close()


def ending(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"signal {signal.Signals(-code).name}"
    return f"signal {-code}"
