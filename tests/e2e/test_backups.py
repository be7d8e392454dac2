"""Backups of a server at work, and what restoring one brings back."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from running import (
    COMMAND,
    Running,
    identify,
    is_alive,
    leave_nothing,
    serving,
    start,
    track,
    wait_until,
    write_workspace,
)
from triggerfish.adapters.backup.format import RestoreBroken
from triggerfish.adapters.backup.restoring import restored_at
from triggerfish.cli import main
from triggerfish.clock import HOUR, MINUTE
from triggerfish.compose import prepare
from triggerfish.config import load_settings
from triggerfish.processes import backups

DRILL = re.findall(
    r"(?m)^\$ (.+)$",
    (Path(__file__).parents[2] / "docs" / "operating.md")
    .read_text("utf-8")
    .split("### The drill")[1]
    .split("\n## ")[0],
)

RULES = {
    "shop.yaml": """
        events: {step: Step Taken}
        segments:
          - name: walkers
            when: count(step) >= 1
        ruleset: shop
        rules:
          - name: counted
            on: step
            then: [set: {steps: {value: count(step)}}]
          - name: offer
            on: Offer Wanted
            then: [send: offer]
          - name: reminder
            on: Basket Left
            wait: 20 seconds
            then: [send: reminder]
          - name: receipt
            on: Order Completed
            wait: 20 seconds
            then: [send: receipt]
    """
}
PEOPLE = 10


def run(*words: str | Path, code: int = 0) -> str:
    done = subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def told(*words: str | Path, code: int = 0) -> Any:
    return json.loads(run(*words, "--json", code=code))


def shop(folder: Path, more: str = "") -> Path:
    return write_workspace(
        folder, RULES, more_settings=more, offer="marketing", reminder="marketing", receipt="transactional"
    )


def steps_of(server: Running) -> list[int]:
    return [server.get(f"/v1/profiles/p{number}")["traits"].get("steps", 0) for number in range(PEOPLE)]


class Load:
    """Steps of everybody, batch after batch, in a thread of its own. `acked` counts the batches that were taken."""

    def __init__(self, server: Running) -> None:
        self.acked = 0
        self._server = server
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._ended.is_set():
            batch = [track(f"p{who}", "Step Taken", messageId=f"s{self.acked}.{who}") for who in range(PEOPLE)]
            if self._server.post(*batch).status_code == 200:
                self.acked += 1
            time.sleep(0.02)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def shell(line: str, workspace: Path) -> None:
    """A command of the page, in the workspace, by the `triggerfish` of this Python."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    subprocess.run(["sh", "-c", line], cwd=workspace, check=True, timeout=120, env={**os.environ, "PATH": path})


