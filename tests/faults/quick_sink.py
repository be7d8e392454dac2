"""An SMTP server (RFC 5321) that takes thousands of letters a second and remembers the id of each, in order."""

from __future__ import annotations

import asyncio
import random
import re

from faults.listening import Listening

_MESSAGE_ID = re.compile(rb"^message-id:\s*<([^@>]+)@", re.IGNORECASE | re.MULTILINE)


class QuickSink(Listening):
    """Listens on 127.0.0.1:`port`. `accepted` holds the send ids of the letters taken, one for each time it was taken:
    a letter counts from the moment its final dot is read, whether or not the sender lives to hear the answer.
    """

    def __init__(self, dice: random.Random, slowest: float) -> None:
        super().__init__()
        self.accepted: list[str] = []
        self._dice = dice
        self._slowest = slowest

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 sink.example\r\n")
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                writer.write(b"354 go on\r\n")
                letter = await reader.readuntil(b"\r\n.\r\n")
                found = _MESSAGE_ID.search(letter)
                assert found, letter[:500]
                self.accepted.append(found[1].decode())
                # The moment at which a sender that dies leaves an unknown behind.
                await asyncio.sleep(self._dice.uniform(0, self._slowest))
                writer.write(b"250 taken\r\n")
            elif verb == b"QUIT":
                writer.write(b"221 bye\r\n")
                return
            else:
                writer.write(b"250 sink.example\r\n")
