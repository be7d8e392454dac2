"""Room 1. Ingest: raw request bodies become Events: right shape, an identity, a sane time.

The shapes are those of Segment's HTTP tracking API and its spec: track, identify, page, screen, group, alias, and batch
and import, which carry many (https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/,
https://segment.com/docs/connections/spec/common/). Fields that we do not read are ignored: every SDK adds some.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal, NoReturn, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from triggerfish.clock import DAY, EPOCH, SECOND, Instant, from_datetime
from triggerfish.errors import Refused

Kind = Literal["track", "identify", "page", "screen", "group", "alias", "consent", "feedback", "instruction", "derived"]
"""`consent` comes by `POST /v1/consent`, `feedback` from our own links, pixels and channels (room 10), `instruction`
from people who run the server (instructions.py); the latter two never from a write key."""

LARGEST_EVENT = 32 * 1024
"""Bytes of JSON that one event may have."""

LARGEST_BATCH = 500 * 1024
"""Bytes of JSON that a batch may have."""

DEEPEST = 32
"""Objects and arrays that may lie in one another, the event itself counted."""

LONGEST_NAME = 512
"""Characters of an event's name, an identity, a message id, or the name of a trait or property."""

_KINDS = frozenset({"track", "identify", "page", "screen", "group", "alias"})
"""What a write key may send; the other kinds are ours."""
_SHORTCUTS = {kind[0]: kind for kind in _KINDS} | {"b": "batch"}
_BATCHES = frozenset({"batch", "import"})

CALLS = frozenset({*_KINDS, *_BATCHES, *_SHORTCUTS})
"""The last part of every path under /v1 that takes events; the browser SDK uses first letters."""


class Event(Struct, frozen=True, omit_defaults=True, gc=False):
    """Something that a person did, as the log keeps it (JSON).

    `name` is what rules call it: a track call's event, else the kind ("page", "identify", …).
    `timestamp` is event time, corrected by sentAt as the Segment spec says and never after the instant of receipt.
    At least one of user_id, anonymous_id, profile_id is set, but for an instruction. Empty text is no identity.
    """

    kind: Kind
    name: str
    message_id: str
    timestamp: Instant
    user_id: str | None = None
    anonymous_id: str | None = None
    previous_id: str | None = None
    group_id: str | None = None
    profile_id: str | None = None
    properties: dict[str, Any] = {}
    traits: dict[str, Any] = {}
    context: dict[str, Any] = {}
    integrations: dict[str, Any] = {}


def accept(body: bytes, call: str, received_at: Instant, *, new_message_id: Callable[[], str]) -> list[Event]:
    """The events of a request body (JSON, inflated), in order; `call` is one of CALLS.

    Of a batch, all are accepted or none. Event time is `received_at` less the time that the event had waited at the
    client (`sentAt` less `originalTimestamp` or `timestamp`), so a wrong clock there does no harm; without `sentAt` it
    is the timestamp as given, without a timestamp it is `received_at`, and it is never later than that.
    Raises Refused (TF101 to TF109), naming the field, as `batch[3].timestamp`.
    """
    kind = _SHORTCUTS.get(call, call)
    if kind in _BATCHES:
        return _accept_batch(body, received_at, new_message_id)
    if kind not in _KINDS:
        raise Refused(f'there is no call "{call}"', code="TF107", expected=_ALL_CALLS)
    if len(body) > LARGEST_EVENT:
        refuse_size(LARGEST_EVENT, "")
    raw = _read(body, _CALL, _ALONE)
    if raw.type is not None and raw.type != kind:
        raise Refused(
            f'the body says type "{_short(raw.type)}" but was sent as "{kind}"',
            code="TF107",
            field="type",
            expected=f'"{kind}"',
        )
    event = _to_event(raw, kind, body, _ALONE, _NOTHING_SHARED, received_at, new_message_id)
    if _may_hold_large_numbers(body):
        _round_large_numbers(event, _ALONE)
    return [event]


def write_key_in(body: bytes) -> str | None:
    """The `writeKey` at the top of a body, where a client that cannot set headers puts it. Raises Refused."""
    return _read(body, _KEYED, _ALONE).write_key


