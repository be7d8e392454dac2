"""A worker that is told to stop lets the channel answer for what it was given: no message is left uncertain."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from faults.quick_sink import QuickSink
from running import identify, serving, track, wait_until, write_rules, write_workspace

pytestmark = pytest.mark.faults

OFFERS = """
    ruleset: offers
    rules:
      - name: offer
        on: Offer Wanted
        then: [send: offer]
"""
PEOPLE = [f"p{number}" for number in range(60)]


@pytest.mark.parametrize("how", ["a reload", "a stop"])
def test_messages_that_are_with_the_channel_are_answered_before_the_worker_ends(tmp_path, how):
    with QuickSink(random.Random(1), slowest=0.12) as sink:
        settings = f'[plugins.smtp]\nhost = "127.0.0.1"\nport = {sink.port}\nsecurity = "none"\n'
        rules = {"offers.yaml": OFFERS}
        workspace = write_workspace(tmp_path / "shop", rules, channel="smtp", more_settings=settings, offer="marketing")
        with serving(workspace) as server:
            server.take(*[identify(person, email=f"{person}@example.org") for person in PEOPLE])
            server.take(*[track(person, "Offer Wanted") for person in PEOPLE])
            wait_until(lambda: sink.accepted, "the first letter")
            if how == "a reload":
                before = server.get("/v1/rulebook")["version"]
                write_rules(workspace, "offers.yaml", OFFERS + "        wait: 1 hour\n")
                wait_until(lambda: server.get("/v1/rulebook")["version"] != before, "the changed rule")
            else:
                assert len(sink.accepted) < len(PEOPLE), "it was asked to stop while it sent"
                assert server.stop() == 0
        with serving(workspace) as server:
            status = server.quiet()
            assert status["sends"] == {"sent": len(PEOPLE)}
            assert "were with the channel" not in server.said()
    assert set(Counter(sink.accepted).values()) == {1}
    assert len(sink.accepted) == len(PEOPLE)
