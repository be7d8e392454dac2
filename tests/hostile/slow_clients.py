"""Clients that keep a server waiting, until stdin closes: python slow_clients.py HOST PORT CONNECTIONS AUTHORIZATION

A third sends its head a byte at a time, a third its body, a third asks for far more than it reads. Whoever is cut comes
back at once. At the end a line of JSON says, by mode, how often connections were opened and cut, and how many seconds
the longest lived.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
import time

SECONDS_A_BYTE = 1.0
ASK = b"GET /schema HTTP/1.1\r\nHost: a\r\n\r\n"
MODES = ("slow head", "slow body", "slow reading")

opened = dict.fromkeys(MODES, 0)
cut = dict.fromkeys(MODES, 0)
longest = dict.fromkeys(MODES, 0.0)


async def keep_slow(mode: str, place: tuple[str, int], authorization: str) -> None:
    loop = asyncio.get_running_loop()
    while True:
        with socket.socket() as connection:
            connection.setblocking(False)
            if mode == "slow reading":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
            began = time.monotonic()
            with contextlib.suppress(OSError):
                await loop.sock_connect(connection, place)
                opened[mode] += 1
                began = time.monotonic()
                await drip(mode, connection, authorization, loop)
            cut[mode] += 1
            longest[mode] = max(longest[mode], time.monotonic() - began)
        await asyncio.sleep(0.2)


async def drip(mode: str, connection: socket.socket, authorization: str, loop: asyncio.AbstractEventLoop) -> None:
    """Until the server ends it."""
    head = f"POST /v1/batch HTTP/1.1\r\nHost: a\r\nAuthorization: {authorization}\r\n"
    if mode == "slow body":
        await loop.sock_sendall(connection, f"{head}Content-Length: 400000\r\n\r\n".encode() + b" " * 50_000)
    elif mode == "slow reading":
        await loop.sock_sendall(connection, ASK * 10)
    else:
        await loop.sock_sendall(connection, head.encode())
    while True:
        await asyncio.sleep(SECONDS_A_BYTE)
        if mode == "slow reading":
            # The kernel takes megabytes for a client that reads nothing: ask for more than that.
            with contextlib.suppress(BlockingIOError):
                connection.send(ASK * 10)
            if not await loop.sock_recv(connection, 1):
                return
        else:
            await loop.sock_sendall(connection, b" " if mode == "slow body" else b"x")
            with contextlib.suppress(BlockingIOError):
                if not connection.recv(4_096):
                    return


async def main(host: str, port: str, connections: str, authorization: str) -> None:
    place = (host, int(port))
    tasks = [
        asyncio.create_task(keep_slow(MODES[number % 3], place, authorization)) for number in range(int(connections))
    ]
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(json.dumps({mode: [opened[mode], cut[mode], round(longest[mode], 1)] for mode in MODES}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
