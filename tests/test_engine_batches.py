"""What exactly-once stands on: how events are cut into batches, and when the agenda is looked at, never shows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from triggerfish import hours, walk
from triggerfish.adapters.memory import MemoryEventLog
from triggerfish.adapters.memory_store import MemoryStateStore
from triggerfish.clock import DAY, HOUR, MINUTE, SECOND, WallClock
from triggerfish.conditions import NEVER
from triggerfish.engine import Arrival, decide
from triggerfish.ingest import Event
from triggerfish.profile import Claim, claims_of, new_profile
from triggerfish.rules import Rulebook
from worlds import NOON, claims_in, follow, rulebook, state_of

RULES = """
    policy:
      time_zone: Europe/Berlin
      quiet_hours: {start: "21:00", end: "08:00"}
      caps:
        - {sends: 3, within: 1 day}
    segments:
      - name: recent
        when: count(View, "2h") >= 1
      - name: customers
        when: count(Order) >= 1
        exclusive: true
        segments:
          - name: lapsed
            priority: 20
            when: days_since(Order) > 2
          - name: big
            priority: 10
            when: sum(Order.total, "3d") > 50
      - name: open-cart
        when: traits.cart == "open"
      - name: evening
        when: local.hour >= 18 and did(View, "1d")
"""
SETS = (
    """
    ruleset: cart
    priority: 50
    mode: first
    rules:
      - name: big-cart
        priority: 9
        on: Cart
        when: event.total > 20
        wait: 30 minutes
        unless: Order
        then: [{send: offer}]
      - name: cart
        on: Cart
        wait: 1 hour
        unless: [Order, segment.left]
        while_waiting: keep
        cooldown: 1 day
        then: [{send: hello}, {send: receipt}]
    """,
    """
    ruleset: state
    priority: 90
    max_age: 30 days
    rules:
      - {name: opened, on: Cart, then: [{set: {cart: open}}]}
      - name: closed
        on: Order
        then: [{set: {cart: done}}, {emit: Closed, properties: {total: {value: event.total}}}]
      - {name: thanks, on: Closed, when: event.total > 0, then: [{send: receipt}]}
    """,
    """
    ruleset: moves
    rules:
      - name: lapsed
        on: segment.entered
        when: event.segment == "lapsed"
        wait: 3 hours
        then: [{send: news}]
      - name: left
        on: segment.left
        when: event.segment == "recent" and count(View) > 1
        while_waiting: each
        wait: 10 minutes
        then: [{send: hello}, {set: {left: true}}]
      - {name: any-view, on: View, cooldown: 30 minutes, then: [{send: news}]}
    """,
    """
    ruleset: journeys
    rules:
      - name: first
        on: Cart
        key: event.total
        again: after 2 days
        goal: Order
        exit: {when: days_since(View) > 1}
        steps:
          - send: offer
          - wait_until: {on: View, at_most: 3 hours, otherwise: [{send: receipt}]}
          - branch:
              - {when: '"evening" in segments', steps: [{wait: until 09:00}, {set: {cart: open}}]}
              - {steps: [{split: {name: words, variants: [{name: a, steps: [{send: news}]}]}}]}
          - wait: 1 day
          - emit: Closed
            properties: {total: 1}
      - {name: daily, on: schedule every day 10:00, segment: customers, once_per: week, then: [{send: receipt}]}
      - name: waits-for-calm
        on: View
        steps: [{wait_until: {when: hours_since(View) >= 5, at_most: 2 days}}, {send: hello}]
    """,
)
BOOK = rulebook(RULES, *SETS)
CROWDED = rulebook(
    RULES.replace("caps:", """arbitration: {window: 20 minutes}
      send_windows: [{from: "07:30", to: "20:00", days: weekdays}, {from: "22:00", to: "09:00", days: weekend}]
      caps:
        - {sends: 1, within: 5 hours, purpose: news}
        - {sends: 2, within: 2 days, ruleset: journeys}"""),
    *(text.replace("            on: View", "            losing: defer\n            on: View") for text in SETS[:2]),
    SETS[2].replace("on: View,", "on: View, losing: defer, defer_at_most: 9 hours, group: news,"),
    SETS[3].replace("- send: offer", "- {send: offer, at: best_hour, within: 20 hours}"),
    """
    ruleset: digests
    priority: 70
    rules:
      - {name: digest, on: [Order, Cart], group: news, then: [{send: digest}]}
      - {name: calm, on: Order, cooldown: 1 day, then: [{send: digest, at: best_hour, within: 6 hours}]}
    """,
    """
    ruleset: crowd
    priority: 60
    cooldown: 40 minutes
    rules:
      - {name: part, on: [View, Order], losing: merge, then: [{send: offer}, {send: hello}]}
      - {name: patient, priority: -1, on: Cart, losing: defer, wait: 19 minutes, then: [{send: hello}]}
    """,
)  # fmt: skip
BOOKS = st.sampled_from((BOOK, CROWDED))
CALM = rulebook(RULES.replace("caps:", "arbitration: {window: 3 hours, most: 2}\n      caps:"), *SETS)


@pytest.fixture(autouse=True, scope="module")
def everybody() -> Iterator[None]:
    """One open is enough to know everybody's hours by, two to know somebody's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hours, "ENOUGH_OF_ALL", hours.THOUSANDTHS)
        patch.setattr(hours, "ENOUGH", 2.0)
        yield


