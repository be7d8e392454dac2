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


@migrations()
def m003_quarantine(db: Database) -> None:
    # In the log's file, so that an event is in the log or aside, never in both, and one transaction moves it.
    db.execute(
        """
        CREATE TABLE quarantine (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            at INTEGER NOT NULL,
            name TEXT NOT NULL,
            violations TEXT NOT NULL,
            event TEXT NOT NULL
        )
        """
    )
    # Also what counts the rows, without their content.
    db.execute("CREATE INDEX quarantine_by_name ON quarantine (name)")
    db.execute(
        """
        CREATE TABLE violations (
            event TEXT NOT NULL,
            field TEXT NOT NULL,
            what TEXT NOT NULL,
            refused INTEGER NOT NULL,
            quarantined INTEGER NOT NULL,
            warned INTEGER NOT NULL,
            first_at INTEGER NOT NULL,
            last_at INTEGER NOT NULL,
            examples TEXT NOT NULL,
            PRIMARY KEY (event, field, what)
        ) WITHOUT ROWID
        """
    )
