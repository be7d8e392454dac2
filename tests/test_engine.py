"""What rules do: act, wait, be cancelled, set, emit; each decision written down with its reason."""

from __future__ import annotations

import pytest

from triggerfish.clock import DAY, HOUR, MINUTE
from triggerfish.engine import CHAIN_LIMIT, FOLLOWERS_LIMIT
from triggerfish.schedule import WAIT_LIMIT
from worlds import NOON, World, feedback, identify, track


def known(*texts: str) -> World:
    """A world in which ana has an email address."""
    world = World(*texts)
    world.take(identify(NOON, email="ana@example.com"))
    return world


def cart(**more: str) -> str:
    extra = "".join(f", {key}: {value}" for key, value in more.items())
    return f"{{ruleset: cart, rules: [{{name: cart, on: Cart, wait: 1 hour, then: [{{send: receipt}}]{extra}}}]}}"


def test_a_rule_acts_at_once_when_its_condition_holds():
    world = known("{ruleset: r, rules: [{name: big, on: Order, when: event.total > 10, then: [{send: receipt}]}]}")
    world.take(track("Order", NOON + 1, properties={"total": 10}), track("Order", NOON + 2, properties={"total": 11}))
    (send,) = world.sends
    assert (send.template, send.status, send.due_at, send.class_, send.purpose) == (
        "receipt", "due", NOON + 2, "transactional", "orders",
    )  # fmt: skip
    assert send.trigger is not None
    assert send.trigger.properties == {"total": 11}
    (decision,) = world.moments("decision")
    assert decision.body["outcome"] == "acted"
    assert decision.body["because"] == {"condition": "event.total > 10", "holds": True, "value": 11}


def test_a_waiting_message_is_scheduled_and_leaves_when_the_wait_is_over():
    world = known(cart())
    world.take(track("Cart", NOON))
    (send,) = world.sends
    assert (send.status, send.due_at, send.reason) == ("scheduled", NOON + HOUR, "waits 1 hour")
    assert world.memory.next_due() == NOON + HOUR
    world.wait_until(NOON + HOUR - 1)
    assert world.sends[0].status == "scheduled"
    world.wait_until(NOON + HOUR)
    (send,) = world.sends
    assert (send.status, send.due_at, send.trigger.name) == ("due", NOON + HOUR, "Cart")
    assert world.memory.next_due() is None


def test_what_happens_at_the_very_end_of_a_wait_comes_too_late_to_cancel_it():
    world = known(cart(unless="Order"))
    world.take(track("Cart", NOON))
    world.take(track("Order", NOON + HOUR))
    assert world.told() == [("receipt", "due", "")]


def test_the_unless_event_cancels_the_wait():
    world = known(cart(unless="[Order, Gone]"))
    world.take(track("Cart", NOON), track("View", NOON + 1), track("Gone", NOON + 2))
    assert world.told() == [("receipt", "skipped", "Gone happened meanwhile")]
    world.wait_until(NOON + DAY)
    assert world.told() == [("receipt", "skipped", "Gone happened meanwhile")]


def test_the_condition_is_asked_again_when_the_wait_is_over():
    world = known(cart(when="count(Order) < 1"))
    world.take(track("Cart", NOON), track("Order", NOON + 1))
    world.wait_until(NOON + HOUR)
    assert world.told() == [("receipt", "skipped", "no longer true: count(Order) < 1 (it is 1)")]


@pytest.mark.parametrize(
    ("word", "due", "count"),
    [("restart", [NOON + HOUR + 20], 1), ("keep", [NOON + HOUR], 1), ("each", [NOON + HOUR, NOON + HOUR + 20], 2)],
)
def test_while_waiting_says_what_becomes_of_another_event(word: str, due: list[int], count: int):
    world = known(cart(while_waiting=word))
    world.take(track("Cart", NOON), track("Cart", NOON + 20))
    world.wait_until(NOON + DAY)
    sent = [send for send in world.sends if send.status == "due"]
    assert [send.due_at for send in sent] == due
    assert len(sent) == count


def test_a_restarted_wait_says_so():
    world = known(cart())
    world.take(track("Cart", NOON), track("Cart", NOON + 20))
    assert world.told() == [
        ("receipt", "skipped", "started again by a newer Cart"),
        ("receipt", "scheduled", "waits 1 hour"),
    ]


def test_of_a_set_with_mode_first_only_the_best_rule_waits():
    world = known("""
        ruleset: cart
        mode: first
        rules:
          - {name: any, on: Cart, wait: 1 hour, then: [{send: hello}]}
          - {name: vip, priority: 9, on: Cart, when: event.total > 100, wait: 2 hours, then: [{send: offer}]}
    """)
    world.take(track("Cart", NOON, properties={"total": 10}), track("Cart", NOON + 1, properties={"total": 500}))
    assert [(template, status) for template, status, _ in world.told()] == [
        ("hello", "skipped"),
        ("offer", "scheduled"),
    ]


