"""A rule may name the channel that its messages leave over."""

import pytest

from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.errors import RulebookBroken
from triggerfish.rulefile.compile import load_rulebook
from worlds import NOON, TEMPLATES, World, identify, track

RULES = """
ruleset: carts
rules:
  - {name: plain, on: View, then: [{send: offer}]}
  - {name: other, on: View, channel: ses, then: [{send: hello}]}
"""


def load(**more):
    return load_rulebook({"rules/a.yaml": RULES}, templates=TEMPLATES, matcher=CompiledMatcher, channel="smtp", **more)


def test_its_messages_leave_over_that_channel_and_stand_in_its_lanes():
    world = World(RULES)
    world.rulebook, _ = load(channels=["smtp", "ses"])
    world.take(identify(NOON, email="ana@gmail.com"), track("View", NOON))
    assert sorted((due.template, due.channel, due.lane, due.since) for due in world.sends) == [
        ("hello", "ses", "ses marketing google", NOON),
        ("offer", "smtp", "smtp marketing google", NOON),
    ]


def test_a_channel_that_is_not_open_is_a_problem_at_its_place():
    with pytest.raises(RulebookBroken) as broken:
        load(channels=["smtp", "ses2"])
    [problem] = broken.value.problems
    assert (problem.code, problem.line, problem.column) == ("TF666", 5, 38)
    assert problem.hint == 'did you mean "ses2"?'


def test_who_does_not_know_the_settings_takes_any():
    assert load()[1] == []
