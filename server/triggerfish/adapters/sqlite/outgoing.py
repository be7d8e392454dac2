"""The table of sends: what is to leave, how far it is, and what became of it. Within the caller's transaction, if it
changes anything.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from heapq import merge
from itertools import islice
from typing import Any

import msgspec

from triggerfish.adapters.sqlite import tallies, traffic
from triggerfish.adapters.sqlite.many import marks, parts
from triggerfish.adapters.sqlite.tallies import Known
from triggerfish.clock import Instant
from triggerfish.engine import Moment, Withdrawal
from triggerfish.ingest import Event
from triggerfish.measure import PROOFS
from triggerfish.profile import Sent
from triggerfish.schedule import Due, Merged

_EVENT = msgspec.msgpack.Decoder(Event)
_ALSO = msgspec.msgpack.Decoder(list[Merged])
_PACK = msgspec.msgpack.Encoder().encode

_COLUMNS = (
    "id, profile, ruleset, rule, template, class, purpose, channel, status, reason, due_at, sent_at, attempt, trigger, "
    "call, data, priority, lane, address, also, since, handed_at, tied"
)
_PLACES = ", ".join("?" * len(_COLUMNS.split(", ")))
_PUT = f"INSERT INTO sends ({_COLUMNS}) VALUES ({_PLACES})"  # noqa: S608  (the columns are ours)
# Whatever is set is taken out of its indexes and put in again, changed or not: so whose a message is, and when it was
# handed over, are set only when they change.
_CHANGES = """
    UPDATE sends SET status = ?, reason = ?, due_at = ?, trigger = ?, priority = ?, lane = ?, also = ?, since = ?{}
    WHERE number = ?
"""
_CHANGE = _CHANGES.format("")
_RESTATE = _CHANGES.format(", template = ?, class = ?, purpose = ?, channel = ?")
_GIVE = "UPDATE sends SET profile = ? WHERE number = ?"
_HAND_OVER = """
    UPDATE sends SET profile = ? WHERE profile = ? AND status IN ('scheduled', 'due', 'retrying', 'sending')
"""
_WITHDRAW = """
    UPDATE sends SET status = 'skipped', profile = ?, reason = ?, due_at = ?
    WHERE id = ? AND status IN ('scheduled', 'due', 'retrying')
"""
_MARKS = """
    UPDATE sends SET channel = ?, status = ?, reason = ?, due_at = ?, sent_at = ?, attempt = ?, address = ?, lane = ?,
        tied = ?{}
    WHERE number = ?
"""
_MARK = _MARKS.format("")
_HAND = _MARKS.format(", handed_at = ?")
_OUTGOING = "FROM sends WHERE status IN ('due', 'retrying')"
_WAITING = f"{_OUTGOING} AND call = ''"
_CALLED = f"{_OUTGOING} AND call != ''"
# One step of the index for each lane, however many messages stand in them.
_LANES = f"""
    WITH RECURSIVE standing(lane) AS (
        SELECT min(lane) {_WAITING}
        UNION ALL
        SELECT (SELECT min(lane) {_WAITING} AND lane > standing.lane) FROM standing WHERE standing.lane IS NOT NULL
    )
    SELECT lane, (SELECT min(due_at) {_WAITING} AND lane = standing.lane) FROM standing WHERE lane IS NOT NULL
"""  # noqa: S608  (all parts are ours)
_IN_LANE = f"""
    SELECT due_at, -priority, number {_WAITING} AND lane = ? AND due_at <= ? ORDER BY due_at, priority DESC, number
    LIMIT ?
"""
_CALLS = f"""
    WITH RECURSIVE named(call) AS (
        SELECT min(call) {_CALLED}
        UNION ALL
        SELECT (SELECT min(call) {_CALLED} AND call > named.call) FROM named WHERE named.call IS NOT NULL
    )
    SELECT call, (SELECT min(due_at) {_CALLED} AND call = named.call) FROM named WHERE call IS NOT NULL
"""  # noqa: S608
_HANDED = """
    SELECT profile, handed_at, ruleset, rule, class, purpose, channel, id FROM sends
    WHERE profile IN ({}) AND handed_at IS NOT NULL AND handed_at > ? AND call = ''
        AND status IN ('sent', 'sending', 'uncertain')
    ORDER BY profile, handed_at
