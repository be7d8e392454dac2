"""Journeys: people enter, wait, branch, are assigned, reach goals, leave; and what an edit means for those inside."""

from collections import Counter
from textwrap import dedent

import pytest

from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.clock import DAY, HOUR, MINUTE, to_iso
from triggerfish.profile import Assignment, Claim, Profile
from triggerfish.rulefile.compile import load_rulebook
from triggerfish.schedule import share_of
from worlds import MONDAY, NOON, TEMPLATES, World, alias, identify, track


def journey(steps: str, *more: str) -> str:
    """A rule set of one journey; `more` are further keys of its rule."""
    lines = ["ruleset: r", "rules:", "  - name: j", "    on: Start", *(f"    {line}" for line in more), "    steps:"]
    lines += [f"      {line}" for line in dedent(steps).strip().splitlines()]
    return "\n".join(lines) + "\n"


def world(steps: str, *more: str, policy: str = "") -> World:
    """A world in which Ana has an address and has just begun the journey."""
    made = World(journey(steps, *more), *([policy] if policy else []))
    made.take(identify(NOON - 1, email="ana@example.com"))
    made.take(track("Start", NOON, properties={"order": 1}))
    return made


def decisions(made: World) -> list[tuple[str, str]]:
    """What was noted about the journey: (outcome, step, reason or what was chosen)."""
    bodies = [moment.body for moment in made.moments("decision")]
    return [
        (body["outcome"], body.get("arm") or body.get("variant") or body.get("step", "") or body.get("reason", ""))
        for body in bodies
    ]


def outcomes(made: World) -> list[str]:
    return [outcome for outcome, _ in decisions(made)]


def test_steps_are_done_in_order_with_the_waits_between():
    made = world(
        """
        - send: hello
        - wait: 2 days
        - send: offer
        """
    )
    assert made.told() == [("hello", "due", "")]
    made.wait_until(NOON + 2 * DAY - 1)
    assert len(made.sends) == 1
    made.wait_until(NOON + 2 * DAY)
    assert made.told() == [("hello", "due", ""), ("offer", "due", "")]
    assert made.sends[1].due_at == NOON + 2 * DAY
    assert outcomes(made) == ["entered", "waiting", "went on", "finished"]
    assert not made.who().waits


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("until 09:00", MONDAY + DAY + 9 * HOUR),
        ("until 13:30", MONDAY + 13 * HOUR + 30 * MINUTE),
        ("until friday 09:00", MONDAY + 4 * DAY + 9 * HOUR),
    ],
)
def test_a_wait_may_last_until_a_local_time(text: str, until: int):
    made = world(f"- wait: {text}\n- send: hello")
    made.wait_until(until - 1)
    assert not made.sends
    made.wait_until(until)
    assert made.told() == [("hello", "due", "")]


def test_the_condition_is_asked_at_entry_only():
    made = World(journey("- wait: 1 day\n- send: hello", "when: traits.plan == 'gold'"))
    made.take(identify(NOON - 1, email="ana@example.com"), track("Start", NOON))
    assert not decisions(made), "it did not hold"
    made.take(identify(NOON + 1, plan="gold"), track("Start", NOON + 2))
    made.take(identify(NOON + 3, plan="iron"))
    made.wait_until(NOON + 2 * DAY)
    assert made.told() == [("hello", "due", "")]


def test_wait_until_goes_on_with_the_event_that_meets_its_condition():
    made = world("- wait_until: {on: Looked, when: event.price > 10, at_most: 3 days}\n- send: hello")
    made.take(track("Looked", NOON + 1, properties={"price": 5}))
    assert not made.sends
    made.take(track("Looked", NOON + 2, properties={"price": 50}))
    assert made.told() == [("hello", "due", "")]


def test_wait_until_ends_when_nothing_came_and_does_otherwise():
    text = "- wait_until: {on: Looked, at_most: 3 days, otherwise: [{send: offer}, {exit: too late}]}\n- send: hello"
    made = world(text)
    made.wait_until(NOON + 3 * DAY)
    assert made.told() == [("offer", "due", "")]
    assert decisions(made)[-1][0] == "exited"
    late = world(text)
    late.take(track("Looked", NOON + DAY))
    assert late.told() == [("hello", "due", "")]


