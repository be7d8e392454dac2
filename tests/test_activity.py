from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggerfish.activity import BUCKETS_A_WINDOW, EXACT_LIMIT, Activity, Tally, Window
from triggerfish.ingest import Event

WIDTH = 100
WINDOW = BUCKETS_A_WINDOW * WIDTH
NOW = 1_000_000
VALUES = [None, 0, 1, 5, -2, 2.5, "text", True]

Told = list[tuple[int, Any]]
"""Events as (instant, value), in the order in which they were told."""

numbered = st.dictionaries(st.integers(NOW - WINDOW - 500, NOW), st.sampled_from(VALUES), max_size=80).map(
    lambda table: list(table.items())
)


def window(told: Told, now: int = NOW) -> Window:
    state = Window(WIDTH)
    for at, value in told:
        state.add(at, value, now - WINDOW)
    return state


def tally(told: Told) -> Tally:
    state = Tally()
    for at, value in told:
        state.add(at, value)
    return state


def many(dice: Random, count: int, spread: int = WINDOW) -> Told:
    return [(NOW - dice.randrange(spread), dice.choice(VALUES)) for _ in range(count)]


def numbers(told: Told) -> list[float]:
    return [value for _, value in told if type(value) in (int, float)]


def totals(state: Window, after: int) -> tuple[int, int, float]:
    """Count, how many are numbers, and their sum."""
    found = [summary for _, summary, _ in state.since(after)]
    return sum(one.count for one in found), sum(one.numbers for one in found), sum(one.sum for one in found)


def is_late_at_most_a_64th(state: Window, told: Told, after: int) -> bool:
    """Nothing leaves early, and nothing stays longer than a cell of the grid."""
    exact = sum(at > after for at, _ in told)
    return exact <= state.count_since(after) <= sum(at > after - WIDTH for at, _ in told)


