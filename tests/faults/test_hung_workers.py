"""A worker that lives and does nothing is ended and started again; an event that makes it hang is put aside."""

from __future__ import annotations

import os
import signal

import pytest

from running import serving, track, wait_until, write_workspace
from triggerfish.processes.poison import TRIES

RULES = """
    ruleset: shop
    rules:
      - name: tasted
        on: Step
        when: chew(event.flavour)
        then: [{set: {steps: {value: count(Step)}}}]
"""
PLUGIN = """
import threading
from triggerfish import hookimpl

def chew(flavour):
    if flavour == "endless":
        threading.Event().wait()
    return True

@hookimpl
def register_functions():
    return {"chew": chew}
"""
SILENCE = 6
"""Seconds. A machine on which a sound worker is as slow ends it now and then; that changes no outcome here."""

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]


@pytest.fixture
def server(tmp_path):
    info = tmp_path / "site" / "chewing-1.0.dist-info"
    info.mkdir(parents=True)
    (tmp_path / "site" / "chewing.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: chewing\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[triggerfish]\nchewing = chewing\n")
    workspace = write_workspace(
        tmp_path / "shop",
        {"shop.yaml": RULES},
        more_settings=f"[limits]\nworker_silence_seconds = {SILENCE}\n",
        hello="marketing",
    )
    path = os.pathsep.join(filter(None, [str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]))
    with serving(workspace, env={"PYTHONPATH": path}) as running:
        yield running


def step(number, flavour="sweet"):
    return track(f"p{number}", "Step", properties={"flavour": flavour})


def test_a_worker_that_hangs_is_ended_and_an_event_on_which_it_hangs_is_put_aside(server):
    server.take(step(0))
    server.quiet()
    worker = server.child("worker")
    os.kill(worker, signal.SIGSTOP)
    server.take(step(1))
    wait_until(lambda: worker not in server.children("worker"), "the end of the worker that stands")
    server.quiet()
    assert server.profile("p1")["traits"] == {"steps": 1}
    assert "the worker hangs, and is ended: no sign of life for " in server.said()

    # Each of these workers hangs for good: in a function of somebody else's, which hears no SIGTERM.
    server.take(*[step(number, "endless" if number == 13 else "sweet") for number in range(10, 20)])
    wait_until(lambda: server.get("/v1/dead-letters"), "the event that is put aside", 300)
    status = server.quiet()
    (letter,) = server.get("/v1/dead-letters")
    assert letter["event"]["user_id"] == "p13"
    assert letter["cause"] == f"the worker died or hung {TRIES} times when it decided this"
    assert status["dead_letters"] == 1
    assert all(server.profile(f"p{number}")["traits"] == {"steps": 1} for number in range(10, 20) if number != 13)
    assert server.said().count("the worker hangs, and is ended") >= 2 + TRIES
