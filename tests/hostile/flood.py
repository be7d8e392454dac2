"""Events for a server, more than it can take: python flood.py HOST PORT AUTHORIZATION, with an order a line on stdin.

An order is JSON: `kind` ("single", or "batch" of nearly 500 KB), `seconds`, `most` connections, and `rate`: so many
requests a second are sent whether or not the ones before were answered; without a rate each connection sends as soon as
it is answered. What comes back, a line of JSON, says how many were answered with what, how long that took, and how many
events were taken and may have been taken.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections import Counter
from typing import Any

BATCH_EVENTS = 100
numbers = itertools.count()
_FILLING = f'"properties":{{"text":"{"x" * 4_880}"}}'


def body_of(kind: str) -> tuple[str, bytes, int]:
    """Path, body and how many events are in it."""
    number = next(numbers)
    if kind == "single":
        event = {"userId": f"f{number % 50}", "event": "Flooded", "messageId": f"flood-{number}"}
        return "/v1/track", json.dumps(event).encode(), 1
    many = [
        f'{{"type":"track","userId":"f{place % 50}","event":"Flooded","messageId":"flood-{number}-{place}",{_FILLING}}}'
        for place in range(BATCH_EVENTS)
    ]
    return "/v1/batch", f'{{"batch":[{",".join(many)}]}}'.encode(), BATCH_EVENTS


class Client(asyncio.Protocol):
    """One connection that asks one thing at a time."""

    def __init__(self, flood: Flood) -> None:
        self.flood = flood
        self.came = b""
        self.asked = 0.0
        self.is_asking = False
        self.events = 0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.ask()

    def ask(self) -> None:
        path, body, self.events = body_of(self.flood.kind)
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: {self.flood.authorization}\r\n"
        self.came = b""
        self.is_asking = True
        self.asked = time.perf_counter()
        assert self.transport is not None
        self.transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def data_received(self, data: bytes) -> None:
        if not self.is_asking:
            return  # who is told that others need the connection has its answer already
        self.came += data
        head, found, body = self.came.partition(b"\r\n\r\n")
        if found and len(body) >= int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]):
            self.is_asking = False
            self.flood.note(self, int(head[9:12]), head.lower())

    def connection_lost(self, exc: Exception | None) -> None:
        self.flood.gone(self)


class Flood:
    def __init__(self, place: tuple[str, int], authorization: str, order: dict[str, Any]) -> None:
        self.place, self.authorization, self.kind = place, authorization, order["kind"]
        self.rate, self.seconds, self.most = order.get("rate"), order["seconds"], order.get("most", 64)
        self.idle: list[Client] = []
        self.asking: set[Client] = set()
        self.opening = 0
        self.answers: Counter[int] = Counter()
        self.took: dict[int, list[float]] = {}
        self.retry_after: set[str] = set()
        self.unsent = self.taken = self.unknown = 0
        self.until = 0.0
        self.loop = asyncio.get_running_loop()

    def note(self, client: Client, status: int, head: bytes) -> None:
        self.answers[status] += 1
        self.took.setdefault(status, []).append(time.perf_counter() - client.asked)
        if status == 200:
            self.taken += client.events
        else:
            self.retry_after.add(head.partition(b"retry-after:")[2].split(b"\r\n")[0].decode().strip())
        self.asking.discard(client)
        if self.rate is None and time.perf_counter() < self.until and b"connection: close" not in head:
            self.asking.add(client)
            client.ask()
        elif b"connection: close" not in head:
            self.idle.append(client)

    def gone(self, client: Client) -> None:
        if client in self.asking:
            self.asking.discard(client)
            self.answers[0] += 1
            self.unknown += client.events
        if client in self.idle:
            self.idle.remove(client)

    async def open(self) -> None:
        self.opening += 1
        try:
            _, client = await self.loop.create_connection(lambda: Client(self), *self.place)
            self.asking.add(client)
        except OSError:
            self.answers[-1] += 1
        self.opening -= 1

    def send(self, tasks: set[asyncio.Task[None]]) -> None:
        if self.idle:
            client = self.idle.pop()
            self.asking.add(client)
            client.ask()
        elif len(self.asking) + self.opening < self.most:
            task = asyncio.create_task(self.open())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        else:
            self.unsent += 1

    async def run(self) -> dict[str, Any]:
        tasks: set[asyncio.Task[None]] = set()
        began = time.perf_counter()
        self.until = began + self.seconds
        sent = 0
        if self.rate is None:
            for _ in range(self.most):
                self.send(tasks)
        while (now := time.perf_counter()) < self.until:
            while self.rate is not None and sent < (now - began) * self.rate:
                self.send(tasks)
                sent += 1
            await asyncio.sleep(0.002)
        patience = time.perf_counter() + 40
        while (self.asking or self.opening) and time.perf_counter() < patience:  # noqa: ASYNC110  (there is no one event)
            await asyncio.sleep(0.02)
        self.unknown += sum(client.events for client in self.asking)
        waiting = len(self.asking)
        for client in [*self.idle, *self.asking]:
            assert client.transport is not None
            client.transport.abort()
        return {
            "answers": {str(status): count for status, count in self.answers.items()},
            "slowest": {str(status): max(took) for status, took in self.took.items()},
            "median": {str(status): sorted(took)[len(took) // 2] for status, took in self.took.items()},
            "retry_after": sorted(self.retry_after),
            "taken": self.taken,
            "unknown": self.unknown,
            "unsent": self.unsent,
            "unanswered": waiting,
            "seconds": time.perf_counter() - began,
        }


def main(host: str, port: str, authorization: str) -> None:
    for line in sys.stdin:

        async def flooded(order: dict[str, Any]) -> dict[str, Any]:
            return await Flood((host, int(port)), authorization, order).run()

        print(json.dumps(asyncio.run(flooded(json.loads(line)))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
