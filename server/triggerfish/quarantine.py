"""Room 1, what it puts aside. The quarantine: events that break the tracking plan and wait for somebody to mend them or
the plan; and the counts of all violations, with a few examples.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from triggerfish.clock import Instant
from triggerfish.ingest import Event
from triggerfish.plan import Checks, Type, Violation

QUARANTINE_LIMIT = 10_000
"""Events that are kept aside; what comes beyond that is refused (TF119), so that its sender knows."""

COUNTED_LIMIT = 1_000
"""Kinds of violations that are counted each for itself; further ones are counted together."""

EXAMPLES = 3
"""Examples kept of each kind: of different values, the newest."""

_NUMBER = re.compile(r"\s*[-+]?\d{1,18}(\.\d{1,18})?\s*")
_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

_TABLES = ("properties.", "traits.")

Key = tuple[str, str, str]
"""Event, field, what."""

_OTHERS: Key = ("(others)", "", "")


class Example(Struct, frozen=True):
    """One event that broke the plan. `value` is what may be shown."""

    value: str
    message_id: str
    at: Instant


class Counted(Struct, frozen=True):
    """How often one kind of violation was met, by what became of the event."""

    event: str
    field: str
    what: str
    refused: int
    quarantined: int
    warned: int
    first_at: Instant
    last_at: Instant
    examples: tuple[Example, ...] = ()

    @property
    def key(self) -> Key:
        return self.event, self.field, self.what


class Aside(Struct, frozen=True):
    """An event on its way into the quarantine. `field` is the path of its first violation in the request's body."""

    event: Event
    at: Instant
    violations: Sequence[Violation]


class Quarantined(Struct, frozen=True):
    """An event in the quarantine; a higher `id` came later. `violations` are those of when it was last looked at."""

    id: int
    at: Instant
    event: Event
    violations: Sequence[Violation]


class Fix(Struct, frozen=True, forbid_unknown_fields=True):
    """What to change about quarantined events. A field is the name of a property, or `traits.` and a trait's.

    In this order: `drop` fields, `rename` them (old: new), `convert` them to a type, `set` them to a value; `name`
    gives the event another name.
    """

    drop: tuple[str, ...] = ()
    rename: dict[str, str] = {}
    convert: dict[str, Type] = {}
    set: dict[str, Any] = {}
    name: str = ""


class Released(Struct, frozen=True):
    """What a replay of the quarantine did: how many events went into the log, how many stay, and why those do."""

    released: int
    kept: int
    reasons: dict[str, int] = {}


Judge = Callable[[Quarantined], tuple[Event | None, Sequence[Violation]]]
"""The event as it may go into the log, or None and why it may not."""


class Quarantine(Protocol):
    """Where quarantined events and counts are kept: with the log, so that an event is in one of the two, and never in
    both.
    """

    def size(self) -> int: ...

    def listed(self, limit: int, *, before: int | None = None, event: str | None = None) -> list[Quarantined]:
        """Quarantined events, newest first; `before` is the last id read, `event` a name."""
        ...

    def violations(self) -> list[Counted]:
        """All counts, the most frequent first."""
        ...

    def release(self, judge: Judge, receipt_of: Callable[[Event], Instant], *, event: str | None = None) -> Released:
        """Let every event that `judge` admits into the log, oldest first; each leaves the quarantine in the transaction
        that appends it. `receipt_of` gives its instant of receipt.
        """
        ...

    def discard(self, *, event: str | None = None) -> int:
        """Delete quarantined events for good, and say how many."""
        ...

    def close(self) -> None: ...


def counted(violations: Iterable[tuple[str, Violation]], at: Instant) -> list[Counted]:
    """Violations (each with a message id) as counts of one each."""
    return [
        Counted(
            violation.event,
            violation.field,
            violation.what,
            int(violation.action == "reject"),
            int(violation.action == "quarantine"),
            int(violation.action == "warn"),
            at,
            at,
            (Example(violation.shown, message_id, at),),
        )
        for message_id, violation in violations
    ]


def add_up(into: dict[Key, Counted], more: Iterable[Counted], *, limit: int = COUNTED_LIMIT) -> None:
    """Add counts to those that are known, in place; new kinds beyond `limit` go together as `(others)`."""
    for each in more:
        one = each
        if each.key not in into and len(into) >= limit:
            one = replace(each, event=_OTHERS[0], field=_OTHERS[1], what=_OTHERS[2], examples=())
        known = into.get(one.key)
        into[one.key] = one if known is None else _sum(known, one)


def _sum(known: Counted, more: Counted) -> Counted:
    examples = {example.value: example for example in (*known.examples, *more.examples)}
    newest = sorted(examples.values(), key=lambda example: example.at)[-EXAMPLES:]
    return replace(
        known,
        refused=known.refused + more.refused,
        quarantined=known.quarantined + more.quarantined,
        warned=known.warned + more.warned,
        first_at=min(known.first_at, more.first_at),
        last_at=max(known.last_at, more.last_at),
        examples=tuple(newest),
    )


def is_storable(fix: Fix) -> bool:
    """Whether its values fit into a profile, which holds integers of 64 bits."""
    try:
        msgspec.msgpack.encode(fix)
    except OverflowError:
        return False
    return True


def judge_by(checks: Checks, fix: Fix) -> Judge:
    """A judge that mends an event and asks the present plan. What the plan only warns of goes through."""

    def judge(held: Quarantined) -> tuple[Event | None, Sequence[Violation]]:
        event = mended(held.event, fix)
        found = [violation for violation in checks.look(event) if violation.action != "warn"]
        return (None, found) if found else (event, ())

    return judge


def mended(event: Event, fix: Fix) -> Event:
    """The event with the fix; its message id, time and identities stay. What cannot be converted stays as it is."""
    tables = {"properties": dict(event.properties), "traits": dict(event.traits)}
    for field in fix.drop:
        table, name = _place(tables, field)
        table.pop(name, None)
    for field, new in fix.rename.items():
        table, name = _place(tables, field)
        if name in table:
            target, new_name = _place(tables, new) if new.startswith(_TABLES) else (table, new)
            target[new_name] = table.pop(name)
    for field, type_ in fix.convert.items():
        table, name = _place(tables, field)
        if table.get(name) is not None:
            table[name] = converted(table[name], type_)
    for field, value in fix.set.items():
        table, name = _place(tables, field)
        table[name] = value
    return replace(event, name=fix.name or event.name, properties=tables["properties"], traits=tables["traits"])


def _place(tables: Mapping[str, dict[str, Any]], field: str) -> tuple[dict[str, Any], str]:
    table, dot, name = field.partition(".")
    return (tables[table], name) if dot and table in tables else (tables["properties"], field)


def converted(value: Any, type_: Type) -> Any:
    """The value as another type, if there is one way to read it so; else as it is."""
    match type_, value:
        case "number", str() if _NUMBER.fullmatch(value):
            number = float(value)
            return int(value) if "." not in value else number
        case "number", bool():
            return value
        case "text", bool():
            return "true" if value else "false"
        case "text", int() | float():
            return str(value)
        case "boolean", str() | int() if str(value).strip().lower() in _TRUTHS:
            return _TRUTHS[str(value).strip().lower()]
        case "list", str() | int() | float() | dict():
            return [value]
    return value
