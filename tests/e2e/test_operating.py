"""docs/operating.md, done: a backup taken from a server at work, and starts that must be refused."""

from __future__ import annotations

import re
import shutil
import socket
import sqlite3
import stat
import subprocess
import threading
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest

from running import COMMAND, Running, identify, refuse, serving, track, write_workspace
from triggerfish.adapters.sqlite.migrate import migrate
from triggerfish.adapters.sqlite.together import check_together

RULES = {
    "people.yaml": """
        events: {purchase: Order Completed}
        segments:
          - name: customers
            when: count(purchase) >= 1
            segments:
              - name: loyal
                when: count(purchase) >= 10
    """,
    "orders.yaml": """
        ruleset: orders
        rules:
          - name: receipt
            on: purchase
            then: [send: receipt]
    """,
}
PEOPLE, PURCHASES, BATCH = 40, 20, 10
REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "operating.md").read_text(encoding="utf-8")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return write_workspace(tmp_path / "shop", RULES, receipt="transactional")


def stream() -> list[list[dict[str, object]]]:
    """What the shop's clients send, in requests: first who everybody is, then each person buys once a round."""
    events = [
        identify(f"p{person}", email=f"p{person}@example.com") | {"messageId": f"p{person}"} for person in range(PEOPLE)
    ]
    events += [
        track(f"p{person}", "Order Completed", messageId=f"p{person}-{number}")
        for number in range(PURCHASES)
        for person in range(PEOPLE)
    ]
    return [events[start : start + BATCH] for start in range(0, len(events), BATCH)]


def run(*words: str | Path) -> None:
    subprocess.run([*COMMAND, *map(str, words)], check=True, stdout=subprocess.DEVNULL, timeout=120)


def back_up(workspace: Path, to: Path) -> Path:
    run("backup", to, "--workspace", workspace)
    (backup,) = to.iterdir()
    return backup


def restore(backup: Path, workspace: Path, to: Path) -> Path:
    shutil.copytree(workspace, to, ignore=shutil.ignore_patterns("data"))
    run("restore", backup, to)
    return to


def send_ids(server: Running) -> list[str]:
    with closing(sqlite3.connect(server.workspace / "data" / "state.sqlite3")) as state:
        return [send for (send,) in state.execute("SELECT id FROM sends ORDER BY id")]


def positions(folder: Path) -> tuple[int, int]:
    """How far the state has decided, and how far the log goes."""
    with (
        closing(sqlite3.connect(folder / "state.sqlite3")) as state,
        closing(sqlite3.connect(folder / "log.sqlite3")) as log,
    ):
        decided: int = state.execute("SELECT position FROM progress").fetchone()[0]
        stored: int = log.execute("SELECT coalesce(max(position), 0) FROM events").fetchone()[0]
    return decided, stored


def members(server: Running) -> dict[str, int]:
    (top,) = server.get("/v1/segments")
    return {top["name"]: top["count"], **{child["name"]: child["count"] for child in top["children"]}}


def post_all(server: Running, requests: Iterable[list[dict[str, object]]], passed: threading.Semaphore) -> None:
    for request in requests:
        server.take(*request)
        passed.release()