def test_an_event_of_before_the_entry_is_not_what_a_run_waits_for():
    made = world("- wait_until: {on: Looked, at_most: 3 days}\n- send: hello", "goal: Bought")
    made.take(track("Looked", NOON - HOUR), track("Bought", NOON - HOUR, message_id="old"), at=NOON + 1)
    assert not made.sends
    assert len(made.who().waits) == 1


def test_a_condition_that_time_alone_brings_ends_a_wait_at_that_very_instant():
    made = world("- wait_until: {when: days_since(Start) >= 2, at_most: 9 days}\n- send: hello")
    made.wait_until(NOON + 2 * DAY - 1)
    assert not made.sends
    made.wait_until(NOON + 9 * DAY)
    assert [(due.template, due.due_at) for due in made.sends] == [("hello", NOON + 2 * DAY)]


def test_a_condition_that_moves_with_events_is_looked_at_anew():
    made = world("- wait_until: {when: hours_since(Seen) >= 2, at_most: 9 days}\n- send: hello")
    made.take(track("Seen", NOON + HOUR))
    made.take(track("Seen", NOON + 2 * HOUR))
    made.wait_until(NOON + 9 * DAY)
    assert [due.due_at for due in made.sends] == [NOON + 4 * HOUR]


def test_a_trait_that_is_set_when_a_wait_is_over_ends_another_run_at_once():
    made = World(
        journey("[{wait: 2 days}, {send: hello}]", "goal: {when: traits.done == True}"),
        "{ruleset: s, rules: [{name: set, on: Start, wait: 1 day, then: [{set: {done: true}}]}]}",
    )
    made.take(track("Start", NOON))
    made.wait_until(NOON + 1 * DAY)
    assert outcomes(made) == ["entered", "waiting", "waiting", "reached goal"]


def test_what_one_run_sets_is_heard_of_by_those_that_were_asked_before_it():
    steps = "[{wait_until: {on: Go, when: traits.last == True, at_most: 9 days}}]"
    made = World(
        journey(steps, "goal: {when: traits.second == True}").replace("name: j", "name: third"),
        journey("[{wait_until: {when: traits.first == True, at_most: 9 days}}, {set: {second: true}}]")
        .replace("ruleset: r", "ruleset: s"),
        journey("[{wait_until: {on: Go, at_most: 9 days}}, {set: {first: true}}]").replace("ruleset: r", "ruleset: t"),
    )  # fmt: skip
    made.take(track("Start", NOON))
    made.take(track("Go", NOON + 1))
    assert not made.who().waits


def test_a_trait_that_a_rule_sets_ends_a_wait_at_once():
    other = "ruleset: s\nrules: [{name: set, on: Paid, then: [{set: {paid: true}}]}]"
    made = World(journey("- wait_until: {when: traits.paid == True, at_most: 9 days}\n- send: hello"), other)
    made.take(identify(NOON - 1, email="ana@example.com"), track("Start", NOON))
    made.take(track("Paid", NOON + 5))
    assert [due.due_at for due in made.sends] == [NOON + 5]


BRANCH = """
- branch:
    - {name: vip, when: traits.vip == True, steps: [{send: offer}]}
    - {when: traits.plan == "gold", steps: [{send: news}]}
    - {steps: [{set: {plain: true}}]}
- send: hello
"""


@pytest.mark.parametrize(
    ("traits", "sent", "arm"),
    [
        ({"vip": True, "plan": "gold"}, ["offer", "hello"], "vip"),
        ({"plan": "gold"}, ["news", "hello"], "2"),
        ({}, ["hello"], "else"),
    ],
)
def test_the_first_arm_that_holds_is_taken(traits: dict, sent: list[str], arm: str):
    made = World(journey(BRANCH))
    made.take(identify(NOON - 1, email="ana@example.com", **traits), track("Start", NOON))
    assert [due.template for due in made.sends] == sent
    assert ("branched", arm) in decisions(made)
    assert made.who().trait("plain") is (True if arm == "else" else None)


