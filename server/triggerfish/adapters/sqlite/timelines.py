"""The table of timelines. A row holds all the lines that one transaction wrote for one person, in order, as a JSON
array of [number, instant, kind, position, body]: an event often brings several, and a row and an index entry for each
would cost more than all else in a commit. Lines are numbered through, over everybody; a row goes by the number of its
last one. For looking by hand there is the view `moments`, a row for each line.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from triggerfish.clock import Instant
from triggerfish.engine import Moment
from triggerfish.log import Position
from triggerfish.reads import Kind

_PACK = msgspec.json.Encoder().encode
_PUT = "INSERT INTO timelines VALUES (?, ?, ?)"
_OLDEST_FIRST = "SELECT profile, lines FROM timelines WHERE profile = ? ORDER BY last"
# The row in which line `before` stands may have earlier ones, too.
_NEWEST_FIRST = """
    SELECT profile, lines FROM timelines
    WHERE profile = ? AND last <= coalesce((SELECT min(last) FROM timelines WHERE profile = ? AND last >= ?), ?)
    ORDER BY last DESC
"""
_LATEST = "SELECT profile, lines FROM timelines ORDER BY last DESC LIMIT ?"
_END: int = 2**63 - 1


class Line(NamedTuple):
    """A line of somebody's timeline, by its number."""

    number: int
    profile: str
    at: Instant
    kind: Kind
    position: Position
    body: dict[str, Any]


_LINES = msgspec.json.Decoder(list[tuple[int, Instant, Kind, Position, dict[str, Any]]])


def write(db: sqlite3.Connection, moments: Sequence[Moment]) -> None:
    """Write these lines, within the caller's transaction."""
    if not moments:
        return
    (last,) = db.execute("SELECT coalesce(max(last), 0) FROM timelines").fetchone()
    lines: dict[str, list[tuple[int, Instant, Kind, Position, dict[str, Any]]]] = {}
    for number, moment in enumerate(moments, last + 1):
        line = (number, moment.at, moment.kind, moment.position, moment.body)
        known = lines.get(moment.profile)
        if known is None:
            lines[moment.profile] = [line]
        else:
            known.append(line)
    # In the order of the table, each row goes to its end.
    db.executemany(_PUT, sorted((own[-1][0], profile, _PACK(own).decode()) for profile, own in lines.items()))


def newest(
    db: sqlite3.Connection,
    profiles: Collection[str],
    limit: int,
    before: int | None = None,
    kinds: Collection[str] = (),
) -> list[Line]:
    """The newest lines of these people together, before a number, of some kinds only if said; newest first."""
    end = _END if before is None else before
    streams = (
        _flat(db.execute(_NEWEST_FIRST, (profile, profile, end, end)), is_newest_first=True) for profile in profiles
    )
    wanted = (
        line
        for line in merge(*streams, key=_number, reverse=True)
        if line.number < end and (not kinds or line.kind in kinds)
    )
    return list(islice(wanted, limit))


def oldest(db: sqlite3.Connection, profiles: Collection[str], limit: int | None = None) -> Iterator[Line]:
    """The lines of these people together, oldest first."""
    return islice(merge(*(_flat(db.execute(_OLDEST_FIRST, (profile,))) for profile in profiles), key=_number), limit)


def latest(db: sqlite3.Connection, limit: int) -> list[Line]:
    """Everybody's newest lines, newest first."""
    # Whatever is in no row of these has as many lines after it: the last of each.
    return sorted(_flat(db.execute(_LATEST, (limit,))), reverse=True)[:limit]


def _number(line: Line) -> int:
    return line.number


def _flat(rows: sqlite3.Cursor, *, is_newest_first: bool = False) -> Iterator[Line]:
    for profile, text in rows:
        lines = _LINES.decode(text)
        for number, at, kind, position, body in reversed(lines) if is_newest_first else lines:
            yield Line(number, profile, at, kind, position, body)
