"""Quiet hours and send windows by the person's own clock, held to a table of every minute around a change of clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triggerfish.clock import DAY, HOUR, MINUTE, from_datetime, to_datetime
from triggerfish.errors import RulebookBroken
from triggerfish.rules import Policy, Quiet, SendWindow
from triggerfish.windows import shut
from triggerfish.zones import WEEKDAYS, Local
from worlds import MONDAY, World, identify, rulebook, track

CHANGES = {
    "Europe/Berlin": [(2026, 3, 29), (2026, 10, 25)],
    "America/New_York": [(2026, 3, 8), (2026, 11, 1)],
    "America/Sao_Paulo": [(2018, 11, 4), (2018, 2, 18)],
    "Australia/Lord_Howe": [(2026, 4, 5), (2026, 10, 4)],
    "Pacific/Apia": [(2011, 12, 30)],
    "Asia/Kathmandu": [(2026, 1, 1)],
}
"""Gaps and overlaps: of an hour, of half an hour, at midnight, of a whole day; and a zone without any."""
SPAN = 16
"""Days that the table has, the change in the middle; what is asked lies in the first ten."""


@cache
def table(zone: str, day: tuple[int, int, int]) -> tuple[int, list[tuple[date, int]]]:
    """The first instant, and each minute's local date and minute of the day."""
    start = from_datetime(datetime(*day, tzinfo=UTC) - timedelta(days=5))
    local = [to_datetime(start + n * MINUTE).astimezone(ZoneInfo(zone)) for n in range(SPAN * 24 * 60)]
    return start, [(each.date(), each.hour * 60 + each.minute) for each in local]


def first(walls: list[tuple[date, int]], day: date, minute: int) -> int:
    """The place of the first minute at which a local time has come."""
    return next((place for place, wall in enumerate(walls) if wall >= (day, minute)), len(walls))


def open_minutes(policy: Policy, walls: list[tuple[date, int]]) -> list[bool]:
    days = [walls[0][0] + timedelta(days=n) for n in range(-1, SPAN + 2)]
    is_open = [not policy.windows] * len(walls)
    for day in days:
        for window in policy.windows:
            if day.weekday() in window.days:
                end = first(walls, day + timedelta(days=window.end <= window.start), window.end)
                for place in range(first(walls, day, window.start), end):
                    is_open[place] = True
    for day in days if policy.quiet else []:
        quiet = policy.quiet
        end = first(walls, day + timedelta(days=quiet.end <= quiet.start), quiet.end)
        for place in range(first(walls, day, quiet.start), end):
            is_open[place] = False
    return is_open


TIMES = st.sampled_from([0, 30, 90, 120, 130, 150, 180, 540, 1080, 1260, 1410, 1439])
WINDOWS = st.builds(
    SendWindow, st.frozensets(st.integers(0, 6), min_size=2), TIMES, TIMES
)  # fmt: skip
QUIET = st.none() | st.tuples(TIMES, TIMES).filter(lambda pair: pair[0] != pair[1]).map(lambda pair: Quiet(*pair))


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_marketing_leaves_at_exactly_the_minutes_that_a_calendar_says(data: st.DataObject) -> None:
    zone = data.draw(st.sampled_from(sorted(CHANGES)))
    day = data.draw(st.sampled_from(CHANGES[zone]))
    policy = Policy(quiet=data.draw(QUIET), windows=tuple(data.draw(st.lists(WINDOWS, max_size=2))))
    start, walls = table(zone, day)
    is_open = open_minutes(policy, walls)
    for place in data.draw(st.lists(st.integers(1440, 10 * 1440), min_size=5, max_size=20)):
        held = shut(policy, Local(start + place * MINUTE, ZoneInfo(zone)))
        if is_open[place]:
            assert held is None
            continue
        assert held is not None
        following = next((n for n in range(place, len(walls)) if is_open[n]), None)
        if following is not None:
            assert held.until == start + following * MINUTE
        assert held.until > start + place * MINUTE


