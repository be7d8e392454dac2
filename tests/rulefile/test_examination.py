"""The second look at a sound rulebook: what is found, and above all, what is left alone."""

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.rulefile.compile import load_rulebook
from triggerfish.rulefile.examination import examine
from triggerfish.rulefile.prove_conditions import Notes
from worlds import TEMPLATES, Facts

REPOSITORY = Path(__file__).parents[2]
VIP = "segments: [{name: vip, when: count(purchase) > 9}]\n"


def look(*texts: str, steps: int = 20_000, functions: dict[str, Any] | None = None) -> Notes:
    found: list[Notes] = []

    def keep(*given: Any) -> list[Any]:
        found.append(examine(*given, steps=steps))
        return []

    files = {f"rules/{number}.yaml": dedent(text) for number, text in enumerate(texts)}
    load_rulebook(files, templates=TEMPLATES, matcher=CompiledMatcher, examine=keep, functions=functions)
    return found[0]


def codes(*texts: str) -> list[str]:
    return [problem.code for problem in look(*texts).problems]


def rule(when: str, *, on: str = "go") -> str:
    return f"ruleset: x\nrules:\n  - name: r\n    on: {on}\n    when: {when}\n    then: [{{send: hello}}]\n"


def test_the_starter_is_left_alone() -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted((REPOSITORY / "rules").glob("*.yaml"))}
    texts = {name: text for name, text in texts.items() if not name.endswith(".test.yaml")}
    names = [path.name for path in (REPOSITORY / "templates").iterdir()]
    found: list[Notes] = []

    def keep(*given: Any) -> list[Any]:
        found.append(examine(*given))
        return []

    load_rulebook(texts, templates={name: Facts() for name in names}, matcher=CompiledMatcher, examine=keep)
    assert not found[0].problems
    assert not found[0].undecided
    assert found[0].decided > 10


@pytest.mark.parametrize(
    "when",
    [
        "event.total > 100 or event.total <= 100",
        "not event.total > 100 and not event.total <= 100",
        'traits.plan != "gold" or traits.plan != "silver"',
        'count(purchase, "7d") < count(purchase, "30d")',
        'count(purchase, "30d") >= 3 and count(purchase, "7d") == 0',
        'days_since(purchase) > 7 and not did(purchase, "7d")',
        "sum(purchase.total) < 0 and count(purchase) > 0",
        "last(purchase.total) > max(purchase.total, \"1d\")",
        'starts_with(traits.sku, "A") and not starts_with(traits.sku, "AB")',
        "event.total + 1 == event.total",
        "event.flag == event.flag and not event.flag >= event.flag",
        "count(purchase) == 0 and not exists(last(purchase.total))",
        'local.weekday in ["saturday", "sunday"] and local.hour >= 23',
        "exists(traits.a) and traits.a > 3",
        '\'"vip" not in segments and did(purchase)\'',
    ],
)  # fmt: skip
def test_what_can_be_one_way_or_the_other_is_left_alone(when: str) -> None:
    assert codes(VIP, rule(when)) == []


@pytest.mark.parametrize(
    "when",
    [
        "event.total < 5 and event.total > 5",
        'traits.plan == "gold" and traits.plan == "silver"',
        'count(purchase, "7d") > 3 and count(purchase, "30d") <= 3',
        'count(purchase[total > 50], "30d") > 3 and count(purchase) < 3',
        "default(event.total, 0) > 3 and not exists(event.total)",
        "min(purchase.total) > 5 and max(purchase.total) < 5",
        "distinct(purchase.sku) > 3 and count(purchase) < 2",
        'sequence(page, purchase, within="1h") and not did(page)',
        'matches(traits.sku, "^A") and traits.sku in ["B", "C"]',
        "traits.address.city == \"Rome\" and traits.address == 1",
        '\'"vip" in segments and count(purchase) < 5\'',
        '\'segment == "vip" and "vip" not in segments\'',
        "5 < event.total < 5",
    ],
)  # fmt: skip
def test_what_can_never_be_is_found(when: str) -> None:
    assert codes(VIP, rule(when)) == ["TF290"]


def test_a_contradiction_is_told_by_the_parts_that_make_it_alone() -> None:
    text = """
        ruleset: x
        rules:
          - name: r
            on: go
            when:
              all: [traits.a == 1, count(purchase) == 0, traits.b == 2, did(purchase)]
            then: [{send: hello}]
    """
    (problem,) = look(text).problems
    assert problem.sentence == 'this can never hold: "count(purchase) == 0" and "did(purchase)" exclude one another'


def test_a_plugin_s_function_may_say_anything() -> None:
    notes = look(rule("loyalty(traits.a) > 3 and loyalty(traits.a) < 2"), functions={"loyalty": lambda value: value})
    assert [problem.code for problem in notes.problems] == ["TF290"]
    notes = look(rule("loyalty(traits.a) > 3"), functions={"loyalty": lambda value: value})
    assert not notes.problems
    assert len(notes.undecided) == 1


def test_definitions_are_looked_through() -> None:
    head = 'define:\n  bought: count(purchase) > 0\n  eu: ["DE", "FR"]\n'
    assert codes(head + rule("bought and not did(purchase) and traits.country in eu")) == ["TF290"]
    assert codes(head + rule('traits.country == "US" and traits.country in eu and bought')) == ["TF290"]
    assert codes(head + rule("bought and traits.country in eu")) == []


def test_too_few_steps_decide_nothing_and_say_so() -> None:
    notes = look(rule('count(purchase, "1d") > 3 and count(purchase, "2d") < 3'), steps=2)
    assert not notes.problems
    assert len(notes.undecided) == 1


