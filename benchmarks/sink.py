"""An SMTP server (RFC 5321, with PIPELINING) in a process of its own that takes letters and does nothing with them but
count: what a sender is measured against. `python -m benchmarks.sink` prints its port; at the end of its input, how many
letters it took, and of how many bytes.
"""

from __future__ import annotations

import asyncio
import sys

_END = b"\r\n.\r\n"


class Talk(asyncio.Protocol):
    """One connection."""

    taken = 0
    bytes_taken = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._rest = bytearray()
        self._is_text = False
        transport.write(b"220 sink.example\r\n")

    def data_received(self, data: bytes) -> None:
        self._rest += data
        answers: list[bytes] = []
        while self._rest:
            if self._is_text:
                # Only the end of what came can be new.
                end = self._rest.find(_END, max(0, len(self._rest) - len(data) - len(_END)))
                if end < 0:
                    break
                Talk.taken += 1
                Talk.bytes_taken += end
                del self._rest[: end + len(_END)]
                self._is_text = False
                answers.append(b"250 taken\r\n")
                continue
            end = self._rest.find(b"\r\n")
            if end < 0:
                break
            verb = bytes(self._rest[:4]).upper()
            del self._rest[: end + 2]
            if verb == b"DATA":
                self._is_text = True
                answers.append(b"354 go on\r\n")
            elif verb == b"EHLO":
                answers.append(b"250-sink.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
            elif verb == b"QUIT":
                self._transport.write(b"".join(answers) + b"221 bye\r\n")
                self._transport.close()
                return
            else:
                answers.append(b"250 ok\r\n")
        if answers:
            self._transport.write(b"".join(answers))


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Talk, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()
    print(Talk.taken, Talk.bytes_taken, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
