"""May this message go to this person now? Every "no" and "not yet" says why."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from triggerfish.clock import DAY, HOUR, MINUTE, from_datetime
from triggerfish.decisions import refusal_to
from triggerfish.profile import Consent, Profile, Trait
from triggerfish.rules import Policy, Quiet
from triggerfish.windows import quiet_until
from triggerfish.zones import Local
from worlds import MONDAY, NOON, World, feedback, identify, track

EVERY_VIEW = "{ruleset: r, rules: [{name: v, on: View, then: [{send: hello}]}]}"
NIGHT = 'policy: {time_zone: UTC, quiet_hours: {start: "21:00", end: "08:00"}}'
CAP = "policy: {caps: [{sends: 2, within: 1 day}, {sends: 3, within: 7 days}]}"


def known(*texts: str, **more) -> World:
    world = World(*texts)
    world.take(identify(MONDAY, email="ana@example.com", **more))
    return world


def test_nobody_is_written_to_without_an_address():
    world = World(EVERY_VIEW)
    world.take(track("View", NOON))
    assert world.told() == [("hello", "skipped", "no email address")]


def test_who_opted_out_gets_no_marketing_but_still_receipts():
    world = known(EVERY_VIEW, "{ruleset: s, rules: [{name: v, on: View, then: [{send: receipt}, {send: news}]}]}")
    world.take(feedback("Unsubscribed", NOON, world.id_of("ana"), purpose="marketing", send_id="s"))
    world.take(track("View", NOON + 1))
    assert sorted(world.told()) == [
        ("hello", "skipped", "opted out of marketing (unsubscribe link)"), ("news", "due", ""), ("receipt", "due", ""),
    ]  # fmt: skip


def test_who_opted_out_of_everything_gets_no_marketing_of_any_purpose():
    world = known("{ruleset: s, rules: [{name: v, on: View, then: [{send: receipt}, {send: news}]}]}")
    world.take(feedback("Unsubscribed", NOON, world.id_of("ana"), send_id="s"), track("View", NOON + 1))
    assert [(template, status) for template, status, _ in world.told()] == [("receipt", "due"), ("news", "skipped")]


def test_a_bounced_address_gets_nothing_and_a_complaint_ends_marketing():
    for name, more, receipt in (
        ("Email Bounced", {"is_permanent": True}, "skipped"),
        ("Email Bounced", {}, "due"),
        ("Email Marked as Spam", {}, "due"),
    ):
        world = known("{ruleset: s, rules: [{name: v, on: View, then: [{send: receipt}]}]}")
        world.take(feedback(name, NOON, world.id_of("ana"), send_id="s", **more), track("View", NOON + 1))
        assert [status for _, status, _ in world.told()] == [receipt]
    assert refusal_to(world.who(), "marketing", "news", Policy()) == "suppressed: complaint"


def test_a_refusal_tells_its_reason():
    ana = Profile("p", NOON, NOON, traits={"email": Trait("ana@example.com", NOON)})
    assert refusal_to(ana, "marketing", "news", Policy()) == ""
    ana.consent["news"] = Consent(False, NOON, "unsubscribe link")
    assert refusal_to(ana, "marketing", "news", Policy()) == "opted out of news (unsubscribe link)"
    assert refusal_to(ana, "transactional", "news", Policy()) == ""
    ana.suppressed = "hard bounce"
    assert refusal_to(ana, "transactional", "news", Policy()) == "suppressed: hard bounce"
    for broken in (None, 7, "nobody"):
        ana.traits["email"] = Trait(broken, NOON)
        assert refusal_to(ana, "transactional", "", Policy()) == "no email address"


def test_quiet_hours_hold_a_message_until_they_end():
    world = known(NIGHT, EVERY_VIEW)
    world.take(track("View", MONDAY + 21 * HOUR))
    (send,) = world.sends
    morning = MONDAY + DAY + 8 * HOUR
    assert (send.status, send.reason, send.due_at) == ("scheduled", "quiet hours", morning)
    world.wait_until(morning - 1)
    assert world.told() == [("hello", "scheduled", "quiet hours")]
    world.wait_until(morning)
    assert world.told() == [("hello", "due", "")]
    assert world.sends[0].due_at == morning


def test_the_edges_of_quiet_hours_are_exact():
    for minute, status in ((20 * 60 + 59, "due"), (21 * 60, "scheduled"), (7 * 60 + 59, "scheduled"), (8 * 60, "due")):
        world = known(NIGHT, EVERY_VIEW)
        world.take(track("View", MONDAY + minute * MINUTE))
        assert [each for _, each, _ in world.told()] == [status], minute


def test_quiet_hours_are_those_of_the_persons_own_clock():
    world = known(NIGHT, EVERY_VIEW, context={"timezone": "Asia/Tokyo"})
    world.take(track("View", NOON))
    assert (world.sends[0].status, world.sends[0].due_at) == ("scheduled", NOON + 11 * HOUR)


def test_quiet_hours_that_end_in_the_hour_that_comes_twice_end_the_first_time():
    """At 02:10 for the second time, the night that ended at 02:30 is over: it does not last until tomorrow's 02:30."""
    berlin = ZoneInfo("Europe/Berlin")
    policy = Policy(quiet=Quiet(23 * 60, 2 * 60 + 30))
    first, second = (datetime(2026, 10, 25, 2, 10, fold=fold, tzinfo=berlin) for fold in (0, 1))
    end = from_datetime(datetime(2026, 10, 25, 2, 30, tzinfo=berlin))
    assert quiet_until(policy, Local(from_datetime(first), berlin)) == end
    assert quiet_until(policy, Local(from_datetime(second), berlin)) is None
    starts_then = Policy(quiet=Quiet(2 * 60 + 30, 8 * 60))
    morning = from_datetime(datetime(2026, 10, 25, 8, tzinfo=berlin))
    assert quiet_until(starts_then, Local(from_datetime(second), berlin)) == morning


