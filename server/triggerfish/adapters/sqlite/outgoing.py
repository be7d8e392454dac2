"""The table of sends: what is to leave, how far it is, and what became of it. Within the caller's transaction, if it
changes anything.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from triggerfish.clock import Instant
from triggerfish.engine import Moment, Withdrawal
from triggerfish.ingest import Event
from triggerfish.measure import PROOFS
from triggerfish.schedule import Due, Merged

_EVENT = msgspec.msgpack.Decoder(Event)
_ALSO = msgspec.msgpack.Decoder(list[Merged])
_PACK = msgspec.msgpack.Encoder().encode

_COLUMNS = (
    "id, profile, ruleset, rule, template, class, purpose, channel, status, reason, due_at, sent_at, attempt, trigger, "
    "call, data, priority, lane, address, also"
)
# Only what still waits may change its mind: a message that is due, or further, is the sender's.
_PUT = f"""
    INSERT INTO sends ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET
        profile = excluded.profile,
        template = CASE excluded.template WHEN '' THEN template ELSE excluded.template END,
        class = CASE excluded.template WHEN '' THEN class ELSE excluded.class END,
        purpose = CASE excluded.template WHEN '' THEN purpose ELSE excluded.purpose END,
        channel = CASE excluded.template WHEN '' THEN channel ELSE excluded.channel END,
        status = excluded.status, reason = excluded.reason, due_at = excluded.due_at, trigger = excluded.trigger,
        priority = excluded.priority, lane = excluded.lane, also = excluded.also
    WHERE status = 'scheduled'
"""  # noqa: S608  (the columns are ours)
_HAND_OVER = """
    UPDATE sends SET profile = ? WHERE profile = ? AND status IN ('scheduled', 'due', 'retrying', 'sending')
"""
_WITHDRAW = """
    UPDATE sends SET status = 'skipped', reason = ?, due_at = ?
    WHERE id = ? AND status IN ('scheduled', 'due', 'retrying')
"""
_MARK = """
    UPDATE sends SET channel = ?, status = ?, reason = ?, due_at = ?, sent_at = ?, attempt = ?, address = ? WHERE id = ?
"""
_OUTGOING = "FROM sends WHERE status IN ('due', 'retrying')"
_HEARD = "INSERT INTO feedback VALUES (?, ?) ON CONFLICT DO NOTHING"
_ARRIVED = "UPDATE sends SET status = 'sent', reason = ? WHERE id = ? AND status = 'uncertain'"


def put(db: sqlite3.Connection, sends: Iterable[Due]) -> None:
    """Write what was decided of these sends."""
    db.executemany(_PUT, [_row_of(due) for due in sends])


def give_to(db: sqlite3.Connection, into: str, gone: str) -> None:
    """One person's sends on their way are another's now."""
    db.execute(_HAND_OVER, (into, gone))


def withdraw(db: sqlite3.Connection, withdrawal: Withdrawal) -> bool:
    """Whether a message was stopped in time: no channel has it yet."""
    return db.execute(_WITHDRAW, (withdrawal.reason, withdrawal.at, withdrawal.send)).rowcount > 0


def hear(db: sqlite3.Connection, moments: Sequence[Moment]) -> None:
    """Note what was heard of sends. Of one whose outcome was uncertain it may show that it arrived."""
    heard = [
        (moment.body["send"], moment.body["event"])
        for moment in moments
        if moment.kind == "event" and "send" in moment.body
    ]
    if heard:
        db.executemany(_HEARD, heard)
        db.executemany(_ARRIVED, [(f"shown by {name}", send) for send, name in heard if name in PROOFS])


def to_send(db: sqlite3.Connection, now: Instant, limit: int) -> list[Due]:
    """As StateStore.to_send says."""
    query = f"""
        SELECT {_COLUMNS} {_OUTGOING} AND call = '' AND due_at <= ? ORDER BY due_at, priority DESC, number LIMIT ?
    """
    return [_due_of(row) for row in db.execute(query, (now, limit)).fetchall()]


def calls_due(db: sqlite3.Connection, now: Instant) -> list[str]:
    query = f"SELECT DISTINCT call {_OUTGOING} AND call != '' AND due_at <= ? ORDER BY call"
    return [name for (name,) in db.execute(query, (now,)).fetchall()]


def to_call(db: sqlite3.Connection, action: str, now: Instant, limit: int) -> list[Due]:
    query = f"SELECT {_COLUMNS} {_OUTGOING} AND call != '' AND call = ? AND due_at <= ? ORDER BY due_at LIMIT ?"
    return [_due_of(row) for row in db.execute(query, (action, now, limit)).fetchall()]


def next_send(db: sqlite3.Connection) -> Instant | None:
    instant: Instant | None = db.execute(f"SELECT min(due_at) {_OUTGOING}").fetchone()[0]
    return instant


def mark(db: sqlite3.Connection, sends: Sequence[Due]) -> None:
    """Write how far these messages are."""
    db.executemany(
        _MARK,
        [
            (due.channel, due.status, due.reason, due.due_at, due.sent_at, due.attempt, due.address, due.id)
            for due in sends
        ],
    )


def in_flight(db: sqlite3.Connection) -> list[Due]:
    rows = db.execute(f"SELECT {_COLUMNS} FROM sends WHERE status = 'sending' ORDER BY number").fetchall()  # noqa: S608
    return [_due_of(row) for row in rows]


def one(db: sqlite3.Connection, identifier: str) -> Due | None:
    """A send by its id."""
    row = db.execute(f"SELECT {_COLUMNS} FROM sends WHERE id = ?", (identifier,)).fetchone()  # noqa: S608
    return None if row is None else _due_of(row)


def _row_of(due: Due) -> tuple[Any, ...]:
    trigger = None if due.trigger is None else _PACK(due.trigger)
    return (
        due.id, due.profile, due.ruleset, due.rule, due.template, due.class_, due.purpose, due.channel,
        due.status, due.reason, due.due_at, due.sent_at, due.attempt, trigger, due.call,
        _PACK(due.data) if due.call else None, due.priority, due.lane, due.address,
        _PACK(due.also) if due.also else None,
    )  # fmt: skip


def _due_of(row: tuple[Any, ...]) -> Due:
    (
        id_, profile, ruleset, rule, template, class_, purpose, channel, status, reason, due_at, sent_at, attempt,
        trigger, call, data, priority, lane, address, also,
    ) = row  # fmt: skip
    return Due(
        id=id_, profile=profile, ruleset=ruleset, rule=rule, template=template, class_=class_, purpose=purpose,
        channel=channel, status=status, reason=reason, due_at=due_at, sent_at=sent_at, attempt=attempt,
        trigger=None if trigger is None else _EVENT.decode(trigger), call=call,
        data={} if data is None else msgspec.msgpack.decode(data), priority=priority, lane=lane, address=address,
        also=[] if also is None else _ALSO.decode(also),
    )  # fmt: skip
