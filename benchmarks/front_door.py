"""How many events the front door takes, with every one on disk. The floor is a bare ASGI application that only decodes;
the peer, and the goal for single events, a Litestar handler that does the same. How long answers take is measured at
half of that load, too.

Each server runs in a process of its own, one after the other, under the same uvicorn settings; a client with plain
asyncio streams keeps its requests under way. Both share the machine, so the client's cost is in both figures alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import statistics
import time
from base64 import b64encode
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import uvloop

from benchmarks.measuring import Figure, Wrong
from benchmarks.offering import cpu_of
from benchmarks.streams import ROOT

KEY = "the-write-key-of-the-benchmark"
WARM_UP_SECONDS = 0.7
BATCHES = 50_000
"""Events a second in batches of 100, at least."""
WITHIN_MS = 50

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


def serve_front_door(pipe: Any, folder: Path) -> None:
    from triggerfish.adapters.sqlite.log import SqliteEventLog
    from triggerfish.adapters.sqlite.migrate import migrate
    from triggerfish.clock import WallClock
    from triggerfish.walk import FrontDoor
    from triggerfish.web.app import build_app
    from triggerfish.web.serve import bind, serve_app

    path = folder / "front-door.sqlite"
    migrate(path, ROOT / "migrations" / "log.py")
    log = SqliteEventLog(path)
    front = FrontDoor(
        log=log, clock=WallClock(), ring=lambda: None, write_keys=frozenset({KEY}), admin_key="the-admin-key"
    )
    sock = bind("127.0.0.1", 0)
    pipe.send(sock.getsockname()[1])
    serve_app(build_app(front), sock)


def serve_bare(pipe: Any, folder: Path) -> None:
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


def serve_asgi(pipe: Any, folder: Path) -> None:
    """The floor: nothing but uvicorn, and the same JSON decoded into a Struct."""
    from triggerfish.web.serve import bind, serve_app

    decoders = {"/v1/track": msgspec.json.Decoder(Call), "/v1/batch": msgspec.json.Decoder(Batch)}
    answer = b'{"success":true}'
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for word in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{word}.complete"})
            return
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message.get("more_body"):
                break
        decoders[scope["path"]].decode(body)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    sock = bind("127.0.0.1", 0)
    pipe.send(sock.getsockname()[1])
    serve_app(app, sock)  # type: ignore[arg-type]


def request_bytes(path: str, body: dict) -> bytes:
    content = json.dumps(body).encode()
    credentials = b64encode(f"{KEY}:".encode()).decode()
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Basic {credentials}\r\n"
    return (head + f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n").encode() + content


class Caller(asyncio.Protocol):
    """One connection that sends its request again as soon as it is answered."""

    def __init__(self, request: bytes, answered: list[float], pause: float = 0.0) -> None:
        self.request, self.answered, self.pause = request, answered, pause
        self.answer, self.failures, self.all_answers = b"", 0, 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        if self.transport.is_closing():
            return
        self.asked_at = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.answer += data
        if not self.answer.endswith(b"}"):  # head and body may come apart
            return
        self.failures += not self.answer.startswith(b"HTTP/1.1 200 ")
        self.answer = b""
        self.answered.append(time.perf_counter() - self.asked_at)
        self.all_answers += 1
        if self.pause:
            asyncio.get_running_loop().call_later(max(0.0, self.asked_at + self.pause - time.perf_counter()), self.ask)
        else:
            self.ask()


class Loaded(NamedTuple):
    """Seconds that each request took which was answered in time, how many were answered in all, the same seconds at
    half of that load, and processor seconds of the server for one request at full load.
    """

    took: list[float]
    answers: int
    at_half: list[float]
    cpu: float


async def load(port: int, pid: int, request: bytes, connections: int, seconds: float) -> Loaded:
    """Keep this many requests under way for so long, after a warm-up; then half as many a second."""
    before = cpu_of(pid)
    took, answers = await keep_asking(port, request, connections, seconds)
    cpu = (cpu_of(pid) - before) / answers
    pause = 2 * connections * seconds / len(took)
    at_half, more = await keep_asking(port, request, connections, seconds, pause)
    return Loaded(took, answers + more, at_half, cpu)


async def keep_asking(
    port: int, request: bytes, connections: int, seconds: float, pause: float = 0.0
) -> tuple[list[float], int]:
    """Seconds of each answer, and how many came in all: each connection asks again as soon as it is answered, or at
    every `pause` seconds. Raises Wrong when a request is not answered with 200.
    """
    answered: list[float] = []
    loop = asyncio.get_running_loop()
    callers = [
        await loop.create_connection(lambda: Caller(request, answered, pause), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.sleep(WARM_UP_SECONDS)
    answered.clear()
    await asyncio.sleep(seconds)
    took = list(answered)
    for transport, _ in callers:
        transport.abort()
    failures = sum(caller.failures for _, caller in callers)
    if failures or not took:
        raise Wrong(f"{failures} requests were not answered with 200, {len(took)} were")
    return took, sum(caller.all_answers for _, caller in callers)


def loaded(serve: Any, folder: Path, seconds: float) -> dict[int, Loaded]:
    """Load a server singly and in batches; by the number of events in a request."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=serve, args=(theirs, folder))
    server.start()
    assert server.pid is not None
    theirs.close()
    try:
        port = ours.recv()
        time.sleep(0.5)
        found = {}
        for size, (path, body, connections) in LOADS.items():
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                found[size] = runner.run(load(port, server.pid, request_bytes(path, body), connections, seconds))
        return found
    finally:
        server.terminate()
        server.join()


