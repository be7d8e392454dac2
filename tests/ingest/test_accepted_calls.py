"""What is accepted, and what an accepted call becomes."""

from __future__ import annotations

import json
from itertools import count

import msgspec
import pytest

from triggerfish.clock import DAY, HOUR, Instant
from triggerfish.ingest import CALLS, LARGEST_BATCH, Event, accept

NOW: Instant = 1_800_000_000_000  # 2027-01-15T08:00:00Z


def take(call: str, body, received_at: Instant = NOW) -> list[Event]:
    numbers = count(1)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return accept(raw, call, received_at, new_message_id=lambda: f"new-{next(numbers)}")


def one(call: str, received_at: Instant = NOW, **body) -> Event:
    (event,) = take(call, {"userId": "ana", **body}, received_at)
    return event


def test_a_track_call_becomes_an_event_with_its_own_name():
    event = one(
        "track",
        event="Order Completed",
        properties={"total": 9.5},
        context={"locale": "de"},
        integrations={"All": True},
        messageId="m-1",
        anonymousId="visitor",
    )
    assert event == Event(
        "track",
        "Order Completed",
        "m-1",
        NOW,
        user_id="ana",
        anonymous_id="visitor",
        properties={"total": 9.5},
        context={"locale": "de"},
        integrations={"All": True},
    )


def test_identify_carries_traits():
    event = one("identify", traits={"email": "ana@example.org"})
    assert (event.kind, event.name, event.traits) == ("identify", "identify", {"email": "ana@example.org"})


@pytest.mark.parametrize("call", ["page", "screen"])
def test_name_and_category_of_a_page_or_screen_are_properties(call):
    event = one(call, name="Home", category="Shop", properties={"path": "/"})
    assert (event.kind, event.name) == (call, call)
    assert event.properties == {"path": "/", "name": "Home", "category": "Shop"}


def test_a_page_says_its_name_in_its_properties_first():
    assert one("page", name="Home", properties={"name": "Start"}).properties == {"name": "Start"}


def test_group_and_alias_carry_the_other_identity():
    assert one("group", groupId="acme", traits={"size": 4}).group_id == "acme"
    assert one("alias", previousId="visitor").previous_id == "visitor"


@pytest.mark.parametrize(("letter", "kind"), [(kind[0], kind) for kind in ("track", "identify", "page", "screen")])
def test_the_browser_sdk_s_letters_mean_the_same(letter, kind):
    body = {"event": "x"} if kind == "track" else {}
    assert one(letter, **body).kind == one(kind, **body).kind == kind


def test_every_call_of_the_contract_is_known():
    words = {"track", "identify", "page", "screen", "group", "alias", "batch", "import"}
    assert words | {"t", "i", "p", "s", "g", "a", "b"} == CALLS


def test_what_a_client_may_not_say_is_not_taken_from_it():
    event = one("track", event="x", profileId="p-1", profile_id="p-1", kind="feedback", type="track")
    assert event.profile_id is None
    assert event.kind == "track"


def test_fields_that_we_do_not_read_are_ignored():
    assert one("track", event="x", channel="server", _metadata={"bundled": []}, version=2).name == "x"


def test_null_is_the_same_as_absent():
    nothing = dict.fromkeys(
        ["anonymousId", "timestamp", "originalTimestamp", "sentAt", "properties", "traits", "context", "integrations"]
    )
    assert one("track", event="x", messageId="m", **nothing) == one("track", event="x", messageId="m")


def test_empty_text_is_no_identity():
    (event,) = take("track", {"userId": "", "anonymousId": "visitor", "event": "x"})
    assert (event.user_id, event.anonymous_id) == (None, "visitor")


def test_a_number_as_identity_becomes_text():
    (event,) = take("alias", {"userId": 42, "previousId": 7})
    assert (event.user_id, event.previous_id) == ("42", "7")


def test_an_event_without_a_message_id_is_given_one():
    assert one("track", event="x").message_id == "new-1"
    assert one("track", event="x", messageId="").message_id == "new-1"
    assert one("track", event="x", messageId="m-1").message_id == "m-1"


def test_text_of_all_languages_is_kept():
    name = "Grüße 🐟 \u202e \x07"
    assert one("track", event=name, properties={name: name}).properties == {name: name}


def test_integers_beyond_64_bits_become_floats_so_that_msgpack_can_hold_them():
    event = one(
        "track", event="x", properties={"n": [2**64, {"m": -(2**63) - 1}], "k": 2**64 - 1}, context={"z": 10**40}
    )
    assert event.properties == {"n": [float(2**64), {"m": float(-(2**63) - 1)}], "k": 2**64 - 1}
    assert event.context == {"z": 1e40}
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=Event) == event


