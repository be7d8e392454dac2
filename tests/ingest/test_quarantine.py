"""The quarantine's own reckoning: counts, and events mended."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggerfish.ingest import Event
from triggerfish.plan import Checks, Field, Plan, PlannedEvent, Violation
from triggerfish.quarantine import (
    EXAMPLES,
    Counted,
    Fix,
    Key,
    Quarantined,
    add_up,
    converted,
    counted,
    judge_by,
    mended,
)

PLAN = Plan(events={"Bought": PlannedEvent({"total": Field("number", required=True)}, "quarantine")})


def bought(**properties: Any) -> Event:
    return Event("track", "Bought", "m1", 1_000, "ana", properties=properties, traits={"vip": "yes"})


def one(field: str, shown: str = "", action: str = "warn") -> Violation:
    return Violation("X", field, "type", action, shown=shown)  # type: ignore[arg-type]


def test_counts_add_up_by_what_became_of_the_events() -> None:
    known: dict[Key, Counted] = {}
    add_up(known, counted([("m1", one("a")), ("m2", one("a", action="reject")), ("m3", one("b"))], 5))
    add_up(known, counted([("m4", one("a", action="quarantine"))], 9))
    both = known["X", "a", "type"]
    assert (both.refused, both.quarantined, both.warned, both.first_at, both.last_at) == (1, 1, 1, 5, 9)
    assert known["X", "b", "type"].warned == 1


def test_examples_are_few_of_different_values_and_the_newest() -> None:
    known: dict[Key, Counted] = {}
    for number in range(20):
        add_up(known, counted([(f"m{number}", one("a", shown=f"v{number % 5}"))], number))
    examples = known["X", "a", "type"].examples
    assert len(examples) == EXAMPLES
    assert [(each.value, each.message_id) for each in examples] == [("v2", "m17"), ("v3", "m18"), ("v4", "m19")]


def test_kinds_beyond_the_limit_are_counted_together() -> None:
    known: dict[Key, Counted] = {}
    for number in range(50):
        add_up(known, counted([("m", one(f"f{number}", shown="secret"))], number), limit=10)
    assert len(known) == 11
    others = known["(others)", "", ""]
    assert (others.warned, others.examples) == (40, ())
    assert sum(each.warned for each in known.values()) == 50


@pytest.mark.parametrize(
    ("fix", "properties"),
    [
        (Fix(convert={"total": "number"}), {"total": 12.5, "ttl": "3"}),
        (Fix(drop=("total",)), {"ttl": "3"}),
        (Fix(drop=("total",), rename={"ttl": "total"}, convert={"total": "number"}), {"total": 3}),
        (Fix(set={"currency": "EUR"}), {"total": "12.50", "ttl": "3", "currency": "EUR"}),
        (Fix(rename={"gone": "x"}, convert={"gone": "number"}, drop=("gone",)), {"total": "12.50", "ttl": "3"}),
        (Fix(rename={"ttl": "traits.ttl"}), {"total": "12.50"}),
    ],
)
def test_an_event_is_mended_in_the_order_drop_rename_convert_set(fix: Fix, properties: dict[str, Any]) -> None:
    assert mended(bought(total="12.50", ttl="3"), fix).properties == properties


def test_traits_and_the_name_can_be_mended_too() -> None:
    event = mended(bought(), Fix(name="Sold", convert={"traits.vip": "boolean"}, set={"traits.a": 1}))
    assert (event.name, event.traits, event.message_id) == ("Sold", {"vip": True, "a": 1}, "m1")


@pytest.mark.parametrize(
    ("value", "type_", "made"),
    [
        ("12.50", "number", 12.5),
        (" -3 ", "number", -3),
        ("12,50", "number", "12,50"),
        ("1e999", "number", "1e999"),
        ("nan", "number", "nan"),
        ("", "number", ""),
        (True, "number", True),
        (5, "text", "5"),
        (True, "text", "true"),
        ([1], "text", [1]),
        ("Yes", "boolean", True),
        (0, "boolean", False),
        ("maybe", "boolean", "maybe"),
        ("a", "list", ["a"]),
        (["a"], "list", ["a"]),
    ],
)
def test_a_value_is_converted_when_there_is_one_way_to_read_it(value: Any, type_: Any, made: Any) -> None:
    found = converted(value, type_)
    assert (type(found), found) == (type(made), made)


def test_the_judge_lets_through_what_the_present_plan_takes() -> None:
    held = Quarantined(1, 0, bought(total="12.50"), ())
    admitted, why = judge_by(Checks(PLAN), Fix())(held)
    assert admitted is None
    assert [each.what for each in why] == ["type"]
    admitted, why = judge_by(Checks(PLAN), Fix(convert={"total": "number"}))(held)
    assert admitted == bought(total=12.5)
    assert not why
    assert judge_by(Checks(Plan()), Fix())(held)[0] == held.event


names = st.sampled_from(["total", "ttl", "traits.vip", "properties.a.b", "traits", "."])
fixes = st.builds(
    Fix,
    drop=st.lists(names, max_size=2).map(tuple),
    rename=st.dictionaries(names, names, max_size=2),
    convert=st.dictionaries(names, st.sampled_from(["text", "number", "boolean", "list", "object"]), max_size=2),
    set=st.dictionaries(names, st.integers() | st.text(max_size=3), max_size=2),
)


@given(
    fix=fixes, properties=st.dictionaries(st.sampled_from(["total", "ttl", "a.b"]), st.integers() | st.text(max_size=3))
)
def test_mending_never_touches_who_when_and_which(fix: Fix, properties: dict[str, Any]) -> None:
    event = bought(**properties)
    before = event.properties.copy()
    made = mended(event, fix)
    assert (made.message_id, made.timestamp, made.user_id, made.kind) == ("m1", 1_000, "ana", "track")
    assert event.properties == before