def test_the_way_for_everybody_else_may_have_a_name():
    made = world(
        "- branch: [{when: traits.vip == True, steps: [{send: offer}]}, {name: others, steps: [{send: hello}]}]"
    )
    assert ("branched", "others") in decisions(made)
    assert made.told() == [("hello", "due", "")]


def test_a_goal_acts_at_once_and_stops_what_no_channel_has_yet():
    made = world("- send: hello\n- wait: 2 days\n- send: offer", "goal: Bought")
    made.take(track("Bought", NOON + 1))
    assert made.told() == [("hello", "skipped", "Bought happened")]
    assert not made.who().waits
    made.wait_until(NOON + 9 * DAY)
    assert len(made.sends) == 1
    assert outcomes(made)[-1] == "reached goal"


def test_a_goal_leaves_alone_what_a_channel_has():
    made = world("- send: hello\n- wait: 2 days", "goal: Bought")
    sent = made.memory.to_send(NOON, 1)[0]
    sent.status = "sent"
    made.memory.mark([sent], [])
    made.take(track("Bought", NOON + 1))
    assert made.told() == [("hello", "sent", "")]


def test_a_goal_may_ask_something_of_its_event_or_be_a_condition():
    stop = "goal: [{on: Bought, when: event.total > 50}, {when: traits.done == True}]"
    made = world("- wait: 2 days\n- send: hello", stop)
    made.take(track("Bought", NOON + 1, properties={"total": 5}))
    assert len(made.who().waits) == 1
    made.take(identify(NOON + 2, done=True))
    assert outcomes(made)[-1] == "reached goal"
    assert not made.who().waits


def test_a_goal_that_time_brings_is_reached_at_that_instant():
    made = world("- wait: 9 days\n- send: hello", "goal: {when: days_since(Start) > 1}")
    made.wait_until(NOON + 20 * DAY)
    assert not made.sends
    assert made.moments("decision")[-1].at == NOON + DAY + 1


def test_who_is_at_the_goal_already_does_not_enter():
    made = World(journey("- send: hello", "goal: {when: traits.done == True}"))
    made.take(identify(NOON - 1, email="ana@example.com", done=True), track("Start", NOON))
    assert not made.sends
    assert outcomes(made) == ["skipped"]


def test_an_exit_is_not_a_goal():
    made = world("- wait: 2 days", "exit: Left")
    made.take(track("Left", NOON + 1))
    assert outcomes(made)[-1] == "exited"


def test_nobody_is_inside_twice_but_under_another_key():
    made = world("- wait: 2 days\n- send: hello", "key: event.order")
    made.take(track("Start", NOON + 1, properties={"order": 1}))
    made.take(track("Start", NOON + 2, properties={"order": 2}))
    made.take(track("Start", NOON + 3))
    assert sorted(wait.key for wait in made.who().waits) == ["1", "2"]
    assert [body.body.get("reason") for body in made.moments("decision") if body.body["outcome"] == "skipped"] == [
        "already inside", "event.order is missing",
    ]  # fmt: skip
    made.wait_until(NOON + 3 * DAY)
    assert len(made.sends) == 2
    assert len({due.id for due in made.sends}) == 2


@pytest.mark.parametrize(("again", "entries"), [("always", 3), ("once", 1), ("after 30 days", 2), ("30 days", 2)])
def test_again_says_when_somebody_may_enter_once_more(again: str, entries: int):
    made = world("- set: {seen: true}", f"again: {again}")
    made.take(track("Start", NOON + DAY))
    made.take(track("Start", NOON + 30 * DAY))
    assert outcomes(made).count("entered") == entries


QUIET = "policy: {quiet_hours: {start: '11:00', end: '14:00'}}"


def test_a_run_waits_with_a_message_that_is_held():
    made = world("- send: hello\n- set: {after: true}", policy=QUIET)
    assert made.told() == [("hello", "scheduled", "quiet hours")]
    assert made.who().trait("after") is None
    made.wait_until(NOON + 2 * HOUR)
    assert made.told() == [("hello", "due", "")]
    assert made.who().trait("after") is True