def largest_body(call: str) -> int:
    """How many bytes of JSON `call` may bring."""
    return LARGEST_BATCH if is_batch(call) else LARGEST_EVENT


def is_batch(call: str) -> bool:
    """Whether `call` brings many events in one body."""
    return _SHORTCUTS.get(call, call) in _BATCHES


def refuse_size(limit: int, field: str) -> NoReturn:
    raise Refused(
        f"{field or 'the body'} is larger than {limit // 1024} KB",
        code="TF105",
        field=field,
        expected=f"at most {limit} bytes of JSON",
        hint="send fewer events in a batch" if limit == LARGEST_BATCH else "send less in one event",
    )


# --- the shapes as they come in ---------------------------------------------------------------------------------------

_T = TypeVar("_T")
_Table = dict[str, Any] | None
_Place = int
"""Where in the body an event stands: its index in the batch, or _ALONE. It becomes text only in a refusal."""
_ALONE: _Place = -1
_Id = str | int | None
"""SDKs turn numbers into text themselves; who posts by hand may leave it to us."""


class _Call(Struct, rename="camel", gc=False):
    """The fields that we read of one call, in a batch or alone."""

    type: str | None = None
    event: str | None = None
    name: str | None = None
    category: str | None = None
    message_id: str | None = None
    timestamp: str | None = None
    original_timestamp: str | None = None
    sent_at: str | None = None
    user_id: _Id = None
    anonymous_id: _Id = None
    previous_id: _Id = None
    group_id: _Id = None
    properties: _Table = None
    traits: _Table = None
    context: _Table = None
    integrations: _Table = None


class _Batch(Struct, rename="camel", gc=False):
    """A batch; its context and integrations are merged under those of each event."""

    batch: list[Raw] | UnsetType = UNSET
    context: Raw = Raw()
    integrations: Raw = Raw()
    sent_at: str | None = None


class _Keyed(Struct, rename="camel", gc=False):
    write_key: str | None = None


class _Shared(Struct, gc=False):
    """What a batch says for all its events."""

    sent_at: Instant | None = None
    context: dict[str, Any] = {}
    integrations: dict[str, Any] = {}


_NOTHING_SHARED = _Shared()
_CALL = msgspec.json.Decoder(_Call)
_BATCH = msgspec.json.Decoder(_Batch)
_KEYED = msgspec.json.Decoder(_Keyed)
_TABLE: msgspec.json.Decoder[_Table] = msgspec.json.Decoder(_Table)
_from_iso = datetime.fromisoformat
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_ALL_CALLS = "track, identify, page, screen, group or alias"


def _accept_batch(body: bytes, received_at: Instant, new_message_id: Callable[[], str]) -> list[Event]:
    if len(body) > LARGEST_BATCH:
        refuse_size(LARGEST_BATCH, "")
    batch = _read(body, _BATCH, _ALONE)
    if batch.batch is UNSET:
        raise Refused("a batch is missing", code="TF108", field="batch", expected="an array of calls")
    shared = _Shared(
        _instant(batch.sent_at, "sentAt", _ALONE), _shared_table(batch.context, "context"),
        _shared_table(batch.integrations, "integrations"),
    )  # fmt: skip
    may_hold_large_numbers = _may_hold_large_numbers(body)
    events = []
    for place, item in enumerate(batch.batch):
        json = bytes(item)
        if len(json) > LARGEST_EVENT:
            refuse_size(LARGEST_EVENT, f"batch[{place}]")
        call = _read(json, _CALL, place)
        if call.type not in _KINDS:
            field = _at(place, "type")
            raise Refused(
                f"{field} is missing" if call.type is None else f'there is no type "{_short(call.type)}"',
                code="TF107", field=field, expected=_ALL_CALLS,
            )  # fmt: skip
        event = _to_event(call, call.type, json, place, shared, received_at, new_message_id)
        if may_hold_large_numbers:
            _round_large_numbers(event, place)
        events.append(event)
    return events


def _shared_table(raw: Raw, field: str) -> dict[str, Any]:
    json = bytes(raw)
    if not json:
        return {}
    if len(json) > LARGEST_EVENT:
        refuse_size(LARGEST_EVENT, field)
    table = _read(json, _TABLE, _ALONE, field) or {}
    _check_depth(table, field, _ALONE, at=2)
    return table