@given(numbered, st.randoms(use_true_random=True))
def test_a_window_is_exact_in_any_order_of_arrival(told, dice):
    shuffled = dice.sample(told, len(told))
    state = window(shuffled)
    assert state == window(sorted(told, key=lambda entry: entry[0]))
    assert not state.buckets
    for after in (NOW - WINDOW, NOW - WINDOW // 2, NOW - 1, NOW, *(at for at, _ in told[:9] if at >= NOW - WINDOW)):
        kept = sorted((entry for entry in told if entry[0] > after), key=lambda entry: entry[0])
        assert state.count_since(after) == len(kept)
        assert [(at, value) for at, _, value in state.since(after)] == kept
        assert totals(state, after) == (len(kept), len(numbers(kept)), sum(numbers(kept)))
        assert state.oldest_since(after) == (kept[0][0] if kept else None)


def test_a_window_is_exact_up_to_its_limit_and_not_beyond():
    dice = Random(1)
    told = many(dice, EXACT_LIMIT)
    state = window(told)
    assert not state.buckets
    for after in range(NOW - WINDOW, NOW, 7):
        assert state.count_since(after) == sum(at > after for at, _ in told)
    state.add(NOW, 1, NOW - WINDOW)
    assert state.buckets
    assert state.count_since(NOW - WINDOW) == EXACT_LIMIT + 1


@pytest.mark.parametrize("count", [EXACT_LIMIT + 1, 900, 3_000])
@pytest.mark.parametrize("seed", range(6))
def test_beyond_the_limit_an_event_leaves_at_most_a_64th_late(count, seed):
    dice = Random(seed)
    told = many(dice, count, spread=dice.choice((WINDOW, WINDOW // 2, WIDTH * 3, WIDTH // 2)))
    if dice.random() < 0.5:
        told.sort(key=lambda entry: entry[0])
    state = window(told)
    assert totals(state, NOW - WINDOW) == (count, len(numbers(told)), sum(numbers(told)))
    for after in range(NOW - WINDOW, NOW + 1, 13):
        assert is_late_at_most_a_64th(state, told, after)


@pytest.mark.parametrize("seed", range(4))
def test_a_window_that_slides_stays_small_and_right(seed):
    dice = Random(seed)
    told: Told = []
    state = Window(WIDTH)
    now = NOW
    for _ in range(6_000):
        now += dice.choice((0, 0, 1, 3, 40))
        at = now - dice.choice((0, 0, 0, 5, WIDTH, WINDOW // 2, WINDOW - 1, WINDOW + 5))
        told.append((at, 1))
        state.add(at, 1, now - WINDOW)
        assert len(state.times) == len(state.values) <= EXACT_LIMIT
        assert len(state.buckets) <= BUCKETS_A_WINDOW + 2
    for after in range(now - WINDOW, now, 31):
        assert is_late_at_most_a_64th(state, told, after)
    assert state.times == sorted(state.times)
    assert [bucket.cell for bucket in state.buckets] == sorted({bucket.cell for bucket in state.buckets})


def test_what_left_the_window_is_forgotten():
    state = window([(NOW - WINDOW + 1, 1), (NOW, 2)])
    state.add(NOW + 1, 3, NOW + 1 - WINDOW)
    assert state.times == [NOW, NOW + 1]
    state.add(NOW - WINDOW, 4, NOW + 1 - WINDOW)
    assert state.times == [NOW, NOW + 1]


@given(numbered, st.randoms(use_true_random=True))
def test_a_tally_is_the_same_in_any_order_of_arrival(told, dice):
    state = tally(dice.sample(told, len(told)))
    found = numbers(told)
    assert (state.count, state.numbers, state.sum) == (len(told), len(found), sum(found))
    assert (state.low, state.high) == (min(found, default=None), max(found, default=None))
    if told:
        assert (state.first_at, state.first) == min(told, key=lambda entry: entry[0])
        assert (state.last_at, state.last) == max(told, key=lambda entry: entry[0])
    else:
        assert state == Tally()


@given(numbered, st.data())
def test_two_tallies_united_are_the_tally_of_both(told, data):
    cut = data.draw(st.integers(0, len(told)))
    united = tally(told[:cut])
    united.unite(tally(told[cut:]))
    assert united == tally(told)


@given(numbered, st.data())
def test_two_windows_united_are_the_window_of_both(told, data):
    cut = data.draw(st.integers(0, len(told)))
    united = window(told[:cut])
    united.unite(window(told[cut:]))
    assert united == window(told)


@pytest.mark.parametrize(("ours", "theirs"), [(300, 300), (2_000, 10), (10, 2_000), (900, 900)])
def test_large_windows_united_are_late_at_most_a_64th(ours, theirs):
    dice = Random(ours)
    mine, others = many(dice, ours), many(dice, theirs)
    state, other = window(mine), window(others)
    before = other.copy()
    state.unite(other)
    assert other == before
    for after in range(NOW - WINDOW, NOW + 1, 13):
        assert is_late_at_most_a_64th(state, mine + others, after)
    more = many(dice, 700)
    for at, value in more:
        state.add(at, value, NOW - WINDOW)
    for after in range(NOW - WINDOW, NOW + 1, 13):
        assert is_late_at_most_a_64th(state, mine + others + more, after)


def test_the_newest_value_is_known_beyond_the_limit():
    state = window([(NOW - WINDOW + 1 + n, n) for n in range(EXACT_LIMIT + 100)])
    assert state.newest() == (NOW - WINDOW + EXACT_LIMIT + 100, EXACT_LIMIT + 99)
    assert Window(WIDTH).newest() is None


@pytest.mark.parametrize("count", [0, 3, EXACT_LIMIT + 200])
def test_a_copy_shares_nothing(count):
    told = many(Random(2), count)
    for state in (window(told), tally(told)):
        copy = state.copy()
        assert copy == state
        for at, value in many(Random(3), 300):
            if isinstance(copy, Window):
                copy.add(at, value, NOW - WINDOW)
            else:
                copy.add(at, value)
        assert state == (window(told) if isinstance(state, Window) else tally(told))
        assert copy != state


@pytest.mark.parametrize("count", [0, 3, EXACT_LIMIT + 200])
def test_states_survive_being_stored(count):
    told = many(Random(4), count)
    states = {"w": window(told), "t": tally(told)}
    stored = msgspec.msgpack.encode(states)
    assert msgspec.msgpack.decode(stored, type=dict[str, Tally | Window]) == states


def event(**properties: Any) -> Event:
    return Event("track", "purchase", "m", NOW, properties=properties)


def test_an_activity_counts_what_its_filter_keeps():
    activity = Activity("k", "", "purchase", keeps=lambda properties: properties.get("total", 0) > 50)
    state = activity.start()
    for total in (10, 60, 51):
        activity.count(state, event(total=total), NOW)
    assert isinstance(state, Tally)
    assert state.count == 2


def test_an_activity_of_a_property_counts_events_that_have_it():
    activity = Activity("k", "", "purchase", field=("cart", "total"), window=WINDOW)
    state = activity.start()
    for properties in ({"cart": {"total": 5}}, {"cart": {"total": None}}, {"cart": 5}, {}, {"cart": {"total": "x"}}):
        activity.count(state, event(**properties), NOW)
    assert isinstance(state, Window)
    assert state.values == [5, "x"]
    assert totals(state, NOW - WINDOW) == (2, 1, 5)


def test_the_grid_of_a_tiny_window_has_a_cell():
    state = Activity("k", "", "purchase", window=5).start()
    assert isinstance(state, Window)
    assert state.width == 1
