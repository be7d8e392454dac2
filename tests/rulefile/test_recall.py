"""A load that begins with what an earlier one found out comes to the same, and tells the same."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from random import Random
from typing import Any

import pytest
from benchmarks import reference_rules
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.language import SCOPE, some_tree, some_world
from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.adapters.durable import DurableMatcher
from triggerfish.conditions import NEVER, Condition, explain, made
from triggerfish.errors import RulebookBroken
from triggerfish.rulefile import recall as recall_module
from triggerfish.rulefile.compile import load_rulebook
from triggerfish.rulefile.condition_notes import ConditionWriter
from triggerfish.rulefile.decode import decode_file
from triggerfish.rulefile.defined import PARTS_LIMIT, Definition, Definitions
from triggerfish.rulefile.expressions import Scope, Tree, read_condition
from triggerfish.rulefile.grammar import Faulty
from triggerfish.rulefile.marks import Marks
from triggerfish.rulefile.problems import Problem
from triggerfish.rulefile.recall import Recall, frame_of
from triggerfish.rules import Rulebook
from worlds import Facts

PEOPLE = """define:
  big: sum(purchase.total, "30d") > limit
  limit: 100
  eu: ["DE", "FR"]
events: {purchase: Order Completed}
segments:
  - name: vip
    when: {all: [big, "count(purchase[total > 50 and sku in [\\"A\\", \\"B\\"]], '7d') >= 2"]}
  - name: near
    when: traits.country in eu and not sequence(view, purchase[total > 5], within="1h")
"""
CART = """ruleset: cart
rules:
  - name: one
    on: purchase
    when: 'matches(event.sku, "^A-[0-9]+$") and local.hour < 12 and "vip" in segments'
    then: [{set: {total: {value: event.total}}}, {split: {name: which, variants: [{name: a}, {name: b}]}}]
  - name: two
    on: view
    when: {any: [event.value > 7, "score(view, half_life='7d') > 2"], none: [traits.country == "DE"]}
    then: [{emit: seen}]