STEPS = (0, 0, SECOND, 10 * MINUTE, 31 * MINUTE, 2 * HOUR, 9 * HOUR, DAY, 3 * DAY)
HUMAN = st.sampled_from((0.0, 0.3, 1.0))
LATE = (0, 0, 0, 5 * MINUTE, 3 * HOUR, 2 * DAY)


@st.composite
def histories(draw: st.DrawFn, longest_pause: int = 3 * DAY) -> list[Arrival]:
    """Up to 14 arrivals of few people with many names, some late, some repeated, some that merge."""
    steps = [step for step in STEPS if step <= longest_pause]
    at = NOON
    known = ("u1", "u2")[: draw(st.integers(0, 2))]
    arrivals = [
        Arrival(place, at, Event("identify", "identify", f"i{place}", at, user, traits={"email": f"{user}@x.example"}))
        for place, user in enumerate(known, 1)
    ]
    for position in range(len(arrivals) + 1, len(arrivals) + draw(st.integers(1, 14)) + 1):
        at += draw(st.sampled_from(steps))
        if arrivals and draw(st.integers(0, 7)) == 0:
            arrivals.append(Arrival(position, at, draw(st.sampled_from(arrivals)).event))
            continue
        arrivals.append(Arrival(position, at, draw(events(position, at, tuple(arrivals)))))
    return arrivals


@st.composite
def events(draw: st.DrawFn, position: int, at: int, before: tuple[Arrival, ...]) -> Event:
    kind = draw(st.sampled_from(("track",) * 5 + ("identify",) * 3 + ("alias", "feedback")))
    when = at - draw(st.sampled_from(LATE))
    user = draw(st.sampled_from((None, "u1", "u2", "u3")))
    anonymous = draw(st.sampled_from(("a1", "a2", "a3") if user is None else (None, "a1", "a2", "a3")))
    said = f"m{position}"
    if kind == "feedback" and before:
        first = draw(st.sampled_from(before))
        profile = new_profile(claims_of(first.event)[0], first.position, at).id
        properties = {"send_id": "s", "purpose": draw(st.sampled_from(("", "news"))), "human": draw(HUMAN)}
        name = draw(st.sampled_from(("Unsubscribed", "Email Opened", "Email Link Clicked")))
        return Event(
            "feedback", name, said, when if draw(st.booleans()) else at, profile_id=profile, properties=properties
        )
    if kind == "identify":
        traits = draw(st.fixed_dictionaries({}, optional={
            "email": st.sampled_from(("e1@example.com", "e2@example.com")),
            "cart": st.sampled_from(("open", "done")),
        }))  # fmt: skip
        zone = draw(st.sampled_from(({}, {"timezone": "America/New_York"}, {"timezone": "Asia/Tokyo"})))
        return Event("identify", "identify", said, when, user, anonymous, traits=traits, context=zone)
    if kind == "alias":
        previous = draw(st.sampled_from(("u1", "u2", "u3", "a1", "a2")))
        return Event("alias", "alias", said, when, user or "u1", anonymous, previous_id=previous)
    name = draw(st.sampled_from(("View", "Cart", "Cart", "Order")))
    total = draw(st.sampled_from((0, 15, 60)))
    return Event("track", name, said, when, user, anonymous, properties={"total": total})


