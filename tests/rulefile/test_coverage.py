"""Coverage: everything that a rulebook can do is an item, reached when a test reached it and not before."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.adapters.durable import DurableMatcher
from triggerfish.adapters.memory_store import MemoryStateStore
from triggerfish.rulefile.compile import load_rulebook
from triggerfish.rulefile.coverage import Coverage, cover
from triggerfish.rulefile.coverage_watch import Recorder, watched
from triggerfish.rulefile.folder import read_folder
from triggerfish.rulefile.trial import run_trials
from worlds import TEMPLATES, Facts

REPOSITORY = Path(__file__).parents[2]

FILES = {
    "rules/a.yaml": dedent("""\
    define:
      rich: traits.coins > 100
    segments:
      - name: vip
        when: rich or count(purchase) >= 2
    """),
    "rules/b.yaml": dedent("""\
    ruleset: shop
    mode: first
    rules:
      - name: best
        priority: 2
        on: [cart, basket]
        when:
          all: [event.value > 10, rich]
        wait: 1 hour
        unless: purchase
        then: [{send: offer}]
      - name: other
        on: cart
        when: 5 < event.value < 50
        then: [{send: hello}, {emit: done}]
    """),
    "rules/c.yaml": dedent("""\
    ruleset: journey
    rules:
      - name: first-week
        on: signup
        goal: purchase
        exit: {when: traits.gone == True}
        steps:
          - wait_until: {on: page, at_most: 1 day, otherwise: [{exit: nobody there}]}
          - branch:
              - {name: rich, when: rich, steps: [{send: news}]}
              - {name: poor, steps: []}
          - split: {name: test, holdout: 10, variants: [{name: a}, {name: b, steps: [{call: note}]}]}
          - goal: seen
    """),
}


def covered(tests: str, matcher: Any = CompiledMatcher) -> Coverage:
    rulebook, _ = load_rulebook(FILES, templates=TEMPLATES, matcher=matcher, actions=("note",))
    texts = {"rules/a.test.yaml": "tests:\n" + dedent(tests)}
    results = run_trials(rulebook, TEMPLATES, texts, matcher=matcher, new_store=MemoryStateStore)
    assert results.is_fine, results.problems + results.failed
    return cover(rulebook, FILES, results.recorder)


def missed(coverage: Coverage) -> set[tuple[str, int, str]]:
    return {(item.path.removeprefix("rules/"), item.line, item.missing) for item in coverage.missed}


NOTHING = "- {name: nothing, expect: [{at: 0m, sends: []}]}\n"


def test_without_tests_nothing_is_reached_and_everything_has_its_place() -> None:
    coverage = covered(NOTHING)
    assert missed(coverage) == {
        ("a.yaml", 2, "never true: traits.coins > 100"),
        ("a.yaml", 2, "never false: traits.coins > 100"),
        ("a.yaml", 4, "nobody is ever in it"),
        ("a.yaml", 5, "never true: count(purchase) >= 2"),
        ("a.yaml", 5, "never false: count(purchase) >= 2"),
        ("b.yaml", 6, "cart never wakes it"),
        ("b.yaml", 6, "basket never wakes it"),
        ("b.yaml", 8, "never true: event.value > 10"),
        ("b.yaml", 8, "never false: event.value > 10"),
        ("b.yaml", 10, "purchase never ends its wait"),
        ("b.yaml", 11, "offer never leaves"),
        ("b.yaml", 13, "nothing ever wakes it"),
        ("b.yaml", 14, "never true: 5 < event.value"),
        ("b.yaml", 14, "never false: 5 < event.value"),
        ("b.yaml", 14, "never true: event.value < 50"),
        ("b.yaml", 14, "never false: event.value < 50"),
        ("b.yaml", 15, "hello never leaves"),
        ("b.yaml", 15, "done is never emitted"),
        ("c.yaml", 4, "nothing ever wakes it"),
        ("c.yaml", 5, "purchase never ends it"),
        ("c.yaml", 6, "never ends because of traits.gone == True"),
        ("c.yaml", 6, "never true: traits.gone == True"),
        ("c.yaml", 6, "never false: traits.gone == True"),
        ("c.yaml", 8, "what it waits for never comes"),
        ("c.yaml", 8, "it never waits in vain"),
        ("c.yaml", 8, "no journey ends here"),
        ("c.yaml", 9, "the arm rich is never taken"),
        ("c.yaml", 9, "one of the arms is always taken, never none"),
        ("c.yaml", 10, "news never leaves"),
        ("c.yaml", 12, "nobody gets a"),
        ("c.yaml", 12, "nobody gets b"),
        ("c.yaml", 12, "nobody gets holdout"),
        ("c.yaml", 12, "note is never called"),
        ("c.yaml", 13, "no journey ends here"),
    }
    assert coverage.percent == 0


RICH = "profile: {traits: {email: ana@example.com, coins: 200}}"
POOR = "profile: {traits: {email: ana@example.com}}"
ALL = f"""
- name: rich, a cart
  {RICH}
  events: [{{at: 0m, event: cart, properties: {{value: 20}}}}]
  expect: [{{at: 1h, sends: [offer]}}]
