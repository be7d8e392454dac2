"""Rows become calls of the tracking API: an identify for each person before their first event, then the events.

A call's messageId follows from the row's number and content alone, so that a row sent twice is one event.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import Struct

from triggerfish.cli.replay.mapping import Fields, Mapping, PageForm
from triggerfish.cli.replay.rows import Row
from triggerfish.clock import Instant, Millis, to_iso
from triggerfish.errors import Refused
from triggerfish.ingest import LARGEST_EVENT
from triggerfish.rulefile.problems import nearest, quote


class Call(Struct, frozen=True, gc=False):
    """One call as the API takes it in a batch: JSON, with its time. `is_person` marks an identify."""

    at: Instant
    json: bytes
    is_person: bool = False


def calls_of(rows: Iterable[Row], mapping: Mapping, shift: Millis = 0) -> Iterator[Call]:
    """The calls of these rows, in their order, all times moved by `shift`.

    It remembers whom it has identified, about 100 bytes a person. Raises Refused (TF441) for a row that makes no event.
    """
    known: set[bytes] = set()
    for row in rows:
        user = _filled(mapping.user.fill(row.cells), row, "user")
        at = row.at + shift
        if mapping.traits:
            who = blake2b(user.encode(), digest_size=8, person=b"replay").digest()
            if who not in known:
                known.add(who)
                yield _identify(row, mapping, user, at, who.hex())
        yield _event(row, mapping, user, at)


def _identify(row: Row, mapping: Mapping, user: str, at: Instant, who: str) -> Call:
    call = {
        "type": "identify",
        "messageId": f"{mapping.source}-person-{who}",
        "timestamp": to_iso(at),
        "userId": user,
        "traits": _table(mapping.traits, row, "traits"),
    }
    return Call(at, _encoded(call, row), is_person=True)


def _event(row: Row, mapping: Mapping, user: str, at: Instant) -> Call:
    written = _filled(mapping.event.fill(row.cells), row, "event")
    name: str | PageForm | None = mapping.events.get(written)
    if name is None:
        if mapping.events:
            hint = nearest(written, mapping.events) or 'add it to "events" of the mapping'
            sentence = f"row {row.number}: the mapping does not say what the event {quote(written)} is called"
            raise Refused(sentence, code="TF441", field="event", hint=hint)
        name = written
    call: dict[str, Any] = {"type": "track", "event": name}
    if isinstance(name, PageForm):
        call = {"type": "page", "name": name.page}
    call |= {"messageId": _message_id(row, mapping), "timestamp": to_iso(at), "userId": user}
    if properties := _table(mapping.properties, row, "properties"):
        call["properties"] = properties
    if context := _table(mapping.context, row, "context"):
        call["context"] = context
    return Call(at, _encoded(call, row))


def _message_id(row: Row, mapping: Mapping) -> str:
    content = msgspec.json.encode(row.cells, order="sorted")
    return f"{mapping.source}-{row.number}-{blake2b(content, digest_size=8, person=b'replay').hexdigest()}"


def _table(fields: Fields, row: Row, field: str) -> dict[str, Any]:
    """The values that the row has; a missing one is left out."""
    table: dict[str, Any] = {}
    for names, source in fields:
        try:
            value = source.fill(row.cells)
        except ValueError as error:
            name = f"{field}.{'.'.join(names)}"
            raise Refused(f"row {row.number}: {name} is no number: {error}", code="TF441", field=name) from error
        if value is None:
            continue
        inner = table
        for name in names[:-1]:
            inner = inner.setdefault(name, {})
        inner[names[-1]] = value
    return table


def _filled(value: Any, row: Row, field: str) -> str:
    if value is None:
        raise Refused(f"row {row.number} has no {field}", code="TF441", field=field)
    return str(value)


def _encoded(call: dict[str, Any], row: Row) -> bytes:
    json = msgspec.json.encode(call)
    if len(json) > LARGEST_EVENT:
        raise Refused(f"row {row.number} makes an event of more than {LARGEST_EVENT // 1024} KB", code="TF441")
    return json
