"""Whatever is proved of conditions holds: no person and no event is ever found that says otherwise.

Conditions are made at random of few events, windows and constants, so that many of them contradict themselves; each
claim ("never", "always", "follows from") is then held against many people, by the conditions as they are compiled.
"""

from random import Random
from typing import Any

import pytest

from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.clock import DAY, HOUR, MINUTE, Instant
from triggerfish.conditions import View
from triggerfish.ingest import Event
from triggerfish.profile import Profile, fold, set_traits
from triggerfish.rulefile.compile import load_rulebook
from triggerfish.rulefile.examination import prover_of
from triggerfish.rulefile.satisfy import Formula, both, negated
from triggerfish.rules import Rulebook
from worlds import NOON, TEMPLATES

EVENTS = ("purchase", "page")
WINDOWS = ("1h", "1d", "7d", "30d")
AGES = (
    0,
    1,
    MINUTE,
    HOUR - 1,
    HOUR,
    5 * HOUR,
    DAY,
    DAY + 1,
    3 * DAY,
    7 * DAY - 1,
    7 * DAY,
    12 * DAY,
    30 * DAY,
    40 * DAY,
)
VALUES: tuple[Any, ...] = (
    0,
    1,
    2,
    2.5,
    3,
    -1,
    "a",
    "ab",
    "AB",
    "b",
    "",
    True,
    False,
    ["a", 1],
    {"b": 1},
    {"b": "a"},
    None,
)
SIGNS = ("==", "!=", "<", "<=", ">", ">=")
SEGMENTS = """
segments:
  - {{name: one, priority: 3, when: '{}'}}
  - name: two
    exclusive: true
    when: '{}'
    segments:
      - {{name: two-a, priority: 5, when: '{}'}}
      - {{name: two-b, when: '{}'}}
      - {{name: two-c}}
  - name: three
    segments:
      - {{name: three-a, when: '{}'}}
"""
NAMES = ("one", "two", "two-a", "two-b", "two-c", "three", "three-a")