def test_a_transactional_message_does_not_wait_for_the_morning():
    world = known(NIGHT, "{ruleset: s, rules: [{name: v, on: View, then: [{send: receipt}]}]}")
    world.take(track("View", MONDAY + 23 * HOUR))
    assert world.told() == [("receipt", "due", "")]


def test_what_is_held_is_asked_again_in_the_morning():
    world = known(NIGHT, EVERY_VIEW)
    world.take(track("View", MONDAY + 23 * HOUR))
    world.take(feedback("Unsubscribed", MONDAY + 24 * HOUR, world.id_of("ana"), send_id="s"))
    world.wait_until(MONDAY + 2 * DAY)
    assert world.told() == [("hello", "skipped", "opted out of marketing (unsubscribe link)")]


def test_of_a_rule_with_two_messages_only_the_held_one_is_left_for_the_morning():
    both = "{ruleset: s, rules: [{name: v, on: View, then: [{send: receipt}, {send: hello}, {set: {x: 1}}]}]}"
    world = known(NIGHT, both)
    world.take(track("View", MONDAY + 23 * HOUR))
    assert world.told() == [("receipt", "due", ""), ("hello", "scheduled", "quiet hours")]
    world.wait_until(MONDAY + 2 * DAY)
    assert world.told() == [("receipt", "due", ""), ("hello", "due", "")]
    assert len([moment for moment in world.moments("send") if moment.body["template"] == "receipt"]) == 1


def test_caps_count_what_left_within_the_window_and_every_window_holds():
    world = known(CAP, EVERY_VIEW)
    hours = (0, 1, 2, 25, 26, 30)
    world.take(*(track("View", NOON + hour * HOUR) for hour in hours))
    world.take(track("View", NOON + 7 * DAY))
    assert [(status, reason) for _, status, reason in world.told()] == [
        ("due", ""), ("due", ""), ("skipped", "had 2 messages within 1 day"), ("due", ""),
        ("skipped", "had 3 messages within 7 days"), ("skipped", "had 3 messages within 7 days"), ("due", ""),
    ]  # fmt: skip


def test_transactional_messages_neither_count_for_a_cap_nor_stop_at_it():
    world = known(CAP, "{ruleset: s, rules: [{name: v, on: View, then: [{send: receipt}]}]}", EVERY_VIEW)
    world.take(*(track("View", NOON + number) for number in range(4)))
    told = [(template, status) for template, status, _ in world.told()]
    assert told.count(("receipt", "due")) == 4
    assert told.count(("hello", "due")) == 2


def test_what_is_held_over_night_counts_when_it_is_let_go():
    world = known(
        "policy: {quiet_hours: {start: '21:00', end: '08:00'}, caps: [{sends: 1, within: 12 hours}]}", EVERY_VIEW
    )
    night = MONDAY + 22 * HOUR
    world.take(track("View", night), track("View", night + 1))
    world.wait_until(NOON + DAY)
    assert world.told() == [("hello", "due", ""), ("hello", "skipped", "had 1 message within 12 hours")]
