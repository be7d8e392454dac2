"""Rule files change while the server runs: a good change goes live, a broken one changes nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from running import COMMAND, Running, identify, serving, track, wait_until, write_rules, write_workspace

GREETING = """
    ruleset: greeting
    rules:
      - name: hello
        on: identify
        wait: 10 seconds
        then: [send: hello]
      - name: offer
        on: Offer Wanted
        then: [send: OFFER]
"""
BROKEN = GREETING.replace("wait: 10 seconds", "wiat: 10 seconds").replace("OFFER", "offer")


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
    assert "wiat: 10 seconds" in problem["text"]
    assert "^^^^" in problem["text"]
    assert 'did you mean "wait"?' in problem["text"]
    said = "\n".join(line for line in server.said().splitlines() if "wrong in the changed rulebook" in line)
    assert "rules/greeting.yaml:5:5  TF214" in said
    assert "did you mean" in said
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
    body = server.workspace / "templates" / "offer" / "email.mjml"
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


# --- versions and going back ------------------------------------------------------------------------------------------


def rollback(server: Running, *words: str, code: int = 0) -> str:
    command = [*COMMAND, "rollback", "--workspace", str(server.workspace), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def change(server: Running, name: str, text: str) -> str:
    """Change a rule file, and the version that is live then."""
    before = version(server)
    write_rules(server.workspace, name, text)
    return wait_until(lambda: version(server) if version(server) != before else "", "the changed rule")


def test_a_rollback_makes_the_version_before_live_and_decisions_name_theirs(server):
    first = version(server)
    second = change(server, "greeting.yaml", GREETING.replace("OFFER", "gift"))
    assert wanted(server, "ben") == "gift"
    said = rollback(server)
    assert "the server has taken them: they are live" in said
    assert version(server) == first
    assert wanted(server, "cleo") == "offer"
    named = {
        person: next(line["rulebook"] for line in server.timeline(person) if line["kind"] == "decision")
        for person in ("ben", "cleo")
    }
    assert named == {"ben": second, "cleo": first}
    kept = server.get("/v1/rulebook/versions")
    assert [(each["version"], each["state"], each["by"]) for each in kept] == [
        (first, "live", "rollback"),
        (second, "kept", "reload"),
    ]
    assert kept[1]["changed"] == ["rules/greeting.yaml"]


def test_a_rollback_of_a_broken_change_keeps_it_and_a_rollback_to_it_says_that_it_is_broken(server):
    live = version(server)
    write_rules(server.workspace, "greeting.yaml", BROKEN)
    wait_until(lambda: state(server) == "broken", "the broken rule's problem")
    done = json.loads(rollback(server, "--json"))
    assert (done["version"], done["server"]) == (live, "live")
    assert (state(server), version(server)) == ("live", live)
    said = rollback(server, done["replaced"], code=1)
    assert "the server cannot use them" in said
    assert (state(server), version(server)) == ("broken", live)
    assert wanted(server, "ben") == "offer"


# --- what a change does not disturb -----------------------------------------------------------------------------------

OTHER = """
    ruleset: other
    rules:
      - name: asked
        on: Asked
        when: count(Asked) >= 1
        then: [send: gift]
"""


def test_waits_survive_whatever_happens_to_other_files(server):
    for person in ("ben", "cleo"):
        server.take(identify(person, email=f"{person}@example.org"))
        server.profile(person)
    change(server, "other.yaml", OTHER)
    change(server, "other.yaml", OTHER.replace("asked", "questioned").replace("ruleset: other", "ruleset: others"))
    (server.workspace / "rules" / "other.yaml").unlink()
    before = version(server)
    wait_until(lambda: version(server) != before, "the rules without the file")
    change(server, "aaa.yaml", "policy: {time_zone: Europe/Berlin}\n")
    for person in ("ana", "ben", "cleo"):
        sent = server.sent("hello", person)
        assert sent["reason"] == ""
        outcomes = [line["outcome"] for line in server.timeline(person) if line["kind"] == "decision"]
        assert outcomes == ["waiting"], person


NEW_COUNTS = """
    define:
      keen: count(Asked, "30d") >= 2
    segments:
      - name: keen-people
        when: keen
    ruleset: later
    rules:
      - name: after-asking
        on: Poked
        steps:
          - branch:
              - {name: talkative, when: count(Chatted) >= 2, steps: [{send: gift}]}
              - {steps: [{set: {quiet: true}}]}
"""


def test_what_a_branch_and_a_definition_count_is_filled_before_they_are_live(server):
    server.take(*[track("ana", "Asked") for _ in range(2)], *[track("ana", "Chatted") for _ in range(2)])
    server.quiet()
    change(server, "later.yaml", NEW_COUNTS)
    wait_until(lambda: "keen-people" in server.profile("ana")["segments"], "the segment")
    server.take(track("ana", "Poked"))
    assert server.sent("gift", "ana")["rule"] == "after-asking"
    entered = [line for line in server.timeline("ana") if line["kind"] == "segment"]
    assert entered == [], "nobody did anything"


PINNED = """
    ruleset: journeys
    rules:
      - name: tour
        on: Toured
        in_flight: pin
        steps:
          - wait: 6 seconds
          - send: offer
"""


def test_people_inside_a_pinned_journey_go_on_as_they_entered_even_when_the_worker_dies(server):
    change(server, "journeys.yaml", PINNED)
    server.take(track("ana", "Toured"))
    wait_until(lambda: [each for each in server.timeline("ana") if each.get("rule", "").endswith("tour")], "entering")
    change(server, "journeys.yaml", PINNED.replace("send: offer", "send: gift"))
    server.kill("worker")
    server.take(identify("ben", email="ben@example.org"), track("ben", "Toured"))
    assert server.sent("offer", "ana")["rule"] == "tour"
    assert server.sent("gift", "ben")["rule"] == "tour"
    assert server.sends(profile="ana", template="gift") == []
