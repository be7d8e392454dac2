"""An SMTP server (RFC 5321, with RFC 2920's pipelining) that tells of each step of a transaction before it goes on."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Callable

_MESSAGE_ID = re.compile(rb"^message-id:\s*<([^@>]+)@", re.IGNORECASE | re.MULTILINE)

STEPS = ("connected", "greeted", "MAIL", "RCPT", "DATA", "half the text", "the dot", "taken", "answered")
"""In order. "the dot" is when the final dot is read and nothing is taken yet; "taken" when it is, and unanswered."""


class StepSink:
    """Listens on 127.0.0.1:`port`. `at` is told the name of each step that is reached. `accepted` counts how often the
    letter of a send was taken. `pause` seconds pass between taking a letter and answering.
    """

    def __init__(self, at: Callable[[str], None] = lambda step: None, *, pause: float = 0.0) -> None:
        self.accepted: Counter[str] = Counter()
        self.at = at
        self.pause = pause
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> StepSink:
        self._thread.start()
        starting = asyncio.start_server(self._talk, "127.0.0.1", 0, limit=2**20)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(5)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        async def stop() -> None:
            self._server.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the sender died, or the test is over
        finally:
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.at("connected")
        writer.write(b"220 sink.example\r\n")
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"EHLO":
                self.at("greeted")
                writer.write(b"250-sink.example\r\n250-PIPELINING\r\n250 SIZE 10000000\r\n")
            elif verb in (b"MAIL", b"RCPT"):
                self.at(verb.decode())
                writer.write(b"250 OK\r\n")
            elif verb == b"DATA":
                self.at("DATA")
                writer.write(b"354 go on\r\n")
                await self._take(reader, writer)
            elif verb == b"QUIT":
                writer.write(b"221 bye\r\n")
                return
            else:
                writer.write(b"250 OK\r\n")

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        found = _MESSAGE_ID.search(head)
        assert found, head
        self.at("half the text")
        while await reader.readline() != b".\r\n":
            if reader.at_eof():
                return
        self.at("the dot")
        self.accepted[found[1].decode()] += 1
        self.at("taken")
        await asyncio.sleep(self.pause)
        writer.write(b"250 taken\r\n")
        await writer.drain()
        self.at("answered")
