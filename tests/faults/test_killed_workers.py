"""Processes are killed at random moments while events stream in: what was acknowledged is applied exactly once, and no
marketing message is sent twice.

TRIGGERFISH_FAULTS_SEED repeats a run's choices (not its timing); without it they are new every time, and printed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from faults.quick_sink import QuickSink
from running import PATIENCE, Running, identify, post_as_sdks_do, serving, track, wait_until, write_workspace

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1_800)]

PEOPLE = 500
BATCH = 100
SMTP_BATCH = 50
RULES = {
    "shop.yaml": """
        events:
          step: Step Taken
          echo: Step Echoed
        segments:
          - name: walkers
            when: count(step) >= 1
        ruleset: shop
        max_age: 1 day
        rules:
          - name: counted
            on: step
            then:
              - set: {steps: {value: count(step)}, worth: {value: sum(step.worth)}}
              - emit: Step Echoed
          - name: echoed
            on: echo
            then:
              - set: {echoes: {value: count(echo)}}
          - name: offer
            on: Offer Wanted
            then: [send: offer]
          - name: reminder
            on: Basket Left
            wait: 1 second
            while_waiting: each
            then: [send: reminder]
          - name: receipt
            on: Order Completed
            then: [send: receipt]
    """
}
TEMPLATE_OF = {"Offer Wanted": "offer", "Basket Left": "reminder", "Order Completed": "receipt"}


@dataclass
class Stream:
    """Posts `total` events in batches from a thread of its own, each batch until it is acknowledged. `lost` is the
    share of answers that never arrive: then the batch comes again.
    """

    server: Running
    dice: random.Random
    total: int
    let_on: threading.Semaphore
    lost: float = 0.0
    acked: list[dict[str, Any]] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    problem: BaseException | None = None

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            with httpx.Client(base_url=self.server.address, timeout=120) as client:
                for start in range(0, self.total, BATCH):
                    self.let_on.acquire()
                    batch = [self._event(number) for number in range(start, start + BATCH)]
                    post_as_sdks_do(client, batch, self.refused)
                    if self.dice.random() < self.lost or (self.lost and start == 0):
                        post_as_sdks_do(client, batch, self.refused)
                    self.acked += batch
        except BaseException as error:
            self.problem = error

    def _event(self, number: int) -> dict[str, Any]:
        person = f"p{self.dice.randrange(PEOPLE)}"
        name = self.dice.choices(["Step Taken", "Offer Wanted", "Basket Left", "Order Completed"], [92, 4, 3, 1])[0]
        worth = self.dice.randrange(1, 100)
        return track(person, name, messageId=f"m{number}", properties={"worth": worth})


@contextlib.contextmanager
def shop(folder: Path, dice: random.Random) -> Iterator[tuple[Running, QuickSink]]:
    """A server that sends over SMTP, and everybody's address known to it."""
    with QuickSink(dice, slowest=0.008) as sink:
        settings = f"""
            [plugins.smtp]
            host = "127.0.0.1"
            port = {sink.port}
            security = "none"
            """
        templates = {"offer": "marketing", "reminder": "marketing", "receipt": "transactional"}
        workspace = write_workspace(folder / "shop", RULES, channel="smtp", more_settings=settings, **templates)
        with serving(workspace) as server:
            everybody = [identify(f"p{number}", email=f"p{number}@example.org") for number in range(PEOPLE)]
            for start in range(0, PEOPLE, BATCH):
                server.take(*everybody[start : start + BATCH])
            server.quiet()
            yield server, sink


def works(server: Running) -> bool:
    """Whether a worker holds the lock under which it decides and sends."""
    with (server.workspace / "data" / "worker.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def decided(server: Running) -> int:
    """How far the log is decided; read without the api, which may be away."""
    path = server.workspace / "data" / "state.sqlite3"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=PATIENCE)) as state:
        (position,) = state.execute("SELECT position FROM progress").fetchone()
    return int(position)


def kill_at_random(
    server: Running, what: str, dice: random.Random, let_go: Callable[[], None], *, is_late: bool
) -> bool:
    """Kill a process: mostly while it works, sometimes while it starts. `let_go` lets further events come. Returns
    whether the next worker has to get on before it is killed (`is_late` then): what worker after worker dies of is put
    aside, and rightly, though here the event is not to blame.
    """
    is_early = what == "worker" and not is_late and dice.random() < 0.3
    if what == "api" and dice.random() < 0.85:
        wait_until(lambda: server.ask("/v1/status"), "an api that answers", 120)
        let_go()
        # Its work on some batches takes milliseconds.
        time.sleep(dice.uniform(0, 0.05))
    elif what == "api" or is_early:
        let_go()
        time.sleep(dice.uniform(0, 1.0))
    else:
        wait_until(lambda: works(server), "a worker at work", 120)
        before = decided(server)
        let_go()
        wait_until(lambda: decided(server) > before, "a worker that gets on", 120)
        time.sleep(dice.uniform(0, 0.5))
    server.kill(what)
    return is_late if what == "api" else is_early


