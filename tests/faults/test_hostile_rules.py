"""Rule files are safe to take from anyone: whatever they hold, they are refused or loaded in bounds, and the rulebook
that is live stays so.
"""

from __future__ import annotations

import os
import textwrap

import pytest

from running import identify, serving, track, wait_until, write_rules, write_workspace

RULES = """
    ruleset: greeting
    rules:
      - name: hello
        on: Hello
        then: [send: hello]
"""
PLUGIN = """
import os, time
from triggerfish import hookimpl

def start(what):
    if what == "hang":
        while True:
            time.sleep(1)
    if what == "die":
        os.abort()
    if what == "shout":
        raise SystemExit(3)

@hookimpl
def register_functions():
    from pathlib import Path
    order = Path(os.environ["ORDER"])
    start(order.read_text() if order.exists() else "")
    return []
"""

pytestmark = pytest.mark.faults


@pytest.fixture
def order(tmp_path):
    """A file that tells the plugin what to do when a worker loads it: stands for rules that make loading go wrong."""
    site = tmp_path / "site"
    info = site / "trap-1.dist-info"
    info.mkdir(parents=True)
    (site / "trap.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: trap\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[triggerfish]\ntrap = trap\n")
    return tmp_path / "order"


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("hang", "TF638  the worker process was not ready after 15 s and was killed"),
        ("die", "TF638  the worker process ended with signal SIGABRT before it was ready"),
        ("shout", "TF638  the worker process ended with exit code 3 before it was ready"),
    ],
)
def test_a_worker_that_hangs_or_dies_while_loading_leaves_the_old_one_live(tmp_path, order, what, says):
    shop = write_workspace(
        tmp_path / "shop",
        {"greeting.yaml": RULES},
        more_settings="[rules]\nload_seconds = 15\n",
        hello="marketing",
    )
    path = os.pathsep.join([str(order.parent / "site"), os.environ.get("PYTHONPATH", "")])
    env = {"PYTHONPATH": path, "ORDER": str(order)}
    with serving(shop, env=env) as server:
        worker = server.child("worker")
        order.write_text(what)
        write_rules(shop, "greeting.yaml", RULES.replace("hello\n", "hello-again\n"))
        rulebook = wait_until(lambda: broken(server), "the refusal", 90)
        assert says in rulebook["error"]
        assert server.children("worker") == [worker], "the old one goes on, and no other is left behind"
        server.take(identify("ana", email="ana@example.org"), track("ana", "Hello"))
        assert server.sent("hello", "ana")["rule"] == "hello"
        order.unlink()
        write_rules(shop, "greeting.yaml", RULES.replace("hello\n", "hello-there\n"))
        wait_until(lambda: server.get("/v1/rulebook")["state"] == "live", "the next change")


def many_rules(first: int) -> str:
    rules = (f"  - {{name: r{first + each}, on: E{each % 7}, then: [set: {{x: {each}}}]}}\n" for each in range(1_500))
    return f"ruleset: many{first}\nrules:\n{''.join(rules)}"


def test_rules_that_take_more_memory_than_they_may_are_refused(tmp_path):
    shop = write_workspace(
        tmp_path / "shop", {"greeting.yaml": RULES}, more_settings="[rules]\nload_mb = 64\n", hello="marketing"
    )
    with serving(shop) as server:
        for number in range(12):
            write_rules(shop, f"many{number}.yaml", many_rules(10_000 * number))
        rulebook = wait_until(lambda: broken(server), "the refusal", 150)
        assert "TF638  loading the rules and templates takes more than 64 MB" in rulebook["error"]
        server.take(identify("ana", email="ana@example.org"), track("ana", "Hello"))
        server.sent("hello", "ana")


def broken(server):
    rulebook = server.get("/v1/rulebook")
    return rulebook if rulebook["state"] == "broken" else None


NONSENSE = "".join(f"  - {{nam: r{each}, on: E, when: '{'x' * 400}'}}\n" for each in range(200))
ADMIN = {"Authorization": "Bearer admin-key-of-the-tests"}


def test_folders_full_of_nonsense_are_refused_within_bounds_and_shown_in_part(tmp_path):
    shop = write_workspace(tmp_path / "shop", {"greeting.yaml": RULES}, hello="marketing")
    with serving(shop) as server:
        before = server.get("/v1/rulebook")["version"]
        for number in range(60):
            write_rules(shop, f"x{number}.yaml", f"ruleset: x\nrules:\n{NONSENSE}")
        rulebook = wait_until(lambda: broken(server), "the refusal", 120)
        rulebook = wait_until(lambda: len(broken(server)["problems"]) >= 200 and broken(server), "all of them", 120)
        assert rulebook["version"] == before
        assert len(rulebook["problems"]) == 200
        assert len(server.http.get("/rulebook", headers=ADMIN).content) < 2**20
        server.take(identify("ana", email="ana@example.org"), track("ana", "Hello"))
        server.sent("hello", "ana")


ELSEWHERE = "is a link to a file elsewhere"


@pytest.mark.parametrize(
    ("what", "says"),
    [("/etc/passwd", ELSEWHERE), ("/dev/zero", ELSEWHERE), ("", "hold more than 32 MB")],
    ids=["a link to a secret", "an endless device", "40 MB of notes"],
)
def test_what_does_not_belong_into_the_folder_is_refused_unread(tmp_path, what, says):
    shop = write_workspace(tmp_path / "shop", {"greeting.yaml": RULES}, hello="marketing")
    with serving(shop) as server:
        path = shop / "rules" / "notes.yaml"
        if what:
            path.symlink_to(what)
        else:
            path.write_bytes(bytes(40 * 2**20))
        rulebook = wait_until(lambda: broken(server), "the refusal")
        assert says in rulebook["error"]
        assert "TF635" in rulebook["error"]
        assert "root:" not in str(rulebook)
        assert textwrap.dedent(RULES).lstrip() == (shop / "data" / "live" / "rules" / "greeting.yaml").read_text()
