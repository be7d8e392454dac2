"""Caps hold at every instant, counted by when messages were really handed over: while a slow server lets them queue up,
and while workers are killed.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from faults.step_sink import StepSink
from running import Running, identify, serving, track, write_workspace

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

WITHIN, MOST = 3_000, 2
RULES = {
    "shop.yaml": f"""
        policy:
          caps:
            - {{sends: {MOST}, within: {WITHIN // 1000} seconds, purpose: newsletter}}
        ruleset: shop
        rules:
          - name: offer
            on: Offer Wanted
            then: [send: offer]
          - name: receipt
            on: Order Completed
            then: [send: receipt]
    """
}


def handed_over(server: Running) -> dict[str, list[int]]:
    """When each person was handed a marketing message, in order."""
    state = server.workspace / "data" / "state.sqlite3"
    found: dict[str, list[int]] = {}
    with closing(sqlite3.connect(f"{state.as_uri()}?mode=ro", uri=True)) as db:
        for profile, at in db.execute(
            "SELECT profile, handed_at FROM sends WHERE status IN ('sent', 'uncertain') AND class = 'marketing' "
            "ORDER BY handed_at"
        ):
            found.setdefault(profile, []).append(at)
    return found


def run(folder: Path, *, people: int, seconds: float, kills: int, dice: Random) -> tuple[int, int]:
    """Ask for many more messages than the cap allows. Returns how many were handed over, and how many skipped."""
    with StepSink(pause=0.02) as sink:
        settings = f"""
            [plugins.smtp]
            host = "127.0.0.1"
            port = {sink.port}
            security = "none"
            connections = 1
            """
        workspace = write_workspace(
            folder / "shop", RULES, channel="smtp", more_settings=settings, offer="marketing", receipt="transactional"
        )
        with serving(workspace) as server:
            names = [f"p{number}" for number in range(people)]
            server.take(*(identify(name, email=f"{name}@example.org") for name in names))
            began, killed, number = time.monotonic(), 0, 0
            while (passed := time.monotonic() - began) < seconds:
                asked = dice.choices(["Offer Wanted", "Order Completed"], [9, 1], k=people // 4)
                server.take(
                    *(track(dice.choice(names), name, messageId=f"m{number}.{n}") for n, name in enumerate(asked))
                )
                number += 1
                if killed < kills and passed > seconds * (killed + 1) / (kills + 1):
                    server.kill("worker")
                    killed += 1
                time.sleep(0.1)
            status = server.quiet()
            handed = handed_over(server)
            assert killed == kills
            for times in handed.values():
                # The cap allows MOST within any WITHIN: the one after those comes at least that much later.
                for first, after in zip(times, times[MOST:], strict=False):
                    assert after - first >= WITHIN, times
            assert any(after - first < WITHIN for times in handed.values() for first, after in pairwise(times))
            assert status["sends"].get("skipped", 0) > 0
            count = sum(len(times) for times in handed.values())
            assert sum(sink.accepted.values()) <= count + status["sends"]["sent"]
            return count, status["sends"]["skipped"]


def test_a_cap_holds_at_every_instant_while_messages_queue_up_and_a_worker_dies(tmp_path: Path) -> None:
    handed, _ = run(tmp_path, people=24, seconds=9, kills=1, dice=Random(5))
    assert handed > 24


@pytest.mark.long
def test_a_cap_holds_at_every_instant_for_a_minute_and_ten_deaths(tmp_path: Path) -> None:
    seed = Random().randrange(2**32)
    handed, skipped = run(tmp_path, people=60, seconds=60, kills=10, dice=Random(seed))
    print(f"\n  seed {seed}: {handed} handed over within the cap, {skipped} skipped, ten workers killed")
