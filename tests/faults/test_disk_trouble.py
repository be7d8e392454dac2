"""The disk is full or fails while events come in and messages leave: nothing is acknowledged that is not on disk, the
server says what to do, waits, and goes on by itself; then every acknowledged event was applied once, and every message
left once.

TRIGGERFISH_FAULTS_SEED repeats a long run's choices.
"""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from faults.disks import BrokenDisk, SmallDisk, seconds_of
from faults.quick_sink import QuickSink
from running import Running, identify, refuse, serving, track, wait_until, write_key_header, write_workspace

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

PEOPLE = 20
RULES = {
    "shop.yaml": """
        events: {step: Step Taken}
        ruleset: shop
        rules:
          - name: counted
            on: step
            then: [set: {steps: {value: count(step)}}]
          - name: offer
            on: Offer Wanted
            then: [send: offer]
    """
}
FULL = "write ENOSPC {}.sqlite3"
FAULTS = {
    "log-full": ([FULL.format("log")], "the disk is full"),
    "state-full": ([FULL.format("state")], "the disk is full"),
    "disk-full": (["write ENOSPC .sqlite3"], "the disk is full"),
    "log-writes-fail": (["write EIO log.sqlite3"], "the disk fails"),
    "log-syncs-fail": (["sync EIO log.sqlite3"], "the disk fails"),
    "state-writes-fail": (["write EIO state.sqlite3"], "the disk fails"),
    "state-syncs-fail": (["sync EIO state.sqlite3"], "the disk fails"),
}


@dataclass
class Shop:
    """A server, where its letters arrive, and an SDK: it posts in a thread of its own, each batch until it is taken."""

    server: Running
    sink: QuickSink
    acked: Counter[str] = field(default_factory=Counter)
    offers: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    problem: BaseException | None = None
    _number: int = 0
    _stopping: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def streaming(self) -> Iterator[None]:
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            thread.join(60)
        assert self.problem is None, repr(self.problem)

    def _run(self) -> None:
        try:
            with httpx.Client(base_url=self.server.address, timeout=30) as client:
                while not self._stopping.is_set():
                    self._post(client)
                    time.sleep(0.04)
        except BaseException as error:
            self.problem = error

    def _post(self, client: httpx.Client) -> None:
        self._number += 1
        people = [f"p{(self._number + step) % PEOPLE}" for step in range(5)]
        batch = [track(each, "Step Taken", messageId=f"s{self._number}.{each}") for each in people]
        batch.append(track(people[0], "Offer Wanted", messageId=f"o{self._number}"))
        while True:
            answer = client.post("/v1/batch", json={"batch": batch}, headers=write_key_header())
            if answer.status_code == 200:
                self.acked.update(people)
                self.offers += 1
                return
            self.refused[answer.status_code] += 1
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["Retry-After"]) >= 1
            time.sleep(0.2)

    def steps(self) -> Counter[str]:
        """What the rules counted, of each person."""
        people = {f"p{number}": self.server.get(f"/v1/profiles/p{number}") for number in range(PEOPLE)}
        return Counter({who: each["traits"].get("steps", 0) for who, each in people.items()})

    def check(self) -> None:
        """After all is quiet: each event was applied once, each message left once."""
        status = self.server.quiet()
        assert (status["dead_letters"], status["lag"]) == (0, 0)
        assert self.steps() == self.acked
        assert status["sends"] == {"sent": self.offers}
        assert set(Counter(self.sink.accepted).values()) == {1}
        assert len(self.sink.accepted) == self.offers


@contextmanager
def shop(folder: Path, env: dict[str, str]) -> Iterator[Shop]:
    with QuickSink(random.Random(1), slowest=0.002) as sink:
        smtp = f'\n[plugins.smtp]\nhost = "127.0.0.1"\nport = {sink.port}\nsecurity = "none"\n'
        more = smtp + "[delivery.guard]\nmost_at_once = 0\ntimes_ever = 0\n"
        workspace = write_workspace(folder, RULES, channel="smtp", more_settings=more, offer="marketing")
        with serving(workspace, env=env) as server:
            server.take(*(identify(f"p{number}", email=f"p{number}@example.org") for number in range(PEOPLE)))
            yield Shop(server, sink)


def goes_on(shop: Shop) -> None:
    """Events are taken, decided, and their messages leave."""
    before, left = shop.offers, len(shop.sink.accepted)
    wait_until(lambda: shop.offers >= before + 3 and len(shop.sink.accepted) >= left + 3, "further messages")


def unfit(server: Running, part: str) -> dict[str, Any] | None:
    """What `/readyz` says of a part that is not fit for work."""
    told: dict[str, Any] = server.ask("/readyz").json()["parts"][part]
    return told if told["status"] == "failed" else None


