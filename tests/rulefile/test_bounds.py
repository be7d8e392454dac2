"""Whatever a rule file holds, it is compiled or refused within bounds, and what is compiled decides within bounds."""

import time

import pytest

from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.conditions import View
from triggerfish.errors import RulebookBroken
from triggerfish.ingest import Event
from triggerfish.profile import Profile
from triggerfish.rulefile.compile import load_rulebook

SECONDS = 60
"""Far more than any of this takes on a busy machine, and far less than an explosion."""
RULE = "ruleset: r\nrules:\n  - name: x\n    on: E\n    when: '{}'\n    then: [set: {{a: 1}}]\n"


def load(text, functions=None):
    return load_rulebook({"rules/a.yaml": text}, templates={}, matcher=CompiledMatcher, functions=functions)[0]


def codes(text, functions=None):
    began = time.monotonic()
    with pytest.raises(RulebookBroken) as broken:
        load(text, functions)
    assert time.monotonic() - began < SECONDS
    return {problem.code for problem in broken.value.problems}


def bomb(levels, body):
    """Each definition uses the next one several times."""
    lines = [f"  d{level}: {body.replace('NEXT', f'd{level + 1}')}\n" for level in range(levels)]
    return f"define:\n{''.join(lines)}  d{levels}: event.x > 1\n{RULE.format('d0')}"


@pytest.mark.parametrize(
    "text",
    [
        bomb(15, "NEXT and NEXT"),
        bomb(5, " or ".join(["NEXT"] * 10)),
        bomb(9, "{all: [NEXT, NEXT, NEXT]}"),
        bomb(80, "not NEXT"),
    ],
    ids=["twice", "ten times", "lists", "a long chain"],
)
def test_definitions_that_grow_without_end_are_refused(text):
    assert codes(text) == {"TF265"}


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ("not " * 900 + "event.x", "TF231"),
        ("(" * 300 + "event.x" + ")" * 300, "TF230"),
        ("9 ** 9 ** 9 > event.x", "TF232"),
        ("event.x > 1 and " * 400 + "event.x > 1", "TF230"),
        ("[x for x in event.x] == 1", "TF232"),
        ("().__class__.__bases__[0] == 1", "TF232"),
        ('matches(event.x, "((a{100}){100}){100}")', "TF239"),
        ('count(E, "99999999999999999d") > 1', "TF249"),
    ],
)
def test_conditions_that_are_meant_to_hurt_are_refused(condition, code):
    assert code in codes(RULE.format(condition))


@pytest.mark.parametrize(
    "condition",
    [
        '"a" * 1000000000 == event.x',
        "event.list * 1000000000 == event.x",
        "event.x * 1000000000 == event.y",
        " * ".join(["event.big"] * 12) + " > 1",
        "1 / event.zero > 1",
        "event.x > " + "9" * 3_900,
        'matches(event.long, "(a+)+$")',
        'matches(event.long, "(a|a)*b")',
    ],
)
def test_what_is_compiled_decides_in_no_time(condition):
    rulebook = load(RULE.format(condition))
    properties = {"x": "abc", "list": [1, 2], "big": 2**63, "zero": 0, "long": "a" * 30_000 + "!"}
    event = Event(kind="track", name="E", message_id="m", timestamp=1, properties=properties)
    began = time.process_time()
    rulebook.match(View(Profile("p", 1, 1), 1, rulebook.zones, event=event))
    assert time.process_time() - began < 2


def test_a_plugins_function_is_called_with_what_it_takes_or_not_at_all():
    functions = {"one": lambda value: True, "some": lambda value, more=2: True, "any": lambda *values: True, "len": len}
    for good in ("one(1)", "some(1)", "some(1, 2)", "any()", "any(1, 2, 3)"):
        load(RULE.format(good), functions)
    for bad in ("one()", "one(1, 2)", "some()", "some(1, 2, 3)"):
        assert codes(RULE.format(bad), functions) == {"TF238"}
