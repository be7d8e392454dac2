"""Why not: what came of nothing is decided again, and told with the values of then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from told import Shop
from triggerfish import refit
from triggerfish.clock import DAY, HOUR, MINUTE, to_iso
from triggerfish.engine import Moment
from triggerfish.why import Again
from worlds import NOON, identify, track

BOOK = """
    policy:
      time_zone: Europe/Berlin
      quiet_hours: {start: "21:00", end: "08:00"}
      caps:
        - {sends: 1, within: 1 day}
    segments:
      - {name: buyers, when: count(Order) >= 1}
      - {name: regulars, when: 'count(Order, "30d") >= 3'}
    ruleset: cart
    mode: first
    rules:
      - {name: big, priority: 9, on: Add, when: event.value > 200, then: [{send: offer}]}
      - {name: gold, priority: 5, on: Add, when: {all: [event.value > 50, traits.plan == "gold"]}, then: [{send: news}]}
      - {name: any, on: Add, when: '"buyers" in segments', then: [{send: hello}]}
"""

Open = Callable[..., Shop]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Open]:
    opened: list[Shop] = []

    def open_shop(*texts: str) -> Shop:
        shop = Shop(tmp_path, *texts)
        opened.append(shop)
        return shop

    yield open_shop
    for each in opened:
        each.close()


def known(shop: Shop) -> Shop:
    shop.take(identify(NOON - HOUR, email="ana@example.com"))
    return shop


def test_a_condition_that_did_not_hold_is_told_with_the_values_of_then_and_the_nearest_miss(shop: Open):
    here = known(shop(BOOK))
    here.take(track("Add", NOON, properties={"value": 184.5}))
    story = here.story("big")
    (missed,) = story.missed
    assert here.again() == Again(is_same=True)
    assert (missed.at, missed.event, missed.winner, missed.reigned) == (to_iso(NOON), "Add", "", True)
    assert missed.because == {"condition": "event.value > 200", "holds": False, "value": 184.5}
    assert missed.failed == "event.value > 200 (it is 184.5)"
    assert missed.nearest == ["with event.value over 200 (it was 184.5)"]
    assert "it would have matched with event.value over 200 (it was 184.5)" in missed.sentence
    assert [(gate.gate, gate.passed) for gate in missed.gates] == [
        ("condition", False), ("age of the event", True), ("first of its set", True),
        ("address and consent", True), ("quiet hours", True), ("cap of 1 within 1 day", True),
    ]  # fmt: skip
    assert missed.otherwise == "offer would have left"
    assert story.sentence.startswith("never fired: Add came in vain once")


def test_a_rule_before_it_that_was_taken_is_named(shop: Open):
    here = known(shop(BOOK))
    here.take(identify(NOON - MINUTE, plan="gold"))
    here.take(track("Add", NOON, properties={"value": 300}))
    (missed,) = here.story("gold").missed
    assert (missed.winner, missed.failed, missed.nearest) == ("big", "", [])
    assert missed.sentence == "it matched, but big, which comes before it in cart, was taken"
    assert ("first of its set", False, "big was taken") in [(g.gate, g.passed, g.said) for g in missed.gates]


def test_what_is_known_later_is_not_mixed_in(shop: Open):
    here = known(shop(BOOK))
    here.take(track("Add", NOON, properties={"value": 60}))
    here.take(identify(NOON + HOUR, plan="gold"), track("Order", NOON + 2 * HOUR))
    (missed,) = here.story("gold").missed
    assert missed.nearest == ['with traits.plan equal to "gold" (it was missing)']
    (other,) = here.story("any").missed
    assert other.nearest == ["if they are in buyers"]


def test_a_cap_says_when_the_way_is_free_again_in_the_persons_own_time(shop: Open):
    here = known(shop(BOOK))
    here.take(track("Add", NOON, properties={"value": 300}))
    here.take(track("Add", NOON + HOUR, properties={"value": 300}))
    story = here.story("big")
    skipped = story.occasions[0].messages[0]
    assert (skipped.status, skipped.reason) == ("skipped", "had 1 message within 1 day")
    # Noon in UTC is 13:00 in Berlin (winter time).
    assert skipped.free_from == "Tuesday 2027-01-19 13:00 (Europe/Berlin)"


def test_gates_that_were_closed_besides_are_told_with_what_would_have_come(shop: Open):
    here = known(shop(BOOK))
    here.take(track("Add", NOON, properties={"value": 300}))
    here.take(track("Add", NOON + HOUR, properties={"value": 100}))
    missed = here.story("big").missed[0]
    cap = missed.gates[-1]
    assert (cap.gate, cap.passed, cap.said) == ("cap of 1 within 1 day", False, "had 1 message within 1 day")
    assert cap.until == "Tuesday 2027-01-19 13:00 (Europe/Berlin)"
    assert missed.otherwise == "offer would not have left: had 1 message within 1 day"


def test_a_count_that_was_short_is_told_as_people_count(shop: Open):
    here = known(
        shop("""
            ruleset: r
            rules:
              - {name: thrice, on: Order, when: 'count(Order, "30d") >= 3', then: [{send: offer}]}
        """)
    )
    here.take(track("Order", NOON), track("Order", NOON + MINUTE))
    newest, oldest = here.story("thrice").missed
    assert newest.nearest == ["with one more Order within 30 days (there were 2)"]
    assert oldest.nearest == ["with 2 more Order within 30 days (there was 1)"]


def test_time_alone_would_have_made_it_hold_is_told_to_the_minute(shop: Open):
    here = known(
        shop("""
            policy: {time_zone: America/New_York}
            ruleset: r
            rules:
              - {name: calm, on: Look, when: 'not did(Complained, "7d")', then: [{send: offer}]}
        """)
    )
    here.take(track("Complained", NOON), track("Look", NOON + DAY))
    (missed,) = here.story("calm").missed
    assert missed.holds_from == to_iso(NOON + 7 * DAY)
    assert "would have matched from Monday 2027-01-25 07:00 (America/New_York) on" in missed.sentence


def test_a_person_who_is_two_profiles_become_one_is_decided_again_with_both_pasts(shop: Open):
    here = shop(BOOK)
    here.take(track("Add", NOON, user=None, anon="browser", properties={"value": 10}))
    here.take(track("Order", NOON + 1, user=None, anon="browser"))
    here.take(identify(NOON + 2, user="ana", anon=None, email="ana@example.com"))
    here.take(identify(NOON + 3, user="ana", anon="browser"))
    here.take(track("Add", NOON + 4, properties={"value": 20}))
    assert here.again() == Again(is_same=True)
    assert [missed.at for missed in here.story("big").missed] == [to_iso(NOON + 4), to_iso(NOON)]
    assert len(here.story("any").occasions) == 1


def test_each_time_is_looked_at_with_the_rulebook_that_reigned_then(shop: Open):
    here = known(shop(BOOK))
    here.take(track("Add", NOON, properties={"value": 100}))
    here.change(BOOK.replace("event.value > 200", "'event.value > 80 and sum(Add.value, \"30d\") > 500'"))
    here.take(track("Add", NOON + HOUR, properties={"value": 100}))
    newest, oldest = here.story("big").missed
    assert here.again() == Again(is_same=True)
    assert (newest.rulebook, oldest.rulebook) == ("v2", "v1")
    assert oldest.failed == "event.value > 200 (it is 100)"
    # What the new rulebook counts was filled from the log when it went live.
    assert newest.failed == "sum(Add.value, '30d') > 500 (it is 200.0)"


def test_a_rulebook_that_is_not_kept_is_said_to_be_missing(shop: Open):
    here = known(shop(BOOK))
    here.take(track("Add", NOON, properties={"value": 100}))
    here.change(BOOK.replace("event.value > 200", "event.value > 500"))
    del here.kept["v1"]
    assert here.again().lacking == ["v1"]
    (missed,) = here.story("big").missed
    assert (missed.failed, missed.reigned) == ("event.value > 500 (it is 100)", False)


def test_where_deciding_again_gives_something_else_nothing_is_told_from_there_on(shop: Open):
    here = known(shop(BOOK))
    here.take(track("Add", NOON, properties={"value": 100}))
    body = {"rule": "cart / big", "outcome": "acted", "event": "Add"}
    here.note(Moment(here.world.id_of("ana"), NOON + MINUTE, "decision", body))
    here.take(track("Add", NOON + HOUR, properties={"value": 100}))
    again = here.again()
    assert not again.is_same
    assert again.doubtful_from == to_iso(NOON + MINUTE)
    assert "written down was rule cart / big: acted on Add" in again.doubt
    assert [missed.at for missed in here.story("big").missed] == [to_iso(NOON)]


def test_a_person_of_whom_something_else_is_known_now_is_not_explained(shop: Open):
    here = known(shop(BOOK))
    here.take(track("Add", NOON, properties={"value": 100}))
    (profile,) = here.store.everybody("", 9)
    other = profile.copy()
    other.traits.clear()
    here.store.refit(refit.only([other]))
    assert "(traits)" in here.again().doubt
    assert here.story("big").missed == []


def test_events_that_the_log_no_longer_has_are_counted(shop: Open):
    here = known(shop(BOOK))
    here.take(track("Add", NOON, properties={"value": 100}))
    del here.log._entries[0]
    assert here.again().doubt == "the log does not hold 1 of the 2 events any more"


def test_deciding_again_ends_when_it_takes_too_long(shop: Open):
    here = known(shop(BOOK))
    again = here.why(is_late=lambda: True).again
    assert again is not None
    assert "too long" in again.doubt


def test_a_rule_whose_event_never_came_is_looked_at_now(shop: Open):
    here = known(shop(BOOK))
    story = here.story("big")
    assert (story.missed, story.occasions) == ([], [])
    assert story.now is not None
    assert (story.now.holds, story.now.event) == (False, "")
