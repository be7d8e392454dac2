"""`triggerfish serve` as an operator starts, stops and loses it."""

from __future__ import annotations

import os
import signal
import socket

import pytest

from running import (
    children_of,
    identify,
    is_alive,
    refuse,
    serving,
    track,
    wait_until,
    write_rules,
    write_workspace,
)

GREETING = """
    segments:
      - name: everybody
        when: count(identify) >= 1
    ruleset: greeting
    rules:
      - name: hello
        on: identify
        wait: 6 seconds
        then: [send: hello]
"""


@pytest.fixture
def workspace(tmp_path):
    return write_workspace(tmp_path / "shop", {"greeting.yaml": GREETING}, hello="marketing")


def test_it_ends_with_0_takes_its_processes_along_and_what_waits_is_sent_by_the_next_one(workspace):
    with serving(workspace) as server:
        server.take(identify("ana", email="ana@example.org"))
        before = server.profile("ana")
        children = [server.child("api"), server.child("worker")]
        assert server.stop() == 0
        assert server.process.stdout.read() == ""
    assert not any(is_alive(pid) for pid in children)
    assert list((workspace / "data" / "outbox").iterdir()) == []
    with serving(workspace) as server:
        assert server.profile("ana@example.org") == before
        sent = server.sent("hello", "ana")
        assert sent["sent_at"] >= sent["due_at"]
        assert server.letter(sent["id"])["To"] == "ana@example.org"
    assert [path.stem for path in (workspace / "data" / "outbox").iterdir()] == [sent["id"]]


def test_killed_with_all_it_did_not_finish_the_next_one_goes_on(workspace):
    with serving(workspace) as server:
        server.take(identify("ana", email="ana@example.org"))
        server.profile("ana")
        children = [server.child("api"), server.child("worker")]
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
    with serving(workspace) as server:
        wait_until(lambda: not any(is_alive(pid) for pid in children), "the end of the orphans")
        server.sent("hello", "ana")
    assert len(list((workspace / "data" / "outbox").iterdir())) == 1


def test_an_api_that_is_killed_comes_back_with_all_that_it_acknowledged(workspace):
    with serving(workspace) as server:
        for number in range(10):
            server.take(*[track(f"p{number}", "Step Taken", messageId=f"{number}.{step}") for step in range(10)])
            if number % 3 == 0:
                server.kill("api")
                wait_until(lambda: server.ask("/v1/status"), "the api")
        status = server.quiet()
        assert (status["events"], status["profiles"], status["dead_letters"]) == (100, 10, 0)
        assert server.process.poll() is None
        assert server.get("/v1/rulebook")["state"] == "live"


def test_broken_rules_are_refused_with_every_problem_at_its_place(workspace):
    write_rules(workspace, "greeting.yaml", GREETING.replace("wait:", "wiat:").replace("send: hello", "send: helo"))
    write_rules(workspace, "other.yaml", "segments:\n  - name: odd\n    when: count(identify >= 1\n")
    code, said = refuse(workspace)
    assert code == 1
    assert "rules/greeting.yaml:8:" in said
    assert "rules/greeting.yaml:9:" in said
    assert "rules/other.yaml:3:" in said
    assert 'did you mean "wait"?' in said
    assert 'did you mean "hello"?' in said
    assert "Traceback" not in said


def test_a_second_server_on_the_workspace_is_refused_and_told_of_the_first(workspace):
    with serving(workspace) as first:
        code, said = refuse(workspace)
        assert code == 1
        assert f"process {first.process.pid} serves this workspace already at {first.address}" in said
        assert first.get("/v1/status")["events"] == 0
    with serving(workspace) as second:
        assert second.get("/v1/status")["events"] == 0


def test_a_taken_port_is_named(workspace):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = refuse(workspace, "--port", str(port))
    assert code == 1
    assert f"cannot listen on 127.0.0.1:{port}" in said
    assert "--port 0 for any free one" in said
    assert "Traceback" not in said


def test_a_demo_never_sends_over_a_real_channel(tmp_path):
    settings = '[plugins.smtp]\nhost = "127.0.0.1"\nport = 9\nsecurity = "none"\n'
    rules = {"greeting.yaml": GREETING}
    workspace = write_workspace(tmp_path / "shop", rules, channel="smtp", more_settings=settings, hello="marketing")
    code, said = refuse(workspace, "--demo")
    assert code == 1
    assert 'a demo does not send over "smtp"' in said
    assert "Traceback" not in said


def test_it_stops_while_it_starts(workspace):
    with serving(workspace) as server:
        os.kill(server.child("worker"), signal.SIGKILL)
        children = children_of(server.process.pid)
        assert server.stop() == 0
    assert not any(is_alive(pid) for pid in children)
