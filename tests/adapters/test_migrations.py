"""Migrations that are broken off: whoever comes next goes on, and finds the same schema as without."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from triggerfish.adapters.sqlite.migrate import migrate
from triggerfish.config import starter_path
from triggerfish.errors import SettingsWrong

SCRIPTS = ("log", "state")
KILLER = """
import os, signal, sqlite3, sys
from pathlib import Path
from triggerfish.adapters.sqlite.migrate import migrate

script, folder = Path(sys.argv[1]), Path(sys.argv[2])
real = sqlite3.connect

def run(path, last):
    # In a process of its own: migrate, and be killed before statement number `last`.
    child = os.fork()
    if child == 0:
        count = 0
        def statement(text):
            nonlocal count
            count += 1
            if count == last:
                os.kill(os.getpid(), signal.SIGKILL)
        def connect(*args, **values):
            connection = real(*args, **values)
            connection.set_trace_callback(statement)
            return connection
        sqlite3.connect = connect
        migrate(path, script)
        os._exit(0)
    return os.waitpid(child, 0)[1]

last, every = 1, int(sys.argv[3])
while os.WIFSIGNALED(run(folder / f"{last}.db", last)):
    print(last)
    last += every
"""


def schema_of(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type, name")
        return [sql for (sql,) in rows if "_sqlite_migrations" not in sql]


def content_of(path: Path) -> list[list[tuple[object, ...]]]:
    tables = ("probe",) if "log" in path.parent.name else ("progress",)
    with closing(sqlite3.connect(path)) as db:
        return [db.execute(f"SELECT * FROM {table}").fetchall() for table in tables]


@pytest.mark.parametrize("every", [pytest.param(11, id="some"), pytest.param(1, id="all", marks=pytest.mark.long)])
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_migration_killed_at_any_statement_is_whole_or_not_there(tmp_path, name, every):
    script = starter_path("migrations") / f"{name}.py"
    folder = tmp_path / name
    folder.mkdir()
    whole = folder / "whole.db"
    steps = migrate(whole, script)
    command = [sys.executable, "-c", KILLER, script, folder, str(every)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    killed = [int(number) for number in done.stdout.split()]
    assert len(killed) * every > 2 * len(steps), "every step has some statements"
    for last in killed:
        path = folder / f"{last}.db"
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        migrate(path, script)
        assert schema_of(path) == schema_of(whole), f"killed before statement {last}"
        assert content_of(path) == content_of(whole)
        assert migrate(path, script) == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_data_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path, name):
    script = starter_path("migrations") / f"{name}.py"
    path = tmp_path / f"{name}.db"
    migrate(path, script)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE _sqlite_migrations SET name = 'm999_tomorrow' WHERE id = 1")
    before = schema_of(path)
    with pytest.raises(SettingsWrong, match=r"written by a newer Triggerfish \(it has had m999_tomorrow\)") as refused:
        migrate(path, script)
    assert refused.value.code == "TF411"
    assert schema_of(path) == before
