"""Whether log and state are whole: SQLite's own check of every page and index, and what must hold between the rows."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, get_args

import msgspec
from msgspec import Struct

from triggerfish.clock import Instant
from triggerfish.ingest import Event
from triggerfish.log import Position
from triggerfish.profile import Profile
from triggerfish.schedule import Status

MOST_TOLD = 20
"""Of SQLite's complaints, and of rows that are wrong in one way, so many are told."""

_EVENT = msgspec.json.Decoder(Event)
_PROFILE = msgspec.msgpack.Decoder(Profile)
_STATUSES = msgspec.json.encode(get_args(Status)).decode()

_KNOWN = """
    CREATE TEMP VIEW known AS
    SELECT id FROM profiles UNION ALL SELECT value FROM identities WHERE kind = 'profile'
"""
_OF_STATE = {
    "messages on their way to nobody who is known": """
        SELECT id FROM sends
        WHERE status IN ('scheduled', 'due', 'retrying', 'sending') AND profile NOT IN (SELECT id FROM known)
    """,
    "messages of a status that there is not": """
        SELECT id FROM sends WHERE status NOT IN (SELECT value FROM json_each(:statuses))
    """,
    "members of segments who are not known": """
        SELECT profile FROM memberships WHERE profile NOT IN (SELECT id FROM known)
    """,
    "names of nobody who is known": """
        SELECT kind || ':' || value FROM identities WHERE profile NOT IN (SELECT id FROM known)
    """,
    "dead letters beyond what is decided": """
        SELECT position FROM dead_letters WHERE position > (SELECT position FROM progress)
    """,
}
_OF_INDEX = re.compile(r"\bindex (\w+)$")
_TIMELINES = "SELECT last FROM timelines WHERE NOT json_valid(lines)"


class Whole(Struct, frozen=True):
    """What a look at log and state found. `head` and `newest_at` are the log's last position and its instant;
    `position` and `until` how far the state has decided. Without `problems` all is well.
    """

    head: Position
    newest_at: Instant
    position: Position
    until: Instant
    events: int
    profiles: int
    sends: dict[str, int]
    problems: list[str]


def check(log: Path, state: Path, on_step: Callable[[str], None] = lambda step: None) -> Whole:
    """Look at every page and every row of both. The files may be in use: each is seen as of one instant, the state's
    first.
    """
    problems: list[str] = []
    of_state: dict[str, Any] = {"position": 0, "until": 0, "profiles": 0, "sends": {}}
    of_log: dict[str, Any] = {"head": 0, "newest_at": 0, "events": 0}
    for path, look, found in ((state, _look_at_state, of_state), (log, _look_at_log, of_log)):
        try:
            with closing(_open(path)) as db:
                db.execute("BEGIN")
                on_step(f"pages of {path.name}")
                problems += [f"{path.name}: {each}" for each in _damage(db)]
                on_step(f"rows of {path.name}")
                problems += [f"{path.name}: {each}" for each in look(db, found)]
        except sqlite3.Error as error:
            problems.append(f"{path.name}: {_words(error)}")
        except OSError as error:
            problems.append(f"{path.name}: {error.strerror or error}")
    if of_state["position"] > of_log["head"] and not problems:
        problems.append(
            f"{state.name} has decided the first {of_state['position']} events, and {log.name} has had "
            f"{of_log['head']} only: events were lost after they were acknowledged, or the two are not of one time"
        )
    return Whole(**of_state, **of_log, problems=problems)


def _open(path: Path) -> sqlite3.Connection:
    """For reading. Raises OSError when there is none."""
    path.stat()
    uri = f"{path.absolute().as_uri()}?mode=ro"
    db = sqlite3.connect(uri, uri=True, timeout=30, isolation_level=None)
    db.execute("PRAGMA cache_size = -65536")
    return db


