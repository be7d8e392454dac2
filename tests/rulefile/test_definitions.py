"""`define:`: what a name stands for, where it may be used, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.language import NOON, SCOPE, TEXTS, Deed, World, some_condition, some_world
from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.conditions import NEVER, Items, alike, among, explain
from triggerfish.errors import RulebookBroken
from triggerfish.rulefile import defined
from triggerfish.rulefile.check import check_files
from triggerfish.rulefile.compile import load_rulebook
from triggerfish.rulefile.definitions import CHAIN_LIMIT, ITEM_LIMIT, LISTED_LIMIT, define
from triggerfish.rulefile.desk import Known
from triggerfish.rulefile.expressions import Scope, Tree, compile_condition
from triggerfish.rulefile.folder import read_folder
from triggerfish.rulefile.problems import Problem
from triggerfish.rules import Rulebook
from triggerfish.segments import Segment


def load(text: str, **lists: str) -> tuple[Rulebook, list[Problem]]:
    files = {"rules/all.yaml": text, **{f"rules/{name}.txt": content for name, content in lists.items()}}
    return load_rulebook(files, templates={}, matcher=CompiledMatcher)


def segment(text: str, **lists: str) -> Segment:
    """The last segment of a rulebook that has no fault."""
    rulebook, warnings = load(text, **lists)
    assert not warnings
    return rulebook.segments.segments[-1]


def problems(text: str, **lists: str) -> list[tuple[str, int, int]]:
    """Codes of what is wrong, with line and column."""
    with pytest.raises(RulebookBroken) as caught:
        load(text, **lists)
    return [(problem.code, problem.line, problem.column) for problem in caught.value.problems]


DEFINED = """define:
  big_spender: spent > limit
  spent: sum(purchase.total, "30d")
  limit: 100
  eu: ["DE", "FR", 7, true]
  low: -0.5
  resellers: {file: resellers.txt}
  fading:
    all: [days_since(purchase) > 1, big_spender]
    none: ['"new" in segments', traits.country == "AT"]
