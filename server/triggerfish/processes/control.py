"""A process's end of its control socket: report, wait for "go", say that it got on, notice when the supervisor is
gone.
"""

from __future__ import annotations

import asyncio
import socket

from triggerfish.processes.orders import THROUGH, Report, encode


class Control:
    """Opened within the running loop that it serves."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, descriptor: int) -> Control:
        return cls(*await asyncio.open_unix_connection(sock=socket.socket(fileno=descriptor)))

    async def report(self, report: Report) -> None:
        self._writer.write(encode(report) + b"\n")
        await self._writer.drain()

    async def told_to_go(self) -> bool:
        """Wait for the word; False when the supervisor is gone instead."""
        return await self._reader.read(2) == b"go"

    def came_through(self) -> None:
        """Say that we got on, however the worker before us ended."""
        self._writer.write(THROUGH)

    async def gone(self) -> None:
        """Return when the supervisor is gone."""
        while await self._reader.read(64):
            pass