def test_a_drill_under_load_and_after_a_kill_nothing_acknowledged_before_the_backup_is_missing(tmp_path):
    back_up, kill, remove, restore, verify, serve = DRILL
    workspace = shop(tmp_path / "shop")
    server = start(workspace)
    try:
        server.take(*(identify(f"p{number}", email=f"p{number}@example.org") for number in range(PEOPLE)))
        with Load(server) as load:
            wait_until(lambda: load.acked > 5, "some batches")
            server.take(track("p1", "Offer Wanted", messageId="o1"))
            before = server.sent("offer", "p1")["id"]
            # Due after the backup and before the restoring: the marketing one leaves once, here.
            server.take(track("p1", "Basket Left", messageId="b1"), track("p2", "Order Completed", messageId="r2"))
            server.profile("p2")
            acked = load.acked
            shell(back_up, workspace)
            since = load.acked
            wait_until(lambda: load.acked > since + 3, "batches after the backup")
        assert server.sent("reminder", "p1")["status"] == "sent"
        assert server.sent("receipt", "p2")["status"] == "sent"
        children = [server.child("api"), server.child("worker")]
        shell(kill, workspace)
        server.process.wait(30)
        wait_until(lambda: not any(map(is_alive, children)), "the end of the orphans")
    finally:
        server.http.close()
        leave_nothing(server)
    shell(remove, workspace)
    (backup,) = (workspace / "kept").iterdir()
    assert f"{backup} is whole" in run("verify", backup)
    manifest = json.loads((backup / "manifest.json").read_bytes())
    assert PEOPLE * (acked + 1) <= manifest["events"] <= PEOPLE * (load.acked + 1) + 3
    assert manifest["decided"] <= manifest["events"]
    shell(restore, workspace)
    shell(verify, workspace)
    assert serve == "triggerfish serve"
    with serving(workspace) as again:
        status = again.quiet()
        assert status["events"] == manifest["events"]
        assert min(steps_of(again)) >= acked
        assert sum(steps_of(again)) >= manifest["events"] - PEOPLE - 3, "what the log had beyond the state is decided"
        # What had left, and is known to have left, is as it was; the file of the outbox is gone with the data.
        assert again.sent("offer", "p1")["id"] == before
        doubted = again.sent("reminder", "p1", status="uncertain")
        assert "restored from a backup" in doubted["reason"]
        assert again.sent("receipt", "p2")["status"] == "sent", "at least once"
        assert sorted(path.name for path in (workspace / "data" / "outbox").iterdir()) == [
            f"{again.sent('receipt', 'p2')['id']}.eml"
        ]
        # Whoever knows better, says so; and what is asked for from now on leaves.
        run("resolve", doubted["id"], "again", "--workspace", workspace)
        assert again.sent("reminder", "p1")["id"] == doubted["id"]
        again.take(track("p3", "Offer Wanted", messageId="o3"))
        again.sent("offer", "p3")
        # What senders send again counts once, or for the first time.
        again.take(*(track(f"p{who}", "Step Taken", messageId=f"s0.{who}") for who in range(PEOPLE)))
        again.quiet()
        assert max(steps_of(again)) <= load.acked


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that was served, with a message that waits."""
    workspace = shop(tmp_path_factory.mktemp("lived") / "shop", '\n[backup]\nfolder = "../kept"\nkeep = 2\n')
    with serving(workspace) as server:
        server.take(identify("p1", email="p1@example.org"), track("p1", "Offer Wanted"))
        server.sent("offer", "p1")
    return workspace


@pytest.fixture
def workspace(lived_in: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(lived_in, tmp_path / "shop"))


def call(*words: str | Path, code: int = 0) -> Any:
    """A command in this process; what it told."""
    done = CliRunner().invoke(main, [*map(str, words), "--json"])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


async def test_the_server_takes_backups_by_itself_and_keeps_the_newest(workspace, tmp_path, caplog):
    caplog.set_level("INFO")
    settings = load_settings(workspace, os.environ)
    for _ in range(2):
        call("backup", tmp_path / "kept", "--workspace", workspace)
    assert await backups.take(settings)
    assert "2 people" not in caplog.text
    assert "checked" in caplog.text
    kept = sorted((tmp_path / "kept").iterdir())
    assert len(kept) == 2
    (workspace / "data").rename(workspace / "elsewhere")
    assert not await backups.take(settings)
    assert "no backup was taken: TF412" in caplog.text
    assert sorted((tmp_path / "kept").iterdir()) == kept


def test_a_backup_holds_what_it_says_and_nothing_secret(workspace, tmp_path):
    taken = call("backup", tmp_path / "kept", "--workspace", workspace)
    folder = Path(taken["path"])
    there = {path.relative_to(folder).parts[0] for path in folder.rglob("*") if path.is_file()}
    assert there == {"log.sqlite3", "state.sqlite3", "rulebooks", "workspace", "manifest.json"}
    assert (stat.S_IMODE(folder.stat().st_mode), taken["bytes"] > 100_000) == (0o700, True)
    keys = [b"write-key-of-the-tests", b"admin-key-of-the-tests", b"secret-of-the-tests"]
    for path in folder.rglob("*"):
        assert not path.is_file() or not any(key in path.read_bytes() for key in keys), path
    more = call("backup", tmp_path / "kept", "--workspace", workspace, "--with-settings")
    assert (Path(more["path"]) / "triggerfish.toml").read_bytes() == (workspace / "triggerfish.toml").read_bytes()
    assert call("verify", more["path"])["is_whole"]


def test_a_backup_that_was_touched_is_not_restored(workspace, tmp_path):
    folder = Path(call("backup", tmp_path / "kept", "--workspace", workspace)["path"])
    fresh = tmp_path / "fresh"
    log = folder / "log.sqlite3"
    whole = log.read_bytes()
    for content, word in ((whole[:-1], "checksum"), (whole[:-4096] + bytes(4096), "checksum"), (None, "is missing")):
        log.write_bytes(content) if content is not None else log.unlink()
        assert word in call("restore", folder, fresh, code=1)["sentence"]
        assert any(word in each for each in call("verify", folder, code=1)["problems"])
    log.write_bytes(whole)
    (folder / "more").write_text("put there by somebody")
    assert call("restore", folder, fresh, code=1)["code"] == "TF451"
    assert not fresh.exists()
    (folder / "more").unlink()
    (folder / "manifest.json").write_text((folder / "manifest.json").read_text().replace('"format": 1', '"format": 2'))
    assert "newer Triggerfish" in call("restore", folder, fresh, code=1)["sentence"]
    assert call("restore", tmp_path, fresh, code=1)["code"] == "TF451"


def test_data_that_is_there_stays_unless_it_is_moved_aside_by_force(workspace, tmp_path):
    folder = call("backup", tmp_path / "kept", "--workspace", workspace, "--with-settings")["path"]
    before = (workspace / "data" / "log.sqlite3").read_bytes()
    assert call("restore", folder, workspace, code=1)["code"] == "TF452"
    done = call("restore", folder, workspace, "--force")
    assert (Path(done["aside"]) / "log.sqlite3").read_bytes() == before
    assert call("verify", "--workspace", workspace)["is_whole"]
    for name in ("serve.lock", "worker.lock"):
        with (workspace / "data" / name).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert call("restore", folder, workspace, "--force", code=1)["code"] == "TF410"
    fresh = tmp_path / "fresh"
    done = call("restore", folder, fresh, "--resend")
    assert (done["rules_restored"], done["has_settings"], done["sends_from"]) == (True, True, "")
    assert restored_at(fresh / "data") == 0 < restored_at(workspace / "data")
    assert (fresh / "rules" / "shop.yaml").read_text() == (workspace / "rules" / "shop.yaml").read_text()
    assert stat.S_IMODE((fresh / "triggerfish.toml").stat().st_mode) == 0o600


@pytest.mark.parametrize("step", range(5))
def test_a_restore_broken_off_anywhere_is_refused_and_can_be_done_again(workspace, tmp_path, monkeypatch, step):
    """The steps that put something in its place: three files of the log or the state aside, then both of the backup."""
    folder = call("backup", tmp_path / "kept", "--workspace", workspace)["path"]
    data = workspace / "data"
    kept = {name: (data / name).read_bytes() for name in ("log.sqlite3", "state.sqlite3")}
    (data / "log.sqlite3-wal").write_bytes(b"what nobody has written into the log yet")
    places = {data / f"{name}.sqlite3{end}" for name in ("log", "state") for end in ("", "-wal", "-shm")}
    rename, taken = Path.rename, []

    def rename_or_die(source, target):
        if {source, Path(target)} & places:
            if len(taken) == step:
                raise KeyboardInterrupt
            taken.append(target)
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", rename_or_die)
    done = CliRunner().invoke(main, ["restore", folder, str(workspace), "--force"])
    assert done.exit_code != 0
    assert len(taken) == step
    monkeypatch.undo()
    with pytest.raises(RestoreBroken):
        prepare(load_settings(workspace, os.environ))
    call("restore", folder, workspace, "--force")
    prepare(load_settings(workspace, os.environ))
    assert call("verify", "--workspace", workspace)["is_whole"]
    aside = {path.name: path.read_bytes() for path in sorted(data.glob("before-*/*"), reverse=True)}
    assert aside["log.sqlite3-wal"] == b"what nobody has written into the log yet"
    assert [path.read_bytes() for path in data.glob("before-*/log.sqlite3")].count(kept["log.sqlite3"]) >= 1


def test_a_wal_without_its_database_is_never_played_into_what_is_restored(workspace, tmp_path):
    folder = call("backup", tmp_path / "kept", "--workspace", workspace)["path"]
    state = workspace / "data" / "state.sqlite3"
    with closing(sqlite3.connect(state)) as other, other:
        other.execute("UPDATE progress SET position = 0")
        other.commit()
        wal = state.with_name("state.sqlite3-wal").read_bytes()
    for path in (workspace / "data").glob("*.sqlite3*"):
        path.unlink()
    state.with_name("state.sqlite3-wal").write_bytes(wal)
    assert call("restore", folder, workspace, code=1)["code"] == "TF452"
    call("restore", folder, workspace, "--force")
    with closing(sqlite3.connect(state)) as restored:
        assert restored.execute("SELECT position FROM progress").fetchone()[0] > 0


def test_a_backup_never_fills_a_disk_and_leaves_nothing_of_one_that_fails(workspace, tmp_path, monkeypatch):
    kept = tmp_path / "kept"
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1_000))
    refused = call("backup", kept, "--workspace", workspace, code=1)
    assert (refused["code"], "not enough room" in refused["sentence"]) == ("TF450", True)
    monkeypatch.undo()
    with closing(sqlite3.connect(workspace / "data" / "state.sqlite3")) as state, state:
        state.execute("UPDATE progress SET position = 99")
    refused = call("backup", kept, "--workspace", workspace, code=1)
    assert (refused["code"], "has decided the first 99 events" in refused["sentence"]) == ("TF450", True)
    assert list(kept.iterdir()) == []


def test_the_hour_of_backups_is_that_of_the_machine():
    now = int(datetime(2026, 1, 31, 3, 30).astimezone().timestamp() * 1_000)
    assert backups.next_at(now - 1, "03:30") == now
    assert backups.next_at(now, "03:30") == now + 24 * HOUR
    assert backups.next_at(now, "03:31") == now + MINUTE


@pytest.mark.long
def test_at_its_hour_a_server_takes_a_backup(tmp_path):
    soon = (datetime.now(UTC) + timedelta(seconds=75)).strftime("%H:%M")
    workspace = shop(tmp_path / "shop", f'\n[backup]\nfolder = "kept"\nat = "{soon}"\n')
    with serving(workspace, env={"TZ": "UTC"}):
        wait_until(lambda: list(workspace.glob("kept/triggerfish-*/manifest.json")), "a backup", 140)
