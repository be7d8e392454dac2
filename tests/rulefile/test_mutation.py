"""Mutants: each is one small edit of the text that means something else, and is noticed by the test that should."""

from __future__ import annotations

from textwrap import dedent

import pytest

from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.adapters.memory_store import MemoryStateStore
from triggerfish.rulefile.compile import load_rulebook
from triggerfish.rulefile.mutation import Laboratory, MutationReport, loading, mutate, reaching
from triggerfish.rulefile.mutation_sites import Mutant, mutants_of
from triggerfish.rulefile.mutation_text import condition_changes, lengths_near, value_changes
from triggerfish.rulefile.trial import run_trials
from worlds import TEMPLATES


def changed(text: str) -> set[str]:
    return {text[: change.start] + change.new + text[change.end :] for change in condition_changes(text)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "event.total > 5",
            {"event.total >= 5", "event.total > 6", "event.total > 4", "True"},
        ),
        (
            'count(purchase, "1h") >= 2 and not did(page)',
            {
                'count(purchase, "2h") >= 2 and not did(page)',
                'count(purchase, "0.5h") >= 2 and not did(page)',
                'count(purchase, "1h") > 2 and not did(page)',
                'count(purchase, "1h") >= 3 and not did(page)',
                'count(purchase, "1h") >= 1 and not did(page)',
                'count(purchase, "1h") >= 2 or not did(page)',
                'count(purchase, "1h") >= 2 and did(page)',
                "True and not did(page)",
                'count(purchase, "1h") >= 2 and not False',
            },
        ),
        (
            'traits.a == "x" or "vip" not in segments',
            {
                'traits.a != "x" or "vip" not in segments',
                'traits.a == "x" and "vip" not in segments',
                'traits.a == "x" or "vip" in segments',
                'False or "vip" not in segments',
                'traits.a == "x" or False',
            },
        ),
        ("1 < event.x + 0", {"1 <= event.x + 0", "2 < event.x + 0", "0 < event.x + 0", "1 < event.x - 0",
                             "1 < event.x + 1", "True"}),
        ("this is no condition", set()),
    ],
)  # fmt: skip
def test_a_condition_is_changed_in_each_of_its_parts(text: str, expected: set[str]) -> None:
    assert changed(text) == expected


def test_a_length_of_time_becomes_longer_and_shorter_by_its_last_unit() -> None:
    assert lengths_near("30d") == ["31d", "29d"]
    assert lengths_near("1h 30m") == ["1h 31m", "1h 29m"]
    assert lengths_near("1 day") == ["2 day", "0.5 day"]
    assert lengths_near("1.5h") == []
    assert lengths_near("purple") == []


def test_a_value_is_changed_but_not_answered() -> None:
    text = "event.total * 2"
    assert {text[: c.start] + c.new + text[c.end :] for c in value_changes(text)} == {
        "event.total / 2", "event.total * 3", "event.total * 1",
    }  # fmt: skip


RULES = """
policy:
  quiet_hours: {start: "21:00", end: "08:00"}
  caps: [{sends: 2, within: 1 day}]
segments:
  - name: a
    priority: 2
    exclusive: true
    when: {any: [event_free, count(x) >= 1]}
    segments:
      - {name: b, priority: 1, when: '"a" in segments'}
define: {event_free: did(y)}
ruleset: r
mode: first
max_age: 2 hours
rules:
  - name: one
    priority: 5
    on: x
    when:
      all:
        - event.total > 5
        - >
          traits.ready
          == True
    wait: 10 minutes
    while_waiting: keep
    unless: [y, z]
    cooldown: 1 day
    then:
      - send: offer
      - set: {n: 1, t: text, w: {value: event.total + 1}}
      - emit: done
  - {name: two, on: x, then: [{send: offer}]}
"""


def mutants() -> dict[str, Mutant]:
    found = mutants_of({"rules/a.yaml": RULES}, ["offer", "hello"])
    return {f"{mutant.old} -> {mutant.became}": mutant for mutant in found}


def test_every_key_that_decides_something_is_changed() -> None:
    found = mutants()
    for change in (
        'quiet_hours: {start: "21:00", end: "08:00"} -> quiet_hours: {start: "21:01", end: "08:00"}',
        "caps: [{sends: 2, within: 1 day}] -> caps: [{sends: 1, within: 1 day}]",
        "caps: [{sends: 2, within: 1 day}] -> caps: [{sends: 2, within: 0.5 day}]",
        "exclusive: true -> exclusive: false",
        "priority: 2 -> priority: 0",
        "when: {any: [event_free, count(x) >= 1]} -> when: {all: [event_free, count(x) >= 1]}",
        'when: {any: [event_free, count(x) >= 1]} -> when: {any: ["False", count(x) >= 1]}',
        "- {name: b, priority: 1, when: '\"a\" in segments'} -> - {name: b, priority: 1, when: 'True'}",
        'define: {event_free: did(y)} -> define: {event_free: "True"}',
        "mode: first -> mode: all",
        "max_age: 2 hours -> max_age: 3 hours",
        "priority: 5 -> priority: -1",
        "on: x -> on: nothing happens",
        "all: -> any:",
        '- event.total > 5 -> - "True"',
        "== True -> != True",
        "wait: 10 minutes -> wait: 9 minutes",
        "while_waiting: keep -> while_waiting: restart",
        "unless: [y, z] -> unless: [y, nothing happens]",
        "cooldown: 1 day -> cooldown: 2 day",
        "- send: offer -> - send: hello",
        "- set: {n: 1, t: text, w: {value: event.total + 1}} -> - set: {n: 2, t: text, w: {value: event.total + 1}}",
        "- set: {n: 1, t: text, w: {value: event.total + 1}} -> - set: {n: 1, t: text, w: {value: event.total - 1}}",
        "- emit: done -> - emit: nothing happens",
    ):
        assert change in found, change


