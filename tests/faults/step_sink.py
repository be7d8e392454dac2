"""An SMTP server (RFC 5321, with RFC 2920's pipelining) that tells of each step of a transaction before it goes on."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable

from faults.listening import Listening

_MESSAGE_ID = re.compile(rb"^message-id:\s*<([^@>]+)@", re.IGNORECASE | re.MULTILINE)

STEPS = ("connected", "greeted", "MAIL", "RCPT", "DATA", "half the text", "the dot", "taken", "answered")
"""In order. "the dot" is when the final dot is read and nothing is taken yet; "taken" when it is, and unanswered."""


class StepSink(Listening):
    """Listens on 127.0.0.1:`port`. `at` is told the name of each step that is reached. `accepted` counts how often the
    letter of a send was taken. `pause` seconds pass between taking a letter and answering.
    """

    def __init__(self, at: Callable[[str], None] = lambda step: None, *, pause: float = 0.0) -> None:
        super().__init__()
        self.accepted: Counter[str] = Counter()
        self.at = at
        self.pause = pause

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
