"""Journeys on a whole server: steps and waits through a kill, goals that overtake, an action that is called, an edit
while people are inside.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from running import Running, identify, serving, track, wait_until, write_rules, write_workspace

JOURNEY = """
ruleset: onboarding
rules:
  - name: first-steps
    on: Signed Up
    goal: Order Completed
    steps:
      - send: hello
      - {pause}
      - branch:
          - {{name: gold, when: traits.plan == "gold", steps: [{{send: {gold}}}]}}
          - steps: [{{call: webhook, with: {{plan: {{value: traits.plan}}}}}}]
"""


class Crm(ThreadingHTTPServer):
    """Keeps what it is posted."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Keeping)
        self.got: list[dict[str, Any]] = []


class _Keeping(BaseHTTPRequestHandler):
    server: Crm

    def do_POST(self) -> None:
        self.server.got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: pytest shows what failed."""


@pytest.fixture(scope="module")
def crm() -> Iterator[Crm]:
    made = Crm()
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, crm: Crm) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("journeys") / "shop"
    rules = {"onboarding.yaml": JOURNEY.format(pause="wait: 2 seconds", gold="receipt")}
    workspace = write_workspace(folder, rules, hello="transactional", receipt="transactional", offer="transactional")
    secret = "whsec_" + base64.b64encode(bytes(24)).decode()
    with (workspace / "triggerfish.toml").open("a") as settings:
        settings.write(f'\n[plugins.webhook]\nurl = "http://127.0.0.1:{crm.server_address[1]}/"\nsecret = "{secret}"\n')
    with serving(workspace) as running:
        yield running


def outcomes(shop: Running, person: str) -> list[str]:
    return [line["outcome"] for line in reversed(shop.timeline(person)) if line["kind"] == "decision"]


def test_people_go_their_ways_and_a_kill_between_two_steps_loses_nobody(shop: Running, crm: Crm) -> None:
    shop.take(identify("ana", email="ana@example.com", plan="gold"), track("ana", "Signed Up"))
    shop.take(identify("bo", email="bo@example.com", plan="iron"), track("bo", "Signed Up"))
    shop.sent("hello", "ana")
    shop.kill("worker")
    shop.sent("receipt", "ana")
    wait_until(lambda: crm.got, "the call")
    wait_until(lambda: outcomes(shop, "bo")[-1:] == ["finished"], "the end of bo's journey")
    shop.quiet()
    assert [call["data"]["values"] for call in crm.got] == [{"plan": "iron"}]
    assert not shop.sends(template="receipt", profile="bo")
    assert outcomes(shop, "ana") == ["entered", "waiting", "went on", "branched", "finished"]
    assert [each["status"] for each in shop.sends(profile="ana")] == ["sent", "sent"]


def test_a_goal_ends_the_run_at_once(shop: Running) -> None:
    shop.take(identify("cy", email="cy@example.com", plan="gold"), track("cy", "Signed Up"))
    shop.sent("hello", "cy")
    shop.take(track("cy", "Order Completed"))
    wait_until(lambda: outcomes(shop, "cy")[-1:] == ["reached goal"], "the goal")
    told = shop.get("/v1/profiles/cy/why")
    assert "reached goal" in json.dumps(told)
    assert not shop.sends(template="receipt", profile="cy")


def test_people_inside_follow_an_edit(shop: Running) -> None:
    edit(shop, "receipt")
    shop.take(identify("di", email="di@example.com", plan="gold"), track("di", "Signed Up"))
    shop.sent("hello", "di")
    edit(shop, "offer")
    shop.take(track("di", "Go"))
    shop.sent("offer", "di")
    assert not shop.sends(template="receipt", profile="di")


def edit(shop: Running, gold: str) -> None:
    """Save the journey with another message for gold, and wait until it is live."""
    before = shop.get("/v1/rulebook")["version"]
    pause = "wait_until: {on: Go, at_most: 1 day}"
    write_rules(shop.workspace, "onboarding.yaml", JOURNEY.format(pause=pause, gold=gold))
    wait_until(lambda: shop.get("/v1/rulebook")["version"] != before, "the edit")
