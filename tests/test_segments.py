"""Where a person is, and the exact instant at which that changes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from triggerfish.clock import DAY, HOUR, MINUTE
from triggerfish.segments import Segment, SegmentTree, ranked
from worlds import MONDAY, NOON, World, identify, track

TREE = """
    segments:
      - name: customers
        when: count(Order) >= 1
        segments:
          - name: loyal
            priority: 50
            when: count(Order, "90d") >= 3
            segments:
              - {name: at-risk, priority: 80, when: days_since(Order) > 30}
      - {name: browsing, priority: 10, when: 'count(View, "15 minutes") >= 1'}
"""


def moves(world: World) -> list[tuple[int, str, str]]:
    return [(moment.at, moment.body["segment"], moment.body["change"]) for moment in world.moments("segment")]


def test_a_child_needs_its_parent():
    world = World("segments: [{name: a, when: traits.a == 1, segments: [{name: b, when: traits.b == 1}]}]")
    world.take(identify(NOON, b=1))
    assert world.segments() == []
    world.take(identify(NOON + 1, a=1))
    assert world.segments() == ["a", "b"]
    world.take(identify(NOON + 2, a=0))
    assert world.segments() == []
    assert moves(world)[2:] == [(NOON + 2, "a", "left"), (NOON + 2, "b", "left")]


def test_a_segment_is_left_the_moment_its_window_has_slid_on():
    world = World(TREE)
    world.take(track("View", NOON), track("View", NOON + 5 * MINUTE))
    world.wait_until(NOON + 20 * MINUTE - 1)
    assert world.segments() == ["browsing"]
    world.wait_until(NOON + 20 * MINUTE)
    assert world.segments() == []
    assert moves(world) == [(NOON, "browsing", "entered"), (NOON + 20 * MINUTE, "browsing", "left")]
    assert world.memory.next_due() is None


def test_a_late_look_at_the_agenda_gives_the_exact_instants_all_the_same():
    world = World(TREE)
    world.take(*(track("Order", NOON + number * DAY) for number in range(3)))
    world.wait_until(NOON + 300 * DAY)
    assert moves(world) == [
        (NOON, "customers", "entered"),
        (NOON + 2 * DAY, "loyal", "entered"),
        (NOON + 32 * DAY + 1, "at-risk", "entered"),
        (NOON + 90 * DAY, "loyal", "left"),
        (NOON + 90 * DAY, "at-risk", "left"),
    ]
    assert world.segments() == ["customers"]


def test_an_event_between_two_looks_finds_the_person_where_they_were_then():
    """The agenda is behind, but not for somebody to whom something happens."""
    world = World(
        TREE, "{ruleset: r, rules: [{name: o, on: Order, when: '\"at-risk\" in segments', then: [{send: receipt}]}]}"
    )
    world.take(identify(NOON, email="a@b.example"), *(track("Order", NOON + number) for number in range(3)))
    world.take(track("Order", NOON + 40 * DAY))
    assert world.sends == []
    assert [(segment, what) for _, segment, what in moves(world)][-2:] == [("at-risk", "entered"), ("at-risk", "left")]


def test_a_late_event_counts_where_it_belongs():
    world = World(TREE)
    world.take(track("View", NOON - 14 * MINUTE), at=NOON)
    assert world.segments() == ["browsing"]
    world.wait_until(NOON + MINUTE)
    assert world.segments() == []
    world.take(track("View", NOON - HOUR), at=NOON + 2 * MINUTE)
    assert world.segments() == []


def test_entering_and_leaving_are_events_that_rules_hear():
    world = World(TREE, """
        ruleset: r
        rules:
          - {name: came, on: segment.entered, when: event.segment == "browsing", then: [{set: {here: true}}]}
          - {name: went, on: segment.left, when: event.segment == "browsing", then: [{set: {here: false}}]}
    """)  # fmt: skip
    world.take(track("View", NOON))
    assert world.who().trait("here") is True
    world.wait_until(NOON + HOUR)
    assert world.who().trait("here") is False


def test_within_an_exclusive_parent_the_highest_priority_takes_the_place():
    world = World("""
        segments:
          - name: shoppers
            exclusive: true
            segments:
              - {name: low, priority: 1, when: traits.low == 1, segments: [{name: below-low}]}
              - {name: high, priority: 9, when: traits.high == 1}
          - {name: other, when: traits.low == 1}
    """)
    world.take(identify(NOON, low=1))
    assert world.segments() == ["shoppers", "low", "below-low", "other"]
    world.take(identify(NOON + 1, high=1))
    assert world.segments() == ["shoppers", "high", "other"]
    world.take(identify(NOON + 2, high=0))
    assert world.segments() == ["shoppers", "low", "below-low", "other"]


def test_how_long_somebody_is_in_a_segment_survives_what_changes_nothing():
    world = World(TREE)
    world.take(track("Order", NOON), track("Order", NOON + DAY))
    assert world.who().memberships == {"customers": NOON}
    assert world.memory.memberships == {("customers", world.id_of("ana")): NOON}


def test_the_primary_segment_is_the_highest_then_the_deepest_then_the_first():
    names = [
        Segment("top", priority=1), Segment("flat", priority=5), Segment("deep", priority=5, depth=1),
        Segment("deep-too", priority=5, depth=1),
    ]  # fmt: skip
    order = ranked(names)
    assert order == ["deep", "deep-too", "flat", "top"]
    tree = SegmentTree([Segment(each.name, rank=order.index(each.name)) for each in names])
    assert tree.primary({"top": NOON, "flat": NOON, "deep-too": NOON, "unheard of": NOON}) == "deep-too"
    assert tree.primary({}) is None


def test_a_segment_by_local_time_changes_when_the_persons_clock_says_so():
    world = World("segments: [{name: evening, when: local.hour >= 18}]")
    world.take(identify(MONDAY + 8 * HOUR, context={"timezone": "Asia/Tokyo"}))
    world.wait_until(MONDAY + 2 * DAY)
    assert moves(world)[:3] == [
        (MONDAY + 9 * HOUR, "evening", "entered"),
        (MONDAY + 15 * HOUR, "evening", "left"),
        (MONDAY + 33 * HOUR, "evening", "entered"),
    ]


def test_the_member_lists_agree_with_the_profiles_after_a_merge():
    world = World(TREE)
    world.take(track("View", NOON), track("Order", NOON, user=None, anon="x"))
    world.take(track("View", NOON + 1, anon="x"))
    ana = world.who()
    assert world.memory.memberships == {(name, ana.id): since for name, since in ana.memberships.items()}
    assert ana.memberships == {"customers": NOON, "browsing": NOON}


gaps = st.lists(
    st.tuples(
        st.sampled_from(("View", "Order")), st.sampled_from((0, 1, MINUTE, 14 * MINUTE, HOUR, 29 * DAY, 31 * DAY))
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=80)
@given(gaps, st.lists(st.integers(0, 100 * DAY), max_size=6))
def test_memberships_are_at_every_instant_what_the_events_say(history: list[tuple[str, int]], looks: list[int]):
    """Against a plain reckoning over all events, at random instants and without an event in between."""
    world = World(TREE)
    at, events = NOON, []
    for number, (name, gap) in enumerate(history):
        at += gap
        events.append((name, at))
        world.take(track(name, at, message_id=str(number)))
        assert set(world.segments()) == reckoned(events, at)
    for look in sorted(looks):
        world.wait_until(at + look)
        assert set(world.segments()) == reckoned(events, at + look)


def reckoned(events: list[tuple[str, int]], now: int) -> set[str]:
    orders = [at for name, at in events if name == "Order"]
    inside = set()
    if orders:
        inside.add("customers")
        if sum(at > now - 90 * DAY for at in orders) >= 3:
            inside.add("loyal")
            if now - max(orders) > 30 * DAY:
                inside.add("at-risk")
    if any(name == "View" and at > now - 15 * MINUTE for name, at in events):
        inside.add("browsing")
    return inside
