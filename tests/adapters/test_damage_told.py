"""What `triggerfish verify` says of a file that SQLite finds damaged: in words for people, with SQLite's own beside."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from triggerfish.adapters.sqlite.checking import check
from triggerfish.adapters.sqlite.migrate import migrate
from triggerfish.config import starter_path


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    log, state = tmp_path / "log.sqlite3", tmp_path / "state.sqlite3"
    for path in (log, state):
        migrate(path, starter_path("migrations") / f"{path.stem}.py")
    with closing(sqlite3.connect(state)) as db:
        db.executemany("INSERT INTO identities VALUES ('user', ?, ?)", [(f"p{n}", f"id{n}") for n in range(2_000)])
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return log, state


def problems(files: tuple[Path, Path]) -> list[str]:
    return [each for each in check(*files).problems if "names of nobody" not in each]


def test_what_is_whole_has_no_problems_of_that_kind(files):
    assert problems(files) == []


def test_an_index_that_does_not_fit_its_table_is_named(files):
    with closing(sqlite3.connect(files[1])) as db:
        db.execute("CREATE TABLE kept (value)")
        db.execute("CREATE INDEX kept_by ON kept (value)")
        db.execute("CREATE INDEX other_by ON kept (value || 'x')")
        roots = dict(db.execute("SELECT name, rootpage FROM sqlite_master WHERE name IN ('kept_by', 'other_by')"))
        db.executemany("INSERT INTO kept VALUES (?)", [(number,) for number in range(3)])
        db.commit()
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_master SET rootpage = ? WHERE name = 'kept_by'", (roots["other_by"],))
        db.execute("DELETE FROM sqlite_master WHERE name = 'other_by'")
        db.commit()
    (told,) = [each for each in problems(files) if "indexes" in each]
    assert re.fullmatch(
        r"state\.sqlite3: \d+ rows are not in the file.s indexes as they are in its tables: kept_by", told
    )


def test_a_page_that_was_overwritten_is_damage_with_what_sqlite_says_of_it(files):
    with files[1].open("r+b") as file:
        file.seek(0, 2)
        size = file.tell()
        for start in range(size - 8 * 4096, size, 4096):
            file.seek(start)
            file.write(bytes(100))
    told = problems(files)
    assert told
    assert all("SQLite" in each for each in told if "indexes" not in each)
    assert any("damaged" in each for each in told)
    assert len(told) < 5, "one sentence a kind"


def test_a_file_that_is_none_of_sqlites_is_told_so(files):
    files[0].write_bytes(b"something else" * 1_000)
    assert problems(files)[0].startswith(
        "log.sqlite3: this is no SQLite file, or its beginning was overwritten (SQLite: file is not a database)"
    )
