"""A past that is decided again is the same past, whatever happened in it and under whichever rulebooks."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from told import Shop
from triggerfish.clock import DAY, HOUR, MINUTE
from triggerfish.why import Again, Missed
from worlds import NOON, alias, feedback, identify, track

FIRST = """
    policy:
      time_zone: Europe/Berlin
      quiet_hours: {start: "21:00", end: "08:00"}
      caps:
        - {sends: 2, within: 1 day}
    segments:
      - name: buyers
        when: count(Order) >= 1
        segments:
          - {name: lately, priority: 3, when: 'count(Order, "2d") >= 1'}
      - {name: keen, when: 'score(View, half_life="1d") > 1.5'}
    ruleset: waits
    mode: first
    rules:
      - {name: big, priority: 9, on: Order, when: event.total > 50, wait: 2 hours, unless: Back, then: [{send: offer}]}
      - {name: any, on: [Order, View], while_waiting: keep, wait: 1 hour, cooldown: 1 day, then: [{send: hello}]}
"""
SECOND = """
    ruleset: more
    rules:
      - {name: left, on: segment.left, then: [{emit: Lost}, {set: {lost: {value: local.date}}}]}
      - {name: lost, on: Lost, when: event.x == 1, then: [{send: news}]}
      - {name: weekly, on: schedule monday 09:00, segment: buyers, then: [{send: news}]}
      - {name: birthday, on: date traits.birthday, before: 1 day, when: '"keen" in segments', then: [{send: hello}]}
      - name: path
        on: View
        goal: Order
        again: after 1 day
        steps:
          - wait: 3 hours
          - wait_until: {on: View, when: event.price > 5, at_most: 2 days, otherwise: [{send: news}]}
          - split: {name: ab, variants: [{name: a, steps: [{send: offer}]}, {name: b, steps: [{send: hello}]}]}
          - branch: [{when: exists(traits.birthday), steps: [{send: receipt}]}, {steps: [{exit: unknown}]}]
"""
CHANGED = FIRST.replace("event.total > 50", "event.total > 20 and not did(Back)").replace('"2d"', '"3d"')

KINDS = ("Order", "View", "Back", "identify", "anonymous", "join", "alias", "opt out")


@st.composite
def histories(draw):
    """What happens to one person, in steps of up to two days, and where the rulebook changes."""
    return draw(
        st.lists(
            st.tuples(st.sampled_from((*KINDS, "change")), st.integers(1, 48 * 60), st.integers(0, 120)),
            min_size=1, max_size=18,
        )
    )  # fmt: skip


def live(shop: Shop, history: list[tuple[str, int, int]]) -> None:
    now, changes = NOON, 0
    shop.take(identify(now, email="ana@example.com"))
    for kind, minutes, number in history:
        now += minutes * MINUTE
        happened_at = now - (3 * HOUR if number % 10 == 7 else 0)
        match kind:
            case "change":
                changes += 1
                shop.change(CHANGED if changes % 2 else FIRST, SECOND)
            case "identify":
                shop.take(identify(now, birthday=f"1990-01-{number % 28 + 1:02d}"))
            case "anonymous":
                shop.take(track("View", now, user=None, anon="phone", properties={"price": number}))
            case "join":
                shop.take(identify(now, anon="phone"))
            case "alias":
                shop.take(alias(now, "ana", f"old-{number % 3}"))
            case "opt out":
                shop.take(feedback("Unsubscribed", now, shop.world.id_of("ana"), purpose="news"))
            case name:
                properties = {"total": number, "price": number / 10}
                shop.take(track(name, happened_at, properties=properties), at=now)
    shop.world.wait_until(now + 3 * DAY)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories())
def test_deciding_again_gives_what_was_decided(history):
    with TemporaryDirectory() as folder, closing(Shop(Path(folder), FIRST, SECOND)) as shop:
        live(shop, history)
        why = shop.why()
        assert why.again == Again(is_same=True)
        for story in why.rules:
            for missed in story.missed:
                hold_gates(story.rule, missed)


def hold_gates(rule: str, missed: Missed) -> None:
    """What the gates say of a rule that sends at once is what the engine would have made of it."""
    if rule not in ("lost", "weekly", "birthday"):
        return
    closed = [gate for gate in missed.gates if not gate.passed and gate.gate not in ("condition", "first of its set")]
    if not closed:
        assert "would have left" in missed.otherwise, missed
    elif closed[0].gate == "age of the event":
        assert missed.otherwise.startswith("skipped: the event is older"), missed
    elif closed[0].gate == "quiet hours":
        assert "would have been held: quiet hours" in missed.otherwise, missed
    else:
        assert f"would not have left: {closed[0].said}" in missed.otherwise, missed


def test_a_whole_life_is_told_again_with_everything_in_it():
    history = [
        ("View", 10, 3), ("Order", 60, 80), ("View", 300, 90), ("anonymous", 30, 4), ("change", 5, 0), ("join", 9, 0),
        ("Order", 1_500, 30), ("identify", 3, 20), ("Back", 60, 0), ("View", 2_000, 99), ("opt out", 5, 0),
        ("change", 5, 0), ("Order", 2_000, 60), ("View", 2_800, 1),
    ]  # fmt: skip
    with TemporaryDirectory() as folder, closing(Shop(Path(folder), FIRST, SECOND)) as shop:
        live(shop, history)
        why = shop.why()
        assert why.again == Again(is_same=True)
        told = {story.rule: (len(story.occasions), story.missed_count) for story in why.rules}
        assert all(occasions or missed for occasions, missed in told.values()), told
