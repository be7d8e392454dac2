"""Files that are damaged, cut short, foreign or not ours: the start says what is wrong and what to do, a running server
waits and says so, and `triggerfish verify` finds what SQLite itself does not look for.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from running import identify, serving, track, wait_until, write_workspace
from triggerfish.adapters.sqlite.log import SqliteEventLog
from triggerfish.cli import main
from triggerfish.compose import prepare
from triggerfish.config import load_settings
from triggerfish.errors import SettingsWrong
from worlds import NOON
from worlds import track as tracked

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

RULES = {
    "shop.yaml": """
        segments:
          - name: walkers
            when: count(Step) >= 1
        ruleset: shop
        rules:
          - name: offer
            on: Offer Wanted
            then: [send: offer]
    """
}


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that was served, stopped in order, and has some data."""
    workspace = write_workspace(tmp_path_factory.mktemp("lived") / "shop", RULES, offer="marketing")
    with serving(workspace) as server:
        for number in range(30):
            person = f"p{number}"
            server.take(identify(person, email=f"{person}@example.org", notes="x" * 900), track(person, "Step"))
        server.take(track("p1", "Offer Wanted"))
        server.quiet()
    return workspace


@pytest.fixture
def workspace(lived_in: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(lived_in, tmp_path / "shop"))


def verify(workspace: Path) -> list[str]:
    """What `triggerfish verify` finds, in this process."""
    done = CliRunner().invoke(main, ["verify", "--workspace", str(workspace), "--json"])
    told = json.loads(done.stdout)
    problems: list[str] = told["problems"]
    assert (done.exit_code, told["is_whole"]) == ((1, False) if problems else (0, True))
    return problems


def spoil(path: Path, *, at: int, size: int = 2_000) -> None:
    """Flip the bits of some bytes in the middle of a file."""
    with path.open("r+b") as file:
        file.seek(at)
        spoilt = bytes(byte ^ 0xFF for byte in file.read(size))
        file.seek(at)
        file.write(spoilt)


def foreign(path: Path) -> None:
    path.write_bytes(b"no database at all " * 500)


def headless(path: Path) -> None:
    spoil(path, at=0, size=4_096)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("name", ["log", "state"])
@pytest.mark.parametrize("damage", [foreign, headless, cut], ids=["foreign", "headless", "cut"])
def test_what_a_start_does_first_names_a_damaged_file_and_the_way_out(
    workspace: Path, name: str, damage: Callable[[Path], None]
):
    path = workspace / "data" / f"{name}.sqlite3"
    damage(path)
    before = path.read_bytes()
    with pytest.raises(SettingsWrong, match=re.escape(f"{path} cannot be used: ")) as refused:
        prepare(load_settings(workspace, {}))
    assert (refused.value.code, "restore a backup" in refused.value.hint) == ("TF412", True)
    assert path.read_bytes() == before
    assert any(each.startswith(f"{name}.sqlite3: ") for each in verify(workspace))


async def test_a_log_that_lost_its_newest_events_is_not_passed_over_in_silence(tmp_path: Path):
    workspace = write_workspace(tmp_path / "shop", RULES, offer="marketing")
    data, kept = workspace / "data", tmp_path / "kept"
    prepare(load_settings(workspace, {}))
    with closing(SqliteEventLog(data / "log.sqlite3")) as log:
        await log.append([(tracked("Step", NOON), NOON)])
        size = (data / "log.sqlite3-wal").stat().st_size
        await log.append([(tracked("Step", NOON + number), NOON) for number in range(20)])
        change(data / "state.sqlite3", "UPDATE progress SET position = 21")
        # As after a power cut: the newest events are in the WAL only.
        shutil.copytree(data, kept)
    settings = load_settings(workspace, {})
    for lose, code in ((lambda wal: os.truncate(wal, size), "TF417"), (Path.unlink, "TF4")):
        shutil.rmtree(data)
        shutil.copytree(kept, data)
        (data / "log.sqlite3-shm").unlink()
        assert verify(workspace) == []
        lose(data / "log.sqlite3-wal")
        (data / "log.sqlite3-shm").unlink(missing_ok=True)
        with pytest.raises(SettingsWrong) as refused:
            prepare(settings)
        assert refused.value.code.startswith(code)
        assert "backup" in refused.value.hint
        assert verify(workspace)


@pytest.mark.long
def test_a_state_that_lost_its_newest_transactions_decides_the_same_again(tmp_path: Path):
    workspace = write_workspace(tmp_path / "shop", RULES, offer="marketing")
    with serving(workspace) as server:
        server.take(identify("p1", email="p1@example.org"), track("p1", "Step"))
        server.quiet()
        size = (workspace / "data" / "state.sqlite3-wal").stat().st_size
        server.take(*(track(f"p{number}", "Step", messageId=f"s{number}") for number in range(20)))
        server.quiet()
        people = server.get("/v1/segments")[0]["count"]
        shutil.copytree(workspace / "data", tmp_path / "data", ignore=shutil.ignore_patterns("*.lock", "live*"))
    shutil.rmtree(workspace / "data")
    (tmp_path / "data").rename(workspace / "data")
    os.truncate(workspace / "data" / "state.sqlite3-wal", size)
    (workspace / "data" / "state.sqlite3-shm").unlink()
    with serving(workspace) as server:
        server.quiet()
        assert server.get("/v1/segments")[0]["count"] == people == 20
    assert verify(workspace) == []