class Writer:
    """Writes conditions. `has_event` and `segments` say what they may name."""

    def __init__(self, dice: Random, segments: tuple[str, ...] = (), *, has_event: bool = True) -> None:
        self.dice = dice
        self.segments = segments
        self.has_event = has_event
        roots = ("traits.x", "traits.x", "traits.x.b", "traits.y", "last(purchase.total)")
        self.paths = (*roots, "event.x", "event.y", "context.z") if has_event else roots
        self.selectors = tuple(event + kept for event in EVENTS for kept in ("", "[total > 1]", "[total > 2]"))

    def condition(self, depth: int = 2) -> str:
        roll = self.dice.random()
        if depth and roll < 0.7:
            word = self.dice.choice((" and ", " and ", " or "))
            return "(" + word.join(self.condition(depth - 1) for _ in range(self.dice.choice((2, 2, 3)))) + ")"
        if depth and roll < 0.8:
            return f"not {self.condition(depth - 1)}"
        return self.claim()

    def selector(self) -> str:
        return self.dice.choice(self.selectors)

    def window(self) -> str:
        return self.dice.choice(("", *(f', "{window}"' for window in WINDOWS)))

    def constant(self) -> str:
        value = self.dice.choice([value for value in VALUES if isinstance(value, str | int | float)])
        return f'"{value}"' if isinstance(value, str) else str(value)

    def path(self) -> str:
        return self.dice.choice(self.paths)

    def claim(self) -> str:
        claims = self.of_activity() + self.of_values() + self.of_figures() + self.of_segments()
        return self.dice.choice(claims)

    def akin(self, number: int) -> list[str]:
        """Single claims that have much to do with one another."""
        family = self.dice.choice(
            (self.of_activity, self.of_activity, self.of_values, self.of_figures, self.of_segments)
        )
        self.paths = (self.path(),)
        self.selectors = self.dice.choice((("purchase",), ("purchase", "purchase[total > 1]")))
        return [self.dice.choice(family()) for _ in range(number)]

    def of_activity(self) -> list[str]:
        dice, sign, number = self.dice, self.dice.choice(SIGNS), self.dice.choice((0, 1, 1, 2, 3, 1.5, -1))
        return [
            f"count({self.selector()}{self.window()}) {sign} {number}",
            f"count({self.selector()}{self.window()}) {sign} {number}",
            f"did({self.selector()}{self.window()})",
            f"did({self.selector()}{self.window()})",
            f"days_since({self.selector()}) {sign} {dice.choice((0, 1, 7, 0.04, 30))}",
            f"hours_since({self.selector()}) {sign} {dice.choice((1, 24, 168))}",
            f'sequence({self.selector()}, {dice.choice(("", "not "))}{self.selector()}, within="1h")',
            f"count(purchase) {dice.choice('+-*/')} count(purchase{self.window()}) {sign} {number}",
        ]

    def of_figures(self) -> list[str]:
        dice, sign, number = self.dice, self.dice.choice(SIGNS), self.dice.choice((0, 1, 1, 2, 3, 1.5, -1))
        field = dice.choice(("sum", "min", "max", "avg", "first", "last", "distinct"))
        return [
            f"{field}({self.selector()}.total{self.window()}) {sign} {number}",
            f"{field}({self.selector()}.total{self.window()}) {sign} {number}",
            f"exists({field}({self.selector()}.total{self.window()}))",
            f'score({self.selector()}, half_life="1d") {sign} {number}',
            f'trend({self.selector()}, short="1d", long="7d") {sign} {number}',
            f"did({self.selector()}{self.window()})",
        ]

    def of_values(self) -> list[str]:
        dice, sign, number = self.dice, self.dice.choice(SIGNS), self.dice.choice((0, 1, 1, 2, 3, 1.5, -1))
        path = self.path()
        return [
            f"{path} {sign} {self.numeric_or_text(sign)}",
            f"{path} {sign} {self.numeric_or_text(sign)}",
            f"{path} {dice.choice(('in', 'not in'))} [{self.constant()}, {self.constant()}]",
            f"exists({path})",
            f"default({path}, {self.constant()}) {sign} {self.numeric_or_text(sign)}",
            f"{path} {sign} {self.path()}",
            f'lower({path}) {sign} "{dice.choice(("ab", "AB", "a"))}"',
            f'{dice.choice(("starts_with", "ends_with", "contains"))}({path}, "{dice.choice(("a", "ab", "b"))}")',
            f'{dice.choice(("starts_with", "ends_with", "contains"))}({path}, "{dice.choice(("a", "ab", "b"))}")',
            f'matches({path}, "^a+$")',
            f"{path} {dice.choice('+-*/')} {dice.choice((path, '2', '0', self.path()))} {sign} {number}",
            f"{number} {dice.choice(('<', '<='))} {path} {dice.choice(('<', '<='))} {dice.choice((1, 2, 3))}",
            f"({path} == 1) == {dice.choice(('True', 'False'))}",
        ]

    def of_segments(self) -> list[str]:
        dice, sign = self.dice, self.dice.choice(SIGNS)
        claims = [
            f"local.hour {sign} {dice.choice((0, 11, 12, 23, 24))}",
            f'local.weekday {dice.choice(("==", "!="))} "{dice.choice(("monday", "Monday", "sunday"))}"',
            f'local.date {sign} "{dice.choice(("2026-01-01", "2030-01-01", "1.1.2026"))}"',
        ]
        if self.segments:
            claims += [f'"{dice.choice(self.segments)}" {dice.choice(("in", "in", "not in"))} segments'] * 6
            if self.has_event:
                claims += [f'segment {dice.choice(("==", "!="))} "{dice.choice(self.segments)}"'] * 3
        return claims

    def numeric_or_text(self, sign: str) -> str:
        constant = self.constant()
        return "2" if sign not in ("==", "!=") and constant in ("True", "False") else constant


