"""How much is decided in one go: everything there is, but a portion while messages leave."""

from __future__ import annotations

import pytest

from triggerfish.processes.portions import LEAST, SECONDS, Portions


def told(*batches: tuple[int, float], most: int = 2_000) -> Portions:
    portions = Portions(most)
    for count, seconds in batches:
        portions.took(count, seconds)
    return portions


def test_a_batch_is_as_large_as_it_may_be_while_nothing_leaves_or_nothing_is_known():
    assert told((2_000, 4.0)).next(is_sending=False) == 2_000
    assert told().next(is_sending=True) == 2_000


@pytest.mark.parametrize(("count", "seconds"), [(2_000, 0.4), (500, 0.1), (10, 0.002)])
def test_while_messages_leave_a_batch_takes_as_long_as_it_may(count, seconds):
    assert told((count, seconds)).next(is_sending=True) == pytest.approx(SECONDS / 0.0002, abs=1)


@pytest.mark.parametrize(("most", "seconds", "size"), [(2_000, 100.0, LEAST), (20, 100.0, 20), (300, 0.001, 300)])
def test_no_batch_is_smaller_than_a_commit_is_worth_or_larger_than_the_settings_say(most, seconds, size):
    assert told((10, seconds), most=most).next(is_sending=True) == size


def test_it_follows_what_events_take_and_one_slow_batch_does_not_decide_alone():
    portions = told(*[(100, 0.02)] * 5, (100, 0.2))
    once = portions.next(is_sending=True)
    assert SECONDS / 0.002 < once < SECONDS / 0.0002
    for _ in range(20):
        portions.took(100, 0.2)
    assert portions.next(is_sending=True) == pytest.approx(SECONDS / 0.002, abs=1)
