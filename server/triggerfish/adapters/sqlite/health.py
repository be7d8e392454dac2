"""What the state keeps of how rules are doing: small tables that are written with what they count, so that asking
needs no look at every line of every timeline.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from triggerfish.clock import DAY, Instant
from triggerfish.engine import Moment
from triggerfish.health import DAYS_KEPT, Reign, RuleDay, Spent
from triggerfish.log import Position
from triggerfish.why import rule_key

_ADD_DAY = """
    INSERT INTO rule_days VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (ruleset, rule, day, kind, outcome)
    DO UPDATE SET count = count + excluded.count, last_at = max(last_at, excluded.last_at)
"""
_ADD_TIME = """
    INSERT INTO rule_times VALUES (?, ?, ?, ?, ?) ON CONFLICT (ruleset, rule, day)
    DO UPDATE SET samples = samples + excluded.samples, nanoseconds = nanoseconds + excluded.nanoseconds
"""
_NEWEST_REIGN = "SELECT version FROM reigns ORDER BY number DESC LIMIT 1"


def count_moments(db: sqlite3.Connection, moments: Iterable[Moment]) -> None:
    """Add what these lines of timelines say of rules, within the caller's transaction."""
    instants: dict[tuple[str | None, int, str, str | None], list[Instant]] = {}
    for moment in moments:
        kind, body = moment.kind, moment.body
        if kind == "decision" or kind == "send":
            key = (body.get("rule"), moment.at // DAY, kind, body.get("outcome" if kind == "decision" else "status"))
            known = instants.get(key)
            if known is None:
                instants[key] = [moment.at]
            else:
                known.append(moment.at)
    rows = [
        (*rule_key(rule), day, kind, outcome, len(known), max(known))
        for (rule, day, kind, outcome), known in instants.items()
        if rule and outcome
    ]
    if rows:
        db.executemany(_ADD_DAY, rows)


def add_times(db: sqlite3.Connection, spent: Sequence[Spent]) -> None:
    """Add measured time, within the caller's transaction."""
    if spent:
        rows = [(each.ruleset, each.rule, each.day, each.samples, each.nanoseconds) for each in spent]
        db.executemany(_ADD_TIME, rows)


def begin_reign(db: sqlite3.Connection, version: str, position: Position, until: Instant) -> None:
    """Note which rulebook decides from here on, if it is another one than before; forget counts of long ago. Within the
    caller's transaction.
    """
    newest = db.execute(_NEWEST_REIGN).fetchone()
    if newest is None or newest[0] != version:
        db.execute("INSERT INTO reigns (position, until, version) VALUES (?, ?, ?)", (position, until, version))
    oldest = until // DAY - DAYS_KEPT
    db.execute("DELETE FROM rule_days WHERE day < ?", (oldest,))
    db.execute("DELETE FROM rule_times WHERE day < ?", (oldest,))


def read_days(db: sqlite3.Connection) -> list[RuleDay]:
    return [RuleDay(*row) for row in db.execute("SELECT * FROM rule_days")]


def read_times(db: sqlite3.Connection) -> list[Spent]:
    return [Spent(*row) for row in db.execute("SELECT * FROM rule_times")]


def read_reigns(db: sqlite3.Connection) -> list[Reign]:
    """The oldest first."""
    return [Reign(*row) for row in db.execute("SELECT position, until, version FROM reigns ORDER BY number")]
