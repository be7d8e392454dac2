"""What every Matcher must do. Each adapter's tests run this over a matcher of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from contracts.language import SCOPE, World, some_condition, some_tree, some_world, text_holds, tree_holds
from triggerfish.activity import Activity
from triggerfish.conditions import View
from triggerfish.rulefile.expressions import Tree, compile_condition
from triggerfish.rules import Matcher, Rule, RuleSet
from triggerfish.zones import Zones

NAMES = ("view", "Order Completed", "page", 'odd "name"\\', "sid")
# Each adapter's class runs the same test body: that is the point here.
ONE_BODY = [HealthCheck.differing_executors]
Make = Callable[[Sequence[RuleSet]], Matcher]


class Written(Struct):
    """Rule sets as they were written, and compiled: `texts` by rule set and rule (None has no condition)."""

    rulesets: list[RuleSet]
    texts: dict[tuple[str, str], Tree | None]
    activities: list[Activity]

    def wakes(self, world: World) -> list[tuple[str, str]]:
        """What must be woken, by the plain evaluator."""
        woken: list[tuple[str, str]] = []
        for ruleset in sorted(self.rulesets, key=lambda ruleset: -ruleset.priority):
            matching = []
            for rule in ruleset.rules:
                text = self.texts[rule.ruleset, rule.name]
                if world.name in rule.on and (text is None or tree_holds(text, world)):
                    matching.append((rule.ruleset, rule.name))
            woken += matching[:1] if ruleset.mode == "first" else matching
        return woken


def written(rulesets: Sequence[tuple[str, int, Sequence[tuple[Tree | None, tuple[str, ...]]]]]) -> Written:
    """Rule sets from (mode, priority, rules), a rule from (condition, event names)."""
    texts: dict[tuple[str, str], Tree | None] = {}
    made = []
    activities: dict[str, Activity] = {}
    for number, (mode, priority, rules) in enumerate(rulesets):
        compiled = []
        for place, (tree, on) in enumerate(rules):
            condition = None if tree is None else compile_condition(tree, SCOPE)
            rule = Rule(f"set{number}", f"rule{place}", on, (), condition)
            texts[rule.ruleset, rule.name] = tree
            activities |= {activity.key: activity for activity in (condition.activities if condition else ())}
            compiled.append(rule)
        made.append(RuleSet(f"set{number}", tuple(compiled), mode, priority))  # type: ignore[arg-type]
    return Written(made, texts, list(activities.values()))


def some_rulesets(dice: Random, sets: int = 4, most_rules: int = 12) -> Written:
    def rules() -> list[tuple[Tree | None, tuple[str, ...]]]:
        count = dice.randint(1, most_rules)
        return [
            (
                None if dice.random() < 0.04 else some_tree(dice),
                tuple(dice.choices(NAMES[:2] if dice.random() < 0.8 else NAMES, k=dice.choice((1, 1, 1, 2, 3)))),
            )
            for _ in range(count)
        ]

    return written(
        [(dice.choice(("first", "all")), dice.randint(-1, 2), rules()) for _ in range(dice.randint(1, sets))]
    )


def woken(matcher: Matcher, view: View) -> list[tuple[str, str]]:
    return [(rule.ruleset, rule.name) for rule in matcher.match(view)]


class MatcherContract:
    """Subclasses give `make`, which makes a matcher from rule sets."""

    make: Make

    def same(self, rulesets: Written, worlds: Sequence[World]) -> None:
        matcher = type(self).make(rulesets.rulesets)
        for world in worlds:
            assert woken(matcher, world.view(rulesets.activities)) == rulesets.wakes(world)

    def one(self, text: str, **properties) -> bool:
        """Whether a single rule with this condition is woken, in both modes, and as the plain evaluator says."""
        world = World(properties=properties)
        answers = set()
        for mode in ("first", "all"):
            rulesets = written([(mode, 0, [(Tree(text), ("view",))])])
            answers.add(bool(type(self).make(rulesets.rulesets).match(world.view(rulesets.activities))))
        assert answers == {text_holds(text, world)}
        return answers.pop()

    def test_no_rules_wake_nothing(self):
        assert type(self).make([]).match(World().view()) == []

    def test_a_rule_listens_to_its_events_alone(self):
        rulesets = written([("all", 0, [(None, ("view", "page")), (None, ("page",))])])
        matcher = type(self).make(rulesets.rulesets)
        assert woken(matcher, World(name="view").view()) == [("set0", "rule0")]
        assert woken(matcher, World(name="page").view()) == [("set0", "rule0"), ("set0", "rule1")]
        assert woken(matcher, World(name="other").view()) == []

    def test_a_view_without_an_event_wakes_nothing(self):
        rulesets = written([("all", 0, [(None, ("view",))])])
        view = View(World().profile(()), 0, Zones())
        assert type(self).make(rulesets.rulesets).match(view) == []

    def test_an_event_named_twice_wakes_a_rule_once(self):
        rulesets = written([("all", 0, [(None, ("view", "view"))]), ("first", 0, [(None, ("view", "view"))])])
        assert woken(type(self).make(rulesets.rulesets), World().view()) == [("set0", "rule0"), ("set1", "rule0")]

    def test_rule_sets_answer_by_priority_then_in_the_given_order(self):
        always = [(None, ("view",))]
        rulesets = written([("all", 0, always), ("first", 5, always), ("all", 0, always), ("all", 5, always)])
        sets = [name for name, _ in woken(type(self).make(rulesets.rulesets), World().view())]
        assert sets == ["set1", "set3", "set0", "set2"]

    def test_of_mode_first_the_first_that_holds_wins(self):
        rules = [(Tree(f"event.a > {bound}"), ("view",)) for bound in (9, 5, 1)]
        rulesets = written([("first", 0, rules)])
        matcher = type(self).make(rulesets.rulesets)
        for value, winner in ((10, ["rule0"]), (9, ["rule1"]), (3, ["rule2"]), (1, [])):
            assert [name for _, name in woken(matcher, World(properties={"a": value}).view())] == winner

    def test_rules_that_are_looked_up_by_a_value_wake_as_others_do(self):
        constants = ("1", "2", "1.5", "-0.0", "True", "False", "'1'", "'a'", "'True'", "''", "9007199254740993")
        on = ("view", "page")
        rules = [(Tree(f"event.a == {constant} and event.b > 0"), on) for constant in constants]
        rules += [(Tree(f"event.c == {number} and event.a == 1"), on) for number in range(60)]
        rules += [(Tree(f"{number} == event.c or event.a == 'a'"), on) for number in range(5)]
        rules += [(Tree("event.b > 1"), on), (None, on), (Tree("not event.a == 2"), on)]
        values = (
            1,
            1.0,
            1.5,
            0,
            0.0,
            True,
            False,
            "1",
            "a",
            "True",
            "",
            2**53 + 1,
            2**53,
            math.nan,
            None,
            [1],
            {"a": 1},
        )
        worlds = [
            World(properties={"a": a, "b": b, "c": c}) for a in values for b in (0, 2) for c in (1, "1", 59.0, 99)
        ]
        for mode in ("first", "all"):
            self.same(written([(mode, 1, rules), ("all", 2, rules[:20]), (mode, 0, rules[::-1])]), worlds)

    def test_several_hundred_rules_may_hold_at_once(self):
        rules = [(Tree(f"event.a > {n} or event.b > {n}"), ("view", "page")) for n in range(300)]
        rulesets = written([("all", 0, rules), ("first", 1, list(reversed(rules)))])
        worlds = [World(properties={"a": a, "b": b}) for a, b in ((299, 299), (300, 0), (64, 65), (1, 0), (0, 0))]
        self.same(rulesets, worlds)

    def test_many_alternatives_and_deep_nesting_are_right(self):
        wide = " or ".join(f"event.a == {n}" for n in range(150))
        pairs = " and ".join(f"(event.a == {n} or event.b == {n})" for n in range(20))
        deep = "event.a == 1"
        for n in range(10):
            deep = f"(({deep} and event.b != {n}) or event.c == {n})"
        rules = [(Tree(text), ("view",)) for text in (wide, pairs, deep, f"not ({wide})", f"({wide}) and {deep}")]
        values = (0, 1, 5, 149, 150, None, "1", True)
        worlds = [World(properties={"a": a, "b": b, "c": c}) for a in values for b in (1, 30) for c in (3, 77)]
        self.same(written([("all", 0, rules), ("first", 0, rules)]), worlds)

    def test_an_alternative_that_holds_twice_wakes_a_rule_once(self):
        rules = [(Tree("event.a > 1 or event.a > 2 or event.b == 'x'"), ("view",))]
        rulesets = written([("all", 0, rules), ("first", 0, rules), ("all", 0, rules)])
        matcher = type(self).make(rulesets.rulesets)
        for _ in range(3):
            view = World(properties={"a": 3, "b": "x"}).view()
            assert woken(matcher, view) == [(f"set{n}", "rule0") for n in range(3)]

    def test_the_same_event_again_gets_the_same_answer(self):
        rules = [(Tree("event.a == 1"), ("view",))]
        matcher = type(self).make(written([("all", 0, rules), ("first", 0, rules)]).rulesets)
        view = World(properties={"a": 1}).view()
        assert [len(matcher.match(view)) for _ in range(50)] == [2] * 50

    def test_numbers_are_compared_exactly(self):
        assert self.one("event.a == 9007199254740993", a=9007199254740993)
        assert not self.one("event.a == 9007199254740993", a=9007199254740992)
        assert self.one("event.a > 9007199254740992", a=9007199254740993)
        assert self.one("event.a == 1e-07", a=1e-07)
        assert not self.one("event.a == 1e-07", a=1.0000000000000001e-07 * (1 + 2**-52))
        assert self.one("event.a < 5e-324", a=0)
        assert self.one("event.a == 1e16", a=10**16)
        assert self.one("event.a >= -0.0", a=0)
        assert self.one("event.a < 0.3", a=0.1 + 0.1)
        assert not self.one("event.a <= 0.3", a=0.1 + 0.2)

    def test_nan_is_equal_to_nothing_and_has_no_order(self):
        properties = {"a": 1e308}
        for sign, holds in (("==", False), ("!=", True), ("<", False), ("<=", False), (">", False), (">=", False)):
            nan = "(event.a * 10 - event.a * 10)"
            assert self.one(f"{nan} {sign} 3", **properties) is holds

    def test_unlike_types_are_never_equal_or_ordered(self):
        for text in ("event.a > 1.5", "event.a == 1", "event.a != 1"):
            for value in ("2", "1", True, None, [1], {"x": 1}):
                assert not self.one(text, a=value)
        for text in ("event.a == 'true'", "event.a != 'true'", "event.a < 'true'"):
            for value in (True, 1, 0.5, None, ["true"]):
                assert not self.one(text, a=value)
        for value in (1, 1.0, "true", "True", None):
            assert not self.one("event.a == True", a=value)
            assert not self.one("event.a != False", a=value)

    def test_hostile_text_is_only_text(self):
        for text in ('x","f1":1,"y":"', "\\", '"', "\0", "\n}", "é", "😀", "\ud800", "}" * 40, "$nex", "x" * 2_000):
            assert self.one(f"event.a == {text!r}", a=text)
            assert not self.one(f"event.a == {text!r}", a=text + "x")
            assert not self.one(f"event.a != {text!r}", a=text)
            assert self.one(f"event.a < {text + 'x'!r}", a=text)

    @given(st.randoms(use_true_random=False))
    @settings(max_examples=60, suppress_health_check=ONE_BODY)
    def test_one_rule_is_woken_as_the_plain_evaluator_says(self, dice: Random):
        self.same(written([("all", 0, [(Tree(some_condition(dice)), ("view",))])]), [some_world(dice, ("view",))])

    @given(st.randoms(use_true_random=True))
    @settings(max_examples=60, suppress_health_check=ONE_BODY)
    def test_any_rule_sets_wake_what_the_plain_evaluator_says(self, dice: Random):
        self.same(some_rulesets(dice), [some_world(dice, NAMES[:3]) for _ in range(12)])

    @given(st.randoms(use_true_random=True))
    @settings(max_examples=4, suppress_health_check=ONE_BODY)
    def test_large_rule_sets_wake_what_the_plain_evaluator_says(self, dice: Random):
        self.same(some_rulesets(dice, 3, 150), [some_world(dice, NAMES[:2]) for _ in range(10)])