def test_a_goal_stops_a_message_that_is_held():
    made = world("- send: hello", "goal: Bought", policy=QUIET)
    made.take(track("Bought", NOON + 1))
    assert made.told() == [("hello", "skipped", "Bought happened")]
    made.wait_until(NOON + 9 * DAY)
    assert made.told() == [("hello", "skipped", "Bought happened")]


SPLIT = """
- split:
    name: words
    holdout: 20
    variants:
      - {name: a, weight: 3, steps: [{send: hello}]}
      - {name: b, steps: [{send: offer}]}
- set: {after: true}
"""


def test_a_split_assigns_by_weight_and_holds_out_its_share():
    made = World(journey(SPLIT))
    for number in range(2_000):
        made.take(identify(NOON, user=f"u{number}", email=f"u{number}@example.com"))
        made.take(track("Start", NOON + 1, user=f"u{number}"))
    variants = Counter(choice for outcome, choice in decisions(made) if outcome == "assigned")
    # 60, 20 and 20 percent of 2,000; five standard deviations are less than 110.
    assert variants.keys() == {"a", "b", "holdout"}
    assert abs(variants["a"] - 1_200) < 110
    assert abs(variants["b"] - 400) < 110
    assert abs(variants["holdout"] - 400) < 110
    assert Counter(due.template for due in made.sends) == {"hello": variants["a"], "offer": variants["b"]}
    assert made.who("u7").trait("after") is True, "everybody goes on behind it"


def test_the_same_person_gets_the_same_variant_ever_after():
    made = world(SPLIT)
    first = made.who().assignments["words"].variant
    for day in range(1, 9):
        made.take(track("Start", NOON + day * DAY))
    assert {choice for outcome, choice in decisions(made) if outcome == "assigned"} == {first}
    assert made.who().assignments["words"].at == NOON, "since they were first exposed"


def test_the_share_that_assigns_is_as_documented():
    """BLAKE2b of 8 bytes, person "split", of `words`, NUL and the id; computed by coreutils' b2sum it is the same."""
    profile = Profile("p0123", 0, 0)
    assert 0 <= share_of(profile, "words") < 1
    assert share_of(profile, "words") != share_of(profile, "other words")
    assert share_of(profile, "words") == share_of(Profile("p0123", 5, 5), "words")


def test_a_rule_without_steps_may_split_too():
    text = """
    ruleset: r
    rules:
      - name: j
        on: Start
        then:
          - split: {name: words, variants: [{name: a, steps: [{send: hello}]}, {name: b, steps: [{send: offer}]}]}
          - set: {after: true}
    """
    made = World(text)
    made.take(identify(NOON - 1, email="ana@example.com"), track("Start", NOON))
    variant = made.who().assignments["words"].variant
    assert [due.template for due in made.sends] == [{"a": "hello", "b": "offer"}[variant]]
    assert made.who().trait("after") is True


def test_a_message_held_within_a_variant_leaves_although_a_merge_brought_another_variant():
    text = """
    ruleset: r
    rules:
      - name: j
        on: Start
        then:
          - split: {name: words, variants: [{name: a, steps: [{send: hello}]}, {name: b, steps: [{send: offer}]}]}
    """
    made = World(text, QUIET)
    made.take(identify(NOON - 1, email="ana@example.com"), track("Start", NOON))
    [held] = made.sends
    ana = made.who().copy()
    ana.assignments["words"] = Assignment({"hello": "b", "offer": "a"}[held.template], NOON - 1)
    made.memory.profiles[ana.id] = ana
    made.wait_until(NOON + 2 * HOUR)
    assert made.told() == [(held.template, "due", "")]


