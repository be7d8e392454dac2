"""A copy of a SQLite file of one instant, made while others write to it (https://sqlite.org/backup.html)."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

STEP_PAGES = 1_024
"""4 MB at a time; then it rests for as long as that took, so that whoever serves has the disk for half of the time."""

OnProgress = Callable[[int, int], None]
"""Gets how many bytes are copied, and how many there are."""


def copy(source: Path, target: Path, on_progress: OnProgress = lambda done, total: None) -> None:
    """Copy the database `source` into the file `target`, which must not be there, and sync it. Raises sqlite3.Error,
    OSError.

    One read transaction holds the instant, so writers go on and the copy never begins anew; the WAL of `source` grows
    meanwhile by what they write.
    """
    uri = f"{source.absolute().as_uri()}?mode=ro"
    with (
        closing(sqlite3.connect(uri, uri=True, timeout=30, isolation_level=None)) as live,
        closing(sqlite3.connect(target, isolation_level=None)) as copied,
    ):
        (page,) = live.execute("PRAGMA page_size").fetchone()
        live.execute("BEGIN")
        live.execute("SELECT count(*) FROM sqlite_master").fetchone()
        began = time.monotonic()

        def show(_: int, remaining: int, total: int) -> None:
            nonlocal began
            on_progress((total - remaining) * page, total * page)
            time.sleep(min(1.0, time.monotonic() - began))
            began = time.monotonic()

        live.backup(copied, pages=STEP_PAGES, progress=show)
        live.execute("COMMIT")
        # One whole file, that needs no WAL beside it.
        copied.execute("PRAGMA journal_mode = DELETE")
    sync(target)


def sync(path: Path) -> None:
    """Make a file, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