def test_a_page_that_is_damaged_while_the_server_runs_stops_decisions_and_loses_no_event(workspace: Path):
    with serving(workspace) as server:
        path = workspace / "data" / "state.sqlite3"
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'identities'").fetchone()
            (page,) = db.execute("PRAGMA page_size").fetchone()
        spoil(path, at=(root - 1) * page, size=200)
        worker = server.kill("worker")
        before = server.get("/v1/status")["events"]
        server.take(*(track(f"n{number}", "Step") for number in range(3)))
        wait_until(lambda: "state.sqlite3 cannot be used: the file is damaged" in server.said(), "word of it")
        assert "triggerfish verify" in server.said()
        answer = server.ask("/v1/profiles/p1")
        assert (answer.status_code, answer.json()["code"]) == (503, "TF121")
        assert server.child("worker") == worker, "it waits"
        assert server.get("/v1/status")["events"] == before + 3
        assert server.get("/v1/status")["dead_letters"] == 0, "no event is to blame"
    assert verify(workspace)


AS_NOBODY = """
import os, sys
from pathlib import Path
from triggerfish import errors
from triggerfish.adapters.sqlite import together
from triggerfish.adapters.sqlite.migrate import migrate
from triggerfish.compose import prepare
from triggerfish.config import load_settings, starter_path

settings = load_settings(Path(sys.argv[1]), {})
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    prepare(settings)
except errors.SettingsWrong as error:
    print(error)
"""


def test_what_may_not_be_written_is_named(lived_in: Path):
    """Permissions do not hold for root, so whoever looks becomes somebody else, where that may be done."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(shutil.copytree(lived_in, Path(folder) / "shop"))
        Path(folder).chmod(0o755)
        for path in (workspace / "data").iterdir():
            path.chmod(0o755 if path.is_dir() else 0o444)
        (workspace / "data").chmod(0o555)
        command = [sys.executable, "-c", AS_NOBODY, str(workspace)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        (workspace / "data").chmod(0o755)
    assert "log.sqlite3 cannot be used: " in done.stdout, done.stderr
    assert "see that the server's user may write it" in done.stdout


def change(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(sql)


@pytest.mark.parametrize(
    ("name", "sql", "told"),
    [
        ("log", "DELETE FROM events WHERE position = 7", "1 events are missing between positions 1 and 61"),
        ("log", "DELETE FROM events WHERE position > 55", "the newest 6 events are missing: 61 were given positions"),
        ("log", "UPDATE events SET event = 'x' WHERE position = 9", "1 events that cannot be read, or whose time"),
        ("log", "UPDATE events SET received_at = 5 WHERE position = 9", "whose time goes back: position 9"),
        ("state", "UPDATE progress SET position = 99", "has decided the first 99 events, and log.sqlite3 has had 61"),
        ("state", "DELETE FROM profiles WHERE id IN (SELECT profile FROM memberships LIMIT 1)", "members of segments"),
        ("state", "UPDATE sends SET status = 'lost'", "1 messages of a status that there is not"),
        ("state", "UPDATE sends SET status = 'due', profile = 'nobody'", "1 messages on their way to nobody"),
        ("state", "UPDATE profiles SET profile = x'c1' WHERE rowid = 2", "1 profiles that cannot be read"),
        ("state", "UPDATE profiles SET wake_at = 12345 WHERE rowid = 3", "wake at another time than the agenda says"),
        ("state", "INSERT INTO dead_letters VALUES (900, 1, 'x')", "1 dead letters beyond what is decided: 900"),
        ("state", "DROP INDEX sends_of", ""),
    ],
)
def test_verify_finds_what_must_not_be(workspace: Path, name: str, sql: str, told: str):
    change(workspace / "data" / f"{name}.sqlite3", sql)
    problems = verify(workspace)
    assert any(told in each for each in problems) == bool(told), problems


@pytest.mark.parametrize("name", ["log", "state"])
def test_verify_tells_a_missing_file_from_a_workspace_in_which_nothing_is_stored(workspace: Path, name: str):
    (workspace / "data" / f"{name}.sqlite3").unlink()
    done = CliRunner().invoke(main, ["verify", "--workspace", str(workspace)])
    assert (done.exit_code, f"{name}.sqlite3 is missing" in done.output) == (1, True)
    assert "restore a backup" in done.output
    assert "nothing is stored" not in done.output