def _damage(db: sqlite3.Connection) -> Iterator[str]:
    """What SQLite's own look at every page and index found: which indexes, and what else."""
    told = (line for row in db.execute(f"PRAGMA integrity_check({MOST_TOLD})") for line in row[0].splitlines())
    lines = [line for line in told if line != "ok" and not line.startswith("***")]
    of_index = [found[1] for line in lines if (found := _OF_INDEX.search(line))]
    others = [line for line in lines if not _OF_INDEX.search(line)]
    or_more = " or more" if len(lines) >= MOST_TOLD else ""
    if others:
        yield f"{len(others)}{or_more} places in the file are damaged; SQLite says of the first: {others[0]}"
    if of_index:
        names = ", ".join(dict.fromkeys(of_index))
        yield f"{len(of_index)}{or_more} rows are not in the file's indexes as they are in its tables: {names}"


def _words(error: sqlite3.Error) -> str:
    """Why it could not be read to its end."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    said = {
        sqlite3.SQLITE_CORRUPT: "the file is damaged, and cannot be read beyond that",
        sqlite3.SQLITE_NOTADB: "this is no SQLite file, or its beginning was overwritten",
        sqlite3.SQLITE_IOERR: "the disk cannot read the file",
        sqlite3.SQLITE_BUSY: "another program holds the file; find out which one (fuser), and look again",
        sqlite3.SQLITE_CANTOPEN: "the file cannot be opened: look whose it is",
    }.get(code)
    return f"{said} (SQLite: {error})" if said else f"it cannot be looked at (SQLite: {error})"


def _look_at_state(db: sqlite3.Connection, found: dict[str, Any]) -> Iterator[str]:
    found["position"], found["until"] = db.execute("SELECT position, until FROM progress").fetchone()
    found["sends"] = dict(db.execute("SELECT status, count(*) FROM sends GROUP BY status").fetchall())
    db.execute(_KNOWN)
    for what, query in _OF_STATE.items():
        yield from _several(what, (str(row[0]) for row in db.execute(query, {"statuses": _STATUSES})))
    # An older version had none; its data is looked at before it is brought up to date.
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'timelines'").fetchone():
        yield from _several("timelines that cannot be read", (str(row[0]) for row in db.execute(_TIMELINES)))
    yield from _several("profiles that cannot be read, or wake at another time than the agenda says", _bad(db, found))


def _bad(db: sqlite3.Connection, found: dict[str, Any]) -> Iterator[str]:
    for name, wake_at, blob in db.execute("SELECT id, wake_at, profile FROM profiles"):
        found["profiles"] += 1
        try:
            profile = _PROFILE.decode(blob)
        except msgspec.DecodeError:
            yield name
        else:
            # Who was struck from the agenda has none there.
            if profile.id != name or wake_at not in (None, profile.wake_at):
                yield name


def _look_at_log(db: sqlite3.Connection, found: dict[str, Any]) -> Iterator[str]:
    rows = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchall()
    given = rows[0][0] if rows else 0
    yield from _several("events that cannot be read, or whose time goes back", _unreadable(db, found))
    first, last = db.execute("SELECT coalesce(min(position), 1), coalesce(max(position), 0) FROM events").fetchone()
    if last - first + 1 != found["events"]:
        yield f"{last - first + 1 - found['events']} events are missing between positions {first} and {last}"
    if last < given:
        yield f"the newest {given - last} events are missing: {given} were given positions"
    found["head"] = max(given, last)


def _unreadable(db: sqlite3.Connection, found: dict[str, Any]) -> Iterator[str]:
    before = 0
    for position, received_at, event in db.execute("SELECT position, received_at, event FROM events ORDER BY position"):
        found["events"] += 1
        found["newest_at"] = received_at
        try:
            _EVENT.decode(event)
        except (msgspec.DecodeError, UnicodeDecodeError):
            yield f"position {position}"
        else:
            if received_at < before:
                yield f"position {position}"
        before = max(before, received_at)


def _several(what: str, names: Iterator[str]) -> Iterator[str]:
    """One sentence for all rows that are wrong in one way."""
    first: list[str] = []
    count = 0
    for name in names:
        count += 1
        if len(first) < MOST_TOLD:
            first.append(name)
    if count:
        yield f"{count} {what}: {', '.join(first)}{' …' if count > len(first) else ''}"