def run(folder: Path, *, total: int, workers: int, apis: int) -> None:
    seed = int(os.environ.get("TRIGGERFISH_FAULTS_SEED", random.SystemRandom().randrange(2**32)))
    print(f"\nseed {seed}: {total} events, {workers} workers and {apis} apis killed")
    dice = random.Random(seed)
    began = time.monotonic()
    with shop(folder, dice) as (server, sink):
        victims = ["worker"] * workers + ["api"] * apis
        dice.shuffle(victims)
        batches = total // BATCH
        let_on = threading.Semaphore(0)
        stream = Stream(server, random.Random(seed + 1), total, let_on, lost=0.1 if apis else 0.0)
        stream.thread.start()
        is_late = False
        for number, victim in enumerate(victims):
            # So many batches that the stream ends with the kills.
            more = batches * (number + 1) // len(victims) - batches * number // len(victims)
            is_late = kill_at_random(server, victim, dice, partial(let_on.release, more), is_late=is_late)
        killed = time.monotonic()
        stream.thread.join(300)
        assert stream.problem is None, repr(stream.problem)
        assert len(stream.acked) == total
        status = settled(server)
        print(
            f"  killed {len(victims)} in {killed - began:.0f} s, all quiet after {time.monotonic() - began:.0f} s; "
            f"refused {dict(stream.refused)}; {status['events']} events in the log, sends {status['sends']}, "
            f"{len(sink.accepted)} letters taken"
        )
        assert status["dead_letters"] == 0
        repeats = status["events"] - PEOPLE - total
        # An answer that took minutes, or whose api died: nobody can know whether the batch is in the log.
        may_repeat = any(not status.isdecimal() for status in stream.refused)
        assert repeats > 0 if apis else repeats == 0 or may_repeat, "only what was posted twice is in the log twice"
        check_people(server, stream.acked)
        check_sends(server, sink, stream.acked, workers)


def settled(server: Running) -> dict[str, Any]:
    """The status once all is decided and every message has an answer or a time at which it is tried again."""

    def found() -> dict[str, Any] | None:
        status: dict[str, Any] = server.get("/v1/status")
        on_the_way = ("scheduled", "due", "sending")
        return None if status["lag"] or any(status["sends"].get(each) for each in on_the_way) else status

    return wait_until(found, "an end of all messages", 400)


def check_people(server: Running, acked: list[dict[str, Any]]) -> None:
    """Every acknowledged event was applied once: how many and how much, and what rules made of it."""
    steps: Counter[str] = Counter()
    worth: Counter[str] = Counter()
    for event in acked:
        if event["event"] == "Step Taken":
            steps[event["userId"]] += 1
            worth[event["userId"]] += event["properties"]["worth"]
    for person in (f"p{number}" for number in range(PEOPLE)):
        traits = server.get(f"/v1/profiles/{person}")["traits"]
        told = (traits.get("steps", 0), traits.get("worth", 0), traits.get("echoes", 0))
        assert told == (steps[person], worth[person], steps[person]), person
    count = next(each["count"] for each in server.get("/v1/segments") if each["name"] == "walkers")
    assert count == len(steps)


def check_sends(server: Running, sink: QuickSink, acked: list[dict[str, Any]], kills: int) -> None:
    """Every event that asks for a message has one; marketing went out at most once, transactional at least once."""
    wanted = Counter((event["userId"], TEMPLATE_OF[event["event"]]) for event in acked if event["event"] in TEMPLATE_OF)
    known = {f"p{number}": server.get(f"/v1/profiles/p{number}")["id"] for number in range(PEOPLE)}
    everything = all_sends(server)
    made = Counter((each["profile"], each["template"]) for each in everything)
    assert made == Counter({(known[person], template): count for (person, template), count in wanted.items()})

    taken = Counter(sink.accepted)
    assert taken.keys() <= {each["id"] for each in everything}
    marketing = [each for each in everything if each["template"] != "receipt"]
    transactional = [each for each in everything if each["template"] == "receipt"]
    # What the server certainly did not get, on a machine that stood still for long, is tried again.
    assert {each["status"] for each in marketing} <= {"sent", "uncertain", "retrying"}
    assert [each for each in marketing if each["status"] == "retrying" and taken[each["id"]]] == []
    assert [each for each in marketing if taken[each["id"]] > 1] == []
    assert [each for each in marketing if each["status"] == "sent" and taken[each["id"]] != 1] == []
    # What a killed worker had handed over is tried again, later and later each time.
    assert {each["status"] for each in transactional} <= {"sent", "retrying"}
    assert [each for each in transactional if each["status"] == "sent" and taken[each["id"]] < 1] == []
    uncertain = [each for each in marketing if each["status"] == "uncertain"]
    assert len(uncertain) <= kills * SMTP_BATCH
    assert all("it may have been delivered, so it is not sent again" in each["reason"] for each in uncertain)
    arrived = sum(taken[each["id"]] for each in uncertain)
    twice = sum(taken[each["id"]] > 1 for each in transactional)
    print(f"  {len(marketing)} marketing: {len(uncertain)} uncertain, {arrived} of them had arrived")
    print(f"  {len(transactional)} transactional: {twice} arrived more than once")


def all_sends(server: Running) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while page := server.sends(limit="500", **({"before": found[-1]["id"]} if found else {})):
        found += page
    return found


def test_a_worker_killed_fifty_times_applies_every_event_once_and_doubles_no_message(tmp_path):
    run(tmp_path, total=20_000, workers=50, apis=0)


def test_an_api_killed_too_loses_nothing_acknowledged_and_repeats_change_nothing(tmp_path):
    run(tmp_path, total=6_000, workers=8, apis=12)


def test_a_killed_supervisor_takes_its_processes_along_and_a_new_one_goes_on(tmp_path):
    dice = random.Random(7)
    with shop(tmp_path, dice) as (server, sink):
        stream = Stream(server, dice, 1_000, threading.Semaphore(10))
        stream.thread.start()
        stream.thread.join(300)
        assert len(stream.acked) == 1_000, repr(stream.problem)
        children = [server.child("api"), server.child("worker")]
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
        with serving(server.workspace) as again:
            wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), "the end of the orphans")
            settled(again)
            check_people(again, stream.acked)
            check_sends(again, sink, stream.acked, 1)
