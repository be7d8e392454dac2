"""A player tells what the engine decides: every message, every segment, whatever the parts in which it is given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from histories import RULES, histories
from triggerfish.clock import DAY, HOUR, MINUTE
from triggerfish.engine import Arrival
from triggerfish.log import Entry
from triggerfish.rulefile.backtest import Period, Player, Story, period_of, said_of_all
from triggerfish.rulefile.tally import Tally, crowded_days, new_tally
from worlds import MONDAY, NOON, World, alias, identify, rulebook, track

BOOK = rulebook(RULES)
LATER = NOON + 60 * DAY


def arrivals_of(entries: Sequence[Entry]) -> list[Arrival]:
    return [Arrival(entry.position, entry.received_at, entry.event) for entry in entries]


def played(*texts: str, events, period: Period, parts: int = 1_000) -> dict[str, Story]:
    """Stories by name."""
    return {story.name: story for story in stories(rulebook(*texts), events, period, parts)}


def stories(book, events, period: Period, parts: int = 1_000) -> list[Story]:
    player = Player(book, period)
    arrivals = [Arrival(place, event.timestamp, event) for place, event in enumerate(events, 1)]
    return finish(player, arrivals, period, parts)


def finish(player: Player, arrivals: Sequence[Arrival], period: Period, parts: int) -> list[Story]:
    for start in range(0, len(arrivals), parts):
        part = arrivals[start : start + parts]
        player.take(part, part[-1].at)
    player.take([], period.until - 1)
    return player.finish()


def whole(until: int = LATER) -> Period:
    return period_of(NOON - DAY, until, "UTC")


def tally_of(found: Sequence[Story], period: Period) -> Tally:
    tally = new_tally(3)
    for story in found:
        tally.note(story, period)
    return tally


def test_what_is_due_leaves_at_once_and_is_told_with_its_instant():
    events = [identify(NOON, email="ana@example.com"), track("Cart", NOON + 1)]
    story = played(RULES, events=events, period=whole())["ana"]
    assert [(sent.at, sent.rule, sent.template) for sent in story.sent] == [(NOON + HOUR + 1, "shop / cart", "hello")]
    assert story.outcomes == {("shop / cart", "waiting"): 1}


def test_what_holds_a_message_back_is_told_with_the_reason_that_all_share():
    events = [
        identify(NOON, email="ana@example.com"),
        *(track("Order", NOON + place * MINUTE, properties={"total": place}) for place in range(3)),
        track("Cart", NOON + HOUR), track("Order", NOON + HOUR + MINUTE),
    ]  # fmt: skip
    story = played(RULES, events=events, period=whole())["ana"]
    assert story.skipped == {
        ("shop / thanks", "this rule sent less than 2 hours ago"): 3,
        ("shop / cart", "Order happened meanwhile"): 1,
    }
    assert said_of_all("no longer true: count(Order) < 1 (it is 3)") == "no longer true: count(Order) < 1"


def test_quiet_hours_hold_and_caps_bite():
    late = MONDAY + 22 * HOUR
    events = [identify(late, email="ana@example.com"), *(track("View", late + place) for place in range(1, 7))]
    story = played(RULES, events=events, period=whole(MONDAY + DAY + 12 * HOUR))["ana"]
    # Berlin is an hour ahead: the quiet hours end at 07:00 UTC.
    assert [sent.at for sent in story.sent] == [MONDAY + DAY + 7 * HOUR] * 2
    assert story.held == {"shop / again": 4}
    assert story.skipped == {("shop / again", "had 2 messages within 1 day"): 2}


def test_what_waits_as_the_period_ends_is_told_as_waiting():
    events = [identify(NOON, email="ana@example.com"), track("Cart", NOON + 1)]
    story = played(RULES, events=events, period=whole(NOON + MINUTE))["ana"]
    assert (story.sent, story.waiting) == ([], {"shop / cart": 1})


def test_what_happened_before_the_period_counts_but_is_not_told():
    events = [
        identify(NOON, email="ana@example.com"), track("Order", NOON + 1), track("Cart", NOON + 2),
        track("Order", NOON + HOUR),
    ]  # fmt: skip
    period = period_of(NOON + HOUR, NOON + 2 * HOUR, "UTC")
    story = played(RULES, events=events, period=period)["ana"]
    assert story.sent == []
    assert story.skipped == {
        ("shop / thanks", "this rule sent less than 2 hours ago"): 1,
        ("shop / cart", "Order happened meanwhile"): 1,
    }
    assert (story.first, story.last) == ({"buyers": 1}, {"buyers", "loyal"})
    assert story.moves == {("loyal", 0, 1): 1}


def test_a_message_called_back_in_the_instant_in_which_it_would_leave_never_left():
    journey = """
        ruleset: r
        rules:
          - name: j
            on: Start
            goal: Bought
            steps: [{send: receipt}, {emit: Bought}, {wait: 1 day}, {send: hello}]
    """
    events = [identify(NOON, email="ana@example.com"), track("Start", NOON + 1)]
    story = played(journey, events=events, period=whole())["ana"]
    world = World(journey)
    world.take(*events[:1])
    world.take(*events[1:])
    assert [(due.template, due.status) for due in world.sends] == [("receipt", "skipped")]
    assert (story.sent, story.skipped) == ([], {("r / j", "Bought happened"): 1})


def test_a_message_that_left_is_not_called_back_by_what_comes_later():
    journey = """
        ruleset: r
        rules:
          - {name: j, on: Start, goal: Bought, steps: [{send: receipt}, {wait: 1 day}, {send: hello}]}
    """
    events = [identify(NOON, email="ana@example.com"), track("Start", NOON + 1), track("Bought", NOON + HOUR)]
    for parts in (1, 1_000):
        story = played(journey, events=events, period=whole(), parts=parts)["ana"]
        assert [sent.template for sent in story.sent] == ["receipt"]
        assert story.outcomes["r / j", "reached goal"] == 1


def test_people_who_become_one_are_one_person_with_all_that_came_of_them():
    events = [
        identify(NOON, email="ana@example.com"), track("Order", NOON + 1),
        identify(NOON + 2, user=None, anon="a", email="a@example.com"), track("Order", NOON + 3, user=None, anon="a"),
        alias(NOON + 4, "ana", "a"),
    ]  # fmt: skip
    period = whole(NOON + HOUR)
    (story,) = stories(BOOK, events, period)
    assert [sent.at for sent in story.sent] == [NOON + 1, NOON + 3]
    tally = tally_of([story], period)
    assert (tally.people, tally.segments["buyers"].end, sum(tally.segments["buyers"].growth)) == (1, 1, 1)
    assert crowded_days(story, period) == {"2027-01-18": 2}


def test_days_are_those_of_the_time_zone():
    period = period_of(MONDAY, MONDAY + 2 * DAY, "America/New_York")
    assert period.days == ("2027-01-17", "2027-01-18", "2027-01-19")
    assert [period.day(MONDAY + hours * HOUR) for hours in (0, 4, 5, 28, 29)] == [0, 0, 1, 1, 2]
    assert period.weeks == 2 / 7


@given(histories(), st.integers(1, 7))
def test_all_that_is_told_follows_from_the_events_and_not_from_the_parts(entries: list[Entry], parts: int):
    arrivals = arrivals_of(entries)
    period = period_of(NOON, entries[-1].received_at + 2 * DAY, "Europe/Berlin")
    at_once = finish(Player(BOOK, period), arrivals, period, 1_000)
    in_parts = finish(Player(BOOK, period), arrivals, period, parts)
    assert sorted(at_once, key=lambda story: story.id) == sorted(in_parts, key=lambda story: story.id)


@given(histories())
def test_it_is_what_a_worker_comes_to_who_takes_event_by_event(entries: list[Entry]):
    world = World(RULES)
    for entry in entries:
        world.wait_until(entry.received_at)
        world.take(entry.event, at=entry.received_at)
    until = entries[-1].received_at + 2 * DAY
    world.wait_until(until - 1)
    period = period_of(NOON, until, "Europe/Berlin")
    found = finish(Player(BOOK, period), arrivals_of(entries), period, 1_000)
    sent = {(message.id, message.rule, message.template, message.at) for story in found for message in story.sent}
    assert sent == {
        (due.id, f"{due.ruleset} / {due.rule}", due.template, due.due_at) for due in world.sends if due.status == "due"
    }
    waiting = sum((story.waiting for story in found), Counter())
    assert waiting.total() == sum(due.status == "scheduled" for due in world.sends)
    assert {(segment, story.id) for story in found for segment in story.last} == world.memory.memberships.keys()
    tally = tally_of(found, period)
    for name, segment in tally.segments.items():
        assert segment.start + sum(segment.growth) == segment.end, name
        assert segment.end == sum(member == name for member, _ in world.memory.memberships)
    skipped = sum((story.skipped for story in found), Counter())
    reasons = [moment.body for moment in (*world.moments("send"), *world.moments("decision"))]
    assert skipped.total() == sum(body.get("status", body.get("outcome")) == "skipped" for body in reasons)
