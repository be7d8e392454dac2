"""How rules are doing: counted as they decide, told without looking at every line."""

from __future__ import annotations

from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from told import Shop
from triggerfish.adapters.stopwatch import SAMPLE_EVERY, Stopwatch
from triggerfish.clock import DAY, HOUR, to_iso
from triggerfish.conditions import View
from triggerfish.engine import Moment
from triggerfish.health import Reign, RuleDay, Spent, quiet_days, tell_health
from triggerfish.profile import Profile
from worlds import MONDAY, NOON, identify, rulebook, track

BOOK = """
    ruleset: r
    rules:
      - {name: seen, on: Look, then: [{set: {seen: true}}]}
      - {name: rich, on: Look, when: event.value > 10, then: [{send: offer}]}
      - {name: later, on: Look, when: event.value > 10, wait: 1 hour, then: [{send: news}]}
"""
RULE = ("r", "seen")


@pytest.fixture
def shop(tmp_path):
    with closing(Shop(tmp_path, BOOK)) as shop:
        yield shop


def health_of(shop, rule):
    return next(each for each in shop.reads.health() if each.rule == rule)


def days(*fired_on, outcome="acted", count=1):
    return [RuleDay("r", "seen", day, "decision", outcome, count, day * DAY + HOUR) for day in fired_on]


def test_what_rules_come_to_is_counted_in_the_transaction_of_what_they_decided(shop):
    shop.take(identify(NOON - HOUR, email="ana@example.com"))
    for hour in range(3):
        shop.take(track("Look", NOON + hour * HOUR, properties={"value": 5 + 10 * hour}))
    seen, rich, later = shop.reads.health()
    assert [each.by_day[-1] for each in (seen, rich, later)] == [3, 2, 2]
    assert [each.last_fired for each in (seen, rich)] == [to_iso(NOON + 2 * HOUR)] * 2
    assert (seen.matches_a_day_7, seen.matches_a_day_30) == (round(3 / 7, 2), 0.1)
    assert seen.said == [
        "When Look happens:",
        "  - set their seen to true",
        "An event that is older than 1 hour wakes nothing.",
    ]


def test_messages_that_failed_count_as_errors(shop):
    shop.take(identify(NOON, email="ana@example.com"), track("Look", NOON, properties={"value": 20}))
    body = {"send": "s", "rule": "r / rich", "template": "offer"}
    who = shop.world.id_of("ana")
    for status in ("failed", "uncertain", "sent"):
        shop.note(Moment(who, NOON, "send", body | {"status": status}))
    rich = health_of(shop, "rich")
    assert (rich.errors_7, rich.sentence) == (2, "2 messages failed or may have in the last 7 days")


def test_a_rule_that_has_never_fired_says_so(shop):
    assert (health_of(shop, "rich").last_fired, health_of(shop, "rich").sentence) == (None, "has never fired")


def test_a_rule_that_used_to_fire_and_has_stopped_is_flagged_with_the_rulebook_that_came_in_between():
    today = MONDAY // DAY
    fired = days(*range(today - 20, today - 8))
    reigns = [Reign(0, 0, "v1"), Reign(9, (today - 8) * DAY, "v2")]
    (told,) = tell_health([RULE], fired, [], reigns, MONDAY + HOUR)
    assert told.has_stopped
    assert told.sentence == (
        f"fired on 12 of 14 days, and not for 9 days since {to_iso((today - 9) * DAY + HOUR)}; "
        f"the next rulebook, v2, went live at {to_iso((today - 8) * DAY)}"
    )


@pytest.mark.parametrize(
    ("fired_on", "today", "quiet"),
    [
        ([], 100, None),
        ([90, 91, 92, 93], 100, None),  # four days are no habit
        ([90, 91, 92, 93, 94], 96, None),  # two days are soon
        ([90, 91, 92, 93, 94], 97, 3),
        ([82, 85, 88, 91, 94], 102, None),  # it usually pauses three days: nine are too long, eight are not
        ([82, 85, 88, 91, 94], 103, 9),
        ([10, 11, 12, 13, 90], 100, None),  # what was long ago is no habit any more
    ],
)
def test_stopped_means_so_many_days_and_three_usual_pauses(fired_on, today, quiet):
    assert quiet_days(set(fired_on), today) == quiet


@given(st.sets(st.integers(0, 60)), st.integers(60, 90))
def test_a_rule_that_fires_today_has_not_stopped(fired_on, today):
    assert quiet_days(fired_on | {today}, today) is None


def test_skipped_decisions_are_matches_and_do_not_count_as_firing():
    today = MONDAY // DAY
    (told,) = tell_health([RULE], days(today, outcome="skipped", count=4), [], [], MONDAY)
    assert (told.by_day[-1], told.last_fired) == (4, None)


def test_shares_of_time_add_up_to_one():
    today = MONDAY // DAY
    spent = [
        Spent("r", "seen", today, 1, 300),
        Spent("r", "rich", today, 1, 100),
        Spent("r", "rich", today - 7, 1, 900),
    ]
    seen, rich = tell_health([RULE, ("r", "rich")], [], spent, [], MONDAY)
    assert (seen.share_of_time, rich.share_of_time) == (0.75, 0.25)


def test_the_stopwatch_samples_events_and_changes_no_answer():
    book = rulebook(BOOK)
    ticks = iter(range(0, 10**9, 7))
    watch = Stopwatch(book, clock=lambda: next(ticks))
    event = track("Look", NOON, properties={"value": 20})
    view = View(Profile("p", NOON, NOON), NOON, book.zones, event=event)
    assert all(watch.match(view) == book.match(view) for _ in range(2 * SAMPLE_EVERY))
    taken = {each.rule: each for each in watch.take()}
    assert set(taken) == {"seen", "rich", "later"}
    assert {each.samples for each in taken.values()} == {2}
    assert {each.nanoseconds for each in taken.values()} == {14}
    assert watch.take() == []


def test_which_rulebook_reigned_is_noted_once(shop):
    for version in ("a", "a", "b", "a"):
        shop.store.begin(version)
    shop.take(track("Look", NOON))
    assert [reign.version for reign in shop.reads.past("ana", 10).reigns] == ["v1", "a", "b", "a"]


def test_counts_of_long_ago_are_forgotten_when_a_rulebook_begins(shop):
    shop.take(track("Look", NOON))
    shop.take(track("Look", NOON + 500 * DAY))
    shop.store.begin("next")
    rows = shop.store._all("SELECT day FROM rule_days")
    assert rows == [((NOON + 500 * DAY) // DAY,)]
