"""Twice what the server can take, a log that cannot be written, a worker that stands still: what the api says then."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from hostile.watching import Watch, faults_in
from hostile.wire import AUTHORIZATION
from running import Running, track

MB = 1024 * 1024
Flood = Callable[..., dict[str, Any]]
REFUSALS = {"429", "503"}


@pytest.fixture
def flood(server: Running) -> Iterator[Flood]:
    place = urlsplit(server.address)
    command = [
        sys.executable,
        str(Path(__file__).with_name("flood.py")),
        str(place.hostname),
        str(place.port),
        AUTHORIZATION,
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def ordered(**order: Any) -> dict[str, Any]:
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())  # type: ignore[no-any-return]

        try:
            yield ordered
        finally:
            process.kill()


def stored(server: Running) -> int:
    return int(server.get("/v1/status")["events"])


def check_answers(told: dict[str, Any]) -> None:
    """Nothing but 200, 429 and 503; who is refused is told when to come back, and soon enough that nobody queues.
    An idle connection may be closed for others (0), as any server may at any time; clients open another.
    """
    assert set(told["answers"]) <= {"200", "0", *REFUSALS}, told
    assert told["answers"].get("0", 0) <= sum(told["answers"].values()) / 5, told
    assert told["unanswered"] == 0, told
    if REFUSALS & set(told["answers"]):
        assert all(each.isdigit() and 1 <= int(each) <= 30 for each in told["retry_after"]), told


def check_stored(server: Running, before: int, *told: dict[str, Any]) -> None:
    """What was taken is there and nothing else is, but for what nobody was told of."""
    taken, unknown = sum(each["taken"] for each in told), sum(each["unknown"] for each in told)
    assert before + taken <= stored(server) <= before + taken + unknown, told


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [
        pytest.param("single", 3, id="single events"),
        pytest.param("batch", 3, id="batches of 500 KB"),
        pytest.param("single", 60, id="single events for a minute", marks=pytest.mark.long),
        pytest.param("batch", 60, id="batches of 500 KB for a minute", marks=pytest.mark.long),
    ],
)
def test_at_twice_what_it_can_take_it_sheds_what_is_too_much_and_recovers(server, flood, kind, seconds):
    before = stored(server)
    # So many that all of their bodies may be half here at once.
    calm = {"kind": kind, "most": 64 if kind == "single" else 16}
    warm = flood(**calm, seconds=1)
    told = flood(**calm, seconds=2)
    per_request = 1 if kind == "single" else 100
    capacity = told["taken"] / per_request / told["seconds"]
    assert set(told["answers"]) == {"200"}, told
    with Watch(server.child("api")) as watch:
        twice = flood(kind=kind, seconds=seconds, rate=2 * capacity, most=2_500)
    check_answers(twice)
    assert twice["taken"] > 0
    # Some seconds' worth may wait for the disk; a minute's does not.
    assert seconds < 60 or REFUSALS & set(twice["answers"]), twice
    # Nobody waits for long, neither to be taken nor to be refused.
    assert max(twice["slowest"].values()) < 15, twice
    assert watch.grown < 300 * MB, (watch.grown / MB, twice)
    again = flood(**calm, seconds=2)
    print(f"{kind}: {capacity:.0f}/s; at twice that {twice}; grew by {watch.grown / MB:.0f} MB; then {again}")
    assert set(again["answers"]) == {"200"}, again
    assert again["taken"] / per_request / again["seconds"] > capacity / 3, (capacity, again)
    check_stored(server, before, warm, told, twice, again)


def test_while_the_log_cannot_be_written_it_refuses_and_then_goes_on_by_itself(server, flood):
    """Somebody else holds the log's file: the disk stalls. What was answered with 200 is there, and no more."""
    before = stored(server)
    file = server.workspace / "data" / "log.sqlite3"
    with Watch(server.child("api")) as watch, contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        stalled = flood(kind="batch", seconds=7, rate=40, most=2_500)
        other.execute("ROLLBACK")
    check_answers(stalled)
    assert REFUSALS & set(stalled["answers"]), stalled
    assert max(stalled["slowest"].values()) < 20, stalled
    assert watch.grown < 300 * MB, (watch.grown / MB, stalled)
    print(f"a stalled log: {stalled}; grew by {watch.grown / MB:.0f} MB")
    after = flood(kind="batch", seconds=1, most=16)
    assert set(after["answers"]) == {"200"}, after
    check_stored(server, before, stalled, after)
    assert server.get("/v1/status")["dead_letters"] == 0


def test_a_worker_that_stands_still_keeps_nobody_from_sending(server):
    """The log is the buffer; only the disk bounds it. Lag says so, and all is decided in the end."""
    worker = server.child("worker")
    before = stored(server)
    os.kill(worker, signal.SIGSTOP)
    try:
        for batch in range(20):
            server.take(*[track(f"s{number}", "Waited", messageId=f"wait-{batch}-{number}") for number in range(100)])
        assert server.get("/v1/status")["lag"] >= 1_900
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGCONT)
    status = server.quiet()
    assert status["events"] == before + 2_000
    assert status["dead_letters"] == 0
    assert any(line.get("event") == "Waited" for line in server.timeline("s99"))


def test_the_server_has_not_failed_in_all_that(server):
    time.sleep(0.1)
    assert not faults_in(server.said())