@st.composite
def cuts(draw: st.DrawFn, arrivals: list[Arrival], end: int) -> list[tuple[list[Arrival], int]]:
    """The arrivals cut into batches, each with the instant until which time is seen to pass; empty ones are ticks."""
    batches: list[tuple[list[Arrival], int]] = []
    batch: list[Arrival] = []
    for place, arrival in enumerate(arrivals):
        batch.append(arrival)
        following = arrivals[place + 1].at if place + 1 < len(arrivals) else end
        for _ in range(draw(st.integers(0, 2))):
            batches.append((batch, draw(st.integers(arrival.at, following))))
            batch = []
            arrival = Arrival(arrival.position, batches[-1][1], arrival.event)
    batches.append((batch, end))
    return batches


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_cutting_a_history_into_batches_changes_nothing(data: st.DataObject):
    compare_cut_with_whole(data)


@pytest.mark.long
@settings(max_examples=5_000, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_cutting_any_of_5000_histories_into_batches_changes_nothing(data: st.DataObject):
    compare_cut_with_whole(data)


def compare_cut_with_whole(data: st.DataObject) -> None:
    arrivals, book = data.draw(histories()), data.draw(BOOKS)
    end = arrivals[-1].at + data.draw(st.sampled_from((0, HOUR, DAY, 7 * DAY)))
    whole = MemoryStateStore()
    follow(whole, book, arrivals, end)
    cut = MemoryStateStore()
    for batch, now in data.draw(cuts(arrivals, end)):
        follow(cut, book, batch, now)
    assert state_of(cut) == state_of(whole)
    assert cut.position() == whole.position()


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.permutations((BOOK, CROWDED, CALM)))
def test_a_reload_in_the_middle_of_a_round_leaves_no_message_behind(data: st.DataObject, books: list[Rulebook]):
    """However the events before and after it are cut; windows, groups and the arbiter itself come and go with it."""
    arrivals = data.draw(histories())
    place = data.draw(st.integers(0, len(arrivals) - 1))
    turn, end = arrivals[place].at, arrivals[-1].at + 9 * DAY
    whole, cut = MemoryStateStore(), MemoryStateStore()
    for book, part, until in ((books[0], arrivals[:place], turn), (books[1], arrivals[place:], end)):
        follow(whole, book, part, until)
        for batch, now in data.draw(cuts(part, until)) if part else [([], until)]:
            follow(cut, book, batch, now)
    assert state_of(cut) == state_of(whole)
    for profile in whole.profiles.values():
        assert all(wait.due_at > end for wait in profile.waits)


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(histories(), st.data())
def test_people_are_where_a_look_at_all_segments_finds_them(arrivals: list[Arrival], data: st.DataObject):
    """After an event the engine looks only at segments that it can have changed, and with time only when it must."""
    store = MemoryStateStore()
    for place, arrival in enumerate(arrivals):
        following = arrivals[place + 1].at - 1 if place + 1 < len(arrivals) else arrival.at + 7 * DAY
        follow(store, BOOK, [arrival], arrival.at)
        for now in sorted((arrival.at, data.draw(st.integers(arrival.at, max(arrival.at, following))))):
            follow(store, BOOK, [], now)
            for profile in store.profiles.values():
                found = profile.copy()
                assert BOOK.segments.settle(found, now, BOOK.zones) == []
                assert now < (profile.recheck_at or NEVER) <= (found.recheck_at or NEVER)


class SetClock(WallClock):
    """A clock that shows what it is set to."""

    def __init__(self) -> None:
        self.shows = NOON

    def now(self) -> int:
        return self.shows


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.integers(1, 6), st.integers(1, 4))
def test_the_corridor_comes_to_the_same_however_small_its_batches(data: st.DataObject, events: int, people: int):
    """`walk.follow` over a log that grows while the clock goes on, with any limits of events and of due profiles."""
    arrivals, book = data.draw(histories()), data.draw(BOOKS)
    end = arrivals[-1].at + data.draw(st.sampled_from((0, HOUR, DAY, 7 * DAY)))
    whole = MemoryStateStore()
    follow(whole, book, arrivals, end)
    log, clock, store = MemoryEventLog(), SetClock(), MemoryStateStore()
    nobody = cast(Any, None)
    house = walk.House(
        log=log, clock=clock, store=store, rulebook=book, batch_events=events, agenda_batch=people,
        templates={}, channel=nobody, links=nobody, dice=nobody,
    )  # fmt: skip
    for batch, now in data.draw(cuts(arrivals, end)):
        asyncio.run(log.append([(arrival.event, arrival.at) for arrival in batch]))
        clock.shows = now
        for _ in range(1_000):
            if not walk.follow(house):
                break
        else:
            pytest.fail("the corridor does not come to rest")
    assert state_of(store) == state_of(whole)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(histories(), BOOKS, st.sampled_from((0, DAY)))
