"""The machine's clock jumps while the server runs (libfaketime): what waits is sent once and in time, nothing twice."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from running import Running, identify, serving, track, wait_until, write_workspace

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

LIBRARIES = tuple(f"/usr/lib/{machine}-linux-gnu/faketime/libfaketime.so.1" for machine in ("x86_64", "aarch64"))
RULES = {
    "shop.yaml": """
        policy:
          caps:
            - {sends: 1, within: 1 day, purpose: newsletter}
        ruleset: shop
        max_age: 10 days
        rules:
          - name: reminder
            on: Basket Left
            wait: 1 hour
            then: [send: reminder]
          - name: offer
            on: Offer Wanted
            then: [send: offer]
    """
}


class Clock:
    """The server's clock: so many seconds ahead of the machine's."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "faketime"
        self.jump(0)

    def jump(self, seconds: int) -> None:
        fresh = self.file.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}")
        fresh.replace(self.file)


@contextmanager
def shop(folder: Path) -> Iterator[tuple[Running, Clock]]:
    library = next((path for path in LIBRARIES if Path(path).exists()), None)
    if library is None:
        pytest.skip("libfaketime (a Debian package of that name) is not installed")
    clock = Clock(folder)
    env = {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(clock.file),
        "FAKETIME_NO_CACHE": "1",
        # As with a real clock that is set: time that only passes is not touched.
        "DONT_FAKE_MONOTONIC": "1",
    }
    workspace = write_workspace(folder / "shop", RULES, offer="marketing", reminder="marketing")
    with serving(workspace, env=env) as server:
        yield server, clock


def sends_of(server: Running, name: str) -> list[tuple[str, str]]:
    found: list[dict[str, Any]] = server.sends(profile=name)
    return sorted((send["template"], send["status"]) for send in found)


def letters(server: Running) -> int:
    return len(list((server.workspace / "data" / "outbox").glob("*.eml")))


def test_a_jump_forward_sends_what_waited_once(tmp_path: Path) -> None:
    with shop(tmp_path) as (server, clock):
        server.take(identify("ana", email="ana@example.org"), track("ana", "Basket Left"))
        server.quiet()
        assert sends_of(server, "ana") == [("reminder", "scheduled")]
        clock.jump(2 * 86_400)
        server.take(identify("bo", email="bo@example.org"))
        wait_until(lambda: sends_of(server, "ana") == [("reminder", "sent")], "the reminder")
        server.quiet()
        assert letters(server) == 1


def test_a_jump_back_repeats_nothing_loses_nothing_and_breaks_no_cap(tmp_path: Path) -> None:
    with shop(tmp_path) as (server, clock):
        clock.jump(3 * 3_600)
        server.take(identify("ana", email="ana@example.org"), track("ana", "Offer Wanted", messageId="first"))
        wait_until(lambda: sends_of(server, "ana") == [("offer", "sent")], "the offer")
        clock.jump(0)
        server.take(track("ana", "Offer Wanted", messageId="second"), track("ana", "Offer Wanted", messageId="first"))
        server.take(identify("bo", email="bo@example.org"), track("bo", "Basket Left"))
        server.quiet()
        assert Counter(sends_of(server, "ana")) == {("offer", "sent"): 1, ("offer", "skipped"): 1}
        decided = [line["at"] for line in server.timeline("ana") if line["kind"] in ("event", "decision")]
        assert decided == sorted(decided, reverse=True), "what is decided goes one way in time"
        # An hour is an hour, counted from where time stood: the reminder comes, once.
        clock.jump(5 * 3_600)
        server.take(identify("cy", email="cy@example.org"))
        wait_until(lambda: sends_of(server, "bo") == [("reminder", "sent")], "the reminder")
        server.quiet()
        assert letters(server) == 2


def test_jumps_to_and_fro_while_events_stream_in_lose_and_double_nothing(tmp_path: Path) -> None:
    with shop(tmp_path) as (server, clock):
        names = [f"p{number}" for number in range(20)]
        for number, name in enumerate(names):
            clock.jump((0, 7_200, -7_200, 86_400, 40)[number % 5])
            server.take(identify(name, email=f"{name}@example.org"), track(name, "Offer Wanted"))
        clock.jump(2 * 86_400)
        server.take(identify("last", email="last@example.org"))
        wait_until(lambda: letters(server) == len(names), "everybody's offer")
        time.sleep(0.5)
        assert all(sends_of(server, name) == [("offer", "sent")] for name in names)
        assert letters(server) == len(names)
        assert os.environ.get("LD_PRELOAD") is None
