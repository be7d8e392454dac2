"""What every EventLog must do. Each adapter's tests run this over a log of its own."""

from __future__ import annotations

import asyncio
import string

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from triggerfish.ingest import Event
from triggerfish.log import EventLog
from triggerfish.plan import Violation
from triggerfish.quarantine import Aside, counted

NOON = 1_800_000_000_000


def event(number: int, **more) -> Event:
    return Event(kind="track", name="ping", message_id=f"m{number}", timestamp=NOON + number, user_id="ana", **more)


def ids(entries) -> list[str]:
    return [entry.event.message_id for entry in entries]


names = st.text(string.printable + "äß€😀\0", max_size=8)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
tables = st.dictionaries(names, values, max_size=4)


class EventLogContract:
    """Subclasses give a fixture `log`: an empty EventLog."""

    async def test_an_empty_log_has_its_head_before_the_first_position(self, log: EventLog):
        assert log.head() == (0, 0)
        assert log.read(0, 10) == []
        assert log.at([1, 2]) == []

    async def test_appended_events_are_read_back_in_order(self, log: EventLog):
        await log.append([(event(1), NOON), (event(2), NOON)])
        await log.append([(event(3), NOON + 5)])
        entries = log.read(0, 10)
        assert ids(entries) == ["m1", "m2", "m3"]
        assert [entry.position for entry in entries] == [1, 2, 3]
        assert [entry.received_at for entry in entries] == [NOON, NOON, NOON + 5]
        assert log.head() == (3, NOON + 5)

    async def test_reading_goes_on_after_a_position_and_stops_at_the_limit(self, log: EventLog):
        await log.append([(event(number), NOON) for number in range(1, 8)])
        assert ids(log.read(2, 3)) == ["m3", "m4", "m5"]
        assert ids(log.read(5, 100)) == ["m6", "m7"]
        assert log.read(7, 100) == []
        assert log.read(0, 0) == []

    async def test_entries_are_found_by_their_positions(self, log: EventLog):
        await log.append([(event(number), NOON) for number in range(1, 6)])
        assert ids(log.at([4, 2, 2, 99, 0, -1])) == ["m2", "m4"]
        assert log.at([]) == []

    async def test_the_instant_of_receipt_never_decreases(self, log: EventLog):
        await log.append([(event(1), NOON + 10), (event(2), NOON + 5)])
        await log.append([(event(3), NOON)])
        await log.append([(event(4), NOON + 20)])
        assert [entry.received_at for entry in log.read(0, 10)] == [NOON + 10, NOON + 10, NOON + 10, NOON + 20]

    async def test_the_same_event_may_come_twice(self, log: EventLog):
        await log.append([(event(1), NOON)])
        await log.append([(event(1), NOON)])
        assert ids(log.read(0, 10)) == ["m1", "m1"]

    async def test_appending_nothing_stores_nothing(self, log: EventLog):
        await log.append([])
        assert log.head() == (0, 0)

    async def test_what_is_put_aside_takes_no_place_in_the_log(self, log: EventLog):
        why = [Violation("ping", "properties.n", "missing", "quarantine")]
        await log.append([(event(1), NOON)], [Aside(event(2), NOON, why)])
        await log.append([], [Aside(event(3), NOON, why)])
        await log.append([(event(4), NOON)])
        log.note(counted([("m2", why[0])], NOON))
        assert [(entry.position, entry.event.message_id) for entry in log.read(0, 9)] == [(1, "m1"), (2, "m4")]

    async def test_concurrent_appends_stay_whole(self, log: EventLog):
        async def append(sender: int) -> None:
            for turn in range(5):
                first = sender * 100 + turn * 10
                await log.append([(event(first + number), NOON + sender) for number in range(3)])

        await asyncio.gather(*(append(sender) for sender in range(20)))
        stored = ids(log.read(0, 1_000))
        assert len(stored) == 300
        for sender in range(20):
            for turn in range(5):
                first = sender * 100 + turn * 10
                at = stored.index(f"m{first}")
                assert stored[at : at + 3] == [f"m{first}", f"m{first + 1}", f"m{first + 2}"]
        received = [entry.received_at for entry in log.read(0, 1_000)]
        assert received == sorted(received)

    # One body for every adapter, and one log for all examples, are meant so.
    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )
    @given(properties=tables, traits=tables, context=tables)
    async def test_an_event_comes_back_as_it_was(self, log: EventLog, properties, traits, context):
        sent = event(1, properties=properties, traits=traits, context=context, anonymous_id="a", group_id="g")
        await log.append([(sent, NOON)])
        position, _ = log.head()
        assert log.at([position])[0].event == sent

    async def test_events_can_be_read_while_others_are_appended(self, log: EventLog):
        seen: list[str] = []
        appending = asyncio.gather(*(log.append([(event(number), NOON)]) for number in range(50)))
        while not appending.done():
            seen += ids(log.read(len(seen), 7))
            await asyncio.sleep(0)
        while news := log.read(len(seen), 7):
            seen += ids(news)
        assert sorted(seen) == sorted(f"m{number}" for number in range(50))
