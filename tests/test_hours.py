"""The best hour: a person's own, else everybody's, else a fixed one; not before it may leave, nor after its time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggerfish import hours
from triggerfish.clock import DAY, HOUR, MINUTE
from triggerfish.errors import RulebookBroken
from triggerfish.hours import best, rhythm_of
from triggerfish.profile import OPENING_LIMIT, Opening, merge
from triggerfish.zones import Local, Zones
from worlds import MONDAY, NOON, World, feedback, identify, rulebook, track

LETTER = "{ruleset: r, rules: [{name: v, on: View, then: [{send: hello, at: best_hour, within: %s}]}]}"
BERLIN = {"timezone": "Europe/Berlin"}


def known(*texts: str, **more) -> World:
    world = World(*texts)
    world.take(identify(MONDAY - 40 * DAY, email="ana@example.com", **more))
    return world


def opened(world: World, *hours_ago: int, human: float | None = 1.0, name: str = "Email Opened") -> None:
    more = {} if human is None else {"human": human}
    for ago in sorted(hours_ago, reverse=True):
        world.take(feedback(name, MONDAY - ago * HOUR, world.id_of("ana"), send_id="s", **more))


def test_a_message_waits_for_the_hour_at_which_the_person_opens() -> None:
    world = known(LETTER % "24 hours", context=BERLIN)
    opened(world, 6, 30, 54)  # 18:00 in UTC, which is 19:00 in Berlin
    world.take(track("View", MONDAY + 8 * HOUR))
    assert world.told() == [("hello", "scheduled", "best hour, 19:00 (from 3 opens and clicks)")]
    assert world.sends[0].due_at == MONDAY + 18 * HOUR
    world.wait_until(MONDAY + 18 * HOUR)
    assert world.told() == [("hello", "due", "")]


def test_within_the_best_hour_a_message_leaves_at_once() -> None:
    world = known(LETTER % "24 hours")
    opened(world, 6, 30, 54)
    world.take(track("View", MONDAY + 18 * HOUR + 59 * MINUTE))
    assert world.told() == [("hello", "due", "")]


def test_of_the_hours_that_come_in_time_the_best_is_taken() -> None:
    world = known(LETTER % "3 hours")
    opened(world, 6, 30, 54, 12, 36)
    world.take(track("View", MONDAY + 10 * HOUR))
    assert world.told() == [("hello", "scheduled", "best hour, 12:00 (from 5 opens and clicks)")]


def test_a_better_hour_that_is_learnt_of_meanwhile_is_waited_for_but_not_for_ever() -> None:
    world = known(LETTER % "12 hours")
    opened(world, 12, 36, 60)
    world.take(track("View", MONDAY + 10 * HOUR))
    assert world.sends[0].due_at == NOON
    for day in range(1, 9):
        world.take(feedback("Email Opened", NOON - HOUR + day, world.id_of("ana"), human=1.0, send_id=f"s{day}"))
    later = [Opening(MONDAY - day * DAY, 20, 1.0) for day in range(1, 9)]
    profile = world.memory.profiles[world.id_of("ana")]
    profile.openings += later
    world.wait_until(NOON)
    assert world.told()[0][2].startswith("best hour, 20:00")
    profile = world.memory.profiles[world.id_of("ana")]
    profile.openings += [Opening(NOON + place, 23, 1.0) for place in range(30)]
    world.wait_until(MONDAY + 20 * HOUR)
    assert world.told()[0][1] == "due"  # 23:00 is later than twelve hours after it was to leave first


@pytest.mark.parametrize(
    ("human", "source"),
    [(1.0, "from 3 opens and clicks"), (0.9, "nobody's opens are known yet"), (None, "nobody's opens are known yet")],
)
def test_enough_must_be_known_of_a_person_s_own_hours(human: float | None, source: str) -> None:
    world = known(LETTER % "24 hours")
    opened(world, 6, 30, 54, human=human)
    world.take(track("View", MONDAY + 11 * HOUR))
    assert source in world.told()[0][2]


def test_what_a_program_opened_says_nothing() -> None:
    world = known(LETTER % "24 hours")
    opened(world, *range(6, 600, 24), human=0.0)
    assert world.who().openings == []
    assert world.store.load([], []).hours == ()


def test_clicks_count_as_opens_do_and_several_within_an_hour_are_one() -> None:
    world = known(LETTER % "24 hours")
    ana = world.id_of("ana")
    for minute, name, human in ((0, "Email Opened", 0.3), (5, "Email Link Clicked", 1.0), (9, "Email Opened", 0.5)):
        world.take(feedback(name, NOON + minute * MINUTE, ana, human=human, send_id="s"))
    assert world.who().openings == [Opening(NOON + 5 * MINUTE, 12, 1.0)]
    assert world.store.load([], []).hours[12] == 1_000
    world.take(feedback("Email Delivered", NOON + 10 * MINUTE, ana, send_id="s"))
    assert len(world.who().openings) == 1


def test_everybody_s_hours_stand_in_for_a_person_of_whom_nothing_is_known() -> None:
    world = known(LETTER % "24 hours", "{ruleset: s, rules: [{name: w, on: Look, then: [{send: offer}]}]}")
    for number in range(hours.ENOUGH_OF_ALL // hours.THOUSANDTHS):
        user = f"u{number}"
        world.take(identify(MONDAY, user=user, email=f"{user}@example.com", context=BERLIN))
        world.take(feedback("Email Opened", MONDAY + 7 * HOUR, world.id_of(user), human=1.0, send_id="s"))
    world.take(track("View", MONDAY + 20 * HOUR))
    assert world.told() == [("hello", "scheduled", "best hour, 08:00 (when most people open)")]
    assert world.sends[0].due_at == MONDAY + DAY + 8 * HOUR


def test_when_nothing_is_known_at_all_it_is_ten() -> None:
    world = known(LETTER % "24 hours")
    world.take(track("View", MONDAY + 20 * HOUR))
    assert world.told() == [("hello", "scheduled", "best hour, 10:00 (nobody's opens are known yet)")]


def test_an_hour_at_which_nothing_may_leave_is_never_the_best() -> None:
    policy = "policy: {quiet_hours: {start: '18:30', end: '08:00'}, send_windows: [{from: '09:30', to: '20:00'}]}"
    world = known(policy, LETTER % "24 hours")
    opened(world, *(hour + 24 * day for hour in (1, 15) for day in range(4)))  # 23:00 and 09:00
    world.take(track("View", MONDAY + 12 * HOUR))
    assert world.told()[0][2].startswith("best hour, 09:00")
    assert world.sends[0].due_at == MONDAY + DAY + 9 * HOUR + 30 * MINUTE


def test_an_old_open_counts_for_less() -> None:
    old = [Opening(MONDAY - 365 * DAY + day * DAY, 7, 1.0) for day in range(4)]
    new = [Opening(MONDAY - day * DAY, 20, 1.0) for day in range(1, 3)]
    worth = rhythm_of([*old, *new], (), MONDAY).worth
    assert max(range(24), key=lambda hour: worth[hour]) == 20


def test_of_two_who_become_one_the_newest_opens_are_kept() -> None:
    world = known(LETTER % "24 hours")
    world.take(identify(MONDAY, user="bo", email="bo@example.com"))
    ana, bo = world.who().copy(), world.who("bo").copy()
    ana.openings = [Opening(NOON + place * HOUR, 1, 1.0) for place in range(0, 2 * OPENING_LIMIT, 2)]
    bo.openings = [Opening(NOON + place * HOUR, 2, 1.0) for place in range(1, 2 * OPENING_LIMIT, 2)]
    merge(ana, bo, because="test", message_id="m", now=NOON)
    assert [opening.at for opening in ana.openings] == [
        NOON + place * HOUR for place in range(OPENING_LIMIT, 2 * OPENING_LIMIT)
    ]


@pytest.mark.parametrize(
    "how",
    ["at: best_hour", "within: 1 day", "at: best_hour, within: 8 days"],
)
def test_a_best_hour_needs_an_end_that_is_near(how: str) -> None:
    with pytest.raises(RulebookBroken) as broken:
        rulebook(LETTER.replace("at: best_hour, within: %s", how))
    assert [each.code for each in broken.value.problems] == ["TF642"]


def test_a_receipt_cannot_wait_for_an_hour() -> None:
    with pytest.raises(RulebookBroken) as broken:
        rulebook("{ruleset: r, rules: [{name: v, on: View, then: [{send: receipt, at: best_hour, within: 1 day}]}]}")
    assert [each.code for each in broken.value.problems] == ["TF642"]


@given(
    st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 23), st.floats(0.1, 1.0)), max_size=12),
    st.sampled_from(["Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "America/New_York"]),
    st.integers(0, 400 * 24 * 60),
    st.integers(1, 30 * 60),
)
def test_the_best_hour_is_in_time_and_none_in_time_is_worth_more(opens, zone: str, minute: int, within: int) -> None:
    now = MONDAY + minute * MINUTE
    until = now + within * MINUTE
    rhythm = rhythm_of([Opening(now - ago * HOUR, hour, human) for ago, hour, human in opens], (), now)
    local = Local(now, Zones().of(zone))
    found = best(rhythm, local, until, lambda local: local.now)
    assert found is not None
    assert now <= found.at < until
    assert Local(found.at, local.zone).hour == found.hour
    for at in range(now, until, MINUTE):
        worth = rhythm.worth[Local(at, local.zone).hour]
        assert worth <= rhythm.worth[found.hour]
        assert worth < rhythm.worth[found.hour] or at >= found.at
