"""Traces against a plain reading of the whole list of events: in any order of arrival, over merges, as time goes on."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triggerfish.activity import Activity, Pick, State, Tally
from triggerfish.ingest import Event
from triggerfish.traces import TRACE_LIMIT, Distinct, Followed, Score, Unfollowed

NOW = 1_000_000
WITHIN = 50
VALUES = ["a", "b", "1", 1, 1.0, 2, True, False, -0.0, 0, 2.5, "", None, [1], {"a": 1}, "é", 2**63, 1e300]

Deed = tuple[int, str]
"""When, and which of two events; "ab" is an event that both selectors take."""

dice = st.randoms(use_true_random=False)


def some_deeds(dice: Random, most: int = 14, spread: int = 400) -> list[Deed]:
    return [
        (NOW - dice.randrange(spread), dice.choice(("a", "b", "a", "b", "ab"))) for _ in range(dice.randrange(most))
    ]


def follow(state: Followed | Unfollowed, told: list[Deed], window: int | None, dice: Random) -> Followed | Unfollowed:
    """The state after these deeds in this order, with what happens on the way: being stored, copied, and forgetting."""
    for at, what in told:
        if window is not None and dice.random() < 0.5:
            state.forget(NOW - window)
        if "a" in what:
            state.add_first(at)
        if "b" in what:
            state.add_then(at)
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=type(state))
    return state


def is_followed(deeds: list[Deed], now: int, window: int | None) -> bool:
    oldest = -1 if window is None else now - window
    firsts = [at for at, what in deeds if "a" in what]
    thens = [at for at, what in deeds if "b" in what]
    return any(0 < then - first <= WITHIN and then > oldest for first in firsts for then in thens)


def is_unfollowed(deeds: list[Deed], now: int, window: int | None) -> bool:
    first = max((at for at, what in deeds if "a" in what), default=None)
    if first is None or now - first <= WITHIN or (window is not None and first <= now - window):
        return False
    return not any(first < at <= first + WITHIN for at, what in deeds if "b" in what)


@pytest.mark.parametrize(("kind", "plain"), [(Followed, is_followed), (Unfollowed, is_unfollowed)])
@given(dice)
@settings(max_examples=250)
def test_a_sequence_is_found_in_any_order_of_arrival_and_over_merges(kind: Any, plain: Any, dice: Random) -> None:
    deeds, window = some_deeds(dice), dice.choice((None, WITHIN + 2, 100, 300))
    told = dice.sample(deeds, len(deeds))
    cut = dice.randrange(len(told) + 1)
    state = follow(kind(WITHIN), told[:cut], window, dice)
    other = follow(kind(WITHIN), told[cut:], window, dice)
    before = other.copy()
    state.unite(other)
    assert other == before
    for now in (NOW, NOW + 1, *(NOW + dice.randrange(500) for _ in range(8))):
        assert state.holds(now, window) is plain(deeds, now, window)


@pytest.mark.parametrize("kind", [Followed, Unfollowed])
@given(dice)
@settings(max_examples=200)
def test_a_sequence_says_when_it_next_changes(kind: Any, dice: Random) -> None:
    window = dice.choice((None, WITHIN + 2, 100, 300))
    state, now = follow(kind(WITHIN), some_deeds(dice), None, dice), NOW
    for _ in range(4):
        turns, held = state.turns(now, window), state.holds(now, window)
        end = now + 1_000 if turns is None else turns
        assert all(state.holds(at, window) is held for at in (*range(now, end, 7), end - 1))
        if turns is None:
            return
        assert turns > now
        assert state.holds(turns, window) is not held
        now = turns
    raise AssertionError("it changes more often than it can")


@pytest.mark.parametrize(("kind", "plain"), [(Followed, is_followed), (Unfollowed, is_unfollowed)])
@pytest.mark.parametrize("seed", range(3))
def test_sequences_of_many_events_stay_small_and_right(kind: Any, plain: Any, seed: int) -> None:
    dice = Random(seed)
    state, deeds, at = kind(WITHIN), [], 0
    window = None if kind is Unfollowed and seed else 400
    for number in range(4_000):
        at += dice.choice((0, 1, 3, 40, 60, 300))
        what = dice.choice("aab" if dice.random() < 0.5 else "bbbbbbbba")
        deeds.append((at, what))
        if window is not None:
            state.forget(at - window)
        state.add_first(at) if what == "a" else state.add_then(at)
        assert len(state.thens) <= TRACE_LIMIT
        if number % 20 == 0:
            assert state.holds(at, window) is plain(deeds[-60:], at, window)
    assert kind is Unfollowed or len(state.firsts) <= TRACE_LIMIT


def test_a_first_that_was_followed_stays_so_however_many_events_come_after() -> None:
    state = Unfollowed(WITHIN)
    state.add_first(0)
    for number in range(3 * TRACE_LIMIT):
        state.add_then(10 + number * (WITHIN + 1))
    assert len(state.thens) == TRACE_LIMIT
    assert not state.holds(NOW, None)


def test_a_late_event_finds_its_pair_among_the_newest() -> None:
    firsts = [number * 2 * WITHIN for number in range(TRACE_LIMIT)]
    for first in firsts:
        state = Followed(WITHIN)
        for at in firsts:
            state.add_first(at)
        state.add_then(first + WITHIN)
        assert state.holds(NOW, None)
    state = Followed(WITHIN)
    for number in range(TRACE_LIMIT):
        state.add_then(number * 2 * WITHIN)
    state.add_first(-WITHIN)
    assert state.paired_at == 0


def test_dense_events_take_little_room() -> None:
    dice = Random(1)
    state = Followed(WITHIN)
    for _ in range(600):
        state.add_first(NOW + dice.randrange(20 * WITHIN))
    assert len(state.firsts) <= 2 * 21


def scored(told: list[tuple[int, float]], half_life: int) -> Score:
    state = Score(half_life)
    for at, weight in told:
        state.add(at, weight)
    return state


@given(dice)
@settings(max_examples=200)
def test_a_score_is_the_sum_of_what_is_left_in_any_order_of_arrival_and_over_merges(dice: Random) -> None:
    half_life = dice.choice((1, 7, 100, 10_000, 10**12))
    told = [(NOW - dice.randrange(2_000), dice.choice((1, 1, 2.5, -3, 99.5, 0))) for _ in range(dice.randrange(12))]
    cut = dice.randrange(len(told) + 1)
    state = scored(told[:cut], half_life)
    state.unite(scored(told[cut:], half_life))
    for now in (NOW, NOW + dice.randrange(5_000)):
        parts = [weight * 2.0 ** -((now - at) / half_life) for at, weight in told]
        most = math.fsum(abs(part) for part in parts)
        assert math.isclose(state.value_at(now), math.fsum(parts), rel_tol=0, abs_tol=1e-12 * most + 1e-300)


def test_a_score_halves_exactly() -> None:
    state = scored([(NOW, 1), (NOW - 700, 3)], 700)
    assert [state.value_at(NOW + 700 * number) for number in range(3)] == [2.5, 1.25, 0.625]


@given(dice)
@settings(max_examples=200)
def test_a_score_says_the_very_millisecond_at_which_it_crosses_a_bound(dice: Random) -> None:
    half_life = dice.choice((1, 7, 1_000, 86_400_000, 10 * 365 * 86_400_000))
    state = scored([(NOW - dice.randrange(2_000), dice.choice((1, 0.1, 7, -3))) for _ in range(3)], half_life)
    now = NOW + dice.choice((0, 1, half_life))
    bound = dice.choice((0, 1, 0.5, -1, 1e-9, 1e-300, state.value_at(now), state.value_at(now + half_life)))
    crosses = state.crosses(bound, now)
    here = side(state, bound, now)
    if crosses is None:
        assert all(side(state, bound, now + round(half_life * 1.07**power)) == here for power in range(110))
        return
    assert side(state, bound, crosses) != here
    for at in (crosses - 1, now, *(dice.randint(now, crosses - 1) for _ in range(50))):
        assert side(state, bound, at) == here


def side(state: Score, bound: float, at: int) -> int:
    value = state.value_at(at)
    return (value > bound) - (value < bound)


def test_a_score_stays_a_number() -> None:
    state = scored([(NOW, 1.7e308), (NOW, 1.7e308)], 7)
    state.unite(scored([(NOW, -1.7e308), (NOW, -1.7e308)], 7))
    assert math.isfinite(state.value_at(NOW))
    assert scored([(0, 1e308)], 1).value_at(10**15) == 0
    assert Score(7).value_at(NOW) == 0
    assert Score(7).crosses(0.5, NOW) is None


@given(dice)
@settings(max_examples=200)
def test_different_values_are_counted_in_any_order_of_arrival_and_over_merges(dice: Random) -> None:
    told = [(NOW - dice.randrange(100), dice.choice(VALUES)) for _ in range(dice.randrange(20))]
    window = dice.choice((None, 10, 50, 200))
    since = None if window is None else NOW - window
    cut = dice.randrange(len(told) + 1)
    states = [Distinct(), Distinct()]
    for state, part in zip(states, (told[:cut], told[cut:]), strict=True):
        for at, value in part:
            state.add(at, value, since)
    states[0].unite(states[1])
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(states[0]), type=Distinct)
    for now in (NOW, NOW + 5, NOW + 40):
        after = None if window is None else now - window
        kept = [(at, value) for at, value in told if after is None or at > after]
        different = {(isinstance(value, bool), isinstance(value, str), value) for _, value in kept if is_value(value)}
        assert stored.count_since(after) == len(different)
        if after is not None:
            leaves = stored.oldest_since(after)
            end = now + 300 if leaves is None else leaves + (window or 0)
            assert all(stored.count_since(at - (window or 0)) == len(different) for at in range(now, end))


def is_value(value: Any) -> bool:
    return isinstance(value, str | int | float)


@pytest.mark.parametrize("seed", range(3))
def test_of_more_values_than_the_limit_the_newest_are_known(seed: int) -> None:
    dice = Random(seed)
    told = [(NOW - dice.randrange(5_000), dice.randrange(3 * TRACE_LIMIT)) for _ in range(6 * TRACE_LIMIT)]
    states = [Distinct(), Distinct(), Distinct()]
    for place, (at, value) in enumerate(told):
        states[2].add(at, value)
        states[place % 2].add(at, value)
    states[0].unite(states[1])
    assert states[0] == states[2]
    assert len(states[0].seen) == TRACE_LIMIT
    for after in (None, *range(NOW - 5_000, NOW, 97)):
        different = {value for at, value in told if after is None or at > after}
        assert states[0].count_since(after) == min(TRACE_LIMIT, len(different))


@pytest.mark.parametrize("state", [Score(7), Distinct(), Followed(WITHIN), Unfollowed(WITHIN)])
def test_a_copy_of_a_trace_shares_nothing(state: State) -> None:
    copy = state.copy()
    assert copy == state
    match copy:
        case Score():
            copy.add(NOW, 1)
        case Distinct():
            copy.add(NOW, "a")
        case Followed() | Unfollowed():
            copy.add_first(NOW)
            copy.add_then(NOW + 1)
    assert copy != state


def event(name: str, at: int, **properties: Any) -> Event:
    return Event("track", name, "m", at, properties=properties)


def test_an_activity_with_two_events_tells_them_apart() -> None:
    then = Pick("buy", lambda properties: properties.get("total", 0) > 5)
    activity = Activity("k", "", "look", kind="followed", span=WITHIN, then=then)
    assert activity.events == ("look", "buy")
    state = activity.start()
    for told in (event("look", NOW), event("buy", NOW + 1, total=1), event("other", NOW + 1, total=9)):
        activity.count(state, told, NOW + 1)
    assert isinstance(state, Followed)
    assert not state.holds(NOW + 1, None)
    activity.count(state, event("buy", NOW + 2, total=9), NOW + 2)
    assert state.holds(NOW + 2, None)


def test_an_event_does_not_follow_itself() -> None:
    activity = Activity("k", "", "look", kind="followed", span=WITHIN, then=Pick("look"))
    assert activity.events == ("look",)
    state = activity.start()
    assert isinstance(state, Followed)
    activity.count(state, event("look", NOW), NOW)
    activity.count(state, event("look", NOW), NOW)
    assert not state.holds(NOW, None)
    activity.count(state, event("look", NOW + WITHIN), NOW + WITHIN)
    assert state.holds(NOW + WITHIN, None)


def test_states_of_all_kinds_are_stored_side_by_side() -> None:
    states: dict[str, State] = {}
    for kind in ("count", "score", "distinct", "followed", "unfollowed"):
        activity = Activity("k", "", "look", field=("sku",), kind=kind, span=WITHIN)
        if kind.endswith("followed"):
            activity = Activity("k", "", "look", kind=kind, span=WITHIN, then=Pick("buy"))
        states[kind] = activity.start()
        for told in (event("look", NOW, sku=3), event("buy", NOW + 3, sku=4)):
            if told.name in activity.events:
                activity.count(states[kind], told, NOW + 3)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(states), type=dict[str, State]) == states


def test_a_sum_that_outgrows_a_whole_number_can_be_stored() -> None:
    activity = Activity("k", "", "buy", field=("total",))
    state = activity.start()
    for _ in range(4):
        activity.count(state, event("buy", NOW, total=2**63 - 1), NOW)
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=State)
    assert isinstance(stored, Tally)
    assert stored.sum == 2.0**65