def test_of_a_set_with_mode_all_every_rule_acts_in_order_of_priority():
    rules = "{name: a, on: View, then: [{send: hello}]}, {name: b, priority: 5, on: View, then: [{send: receipt}]}"
    world = known(f"{{ruleset: r, rules: [{rules}]}}")
    world.take(track("View", NOON))
    assert [send.rule for send in world.sends] == ["b", "a"]


def test_a_cooldown_keeps_a_rule_from_sending_again_too_soon():
    world = known("{ruleset: r, rules: [{name: v, on: View, cooldown: 1 day, then: [{send: receipt}]}]}")
    world.take(track("View", NOON), track("View", NOON + DAY - 1), track("View", NOON + DAY))
    assert world.told() == [
        ("receipt", "due", ""), ("receipt", "skipped", "this rule sent less than 1 day ago"), ("receipt", "due", ""),
    ]  # fmt: skip


def test_an_event_older_than_max_age_updates_the_profile_and_sends_nothing():
    world = known(
        "segments: [{name: buyers, when: count(Order) >= 1}]",
        "{ruleset: r, max_age: 2 hours, rules: [{name: o, on: Order, then: [{send: receipt}]}]}",
    )
    world.take(track("Order", NOON - 2 * HOUR - 1, message_id="late"), at=NOON)
    assert (world.sends, world.segments()) == ([], ["buyers"])
    assert world.moments("decision")[0].body["reason"] == "the event is older than 2 hours"
    world.take(track("Order", NOON - 2 * HOUR, message_id="in time"), at=NOON)
    assert world.told() == [("receipt", "due", "")]


def test_set_changes_traits_and_segments_follow():
    world = known(
        "segments: [{name: open, when: traits.cart == 'open'}]",
        """
        ruleset: r
        rules:
          - {name: fill, on: Cart, then: [{set: {cart: open, total: {value: event.total}}}]}
          - {name: tell, on: segment.entered, when: event.segment == "open", then: [{send: receipt}]}
        """,
    )
    world.take(track("Cart", NOON, properties={"total": 7}))
    assert (world.segments(), world.who().trait("total")) == (["open"], 7)
    assert [send.rule for send in world.sends] == ["tell"]


def test_an_event_of_before_the_wait_does_not_end_it():
    """It came late: the purchase was before the cart was filled."""
    world = known("{ruleset: r, rules: [{name: a, on: Cart, wait: 1 hour, unless: Order, then: [{send: hello}]}]}")
    world.take(track("Cart", NOON))
    world.take(track("Order", NOON - MINUTE), at=NOON + MINUTE)
    assert [status for _, status, _ in world.told()] == ["scheduled"]
    world.take(track("Order", NOON), at=NOON + 2 * MINUTE)
    assert world.told() == [("hello", "skipped", "Order happened meanwhile")]


def test_what_follows_when_a_wait_is_over_is_as_old_as_that_instant():
    """A rule with the usual max_age of an hour hears of what another one emits, or brings about, after a day."""
    world = known(
        "segments: [{name: marked, when: traits.mark == True}]",
        """
        ruleset: r
        rules:
          - {name: a, on: Order, wait: 1 day, then: [{emit: Followed Up}, {set: {mark: true}}]}
          - {name: b, on: Followed Up, when: 'did("Followed Up", "1m")', then: [{send: receipt}]}
          - {name: c, on: segment.entered, then: [{send: hello}]}
        """,
    )
    world.take(track("Order", NOON))
    world.wait_until(NOON + 2 * DAY)
    assert [template for template, status, _ in world.told() if status == "due"] == ["receipt", "hello"]


def test_what_follows_from_a_late_event_is_as_old_as_that_event():
    world = known(
        """
        ruleset: r
        max_age: 3 days
        rules: [{name: a, on: Order, then: [{emit: Thanked}]}]
        """,
        "{ruleset: s, rules: [{name: b, on: Thanked, then: [{send: receipt}]}]}",
    )
    world.take(track("Order", NOON), at=NOON + 2 * DAY)
    assert world.told() == []


def test_an_emitted_event_does_not_bring_back_an_old_time_zone():
    world = known("{ruleset: r, rules: [{name: a, on: Order, wait: 1 hour, then: [{emit: Thanked}]}]}")
    world.take(track("Order", NOON, context={"timezone": "Europe/Berlin"}))
    world.take(track("View", NOON + 1, context={"timezone": "Asia/Tokyo"}))
    world.wait_until(NOON + 2 * HOUR)
    assert world.who().time_zone == "Asia/Tokyo"


def test_an_emitted_event_happens_to_the_person_and_wakes_rules():
    world = known("""
        ruleset: r
        rules:
          - {name: a, on: Order, then: [{emit: Thanked, properties: {total: {value: event.total}, by: shop}}]}
          - name: b
            on: Thanked
            when: event.total > 5 and event.by == "shop" and count(Thanked) == 1
            then: [{send: receipt}]
    """)
    world.take(track("Order", NOON, properties={"total": 7}))
    assert [send.rule for send in world.sends] == ["b"]
    emitted = [moment for moment in world.moments("event") if moment.body.get("by")]
    assert [(moment.body, moment.position) for moment in emitted] == [({"event": "Thanked", "by": "r / a"}, 0)]