def test_a_mutant_is_an_edit_of_what_it_shows_and_knows_whose_it_is() -> None:
    over_two = [mutant for mutant in mutants().values() if "\n" in RULES[mutant.start : mutant.end]]
    assert [(mutant.old, mutant.became) for mutant in over_two] == [("traits.ready == True", "True")]
    for mutant in mutants().values():
        if mutant in over_two:
            continue
        before, after = RULES.splitlines(), mutant.apply(RULES).splitlines()
        differing = [place for place, (old, new) in enumerate(zip(before, after, strict=True), 1) if old != new]
        assert differing == [mutant.line]
        assert (before[mutant.line - 1].strip(), after[mutant.line - 1].strip()) == (mutant.old, mutant.became)
    assert mutants()["wait: 10 minutes -> wait: 9 minutes"].owners == (("rule", "r / one"),)
    assert mutants()["mode: first -> mode: all"].owners == (("rule", "r / one"), ("rule", "r / two"))


def test_every_mutant_of_sound_rules_can_be_read() -> None:
    for mutant in mutants().values():
        load_rulebook({"rules/a.yaml": mutant.apply(RULES)}, templates=TEMPLATES, matcher=CompiledMatcher)


SMALL = {
    "rules/a.yaml": dedent("""
    ruleset: r
    rules:
      - name: big
        on: x
        when: event.total > 5
        cooldown: 1 day
        then: [{send: offer}]
      - name: big too
        on: y
        cooldown: 1 day
        then: [{send: hello}]
    """)
}
TEST = """
tests:
  - name: more than five
    profile: {traits: {email: ana@example.com}}
    events:
      - {at: 0m, event: x, properties: {total: 5}}
      - {at: 1m, event: x, properties: {total: 6}}
    expect: [{at: 0m, sends: []}, {at: 1m, sends: [offer]}]
"""


def report(more: str = "", jobs: int = 1) -> MutationReport:
    rulebook, _ = load_rulebook(SMALL, templates=TEMPLATES, matcher=CompiledMatcher)
    tests = {"rules/a.test.yaml": TEST + dedent(more)}
    results = run_trials(rulebook, TEMPLATES, tests, matcher=CompiledMatcher, new_store=MemoryStateStore)
    assert results.is_fine
    load = loading(TEMPLATES, CompiledMatcher)
    laboratory = Laboratory(SMALL, load, CompiledMatcher, MemoryStateStore, None, reaching(results))
    return mutate(laboratory, results.suite.equivalents, list(TEMPLATES), jobs=jobs)


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_a_test_notices_is_killed_and_the_rest_survives(jobs: int) -> None:
    made = report(jobs=jobs)
    fates = {(verdict.mutant.became, verdict.mutant.line): verdict.fate for verdict in made.verdicts}
    assert fates["when: event.total >= 5", 6] == "killed"
    assert fates["when: event.total > 4", 6] == "killed"
    assert fates["when: event.total > 6", 6] == "killed"
    assert fates['when: "True"', 6] == "killed"
    assert fates["cooldown: 2 day", 7] == "survived"
    assert fates["cooldown: 2 day", 11] == "unreached"
    assert {verdict.by for verdict in made.verdicts if verdict.fate == "killed"} == {"more than five"}
    assert made.count("killed") + len(made.survivors) == len(made.verdicts)


def test_listed_changes_are_reported_as_equivalent_and_the_list_stays_true() -> None:
    made = report("""
    equivalent:
      - {file: rules/a.yaml, rule: big, line: "cooldown: 1 day", becomes: "cooldown: 2 day", why: nobody cares}
      - {file: rules/a.yaml, line: "when: event.total > 5", becomes: "when: event.total >= 5", why: wrongly listed}
      - {file: rules/a.yaml, line: "cooldown: 9 days", becomes: "cooldown: 8 days", why: gone}
    """)
    assert [(each.mutant.line, each.why) for each in made.equivalents] == [(7, "nobody cares")]
    assert [(problem.code, problem.line) for problem in made.problems] == [("TF617", 12), ("TF618", 13)]
    assert 'the test "more than five" notices it' in made.problems[0].sentence


def test_tests_that_fail_without_any_change_are_no_measure() -> None:
    rulebook, _ = load_rulebook(SMALL, templates=TEMPLATES, matcher=CompiledMatcher)
    tests = {"rules/a.test.yaml": TEST.replace("total: 6", "total: 4")}
    results = run_trials(rulebook, TEMPLATES, tests, matcher=CompiledMatcher, new_store=MemoryStateStore)
    laboratory = Laboratory(
        SMALL, loading(TEMPLATES, CompiledMatcher), CompiledMatcher, MemoryStateStore, None, reaching(results)
    )
    with pytest.raises(ValueError, match="fails without any change"):
        mutate(laboratory, [], list(TEMPLATES), jobs=1)
