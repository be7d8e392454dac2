"""What a soak needs: a provider that is slow and fails now and then and whose people open and click, a load that keeps
its pace, and somebody who writes down once a second how large everything is.
"""

from __future__ import annotations

import contextlib
import hashlib
import html
import os
import queue
import random
import re
import sqlite3
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec

from plugins.recording_esp import Answer, RecordingEsp
from running import Running, post_as_sdks_do, track

LINK = re.compile(r"https?://[^\"'\s<>]+/t/([oc])/[^\"'\s<>]+")
BAD = (
    Answer(429, {"name": "rate_limit_exceeded"}, {"retry-after": "1"}),
    Answer(500, {"name": "application_error"}),
    Answer(500, {"name": "application_error"}, takes=True),
    Answer(None),
    Answer(None, takes=True),
    Answer(200, {"id": "slow"}, seconds=3.0, takes=True),
    Answer(200, {"id": "late"}, seconds=4.5, takes=True),
    Answer(503),
)


class Provider(RecordingEsp):
    """Keeps of each message its send alone, and hands the addresses in it to `links`, for people to open and click."""

    def __init__(self) -> None:
        super().__init__()
        self.links: queue.Queue[str] = queue.Queue(maxsize=1_000)
        self.taken: Counter[str] = Counter()

    def take(self, key: str, raw: bytes) -> tuple[int, dict[str, Any]]:
        digest = hashlib.sha256(raw).digest()
        with self.lock:
            known = self.keys.get(key)
            if known is not None:
                same = known[1] == digest
                return (200, {"id": known[0]}) if same else (409, {"name": "invalid_idempotent_request"})
            try:
                message = msgspec.json.decode(raw)
            except msgspec.DecodeError:
                # Who sent it was killed half-way.
                return 400, {"name": "validation_error"}
            send = next(tag["value"] for tag in message["tags"] if tag["name"] == "send")
            self.taken[send] += 1
            self.keys[key] = (f"esp-{len(self.keys)}", digest)
            self.asked.clear()
        for found in LINK.finditer(message["html"]):
            with contextlib.suppress(queue.Full):
                self.links.put_nowait(html.unescape(found[0]))
        return 200, {"id": self.keys[key][0]}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who asked was killed; anything else is a fault of ours."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def have_a_bad_time(self, dice: random.Random, answers: int) -> None:
        with self.lock:
            self.answers = [dice.choice(BAD) for _ in range(answers)]


class Load:
    """Posts batches from a thread of its own, `rate` events a second; each batch until it is acknowledged. What was
    acknowledged is counted by person. `rate` None is as quickly as answers come.
    """

    def __init__(self, server: Running, people: int, batch: int, dice: random.Random) -> None:
        self.rate: float | None = 0.0
        self.acked: Counter[str] = Counter()
        self.steps: Counter[str] = Counter()
        self.worth: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.problem: BaseException | None = None
        self.events = 0
        self._server, self._people, self._batch, self._dice = server, people, batch, dice
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(120)

    def _run(self) -> None:
        number, next_at = 0, time.monotonic()
        try:
            with httpx.Client(base_url=self._server.address, timeout=30) as client:
                while not self._ended.is_set():
                    now = time.monotonic()
                    if self.rate == 0.0 or (self.rate is not None and now < next_at):
                        self._ended.wait(0.05 if self.rate == 0.0 else next_at - now)
                        continue
                    # What the server could not take while it was away is not asked of it later.
                    next_at = max(next_at, now - 1.0) + (self._batch / self.rate if self.rate else 0.0)
                    batch = [self._event(number + each) for each in range(self._batch)]
                    number += self._batch
                    post_as_sdks_do(client, batch, self.refused)
                    self._note(batch)
        except BaseException as error:
            self.problem = error

    def _event(self, number: int) -> dict[str, Any]:
        person = f"p{self._dice.randrange(self._people)}"
        name = self._dice.choices(["Step Taken", "Offer Wanted", "Basket Left", "Order Completed"], [990, 4, 4, 2])[0]
        return track(person, name, messageId=f"soak-{number}", properties={"worth": self._dice.randrange(1, 100)})

    def _note(self, batch: list[dict[str, Any]]) -> None:
        for event in batch:
            if event["event"] == "Step Taken":
                self.steps[event["userId"]] += 1
                self.worth[event["userId"]] += event["properties"]["worth"]
            else:
                self.acked[event["event"]] += 1
        self.events += len(batch)


