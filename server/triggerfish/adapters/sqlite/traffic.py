"""What is counted of messages as they are handed over and as people answer: by channel and day for warming up, by rule
and hour for the guard (blast.py). Written within the transaction of what it counts.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable

from triggerfish.blast import WATCHED, Alarm, Alarmed, Traffic
from triggerfish.clock import DAY, HOUR, Instant
from triggerfish.instructions import Held
from triggerfish.measure import NAMES
from triggerfish.schedule import Due

HOURS_KEPT = 100 * 24
"""A rule's busiest hour is looked for in so many; after 100 days what was usual then is usual no more."""

_ADD_DAY = """
    INSERT INTO channel_days VALUES (?, ?, ?) ON CONFLICT (channel, day) DO UPDATE SET handed = handed + excluded.handed
"""
_ADD_HOUR = """
    INSERT INTO rule_hours (ruleset, rule, hour, handed) VALUES (?, ?, ?, ?)
    ON CONFLICT (ruleset, rule, hour) DO UPDATE SET handed = handed + excluded.handed
"""
_HEARD_COLUMNS = {NAMES["complained"]: "complained", NAMES["bounced"]: "bounced"}
_RATE = (
    "SELECT coalesce(sum(handed), 0), coalesce(sum({}), 0) FROM rule_hours WHERE ruleset = ? AND rule = ? AND hour > ?"
)
_WAITING = """
    SELECT count(*) FROM (
        SELECT 1 FROM sends
        WHERE call = '' AND status IN ('due', 'retrying') AND ruleset = ? AND rule = ? AND due_at BETWEEN ? AND ?
        LIMIT ?
    )
"""
_ALARM = """
    INSERT INTO alarms VALUES (?, ?, ?, ?, ?) ON CONFLICT (ruleset, rule, kind)
    DO UPDATE SET size = excluded.size, at = excluded.at
"""


def count_handed(db: sqlite3.Connection, sends: Iterable[Due]) -> None:
    """Messages were handed to a channel. Of transactional ones the guard keeps no count."""
    days, hours = Counter[tuple[str, int]](), Counter[tuple[str, str, int]]()
    for due in sends:
        at = due.due_at if due.handed_at is None else due.handed_at
        days[due.channel, at // DAY] += 1
        if due.class_ == "marketing":
            hours[due.ruleset, due.rule, at // HOUR] += 1
    db.executemany(_ADD_DAY, [(*key, count) for key, count in days.items()])
    db.executemany(_ADD_HOUR, [(*key, count) for key, count in hours.items()])


def count_heard(db: sqlite3.Connection, send: str, name: str, at: Instant) -> None:
    """Something was heard of a send, for the first time."""
    column = _HEARD_COLUMNS.get(name)
    if column is not None:
        db.execute(
            f"""
            INSERT INTO rule_hours (ruleset, rule, hour, {column})
            SELECT ruleset, rule, ?, 1 FROM sends WHERE id = ? AND class = 'marketing'
            ON CONFLICT (ruleset, rule, hour) DO UPDATE SET {column} = {column} + 1
            """,  # noqa: S608  (the columns are ours)
            (at // HOUR, send),
        )


def handed_on(db: sqlite3.Connection, channel: str, day: int) -> int:
    """As StateStore.handed_on says."""
    row = db.execute("SELECT handed FROM channel_days WHERE channel = ? AND day = ?", (channel, day)).fetchone()
    return 0 if row is None else int(row[0])


def traffic(db: sqlite3.Connection, ruleset: str, rule: str, at: Instant) -> Traffic:
    """As StateStore.traffic says."""
    hour, key = at // HOUR, (ruleset, rule)
    rows = db.execute("SELECT kind, size, at FROM alarms WHERE ruleset = ? AND rule = ?", key).fetchall()
    alarms = {kind: Alarmed(size, since) for kind, size, since in rows}

    def rate(kind: str, column: str) -> tuple[int, int]:
        since = max(at - WATCHED, alarms[kind].at if kind in alarms else 0)
        sent, heard = db.execute(_RATE.format(column), (*key, since // HOUR)).fetchone()
        return sent, heard

    (this_hour,) = db.execute(
        "SELECT coalesce(sum(handed), 0) FROM rule_hours WHERE ruleset = ? AND rule = ? AND hour = ?", (*key, hour)
    ).fetchone()
    (busiest,) = db.execute(
        "SELECT coalesce(max(handed), 0) FROM rule_hours WHERE ruleset = ? AND rule = ? AND hour BETWEEN ? AND ?",
        (*key, hour - HOURS_KEPT, hour - 1),
    ).fetchone()
    return Traffic(this_hour, busiest, rate("complaints", "complained"), rate("bounces", "bounced"), alarms)


def waiting(db: sqlite3.Connection, ruleset: str, rule: str, since: Instant, most: int) -> int:
    """As StateStore.waiting says."""
    return int(db.execute(_WAITING, (ruleset, rule, since, since + HOUR - 1, most)).fetchone()[0])


def alarm(db: sqlite3.Connection, held: Held, cause: Alarm) -> None:
    """Hold a rule and note why; counts of long ago are forgotten."""
    db.execute(
        "INSERT INTO holds VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (held.ruleset, held.rule, held.reason, held.by, held.at),
    )
    db.execute(_ALARM, (held.ruleset, held.rule, cause.kind, cause.size, held.at))


def forget_old(db: sqlite3.Connection, until: Instant) -> None:
    """Forget counts that nobody asks for any more."""
    db.execute("DELETE FROM rule_hours WHERE hour < ?", (until // HOUR - HOURS_KEPT,))
    db.execute("DELETE FROM channel_days WHERE day < ?", (until // DAY - HOURS_KEPT // 24,))