# --- batches ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["batch", "import", "b"])
def test_a_batch_keeps_its_order(call):
    kinds = [
        {"type": "track", "event": "x"},
        {"type": "identify"},
        {"type": "page"},
        {"type": "screen"},
        {"type": "group", "groupId": "g"},
        {"type": "alias", "previousId": "p"},
    ]
    events = take(call, {"batch": [{"userId": "ana", **item} for item in kinds]})
    assert [event.kind for event in events] == [item["type"] for item in kinds]
    assert [event.message_id for event in events] == [f"new-{number}" for number in range(1, 7)]


def test_context_and_integrations_of_a_batch_lie_under_those_of_each_event():
    first, second = take(
        "batch",
        {
            "context": {"locale": "de", "ip": "1.2.3.4"},
            "integrations": {"All": True},
            "batch": [
                {
                    "type": "track",
                    "userId": "a",
                    "event": "x",
                    "context": {"locale": "fr"},
                    "integrations": {"S": False},
                },
                {"type": "track", "userId": "a", "event": "y"},
            ],
        },
    )
    assert first.context == {"locale": "fr", "ip": "1.2.3.4"}
    assert first.integrations == {"All": True, "S": False}
    assert second.context == {"locale": "de", "ip": "1.2.3.4"}


def test_an_empty_batch_is_no_events():
    assert take("batch", {"batch": []}) == []


def test_a_batch_of_the_largest_size_is_taken():
    item = json.dumps({"type": "track", "userId": "a", "event": "x", "properties": {"t": "y" * 30_000}})
    body = '{"batch":[' + ",".join([item] * 16) + "]}"
    body += " " * (LARGEST_BATCH - len(body))
    assert len(take("batch", body.encode())) == 16


# --- time -------------------------------------------------------------------------------------------------------------


def at(**body) -> Instant:
    return one("track", event="x", **body).timestamp


def test_without_a_timestamp_it_is_the_instant_of_receipt():
    assert at() == NOW
    assert at(sentAt="2020-01-01T00:00:00Z") == NOW


def test_a_timestamp_without_sent_at_is_taken_as_it_is():
    assert at(timestamp="2027-01-15T07:00:00Z") == NOW - HOUR


def test_sent_at_takes_a_wrong_clock_out():
    """Segment: timestamp = receivedAt - (sentAt - originalTimestamp)."""
    # The client's clock is a year behind; the event had waited for an hour.
    assert at(timestamp="2026-01-15T07:00:00Z", sentAt="2026-01-15T08:00:00Z") == NOW - HOUR
    assert at(originalTimestamp="2026-01-15T07:00:00Z", sentAt="2026-01-15T08:00:00Z") == NOW - HOUR
    # and here three days ahead
    assert at(timestamp="2027-01-18T07:59:59.500Z", sentAt="2027-01-18T08:00:00Z") == NOW - 500


def test_the_original_timestamp_is_what_sent_at_is_compared_with():
    body = {"timestamp": "2027-01-15T01:00:00Z", "originalTimestamp": "2027-01-15T07:00:00Z"}
    assert at(**body, sentAt="2027-01-15T08:00:00Z") == NOW - HOUR
    assert at(**body) == NOW - 7 * HOUR  # without sentAt: who sends both has corrected the first


def test_an_event_never_happens_after_its_receipt():
    assert at(timestamp="2031-01-01T00:00:00Z") == NOW
    assert at(timestamp="2027-01-15T09:00:00Z", sentAt="2027-01-15T08:00:00Z") == NOW


def test_sent_at_of_a_batch_holds_for_its_events_unless_they_say_otherwise():
    events = take(
        "batch",
        {
            "sentAt": "2027-01-16T08:00:00Z",
            "batch": [
                {"type": "track", "userId": "a", "event": "x", "timestamp": "2027-01-16T07:00:00Z"},
                {
                    "type": "track",
                    "userId": "a",
                    "event": "y",
                    "timestamp": "2027-01-16T07:00:00Z",
                    "sentAt": "2027-01-18T07:00:00Z",
                },
            ],
        },
    )
    assert [event.timestamp for event in events] == [NOW - HOUR, NOW - 2 * DAY]


@pytest.mark.parametrize(
    "text",
    [
        "2027-01-15T07:00:00.000Z",
        "2027-01-15T07:00:00Z",
        "2027-01-15t07:00:00z",
        " 2027-01-15T07:00:00Z ",
        "2027-01-15T07:00:00+00:00",
        "2027-01-15T08:00:00.000+01:00",
        "2027-01-15T02:00-0500",
        "2027-01-15 07:00:00",
        "2027-01-15T07:00",
        "20270115T070000Z",
        "2027-01-15T07:00:00.000000000Z",
        "2027-01-15T07:00:00,000Z",
        "2027-W02-5T07:00:00Z",
    ],
)
def test_iso_8601_is_read_in_all_the_ways_that_sdks_write_it(text):
    assert at(timestamp=text) == NOW - HOUR


def test_a_date_alone_is_its_midnight():
    assert at(timestamp="2027-01-15") == NOW - 8 * HOUR