"""


def put(db: sqlite3.Connection, sends: Sequence[Due]) -> None:
    """Write what was decided of these sends, each of them once."""
    if not sends:
        return
    known = tallies.known(db, [due.id for due in sends])
    new = [due for due in sends if due.id not in known] if len(known) < len(sends) else []
    db.executemany(_PUT, [_row_of(due) for due in new])
    tallies.add(db, new)
    # Only what still waits may change its mind: a message that is due, or further, is the sender's.
    waiting = [(row, due) for row, due in _in_order(known, sends) if row.status == "scheduled"]
    changed, restated = [], []
    for row, due in waiting:
        values = (
            due.status, due.reason, due.due_at, _packed(due.trigger), due.priority, due.lane, _packed(due.also),
            due.since,
        )  # fmt: skip
        # Of a message that is changed with no template given, what it says stays.
        if due.template:
            restated.append((*values, due.template, due.class_, due.purpose, due.channel, row.number))
        else:
            changed.append((*values, row.number))
    db.executemany(_CHANGE, changed)
    db.executemany(_RESTATE, restated)
    db.executemany(_GIVE, [(due.profile, row.number) for row, due in waiting if due.profile != row.profile])
    tallies.move(db, [(row, due.status, row.heard) for row, due in waiting])


def _in_order(known: Mapping[str, Known], sends: Iterable[Due]) -> list[tuple[Known, Due]]:
    """Those of these messages that there are, in the order of their rows: what stands together is changed together."""
    return sorted(((known[due.id], due) for due in sends if due.id in known), key=_number)


def _number(pair: tuple[Known, Due]) -> int:
    return pair[0].number


def give_to(db: sqlite3.Connection, into: str, gone: str) -> None:
    """One person's sends on their way are another's now."""
    db.execute(_HAND_OVER, (into, gone))


def withdraw(db: sqlite3.Connection, withdrawal: Withdrawal) -> bool:
    """Whether a message was stopped in time: no channel has it yet."""
    known = tallies.known(db, [withdrawal.send])
    if db.execute(_WITHDRAW, (withdrawal.profile, withdrawal.reason, withdrawal.at, withdrawal.send)).rowcount < 1:
        return False
    tallies.move(db, [(row, "skipped", row.heard) for row in known.values()])
    return True


def hear(db: sqlite3.Connection, moments: Sequence[Moment]) -> None:
    """Note what was heard of sends. Of one whose outcome was uncertain it may show that it arrived."""
    for moment in moments:
        if moment.kind == "event" and "send" in moment.body:
            _hear(db, moment.body["send"], moment.body["event"], bool(moment.body.get("is_machine")), moment.at)


def _hear(db: sqlite3.Connection, send: str, name: str, is_machine: bool, at: Instant) -> None:
    row = tallies.known(db, [send]).get(send)
    if row is None:
        return
    bits = row.heard | tallies.bits(name, is_machine=is_machine)
    status = "sent" if name in PROOFS and row.status == "uncertain" else row.status
    if bits != row.heard:
        db.execute("UPDATE sends SET heard = ? WHERE number = ?", (bits, row.number))
        traffic.count_heard(db, send, name, at)
    if status != row.status:
        db.execute("UPDATE sends SET status = ?, reason = ? WHERE number = ?", (status, f"shown by {name}", row.number))
    tallies.move(db, [(row, status, bits)])


def lanes(db: sqlite3.Connection) -> dict[str, Instant]:
    """As StateStore.lanes says."""
    return dict(db.execute(_LANES).fetchall())


def to_send(
    db: sqlite3.Connection, now: Instant, limit: int, wanted: Mapping[str, int | None] | None = None
) -> list[Due]:
    """As StateStore.to_send says."""
    if wanted is None:
        wanted = dict.fromkeys(lanes(db))
    with ExitStack() as stack:
        standing = [
            stack.enter_context(closing(db.execute(_IN_LANE, (lane, now, limit if most is None else min(limit, most)))))
            for lane, most in wanted.items()
        ]
        # Of each lane only as many are looked at as are taken, and one.
        numbers = [number for _, _, number in islice(merge(*standing), limit)]
    rows: dict[int, tuple[Any, ...]] = {}
    for part in parts(numbers):
        query = f"SELECT number, {_COLUMNS} FROM sends WHERE number IN ({marks(part)})"  # noqa: S608
        rows |= {number: row for number, *row in db.execute(query, part)}
    return [_due_of(rows[number]) for number in numbers]


def handed_over(db: sqlite3.Connection, profiles: Iterable[str], since: Instant) -> dict[str, list[Sent]]:
    """As StateStore.handed_over says."""
    found: dict[str, list[Sent]] = {profile: [] for profile in profiles}
    for part in parts(list(found)):
        query = _HANDED.format(marks(part))
        for profile, at, ruleset, rule, class_, purpose, channel, send in db.execute(query, (*part, since)):
            found[profile].append(Sent(at, ruleset, rule, class_ == "marketing", purpose, channel, send))
    return found


def calls_due(db: sqlite3.Connection, now: Instant) -> list[str]:
    return [name for name, due_at in db.execute(_CALLS).fetchall() if due_at <= now]


def to_call(db: sqlite3.Connection, action: str, now: Instant, limit: int) -> list[Due]:
    query = f"SELECT {_COLUMNS} {_OUTGOING} AND call != '' AND call = ? AND due_at <= ? ORDER BY due_at LIMIT ?"
    return [_due_of(row) for row in db.execute(query, (action, now, limit)).fetchall()]


def next_call(db: sqlite3.Connection) -> Instant | None:
    return min((due_at for _, due_at in db.execute(_CALLS).fetchall()), default=None)


def mark(db: sqlite3.Connection, sends: Sequence[Due]) -> None:
    """Write how far these messages are."""
    marked, handed = [], []
    there = _in_order(tallies.known(db, [due.id for due in sends]), sends)
    for row, due in there:
        values = (
            due.channel, due.status, due.reason, due.due_at, due.sent_at, due.attempt, due.address, due.lane,
            due.is_tied,
        )  # fmt: skip
        if due.handed_at == row.handed_at:
            marked.append((*values, row.number))
        else:
            handed.append((*values, due.handed_at, row.number))
    db.executemany(_MARK, marked)
    db.executemany(_HAND, handed)
    tallies.move(db, [(row, due.status, row.heard) for row, due in there])
    traffic.count_handed(db, (due for due in sends if due.status == "sending" and not due.call))


def in_flight(db: sqlite3.Connection) -> list[Due]:
    rows = db.execute(f"SELECT {_COLUMNS} FROM sends WHERE status = 'sending' ORDER BY number").fetchall()  # noqa: S608
    return [_due_of(row) for row in rows]


def one(db: sqlite3.Connection, identifier: str) -> Due | None:
    """A send by its id."""
    row = db.execute(f"SELECT {_COLUMNS} FROM sends WHERE id = ?", (identifier,)).fetchone()  # noqa: S608
    return None if row is None else _due_of(row)


def _packed(what: Event | list[Merged] | None) -> bytes | None:
    return _PACK(what) if what else None


def _row_of(due: Due) -> tuple[Any, ...]:
    return (
        due.id, due.profile, due.ruleset, due.rule, due.template, due.class_, due.purpose, due.channel,
        due.status, due.reason, due.due_at, due.sent_at, due.attempt, _packed(due.trigger), due.call,
        _PACK(due.data) if due.call else None, due.priority, due.lane, due.address, _packed(due.also), due.since,
        due.handed_at, due.is_tied,
    )  # fmt: skip


def _due_of(row: tuple[Any, ...]) -> Due:
    (
        id_, profile, ruleset, rule, template, class_, purpose, channel, status, reason, due_at, sent_at, attempt,
        trigger, call, data, priority, lane, address, also, since, handed_at, tied,
    ) = row  # fmt: skip
    return Due(
        id=id_, profile=profile, ruleset=ruleset, rule=rule, template=template, class_=class_, purpose=purpose,
        channel=channel, status=status, reason=reason, due_at=due_at, sent_at=sent_at, attempt=attempt,
        trigger=None if trigger is None else _EVENT.decode(trigger), call=call,
        data={} if data is None else msgspec.msgpack.decode(data), priority=priority, lane=lane, address=address,
        also=[] if also is None else _ALSO.decode(also), since=since, handed_at=handed_at, is_tied=bool(tied),
    )  # fmt: skip
