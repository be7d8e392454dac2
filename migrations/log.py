"""The schema of the event log's own file (see server/triggerfish/adapters/sqlite/log.py)."""

from sqlite_utils.db import Database
from sqlite_utils.migrations import Migrations

migrations = Migrations("triggerfish.log")


@migrations()
def m001_events(db: Database) -> None:
    # No unique index on message ids: it would halve the rate, and profiles know what they have seen.
    db.execute(
        """
        CREATE TABLE events (
            position INTEGER PRIMARY KEY AUTOINCREMENT,
            received_at INTEGER NOT NULL,
            event TEXT NOT NULL
        )
        """
    )


@migrations()
def m002_probe(db: Database) -> None:
    # One row that is written to find out whether the log can write.
    db.execute("CREATE TABLE probe (id INTEGER PRIMARY KEY CHECK (id = 1), writes INTEGER NOT NULL)")
    db.execute("INSERT INTO probe VALUES (1, 0)")