def test_the_first_thing_in_the_way_is_what_is_said() -> None:
    policy = Policy(quiet=Quiet(21 * 60, 8 * 60), windows=(SendWindow(frozenset(range(5)), 9 * 60, 17 * 60),))
    zone = ZoneInfo("UTC")
    monday = MONDAY + 9 * HOUR
    assert shut(policy, Local(MONDAY + 7 * HOUR, zone)) == ("quiet hours", monday)
    assert shut(policy, Local(MONDAY + 8 * HOUR, zone)) == ("outside the send windows", monday)
    friday_evening = MONDAY + 4 * DAY + 18 * HOUR
    assert shut(policy, Local(friday_evening, zone)) == ("outside the send windows", monday + 7 * DAY)


WINDOW = "policy: {send_windows: [{from: '09:00', to: '17:00', days: [%s]}]}"
VIEWS = "{ruleset: r, rules: [{name: v, on: View, then: [{send: %s}]}]}"


def test_what_comes_outside_the_windows_leaves_as_the_next_one_opens() -> None:
    world = World(WINDOW % "tuesday, friday", VIEWS % "hello")
    world.take(identify(MONDAY, email="ana@example.com"), track("View", MONDAY + 10 * HOUR))
    opens = MONDAY + DAY + 9 * HOUR
    assert world.told() == [("hello", "scheduled", "outside the send windows")]
    assert world.sends[0].due_at == opens
    world.wait_until(opens)
    assert world.told() == [("hello", "due", "")]


def test_receipts_know_no_windows() -> None:
    world = World(WINDOW % "tuesday", VIEWS % "receipt")
    world.take(identify(MONDAY, email="ana@example.com"), track("View", MONDAY + 10 * HOUR))
    assert world.told() == [("receipt", "due", "")]


@pytest.mark.parametrize(
    ("days", "expected"),
    [("weekdays", range(5)), ("weekend", range(5, 7)), ("[sunday, monday]", (6, 0)), (None, range(7))],
)
def test_days_can_be_said_in_several_ways(days: str | None, expected) -> None:
    said = "" if days is None else f", days: {days}"
    made = rulebook(f"policy: {{send_windows: [{{from: '09:00', to: '00:00'{said}}}]}}")
    assert made.policy.windows == (SendWindow(frozenset(expected), 9 * 60, 0),)
    assert len(WEEKDAYS) == 7


def test_windows_that_only_open_while_it_is_quiet_are_refused() -> None:
    text = "policy: {quiet_hours: {start: '20:00', end: '08:00'}, send_windows: [{from: '%s', to: '%s'}]}"
    for start, end in (("20:00", "08:00"), ("21:00", "23:00"), ("00:00", "07:59")):
        with pytest.raises(RulebookBroken) as broken:
            rulebook(text % (start, end))
        assert [each.code for each in broken.value.problems] == ["TF641"]
    rulebook(text % ("19:59", "08:00"))


def test_a_rule_set_s_cooldown_lies_between_the_messages_of_all_its_rules() -> None:
    rules = """
    ruleset: r
    cooldown: 1 hour
    rules:
      - {name: v, on: View, then: [{send: hello}]}
      - {name: o, on: Order, then: [{send: receipt}]}
    """
    world = World(rules, "{ruleset: other, rules: [{name: v, on: View, then: [{send: offer}]}]}")
    world.take(identify(MONDAY, email="ana@example.com"), track("View", MONDAY + 1), track("Order", MONDAY + 2))
    world.take(track("Order", MONDAY + HOUR), track("View", MONDAY + HOUR + 1))
    assert sorted(world.told()) == [
        ("hello", "due", ""), ("hello", "due", ""), ("offer", "due", ""), ("offer", "due", ""),
        ("receipt", "skipped", "its rule set sent less than 1 hour ago"),
        ("receipt", "skipped", "its rule set sent less than 1 hour ago"),
    ]  # fmt: skip
