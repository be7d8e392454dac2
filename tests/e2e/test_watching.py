"""What operators see of a real server: readiness that tells the truth, figures of every process."""

import os
import signal

import pytest

from running import serving, track, wait_until, write_rules, write_workspace

RULES = """
    ruleset: shop
    rules:
      - name: seen
        on: Seen
        then: [{set: {seen: true}}]
"""
SETTINGS = """
    [limits]
    ready_lag_seconds = 1
"""


@pytest.fixture
def server(tmp_path):
    workspace = write_workspace(tmp_path / "shop", {"shop.yaml": RULES}, more_settings=SETTINGS, hello="marketing")
    with serving(workspace) as running:
        yield running


def parts(server):
    answer = server.http.get("/readyz")
    told = {name: part["status"] for name, part in answer.json()["parts"].items()}
    assert (answer.status_code == 503) == ("failed" in told.values())
    return told


def figures(server):
    lines = (line.rpartition(" ") for line in server.ask("/metrics").text.splitlines() if line[0] != "#")
    return {name: float(value) for name, _, value in lines}


def test_readiness_and_figures_tell_what_happens_to_the_processes(server):
    wait_until(lambda: set(parts(server).values()) == {"ok"}, "a server that is fit in all its parts")
    server.take(*[track(f"p{number}", "Seen") for number in range(40)])
    server.quiet()
    seen = wait_until(
        lambda: (now := figures(server)).get("triggerfish_worker_events_total", 0) >= 40 and now, "the worker's figures"
    )
    assert seen['triggerfish_events_taken_total{call="batch"}'] == 40
    assert seen["triggerfish_lag_events"] == 0
    assert seen["triggerfish_worker_batch_seconds_count"] >= 1
    for process in ("api", "worker", "supervisor"):
        assert seen[f'triggerfish_process_up{{process="{process}"}}'] == 1
        assert seen[f'triggerfish_process_resident_bytes{{process="{process}"}}'] > 10e6

    # A worker that stands still is noticed by its silence, what it leaves undone by its age.
    worker = server.child("worker")
    os.kill(worker, signal.SIGSTOP)
    server.take(track("p1", "Seen"))
    wait_until(
        lambda: parts(server) | {"worker": "failed", "lag": "failed"} == parts(server), "the word that it stands"
    )
    assert parts(server)["log"] == "ok", "events are taken all the same"
    assert server.http.get("/readyz/log").status_code == 200
    wait_until(
        lambda: "the worker is not well: it has shown no sign of life" in server.errors.read_text(), "a log line"
    )
    os.kill(worker, signal.SIGCONT)
    wait_until(lambda: set(parts(server).values()) == {"ok"}, "the worker at work again")
    wait_until(lambda: "the worker is well again" in server.errors.read_text(), "the word that it is over")

    # One that dies is away until the next one is there.
    assert figures(server)['triggerfish_process_restarts_total{process="worker"}'] == 0
    assert figures(server)["triggerfish_log_failed_commits_total"] == 0
    server.kill("worker")
    wait_until(lambda: set(parts(server).values()) == {"ok"}, "the next worker")
    assert figures(server)['triggerfish_process_restarts_total{process="worker"}'] == 1

    # A broken change is a warning, because the rules of before go on.
    write_rules(server.workspace, "more.yaml", "ruleset: [")
    wait_until(lambda: parts(server)["rulebook"] == "warning", "the word that a change is broken")
    now = figures(server)
    assert now['triggerfish_rulebook_reloads_total{outcome="refused"}'] == 1
    assert now['triggerfish_ready{part="rulebook"}'] == 1
    (server.workspace / "rules" / "more.yaml").unlink()
    wait_until(lambda: parts(server)["rulebook"] == "ok", "the sound rulebook")
