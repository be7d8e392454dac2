"""A provider with an HTTP API that answers 429, 500, nothing, half a batch, or too late: each message arrives once."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from faults.test_send_steps import RULES, resend
from plugins.recording_esp import Answer, RecordingEsp
from running import identify, serving, track, wait_until, write_workspace

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]

TEMPLATES = {"offer": "marketing", "receipt": "transactional"}
BAD = (
    Answer(429, {"name": "rate_limit_exceeded"}, {"retry-after": "1"}),
    Answer(500, {"name": "application_error"}),
    Answer(500, {"name": "application_error"}, takes=True),
    Answer(None),
    Answer(None, takes=True),
    Answer(200, {"id": "late"}, seconds=1.5, takes=True),
    Answer(503),
    Answer(409, {"name": "concurrent_idempotent_requests"}),
)


def bad_day(folder: Path, people: int, dice: random.Random) -> Counter[str]:
    """Everybody gets an offer and a receipt over a provider that answers half of the first requests badly."""
    with RecordingEsp() as esp:
        workspace = write_workspace(folder / "shop", RULES, channel="resend", more_settings=resend(esp), **TEMPLATES)
        fine = Answer(200, {"id": "x"}, takes=True)
        esp.answers = [dice.choice(BAD) if dice.random() < 0.5 else fine for _ in range(2 * people)]
        with serving(workspace) as server:
            names = [f"p{number}" for number in range(people)]
            server.take(*(identify(name, email=f"{name}@example.org") for name in names))
            server.take(*(track(name, asked) for name in names for asked in ("Offer Wanted", "Order Completed")))
            wait_until(lambda: server.get("/v1/status")["sends"].get("sent") == 2 * people, "all as sent", 350)
            sends = [send for name in names for send in server.sends(profile=name)]
        assert esp.deliveries() == {send["id"]: 1 for send in sends}
        assert len(sends) == 2 * people
        return Counter(esp.asked)


def test_whatever_the_provider_answers_each_message_arrives_once(tmp_path: Path) -> None:
    asked = bad_day(tmp_path, 12, random.Random(3))
    assert max(asked.values()) > 1, "something was tried again"


@pytest.mark.long
def test_a_long_bad_day_of_the_provider(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    asked = bad_day(tmp_path, 40, random.Random(seed))
    print(f"\n  seed {seed}: {len(asked)} messages, {sum(asked.values())} requests, each message arrived once")


def test_a_refused_address_costs_no_other_message(tmp_path: Path) -> None:
    with RecordingEsp() as esp:
        esp.answers = [Answer(422, {"name": "validation_error", "message": "Invalid `to` field"})] * 3
        workspace = write_workspace(
            tmp_path / "shop",
            RULES,
            channel="resend",
            more_settings=resend(esp),
            offer="marketing",
            receipt="transactional",
        )
        with serving(workspace) as server:
            names = [f"p{number}" for number in range(20)]
            server.take(*(identify(name, email=f"{name}@example.org") for name in names))
            server.take(*(track(name, "Offer Wanted") for name in names))
            status = server.quiet()
            assert status["sends"] == {"sent": 17, "failed": 3} | {
                name: count for name, count in status["sends"].items() if name not in ("sent", "failed") and not count
            }
            failed = [send for name in names for send in server.sends(profile=name) if send["status"] == "failed"]
            assert {send["reason"] for send in failed} == {
                "the channel refused it: Resend answered 422: Invalid `to` field"
            }
            assert len(esp.accepted) == 17
