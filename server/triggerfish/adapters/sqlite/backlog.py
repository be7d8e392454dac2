"""How much there is still to decide, asked over a connection of its own: no long read of a page is in its way."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from threading import Lock

from msgspec import Struct

from triggerfish.adapters.sqlite.trouble import reports_trouble
from triggerfish.clock import Instant, Millis
from triggerfish.errors import SettingsWrong
from triggerfish.log import EventLog

MOST_DUE = 100_000
"""People whose time has come are counted up to here."""


class Lag(Struct, frozen=True):
    """Events that are stored and not decided, and how long the oldest of them has been stored."""

    events: int
    age: Millis


class Agenda(Struct, frozen=True):
    """People for whom something waits for its time, and those of them whose time has come (at most MOST_DUE)."""

    waiting: int
    due: int


@reports_trouble("the state")
class SqliteBacklog:
    """Over the state in the file `path`, and the `log`. May be called from any thread. Raises SettingsWrong (TF412)
    when the file is no state, and Unavailable from every method when it cannot be read.
    """

    def __init__(self, path: Path, log: EventLog) -> None:
        self._log = log
        self._lock = Lock()
        uri = f"{path.absolute().as_uri()}?mode=ro"
        try:
            self._db = sqlite3.connect(uri, uri=True, timeout=1, isolation_level=None, check_same_thread=False)
            self._position()
        except sqlite3.Error as error:
            raise SettingsWrong(f"{path} is no Triggerfish state: {error}", code="TF412") from error

    def lag(self, now: Instant) -> Lag:
        # The log is asked after the state, so that there is never less than nothing.
        position = self._position()
        head, _ = self._log.head()
        oldest = self._log.read(position, 1) if head > position else []
        return Lag(head - position, max(0, now - oldest[0].received_at) if oldest else 0)

    def agenda(self, now: Instant) -> Agenda:
        with self._lock:
            waiting = self._db.execute("SELECT count(*) FROM profiles WHERE wake_at IS NOT NULL").fetchone()[0]
            due = self._db.execute(
                "SELECT count(*) FROM (SELECT 1 FROM profiles WHERE wake_at <= ? LIMIT ?)", (now, MOST_DUE)
            ).fetchone()[0]
        return Agenda(waiting, due)

    def _position(self) -> int:
        with self._lock:
            position: int = self._db.execute("SELECT position FROM progress").fetchone()[0]
        return position

    def close(self) -> None:
        with self._lock:
            self._db.close()