def test_when_two_inside_turn_out_to_be_one_person_the_run_that_began_first_goes_on():
    made = World(journey("- wait: 1 day\n- send: hello"))
    made.take(identify(NOON - 1, email="ana@example.com"))
    made.take(track("Start", NOON))
    made.take(track("Start", NOON + HOUR, user=None, anon="x"))
    made.take(alias(NOON + 2 * HOUR, "ana", "x"))
    assert [wait.trigger.timestamp for wait in made.who().waits] == [NOON]
    made.wait_until(NOON + 3 * DAY)
    assert [due.due_at for due in made.sends] == [NOON + DAY]


def edited(made: World, *texts: str, kept: tuple[str, ...] = ()) -> None:
    """Let other rules go live in this world."""
    made.rulebook, _ = load_rulebook(
        {f"rules/{number}.yaml": text for number, text in enumerate(texts)},
        templates=TEMPLATES,
        matcher=CompiledMatcher,
        kept=[{"rules/0.yaml": text} for text in kept],
    )


BEFORE, AFTER = "- wait: 1 day\n- send: hello", "- wait: 1 day\n- send: offer\n- send: news"


def test_people_inside_follow_an_edit_unless_they_are_pinned():
    made = world(BEFORE)
    edited(made, journey(AFTER))
    made.wait_until(NOON + 2 * DAY)
    assert [due.template for due in made.sends] == ["offer", "news"]


def test_people_inside_a_pinned_journey_go_on_by_the_steps_that_they_entered_with():
    made = world(BEFORE, "in_flight: pin")
    edited(made, journey(AFTER, "in_flight: pin"), kept=(journey(BEFORE, "in_flight: pin"),))
    made.take(identify(NOON, user="bo", email="bo@example.com"), track("Start", NOON + 1, user="bo"))
    made.wait_until(NOON + 2 * DAY)
    assert [(due.profile == made.id_of("ana"), due.template) for due in made.sends] == [
        (True, "hello"), (False, "offer"), (False, "news"),
    ]  # fmt: skip


def test_a_pinned_run_goes_on_even_when_the_journey_was_deleted():
    made = world(BEFORE, "in_flight: pin")
    edited(made, "ruleset: other\nrules: [{name: a, on: x, then: [{send: hello}]}]",
           kept=(journey(BEFORE, "in_flight: pin"),))  # fmt: skip
    made.take(track("Start", NOON + 1, user="bo"))
    made.wait_until(NOON + 2 * DAY)
    assert [due.template for due in made.sends] == ["hello"]


def test_a_run_whose_journey_was_deleted_ends_and_sends_nothing():
    made = world(BEFORE)
    edited(made, "ruleset: other\nrules: [{name: a, on: x, then: [{send: hello}]}]")
    made.wait_until(NOON + 2 * DAY)
    assert not made.sends
    assert not made.who().waits


def test_steps_with_names_are_found_again_after_an_edit_before_them():
    made = world("- {wait: 1 day, name: pause}\n- send: hello")
    edited(made, journey("- send: news\n- {wait: 1 day, name: pause}\n- send: offer"))
    made.wait_until(NOON + 2 * DAY)
    assert [due.template for due in made.sends] == ["offer"]


def test_a_run_at_a_step_that_is_gone_leaves_and_says_so():
    made = world("- {wait: 1 day, name: pause}\n- send: hello")
    edited(made, journey("- {wait: 1 day, name: rest}\n- send: hello"))
    made.wait_until(NOON + 2 * DAY)
    assert not made.sends
    assert made.moments("decision")[-1].body["reason"] == "step pause is not there any more"


def test_an_emitted_event_can_be_what_another_journey_begins_with():
    second = "ruleset: s\nrules: [{name: k, on: Ready, steps: [{wait: 1 day}, {send: hello}]}]"
    made = World(journey("- emit: Ready\n- goal: ready"), second)
    made.take(identify(NOON - 1, email="ana@example.com"), track("Start", NOON))
    made.wait_until(NOON + DAY)
    assert [(due.ruleset, due.template) for due in made.sends] == [("s", "hello")]


