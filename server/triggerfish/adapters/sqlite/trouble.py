"""What SQLite says when the disk is full, fails or a file is damaged, in words for people; said once, not at every try.

After such an error nothing of the transaction is stored. Whoever holds the connection opens a fresh one: what a failed
fsync left in the kernel's cache proves nothing (P. Rebello and others, "Can Applications Recover from fsync Failures?",
USENIX ATC 2020).
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from triggerfish.errors import Unavailable

AGAIN_SECONDS = 600.0
"""While a trouble lasts, the log says so again after so long."""
FSYNC_FAILED = sqlite3.SQLITE_IOERR_FSYNC

T = TypeVar("T")

_CAUSES: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_FULL: ("the disk is full", "make room on it; then everything goes on by itself"),
    sqlite3.SQLITE_IOERR: (
        "the disk fails",
        "see what the system's log says of it (dmesg); everything goes on by itself once it works again",
    ),
    sqlite3.SQLITE_CORRUPT: (
        "the file is damaged",
        "stop the server, see what is left with `triggerfish verify`, and restore a backup",
    ),
    sqlite3.SQLITE_READONLY: (
        "the file may not be written",
        "give the data folder and its files to the server's user; then everything goes on by itself",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "the file cannot be opened",
        "see that the data folder is there and belongs to the server's user, and that files may still be opened",
    ),
    sqlite3.SQLITE_BUSY: (
        "another program holds the file",
        "find out which one (fuser), and let only the server write to its data",
    ),
    sqlite3.SQLITE_NOMEM: ("there is no memory left", "give the server's machine more, or lower [limits]"),
}
_DISPLACED = (
    "another program has deleted or replaced its -wal file",
    "restart it, and see what was done to the data folder; what was acknowledged before is safe",
)
_CAUSES |= {
    sqlite3.SQLITE_NOTADB: _CAUSES[sqlite3.SQLITE_CORRUPT],
    sqlite3.SQLITE_PERM: _CAUSES[sqlite3.SQLITE_READONLY],
    sqlite3.SQLITE_LOCKED: _CAUSES[sqlite3.SQLITE_BUSY],
    sqlite3.SQLITE_PROTOCOL: _CAUSES[sqlite3.SQLITE_BUSY],
}


class Displaced(sqlite3.OperationalError):
    """The WAL of an open file is not where it was: SQLite would go on in a file that nobody will find again."""

    sqlite_errorcode = sqlite3.SQLITE_READONLY_DBMOVED
    sqlite_errorname = "SQLITE_READONLY_DBMOVED"


def cause_of(error: BaseException) -> tuple[str, str] | None:
    """What is wrong with the disk or the file, and the way out; None when the error is of another kind."""
    if isinstance(error, Displaced):
        return _DISPLACED
    if not isinstance(error, sqlite3.DatabaseError):
        return None
    return _CAUSES.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)


def may_pass(error: BaseException) -> bool:
    """Whether waiting may help: not when a file is damaged, foreign, missing, or another user's."""
    passing = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return isinstance(error, sqlite3.DatabaseError) and getattr(error, "sqlite_errorcode", 0) & 0xFF in passing


def unavailable(what: str, error: BaseException) -> Unavailable | None:
    """The error that doors and loops understand: `what` (the event log, say) cannot be used just now, and why. None
    when the disk is not to blame.
    """
    cause = cause_of(error)
    if cause is None:
        return None
    return Unavailable(
        f"{what} cannot be used just now: {cause[0]}", hint=f"try again later; on the server: {cause[1]}"
    )


class Trouble:
    """Tells the log once that a file cannot be used, and once that it can again. For use by one thread at a time."""

    def __init__(self, path: Path, log: logging.Logger) -> None:
        self._path = path
        self._log = log
        self._what = ""
        self._since = self._told = 0.0
        self._times = 0

    @property
    def what(self) -> str:
        """What is wrong now; empty when all is well."""
        return self._what

    def met(self, error: BaseException) -> None:
        what, remedy = cause_of(error) or (f"{type(error).__name__}: {error}", "")
        now = time.monotonic()
        if not self._what:
            self._since, self._times = now, 0
        self._times += 1
        if what != self._what or now - self._told > AGAIN_SECONDS:
            self._what, self._told = what, now
            name = getattr(error, "sqlite_errorname", type(error).__name__)
            self._log.error("%s cannot be used: %s (%s): %s", self._path, what, name, remedy or "see the traceback")

    def over(self) -> None:
        """It works."""
        if self._what:
            seconds = time.monotonic() - self._since
            self._log.warning("%s can be used again, after %.0f s and %d tries", self._path, seconds, self._times)
            self._what = ""


class WalWatch:
    """Sees whether the WAL of an open database is still the one that it was."""

    def __init__(self, path: Path) -> None:
        self._wal = path.with_name(f"{path.name}-wal")
        self._known: int | None = None
        self._is_displaced = False

    def note(self) -> None:
        """A commit has come through: the WAL that is there now is ours."""
        if self._known is None:
            self._known = self._inode()

    def check(self, connection: sqlite3.Connection | None) -> None:
        """Raises Displaced, from then on every time. What the lost WAL holds is written into the database first, by
        the connection that still has it open.
        """
        if self._known is not None and not self._is_displaced and self._inode() != self._known:
            self._is_displaced = True
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("PRAGMA wal_checkpoint(FULL)")
        if self._is_displaced:
            raise Displaced

    def _inode(self) -> int | None:
        try:
            return self._wal.stat().st_ino
        except FileNotFoundError:
            return None


C = TypeVar("C", bound=type)


def reports_trouble(what: str) -> Callable[[C], C]:
    """For a class around one file: SQLite's errors of the disk come out of its public methods as Unavailable.
    Coroutines and `close` are left as they are. Where the class has `_be_ready()`, that is called before each method,
    and `_meet(error)` before the error comes out.
    """

    def decorate(cls: C) -> C:
        for name, method in list(vars(cls).items()):
            is_ours = inspect.isfunction(method) and not name.startswith("_") and name != "close"
            if is_ours and not inspect.iscoroutinefunction(method):
                setattr(cls, name, _guarded(what, method))
        return cls

    return decorate


def _guarded(what: str, method: Callable[..., T]) -> Callable[..., T]:
    @functools.wraps(method)
    def call(self: Any, *args: Any, **values: Any) -> T:
        try:
            getattr(self, "_be_ready", _nothing)()
            return method(self, *args, **values)
        except sqlite3.DatabaseError as error:
            trouble = unavailable(what, error)
            if trouble is None:
                raise
            getattr(self, "_meet", _nothing)(error)
            raise trouble from error

    return call


def _nothing(*_: object) -> None: ...