def outage(shop: Shop, disk: BrokenDisk, faults: list[str], why: str, seconds: float) -> None:
    """The disk is broken for a while: the server stays alive, says why, and does not spin."""
    server = shop.server
    pids = {what: server.child(what) for what in ("api", "worker")}
    said = len(server.said())
    with disk.broken(*faults):
        is_log = not any("state" in each for each in faults)
        wait_until(lambda: "cannot be used" in server.said()[said:], "word of it in the log")
        if is_log:
            answer = server.post(track("p0", "Step Refused"))
            assert (answer.status_code, answer.json()["code"]) == (503, "TF121")
            assert answer.json()["detail"] == f"the event log cannot be used just now: {why}"
            assert "on the server: " in answer.json()["hint"]
            assert server.ask("/readyz/log").status_code == 503
        else:
            part = wait_until(lambda: unfit(server, "worker"), "the worker's trouble")
            assert part["says"] == f"it waits, for the state cannot be written: {why}"
        began, used = time.monotonic(), sum(map(seconds_of, pids.values()))
        time.sleep(seconds)
        used = sum(map(seconds_of, pids.values())) - used
        assert used < 0.6 * (time.monotonic() - began) + 0.3, "nobody spins"
        assert server.get("/v1/status")["sends"], "reads are answered"
        assert server.ask("/").status_code in (200, 303, 307, 401)
    goes_on(shop)
    told = server.said()[said:]
    assert told.count("cannot be used: ") <= 2 * len(faults) + 1, told
    assert f"cannot be used: {why}" in told
    assert "can be used again" in told
    assert {what: server.child(what) for what in pids} == pids, "nobody died of it"


def test_whatever_the_disk_refuses_nothing_acknowledged_is_lost_and_no_message_doubled(tmp_path: Path):
    """Also when a real file system is full, where this user may mount one."""
    disk, small = BrokenDisk(tmp_path / "disk"), SmallDisk(tmp_path / "small", megabytes=24)
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "data").symlink_to(small.folder)
    try:
        with shop(tmp_path / "shop", dict(disk.env)) as open_shop:
            with open_shop.streaming():
                for faults, why in FAULTS.values():
                    goes_on(open_shop)
                    outage(open_shop, disk, faults, why, seconds=0.4)
                goes_on(open_shop)
                with small.full() if small.is_mounted else disk.broken("write ENOSPC /small/"):
                    before = open_shop.refused[503]
                    wait_until(lambda: open_shop.refused[503] > before + 2, "refusals")
                    acked = open_shop.offers
                    time.sleep(0.5)
                    assert open_shop.offers == acked
                goes_on(open_shop)
            open_shop.check()
            assert open_shop.refused.keys() == {503}
    finally:
        small.close()


@pytest.mark.long
def test_a_disk_that_fails_again_and_again_while_processes_are_killed_loses_nothing_acknowledged(tmp_path: Path):
    seed = int(os.environ.get("TRIGGERFISH_FAULTS_SEED", random.SystemRandom().randrange(2**32)))
    print(f"\nseed {seed}")
    dice, disk = random.Random(seed), BrokenDisk(tmp_path / "disk")
    rounds = 25
    with shop(tmp_path / "shop", dict(disk.env)) as open_shop:
        with open_shop.streaming():
            for _ in range(rounds):
                goes_on(open_shop)
                with disk.broken(*dice.choice(list(FAULTS.values()))[0]):
                    time.sleep(dice.uniform(0, 1.5))
                    if dice.random() < 0.5:
                        open_shop.server.kill("worker")
                    time.sleep(dice.uniform(0, 1.5))
        status = open_shop.server.quiet()
        print(f"  {rounds} outages: {open_shop.offers} messages, {status['sends']}, refused {dict(open_shop.refused)}")
        steps = {
            each: open_shop.server.get(f"/v1/profiles/{each}")["traits"].get("steps", 0) for each in open_shop.acked
        }
        assert Counter(steps) == open_shop.acked
        assert status["dead_letters"] == 0
        assert sum(status["sends"].values()) == open_shop.offers
        assert status["sends"].keys() <= {"sent", "uncertain"}
        taken = Counter(open_shop.sink.accepted)
        assert max(taken.values()) == 1
        assert status["sends"]["sent"] <= len(taken) <= open_shop.offers


def test_a_server_that_is_started_on_a_full_disk_says_that_there_is_no_room(tmp_path: Path):
    disk = SmallDisk(tmp_path / "shop" / "data", megabytes=8)
    try:
        if not disk.is_mounted:
            pytest.skip("this user may not mount a file system")
        workspace = write_workspace(tmp_path / "shop", RULES, offer="transactional")
        files = [workspace / "data" / name for name in ("log.sqlite3", "state.sqlite3")]
        with disk.full():
            assert_no_room(workspace, "TF412")
        with serving(workspace) as server:
            server.take(track("p1", "Step Taken", messageId="s1"))
        # Where log and state are open already, the first that finds no room is the address of the server.
        with closing(sqlite3.connect(files[0])) as log, closing(sqlite3.connect(files[1])) as state:
            for file in (log, state):
                file.execute("SELECT * FROM sqlite_master").fetchall()
            with disk.full():
                assert_no_room(workspace, "TF418")
    finally:
        disk.close()


def assert_no_room(workspace: Path, code: str) -> None:
    status, said = refuse(workspace)
    assert (status, said.splitlines()[0].startswith(code)) == (1, True), said
    assert "make room" in said
    assert "trace" not in said.lower()
