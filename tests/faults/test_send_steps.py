"""The worker is killed between every two steps of a send: a marketing message arrives at most once and is `uncertain`
only where nobody can know, a transactional one at least once; a provider that knows its keys delivers all of it once.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from faults.step_sink import STEPS, StepSink
from plugins.recording_esp import Answer, RecordingEsp
from running import Running, identify, serving, track, wait_until, write_workspace

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

DYING = Path(__file__).parent / "dying"
RULES = {
    "shop.yaml": """
        ruleset: shop
        max_age: 1 day
        rules:
          - name: offer
            on: Offer Wanted
            then: [send: offer]
          - name: receipt
            on: Order Completed
            then: [send: receipt]
    """
}
ASKS = {"marketing": "Offer Wanted", "transactional": "Order Completed"}
IN_THE_WORKER = tuple(
    f"{when} {step}" for step in ("the decision", "the mark", "the note") for when in ("before", "after")
)
"""Steps on this side: the decision is committed; the message is marked as being sent; the answer is noted."""
UNKNOWABLE = {"after the mark", "before the note", *STEPS}
"""Where the worker had marked the message and had no answer on disk: it cannot know what became of it."""


@contextmanager
def shop(folder: Path, channel: str, settings: str) -> Iterator[tuple[Running, Path]]:
    """A server that sends over this channel, one message a batch, and the file that says where its worker dies."""
    order = folder / "die-at"
    workspace = write_workspace(
        folder / "shop", RULES, channel=channel, more_settings=settings, offer="marketing", receipt="transactional"
    )
    python_path = f"{DYING}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    with serving(workspace, env={"PYTHONPATH": python_path, "TRIGGERFISH_DIE_AT": str(order)}) as server:
        yield server, order


def ask_for(server: Running, name: str, class_: str) -> None:
    server.take(identify(name, email=f"{name}@example.org"))
    server.take(track(name, ASKS[class_], messageId=f"asked-{name}"))


def send_of(server: Running, name: str) -> dict[str, Any]:
    """The one message to this person."""
    found = wait_until(lambda: server.sends(profile=name), f"a message to {name}")
    assert len(found) == 1, found
    return found[0]


def at_rest(server: Running, name: str, *statuses: str) -> dict[str, Any]:
    def found() -> dict[str, Any] | None:
        send = send_of(server, name)
        return send if send["status"] in statuses else None

    return wait_until(found, f"an end of the message to {name} ({', '.join(statuses)})", 120)


def next_worker(server: Running, dead: int) -> None:
    wait_until(lambda: [pid for pid in server.children("worker") if pid != dead], "another worker")


def die_at(server: Running, order: Path, step: str, name: str, class_: str) -> None:
    """Let the worker die at a step of this message."""
    worker = server.child("worker")
    order.write_text(step)
    ask_for(server, name, class_)
    wait_until(lambda: not order.exists(), f"a death {step}")
    next_worker(server, worker)


def check(sends: dict[str, tuple[str, str, dict[str, Any]]], arrived: Counter[str]) -> None:
    """What has to be true of each message: (step, class, send) by name."""
    for name, (step, class_, send) in sends.items():
        count, status = arrived[send["id"]], send["status"]
        said = f"{name}: killed at {step!r}, {status}, arrived {count} times ({send['reason']})"
        if class_ == "transactional":
            assert (status, count >= 1) == ("sent", True), said
        elif status == "sent":
            assert count == 1, said
        else:
            assert (status, step in UNKNOWABLE, count <= 1) == ("uncertain", True, True), said


def smtp(port: int) -> str:
    return f"""
        [plugins.smtp]
        host = "127.0.0.1"
        port = {port}
        security = "none"
        connections = 1
        """


def resend(esp: RecordingEsp) -> str:
    return f"""
        [plugins.resend]
        api_key = "{esp.api_key}"
        url = "{esp.url}"
        timeout_seconds = 0.5
        """


MOST = {
    "marketing": (*IN_THE_WORKER, *STEPS),
    "transactional": ("after the mark", "DATA", "taken", "before the note"),
}
EVERY = dict.fromkeys(ASKS, (*IN_THE_WORKER, *STEPS))


@pytest.mark.parametrize(
    "steps", [pytest.param(MOST, id="most"), pytest.param(EVERY, id="all", marks=pytest.mark.long)]
)
def test_killed_between_any_two_steps_over_smtp(tmp_path: Path, steps: dict[str, tuple[str, ...]]) -> None:
    armed: list[tuple[str, int]] = []

    def reached(step: str) -> None:
        if armed and armed[0][0] == step:
            _, worker = armed.pop()
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)

    sends: dict[str, tuple[str, str, dict[str, Any]]] = {}
    with StepSink(reached) as sink, shop(tmp_path, "smtp", smtp(sink.port)) as (server, order):
        for class_, wanted in steps.items():
            for number, step in enumerate(wanted):
                name = f"{class_[0]}{number}"
                if step in STEPS:
                    worker = server.child("worker")
                    armed.append((step, worker))
                    ask_for(server, name, class_)
                    wait_until(lambda: not armed, f"the step {step!r}")
                    next_worker(server, worker)
                else:
                    die_at(server, order, step, name, class_)
                # A transactional one is tried again some seconds later; the next does not wait for it.
                over = ("sent", "uncertain") if class_ == "marketing" else ("sent", "retrying")
                sends[name] = (step, class_, at_rest(server, name, *over))
        for name, (step, class_, _) in sends.items():
            if class_ == "transactional":
                sends[name] = (step, class_, at_rest(server, name, "sent"))
        check(sends, sink.accepted)
        ends = Counter(send["status"] for _, class_, send in sends.values() if class_ == "marketing")
        print(f"\n  killed {len(sends)} times: marketing {dict(ends)}, arrived {sum(sink.accepted.values())}")
        # All that cannot be known is said to be so, and nothing else.
        assert ends["sent"] >= 4
        assert ends["uncertain"] >= 6
        assert sink.accepted.keys() <= {send["id"] for _, _, send in sends.values()}


def test_killed_between_any_two_steps_over_a_provider_with_keys_everything_arrives_once(tmp_path: Path) -> None:
    sends: dict[str, dict[str, Any]] = {}
    answers = {
        "asked": Answer(seconds=0.3), "taken": Answer(seconds=0.3, takes=True), "hung up": Answer(None, takes=True)
    }  # fmt: skip
    with RecordingEsp() as esp, shop(tmp_path, "resend", resend(esp)) as (server, order):
        for number, step in enumerate(("before the mark", "after the mark", "before the note", *answers)):
            name = f"m{number}"
            if step in IN_THE_WORKER:
                die_at(server, order, step, name, "marketing")
            else:
                worker, asked = server.child("worker"), len(esp.asked)
                esp.answers.append(answers[step])
                ask_for(server, name, "marketing")
                wait_until(lambda asked=asked: len(esp.asked) > asked, "a request")  # type: ignore[misc]
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
                next_worker(server, worker)
            sends[name] = at_rest(server, name, "sent", "retrying")
        sends = {name: at_rest(server, name, "sent") for name in sends}
        assert {send["id"]: 1 for send in sends.values()} == esp.deliveries()
