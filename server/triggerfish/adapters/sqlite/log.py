"""The embedded EventLog: one SQLite file, in WAL mode with synchronous=FULL, that only the log lives in.

One thread writes. While the disk makes one group of appends durable, others gather; the next commit takes them all. So
many requests share one fsync, and none waits for company. Measured with 1 to 256 senders at once: waiting 1 ms for more
changed nothing beyond noise, waiting 5 ms halved the rate up to 64 senders and gained nothing at 256.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from itertools import takewhile
from pathlib import Path
from random import randint
from threading import Condition, Lock, Thread
from typing import Any

import msgspec
from msgspec import Struct

from triggerfish import meters
from triggerfish.adapters.sqlite.quarantine import add_counts, put_aside, size_of
from triggerfish.adapters.sqlite.trouble import Trouble, WalWatch, reports_trouble, unavailable
from triggerfish.clock import Instant
from triggerfish.errors import Busy, Refused, SettingsWrong, TriggerfishError, Unavailable
from triggerfish.ingest import Event
from triggerfish.log import Arrival, Entry, Position, Queue, Unreadable
from triggerfish.quarantine import QUARANTINE_LIMIT, Aside, Counted, Key, add_up

_log = logging.getLogger("triggerfish.log")

_NEWEST = "SELECT position, received_at FROM events ORDER BY position DESC LIMIT 1"
_ROWS_AT_ONCE = (1_024, 256, 64, 16, 4, 1)
"""Rows of one INSERT, the largest number that there is first. Every step of a statement lets another thread have the
interpreter, and a busy one gives it back after 5 ms: many rows in one step cost one such wait, not many.
"""
_INSERTS = {
    rows: f"INSERT INTO events (received_at, event) VALUES {', '.join(['(?, ?)'] * rows)}"  # noqa: S608  (nothing but marks)
    for rows in _ROWS_AT_ONCE
}
_PROBE = "UPDATE probe SET writes = writes + 1"

PATIENCE_SECONDS = 2.0
"""When what waits for the disk has waited so long, no more is let in behind it, unless it is little."""
BUSY_SECONDS = 2.0
"""How long a transaction of another program is waited for; ours are short (quarantine.RELEASE_BATCH)."""
_LITTLE = 16
"""As a part of what may wait at most."""

NOTE_SECONDS = 1.0
"""Counts that nothing else is written with are kept back so long, so that refused requests cost no disk each."""

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Event)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)


class _Append(Struct, gc=False):
    """One call of append that waits: (instant, JSON) of each event, those for the quarantine, and whom to tell."""

    rows: list[tuple[Instant, bytes]]
    aside: Sequence[Aside]
    events: int
    bytes: int
    done: asyncio.Future[None]
    loop: asyncio.AbstractEventLoop
    came: float
    refusal: TriggerfishError | None = None


@reports_trouble("the event log")
class SqliteEventLog:
    """An EventLog in the file `path`, which `migrate(path, migrations/log.py)` has made.

    Once `queue_events` events or `queue_bytes` bytes wait for the disk, what comes is Busy; a sixteenth of that, when
    the first of them has waited for PATIENCE_SECONDS. Any number of processes may read the file while one appends.
    `append` belongs to an event loop; the reads may be called from any thread.
    Raises SettingsWrong (TF412) when the file is no event log.
    """

    def __init__(self, path: Path, *, queue_events: int = 20_000, queue_bytes: int = 64 * 1024 * 1024) -> None:
        self._path = path
        self._queue_events, self._queue_bytes = queue_events, queue_bytes
        self._waiting: list[_Append] = []
        self._waiting_events = self._waiting_bytes = 0
        self._oldest = 0.0
        self._noted: dict[Key, Counted] = {}
        self._noted_until = 0.0
        self._news = Condition()
        self._is_closed = False
        self._writer: Thread | None = None
        self._reading = Lock()
        try:
            self._reader = _connect(path)
            self._reader.execute("PRAGMA query_only = ON")
            self._reader.execute(_NEWEST)
        except sqlite3.Error as error:
            raise SettingsWrong(f"{path} is no event log: {error}", code="TF412") from error

    # --- appending ----------------------------------------------------------------------------------------------------

    async def append(self, arrivals: Sequence[Arrival], aside: Sequence[Aside] = ()) -> None:
        self.check_room()
        rows = [(received_at, _ENCODER.encode(event)) for event, received_at in arrivals]
        # Written down, the events need not be held in memory while the disk is waited for.
        del arrivals
        size = sum(len(json) for _, json in rows) + sum(len(_ENCODER.encode(held.event)) for held in aside)
        loop = asyncio.get_running_loop()
        append = _Append(rows, aside, len(rows) + len(aside), size, loop.create_future(), loop, time.monotonic())
        with self._news:
            if self._is_closed:
                raise Unavailable("the event log is closed")
            if not self._waiting_events:
                self._oldest = append.came
            self._waiting.append(append)
            self._waiting_events += append.events
            self._waiting_bytes += size
            self._wake_writer()
        await append.done

    def check_room(self) -> None:
        fullness = max(self._waiting_events / self._queue_events, self._waiting_bytes / self._queue_bytes)
        if fullness >= 1 or (fullness * _LITTLE >= 1 and time.monotonic() - self._oldest > PATIENCE_SECONDS):
            # Not all at the same instant again.
            after = randint(1, 3)  # noqa: S311  (nobody gains by guessing it)
            raise Busy(f"{self._waiting_events} events wait for the disk already", retry_after_seconds=after)

    def note(self, counts: Sequence[Counted]) -> None:
        if not counts:
            return
        with self._news:
            if self._is_closed:
                return
            if not self._noted:
                self._noted_until = time.monotonic() + NOTE_SECONDS
            add_up(self._noted, counts)
            self._wake_writer()

    def queue(self) -> Queue:
        return Queue(self._waiting_events, self._waiting_bytes, self._queue_events, self._queue_bytes)

    def _wake_writer(self) -> None:
        if self._writer is None:
            self._writer = Thread(target=self._write, name="triggerfish-log", daemon=True)
            self._writer.start()
        self._news.notify()

    def _write(self) -> None:
        """The writing thread: one commit after another, each with all that wait."""
        connection: sqlite3.Connection | None = None
        trouble, wal = Trouble(self._path, _log), WalWatch(self._path)
        while (work := self._next_group()) is not None:
            group, noted = work
            failure: Unavailable | None = None
            try:
                wal.check(connection)
                if connection is None:
                    connection = _connect(self._path)
                began = time.perf_counter()
                _commit(connection, group, noted)
                meters.LOG_COMMIT.observe(time.perf_counter() - began)
                meters.LOG_GROUP.observe(sum(append.events for append in group))
                wal.note()
                trouble.over()
            except Exception as cause:
                # The thread must live on: who waits is told, and the next group tries again.
                trouble.met(cause)
                meters.LOG_FAILURES.add()
                failure = unavailable("the event log", cause) or Unavailable("the event log cannot be used just now")
                # Whatever state the connection is in, a fresh one knows the file as it is.
                if connection is not None:
                    connection.close()
                    connection = None
                self._keep_counts(noted)
            self._settle(group, failure)
        if connection is not None:
            connection.close()

    def _next_group(self) -> tuple[list[_Append], dict[Key, Counted]] | None:
        """All appends that wait and the counts, once there are any; None when the log is closed and all is written."""
        with self._news:
            while not self._waiting and not self._is_closed:
                rest = self._noted_until - time.monotonic() if self._noted else None
                if rest is not None and rest <= 0:
                    break
                self._news.wait(rest)
            if self._is_closed and not self._waiting and not self._noted:
                return None
            group, self._waiting = self._waiting, []
            noted: dict[Key, Counted] = {}
            if self._noted and (self._is_closed or time.monotonic() >= self._noted_until):
                noted, self._noted = self._noted, {}
            return group, noted

    def _keep_counts(self, noted: dict[Key, Counted]) -> None:
        """Counts that could not be written are tried again later, unless this is the end."""
        with self._news:
            if noted and not self._is_closed:
                add_up(self._noted, noted.values())
                self._noted_until = time.monotonic() + NOTE_SECONDS

    def _settle(self, group: list[_Append], failure: Unavailable | None) -> None:
        with self._news:
            self._waiting_events -= sum(append.events for append in group)
            self._waiting_bytes -= sum(append.bytes for append in group)
            if self._waiting:
                self._oldest = self._waiting[0].came
        for loop in {append.loop for append in group}:
            mine = [append for append in group if append.loop is loop]
            # A loop that has ended meanwhile has nobody left to tell.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_tell, mine, failure)

    # --- reading ------------------------------------------------------------------------------------------------------

    def read(self, after: Position, limit: int) -> list[Entry]:
        rows = self._rows("WHERE position > ? ORDER BY position LIMIT ?", (after, limit))
        try:
            return [Entry(position, received_at, _DECODER.decode(json)) for position, received_at, json in rows]
        except _UNREADABLE:
            whole = list(takewhile(lambda entry: entry is not None, map(_entry_of, rows)))
            if not whole:
                raise Unreadable(*rows[0][:2]) from None
            return [entry for entry in whole if entry is not None]

    def at(self, positions: Sequence[Position]) -> list[Entry]:
        chosen = msgspec.json.encode(positions).decode()
        rows = self._rows("WHERE position IN (SELECT value FROM json_each(?)) ORDER BY position", (chosen,))
        return [entry for entry in map(_entry_of, rows) if entry is not None]

    def head(self) -> tuple[Position, Instant]:
        with self._reading, closing(self._reader.execute(_NEWEST)) as rows:
            return rows.fetchone() or (0, 0)

    def _rows(self, where: str, values: tuple[Any, ...]) -> list[tuple[Position, Instant, bytes]]:
        query = f"SELECT position, received_at, event FROM events {where}"  # noqa: S608  (`where` is one of ours)
        with self._reading, closing(self._reader.execute(query, values)) as rows:
            return rows.fetchall()

    def close(self) -> None:
        """Wait until what was appended is on disk, then close. Appends after this are Unavailable."""
        with self._news:
            self._is_closed = True
            self._news.notify()
        if self._writer is not None:
            self._writer.join()
        with self._reading:
            self._reader.close()


def _entry_of(row: tuple[Position, Instant, bytes]) -> Entry | None:
    """None where the file is damaged."""
    position, received_at, json = row
    try:
        return Entry(position, received_at, _DECODER.decode(json))
    except _UNREADABLE:
        return None


def _connect(path: Path) -> sqlite3.Connection:
    """A connection without Python's implicit transactions, for use by one thread at a time."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    return connection


