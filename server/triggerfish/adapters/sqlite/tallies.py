"""What is counted of everything that there is, however much: sends by rule, by how far they are and by what was heard
of them; people, and members of segments. Written within the transaction of what it counts, so that asking needs no look
at each.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from triggerfish.adapters.sqlite.many import marks, parts
from triggerfish.clock import Instant
from triggerfish.measure import NAMES, Results
from triggerfish.schedule import Due

# One number for all that was heard of a send; a machine's opens and clicks are told from a human's, most likely.
_OPENED, _CLICKED, _OPENED_BY_HUMAN, _CLICKED_BY_HUMAN = 2, 4, 64, 128
_BITS = {NAMES["delivered"]: 1, NAMES["unsubscribed"]: 8, NAMES["bounced"]: 16, NAMES["complained"]: 32}
_OF_MACHINES = _BITS | {NAMES["opened"]: _OPENED, NAMES["clicked"]: _CLICKED}
_OF_HUMANS = _BITS | {NAMES["opened"]: _OPENED | _OPENED_BY_HUMAN, NAMES["clicked"]: _CLICKED | _CLICKED_BY_HUMAN}
_FIELDS = {
    "delivered": 1,
    "opened": _OPENED_BY_HUMAN | _CLICKED_BY_HUMAN,  # who clicked has opened
    "clicked": _CLICKED_BY_HUMAN,
    "unsubscribed": 8,
    "bounced": 16,
    "complained": 32,
    "opened_by_any": _OPENED | _CLICKED,
    "clicked_by_any": _CLICKED,
}

_MOVE = """
    INSERT INTO tallies VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (ruleset, rule, status, heard) DO UPDATE SET count = count + excluded.count
"""
_COUNT = "INSERT INTO headcounts VALUES (?, ?) ON CONFLICT (segment) DO UPDATE SET count = count + excluded.count"
_ENTER = "INSERT INTO memberships VALUES (?, ?, ?) ON CONFLICT (segment, profile) DO NOTHING"
_SINCE = "UPDATE memberships SET since = ?3 WHERE segment = ?1 AND profile = ?2"
_LEAVE = "DELETE FROM memberships WHERE segment = ? AND profile = ?"
EVERYBODY = ""
"""What everybody is counted as, among the segments."""


def bits(name: str, *, is_machine: bool) -> int:
    """What an event that tells of a send adds to what was heard of it."""
    return (_OF_MACHINES if is_machine else _OF_HUMANS).get(name, 0)


def came_to(sent: Iterable[tuple[int, int]]) -> Results:
    """What sends that were sent came to, given as (heard, count)."""
    counts = Counter[str]()
    for heard, count in sent:
        counts["sent"] += count
        for field, mask in _FIELDS.items():
            if heard & mask:
                counts[field] += count
    return Results(**counts)


class Known(NamedTuple):
    """What is stored of a send: the number of its row, whose it is, when it was handed over last, and as what it is
    counted.
    """

    id: str
    number: int
    profile: str
    handed_at: Instant | None
    ruleset: str
    rule: str
    status: str
    heard: int


def known(db: sqlite3.Connection, sends: Sequence[str]) -> dict[str, Known]:
    """Those of these sends that there are, by their ids."""
    found: dict[str, Known] = {}
    for part in parts(sends):
        query = f"SELECT {', '.join(Known._fields)} FROM sends WHERE id IN ({marks(part)})"  # noqa: S608
        found |= {row.id: row for row in map(Known._make, db.execute(query, part))}
    return found


def add(db: sqlite3.Connection, sends: Iterable[Due]) -> None:
    """Sends that are new are counted."""
    counts = Counter((due.ruleset, due.rule, due.status, 0) for due in sends)
    db.executemany(_MOVE, [(*tally, more) for tally, more in counts.items()])


def move(db: sqlite3.Connection, moves: Iterable[tuple[Known, str, int]]) -> None:
    """Sends are counted as something else than before: by this status and what was heard of them by now."""
    kinds = Counter((was.ruleset, was.rule, was.status, was.heard, status, heard) for was, status, heard in moves)
    counts = Counter[tuple[str, str, str, int]]()
    for (ruleset, rule, old, heard_before, new, heard), many in kinds.items():
        counts[ruleset, rule, new, heard] += many
        counts[ruleset, rule, old, heard_before] -= many
    db.executemany(_MOVE, [(*tally, more) for tally, more in counts.items() if more])


def count(db: sqlite3.Connection, more: Mapping[str, int]) -> None:
    """So many more are in these segments (EVERYBODY among them)."""
    db.executemany(_COUNT, [(segment, by) for segment, by in more.items() if by])


def enter(db: sqlite3.Connection, segment: str, members: Sequence[tuple[str, int]]) -> int:
    """These are in a segment since an instant each. Returns how many of them were not, before."""
    rows = [(segment, profile, since) for profile, since in members]
    entered = db.executemany(_ENTER, rows).rowcount
    if entered < len(rows):
        db.executemany(_SINCE, rows)
    return entered


def leave(db: sqlite3.Connection, segment: str, profiles: Iterable[str]) -> int:
    """These are not in a segment any more. Returns how many of them were, before."""
    return db.executemany(_LEAVE, [(segment, profile) for profile in profiles]).rowcount
