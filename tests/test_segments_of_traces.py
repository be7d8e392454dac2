"""Segments that depend on what fades, on different values, on trends and on sequences: exact, whatever the order."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.language import Deed, some_sequence, text_holds
from contracts.language import World as Plain
from triggerfish.clock import DAY, HOUR, MINUTE
from triggerfish.profile import Profile
from worlds import NOON, World, alias, track


def world(when: str) -> World:
    return World(f"events: {{purchase: Order Completed}}\nsegments: [{{name: s, when: '{when}'}}]")


def moves(of: World) -> list[tuple[int, str]]:
    return [(moment.at, moment.body["change"]) for moment in of.moments("segment")]


def test_somebody_who_did_one_thing_and_not_the_other_is_found_when_the_time_is_over():
    found = world('sequence(view, not purchase, within="1h", window="1d")')
    found.take(track("view", NOON))
    found.take(track("view", NOON + MINUTE))
    found.wait_until(NOON + 2 * DAY)
    assert moves(found) == [(NOON + MINUTE + HOUR + 1, "entered"), (NOON + MINUTE + DAY, "left")]


def test_somebody_who_did_the_other_in_time_is_not():
    found = world('sequence(view, not purchase, within="1h")')
    found.take(track("view", NOON))
    found.take(track("Order Completed", NOON + HOUR))
    found.wait_until(NOON + DAY)
    assert moves(found) == []
    found.take(track("view", NOON + DAY))
    found.take(track("Order Completed", NOON + DAY + HOUR + 1))
    assert moves(found) == [(NOON + DAY + HOUR + 1, "entered")]


def test_a_late_event_takes_back_what_it_contradicts():
    found = world('sequence(view, not purchase, within="1h")')
    found.take(track("view", NOON))
    found.wait_until(NOON + 2 * HOUR)
    found.take(track("Order Completed", NOON + HOUR), at=NOON + 3 * HOUR)
    assert moves(found) == [(NOON + HOUR + 1, "entered"), (NOON + 3 * HOUR, "left")]


def test_a_sequence_lasts_as_long_as_its_window():
    found = world('sequence(view, purchase, within="1h", window="1d")')
    found.take(track("Order Completed", NOON + HOUR))
    found.take(track("view", NOON + HOUR - 1), at=NOON + 2 * HOUR)
    found.wait_until(NOON + 9 * DAY)
    assert moves(found) == [(NOON + 2 * HOUR, "entered"), (NOON + HOUR + DAY, "left")]


def test_a_score_is_left_at_the_millisecond_at_which_it_falls_below():
    found = world('score(view, half_life="1h") >= 0.5')
    found.take(track("view", NOON))
    found.wait_until(NOON + DAY)
    assert moves(found) == [(NOON, "entered"), (NOON + HOUR + 1, "left")]


def test_a_trend_changes_when_an_event_leaves_either_window():
    found = world('trend(view, short="1d", long="4d") < 1')
    for number in range(4):
        found.take(track("view", NOON + number * (DAY - 1)))
    last = NOON + 3 * (DAY - 1)
    found.wait_until(NOON + 30 * DAY)
    # With the last of them it is one a day, and four in four days. A day later there is none; in the end, nothing.
    assert moves(found) == [(last + DAY, "entered"), (last + 4 * DAY, "left")]


def test_different_values_leave_when_they_were_last_seen_long_enough_ago():
    found = world('distinct(view.sku, "1d") >= 2')
    for at, sku in ((0, "a"), (HOUR, "b"), (2 * HOUR, "a"), (3 * HOUR, 5)):
        found.take(track("view", NOON + at, properties={"sku": sku}))
    found.wait_until(NOON + 9 * DAY)
    assert moves(found) == [(NOON + HOUR, "entered"), (NOON + DAY + 2 * HOUR, "left")]


def test_a_merge_makes_one_sequence_of_what_two_did():
    found = world('sequence(view, purchase, within="1h")')
    found.take(track("view", NOON, user=None, anon="a1"))
    found.take(track("Order Completed", NOON + MINUTE))
    assert found.segments() == []
    found.take(alias(NOON + HOUR, "ana", "a1"))
    assert found.segments() == ["s"]


def some_condition(dice: Random) -> str:
    bound = dice.choice((0, 0.3, 0.5, 1, 1.5, 2, 3))
    match dice.randrange(4):
        case 0:
            return some_sequence(dice).replace("'", '"').replace('"A-1"', '"A"')
        case 1:
            return f'score({dice.choice(("view", "purchase", "view.total"))}, half_life="1h") > {bound}'
        case 2:
            return f'distinct({dice.choice(("view.sku", "purchase.total"))}, "1h") {dice.choice(("<", ">="))} {bound}'
    return f'trend({dice.choice(("view", "purchase.total"))}, short="30 minutes", long="2h") <= {bound}'


@pytest.mark.parametrize("is_merged", [False, True])
@given(dice=st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_memberships_are_those_of_a_plain_reading_at_every_instant(dice: Random, is_merged: bool) -> None:
    """Events come in any order, to one person or to two who become one; then time alone goes on."""
    text = some_condition(dice)
    found, deeds = world(text), []
    for number in range(dice.randint(1, 9)):
        name, at = dice.choice(("view", "Order Completed")), NOON - dice.randrange(3 * HOUR)
        properties = {"total": dice.choice((1, 60, 2.5)), "sku": dice.choice(("A", "B", 1))}
        deeds.append(Deed(name, at, properties))
        user, anon = (None, "a1") if is_merged and number % 2 else ("ana", None)
        found.take(track(name, at, user=user, anon=anon, properties=properties, message_id=f"m{number}"), at=NOON)
    if is_merged and len(deeds) > 1:
        found.take(alias(NOON, "ana", "a1"), at=NOON)
    deeds.sort(key=lambda deed: deed.at)
    now = NOON
    for _ in range(12):
        ana = found.who()
        assert ("s" in ana.memberships) is text_holds(text, Plain(now=now, deeds=tuple(deeds)))
        for at in between(now, ana, dice):
            assert text_holds(text, Plain(now=at, deeds=tuple(deeds))) is ("s" in ana.memberships)
        if ana.recheck_at is None:
            return
        now = ana.recheck_at
        found.wait_until(now)


def between(now: int, ana: Profile, dice: Random) -> list[int]:
    """Instants up to the one at which the membership is looked at again."""
    end = now + 40 * DAY if ana.recheck_at is None else ana.recheck_at - 1
    near = (now, now + 1, end - 1, end, *(dice.randint(now, max(now, end)) for _ in range(6)))
    return [at for at in near if now <= at <= end]