def test_a_rule_that_wakes_itself_is_stopped():
    world = known("{ruleset: r, rules: [{name: echo, on: Ping, then: [{emit: Ping}, {send: receipt}]}]}")
    world.take(track("Ping", NOON))
    assert len(world.sends) == CHAIN_LIMIT + 1
    stop = [moment.body for moment in world.moments("decision") if moment.body["outcome"] == "stopped"]
    assert stop == [{"outcome": "stopped", "event": "Ping", "reason": "too many events followed from one"}]
    world.take(track("View", NOON + 1))
    assert len(world.sends) == CHAIN_LIMIT + 1


def test_an_avalanche_of_events_is_stopped():
    rules = "".join(f"  - {{name: e{n}, on: Ping, then: [{{emit: Ping}}, {{emit: Pong}}]}}\n" for n in range(4))
    world = known(f"ruleset: r\nrules:\n{rules}")
    world.take(track("Ping", NOON))
    happened = [moment for moment in world.moments("decision") if moment.body["outcome"] == "acted"]
    assert len(happened) <= 4 * FOLLOWERS_LIMIT
    assert [moment.body["outcome"] for moment in world.moments("decision")][-1] == "stopped"


def test_a_repeated_event_does_nothing_at_all():
    world = known("{ruleset: r, rules: [{name: v, on: View, then: [{send: receipt}]}]}")
    world.take(track("View", NOON))
    moments = len(world.memory.moments)
    outcome = world.take(track("View", NOON), track("View", NOON), at=NOON + MINUTE)
    assert (outcome.repeats, len(world.sends), len(world.memory.moments)) == (2, 1, moments)


def test_one_person_has_only_so_many_waits():
    world = known(cart(while_waiting="each"))
    world.take(*(track("Cart", NOON + number) for number in range(WAIT_LIMIT + 5)))
    assert len(world.who().waits) == WAIT_LIMIT
    refused = [moment.body["reason"] for moment in world.moments("decision") if moment.body["outcome"] == "skipped"]
    assert refused == [f"{WAIT_LIMIT} waits are pending for this person"] * 5


def test_one_person_has_only_so_many_messages_held_over_night():
    world = known(
        'policy: {quiet_hours: {start: "21:00", end: "08:00"}}',
        "{ruleset: r, rules: [{name: v, on: View, then: [{send: hello}]}]}",
    )
    night = NOON + 10 * HOUR
    world.take(*(track("View", night + number) for number in range(WAIT_LIMIT + 5)))
    assert len(world.who().waits) == WAIT_LIMIT
    assert [reason for _, status, reason in world.told() if status == "skipped"] == [
        f"{WAIT_LIMIT} waits are pending for this person"
    ] * 5


def test_the_same_decision_has_the_same_id_wherever_it_is_made():
    ids = []
    for batches in ([[0, 1, 2]], [[0], [1], [2]]):
        world = World(cart(), "{ruleset: r, rules: [{name: v, on: Cart, then: [{send: receipt}, {send: hello}]}]}")
        events = [identify(NOON, email="a@b.example"), track("Cart", NOON), track("Cart", NOON + 1)]
        for batch in batches:
            world.take(*(events[place] for place in batch))
        ids.append([send.id for send in world.sends])
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 6


def test_a_rule_that_is_gone_when_its_wait_ends_says_so():
    world = known(cart())
    world.take(track("Cart", NOON))
    world.rulebook = World().rulebook
    world.wait_until(NOON + HOUR)
    assert world.told() == [("receipt", "skipped", "the rule was removed or changed meanwhile")]


def test_two_waits_end_in_order_of_time_however_late_we_look():
    world = known("""
        ruleset: r
        rules:
          - {name: slow, on: Cart, wait: 2 hours, then: [{set: {step: slow}}, {send: receipt}]}
          - {name: quick, on: Cart, wait: 1 hour, then: [{set: {step: quick}}, {send: hello}]}
    """)
    world.take(track("Cart", NOON))
    world.wait_until(NOON + DAY)
    due = [moment for moment in world.moments("send") if moment.body["status"] == "due"]
    assert [(moment.body["template"], moment.at) for moment in due] == [
        ("hello", NOON + HOUR), ("receipt", NOON + 2 * HOUR),
    ]  # fmt: skip
    assert world.who().trait("step") == "slow"


def test_feedback_is_written_down_with_its_send():
    world = known("{ruleset: r, rules: [{name: v, on: View, then: [{send: receipt}]}]}")
    world.take(track("View", NOON))
    (send,) = world.sends
    world.take(feedback("Email Opened", NOON + 1, world.id_of("ana"), send_id=send.id))
    assert world.moments("event")[-1].body == {"event": "Email Opened", "send": send.id}


def test_two_equal_events_of_one_chain_are_two_events_each_with_its_own_message():
    world = known("""
        ruleset: r
        rules:
          - {name: twice, on: Order, then: [{emit: Thanked}, {emit: Thanked}]}
          - {name: thank, on: Thanked, cooldown: 1 day, then: [{send: receipt}]}
    """)
    world.take(track("Order", NOON))
    assert world.told() == [("receipt", "due", ""), ("receipt", "skipped", "this rule sent less than 1 day ago")]