def _to_event(
    call: _Call, kind: Any, json: bytes, place: _Place, shared: _Shared, received_at: Instant, new_id: Callable[[], str]
) -> Event:
    properties, traits = call.properties or {}, call.traits or {}
    context, integrations = call.context or {}, call.integrations or {}
    if json.count(b"{") + json.count(b"[") > DEEPEST:
        for field, table in _tables(properties, traits, context, integrations):
            _check_depth(table, field, place, at=2)
    if shared.context:
        context = shared.context | context
    if shared.integrations:
        integrations = shared.integrations | integrations
    # Most calls have one identity: what is not there is not looked at.
    user_id = None if call.user_id is None else _text(call.user_id, "userId", place)
    anonymous_id = None if call.anonymous_id is None else _text(call.anonymous_id, "anonymousId", place)
    previous_id = None if call.previous_id is None else _text(call.previous_id, "previousId", place)
    group_id = None if call.group_id is None else _text(call.group_id, "groupId", place)
    if user_id is None and anonymous_id is None:
        raise Refused(
            "the event does not say whose it is", code="TF103", field=_at(place, "userId"),
            expected="userId or anonymousId as text that is not empty",
        )  # fmt: skip
    name = kind
    if kind == "track":
        name = _text(call.event, "event", place) or _refuse_missing("event", place, "the name of what happened")
    elif kind == "alias":
        if user_id is None:
            _refuse_missing("userId", place, "the identity from now on")
        if previous_id is None:
            _refuse_missing("previousId", place, "the identity until now")
    elif kind == "group":
        if group_id is None:
            _refuse_missing("groupId", place, "the group that the person belongs to")
    elif kind != "identify":
        for key, value in (("name", call.name), ("category", call.category)):
            if value:
                properties.setdefault(key, value)
    if len(json) > LONGEST_NAME:
        _check_names(properties, "properties", place)
        _check_names(traits, "traits", place)
    return Event(
        kind, name, _text(call.message_id, "messageId", place) or new_id(),
        _event_time(call, place, shared.sent_at, received_at), user_id, anonymous_id, previous_id, group_id, None,
        properties, traits, context, integrations,
    )  # fmt: skip


# --- one field at a time ----------------------------------------------------------------------------------------------


def _at(place: _Place, field: str) -> str:
    """A field as the sender wrote it: `batch[3].timestamp`."""
    return field if place == _ALONE else f"batch[{place}].{field}"


def _read(json: bytes, decoder: msgspec.json.Decoder[_T], place: _Place, within: str = "") -> _T:
    """Decode, and turn msgspec's error into one that names the field as the sender wrote it."""
    try:
        return decoder.decode(json)
    except msgspec.ValidationError as error:
        sentence, _, path = str(error).partition(" - at `$")
        field = _at(place, within + path.rstrip("`").removesuffix("[...]").lstrip(".")).rstrip(".")
        expected, got, actual = sentence.removeprefix("Expected ").replace("`", "").partition(", got ")
        if not got:
            raise Refused(f"{field or 'the body'}: {sentence}", code="TF102", field=field) from None
        raise Refused(
            f"{field or 'the body'} is of the wrong type: {actual}", code="TF102", field=field,
            expected=expected.replace(" | ", " or "),
        ) from None  # fmt: skip
    except RecursionError:
        _refuse_depth(_at(place, within).rstrip("."))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(f"the body is not JSON: {error}", code="TF101", expected="a JSON object in UTF-8") from None


def _text(value: _Id, field: str, place: _Place) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        value = str(value)
    if len(value) > LONGEST_NAME or "\0" in value:
        field = _at(place, field)
        raise Refused(
            f"{field} is too long" if len(value) > LONGEST_NAME else f"{field} has a NUL character",
            code="TF109", field=field, expected=f"text of at most {LONGEST_NAME} characters without NUL",
        )  # fmt: skip
    return value or None