def test_waits_of_one_file_are_not_disturbed_by_another():
    plain = "ruleset: p\nrules: [{name: w, on: Start, wait: 1 day, then: [{send: news}]}]"
    made = World(plain, journey(BEFORE))
    made.take(identify(NOON - 1, email="ana@example.com"), track("Start", NOON))
    before = list(made.who().waits)
    edited(made, plain, journey(AFTER), "ruleset: q\nrules: [{name: z, on: Start, then: [{send: offer}]}]")
    made.wait_until(NOON + HOUR)
    assert made.who().waits == before
    made.wait_until(NOON + DAY)
    assert Counter(due.template for due in made.sends) == {"news": 2, "offer": 1}


# --- the calendar -----------------------------------------------------------------------------------------------------

WEEKLY = """
segments: [{name: fans, when: traits.fan == True}]
ruleset: r
rules:
  - {name: weekly, on: schedule monday 09:00, segment: fans, then: [{send: news}]}
"""


def test_a_schedule_wakes_a_rule_for_the_people_of_its_segment_in_their_own_time():
    made = World(WEEKLY)
    made.take(identify(NOON, email="ana@example.com", fan=True, context={"timezone": "America/New_York"}))
    made.take(identify(NOON, user="bo", email="bo@example.com", fan=True))
    made.take(identify(NOON, user="cy", email="cy@example.com"))
    made.wait_until(NOON + 15 * DAY)
    week = 7 * DAY
    assert sorted((due.due_at, due.profile) for due in made.sends) == sorted(
        [
            (MONDAY + 14 * HOUR, made.id_of("ana")),
            (MONDAY + week + 9 * HOUR, made.id_of("bo")),
            (MONDAY + week + 14 * HOUR, made.id_of("ana")),
            (MONDAY + 2 * week + 9 * HOUR, made.id_of("bo")),
            (MONDAY + 2 * week + 14 * HOUR, made.id_of("ana")),
        ]
    )


def test_a_schedule_may_have_a_time_zone_of_its_own():
    made = World(WEEKLY.replace("segment: fans", "segment: fans, time_zone: Asia/Tokyo"))
    made.take(identify(NOON, email="ana@example.com", fan=True, context={"timezone": "America/New_York"}))
    made.wait_until(NOON + 7 * DAY)
    assert [to_iso(due.due_at)[11:16] for due in made.sends] == ["00:00"]


def test_who_enters_the_segment_at_the_very_hour_is_woken():
    made = World(
        "segments: [{name: day, when: local.hour >= 9}]",
        "{ruleset: r, rules: [{name: news, on: schedule day 09:00, segment: day, then: [{send: news}]}]}",
    )
    made.take(identify(MONDAY, email="ana@example.com"))
    made.wait_until(MONDAY + 9 * HOUR)
    assert made.told() == [("news", "due", "")]


def test_who_leaves_the_segment_before_the_hour_is_not_woken():
    made = World(WEEKLY)
    made.take(identify(NOON, email="ana@example.com", fan=True))
    assert made.who().alarm_at == MONDAY + 7 * DAY + 9 * HOUR
    made.take(identify(NOON + DAY, fan=False))
    assert made.who().alarm_at is None
    made.wait_until(NOON + 30 * DAY)
    assert not made.sends


BIRTHDAY = """
ruleset: r
rules:
  - {name: soon, on: date traits.birthday, before: 3 days, at: "10:00", then: [{send: news}]}
"""


def test_a_date_wakes_a_rule_as_many_days_before_it_every_year():
    made = World(BIRTHDAY)
    made.take(identify(NOON, email="ana@example.com", birthday="1990-05-17"))
    made.wait_until(NOON + 800 * DAY)
    assert [to_iso(due.due_at) for due in made.sends] == ["2027-05-14T10:00:00.000Z", "2028-05-14T10:00:00.000Z"]
    assert made.sends[0].trigger is not None
    assert made.sends[0].trigger.properties == {"date": "2027-05-14"}


def test_a_date_that_changes_moves_the_alarm():
    made = World(BIRTHDAY)
    made.take(identify(NOON, email="ana@example.com", birthday="1990-05-17"))
    made.take(identify(NOON + 1, birthday="1990-03-17"))
    made.wait_until(NOON + 200 * DAY)
    assert [to_iso(due.due_at) for due in made.sends] == ["2027-03-14T10:00:00.000Z"]