"""
SEGMENTS = "segments: [{name: vip}, {name: new}, {name: at risk}]\nevents: {purchase: Order Completed}\n"
RESELLERS = "\ufeff# who sells on\n\na@example.com\r\n  b c  \n7\na@example.com\n"
WRITTEN = {
    "big_spender": "(sum(purchase.total, '30d') > 100)",
    "spent": "sum(purchase.total, '30d')",
    "limit": "100",
    "low": "(-0.5)",
    "eu": "['DE', 'FR', 7, True]",
    "resellers": "['a@example.com', 'b c', '7']",
    "fading": "((days_since(purchase) > 1 and sum(purchase.total, '30d') > 100)"
    " and not ('new' in segments or traits.country == 'AT'))",
}
"""Each name, and what it stands for."""


def scope() -> Scope:
    """A scope with all that DEFINED defines."""
    texts = {"rules/all.yaml": DEFINED + SEGMENTS, "rules/resellers.txt": RESELLERS}
    known = Known({}, {}, (), "", short_names=dict(SCOPE.short_names))
    define(check_files(texts).files, texts, known)
    assert not known.problems
    return Scope(SCOPE.short_names, SCOPE.segments, definitions=known.definitions)


ALL = scope()


@pytest.mark.parametrize(
    "text",
    [
        "big_spender",
        "not big_spender or fading",
        "spent > limit",
        "limit < spent <= 1000",
        "default(traits.t, limit) > low",
        "spent + limit > 150",
        "traits.t in eu",
        "event.a not in eu and traits.u not in resellers",
        "contains(resellers, traits.t)",
        "fading == True",
        "(big_spender or event.a) and count(purchase) > low",
    ],
)
@given(dice=st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_a_name_stands_for_what_it_is_defined_as(text: str, dice: Random) -> None:
    written = text
    for name, meant in WRITTEN.items():
        written = written.replace(name, meant)
    defined, plain = compile_condition(Tree(text), ALL), compile_condition(Tree(written), SCOPE)
    world = some_world(dice)
    world.traits["t"] = dice.choice((*TEXTS, "DE", "7", 7, True, 1, "b c", None))
    view = world.view(defined.activities)
    assert defined.activities == plain.activities
    assert defined.changes == plain.changes
    assert defined.holds(view) is plain.holds(view) is explain(defined.root, view).holds
    assert defined.look(view, NEVER) == plain.look(view, NEVER)


@given(dice=st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_any_condition_can_be_given_a_name(dice: Random) -> None:
    texts = [some_condition(dice, 1) for _ in range(3)]
    forms = "".join(f"  c{place}: {yaml_text(text)}\n" for place, text in enumerate(texts))
    files = {"rules/all.yaml": f"define:\n{forms}{SEGMENTS}"}
    known = Known({}, {}, (), "", short_names=dict(SCOPE.short_names))
    define(check_files(files).files, files, known)
    if known.problems:  # a lone surrogate, say, cannot be written in a file
        return
    names = Scope(SCOPE.short_names, SCOPE.segments, definitions=known.definitions)
    defined = compile_condition(Tree("c0 and not (c1 or c2)"), names)
    plain = compile_condition(Tree(f"({texts[0]}) and not (({texts[1]}) or ({texts[2]}))"), SCOPE)
    view = some_world(dice).view(plain.activities)
    assert defined.holds(view) is plain.holds(view)


def yaml_text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


VALUES = [0, 1, 1.0, 2.5, -0.0, True, False, "a", "1", "", "x" * 40, 2**63, float("nan"), float("inf")]


@given(st.lists(st.sampled_from(VALUES)), st.sampled_from([*VALUES, None, [1], {"a": 1}, ["a"]]))
def test_items_are_looked_up_as_they_are_compared(items: list[object], value: object) -> None:
    assert among(value, Items(items)) is any(alike(value, item) and value == item for item in items)


def test_explanations_show_what_a_name_stands_for() -> None:
    condition = compile_condition(Tree("big_spender and traits.country in eu"), ALL)
    world = World(traits={"country": "US"}, deeds=(Deed("Order Completed", NOON, {"total": 300}),))
    finding = explain(condition.root, world.view(condition.activities))
    assert condition.text == "big_spender and traits.country in eu"
    assert [(part.text, part.holds, part.value) for part in finding.parts] == [
        ("sum(purchase.total, '30d') > 100", True, 300),
        ("traits.country in eu", False, "US"),
    ]


def test_definitions_of_one_file_are_used_in_all_whatever_their_order() -> None:
    files = {
        "rules/a.yaml": "segments: [{name: a, when: z and traits.c in y}]",
        "rules/z/b.yaml": "define: {z: x > 1, y: {file: y.txt}, x: count(view)}",
        "rules/z/y.txt": "DE\n",
    }
    rulebook, warnings = load_rulebook(files, templates={}, matcher=CompiledMatcher)
    assert not warnings
    when = rulebook.segments.segments[0].when
    assert when is not None
    world = World(traits={"c": "DE"}, deeds=(Deed("view", NOON, {}), Deed("view", NOON, {})))
    assert when.holds(world.view(when.activities))


def test_a_list_in_brackets_keeps_events_and_leaves_properties_alone() -> None:
    text = (
        "define: {sale: ['A', 'B'], size: 5}\nsegments: [{name: s, when: 'count(buy[sku in sale and size == 1]) > 1'}]"
    )
    rulebook, warnings = load(text)
    assert [warning.code for warning in warnings] == ["TF266"], "size is the event's own"
    segment_s = rulebook.segments.segments[0].when
    assert segment_s is not None
    deeds = [Deed("buy", NOON, {"sku": sku, "size": size}) for sku, size in (("A", 1), ("B", 1), ("C", 1), ("A", 5))]
    assert segment_s.holds(World(deeds=tuple(deeds)).view(segment_s.activities))
    assert not segment_s.holds(World(deeds=tuple(deeds[1:])).view(segment_s.activities))


def test_what_is_remembered_and_who_is_in_changes_with_a_definition() -> None:
    text = "define: {sale: {file: sale.txt}}\nsegments: [{name: s, when: 'count(buy[sku in sale]) > 1'}]"
    one, other, again = load(text, sale="A")[0], load(text, sale="B")[0], load(text, sale="# mine\nA\n")[0]
    assert one.activities[0].key != other.activities[0].key
    assert one.activities[0].key == again.activities[0].key
    assert one.segments.fingerprints("UTC") != other.segments.fingerprints("UTC")
    assert one.segments.fingerprints("UTC") == again.segments.fingerprints("UTC")
    bound = "define: {much: spent > %s, spent: sum(buy.total)}\nsegments: [{name: s, when: much}]"
    assert load(bound % 5)[0].segments.fingerprints("UTC") != load(bound % 6)[0].segments.fingerprints("UTC")
    assert one.version != again.version


def test_an_edited_definition_is_another_version_of_a_journey() -> None:
    text = """
