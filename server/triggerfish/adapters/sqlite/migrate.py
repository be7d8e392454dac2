"""Ordered schema migrations for SQLite files, by sqlite-utils."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from triggerfish.errors import SettingsWrong

FULL_BYTES = 1_000_000
"""A disk with less room than this is to blame when a file cannot be opened."""


def migrate(database: Path, script: Path) -> list[str]:
    """Bring the file `database` (made if missing, in WAL mode) to the newest schema that `script` knows.

    `script` is a Python file with `migrations`, a sqlite-utils `Migrations`. Returns the names of the steps taken. Call
    it in one process, before others open the file. Raises SettingsWrong: TF411 when a newer Triggerfish has been here,
    TF412 when the file is no database or cannot be written.
    """
    steps = _steps_in(script)
    try:
        return _bring_up(database, steps)
    except sqlite3.Error as error:
        hint = "see that the server's user may write it; if it is damaged, restore a backup (docs/operating.md)"
        # SQLite calls a full disk an I/O error where it has no room for what lies in memory beside a file (-shm).
        if shutil.disk_usage(database.parent).free < FULL_BYTES:
            hint = "its disk is full: make room; nothing that was acknowledged is lost"
        raise SettingsWrong(f"{database} cannot be used: {error}", code="TF412", hint=hint) from error


def _bring_up(database: Path, steps: Migrations) -> list[str]:
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        db = Database(connection)
        known = {step.name for step in steps._migrations}
        unknown = [step.name for step in steps.applied(db) if step.name not in known]
        if unknown:
            raise SettingsWrong(
                f"{database} was written by a newer Triggerfish (it has had {', '.join(unknown)})",
                code="TF411",
                hint="run that version, or restore the backup made before the upgrade",
            )
        pending = [step.name for step in steps.pending(db)]
        steps.apply(db)
    return pending


def _steps_in(script: Path) -> Migrations:
    spec = spec_from_file_location(f"triggerfish_migrations_{script.stem}", script)
    if spec is None or spec.loader is None:
        raise SettingsWrong(f"{script} is no Python file", code="TF411")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    steps = module.migrations
    if not isinstance(steps, Migrations):
        raise SettingsWrong(f"{script} does not define `migrations`", code="TF411")
    return steps