def test_the_calendar_can_begin_a_journey():
    made = World(BIRTHDAY.replace("then: [{send: news}]", "steps: [{send: news}, {wait: 3 days}, {send: hello}]"))
    made.take(identify(NOON, email="ana@example.com", birthday="1990-05-17"))
    made.wait_until(NOON + 200 * DAY)
    assert [(due.template, to_iso(due.due_at)[:10]) for due in made.sends] == [
        ("news", "2027-05-14"), ("hello", "2027-05-17"),
    ]  # fmt: skip


# --- how often a rule sends -------------------------------------------------------------------------------------------


def sent_days(text: str, days: list[float], properties: list[dict] | None = None) -> list[float]:
    """On which of the days, counted from a Monday at noon, a rule with these keys sent."""
    made = World(f"ruleset: r\nrules:\n  - {{name: a, on: Start, {text}, then: [{{send: receipt}}]}}\n")
    made.take(identify(NOON - 1, email="ana@example.com"))
    for place, day in enumerate(days):
        more = properties[place] if properties else {}
        made.take(track("Start", NOON + round(day * DAY), properties=more))
    return [(due.due_at - NOON) / DAY for due in made.sends if due.status == "due"]


@pytest.mark.parametrize(
    ("text", "days", "sent"),
    [
        ("once_per: day", [0, 0.25, 0.75, 1], [0, 0.75]),
        ("once_per: week", [0, 3, 6.25, 6.75, 7], [0, 6.75]),
        ("once_per: month", [0, 5, 20], [0, 20]),
        ("once_per: year", [0, 200, 400], [0, 400]),
        ("once_per: ever", [0, 500, 2000], [0]),
        ("cooldown: 2 days", [0, 1, 2, 3, 4], [0, 2, 4]),
        ("limit: {sends: 2, within: 5 days}", [0, 1, 2, 4, 5, 6], [0, 1, 5, 6]),
        ("limit: [{sends: 1, within: 1 day}, {sends: 2, within: 5 days}]", [0, 0.5, 1, 2, 5], [0, 1, 5]),
    ],
)
def test_a_rule_sends_no_more_often_than_it_says(text: str, days: list[float], sent: list[float]):
    assert sent_days(text, days) == sent


def test_once_per_a_value_counts_a_missing_one_too():
    properties = [{"id": 1}, {"id": 1}, {"id": "1"}, {}, {}, {"id": 2}]
    assert sent_days("once_per: event.id", [0, 1, 2, 3, 4, 5], properties) == [0, 2, 3, 5]


def test_a_rules_own_max_age_goes_before_its_sets():
    text = "ruleset: r\nmax_age: 1 day\nrules: [{name: a, on: Start, max_age: 2 days, then: [{send: receipt}]}]"
    made = World(text)
    made.take(identify(NOON, email="ana@example.com"))
    made.take(track("Start", NOON - 36 * HOUR), at=NOON + 1)
    made.take(track("Start", NOON - 72 * HOUR), at=NOON + 2)
    assert made.told() == [("receipt", "due", "")]


def test_a_rule_may_give_its_message_another_class_and_purpose():
    text = "ruleset: r\nrules: [{name: a, on: Start, class: transactional, purpose: shipping, then: [{send: offer}]}]"
    made = World(text, QUIET)
    made.take(identify(NOON, email="ana@example.com"), track("Start", NOON + 1))
    assert [(due.class_, due.purpose, due.status) for due in made.sends] == [("transactional", "shipping", "due")]


def test_a_name_that_is_claimed_again_does_not_bring_old_stamps_back():
    made = world("- set: {seen: true}", "again: once")
    made.take(track("Start", NOON + 1, user=None, anon="x"))
    made.take(alias(NOON + 2, "ana", "x"))
    assert [Claim("user", "ana")] == [claim for claim in made.memory.owners if claim.kind == "user"]
    made.take(track("Start", NOON + 3))
    assert outcomes(made).count("entered") == 2