define: {much: event.total > %s, other: event.total > %s}
ruleset: x
rules: [{name: r, on: buy, when: much, in_flight: pin, steps: [{wait: 1 day}, {emit: done}]},
  {name: o, on: buy, when: other, then: [{emit: more}]}]
"""

    def version(*bounds: int) -> str:
        return load(text % bounds)[0].rulesets[0].rules[0].version

    assert version(1, 1) == version(1, 2) != version(2, 1)


def test_a_value_that_drifts_is_compared_wherever_it_is_used() -> None:
    text = "define: {quiet: days_since(view), warm: 'score(view, half_life=\"7d\")'}\nsegments: [{name: s, when: %s}]"
    when = segment(text % "quiet > 3 and warm < 2").when
    assert when is not None
    assert len(when.changes) == 2
    assert problems(text % "quiet > warm") == [("TF264", 2, 28)]
    assert problems(text % "'quiet in [1]'") == [("TF248", 2, 29)]


def test_ten_thousand_items_are_looked_up_quickly() -> None:
    text = "define: {many: {file: many.txt}}\nsegments: [{name: s, when: traits.t in many}]"
    when = segment(text, many="\n".join(f"item {number}" for number in range(LISTED_LIMIT))).when
    assert when is not None
    for value, expected in (("item 49999", True), ("item 50000", False), (3, False)):
        assert when.holds(World(traits={"t": value}).view()) is expected


# What is wrong.


def at(text: str, **lists: str) -> list[tuple[str, int, int]]:
    return problems(f"define:\n{text}\nevents: {{buy: Order Completed}}\n", **lists)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  a: traits.x >", ("TF230", 2, 6)),
        ("  a: {all: [traits.x, traits.y ==]}", ("TF230", 2, 23)),
        ("  a: evnt.x == 1", ("TF235", 2, 6)),
        ("  a: '\"gone\" in segments'", ("TF247", 2, 7)),
        ("  a: {file: gone.txt}", ("TF261", 2, 13)),
        ("  a: {file: ../x.txt}", ("TF261", 2, 13)),
        ("  a: {file: /etc/passwd}", ("TF261", 2, 13)),
        ("  a: {file: x.txt, all: [traits.x]}", ("TF261", 2, 7)),
        ("  buy: traits.x", ("TF262", 2, 3)),
        ("  traits: ['a']", ("TF262", 2, 3)),
        ("  Count: 5", ("TF262", 2, 3)),
        ("  class: 5", ("TF262", 2, 3)),
        ("  predictions: 5", ("TF262", 2, 3)),
        ("  a: a", ("TF263", 2, 3)),
        ("  a: {any: [traits.x, b]}\n  b: not c\n  c: b", ("TF263", 3, 3)),
        ("  a: []", ("TF221", 2, 6)),
        ("  a: {}", ("TF221", 2, 6)),
        ("  a: [[1]]", ("TF216", 2, 7)),
        ("  a: [null]", ("TF216", 2, 7)),
        ("  a-b: 5", ("TF217", 2, 3)),
        ("  a: true", ("TF216", 2, 6)),
    ],
)
def test_a_mistake_is_told_where_it_is_defined_and_once(text: str, expected: tuple[str, int, int]) -> None:
    assert at(text + "\nsegments: [{name: s, when: a or b}]") == [expected] or at(text) == [expected]


def test_what_uses_a_broken_definition_is_not_told_again() -> None:
    text = "  a: evnt.x == 1\n  b: a and traits.y\nsegments: [{name: s, when: b}, {name: t, when: {all: [a, b]}}]"
    assert at(text) == [("TF235", 2, 6)]
    assert at("  a: {file: x.txt}\nsegments: [{name: s, when: traits.x in a}]") == [("TF261", 2, 13)]


@pytest.mark.parametrize(
    ("when", "code"),
    [
        ("ev", "TF264"),
        ("vips", "TF264"),
        ("number", "TF264"),
        ("five", "TF264"),
        ("count(ev) > 1", "TF264"),
        ("words", "TF241"),
        ("words > 1", "TF243"),
        ("traits.x in wrds", "TF235"),
        ("traits.x in five", "TF246"),
        ("five.x == 1", "TF235"),
    ],
)
def test_what_cannot_be_used_here_is_told_here(when: str, code: str) -> None:
    text = f"""  ev: event.total > 3
  vips: '"vip" in segments'
  number: count(buy)
  words: ["a"]
  five: 5
