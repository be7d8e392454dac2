"""Load on a real server at a set rate: events of the reference workload, singly or in batches, whether the answers come
or not (an open loop), while the lag of the worker is looked at each second.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import statistics
import time
from base64 import b64encode
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
import uvloop

from benchmarks.measuring import Wrong
from benchmarks.reference_people import stream
from benchmarks.workspaces import Server

POOL = 20_000
"""Events that are written out once; each is sent again and again, with an id of its own."""
TICK_SECONDS = 0.005
MOST_LAG_SECONDS = 6.0
"""A lag that would take so long at the offered rate will not be caught up with."""
_ID = b"ajs-next-%016d"


class Offered(NamedTuple):
    """What came of it: the events a second that were offered, answered and decided; the worker's lag in events at each
    second; seconds that answers took; processor seconds and megabytes (RSS, at most) of each process.
    """

    rate: float
    answered: float
    decided: float
    lags: list[int]
    took: list[float]
    cpu: dict[str, float]
    memory: dict[str, float]

    @property
    def is_flat(self) -> bool:
        """Whether all was taken, and the lag does not grow: it stays below half a second of events, or is no more in
        the last quarter than in the second.
        """
        if self.answered < 0.97 * self.rate or len(self.lags) < 4 or max(self.lags) > MOST_LAG_SECONDS * self.rate:
            return False
        quarter = len(self.lags) // 4
        early, late = statistics.median(self.lags[quarter : 2 * quarter]), statistics.median(self.lags[-quarter:])
        return late <= max(0.5 * self.rate, 1.5 * early)

    @property
    def lag_seconds(self) -> float:
        """The longest lag, in seconds of events at the offered rate."""
        return max(self.lags, default=0) / self.rate


def bodies(people: int) -> list[tuple[bytes, bytes]]:
    """Events as JSON, without a time, split where the id belongs."""
    found = []
    for event in stream(POOL, people, 0):
        call: dict[str, Any] = {"type": event.kind, "userId": event.user_id, "messageId": "@@"}
        call |= {"event": event.name} if event.kind == "track" else {"name": "Page"}
        call |= {"properties": event.properties, "context": event.context}
        before, _, after = msgspec.json.encode(call).partition(b"@@")
        found.append((before, after))
    return found


class Caller(asyncio.Protocol):
    """One connection that has at most one request under way."""

    def __init__(self, took: list[float], free: deque[Caller]) -> None:
        self.took, self.free = took, free
        self.answer = b""
        self.failure = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def ask(self, request: bytes) -> None:
        self.asked_at = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.answer += data
        if not self.answer.endswith(b"}"):  # head and body may come apart
            return
        if not self.answer.startswith(b"HTTP/1.1 200 "):
            self.failure = self.answer[:200]
        self.answer = b""
        self.took.append(time.perf_counter() - self.asked_at)
        self.free.append(self)


class Load:
    """A server under load. Its events are numbered on, so that none is ever sent twice."""

    def __init__(self, server: Server, people: int) -> None:
        self.server = server
        self.pool = bodies(people)
        self.number = 0
        data = server.workspace / "data"
        self._state = sqlite3.connect(f"file:{data / 'state.sqlite3'}?mode=ro", uri=True, isolation_level=None)
        self._log = sqlite3.connect(f"file:{data / 'log.sqlite3'}?mode=ro", uri=True, isolation_level=None)
        self._credentials = b64encode(f"{server.write_key}:".encode()).decode()

    def close(self) -> None:
        self._state.close()
        self._log.close()

    def head(self) -> int:
        return int(self._log.execute("SELECT coalesce(max(position), 0) FROM events").fetchone()[0])

    def decided(self) -> int:
        return int(self._state.execute("SELECT position FROM progress").fetchone()[0])

    def drain(self, seconds: float = 120) -> None:
        """Wait until nothing is left to decide."""
        until = time.monotonic() + seconds
        while self.decided() < self.head():
            if time.monotonic() > until:
                raise Wrong(f"the worker is {self.head() - self.decided():,} events behind")
            time.sleep(0.1)

    def offer(self, rate: float, seconds: float, *, batch: int = 1, connections: int = 64) -> Offered:
        """Offer so many events a second for so long; stop when the lag grows beyond all."""
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(self._offer(rate, seconds, batch, connections))

    def _request(self, batch: int) -> bytes:
        calls = []
        for _ in range(batch):
            before, after = self.pool[self.number % POOL]
            calls.append(b"%b%b%b" % (before, _ID % self.number, after))
            self.number += 1
        path, body = ("track", calls[0]) if batch == 1 else ("batch", b'{"batch":[' + b",".join(calls) + b"]}")
        if batch == 1 and b'"type":"page"' in body:
            path = "page"
        head = f"POST /v1/{path} HTTP/1.1\r\nhost: x\r\nauthorization: Basic {self._credentials}\r\n"
        return f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body

    async def _offer(self, rate: float, seconds: float, batch: int, connections: int) -> Offered:
        loop, where = asyncio.get_running_loop(), urlsplit(self.server.url)
        took: list[float] = []
        free: deque[Caller] = deque()
        callers = []
        for _ in range(connections):
            _, caller = await loop.create_connection(lambda: Caller(took, free), where.hostname, where.port)
            callers.append(caller)
            free.append(caller)
        pids = {what: self.server.child(what) for what in ("api", "worker")}
        cpu = {what: cpu_of(pid) for what, pid in pids.items()}
        memory = dict.fromkeys(pids, 0.0)
        lags: list[int] = []
        began, decided, asked = time.perf_counter(), self.decided(), 0
        looked = began
        while (now := time.perf_counter()) < began + seconds:
            wanted = int((now - began) * rate / batch)
            while asked < wanted and free:
                free.popleft().ask(self._request(batch))
                asked += 1
            if now >= looked + 1:
                looked = now
                lags.append(self.head() - self.decided())
                memory = {what: max(memory[what], rss_of(pid)) for what, pid in pids.items()}
                if lags[-1] > MOST_LAG_SECONDS * rate:
                    break
            await asyncio.sleep(TICK_SECONDS)
        lasted = time.perf_counter() - began
        answered, decided = len(took) * batch / lasted, self.decided() - decided
        spent = {what: cpu_of(pid) - cpu[what] for what, pid in pids.items()}
        for _ in range(3_000):
            if len(free) == connections:
                break
            await asyncio.sleep(0.01)
        for caller in callers:
            caller.transport.close()
        failure = next((caller.failure for caller in callers if caller.failure), b"")
        if failure and not failure.startswith((b"HTTP/1.1 503", b"HTTP/1.1 429")):
            raise Wrong(f"a request was answered with {failure!r}")
        return Offered(rate, 0.0 if failure else answered, decided / lasted, lags, took, spent, memory)


def cpu_of(pid: int) -> float:
    """Processor seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_of(pid: int) -> float:
    """Megabytes of a process that are in memory, shared ones counted."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextlib.contextmanager
def load_on(server: Server, people: int) -> Iterator[Load]:
    load = Load(server, people)
    try:
        yield load
    finally:
        load.close()
