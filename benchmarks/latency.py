"""Milliseconds from the 200 answer to the decision, at 500 events a second that come singly and at random (Poisson).

How it is measured: a client sends calls of the made-up shop, stamped by the server as they come, to a real `triggerfish
serve` and notes when each was answered. A process of its own reads the row `progress` of the state's file, read-only,
every 0.2 ms, and notes when the position in the log that is decided and committed has moved on. Both use the machine's
monotonic clock. An event is decided when the position has reached it; one that was decided before its answer had
reached the client counts as 0.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import multiprocessing
import sqlite3
import statistics
import time
from bisect import bisect_left
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import uvloop

from benchmarks.measuring import Figure, Wrong
from benchmarks.streams import crowd
from benchmarks.workspaces import Server, make_workspace, serving
from triggerfish.adapters.sqlite.log import SqliteEventLog

EVENTS_A_SECOND = 500
CONNECTIONS = 32
LOOK_SECONDS = 0.0002
WARM_UP_EVENTS = 200


class Answered(NamedTuple):
    """When a call was to be sent, and when its 200 was there: seconds of the monotonic clock."""

    due: float
    at: float


def watch(state: Path, ours: Any) -> None:
    """Note (when, position) at each step of the log position that is committed, until something is said."""
    steps: list[tuple[float, int]] = []
    with contextlib.closing(sqlite3.connect(f"{state.as_uri()}?mode=ro", uri=True, isolation_level=None)) as db:
        seen = -1
        while not ours.poll():
            position = db.execute("SELECT position FROM progress").fetchone()[0]
            if position != seen:
                steps.append((time.monotonic(), position))
                seen = position
            time.sleep(LOOK_SECONDS)
    ours.send(steps)


async def send(server: Server, calls: list[bytes]) -> dict[str, Answered]:
    """Send the calls at random instants; by message id when each was answered."""
    where = urlsplit(server.url)
    free: asyncio.LifoQueue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.LifoQueue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await asyncio.open_connection(where.hostname, where.port))
    authorization = base64.b64encode(f"{server.write_key}:".encode()).decode()
    answered: dict[str, Answered] = {}

    async def call(due: float, body: bytes) -> None:
        told = json.loads(body)
        head = f"POST /v1/{told['type']} HTTP/1.1\r\nhost: x\r\nauthorization: Basic {authorization}\r\n"
        reader, writer = await free.get()
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise Wrong(f"{told} was answered with {answer[:40]!r}")
        length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
        answered[told["messageId"]] = Answered(due, time.monotonic())
        free.put_nowait((reader, writer))

    dice, due = Random(1), time.monotonic()
    async with asyncio.TaskGroup() as group:
        for body in calls:
            due += dice.expovariate(EVENTS_A_SECOND)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            group.create_task(call(due, body))
    while not free.empty():
        free.get_nowait()[1].close()
    return answered


def as_they_come(events: int) -> list[bytes]:
    """Calls without a time: it is the server that says when they came."""
    calls = []
    for text in crowd(events):
        call = json.loads(text)
        del call["timestamp"]
        calls.append(json.dumps(call).encode())
    return calls


def wait_until_decided(state: Path, position: int) -> None:
    deadline = time.monotonic() + 60
    with contextlib.closing(sqlite3.connect(f"{state.as_uri()}?mode=ro", uri=True)) as db:
        while db.execute("SELECT position FROM progress").fetchone()[0] < position:
            if time.monotonic() > deadline:
                raise Wrong("the worker has not decided all events within a minute")
            time.sleep(0.05)
        if db.execute("SELECT count(*) FROM dead_letters").fetchone()[0]:
            raise Wrong("there are dead letters")
        if not db.execute("SELECT count(*) FROM sends").fetchone()[0]:
            raise Wrong("no rule fired")


def percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def measure(quick: bool, folder: Path) -> list[Figure]:
    calls = as_they_come(EVENTS_A_SECOND * (6 if quick else 20) + WARM_UP_EVENTS)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with serving(make_workspace(folder)) as server:
        data = server.workspace / "data"
        state = data / "state.sqlite3"
        watcher = context.Process(target=watch, args=(state, theirs))
        watcher.start()
        time.sleep(1.0)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            answered = runner.run(send(server, calls))
        wait_until_decided(state, len(calls))
        time.sleep(0.1)
        ours.send("enough")
        steps = ours.recv()
        watcher.join()
        status = httpx.get(f"{server.url}/v1/status", headers={"Authorization": f"Bearer {server.admin_key}"}).json()
        if status["events"] != len(calls) or len(answered) != len(calls):
            raise Wrong(f"{len(calls)} events were sent, {len(answered)} answered, {status['events']} are stored")
        with contextlib.closing(SqliteEventLog(data / "log.sqlite3")) as log:
            placed = [(entry.position, answered[entry.event.message_id]) for entry in log.read(0, len(calls))]
    positions = [position for _, position in steps]
    delays, waits = [], []
    for position, answer in placed[WARM_UP_EVENTS:]:
        decided_at = steps[bisect_left(positions, position)][0]
        delays.append(1_000 * max(0.0, decided_at - answer.at))
        waits.append(1_000 * (answer.at - answer.due))
    label = f"{EVENTS_A_SECOND} events/s"
    return [
        Figure(f"{label}: from the answer to the decision, half within", "ms", percentile(delays, 50),
               goal=20, is_bound=True),
        Figure("  from the answer to the decision, 99 in 100 within", "ms", percentile(delays, 99),
               goal=100, is_bound=True),
        Figure("  the longest", "ms", max(delays)),
        Figure(f"{label}: from the call to its answer, half within", "ms", percentile(waits, 50)),
        Figure("  99 in 100 within", "ms", percentile(waits, 99)),
    ]  # fmt: skip
