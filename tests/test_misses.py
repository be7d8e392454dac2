"""The nearest miss is no guess: with what it says, the condition holds."""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triggerfish.conditions import View
from triggerfish.misses import holds_from, join, nearest
from triggerfish.profile import Profile
from triggerfish.rulefile.expressions import Scope, Tree, compile_condition
from triggerfish.segments import SegmentTree
from triggerfish.zones import Zones
from worlds import NOON, track

ZONES = Zones("UTC")
BOUND = re.compile(r"(over|at least|under|at most|equal to|other than) (-?\d+)")
TOLD = re.compile(r"with event\.(\w) (.+) \(it was .*\)")


def view_of(**properties):
    return View(Profile("p", NOON, NOON), NOON, ZONES, event=track("Add", NOON, properties=properties))


def condition(text):
    return compile_condition(Tree(text), Scope())


leaves = st.builds(
    "event.{} {} {}".format,
    st.sampled_from("abc"),
    st.sampled_from((">", ">=", "<", "<=", "==", "!=")),
    st.integers(-3, 3),
)
texts = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("not {}".format, inner),
    ),
    max_leaves=6,
)


@settings(max_examples=400, deadline=None)
@given(texts, st.dictionaries(st.sampled_from("abc"), st.integers(-4, 4)))
def test_with_what_is_said_to_be_the_nearest_miss_the_condition_holds(text, properties):
    asked = condition(text)
    said = nearest(asked, view_of(**properties))
    if asked.holds(view_of(**properties)):
        assert said == []
        return
    bounds: dict[str, list[tuple[str, int]]] = {}
    for part in said:
        found = TOLD.fullmatch(part)
        assert found is not None, part
        bounds.setdefault(found[1], [])
        for words, bound in BOUND.findall(found[2]):
            bounds[found[1]].append((words, int(bound)))
    # Whatever value meets what is said, the condition holds with it.
    ways = [[value for value in candidates() if all(meets(value, *test) for test in bounds[name])] for name in bounds]
    for chosen in product(*ways) if said else ():
        assert asked.holds(view_of(**{**properties, **dict(zip(bounds, chosen, strict=True))})), (said, chosen)
    assert all(ways)


def candidates():
    yield from (number / 2 for number in range(-9, 10))


def meets(value, words, bound):
    return {
        "over": value > bound, "at least": value >= bound, "under": value < bound, "at most": value <= bound,
        "equal to": value == bound, "other than": value != bound,
    }[words]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("event.value > 200", "with event.value over 200 (it was 184.5)"),
        ("event.kind == 'gift'", 'with event.kind equal to "gift" (it was missing)'),
        ("'vip' in segments", "if they are in vip"),
        ("exists(event.kind)", "if the event's kind is known"),
        ("event.value > 200 and traits.plan == 'gold'",
         'with event.value over 200 (it was 184.5) and with traits.plan equal to "gold" (it was missing)'),
        # Of two ways, the one with fewer parts.
        ("(event.value > 200 and traits.plan == 'gold') or traits.vip == True",
         "if their vip is true (it was missing)"),
        ("count(Add, '30d') >= 3", "with 3 more Add within 30 days (there were none)"),
        ("count(Add) >= 1 and not exists(event.value)",
         "with one more Add (there were none) and if the event's value is not known"),
        ("event.value > 300 and event.value <= 400", "with event.value over 300 and at most 400 (it was 184.5)"),
        ("event.value > 300 and event.value > 400", "with event.value over 400 (it was 184.5)"),
        ("event.x > 0 or event.x < 1", "with event.x any number (it was missing)"),
        # What contradicts itself has no near miss, nor what touches itself in a way that was not tried.
        ("event.value > 200 and event.value < 100", ""),
        ("count(Add) >= 1 and count(Add, '1h') < 1", ""),
        ("event.value > 200 and event.value in [1, 2]", ""),
        ("event.a > 1 and event.b > 1 and event.c > 1 and event.d > 1 and event.e > 1 and event.f > 1", ""),
    ],
)  # fmt: skip
def test_the_nearest_miss_is_said_as_people_say_it(text, said):
    made = compile_condition(Tree(text), Scope(segments=frozenset({"vip"})))
    assert join(nearest(made, view_of(value=184.5))) == (f"it would have matched {said}" if said else "")


@pytest.mark.parametrize(
    "text", ["not did(Add, '2h')", "days_since(Add) > 3", "count(Add, '7d') < 1", "local.hour >= 20"]
)
def test_time_alone_makes_it_hold_at_that_millisecond_and_not_one_before(text):
    asked = condition(text)
    profile = Profile("p", NOON, NOON)
    for activity in asked.activities:
        state = profile.activity[activity.key] = activity.start()
        activity.count(state, track("Add", NOON - 1_000), NOON)
    at = holds_from(asked, View(profile, NOON, ZONES), SegmentTree(), ZONES)
    assert at is not None
    assert asked.holds(View(profile, at, ZONES))
    assert not asked.holds(View(profile, at - 1, ZONES))


def test_what_time_does_not_change_is_not_said_to_come_by_itself():
    asked = condition("event.value > 200")
    assert holds_from(asked, view_of(value=1), SegmentTree(), ZONES) is None
