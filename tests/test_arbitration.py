"""The arbiter: of several marketing messages that want to leave to one person at nearly one time, what comes first."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from triggerfish.clock import DAY, HOUR, MINUTE
from triggerfish.conditions import View
from triggerfish.gates import gates_of
from triggerfish.schedule import Merged
from worlds import MONDAY, NOON, World, alias, feedback, identify, rulebook, track

ONE = "policy: {arbitration: {window: 5 minutes}}"
CARTS = """
ruleset: carts
priority: 60
rules:
  - {name: vip, priority: 90, on: Vip, group: reminders, then: [{send: offer}]}
  - {name: cart, on: Cart, group: reminders, then: [{send: hello}]}
  - {name: receipt, on: Pay, then: [{send: receipt}]}
"""
NEWS = "{ruleset: letters, priority: 20, rules: [{name: weekly, on: News, %s then: [{send: news}]}]}"


def known(*texts: str, **more) -> World:
    world = World(*texts)
    world.take(identify(MONDAY, email="ana@example.com", **more))
    return world


def test_the_highest_rule_set_wins_and_the_loser_is_told_to_whom():
    world = known(ONE, CARTS, NEWS % "")
    world.take(track("News", NOON))
    assert world.told() == [("news", "scheduled", "arbitration")]
    world.take(track("Cart", NOON + MINUTE))
    assert {due.due_at for due in world.sends} == {NOON + 5 * MINUTE}
    world.wait_until(NOON + 5 * MINUTE)
    assert world.told() == [
        ("news", "skipped", 'lost to "cart" of "carts" (rule set priority 60 against 20)'), ("hello", "due", ""),
    ]  # fmt: skip
    assert world.who().waits == []


def test_within_a_rule_set_the_rules_priority_decides_and_then_the_order_of_the_file():
    world = known(ONE, CARTS)
    world.take(track("Cart", NOON), track("Vip", NOON + 1))
    world.wait_until(NOON + 5 * MINUTE)
    assert world.told() == [
        ("hello", "skipped", 'lost to "vip" of "carts" (priority 90 against 0, group reminders)'), ("offer", "due", ""),
    ]  # fmt: skip
    world = known(
        ONE, "{ruleset: r, rules: [{name: a, on: A, then: [{send: hello}]}, {name: b, on: B, then: [{send: offer}]}]}"
    )
    world.take(track("B", NOON), track("A", NOON + 1), track("A", NOON + 2))
    world.wait_until(NOON + 5 * MINUTE)
    assert world.told() == [
        ("offer", "skipped", 'lost to "a" of "r" (first in the files)'), ("hello", "due", ""),
        ("hello", "skipped", 'lost to "a" of "r" (the first of its own)'),
    ]  # fmt: skip


def test_who_is_alone_in_a_round_leaves_at_its_end():
    world = known(ONE, CARTS)
    world.take(track("Cart", NOON))
    world.wait_until(NOON + 5 * MINUTE - 1)
    assert world.told() == [("hello", "scheduled", "arbitration")]
    world.wait_until(NOON + 5 * MINUTE)
    assert world.told() == [("hello", "due", "")]
    assert world.sends[0].due_at == NOON + 5 * MINUTE


def test_what_comes_as_a_round_ends_begins_the_next_one():
    world = known(ONE, CARTS, NEWS % "")
    world.take(track("News", NOON), track("Cart", NOON + 5 * MINUTE))
    assert world.told() == [("news", "due", ""), ("hello", "scheduled", "arbitration")]


def test_transactional_messages_never_wait():
    world = known(ONE, CARTS)
    world.take(track("Cart", NOON), track("Pay", NOON + 1))
    assert world.told() == [("hello", "scheduled", "arbitration"), ("receipt", "due", "")]


def test_as_many_leave_as_the_policy_lets_but_one_of_a_group():
    world = known("policy: {arbitration: {window: 5 minutes, most: 2}}", CARTS, NEWS % "")
    world.take(track("News", NOON), track("Cart", NOON + 1), track("Vip", NOON + 2))
    world.wait_until(NOON + 5 * MINUTE)
    assert [(template, status) for template, status, _ in world.told()] == [
        ("news", "due"), ("hello", "skipped"), ("offer", "due"),
    ]  # fmt: skip


def test_caps_count_what_wins_in_the_round():
    world = known(
        "policy: {arbitration: {window: 5 minutes, most: 3}, caps: [{sends: 1, within: 1 day}]}", CARTS, NEWS % ""
    )
    world.take(track("News", NOON), track("Cart", NOON + 1))
    world.wait_until(NOON + 5 * MINUTE)
    assert world.told() == [("news", "skipped", "had 1 message within 1 day"), ("hello", "due", "")]


def test_who_came_first_is_said_though_a_cap_is_reached_as_well():
    policy = "policy: {arbitration: {window: 5 minutes}, caps: [{sends: 1, within: 6 hours}]}"
    world = known(policy, CARTS, NEWS % "")
    world.take(track("News", NOON), track("Cart", NOON + 1))
    world.wait_until(NOON + 5 * MINUTE)
    assert world.told()[0][2] == 'lost to "cart" of "carts" (rule set priority 60 against 20)'


def test_a_loser_that_defers_takes_part_in_the_next_round():
    world = known(ONE, CARTS, NEWS % "losing: defer,")
    world.take(track("News", NOON), track("Cart", NOON + 1))
    world.wait_until(NOON + 5 * MINUTE)
    lost = 'deferred: lost to "cart" of "carts" (rule set priority 60 against 20)'
    assert world.told()[0] == ("news", "scheduled", lost)
    assert world.sends[0].due_at == NOON + 10 * MINUTE
    world.take(track("Vip", NOON + 6 * MINUTE))
    world.wait_until(NOON + 10 * MINUTE)
    assert [status for _, status, _ in world.told()] == ["scheduled", "due", "due"]
    world.wait_until(NOON + 15 * MINUTE)
    assert [status for _, status, _ in world.told()] == ["due", "due", "due"]


def test_a_loser_defers_until_the_caps_are_free_again():
    policy = "policy: {arbitration: {window: 5 minutes}, caps: [{sends: 1, within: 6 hours}]}"
    world = known(policy, CARTS, NEWS % "losing: defer,")
    world.take(track("News", NOON), track("Cart", NOON + 1))
    world.wait_until(NOON + 5 * MINUTE)
    lost = 'deferred: lost to "cart" of "carts" (rule set priority 60 against 20)'
    assert world.told()[0] == ("news", "scheduled", lost)
    world.wait_until(NOON + 5 * MINUTE + 6 * HOUR)
    assert world.told()[0] == ("news", "due", "")
    assert world.sends[0].due_at == NOON + 5 * MINUTE + 6 * HOUR


def test_nobody_stands_back_for_longer_than_the_rule_says():
    policy = "policy: {caps: [{sends: 1, within: 6 hours}]}"
    world = known(policy, CARTS, NEWS % "losing: defer, defer_at_most: 5 hours,")
    world.take(track("Cart", NOON), track("News", NOON + HOUR + 1))
    assert world.told()[1][1] == "scheduled"
    world = known(policy, CARTS, NEWS % "losing: defer, defer_at_most: 5 hours,")
    world.take(track("Cart", NOON), track("News", NOON + HOUR - 1))
    assert world.told()[1] == (
        "news", "skipped", "had 1 message within 6 hours, and would stand back for longer than 5 hours",
    )  # fmt: skip


def test_a_loser_that_merges_becomes_part_of_a_message_that_shows_such():
    digests = "{ruleset: top, priority: 90, rules: [{name: digest, on: Digest, then: [{send: digest}]}]}"
    world = known(ONE, digests, CARTS, NEWS % "losing: merge, cooldown: 1 day,")
    world.take(track("News", NOON, properties={"issue": 7}), track("Digest", NOON + 1))
    world.wait_until(NOON + 5 * MINUTE)
    (news, digest) = world.sends
    assert (news.status, news.reason) == (
        "skipped",
        'merged into "digest" of "top": lost to "digest" of "top" (rule set priority 90 against 20)',
    )
    assert digest.also == [Merged("letters", "weekly", "news", {"issue": 7}, "news")]
    world.take(track("News", NOON + HOUR))
    assert world.told()[2] == ("news", "skipped", "this rule sent less than 1 day ago")
    world = known(ONE, CARTS, NEWS % "losing: merge,")
    world.take(track("News", NOON), track("Cart", NOON + 1))
    world.wait_until(NOON + 5 * MINUTE)
    assert world.told()[0][2].endswith("; no template that leaves shows others")
    assert world.sends[1].also == []


def test_a_merged_message_counts_for_no_cap():
    policy = "policy: {arbitration: {window: 5 minutes}, caps: [{sends: 2, within: 1 day}]}"
    digests = "{ruleset: top, priority: 90, rules: [{name: digest, on: Digest, then: [{send: digest}]}]}"
    world = known(policy, digests, CARTS, NEWS % "losing: merge,")
    world.take(track("News", NOON), track("Digest", NOON + 1), track("Cart", NOON + HOUR))
    world.wait_until(NOON + 2 * HOUR)
    assert [status for _, status, _ in world.told()] == ["skipped", "due", "due"]


def test_what_ends_a_wait_ends_a_candidate():
    rules = """
    ruleset: carts
    rules:
      - {name: cart, on: Cart, wait: 1 hour, unless: Buy, then: [{send: offer}]}
      - {name: tour, on: Join, goal: Buy, steps: [{send: hello}, {send: news}]}
    """
    world = known(ONE, rules)
    world.take(track("Cart", NOON), track("Join", NOON + HOUR), track("Buy", NOON + HOUR + 1))
    assert world.told() == [("offer", "skipped", "Buy happened meanwhile"), ("hello", "skipped", "Buy happened")]
    assert world.who().waits == []


def test_a_journey_waits_with_its_candidate_and_goes_on_when_it_lost():
    rules = """
    ruleset: tours
    priority: 10
    rules:
      - {name: tour, on: Join, steps: [{send: hello}, {set: {is_greeted: true}}]}
      - {name: patient, on: Begin, losing: defer, steps: [{send: offer}, {set: {is_offered: true}}]}
    """
    world = known(ONE, rules, CARTS)
    world.take(track("Join", NOON), track("Begin", NOON + 1), track("Cart", NOON + 2))
    assert world.who().trait("is_greeted") is None
    world.wait_until(NOON + 5 * MINUTE)
    assert (world.told()[0][1], world.who().trait("is_greeted")) == ("skipped", True)
    assert world.who().trait("is_offered") is None
    world.wait_until(NOON + 10 * MINUTE)
    assert [status for _, status, _ in world.told()] == ["skipped", "due", "due"]
    assert world.who().trait("is_offered") is True


def test_what_is_held_over_quiet_hours_stands_against_each_other_as_they_end():
    policy = 'policy: {quiet_hours: {start: "21:00", end: "08:00"}, arbitration: {window: 5 minutes}}'
    world = known(policy, CARTS, NEWS % "")
    night, morning = MONDAY + 22 * HOUR, MONDAY + DAY + 8 * HOUR
    world.take(track("News", night), track("Cart", night + HOUR))
    world.wait_until(morning)
    assert [(each.status, each.due_at) for each in world.sends] == [("skipped", morning), ("due", morning)]


def test_a_round_that_ends_in_quiet_hours_waits_for_the_morning_and_no_second_time():
    policy = 'policy: {quiet_hours: {start: "21:00", end: "08:00"}, arbitration: {window: 10 minutes}}'
    world = known(policy, CARTS)
    world.take(track("Cart", MONDAY + 21 * HOUR - MINUTE))
    morning = MONDAY + DAY + 8 * HOUR
    world.wait_until(morning)
    assert [(each.status, each.due_at) for each in world.sends] == [("due", morning)]


def test_windows_shorter_than_a_round_still_let_messages_leave():
    policy = 'policy: {send_windows: [{from: "09:00", to: "09:10"}], arbitration: {window: 1 hour}}'
    world = known(policy, CARTS, NEWS % "")
    world.take(track("Cart", MONDAY + 9 * HOUR + MINUTE), track("News", MONDAY + 12 * HOUR))
    world.wait_until(MONDAY + DAY + 9 * HOUR)
    assert [(each.status, each.due_at) for each in world.sends] == [
        ("due", MONDAY + DAY + 9 * HOUR), ("skipped", MONDAY + DAY + 9 * HOUR),
    ]  # fmt: skip


def test_two_who_become_one_have_one_round():
    world = known(ONE, CARTS, NEWS % "")
    world.take(identify(NOON - HOUR, user="bob", email="bob@example.com"))
    world.take(track("News", NOON, user="bob"), track("Cart", NOON + MINUTE))
    world.take(alias(NOON + 2 * MINUTE, "ana", "bob"))
    world.wait_until(NOON + 5 * MINUTE)
    assert [(template, status) for template, status, _ in world.told()] == [("news", "skipped"), ("hello", "due")]


@pytest.mark.parametrize(("before", "after", "ends"), [("1 hour", "5 minutes", 60), ("5 minutes", "1 hour", 5)])
def test_a_round_keeps_its_end_when_the_window_changes(before: str, after: str, ends: int):
    texts = "policy: {arbitration: {window: %s}}", CARTS, NEWS % ""
    world = known(texts[0] % before, *texts[1:])
    world.take(track("News", NOON))
    world.rulebook = rulebook(texts[0] % after, *texts[1:])
    world.take(track("Cart", NOON + MINUTE))
    assert [due.due_at for due in world.sends] == [NOON + ends * MINUTE, NOON + min(ends, 6) * MINUTE]
    world.wait_until(NOON + 2 * HOUR)
    expected = ["due", "due"] if ends == 60 else ["skipped", "due"]
    assert [status for _, status, _ in world.told()] == expected


def test_without_an_arbiter_any_more_all_that_waits_for_one_leaves():
    world = known(ONE, CARTS, NEWS % "")
    world.take(track("News", NOON), track("Cart", NOON + 1))
    world.rulebook = rulebook(CARTS, NEWS % "")
    world.wait_until(NOON + 5 * MINUTE)
    assert [status for _, status, _ in world.told()] == ["due", "due"]


def test_the_first_to_leave_has_the_higher_number():
    world = known("{policy: {arbitration: {window: 5 minutes, most: 9}}}", CARTS, NEWS % "")
    world.take(track("News", NOON), track("Cart", NOON), track("Vip", NOON), track("Pay", NOON))
    news, cart, vip, receipt = (due.priority for due in world.sends)
    assert news < cart < vip < receipt


def test_whoever_opts_out_while_a_round_is_open_gets_nothing():
    world = known(ONE, CARTS)
    world.take(track("Cart", NOON), feedback("Unsubscribed", NOON + 1, world.id_of("ana"), send_id="s"))
    world.wait_until(NOON + 5 * MINUTE)
    assert world.told()[0][1] == "skipped"


def test_every_gate_is_told_with_the_instant_at_which_it_opens():
    policy = """
    policy:
      quiet_hours: {start: "21:00", end: "08:00"}
      send_windows: [{from: "13:00", to: "20:00"}]
      caps: [{sends: 1, within: 2 days, purpose: news}]
      arbitration: {window: 5 minutes}
    """
    rules = """
    ruleset: letters
    cooldown: 3 days
    rules: [{name: weekly, on: News, then: [{send: news, at: best_hour, within: 1 day}]}]
    """
    world = known(policy, rules)
    world.take(track("News", NOON))
    world.wait_until(NOON + 2 * DAY)
    sent = NOON + HOUR + DAY - DAY
    assert [(each.status, each.due_at) for each in world.sends] == [("due", sent)]
    rule = world.rulebook.rule("letters", "weekly")
    view = View(world.who(), NOON + DAY, world.rulebook.zones, event=track("News", NOON))
    gates = gates_of(rule, rule.sends[0], world.rulebook.policy, view, world.rulebook.zones)
    assert [(each.gate, each.passed, each.until) for each in gates] == [
        ("address and consent", True, None),
        ("cooldown of the rule set", False, sent + 3 * DAY),
        ("best hour", False, MONDAY + 2 * DAY + 10 * HOUR),
        ("quiet hours", True, None),
        ("send windows", False, NOON + DAY + HOUR),
        ("cap of 1 within 2 days for news", False, sent + 2 * DAY),
    ]
    fresh = View(world.who(), NOON + 4 * DAY, world.rulebook.zones, event=track("News", NOON))
    open_policy = replace(world.rulebook.policy, windows=())
    last = gates_of(rule, replace(rule.sends[0], best_within=0), open_policy, fresh, world.rulebook.zones)[-1]
    assert (last.gate, last.passed) == ("arbitration", True)


FIELD = """
ruleset: %s
priority: %d
rules:
  - {name: a, priority: 5, on: [A, All], group: g, then: [{send: hello}]}
  - {name: b, on: [B, All], %s then: [{send: offer}]}
  - {name: c, on: [C, All], group: g, then: [{send: news}]}