def _event_time(call: _Call, place: _Place, sent_at: Instant | None, received_at: Instant) -> Instant:
    # As above: what is not there is not looked at.
    timestamp = None if call.timestamp is None else _instant(call.timestamp, "timestamp", place)
    original = (
        None if call.original_timestamp is None else _instant(call.original_timestamp, "originalTimestamp", place)
    )
    if call.sent_at is not None:
        sent_at = _instant(call.sent_at, "sentAt", place)
    by_client = timestamp if original is None else original
    if by_client is None:
        return received_at
    if sent_at is None:
        # Without sentAt there is no clock to compare with; who sends both has corrected `timestamp` already.
        return min(by_client if timestamp is None else timestamp, received_at)
    if by_client >= sent_at:
        return received_at
    return max(0, received_at - (sent_at - by_client))


def _instant(text: str | None, field: str, place: _Place) -> Instant | None:
    if not text:
        return None
    try:
        since = _from_iso(text) - EPOCH
    except (ValueError, TypeError, OverflowError):
        instant = _unusual_instant(text)
    else:
        # As clock.from_datetime says it; twice an event, a call is worth saving.
        instant = since.days * DAY + since.seconds * SECOND + since.microseconds // 1_000
    if instant < 0:
        field = _at(place, field)
        raise Refused(
            f'{field} is no time that we can read: "{_short(text)}"', code="TF104", field=field,
            expected="ISO 8601, from 1970 on, such as 2026-01-31T09:00:00.000Z",
        )  # fmt: skip
    return instant


def _unusual_instant(text: str) -> Instant:
    """Of a time without a zone (it is UTC), in lower case, or with spaces around; -1 if it is none."""
    for spelt in (text, text.strip().upper()):
        try:
            when = _from_iso(spelt)
            return from_datetime(when if when.tzinfo is not None else when.replace(tzinfo=UTC))
        except (ValueError, OverflowError):
            continue
    return -1


def _tables(
    properties: dict[str, Any], traits: dict[str, Any], context: dict[str, Any], integrations: dict[str, Any]
) -> tuple[tuple[str, dict[str, Any]], ...]:
    return ("properties", properties), ("traits", traits), ("context", context), ("integrations", integrations)


def _check_names(table: dict[str, Any], field: str, place: _Place) -> None:
    for name in table:
        if len(name) > LONGEST_NAME:
            field = _at(place, field)
            raise Refused(
                f"{field} has a name of {len(name)} characters", code="TF109", field=field,
                expected=f"names of at most {LONGEST_NAME} characters",
            )  # fmt: skip


def _check_depth(value: dict[str, Any] | list[Any], field: str, place: _Place, at: int) -> None:
    """Refuse what lies deeper than DEEPEST; `at` is the depth of `value`. It goes no deeper than that itself."""
    if at > DEEPEST:
        _refuse_depth(_at(place, field))
    for inner in value.values() if isinstance(value, dict) else value:
        if inner.__class__ is dict or inner.__class__ is list:
            _check_depth(inner, field, place, at + 1)


def _refuse_depth(field: str) -> NoReturn:
    raise Refused(
        f"{field or 'the body'} is nested too deeply", code="TF106", field=field,
        expected=f"at most {DEEPEST} objects and arrays in one another",
    )  # fmt: skip


def _refuse_missing(field: str, place: _Place, expected: str) -> NoReturn:
    field = _at(place, field)
    raise Refused(f"{field} is missing or empty", code="TF108", field=field, expected=expected)


def _may_hold_large_numbers(body: bytes) -> bool:
    """Whether an integer in it may be beyond 64 bits: that takes 19 digits."""
    return b"0" * 19 in body.translate(_DIGITS)


def _round_large_numbers(event: Event, place: _Place) -> None:
    """Profiles are kept in msgpack, which holds 64 bits; a larger number stays as near as a float can be."""
    for field, table in _tables(event.properties, event.traits, event.context, event.integrations):
        _round_large(table, _at(place, field))


def _round_large(value: Any, field: str) -> None:
    """Turn integers beyond 64 bits into floats, in place."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(pairs):
        if isinstance(inner, (dict, list)):
            _round_large(inner, field)
        elif inner.__class__ is int and not -(2**63) <= inner < 2**64:
            try:
                value[key] = float(inner)
            except OverflowError:
                raise Refused(
                    f"{field} has a number of {len(str(inner))} digits", code="TF102", field=field,
                    expected="numbers that a 64-bit float can hold",
                ) from None  # fmt: skip


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