def test_a_backup_taken_while_events_stream_in_restores_to_a_server_that_goes_on_exactly_once(workspace, tmp_path):
    requests = stream()
    with serving(workspace) as server:
        passed = threading.Semaphore(0)
        # The last requests come after the backup, however long that takes.
        end, is_taken = len(requests) - 5, threading.Event()

        def stream_all() -> None:
            post_all(server, requests[:end], passed)
            is_taken.wait(120)
            post_all(server, requests[end:], passed)

        streaming = threading.Thread(target=stream_all)
        streaming.start()
        for _ in range(len(requests) // 3):
            assert passed.acquire(timeout=60)
        backup = back_up(workspace, tmp_path / "kept")
        is_taken.set()
        streaming.join()
        server.quiet()
        right = send_ids(server), members(server)
    decided, stored = positions(backup)
    assert len(requests) // 3 * BATCH <= stored < len(requests) * BATCH, "the backup must fall into the stream"
    assert decided <= stored

    with serving(restore(backup, workspace, tmp_path / "restored")) as server:
        before = server.quiet()
        assert before["events"] == stored
        assert len(send_ids(server)) == stored - PEOPLE
        # The clients send what they think was lost, and more: all of it.
        post_all(server, requests, threading.Semaphore(0))
        server.quiet()
        assert (send_ids(server), members(server)) == right
    assert len(right[0]) == PEOPLE * PURCHASES
    assert right[1] == {"customers": PEOPLE, "loyal": PEOPLE}


def empty_data(workspace: Path) -> Path:
    """Data as a first start makes it."""
    data = workspace / "data"
    data.mkdir()
    for name in ("log", "state"):
        migrate(data / f"{name}.sqlite3", REPOSITORY / "migrations" / f"{name}.py")
    return data


def change(file: Path, sql: str) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(sql)


def test_a_state_that_is_ahead_of_its_log_is_not_served(workspace):
    data = empty_data(workspace)
    change(data / "state.sqlite3", "UPDATE progress SET position = 5")
    code, said = refuse(workspace)
    assert (code, "TF417" in said, "Traceback" in said) == (1, True, False)
    # A log that has had the five events is enough, even if it does not hold them any more.
    change(data / "log.sqlite3", "INSERT INTO events VALUES (5, 0, '{}')")
    change(data / "log.sqlite3", "DELETE FROM events")
    check_together(data / "log.sqlite3", data / "state.sqlite3")


def test_data_that_cannot_be_used_is_named_and_kept_as_it_is(workspace):
    data = workspace / "data"
    data.write_text("a file where a folder should be")
    code, said = refuse(workspace)
    assert (code, "TF418" in said, "Traceback" in said) == (1, True, False)
    data.unlink()
    data.mkdir()
    damaged = data / "state.sqlite3"
    damaged.write_text("no database, and longer than the header of one: " + "x" * 100)
    before = damaged.read_bytes()
    code, said = refuse(workspace)
    assert (code, "TF412" in said, "Traceback" in said) == (1, True, False)
    assert damaged.read_bytes() == before


def test_data_of_a_newer_version_is_refused(workspace):
    later = (
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('triggerfish.log', 'm999_later', '')"
    )
    change(empty_data(workspace) / "log.sqlite3", later)
    code, said = refuse(workspace)
    assert (code, "TF411" in said, "m999_later" in said) == (1, True, True)


def test_a_port_that_is_taken_is_named(workspace):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = refuse(workspace, "--port", str(port))
    assert (code, "TF416" in said, f"127.0.0.1:{port}" in said) == (1, True, True)


@pytest.mark.parametrize("level", ["error", "info"])
def test_the_level_of_the_log_holds_for_every_process(workspace, level):
    settings = workspace / "triggerfish.toml"
    settings.write_text(f'{settings.read_text()}\n[log]\nlevel = "{level}"\n')
    with serving(workspace) as server:
        server.quiet()
    assert ("triggerfish.worker" in server.said()) == (level == "info")


def test_all_that_is_kept_is_explained_and_is_the_servers_own(workspace):
    section = PAGE.split("## What it keeps")[1].split("\n## ")[0]
    first_cells = "".join(re.findall(r"(?m)^\| (`.*?) \|", section))
    explained = {name.rstrip("/") for name in re.findall(r"`([^`]+)`", first_cells)}
    with serving(workspace) as server:
        server.take(*stream()[0])
        server.quiet()
        kept = {re.sub(r".*-(wal|shm)$", r"*-\1", path.name) for path in (workspace / "data").iterdir()}
    assert {"log.sqlite3", "state.sqlite3", "outbox", "*-wal"} <= kept <= explained
    assert stat.S_IMODE((workspace / "data").stat().st_mode) == 0o700