- name: rich, a basket, then an order
  {RICH}
  events: [{{at: 0m, event: basket, properties: {{value: 20}}}}, {{at: 1m, event: purchase}}]
  expect: [{{at: 1h, sends: []}}]
- name: poor
  {POOR}
  events:
    - {{at: 0m, event: cart, properties: {{value: 20}}}}
    - {{at: 1m, event: cart, properties: {{value: 5}}}}
    - {{at: 2m, event: cart, properties: {{value: 50}}}}
    - {{at: 3m, event: purchase}}
    - {{at: 4m, event: purchase}}
  expect: [{{at: 1h, sends: [hello], segments: [vip]}}]
- name: to the end as a
  {RICH}
  assign: {{test: a}}
  events: [{{at: 0m, event: signup}}, {{at: 1m, event: page}}]
  expect: [{{at: 1h, sends: [news]}}]
- name: to the end as b
  {POOR}
  assign: {{test: b}}
  events: [{{at: 0m, event: signup}}, {{at: 1m, event: page}}]
  expect: [{{at: 1h, sends: [], calls: [note]}}]
- name: held out
  {POOR}
  assign: {{test: holdout}}
  events: [{{at: 0m, event: signup}}, {{at: 1m, event: page}}]
  expect: [{{at: 1h, sends: [], calls: []}}]
- name: never came
  {POOR}
  events: [{{at: 0m, event: signup}}]
  expect: [{{at: 1d, waiting: []}}]
- name: bought
  {POOR}
  events: [{{at: 0m, event: signup}}, {{at: 1m, event: purchase}}]
  expect: [{{at: 1m, waiting: []}}]
- name: gone
  {POOR}
  events: [{{at: 0m, event: signup}}, {{at: 1m, identify: {{gone: true}}}}]
  expect: [{{at: 1m, waiting: []}}]
"""


@pytest.mark.parametrize("matcher", [CompiledMatcher, DurableMatcher])
def test_tests_of_everything_reach_everything_under_both_engines(matcher: Any) -> None:
    coverage = covered(ALL, matcher)
    assert missed(coverage) == set()
    assert coverage.percent == 100


@pytest.mark.parametrize(
    ("left_out", "then_missed"),
    [
        ("rich, a cart", {("b.yaml", 11, "offer never leaves"), ("b.yaml", 6, "cart never wakes it")}),
        ("held out", {("c.yaml", 12, "nobody gets holdout")}),
        ("bought", {("c.yaml", 5, "purchase never ends it")}),
        (
            "never came",
            {("c.yaml", 8, "it never waits in vain"), ("c.yaml", 8, "no journey ends here")},
        ),
        (
            "gone",
            {
                ("c.yaml", 6, "never ends because of traits.gone == True"),
                ("c.yaml", 6, "never true: traits.gone == True"),
            },
        ),
    ],
)  # fmt: skip
def test_what_only_one_test_reaches_is_missed_without_it(left_out: str, then_missed: set[tuple[str, int, str]]) -> None:
    tests = [f"- name: {text}" for text in ALL.split("- name: ")[1:] if not text.startswith(left_out)]
    assert missed(covered("".join(tests))) == then_missed


def test_a_part_that_the_answer_does_not_need_is_not_asked() -> None:
    test = f"- name: x\n  {POOR}\n  events: [{{at: 0m, event: basket, properties: {{value: 1}}}}]\n"
    found = missed(covered(test + "  expect: [{at: 0m, sends: []}]\n"))
    assert ("b.yaml", 8, "never true: event.value > 10") in found
    assert ("b.yaml", 8, "never false: event.value > 10") not in found


def test_watching_changes_no_answer_and_leaves_the_rulebook_as_it_is() -> None:
    rulebook, _ = load_rulebook(FILES, templates=TEMPLATES, matcher=CompiledMatcher, actions=("note",))
    rule = rulebook.rule("shop", "best")
    copy = watched(rulebook, CompiledMatcher, Recorder())
    assert rulebook.rule("shop", "best") is rule
    assert copy.version == rulebook.version
    assert copy.segments.fingerprints("UTC") == rulebook.segments.fingerprints("UTC")
    assert [each.name for each in copy.rulesets] == [each.name for each in rulebook.rulesets]


def test_every_leaf_of_the_starter_is_shown_where_it_is_written() -> None:
    files, _ = read_folder(REPOSITORY / "rules")
    templates = {path.parent.name: Facts() for path in (REPOSITORY / "templates").glob("*/email.mjml")}
    rulebook, _ = load_rulebook(files, templates=templates, matcher=CompiledMatcher)
    recorder = Recorder()
    watched(rulebook, CompiledMatcher, recorder)
    items = [item for item in cover(rulebook, files, recorder).items if item.kind == "condition"]
    assert len(items) == 2 * len(recorder.leaves) > 80
    for item in items:
        marked = item.source[item.column - 1 :][: item.width]
        assert item.missing.partition(": ")[2] == marked.replace('"', "'")
