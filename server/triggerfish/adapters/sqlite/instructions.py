"""What instructions (instructions.py) do to the state: the suppression list, the rules that are held, and sends that
somebody settles by hand. Within the caller's transaction, if it changes anything.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import cast

from triggerfish.adapters.sqlite import outgoing
from triggerfish.clock import to_iso
from triggerfish.engine import Moment, resolve
from triggerfish.health import HoldView
from triggerfish.instructions import (
    Allow,
    Given,
    Held,
    Hold,
    Reason,
    Release,
    Resolve,
    Suppress,
    Suppression,
    as_listed,
    listed_as,
)

_SUPPRESS = """
    INSERT INTO suppressions VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (address, purpose) DO UPDATE
    SET reason = excluded.reason, note = excluded.note, given_by = excluded.given_by, at = excluded.at
    WHERE suppressions.reason != 'hard bounce' OR excluded.reason = 'hard bounce'
"""
_WAITING = """
    SELECT count(*) FROM sends
    WHERE call = '' AND status IN ('due', 'retrying') AND ruleset = ? AND ? IN ('', rule)
"""
_HOLD = "INSERT INTO holds VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"


def carry_out(db: sqlite3.Connection, given: Iterable[Given]) -> list[Moment]:
    """Do what was said, in order. Gives what it means to people's timelines."""
    moments = []
    for each in given:
        match each.instruction:
            case Suppress(address=address, purpose=purpose, reason=reason, note=note):
                db.execute(_SUPPRESS, (as_listed(address), purpose, reason, note, each.by, each.at))
            case Allow(address=address, purpose=purpose):
                db.execute("DELETE FROM suppressions WHERE address = ? AND purpose = ?", (as_listed(address), purpose))
            case Hold(ruleset=ruleset, rule=rule, reason=reason):
                db.execute(_HOLD, (ruleset, rule, reason, each.by, each.at))
            case Release(ruleset=ruleset, rule=rule):
                db.execute("DELETE FROM holds WHERE ruleset = ? AND rule = ?", (ruleset, rule))
            case Resolve(send=send) as asked:
                due = outgoing.one(db, send)
                moment = None if due is None else resolve(asked, due, each)
                if due is not None and moment is not None:
                    outgoing.mark(db, [due])
                    moments.append(moment)
    return moments


def suppressed(db: sqlite3.Connection, addresses: Iterable[str]) -> dict[str, list[Suppression]]:
    """The lines of the list that concern these addresses, by address as given; those without any are left out."""
    found: dict[str, list[Suppression]] = {}
    for address in addresses:
        rows = db.execute("SELECT * FROM suppressions WHERE address IN (?, ?)", listed_as(address)).fetchall()
        if rows:
            found[address] = [_suppression(row) for row in rows]
    return found


def holds(db: sqlite3.Connection) -> list[Held]:
    """The rules and rule sets that are held, the oldest first."""
    rows = db.execute("SELECT * FROM holds ORDER BY at, ruleset, rule").fetchall()
    return [Held(*row) for row in rows]


def held_rules(db: sqlite3.Connection) -> list[HoldView]:
    """The same for people, with how much waits."""
    return [
        HoldView(held.ruleset, held.rule, held.reason, held.by, to_iso(held.at), _waiting(db, held))
        for held in holds(db)
    ]


def _waiting(db: sqlite3.Connection, held: Held) -> int:
    return int(db.execute(_WAITING, (held.ruleset, held.rule)).fetchone()[0])


def _suppression(row: tuple[str, str, str, str, str, int]) -> Suppression:
    address, purpose, reason, note, by, at = row
    return Suppression(address, purpose, cast(Reason, reason), note, by, at)
