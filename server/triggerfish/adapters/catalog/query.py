"""A catalogue out of an SQLite database: one SELECT, read-only, within a time."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from triggerfish.adapters.catalog.products import distinct
from triggerfish.adapters.catalog.rows import LARGEST_ROW, Row, Unfit

SECONDS = 30.0
_STEPS = 10_000
"""SQLite's instructions between two looks at the clock."""
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}


def query_rows(path: Path, query: str, key: str) -> Iterator[Row]:
    """The rows of a query, each column by its name; what is NULL is left out. Raises Unfit."""
    if not path.is_file():
        raise Unfit("there is no such database", hint="[catalog] in triggerfish.toml names it")
    ends_at = time.monotonic() + SECONDS
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as base:
            base.execute("PRAGMA query_only = 1")
            base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_ROW * 4)
            base.set_authorizer(_authorize)
            base.set_progress_handler(lambda: time.monotonic() > ends_at, _STEPS)
            yield from _rows(base.execute(query), key)
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            raise Unfit(f"the query takes longer than {SECONDS:.0f} seconds") from None
        raise Unfit(f"the query fails: {error}") from None
    except sqlite3.Error as error:
        hint = "it is one SELECT that reads tables of this database"
        raise Unfit(f"the query fails: {error}", hint=hint) from None


def _rows(cursor: sqlite3.Cursor, key: str) -> Iterator[Row]:
    names = [column[0] for column in cursor.description or ()]
    if key not in names or not distinct(names):
        sentence = f'the query gives no column "{key}"' if key not in names else "two columns have the same name"
        raise Unfit(sentence, hint=f"it gives {', '.join(names[:12])}; rename one with AS" if names else "")
    for number, values in enumerate(cursor, 1):
        for name, value in zip(names, values, strict=True):
            if isinstance(value, bytes):
                raise Unfit(f'"{name}" holds bytes', hint="leave that column out of the query", line=number)
        yield Row(number, {name: value for name, value in zip(names, values, strict=True) if value is not None})


def _authorize(action: int, _one: str | None, two: str | None, _base: str | None, _inner: str | None) -> int:
    """Reading alone; `load_extension` is a function, too, and is none of ours."""
    if action == sqlite3.SQLITE_FUNCTION and str(two).lower() == "load_extension":
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY
