"""The table of hours: what everybody's opens and clicks weigh by local hour of the day (hours.py)."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

_ADD = "INSERT INTO hours VALUES (?, ?) ON CONFLICT (hour) DO UPDATE SET weight = weight + excluded.weight"


def hours(db: sqlite3.Connection) -> tuple[int, ...]:
    """The 24 weights, in thousandths; none when nobody has opened anything yet."""
    known = dict(db.execute("SELECT hour, weight FROM hours").fetchall())
    return tuple(known.get(hour, 0) for hour in range(24)) if known else ()


def add(db: sqlite3.Connection, opened: Mapping[int, int]) -> None:
    """Add what a batch brought. Within the caller's transaction."""
    if opened:
        db.executemany(_ADD, opened.items())
