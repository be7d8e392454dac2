"""What is refused, with the code and the field that the sender is told. Of a batch, all are refused or none."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggerfish.errors import Refused
from triggerfish.ingest import CALLS, DEEPEST, LARGEST_BATCH, LARGEST_EVENT, LONGEST_NAME, Event, accept, write_key_in

NOW = 1_800_000_000_000


def refusal(call: str, body) -> Refused:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(Refused) as refused:
        accept(raw, call, NOW, new_message_id=lambda: "new")
    return refused.value


def nested(depth: int, opener: str = "[", closer: str = "]") -> str:
    return opener * depth + closer * depth


def in_properties(value: str) -> bytes:
    return b'{"userId":"a","event":"x","properties":{"p":' + value.encode() + b"}}"


ANA = {"userId": "ana", "event": "x"}
TRACK = {"type": "track", **ANA}


@pytest.mark.parametrize(
    ("call", "body", "code", "field"),
    [
        ("track", b"", "TF101", ""),
        ("track", b"{", "TF101", ""),
        ("track", b'{"userId": "a", "event": "x"} and more', "TF101", ""),
        ("track", b'{"userId": "a", "event": NaN}', "TF101", ""),
        ("track", b'\xff\xfe{"userId"', "TF101", ""),
        ("track", b'{"userId": "\xff"}', "TF101", ""),
        ("track", b'{"userId": "\\ud800", "event": "x"}', "TF101", ""),
        ("batch", b'{"batch": [{"type": "track", "userId": "\\udc00"}]}', "TF101", ""),
        ("track", [], "TF102", ""),
        ("track", "text", "TF102", ""),
        ("batch", [ANA], "TF102", ""),
        ("track", {**ANA, "userId": 1.5}, "TF102", "userId"),
        ("track", {**ANA, "userId": True}, "TF102", "userId"),
        ("track", {**ANA, "userId": ["a"]}, "TF102", "userId"),
        ("track", {**ANA, "event": 7}, "TF102", "event"),
        ("track", {**ANA, "properties": []}, "TF102", "properties"),
        ("track", {**ANA, "properties": "none"}, "TF102", "properties"),
        ("identify", {"userId": "a", "traits": 3}, "TF102", "traits"),
        ("track", {**ANA, "context": False}, "TF102", "context"),
        ("track", {**ANA, "timestamp": 1_800_000_000}, "TF102", "timestamp"),
        ("track", {**ANA, "messageId": 9}, "TF102", "messageId"),
        ("track", in_properties("1e999"), "TF102", "properties"),
        ("track", in_properties("9" * 400), "TF102", "properties"),
        ("track", in_properties("9" * 5_000), "TF102", "properties"),
        ("batch", {"batch": {}}, "TF102", "batch"),
        ("batch", {"batch": [TRACK, 5]}, "TF102", "batch[1]"),
        ("batch", {"batch": [ANA | {"type": "track", "properties": 5}]}, "TF102", "batch[0].properties"),
        ("batch", {"batch": [], "context": []}, "TF102", "context"),
        ("track", {"event": "x"}, "TF103", "userId"),
        ("track", {"event": "x", "userId": "", "anonymousId": None}, "TF103", "userId"),
        ("identify", {"traits": {"email": "a@example.org"}}, "TF103", "userId"),
        ("batch", {"batch": [TRACK, {"type": "page"}]}, "TF103", "batch[1].userId"),
        ("track", {**ANA, "timestamp": "yesterday"}, "TF104", "timestamp"),
        ("track", {**ANA, "timestamp": "2026-13-01T00:00:00Z"}, "TF104", "timestamp"),
        ("track", {**ANA, "timestamp": "2026-02-30"}, "TF104", "timestamp"),
        ("track", {**ANA, "timestamp": "0001-01-01T00:00:00Z"}, "TF104", "timestamp"),
        ("track", {**ANA, "timestamp": "0001-01-01T00:00:00+14:00"}, "TF104", "timestamp"),
        ("track", {**ANA, "timestamp": "1969-12-31T23:59:59Z"}, "TF104", "timestamp"),
        ("track", {**ANA, "timestamp": "1800000000"}, "TF104", "timestamp"),
        ("track", {**ANA, "timestamp": "x" * 5_000}, "TF104", "timestamp"),
        ("track", {**ANA, "originalTimestamp": "soon"}, "TF104", "originalTimestamp"),
        ("track", {**ANA, "sentAt": "now"}, "TF104", "sentAt"),
        ("batch", {"batch": [], "sentAt": "now"}, "TF104", "sentAt"),
        ("batch", {"batch": [TRACK] * 3 + [TRACK | {"timestamp": "?"}]}, "TF104", "batch[3].timestamp"),
        ("batch", {"batch": [{"type": "feedback", **ANA}]}, "TF107", "batch[0].type"),
        ("batch", {"batch": [{"type": "Track", **ANA}]}, "TF107", "batch[0].type"),
        ("batch", {"batch": [ANA]}, "TF107", "batch[0].type"),
        ("batch", {"batch": [{"type": "batch", "batch": []}]}, "TF107", "batch[0].type"),
        ("track", {"type": "identify", **ANA}, "TF107", "type"),
        ("track", {"userId": "a"}, "TF108", "event"),
        ("track", {"userId": "a", "event": ""}, "TF108", "event"),
        ("group", {"userId": "a"}, "TF108", "groupId"),
        ("alias", {"userId": "a"}, "TF108", "previousId"),
        ("alias", {"anonymousId": "a", "previousId": "b"}, "TF108", "userId"),
        ("batch", {}, "TF108", "batch"),
        ("batch", {"batch": [{"type": "group", "userId": "a"}]}, "TF108", "batch[0].groupId"),
        ("track", {**ANA, "userId": "a\0"}, "TF109", "userId"),
        ("track", {**ANA, "anonymousId": "\0"}, "TF109", "anonymousId"),
        ("track", {**ANA, "userId": "a" * (LONGEST_NAME + 1)}, "TF109", "userId"),
        ("track", {**ANA, "event": "a" * (LONGEST_NAME + 1)}, "TF109", "event"),
        ("track", {**ANA, "messageId": "a" * (LONGEST_NAME + 1)}, "TF109", "messageId"),
        ("track", {**ANA, "properties": {"a" * (LONGEST_NAME + 1): 1}}, "TF109", "properties"),
        ("identify", {"userId": "a", "traits": {"a" * (LONGEST_NAME + 1): 1}}, "TF109", "traits"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_with_its_code_and_field(call, body, code, field):
    error = refusal(call, body)
    assert (error.code, error.field) == (code, field)
    assert error.sentence
    if code != "TF102":
        assert error.expected
    assert len(str(error)) < 400  # what was sent is never quoted at length


def test_a_wrong_type_says_what_was_expected():
    error = refusal("track", {**ANA, "properties": []})
    assert error.expected == "object or null"
    assert "array" in error.sentence


def test_an_unknown_call_is_refused():
    assert refusal("feedback", ANA).code == "TF107"


# --- size -------------------------------------------------------------------------------------------------------------


def sized(size: int, **more) -> bytes:
    body = json.dumps({**more, **ANA, "properties": {"p": ""}})
    return body.replace('""', '"' + "y" * (size - len(body)) + '"').encode()


def test_an_event_may_have_exactly_the_largest_size():
    assert accept(sized(LARGEST_EVENT), "track", NOW, new_message_id=str)
    error = refusal("track", sized(LARGEST_EVENT + 1))
    assert (error.code, error.field) == ("TF105", "")


def test_an_event_in_a_batch_may_have_exactly_the_largest_size():
    fits, does_not = sized(LARGEST_EVENT, type="track"), sized(LARGEST_EVENT + 1, type="track")
    assert accept(b'{"batch":[' + fits + b"]}", "batch", NOW, new_message_id=str)
    error = refusal("batch", b'{"batch":[' + fits + b"," + does_not + b"]}")
    assert (error.code, error.field) == ("TF105", "batch[1]")


def test_a_batch_beyond_the_largest_size_is_refused():
    error = refusal("batch", b'{"batch":[]}' + b" " * LARGEST_BATCH)
    assert (error.code, error.field) == ("TF105", "")


def test_what_a_batch_shares_is_bounded_like_an_event():
    error = refusal("batch", {"batch": [], "context": {"p": "y" * LARGEST_EVENT}})
    assert (error.code, error.field) == ("TF105", "context")


# --- depth ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("opener", "closer"), [("[", "]"), ('{"a":', "}")])
def test_nesting_is_allowed_to_exactly_the_limit(opener, closer):
    inner = opener * (DEEPEST - 2) + "1" + closer * (DEEPEST - 2)  # the event and its properties are two
    assert accept(in_properties(inner), "track", NOW, new_message_id=str)
    error = refusal("track", in_properties(f"{opener}{inner}{closer}"))
    assert (error.code, error.field) == ("TF106", "properties")


@pytest.mark.parametrize("field", ["properties", "traits", "context", "integrations"])
def test_every_table_is_bounded_in_depth(field):
    body = f'{{"batch":[{{"type":"track","userId":"a","event":"x","{field}":{{"a":{nested(40)}}}}}]}}'
    error = refusal("batch", body.encode())
    assert (error.code, error.field) == ("TF106", f"batch[0].{field}")


def test_what_a_batch_shares_is_bounded_in_depth():
    error = refusal("batch", f'{{"batch":[],"context":{{"a":{nested(40)}}}}}'.encode())
    assert (error.code, error.field) == ("TF106", "context")


def test_many_openers_side_by_side_or_in_text_are_not_deep():
    wide = "[" + ",".join(["[{}]"] * 500) + ',"' + "[{" * 500 + '"]'
    assert accept(in_properties(wide), "track", NOW, new_message_id=str)


@pytest.mark.parametrize("depth", [900, 5_000, 100_000])
@pytest.mark.parametrize(
    "around",
    [
        ("track", '{"userId":"a","event":"x","properties":{"p":DEEP}}'),
        ("batch", '{"batch":[{"type":"track","userId":"a","event":"x","traits":{"p":DEEP}}]}'),
        ("batch", '{"batch":[],"context":DEEP}'),
    ],
)
def test_absurd_depth_is_refused_and_harms_nothing(depth, around):
    call, body = around
    error = refusal(call, body.replace("DEEP", nested(depth, '{"a":[', "]}")).encode())
    assert error.code in ("TF105", "TF106")


@pytest.mark.parametrize("body", ["[" * 30_000, '{"a":' * 5_000, '{"userId":"a","event":"x","other":' + "[" * 30_000])
def test_absurd_depth_that_never_closes_is_refused(body):
    assert refusal("track", body.encode()).code in ("TF101", "TF102", "TF106")


# --- anything at all --------------------------------------------------------------------------------------------------

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["2026-01-01", "track"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
fields = st.sampled_from(
    ["type", "event", "name", "category", "messageId", "timestamp", "originalTimestamp", "sentAt", "userId"]
) | st.sampled_from(
    ["anonymousId", "previousId", "groupId", "properties", "traits", "context", "integrations", "writeKey", "other"]
)
likely = st.fixed_dictionaries(
    {"userId": st.text(max_size=4), "event": st.text(max_size=4), "type": st.sampled_from(["track", "page", "group"])}
)
calls = st.dictionaries(fields, anything, max_size=6) | st.builds(
    lambda base, more: {**base, **more}, likely, st.dictionaries(fields, anything, max_size=2)
)
bodies = st.one_of(
    st.binary(max_size=60),
    anything.map(json.dumps).map(str.encode),
    calls.map(json.dumps).map(str.encode),
    st.fixed_dictionaries({"batch": st.lists(calls, max_size=3)}, optional={"context": anything, "sentAt": anything})
    .map(json.dumps)
    .map(str.encode),
)


@given(bodies, st.sampled_from(sorted(CALLS)))
def test_whatever_comes_is_refused_or_becomes_events_that_keep_their_promises(body, call):
    try:
        events = accept(body, call, NOW, new_message_id=lambda: "new")
    except Refused:
        return
    for event in events:
        assert event.user_id or event.anonymous_id
        assert event.profile_id is None
        assert event.kind != "feedback"
        assert event.name
        assert event.message_id
        assert 0 <= event.timestamp <= NOW
        assert msgspec.json.decode(msgspec.json.encode(event), type=Event) == event
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=Event) == event


@given(bodies)
def test_looking_for_a_write_key_refuses_or_finds_text(body):
    try:
        key = write_key_in(body)
    except Refused:
        return
    assert key is None or isinstance(key, str)


def test_a_write_key_is_found_at_the_top_only():
    assert write_key_in(b'{"writeKey": "k", "batch": [{"writeKey": "other"}]}') == "k"
    assert write_key_in(b'{"batch": [{"writeKey": "other"}]}') is None