"""
FILES = {"rules/cart.yaml": CART, "rules/people.yaml": PEOPLE}


def load(files: Mapping[str, str], recall: Recall | None = None, **more: Any) -> tuple[Rulebook, list[Problem]]:
    return load_rulebook(files, templates={}, matcher=CompiledMatcher, recall=recall, **more)


def problems(files: Mapping[str, str], recall: Recall | None = None) -> list[str]:
    with pytest.raises(RulebookBroken) as caught:
        load(files, recall)
    return [problem.render() for problem in caught.value.problems if isinstance(problem, Problem)]


def known(files: Mapping[str, str], **more: Any) -> bytes:
    """What a load of these files leaves."""
    recall = Recall()
    load(files, recall, **more)
    return recall.encode()


def conditions(rulebook: Rulebook) -> list[Condition]:
    of_rules = [each for ruleset in rulebook.rulesets for rule in ruleset.rules for each in rule.conditions]
    return of_rules + [segment.when for segment in rulebook.segments.segments if segment.when is not None]


def noted(rulebook: Rulebook) -> object:
    """All that can be said of its conditions, but for their functions."""
    writer = ConditionWriter()
    return [writer.note(each, (), 0) for each in conditions(rulebook)], writer.activities


def test_what_was_known_makes_the_same_rulebook():
    recall = Recall(known(FILES))
    fresh, warnings = load(FILES)
    again, same = load(FILES, recall)
    assert noted(again) == noted(fresh)
    assert same == warnings
    assert (again.fitting, again.version) == (fresh.fitting, fresh.version)
    assert not recall.has_news
    assert Recall(recall.encode()).encode() == Recall().encode()


def test_a_large_rulebook_comes_back_whole():
    files = reference_rules.rule_files(400, 100)
    templates = dict.fromkeys(reference_rules.TEMPLATES, Facts())
    recall = Recall()
    fresh, _ = load_rulebook(files, templates=templates, matcher=CompiledMatcher, recall=recall)
    recall = Recall(recall.encode())
    again, _ = load_rulebook(files, templates=templates, matcher=DurableMatcher, recall=recall)
    assert not recall.has_news
    assert noted(again) == noted(fresh)
    assert [rule.version for rule in again.rulesets[0].rules] == [rule.version for rule in fresh.rulesets[0].rules]


@given(st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_a_condition_that_comes_back_answers_alike(dice: Random):
    tree, world = some_tree(dice), some_world(dice)
    fresh, _ = read_condition(tree, SCOPE)
    first = Recall()
    first.condition(b"form", frame_of(SCOPE), SCOPE, lambda: read_condition(tree, SCOPE))
    calls = 0

    def make() -> tuple[Condition, frozenset[str]]:
        nonlocal calls
        calls += 1
        return read_condition(tree, SCOPE)

    again = Recall(first.encode()).condition(b"form", frame_of(SCOPE), SCOPE, make)
    view = world.view(fresh.activities)
    assert world.view(again.activities).profile.activity == view.profile.activity
    assert again.holds(view) == fresh.holds(view)
    assert explain(again.root, view) == explain(fresh.root, view)
    assert again.look(view, NEVER) == fresh.look(view, NEVER)
    assert again.because(view) == fresh.because(view)
    assert calls == 1
    writer, other = ConditionWriter(), ConditionWriter()
    assert writer.note(again, (), 0) == other.note(fresh, (), 0)


@pytest.mark.parametrize(
    ("edits", "code"),
    [
        ({"rules/cart.yaml": ('"vip" in segments', '"vap" in segments')}, "TF247"),
        ({"rules/people.yaml": ("- name: vip", "- name: vap")}, "TF247"),
        ({"rules/people.yaml": ("limit: 100", "limit: 'nothing.x'")}, "TF235"),
        ({"rules/cart.yaml": ("name: two", "name: one")}, "TF270"),
        ({"rules/cart.yaml": ("ruleset: cart", "rulesets: cart")}, "TF214"),
    ],
    ids=["a segment that was never there", "a segment that is gone", "a definition", "a name", "a key"],
)
def test_what_an_edit_broke_is_told_as_ever(edits: Mapping[str, tuple[str, str]], code: str):
    files = {path: text.replace(*edits.get(path, ("", ""))) for path, text in FILES.items()}
    assert files != FILES
    told = problems(files, Recall(known(FILES)))
    assert told == problems(files)
    assert any(code in each for each in told)


def test_two_experiments_of_one_name_are_told_with_their_places():
    files = {**FILES, "rules/more.yaml": CART.replace("ruleset: cart", "ruleset: more")}
    good = {**FILES, "rules/more.yaml": files["rules/more.yaml"].replace("name: which", "name: other")}
    told = problems(files, Recall(known(good)))
    assert told == problems(files)
    assert any("rules/cart.yaml, line 6" in each for each in told)


def test_warnings_of_files_that_were_known_keep_their_places():
    files = {**FILES, "rules/people.yaml": PEOPLE.replace('"30d") > limit', '"30d") > 5')}
    _, warnings = load(files)
    assert [each.code for each in warnings] == ["TF266"]
    _, again = load(files, Recall(known(files)))
    assert again == warnings


def test_only_what_changed_is_read_again(monkeypatch: pytest.MonkeyPatch):
    read: list[str] = []

    def watched(text: str, path: str) -> tuple[Any, Marks, list[Problem]]:
        read.append(path)
        return decode_file(text, path)

    before = known(FILES)
    monkeypatch.setattr(recall_module, "decode_file", watched)
    recall = Recall(before)
    load({**FILES, "rules/cart.yaml": CART.replace("> 7", "> 8")}, recall)
    assert read == ["rules/cart.yaml"]
    assert recall.has_news
    # What is of no use any more is let go of.
    assert len(recall.encode()) == len(before)


def test_what_definitions_bring_in_is_counted_as_ever():
    tree = Tree("big or not big")

    def scope_with(parts: int) -> Scope:
        scope = Scope(definitions=Definitions())
        scope.definitions["big"] = Definition("big", "meaning", ast.parse("event.x > 1", mode="eval").body, 5)
        scope.definitions.parts = parts
        return scope

    def ask(recall: Recall, scope: Scope) -> Condition:
        return recall.condition(b"x", frame_of(scope), scope, lambda: read_condition(tree, scope))

    first, scope = Recall(), scope_with(7)
    ask(first, scope)
    assert scope.definitions.parts == 17
    scope = scope_with(7)
    condition = ask(Recall(first.encode()), scope)
    assert scope.definitions.parts == 17
    assert scope.definitions["big"].is_used
    # Its functions are made of the text once more, which counts for nothing.
    made(condition.holds)
    assert scope.definitions.parts == 17
    with pytest.raises(Faulty, match="parts in all conditions"):
        ask(Recall(first.encode()), scope_with(PARTS_LIMIT - 9))


def test_a_short_name_that_means_another_event_is_not_taken_for_what_it_was():
    files = {**FILES, "rules/people.yaml": PEOPLE.replace("Order Completed", "Order Paid")}
    rulebook, _ = load(files, Recall(known(FILES)))
    assert noted(rulebook) == noted(load(files)[0])
    assert {activity.event for activity in rulebook.activities} == {"Order Paid", "view"}


def test_a_plugins_function_that_takes_something_else_is_refused_as_ever():
    files = {"rules/all.yaml": "segments: [{name: a, when: 'near(traits.x, 2)'}]\n"}
    before = known(files, functions={"near": lambda x, y: True})
    with pytest.raises(RulebookBroken) as caught:
        load(files, Recall(before), functions={"near": lambda x: True})
    assert [problem.code for problem in caught.value.problems] == ["TF238"]


@pytest.mark.parametrize("text", ['count("\\ud800") > 1', f"event.x > {10**30}"], ids=["half a pair", "128 bits"])
def test_what_cannot_be_kept_is_made_anew_each_time(text: str):
    files = {"rules/all.yaml": f"ruleset: a\nrules: [{{name: a, on: E, when: '{text}', then: [{{emit: x}}]}}]\n"}
    fresh, _ = load(files)
    recall = Recall(known(files))
    again, _ = load(files, recall)
    assert noted(again) == noted(fresh)
    assert not recall.has_news


@pytest.mark.parametrize("content", [b"", b"\x00", b"\x93\x80\x90\x80\x01", b"\x91\x05", b"nonsense"])
def test_what_is_no_recall_is_as_good_as_none(content: bytes):
    recall = Recall(content)
    assert noted(load(FILES, recall)[0]) == noted(load(FILES)[0])
    assert recall.has_news


def test_the_places_of_a_file_that_was_known_are_where_they_are():
    recall = Recall(known(FILES))
    for path, text in FILES.items():
        form, marks, found = recall.decode(text, path)
        fresh_form, fresh, _ = decode_file(text, path)
        assert (form, found, marks.data) == (fresh_form, [], fresh.data)
        for place in fresh._values:
            assert marks.place(place) == fresh.place(place)
            assert marks.key_place(place) == fresh.key_place(place)


def test_a_condition_that_asks_for_a_segment_that_is_gone_is_read_anew():
    scope = Scope(segments=("vip",))
    recall = Recall()
    tree = Tree('"vip" in segments')
    recall.condition(b"x", frame_of(scope), scope, lambda: read_condition(tree, scope))
    less = Scope(segments=())
    with pytest.raises(Faulty, match="vip"):
        Recall(recall.encode()).condition(b"x", frame_of(less), less, lambda: read_condition(tree, less))


def test_what_follows_from_the_whole_is_worked_out_once():
    first = Recall()
    assert first.whole("outline of 1", lambda: {"rules": ["a", 1, None]}) == {"rules": ["a", 1, None]}
    same = Recall(first.encode())
    assert same.whole("outline of 1", lambda: pytest.fail("it is known")) == {"rules": ["a", 1, None]}
    assert not same.has_news
    other = Recall(first.encode())
    assert other.whole("outline of 2", dict) == {}
    assert other.has_news
    assert Recall(other.encode()).whole("outline of 1", lambda: "gone") == "gone"