def some_rulebook(dice: Random, rules: int) -> tuple[str, list[str]]:
    """Rule files' text, and the rules' conditions."""
    of_segments = Writer(dice, has_event=False)
    first = [of_segments.condition(1) for _ in range(2)]
    later = [Writer(dice, ("one",), has_event=False).condition(1) for _ in range(3)]
    texts = Writer(dice, NAMES).akin(rules - rules // 4)
    texts += [Writer(dice, NAMES).condition() for _ in range(rules // 4)]
    lines = [SEGMENTS.format(*first, *later), "events: {purchase: Order Completed}", "ruleset: x", "rules:"]
    lines += [
        f"  - {{name: r{place}, on: go, then: [{{emit: done}}], when: '{text}'}}" for place, text in enumerate(texts)
    ]
    return "\n".join(lines), texts


def some_person(dice: Random, rulebook: Rulebook, now: Instant) -> View:
    """A person as of `now`, with an event: segments settled, as when rules are woken."""
    profile = Profile("ana", now, now)
    profile.time_zone = dice.choice(("", "Asia/Kathmandu"))
    for _ in range(dice.choice((0, 1, 1, 2, 4))):
        name = dice.choice(("Order Completed", "page"))
        properties = {"total": dice.choice(VALUES)} if dice.random() < 0.8 else {}
        at = now - dice.choice(AGES)
        event = Event("track", name, f"m{dice.random()}", at, "ana", properties=properties)
        fold(profile, event, rulebook.counts(name), now)
    set_traits(profile, {name: dice.choice(VALUES) for name in ("x", "y")}, now)
    properties = {name: value for name in ("x", "y") if (value := dice.choice(VALUES)) is not None}
    event = Event("track", "go", "go", now, "ana", properties=properties, context={"z": dice.choice(VALUES)})
    rulebook.segments.settle(profile, now, rulebook.zones)
    return View(profile, now, rulebook.zones, event=event, segment=rulebook.segments.primary(profile.memberships))


def check_book(seed: int, rules: int, people: int) -> tuple[int, int]:
    """Hold all that is proved of one random rulebook against random people: how much was proved, how much was not."""
    dice = Random(seed)
    text, texts = some_rulebook(dice, rules)
    asked: list[Any] = []

    def keep(*given: Any) -> list[Any]:
        asked.append(prover_of(*given))
        return []

    rulebook, _ = load_rulebook({"rules/x.yaml": text}, templates=TEMPLATES, matcher=CompiledMatcher, examine=keep)
    prover = asked[0]
    held = {rule.name: rule.when for rule in rulebook.rulesets[0].rules}
    compiled = [held[f"r{place}"] for place in range(rules)]
    formulas = [prover.reading.text(each) for each in texts]
    never = [place for place in range(rules) if prover.is_possible(formulas[place]) == "no"]
    always = [place for place in range(rules) if prover.is_possible(negated(formulas[place])) == "no"]
    ways = [(a, b, x, y) for a in range(rules) for b in range(a) for x in (True, False) for y in (True, False)]
    never_both = [
        (a, b, x, y)
        for a, b, x, y in ways
        if prover.is_possible(both(told_so(formulas[a], x), told_so(formulas[b], y))) == "no"
    ]
    for number in range(people):
        view = some_person(dice, rulebook, NOON + number * 7 * HOUR)
        holds = [condition is None or condition.holds(view) for condition in compiled]
        told = f"{seed}: {view.profile.traits} {view.properties} {view.context} {view.profile.memberships}\n{text}"
        for place in never:
            assert not holds[place], f"never: {texts[place]}\n{told}"
        for place in always:
            assert holds[place], f"always: {texts[place]}\n{told}"
        for a, b, x, y in never_both:
            assert (holds[a], holds[b]) != (x, y), f"never {x} and {y}:\n{texts[a]}\n{texts[b]}\n{told}"
    proved = len(never) + len(always) + len(never_both)
    return proved, 2 * rules + len(ways) - proved


def told_so(formula: Formula, holds: bool) -> Formula:
    return formula if holds else negated(formula)


@pytest.mark.parametrize("seed", range(8))
def test_no_person_contradicts_what_is_proved(seed: int) -> None:
    proved = sum(check_book(seed * 1_000 + number, rules=10, people=60)[0] for number in range(3))
    assert proved > 20


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 140))
def test_no_person_contradicts_what_is_proved_of_many_rulebooks(seed: int) -> None:
    proved = sum(check_book(seed * 1_000 + number, rules=12, people=300)[0] for number in range(20))
    assert proved > 50