"""


@pytest.mark.parametrize("most", [1, 2])
def test_in_whatever_order_they_come_within_a_window_the_same_ones_win(most: int):
    policy = f"policy: {{arbitration: {{window: 5 minutes, most: {most}}}}}"
    winners = set()
    for names in permutations("ABC"):
        world = known(policy, FIELD % ("one", 10, ""))
        world.take(*[track(name, NOON + place) for place, name in enumerate(names)])
        world.wait_until(NOON + HOUR)
        winners.add(tuple(sorted(due.rule for due in world.sends if due.status == "due")))
    assert winners == {("a", "b")[:most]}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from(["A", "B", "C", "All", "Sold"])), min_size=1, max_size=12),
    st.integers(1, 3),
    st.sampled_from(
        ["", "losing: defer, defer_at_most: 40 minutes,", "losing: merge,", "wait: 7 minutes, unless: Sold,"]
    ),
    st.integers(1, 4),
)
def test_the_promises_of_the_arbiter(events, most, how, cap):
    """No cap is broken at any instant, of a group one leaves in a round, everybody ends in one way, and whoever loses
    for its priority lost to one that is higher.
    """
    policy = (
        f"policy: {{arbitration: {{window: 5 minutes, most: {most}}}, caps: [{{sends: {cap}, within: 20 minutes}},"
        "{sends: 2, within: 30 minutes, group: g}]}"
    )
    world = known(policy, FIELD % ("one", 10, how), FIELD % ("two", 20, ""))
    world.take(*[track(name, NOON + at * MINUTE) for at, name in sorted(events)])
    world.wait_until(NOON + 5 * HOUR)
    assert world.who().waits == []
    assert {due.status for due in world.sends} <= {"due", "skipped"}
    gone = sorted((due.due_at, due.rule, due.ruleset) for due in world.sends if due.status == "due")
    for at, _, _ in gone:
        assert sum(1 for other, _, _ in gone if at - 20 * MINUTE < other <= at) <= cap
        assert sum(1 for other, rule, _ in gone if at - 30 * MINUTE < other <= at and rule in "ac") <= 2
        together = [rule for other, rule, _ in gone if other == at]
        assert len(together) <= most
        assert sum(1 for rule in together if rule in "ac") <= 1
    known_rules = {(rule.ruleset, rule.name): rule for each in world.rulebook.rulesets for rule in each.rules}
    for due in world.sends:
        if due.reason.startswith("lost to"):
            _, name, _, ruleset, _ = due.reason.split('"')
            winner, loser = known_rules[ruleset, name], known_rules[due.ruleset, due.rule]
            assert world.rulebook.rank(winner) <= world.rulebook.rank(loser)
            assert (due.due_at, name, ruleset) in gone
