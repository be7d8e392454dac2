"""The door looks closely only where the bytes give reason to. Whatever they look like, it says what a plain reading of
the rules says, which looks at everything.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from triggerfish.errors import Refused
from triggerfish.ingest import DEEPEST, LONGEST_NAME, accept

NOW = 2_000_000_000_000
TABLES = ("properties", "traits", "context", "integrations")


def accepted(body: object, call: str = "track"):
    return accept(json.dumps(body).encode(), call, NOW, new_message_id=lambda: "m")


# --- the rules, read plainly ------------------------------------------------------------------------------------------


def depth(value) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


def rounded(value):
    """The value with integers beyond 64 bits as floats. Raises OverflowError for one that is none either."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return float(value) if type(value) is int and not -(2**63) <= value < 2**64 else value


def judged(event: dict) -> dict | tuple[str, str]:
    """What becomes of a call's tables: they, or the code and the field of the refusal."""
    for field in TABLES:
        if depth(event[field]) >= DEEPEST:
            return "TF106", field
    for field in ("properties", "traits"):
        if any(len(name) > LONGEST_NAME for name in event[field]):
            return "TF109", field
    kept = {}
    for field in TABLES:
        try:
            kept[field] = rounded(event[field])
        except OverflowError:
            return "TF102", field
    return kept


# --- calls near every limit -------------------------------------------------------------------------------------------

numbers = st.one_of(
    st.sampled_from([2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**18, 10**19, 10**308, 10**309]),
    st.integers(-(10**25), 10**25),
)
leaves = st.one_of(
    numbers, st.sampled_from(["", "[{" * 40, "9" * 30, "\0", '"}]', "\\", None, True, 1.5, 1e300]), st.text(max_size=8)
)
names = st.one_of(st.sampled_from(["a", "b", "x" * LONGEST_NAME, "x" * (LONGEST_NAME + 1)]), st.text(max_size=5))


@st.composite
def wells(draw):
    """Something deep: objects and arrays in one another, around a leaf."""
    value = draw(leaves)
    for is_object in draw(st.lists(st.booleans(), min_size=DEEPEST - 4, max_size=DEEPEST + 1)):
        value = {"in": value} if is_object else [value]
    return value


values = st.one_of(leaves, st.recursive(leaves, lambda inner: st.lists(inner, max_size=40), max_leaves=50), wells())
tables = st.dictionaries(names, values, max_size=4)
calls = st.fixed_dictionaries(dict.fromkeys(TABLES, tables))


@settings(max_examples=80, deadline=None)
@given(st.lists(calls, min_size=1, max_size=3), st.sampled_from(["track", "batch"]))
def test_tables_meet_every_limit_alone_and_in_a_batch(each, call):
    sent = [{"type": "track", "event": "e", "userId": "u", **tables} for tables in each]
    places = [f"batch[{place}]." for place in range(len(sent))]
    if call == "track":
        sent, places = sent[:1], [""]
    judgements = [judged(event) for event in sent]
    refusals = [
        (each[0], place + each[1]) for place, each in zip(places, judgements, strict=True) if type(each) is tuple
    ]
    # Kept tables as text, for 1, 1.0 and True are equal.
    assert said(sent[0] if call == "track" else {"batch": sent}, call) == (refusals[:1] or list(map(repr, judgements)))


def said(body: object, call: str) -> list:
    """The tables of each event as text, or the code and field of the refusal."""
    try:
        events = accepted(body, call)
    except Refused as refused:
        return [(refused.code, refused.field)]
    return [repr({field: getattr(event, field) for field in TABLES}) for event in events]


zones = st.one_of(st.none(), st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))))


@settings(max_examples=80, deadline=None)
@given(
    st.datetimes(datetime(1969, 12, 30), datetime(2033, 5, 1), timezones=zones),  # noqa: DTZ001  (they are drawn)
    st.sampled_from([str, str.lower, lambda text: f" {text}\n", lambda text: text.replace("+00:00", "Z")]),
    st.sampled_from(["T", " "]),
)
@example(datetime(1970, 1, 1), str, "T")  # noqa: DTZ001  (without a zone it is UTC)
@example(datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), str, "T")
def test_a_time_is_read_the_same_however_it_is_written(when, spelt, between):
    text = spelt(when.isoformat(between))
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    since = aware - datetime(1970, 1, 1, tzinfo=UTC)
    expected = since // timedelta(milliseconds=1)
    body = {"event": "e", "userId": "u", "timestamp": text}
    if expected < 0:
        with pytest.raises(Refused) as refused:
            accepted(body)
        assert (refused.value.code, refused.value.field) == ("TF104", "timestamp")
    else:
        assert accepted(body)[0].timestamp == min(expected, NOW)