LOADS: dict[int, tuple[str, dict[str, Any], int]] = {
    1: ("/v1/track", EVENT, 128),
    100: ("/v1/batch", {"batch": [EVENT] * 100}, 16),
}
"""By events a request: path, body, connections: enough to keep the processor at work while some wait for the disk."""


def syncs_a_second(folder: Path) -> float:
    with (folder / "sync").open("wb", buffering=0) as file:
        started = time.perf_counter()
        for _ in range(200):
            file.write(b"x" * 4_096)
            os.fdatasync(file.fileno())
        return 200 / (time.perf_counter() - started)


def check_log(path: Path, ours: dict[int, Loaded]) -> None:
    """Whatever was answered with 200 must be in the log, whole."""
    from triggerfish.adapters.sqlite.log import SqliteEventLog

    promised = sum(size * each.answers for size, each in ours.items())
    with contextlib.closing(SqliteEventLog(path)) as log:
        stored = log.head()[0]
        last = log.read(stored - 1, 1)[0].event
    if stored < promised:
        raise Wrong(f"{promised} events were answered with 200, and {stored} are in the log")
    if (last.name, last.user_id, last.properties) != (EVENT["event"], EVENT["userId"], EVENT["properties"]):
        raise Wrong(f"the log holds another event than was sent: {last}")


def measure(quick: bool, folder: Path) -> list[Figure]:
    seconds = 1.5 if quick else 4.0
    syncs = syncs_a_second(folder)
    floor, litestar, ours = (loaded(serve, folder, seconds) for serve in (serve_asgi, serve_bare, serve_front_door))
    check_log(folder / "front-door.sqlite", ours)
    found = [Figure("fdatasync of 4 KB", "a second", syncs)]
    for size, (_, _, connections) in LOADS.items():
        what = f"{'singly' if size == 1 else f'in batches of {size}'}, {connections} connections"
        rates = [size * len(each[size].took) / seconds for each in (ours, floor, litestar)]
        goal = rates[2] if size == 1 else BATCHES
        found.append(Figure(what, "events/s", rates[0], rates[1], peers={"Litestar": rates[2]}, goal=goal))
        spent = [1e6 * each[size].cpu / size for each in (ours, floor, litestar)]
        of_it = "  of the server's processor, an event"
        found.append(Figure(of_it, "µs", spent[0], spent[1], peers={"Litestar": spent[2]}))
        for label, at in (("half of the answers within", 50), ("99 in 100 within", 99)):
            waits = [1_000 * quantile(each[size].took, at) for each in (ours, floor, litestar)]
            found.append(Figure(f"  {label}", "ms", waits[0], waits[1], peers={"Litestar": waits[2]}))
        waits = [1_000 * quantile(each[size].at_half, 99) for each in (ours, floor, litestar)]
        goal_ms = WITHIN_MS if size == 1 else None
        found.append(
            Figure(
                "  at half that load, 99 in 100 within", "ms", waits[0], waits[1], peers={"Litestar": waits[2]},
                goal=goal_ms, is_bound=True,
            )
        )  # fmt: skip
    return found


def quantile(took: list[float], percent: int) -> float:
    return statistics.quantiles(took, n=100)[percent - 1]