def test_the_same_rulebook_gets_the_same_answers() -> None:
    text = rule("(did(a) or did(b)) and (did(c) or did(d)) and not did(a) and not did(b)")
    assert look(text).problems == look(text).problems


MODE_FIRST = """
    ruleset: x
    mode: first
    rules:
      - {{name: high, priority: 9, on: {high}, when: event.total > 5, {more} then: [{{send: hello}}]}}
      - {{name: low, on: {low}, when: event.total > 50, then: [{{send: offer}}]}}
"""


@pytest.mark.parametrize(
    ("high", "low", "more", "found"),
    [
        ("go", "go", "", ["TF298"]),
        ("[go, come]", "go", "", ["TF298"]),
        ("go", "[go, come]", "", []),
        ("go", "go", "max_age: 10 minutes,", []),
        ("go", "go", "max_age: 10 days,", ["TF298"]),
    ],
)
def test_a_rule_is_hidden_only_by_one_that_wakes_whenever_it_does(
    high: str, low: str, more: str, found: list[str]
) -> None:
    text = MODE_FIRST.format(high=high, low=low, more=more)
    assert codes(text) == found
    assert codes(text.replace("mode: first", "mode: all")) == []


def test_several_rules_together_may_hide_one() -> None:
    text = """
        ruleset: x
        mode: first
        rules:
          - {name: small, priority: 9, on: go, when: 'default(event.total, 0) < 10', then: [{send: hello}]}
          - {name: large, priority: 8, on: go, when: 'default(event.total, 0) >= 10', then: [{send: hello}]}
          - {name: rest, on: go, when: exists(traits.email), then: [{send: offer}]}
    """
    notes = look(text)
    # A total that is a text is neither small nor large: then the third acts.
    assert not notes.problems
    (problem,) = look(text.replace("default(event.total, 0)", "count(purchase)")).problems
    assert (problem.code, problem.line) == ("TF298", 7)


def test_an_event_goes_round_only_where_the_emitted_properties_let_it() -> None:
    text = """
        ruleset: x
        rules:
          - name: level-up
            on: Level Reached
            when: event.level == 1
            then:
              - emit: Level Reached
                properties: {level: 2}
    """
    assert codes(text) == []
    assert codes(text.replace("level: 2", "level: 1")) == ["TF296"]
    assert codes(text.replace("level: 2", "level: {value: traits.level}")) == ["TF297"]


def test_a_brake_ends_a_circle() -> None:
    text = """
        ruleset: x
        rules:
          - {name: again, on: Nudge, when: 'did(page, "7d")', wait: 1 day, then: [{send: hello}, {emit: Nudge}]}
    """
    assert codes(text) == ["TF297"]
    assert codes(text.replace("""'did(page, "7d")'""", """'count(Nudge, "30d") < 3'""")) == []
    assert codes(text.replace("""'did(page, "7d")'""", """'count(Nudge, "30d") < 3 or did(page)'""")) == ["TF297"]


def test_arms_of_a_journey_are_looked_at_without_what_segments_were_before() -> None:
    text = """
        ruleset: x
        rules:
          - name: j
            on: go
            steps:
              - set: {plan: gold}
              - branch:
                  - {name: a, when: '"vip" in segments and count(purchase) < 5', steps: [{send: hello}]}
                  - {name: b, when: count(purchase) > 3, steps: [{send: offer}]}
                  - {steps: [{send: news}]}
    """
    # A step before may have changed what the segment asks for; it is settled after it.
    assert codes(VIP, text) == []


def test_exclusive_children_may_have_an_else() -> None:
    text = """
        segments:
          - name: customers
            exclusive: true
            when: did(purchase)
            segments:
              - {name: recent, when: days_since(purchase) < 30}
              - {name: others}
    """
    assert codes(text) == []


def test_nothing_more_is_said_of_what_stands_in_an_empty_segment() -> None:
    text = """
        segments:
          - name: nobody
            when: count(purchase) < 0
            segments:
              - {name: child, when: did(page), segments: [{name: grandchild, when: did(page)}]}
    """
    assert codes(text) == ["TF290"]


JOURNEY = """
    ruleset: x
    rules:
      - name: j
        on: go
        steps: [{}, send: hello]
"""
MAYBE = "{when: did(page), steps: [exit: a]}"


@pytest.mark.parametrize(
    ("steps", "is_dead"),
    [
        ("{set: {a: 1}}", False),
        ("{goal: bought}", True),
        ("{exit: over}", True),
        (f"{{branch: [{MAYBE}]}}", False),
        (f"{{branch: [{MAYBE}, {{steps: []}}]}}", False),
        (f"{{branch: [{MAYBE}, {{steps: [exit: b]}}]}}", True),
        ("{wait_until: {on: page, at_most: 1 day, otherwise: [exit: a]}}", False),
        ("{wait_until: {on: page, at_most: 1 day, otherwise: [exit: a, send: news]}}", True),
        ("{split: {name: s, variants: [{name: a, steps: [exit: a]}, {name: b, steps: [goal: b]}]}}", True),
        ("{split: {name: s, variants: [{name: a, steps: [exit: a]}, {name: b, steps: []}]}}", False),
        ("{split: {name: s, holdout: 5, variants: [{name: a, steps: [exit: a]}]}}", False),
    ],
)
def test_a_step_that_nobody_reaches_is_found(steps: str, is_dead: bool) -> None:
    assert codes(JOURNEY.format(steps)) == (["TF268"] if is_dead else [])
