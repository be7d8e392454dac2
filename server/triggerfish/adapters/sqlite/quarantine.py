"""The quarantine: two tables in the event log's own file, so that one transaction moves an event into the log."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from threading import Lock

import msgspec

from triggerfish.adapters.sqlite.trouble import reports_trouble
from triggerfish.clock import Instant
from triggerfish.ingest import Event
from triggerfish.plan import Violation
from triggerfish.quarantine import Aside, Counted, Example, Judge, Key, Quarantined, Released, add_up

RELEASE_BATCH = 200
"""Events that one transaction looks at: the log waits no longer than that takes."""

_JSON = msgspec.json.Encoder()
_EVENT = msgspec.json.Decoder(Event)
_VIOLATIONS = msgspec.json.Decoder(tuple[Violation, ...])
_EXAMPLES = msgspec.json.Decoder(tuple[Example, ...])
_ROWS = "SELECT id, at, event, violations FROM quarantine"
_COUNTS = "SELECT event, field, what, refused, quarantined, warned, first_at, last_at, examples FROM violations"
_SAY_WHY = "UPDATE quarantine SET violations = ? WHERE id = ?"
_APPEND = """
    INSERT INTO events (received_at, event)
    VALUES (max(?, coalesce((SELECT received_at FROM events ORDER BY position DESC LIMIT 1), 0)), ?)
"""


def put_aside(connection: sqlite3.Connection, aside: Iterable[Aside]) -> None:
    """Within a transaction of the log's."""
    rows = [(each.at, each.event.name, _text(each.violations), _text(each.event)) for each in aside]
    connection.executemany("INSERT INTO quarantine (at, name, violations, event) VALUES (?, ?, ?, ?)", rows)


def size_of(connection: sqlite3.Connection) -> int:
    found: int = connection.execute("SELECT count(*) FROM quarantine").fetchone()[0]
    return found


def add_counts(connection: sqlite3.Connection, counts: Iterable[Counted]) -> None:
    """Within a transaction of the log's: the stored counts and these, together."""
    known = _counts(connection)
    before = dict(known)
    add_up(known, counts)
    rows = [
        (*key, one.refused, one.quarantined, one.warned, one.first_at, one.last_at, _text(one.examples))
        for key, one in known.items()
        if one is not before.get(key)
    ]
    connection.executemany("INSERT OR REPLACE INTO violations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


@reports_trouble("the quarantine")
class SqliteQuarantine:
    """The Quarantine in the event log's file `path`. Its methods may be called from any thread, and from any process
    while another appends to the log.
    """

    def __init__(self, path: Path) -> None:
        uri = f"{path.absolute().as_uri()}?mode=rw"
        self._connection = sqlite3.connect(uri, uri=True, timeout=10, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA synchronous = FULL")
        self._lock = Lock()

    def size(self) -> int:
        with self._lock:
            return size_of(self._connection)

    def listed(self, limit: int, *, before: int | None = None, event: str | None = None) -> list[Quarantined]:
        query = f"{_ROWS} WHERE id < ? AND (? IS NULL OR name = ?) ORDER BY id DESC LIMIT ?"
        values = (2**63 - 1 if before is None else before, event, event, limit)
        with self._lock:
            return _held(self._connection, query, values)

    def violations(self) -> list[Counted]:
        with self._lock:
            known = _counts(self._connection)
        return sorted(known.values(), key=lambda one: (-(one.refused + one.quarantined + one.warned), one.key))

    def release(self, judge: Judge, receipt_of: Callable[[Event], Instant], *, event: str | None = None) -> Released:
        after, released, kept, reasons = 0, 0, 0, Counter[str]()
        query = f"{_ROWS} WHERE id > ? AND (? IS NULL OR name = ?) ORDER BY id LIMIT ?"
        with self._lock:
            while True:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    batch = _held(self._connection, query, (after, event, event, RELEASE_BATCH))
                    for held in batch:
                        admitted, violations = judge(held)
                        if admitted is None:
                            kept += 1
                            reasons.update({violations[0].sentence} if violations else ())
                            self._connection.execute(_SAY_WHY, (_text(violations), held.id))
                        else:
                            released += 1
                            self._connection.execute(_APPEND, (receipt_of(admitted), _text(admitted)))
                            self._connection.execute("DELETE FROM quarantine WHERE id = ?", (held.id,))
                except BaseException:
                    # A full disk makes SQLite roll back by itself.
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise
                self._connection.execute("COMMIT")
                if len(batch) < RELEASE_BATCH:
                    return Released(released, kept, dict(reasons.most_common(10)))
                after = batch[-1].id

    def discard(self, *, event: str | None = None) -> int:
        with self._lock:
            done = self._connection.execute("DELETE FROM quarantine WHERE ? IS NULL OR name = ?", (event, event))
            return done.rowcount

    def close(self) -> None:
        with self._lock:
            self._connection.close()


def _text(value: object) -> str:
    return _JSON.encode(value).decode()


def _held(connection: sqlite3.Connection, query: str, values: Sequence[object]) -> list[Quarantined]:
    with closing(connection.execute(query, values)) as rows:
        return [
            Quarantined(number, at, _EVENT.decode(json), _VIOLATIONS.decode(violations))
            for number, at, json, violations in rows
        ]


def _counts(connection: sqlite3.Connection) -> dict[Key, Counted]:
    with closing(connection.execute(_COUNTS)) as rows:
        found = [
            Counted(event, field, what, refused, quarantined, warned, first_at, last_at, _EXAMPLES.decode(examples))
            for event, field, what, refused, quarantined, warned, first_at, last_at, examples in rows
        ]
    return {one.key: one for one in found}
