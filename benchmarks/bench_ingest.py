"""How many events the front door takes, with every one on disk, next to a bare Litestar handler that only decodes.

    python benchmarks/bench_ingest.py [--seconds 4] [--connections 64] [--folder DIR]

Each server runs in a process of its own, one after the other, under the same uvicorn settings; a client process with
plain asyncio streams keeps `connections` requests under way. Both share the machine, so the client's cost is in the
figures of all rows alike. The folder decides which disk is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from base64 import b64encode
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).parents[1]
KEY = "the-write-key-of-the-benchmark"

EVENT = {
    "type": "track",
    "event": "Product Viewed",
    "userId": "user-123456",
    "messageId": "ajs-next-1795318746191-c254e0fe-9af8-4547-8e8b-6e558dfc92d7",
    "timestamp": "2026-11-22T03:00:00.000Z",
    "sentAt": "2026-11-22T03:00:00.500Z",
    "context": {
        "library": {"name": "analytics.js", "version": "npm:next-1.84.3"},
        "locale": "en-US",
        "page": {"path": "/shoes/42", "title": "Shoes", "url": "https://shop.example.org/shoes/42"},
        "userAgent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0",
    },
    "properties": {"product_id": "p-42", "sku": "S-42", "category": "Shoes", "name": "Runner", "price": 89.9},
}


class Call(msgspec.Struct, rename="camel"):
    type: str
    event: str
    user_id: str
    message_id: str
    timestamp: str
    sent_at: str
    context: dict[str, Any]
    properties: dict[str, Any]


class Batch(msgspec.Struct):
    batch: list[Call]


def serve_front_door(pipe, folder: str) -> None:
    from triggerfish.adapters.sqlite.log import SqliteEventLog
    from triggerfish.adapters.sqlite.migrate import migrate
    from triggerfish.clock import WallClock
    from triggerfish.walk import FrontDoor
    from triggerfish.web.app import build_app
    from triggerfish.web.serve import bind, serve_app

    path = Path(folder) / "log.sqlite"
    migrate(path, ROOT / "migrations" / "log.py")
    log = SqliteEventLog(path)
    front = FrontDoor(
        log=log, clock=WallClock(), ring=lambda: None, write_keys=frozenset({KEY}), admin_key="the-admin-key"
    )
    sock = bind("127.0.0.1", 0)
    pipe.send(sock.getsockname()[1])
    serve_app(build_app(front), sock)


def serve_bare(pipe, folder: str) -> None:
    """The yardstick: ordinary Litestar handlers that decode the same JSON into a Struct and answer."""
    from litestar import Litestar, Request, post

    from triggerfish.web.serve import bind, serve_app

    one, many = msgspec.json.Decoder(Call), msgspec.json.Decoder(Batch)

    async def track(request: Request) -> dict[str, bool]:
        one.decode(await request.body())
        return {"success": True}

    async def batch(request: Request) -> dict[str, bool]:
        many.decode(await request.body())
        return {"success": True}

    for handler in (track, batch):
        handler.__annotations__ = {"request": Request, "return": dict[str, bool]}
    handlers = [post("/v1/track", status_code=200)(track), post("/v1/batch", status_code=200)(batch)]
    sock = bind("127.0.0.1", 0)
    pipe.send(sock.getsockname()[1])
    serve_app(Litestar(handlers, openapi_config=None, logging_config=None), sock)


def request_bytes(path: str, body: dict) -> bytes:
    content = json.dumps(body).encode()
    credentials = b64encode(f"{KEY}:".encode()).decode()
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Basic {credentials}\r\n"
    return (head + f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n").encode() + content


class Caller(asyncio.Protocol):
    """One connection that sends its request again as soon as it is answered."""

    def __init__(self, request: bytes, answered: list[float]) -> None:
        self.request, self.answered = request, answered
        self.answer, self.failures = b"", 0

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.asked_at = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.answer += data
        if not self.answer.endswith(b"}"):  # head and body may come apart
            return
        self.failures += not self.answer.startswith(b"HTTP/1.1 200 ")
        self.answer = b""
        self.answered.append(time.perf_counter() - self.asked_at)
        self.ask()


async def load(port: int, request: bytes, connections: int, seconds: float) -> list[float]:
    """Latencies in seconds of the requests answered in `seconds`, after a warm-up."""
    answered: list[float] = []
    loop = asyncio.get_running_loop()
    callers = [
        await loop.create_connection(lambda: Caller(request, answered), "127.0.0.1", port) for _ in range(connections)
    ]
    await asyncio.sleep(0.7)
    answered.clear()
    await asyncio.sleep(seconds)
    result = list(answered)
    for transport, caller in callers:
        transport.abort()
        if caller.failures:
            raise SystemExit(f"{caller.failures} requests were not answered with 200")
    return result


def measure(serve, label: str, folder: str, connections: int, seconds: float) -> None:
    import uvloop

    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=serve, args=(theirs, folder))
    server.start()
    theirs.close()
    port = ours.recv()
    time.sleep(0.5)
    try:
        for path, body, size in (("/v1/track", EVENT, 1), ("/v1/batch", {"batch": [EVENT] * 100}, 100)):
            busy = connections if size == 1 else max(connections // 8, 1)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                took = runner.run(load(port, request_bytes(path, body), busy, seconds))
            p50, p99 = (statistics.quantiles(took, n=100)[at] * 1_000 for at in (49, 98))
            rate = len(took) / seconds
            print(
                f"| {label} | {size} | {busy} | {rate:,.0f} | {rate * size:,.0f} | {p50:.1f} | {p99:.1f} |", flush=True
            )
    finally:
        server.terminate()
        server.join()


def fsyncs_a_second(folder: str) -> float:
    with (Path(folder) / "fsync").open("wb", buffering=0) as file:
        started = time.perf_counter()
        for _ in range(200):
            file.write(b"x" * 4_096)
            os.fdatasync(file.fileno())
        return 200 / (time.perf_counter() - started)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--seconds", type=float, default=4)
    arguments.add_argument("--connections", type=int, default=64)
    arguments.add_argument("--folder", default=None, help="a folder on the disk to measure; a temporary one if absent")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        size = len(json.dumps(EVENT))
        machine = f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
        print(f"{machine}, event of {size} bytes")
        print(f"fdatasync of 4 KB: {fsyncs_a_second(folder):,.0f}/s\n")
        print("| server | events a request | connections | requests/s | events/s | p50 ms | p99 ms |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        measure(serve_bare, "bare Litestar, decodes only", folder, given.connections, given.seconds)
        measure(serve_front_door, "Triggerfish, on disk", folder, given.connections, given.seconds)


if __name__ == "__main__":
    main()
