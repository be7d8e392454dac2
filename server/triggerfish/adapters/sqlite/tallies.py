"""What is counted of everything that there is, however much: sends by rule, by how far they are and by what was heard
of them; people, and members of segments. Written within the transaction of what it counts, so that asking needs no look
at each.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from triggerfish.clock import Instant
from triggerfish.measure import NAMES, Results

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
_VARIABLES = 500
EVERYBODY = ""
"""What everybody is counted as, among the segments."""


class Tally(NamedTuple):
    """As what a send is counted."""

    ruleset: str
    rule: str
    status: str
    heard: int


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
    """What is stored of a send: the number of its row, as what it is counted, and when it was handed over last."""

    number: int
    tally: Tally
    handed_at: Instant | None


def known(db: sqlite3.Connection, sends: Sequence[str]) -> dict[str, Known]:
    """Those of these sends that there are, by their ids."""
    found: dict[str, Known] = {}
    for start in range(0, len(sends), _VARIABLES):
        part = sends[start : start + _VARIABLES]
        marks = ",".join("?" * len(part))
        query = f"SELECT id, number, handed_at, ruleset, rule, status, heard FROM sends WHERE id IN ({marks})"  # noqa: S608
        for send, number, handed_at, *tally in db.execute(query, part):
            found[send] = Known(number, Tally(*tally), handed_at)
    return found


def move(db: sqlite3.Connection, moves: Iterable[tuple[Tally | None, Tally]]) -> None:
    """Sends are counted as something else than before; as nothing before, if they are new."""
    counts = Counter[Tally]()
    for before, after in moves:
        if before != after:
            counts[after] += 1
            if before is not None:
                counts[before] -= 1
    db.executemany(_MOVE, [(*tally, count) for tally, count in counts.items() if count])


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