def test_deciding_again_gives_the_same_and_touches_nothing_that_it_was_given(
    arrivals: list[Arrival], book: Rulebook, rest: int
):
    half = len(arrivals) // 2
    store = MemoryStateStore()
    if half:
        follow(store, book, arrivals[:half], arrivals[half - 1].at)
    loaded = store.load(claims_in(arrival.event for arrival in arrivals), [])
    before = msgspec.msgpack.encode(list(loaded.profiles.values()))
    now = arrivals[-1].at + rest
    once = decide(arrivals[half:], loaded, book, now)
    first = msgspec.json.encode([once.merged, list(once.profiles.values()), once.sends, once.moments, once.memberships])
    again = decide(arrivals[half:], loaded, book, now)
    assert msgspec.msgpack.encode(list(loaded.profiles.values())) == before
    assert first == msgspec.json.encode(
        [again.merged, list(again.profiles.values()), again.sends, again.moments, again.memberships]
    )
    assert once.owners == again.owners


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(histories(longest_pause=2 * HOUR))
def test_a_history_that_comes_twice_counts_once(arrivals: list[Arrival]):
    """SDKs send a whole batch again when they missed the answer."""
    end = arrivals[-1].at
    once, twice = MemoryStateStore(), MemoryStateStore()
    follow(once, BOOK, arrivals, end)
    follow(twice, BOOK, arrivals, end)
    again = [Arrival(len(arrivals) + place, end, arrival.event) for place, arrival in enumerate(arrivals, 1)]
    outcome = follow(twice, BOOK, again, end)
    unknown = [arrival for arrival in arrivals if not _is_known(once, arrival.event)]
    assert state_of(twice) == state_of(once)
    assert outcome.repeats == len(arrivals) - len(unknown)


def _is_known(store: MemoryStateStore, event: Event) -> bool:
    """Feedback about a profile that never was is nobody's."""
    return event.profile_id is None or bool(store.load([Claim("profile", event.profile_id)], []).profiles)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_the_order_of_unrelated_peoples_events_does_not_matter(data: st.DataObject):
    """Two people's histories, interleaved in any way that keeps each one's order, at one instant of receipt."""
    streams = []
    for user in ("ana", "bo"):
        names = data.draw(st.lists(st.sampled_from(("View", "Cart", "Order")), min_size=1, max_size=5))
        streams.append([
            Event("track", name, f"{user}{place}", NOON, user, properties={"total": 30})
            for place, name in enumerate(names)
        ])  # fmt: skip
    states = []
    for _ in range(2):
        left = [list(stream) for stream in streams]
        order = []
        while any(left):
            order.append(data.draw(st.sampled_from([stream for stream in left if stream])).pop(0))
        store = MemoryStateStore()
        follow(store, BOOK, [Arrival(place, NOON, event) for place, event in enumerate(order, 1)], NOON + 2 * DAY)
        states.append({user: _life_of(store, user) for user in ("ana", "bo")})
    assert states[0] == states[1]


def _life_of(store: MemoryStateStore, user: str) -> object:
    """What became of a user, without what follows from the place in the log: profile ids, send ids, positions."""
    profile_id = store.owners[Claim("user", user)]
    profile = msgspec.to_builtins(store.profiles[profile_id])
    moments = [
        (moment.at, moment.kind, {key: value for key, value in moment.body.items() if key != "send"})
        for moment in store.moments
        if moment.profile == profile_id
    ]
    sends = [
        (due.ruleset, due.rule, due.template, due.status, due.reason, due.due_at)
        for due in store.sends.values()
        if due.profile == profile_id
    ]
    return profile[1:], moments, sends