class Visitors:
    """Open and click what the provider was handed, from a thread of their own."""

    def __init__(self, provider: Provider) -> None:
        self.visits = 0
        self._provider = provider
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Visitors:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(60)

    def _run(self) -> None:
        agent = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"}
        with httpx.Client(timeout=30, headers=agent, follow_redirects=False) as client:
            while not self._ended.is_set():
                with contextlib.suppress(queue.Empty, httpx.TransportError):
                    answer = client.get(self._provider.links.get(timeout=0.2))
                    assert answer.status_code < 500 or answer.status_code == 503
                    self.visits += 1


class Sampler:
    """Once a second: memory, open files and threads of each process, the WALs' sizes, the lag; `series` by name, each
    with its `times`, in seconds since the beginning.
    """

    def __init__(self, server: Running) -> None:
        self.series: dict[str, list[float]] = defaultdict(list)
        self.times: dict[str, list[float]] = defaultdict(list)
        self.readings: list[str] = []
        self._server = server
        self._worker, self._written = 0, 0.0
        self._began = time.monotonic()
        self._data = server.workspace / "data"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(60)

    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def window(self, name: str, since: float) -> tuple[list[float], list[float]]:
        """The part of a series from `since` on."""
        pairs = [(at, value) for at, value in zip(self.times[name], self.series[name], strict=True) if at >= since]
        return [at for at, _ in pairs], [value for _, value in pairs]

    def unfilled(self, megabytes: float) -> float:
        """How much of a cache of so many MB for the state's pages may still be empty: what the worker that is there now
        has written since it began is in it.
        """
        return max(0.0, megabytes - (self.state_mb() - self._written))

    def state_mb(self) -> float:
        return (self._data / "state.sqlite3").stat().st_size / 1e6

    def _run(self) -> None:
        number = 0
        while not self._ended.wait(1.0):
            self._processes()
            for name in ("log", "state"):
                with contextlib.suppress(FileNotFoundError):
                    self._note(f"{name} WAL, MB", (self._data / f"{name}.sqlite3-wal").stat().st_size / 1e6)
            with contextlib.suppress(sqlite3.OperationalError):
                self._note("lag, events", self._lag())
            number += 1
            if number % 10 == 0:
                with contextlib.suppress(httpx.TransportError):
                    self._readiness()

    def _note(self, name: str, value: float) -> None:
        self.times[name].append(self.elapsed())
        self.series[name].append(value)

    def _processes(self) -> None:
        found: Mapping[str, list[int]] = {
            "supervisor": [self._server.process.pid],
            "api": self._server.children("api"),
            "worker": self._server.children("worker"),
        }
        for name, pids in found.items():
            # While rules are reloaded there are two workers.
            if len(pids) != 1:
                continue
            place = Path(f"/proc/{pids[0]}")
            with contextlib.suppress(OSError):
                fields = (place / "stat").read_text().rpartition(")")[2].split()
                files = len(os.listdir(place / "fd"))  # noqa: PTH208
                self._note(f"{name} memory, MB", int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 1e6)
                self._note(f"{name} open files", files)
                if name == "worker" and pids[0] != self._worker:
                    self._worker, self._written = pids[0], self.state_mb()
                self._note(f"{name} threads", int(fields[17]))

    def _lag(self) -> int:
        with contextlib.closing(sqlite3.connect(f"file:{self._data / 'state.sqlite3'}?mode=ro", uri=True)) as state:
            (position,) = state.execute("SELECT position FROM progress").fetchone()
        with contextlib.closing(sqlite3.connect(f"file:{self._data / 'log.sqlite3'}?mode=ro", uri=True)) as log:
            head = log.execute("SELECT max(position) FROM events").fetchone()[0] or 0
        return max(0, head - position)

    def _readiness(self) -> None:
        """What /readyz says of single parts, and that /metrics answers."""
        told = self._server.http.get("/readyz")
        self.readings += [name for name, part in told.json()["parts"].items() if part["status"] == "failed"]
        metrics = self._server.ask("/metrics")
        for line in metrics.text.splitlines():
            name, _, value = line.partition(" ")
            if name == "triggerfish_log_queue_events":
                self._note("log queue, events", float(value))
