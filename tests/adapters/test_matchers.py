from __future__ import annotations

import builtins
import json
import sys
from pathlib import Path
from random import Random

import durable_rules_engine
import pytest

from contracts.language import NOON, Deed, World, some_world
from contracts.matcher import NAMES, MatcherContract, some_rulesets, woken, written
from triggerfish.activity import Window
from triggerfish.adapters import durable
from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.adapters.durable import DurableMatcher
from triggerfish.errors import PluginFailed, SettingsWrong
from triggerfish.rulefile.expressions import Tree


class TestCompiledMatcher(MatcherContract):
    make = CompiledMatcher


class TestDurableMatcher(MatcherContract):
    make = DurableMatcher


@pytest.mark.parametrize("remembered", [0, 5, durable.REMEMBERED])
def test_both_engines_give_the_same_rules_in_the_same_order(monkeypatch, remembered):
    monkeypatch.setattr(durable, "REMEMBERED", remembered)
    dice = Random(20261122)
    rulesets = some_rulesets(dice, 6, 60)
    one, other = CompiledMatcher(rulesets.rulesets), DurableMatcher(rulesets.rulesets)
    fired = 0
    for _ in range(1_500):
        view = some_world(dice, NAMES).view(rulesets.activities)
        expected = woken(one, view)
        fired += len(expected)
        assert woken(other, view) == expected
    assert fired > 1_500


class Spy:
    """The extension, with every text that it is given on record."""

    error = durable_rules_engine.error

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __getattr__(self, name: str):
        call = getattr(durable_rules_engine, name)

        def noted(*arguments):
            self.texts += [argument for argument in arguments if isinstance(argument, str)]
            return call(*arguments)

        return noted


def test_nothing_but_small_numbers_under_our_own_names_enters_the_network(monkeypatch):
    spy = Spy()
    monkeypatch.setattr(durable, "_extension", lambda: spy)
    rules = [
        (Tree("event.secret == 'Zoë\"' and event.secret < 'Zz' and traits.sum >= 123456.5"), ("Secret Event",)),
        (Tree("not event.secret == 'Zoë' or event.big != 99999999999999999999"), ("Secret Event",)),
        (Tree("event.secret == event.other and lower(event.secret) == 'zoë'"), ("Secret Event",)),
    ]
    matcher = DurableMatcher(written([("all", 0, rules), ("first", 0, rules)]).rulesets)
    for value in ('Zoë"', "a" * 4_000, 1e300, -(10**40), None, True, {"deep": 1}):
        properties = {"secret": value, "other": value, "big": value}
        matcher.match(World(name="Secret Event", properties=properties, traits={"sum": value}).view())
    assert len(spy.texts) > 10
    for text in spy.texts:
        assert not set(text) - set('{}[]":,0123456789abcdefghijklmnopqrstuvwxyz$'), text
        for hidden in ("secret", "zo", "123456", "99999999", "sum", "aaa"):
            assert hidden not in text.lower()


def fnv(text: str) -> int:
    """FNV-1a in 32 bits (http://www.isthe.com/chongo/tech/comp/fnv/): how durable_rules tells names and ids apart."""
    made = 0x811C9DC5
    for byte in text.encode():
        made = (made ^ byte) * 16_777_619 & 0xFFFFFFFF
    return made


def test_field_names_have_hashes_of_their_own():
    assert fnv("id") == 926444256, "state.h calls this HASH_ID"
    names = ["id", "sid", "$s", "$forward", *(f"f{number}" for number in range(255))]
    assert len({fnv(name) for name in names}) == len(names)


def test_no_message_id_has_the_hash_of_the_message_that_stays():
    stays = fnv("sid-0")
    assert all(fnv(str(number)) != stays for number in range(1, durable.LAST_ID + 1, 1))


def test_message_ids_start_again_and_answers_stay_right(monkeypatch):
    spy = Spy()
    monkeypatch.setattr(durable, "_extension", lambda: spy)
    monkeypatch.setattr(durable, "REMEMBERED", 0)
    monkeypatch.setattr(durable, "LAST_ID", 3)
    matcher = DurableMatcher(written([("first", 0, [(Tree("event.a == 1"), ("view",))])]).rulesets)
    view = World(properties={"a": 1}).view()
    assert [len(matcher.match(view)) for _ in range(5)] == [1] * 5
    assert [json.loads(text)["id"] for text in spy.texts if '"id"' in text] == [1, 2, 3, 1, 2]