def _commit(connection: sqlite3.Connection, group: list[_Append], noted: dict[Key, Counted]) -> None:
    """Make a group durable. An instant earlier than the newest entry's is raised to it. What would make the quarantine
    larger than it may be is not stored, and has a refusal.
    """
    connection.execute("BEGIN IMMEDIATE")
    newest = (connection.execute(_NEWEST).fetchone() or (0, 0))[1]
    values: list[Any] = []
    for append in group:
        append.refusal = None
        if append.aside:
            append.refusal = _full(size_of(connection), append)
            if append.refusal is not None:
                continue
            put_aside(connection, append.aside)
        for received_at, json in append.rows:
            newest = max(newest, received_at)
            values += (newest, json)
    if values:
        place = 0
        for rows, insert in _INSERTS.items():
            while len(values) - place >= 2 * rows:
                connection.execute(insert, values[place : place + 2 * rows])
                place += 2 * rows
    else:
        connection.execute(_PROBE)
    if noted:
        add_counts(connection, noted.values())
    connection.execute("COMMIT")


def _full(held: int, append: _Append) -> Refused | None:
    """Why an append that would overfill the quarantine is refused."""
    if held + len(append.aside) <= QUARANTINE_LIMIT:
        return None
    first = append.aside[0].violations[0]
    return Refused(
        f"{first.sentence}; it would be put aside, but the quarantine is full ({QUARANTINE_LIMIT:,} events)",
        code="TF119",
        field=first.field,
        expected=first.expected,
        hint="mend what is there (triggerfish plan quarantine, plan replay), or delete it (plan discard)",
    )


def _tell(group: list[_Append], failure: Unavailable | None) -> None:
    """In the event loop: answer those who still wait."""
    for append in group:
        if append.done.done():
            continue
        if failure is not None:
            append.done.set_exception(Unavailable(failure.sentence, hint=failure.hint))
        elif append.refusal is not None:
            append.done.set_exception(append.refusal)
        else:
            append.done.set_result(None)
