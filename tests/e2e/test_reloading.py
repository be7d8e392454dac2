"""Rule files change while the server runs: a good change goes live, a broken one changes nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from running import Running, identify, serving, track, wait_until, write_rules, write_workspace

GREETING = """
    ruleset: greeting
    rules:
      - name: hello
        on: identify
        wait: 4 seconds
        then: [send: hello]
      - name: offer
        on: Offer Wanted
        then: [send: OFFER]
"""
BROKEN = GREETING.replace("wait: 4 seconds", "wiat: 4 seconds").replace("OFFER", "offer")


def version(server: Running) -> str:
    return str(server.get("/v1/rulebook")["version"])


def state(server: Running) -> str:
    return str(server.get("/v1/rulebook")["state"])


@pytest.fixture
def server(tmp_path) -> Iterator[Running]:
    rules = {"greeting.yaml": GREETING.replace("OFFER", "offer")}
    with serving(
        write_workspace(tmp_path / "shop", rules, hello="marketing", offer="marketing", gift="marketing")
    ) as it:
        it.take(identify("ana", email="ana@example.org"))
        it.profile("ana")
        yield it


def wanted(server: Running, person: str) -> str:
    """The template that a person gets who asks for an offer."""
    server.take(identify(person, email=f"{person}@example.org"), track(person, "Offer Wanted"))

    def found() -> str:
        return next((each["template"] for each in server.sends(profile=person) if each["rule"] == "offer"), "")

    return wait_until(found, f"an offer to {person}")


def test_a_changed_rule_is_live_without_a_restart_and_waits_go_on(server):
    before, worker = version(server), server.child("worker")
    assert wanted(server, "ben") == "offer"
    write_rules(server.workspace, "greeting.yaml", GREETING.replace("OFFER", "gift"))
    wait_until(lambda: version(server) != before, "the changed rule")
    assert state(server) == "live"
    wait_until(lambda: server.children("worker") != [worker] and len(server.children("worker")) == 1, "one new worker")
    assert wanted(server, "cleo") == "gift"
    assert server.sent("hello", "ana")["reason"] == ""


def test_a_broken_change_changes_nothing_and_is_shown_at_its_place(server):
    before = version(server)
    write_rules(server.workspace, "greeting.yaml", BROKEN)
    wait_until(lambda: state(server) == "broken", "the broken rule's problem")
    rulebook = server.get("/v1/rulebook")
    assert rulebook["version"] == before
    problem = next(each for each in rulebook["problems"] if not each["is_warning"])
    assert (problem["path"], problem["line"], problem["column"]) == ("rules/greeting.yaml", 5, 5)
    assert "wiat: 4 seconds" in problem["text"]
    assert "^^^^" in problem["text"]
    assert 'did you mean "wait"?' in problem["text"]
    assert wanted(server, "ben") == "offer"

    # Should the worker die now, the live rules must not depend on the files as they are.
    server.kill("worker")
    assert wanted(server, "cleo") == "offer"
    assert (state(server), version(server)) == ("broken", before)

    write_rules(server.workspace, "greeting.yaml", GREETING.replace("OFFER", "gift"))
    wait_until(lambda: state(server) == "live", "the mended rule")
    assert server.get("/v1/rulebook")["problems"] == []
    assert wanted(server, "dora") == "gift"
    assert server.sent("hello", "ana")["reason"] == ""


def test_a_removed_rule_lets_nobody_go_on_waiting_for_it(server):
    before = version(server)
    text = GREETING.replace("OFFER", "offer").replace("name: hello", "name: welcome")
    write_rules(server.workspace, "greeting.yaml", text)
    wait_until(lambda: version(server) != before, "the changed rule")
    skipped = server.sent("hello", "ana", "skipped")
    assert skipped["reason"] == "the rule was removed or changed meanwhile"


def test_many_quick_edits_end_in_the_last_one(server):
    for number in range(8):
        write_rules(server.workspace, "greeting.yaml", BROKEN if number % 2 else GREETING.replace("OFFER", "offer"))
        time.sleep(0.2)
    write_rules(server.workspace, "greeting.yaml", GREETING.replace("OFFER", "gift"))
    wait_until(lambda: wanted(server, f"p{time.monotonic_ns()}") == "gift", "the last edit")
    wait_until(lambda: len(server.children("worker")) == 1, "one worker")
    assert state(server) == "live"


def test_a_hangup_signal_reloads_templates_too(server):
    before = version(server)
    body = server.workspace / "templates" / "offer" / "template.yaml"
    body.write_text(body.read_text().replace("The offer", "A new offer"))
    server.process.send_signal(signal.SIGHUP)
    worker = server.child("worker")
    wait_until(lambda: server.children("worker") not in ([worker], []), "a new worker")

    def subject() -> bool:
        person = f"p{time.monotonic_ns()}"
        assert wanted(server, person) == "offer"
        return server.letter(server.sent("offer", person)["id"])["Subject"] == "A new offer"

    wait_until(subject, "the new subject")
    assert version(server) != before, "a version is all that a message is made of"


def test_a_folder_that_took_the_place_of_another_is_found_and_watched(server):
    rules = server.workspace / "rules"
    rules.rename(server.workspace / "rules.old")
    write_rules(server.workspace, "greeting.yaml", GREETING.replace("OFFER", "gift"))
    before = version(server)
    wait_until(lambda: version(server) != before, "the new folder's rules")
    assert wanted(server, "ben") == "gift"
    write_rules(server.workspace, "greeting.yaml", GREETING.replace("OFFER", "offer"))
    wait_until(lambda: version(server) == before, "the rule as it was")
    assert state(server) == "live"


def test_a_worker_killed_before_it_is_ready_is_started_again(server):
    for _ in range(5):
        worker = server.child("worker")
        os.kill(worker, signal.SIGKILL)
        again = wait_until(lambda old=worker: [pid for pid in server.children("worker") if pid != old], "a worker")[0]
        time.sleep(0.05)
        os.kill(again, signal.SIGKILL)
        wait_until(lambda old=again: [pid for pid in server.children("worker") if pid != old], "another worker")
    assert server.process.poll() is None
    assert wanted(server, "ben") == "offer"