def test_the_network_is_asked_once_for_what_no_rule_tells_apart(monkeypatch):
    spy = Spy()
    monkeypatch.setattr(durable, "_extension", lambda: spy)
    rules = [(Tree(f"event.a > 10 and event.b {test}"), ("view",)) for test in ("== 'x'", "!= 'x'", "< 'c'")]
    matcher = DurableMatcher(written([("all", 0, rules)]).rulesets)
    asked = len(spy.texts)
    for a in range(11, 60):
        for b, woken_by in (("x", [0]), ("a", [1, 2]), ("b", [1, 2]), ("z", [1]), (3, [])):
            found = woken(matcher, World(properties={"a": a, "b": b}).view())
            assert found == [("set0", f"rule{number}") for number in woken_by]
    messages = {text for text in spy.texts[asked:] if '"f0"' in text}
    assert len(messages) == 4


def test_what_only_rules_read_that_are_not_entered_is_neither_told_nor_worked_out(monkeypatch):
    spy = Spy()
    monkeypatch.setattr(durable, "_extension", lambda: spy)
    rulesets = written(
        [
            ("all", 0, [(Tree(f"event.a == 1 and count(view, '{days}d') > 0"), ("view",)) for days in range(1, 5)]),
            (
                "first",
                0,
                [(Tree("event.b > 3 and count(view, '1d') == 0"), ("view",)), (Tree("event.c > 0"), ("view",))],
            ),
        ]
    )
    matcher = DurableMatcher(rulesets.rulesets)
    asked: list[int] = []
    monkeypatch.setattr(Window, "count_since", lambda state, after: asked.append(after) or 0)
    sizes = []
    for properties in ({"a": 2, "b": 3}, {"a": 2, "b": 4}, {"a": 1, "b": 3}, {"a": 1, "b": 4, "c": 1}):
        told, worked = len(spy.texts), len(asked)
        world = World(properties=properties, deeds=(Deed("view", NOON - 1_000, {}),))
        matcher.match(world.view(rulesets.activities))
        fields = [len(json.loads(text)) - 3 for text in spy.texts[told:] if '"f0"' in text]
        sizes.append((fields, len(asked) - worked))
    # Fields of each message, and counts that were looked at; what was sent before is not sent again.
    assert sizes == [([0, 0], 0), ([2], 1), ([1], 4), ([3], 4)]


def test_memory_stays_flat_over_many_messages():
    dice = Random(5)
    rulesets = some_rulesets(dice, 4, 40)
    matcher = DurableMatcher(rulesets.rulesets)
    views = [some_world(dice).view(rulesets.activities) for _ in range(200)]
    for view in views * 10:
        matcher.match(view)
    before = resident_kilobytes()
    for view in views * 100:
        matcher.match(view)
    assert resident_kilobytes() - before < 2_000


def resident_kilobytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def test_without_the_extension_the_error_names_the_other_engine(monkeypatch):
    real = builtins.__import__

    def refuse(name, *arguments, **more):
        if name == "durable_rules_engine":
            raise ImportError("no module of that name")
        return real(name, *arguments, **more)

    monkeypatch.delitem(sys.modules, "durable_rules_engine")
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(SettingsWrong) as caught:
        DurableMatcher([])
    assert caught.value.code == "TF430"
    assert 'engine = "compiled"' in caught.value.hint


class Broken(Spy):
    """The extension, which gives a strange answer when told to."""

    strange = False

    def assert_fact(self, handle: int, message: str):
        if self.strange:
            raise durable_rules_engine.error("Could not assert fact, error code: 303")
        return durable_rules_engine.assert_fact(handle, message)

    def assert_event(self, handle: int, message: str):
        return (3, 0) if self.strange else durable_rules_engine.assert_event(handle, message)


@pytest.mark.parametrize("mode", ["all", "first"])
def test_a_failure_of_the_extension_is_told_and_stays(monkeypatch, mode):
    broken = Broken()
    monkeypatch.setattr(durable, "_extension", lambda: broken)
    monkeypatch.setattr(durable, "REMEMBERED", 0)
    matcher = DurableMatcher(written([(mode, 0, [(Tree("event.a == 1"), ("view",))])]).rulesets)
    view = World(properties={"a": 1}).view()
    assert len(matcher.match(view)) == 1
    broken.strange = True
    with pytest.raises(PluginFailed) as caught:
        matcher.match(view)
    assert caught.value.code == "TF520"
    assert "303" in caught.value.sentence or "status 3" in caught.value.sentence
    broken.strange = False
    with pytest.raises(PluginFailed):
        matcher.match(view)