segments:
  - name: s
    when: {when}
  - name: vip"""
    ((found, line, _),) = at(text)
    assert (found, line) == (code, 9)


def test_definitions_that_come_to_too_much_are_refused_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    doubled = "".join(f"  a{n}: a{n + 1} or a{n + 1}\n" for n in range(40))
    codes = {code for code, _, _ in at(doubled + "  a40: traits.x")}
    assert codes == {"TF265"}
    chain = "".join(f"  a{n}: a{n + 1}\n" for n in range(3 * CHAIN_LIMIT))
    assert {code for code, _, _ in at(chain + f"  a{3 * CHAIN_LIMIT}: traits.x")} == {"TF265"}
    deep = "".join(f"  a{n}: not (a{n + 1} or traits.x{n})\n" for n in range(45))
    assert {code for code, _, _ in at(deep + "  a45: traits.x")} == {"TF265"}
    few = f"define:\n  a: {' and '.join(f'event.x{n} > {n}' for n in range(9))}\nruleset: r\nrules:\n" + "".join(
        f"  - {{name: r{n}, on: buy, when: a and event.y == {n}, then: [{{emit: x}}]}}\n" for n in range(60)
    )
    assert load(few)[0].rulesets
    monkeypatch.setattr(defined, "PARTS_LIMIT", 2_000)
    assert {code for code, _, _ in problems(few)} == {"TF265"}
    listed = "define: {a: {file: x.txt}}\nsegments: [{name: s, when: traits.t in a}]"
    assert problems(listed, x="\n".join(map(str, range(LISTED_LIMIT + 1)))) == [("TF265", LISTED_LIMIT + 1, 1)]
    assert problems(listed, x="ok\n" + "x" * (ITEM_LIMIT + 1)) == [("TF265", 2, 1)]


def test_names_are_unique_in_all_files() -> None:
    files: Mapping[str, str] = {"rules/a.yaml": "define: {a: 5}", "rules/b.yaml": "define: {a: 6}"}
    with pytest.raises(RulebookBroken) as caught:
        load_rulebook(files, templates={}, matcher=CompiledMatcher)
    (problem,) = caught.value.problems
    assert isinstance(problem, Problem)
    assert (problem.code, problem.path, problem.hint) == (
        "TF270", "rules/b.yaml", "it is in rules/a.yaml, line 1; give one of them another name",
    )  # fmt: skip


def test_a_definition_that_nothing_uses_is_a_warning() -> None:
    text = "define: {a: b > 5, b: count(view), c: ['x']}\nsegments: [{name: s, when: traits.t in c}]"
    assert [(warning.code, warning.column) for warning in load(text)[1]] == [("TF266", 10)]
    everywhere = """
define: {a: count(view), b: 5, c: traits.t, d: 7, e: 8}
ruleset: x
rules:
  - name: r
    on: view
    key: d
    steps:
      - branch: [{name: arm, when: a > 1, steps: [{set: {x: {value: b}}}]}]
      - wait_until: {when: c, at_most: 1 day}
      - emit: y
        properties: {z: {value: e}}
"""
    assert not load(everywhere)[1]


def test_lists_are_read_with_the_rule_files(tmp_path) -> None:
    (tmp_path / "rules" / "lists").mkdir(parents=True)
    (tmp_path / "rules" / "a.yaml").write_text(
        "define: {a: {file: lists/a.txt}}\nsegments: [{name: s, when: traits.t in a}]"
    )
    (tmp_path / "rules" / "lists" / "a.txt").write_text("x\ny\n")
    texts, found = read_folder(tmp_path / "rules")
    assert not found
    assert list(texts) == ["rules/a.yaml", "rules/lists/a.txt"]
    rulebook, _ = load_rulebook(texts, templates={}, matcher=CompiledMatcher)
    when = rulebook.segments.segments[0].when
    assert when is not None
    assert when.holds(World(traits={"t": "y"}).view())
