"""Sets of values, and the search that says no: held against plain enumeration."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from triggerfish.conditions import alike, ordered
from triggerfish.rulefile.prove_links import Ordered
from triggerfish.rulefile.satisfy import And, Exhausted, Formula, Is, Search, both, either, negated
from triggerfish.rulefile.satisfy_sets import (
    ABSENT,
    EVERYTHING,
    NOTHING,
    OTHER,
    PRESENT,
    TEXTS,
    Values,
    any_of,
    between,
    compared,
    same,
)

VALUES: tuple[Any, ...] = (None, True, False, -1, 0, 0.5, 1, 1.0, 2, 2**60, "", "a", "ab", "b")
CONSTANTS = tuple(value for value in VALUES if value is not None)
SIGNS = ("==", "!=", "<", "<=", ">", ">=")


def is_in(value: Any, values: Values) -> bool:
    return not (ABSENT if value is None else same(value)).misses(values)


def holds(value: Any, sign: str, bound: Any) -> bool:
    """The comparison as docs/rules.md has it."""
    match sign:
        case "==":
            return alike(value, bound) and bool(value == bound)
        case "!=":
            return alike(value, bound) and bool(value != bound)
    if not ordered(value, bound):
        return False
    return bool({"<": value < bound, "<=": value <= bound, ">": value > bound, ">=": value >= bound}[sign])


claims = some.tuples(some.sampled_from(SIGNS), some.sampled_from(CONSTANTS)).filter(
    lambda claim: claim[0] in ("==", "!=") or not isinstance(claim[1], bool)
)


@given(claims)
def test_a_comparison_admits_exactly_the_values_that_it_holds_for(claim: tuple[str, Any]) -> None:
    assert [is_in(value, compared(*claim)) for value in VALUES] == [holds(value, *claim) for value in VALUES]


@given(claims, claims)
def test_sets_meet_join_and_turn_over_as_their_values_do(one: tuple[str, Any], other: tuple[str, Any]) -> None:
    a, b = compared(*one), compared(*other)
    for value in VALUES:
        assert is_in(value, a.meet(b)) is (is_in(value, a) and is_in(value, b))
        assert is_in(value, a.join(b)) is (is_in(value, a) or is_in(value, b))
        assert is_in(value, a.rest) is not is_in(value, a)
    assert a.rest.rest == a
    assert a.meet(a.rest).is_empty
    assert a.join(a.rest) == EVERYTHING


def test_numbers_are_equal_whatever_their_type_and_truths_are_no_numbers() -> None:
    assert same(1) == same(1.0)
    assert same(True).misses(same(1))
    assert any_of([2, "a", True, 2.0]).constants == [True, 2, "a"]


def test_whole_numbers_leave_no_room_between_neighbours() -> None:
    assert compared(">", 1).meet(compared("<", 2)).whole.is_empty
    assert compared(">", 1.5).meet(compared("<", 2.5)).whole == same(2)
    assert between(0.1, 0.9).whole.is_empty
    assert compared(">=", 3).whole == compared(">=", 3)


def test_single_values_are_told_one_by_one_and_stretches_are_not() -> None:
    assert any_of(["b", "a"]).single_texts == ["a", "b"]
    assert TEXTS.constants is None
    assert any_of([1]).join(ABSENT).constants is None
    assert any_of(["a", "B"]).only(str.islower) == same("a")
    assert PRESENT.meet(Values(OTHER)).constants is None
    assert NOTHING.constants == []


TERMS = ("x", "y", "z")
SMALL: tuple[Any, ...] = (None, 0, 1, "a", True)
leaves = some.builds(
    Is, some.sampled_from(TERMS), some.lists(some.sampled_from(SMALL), unique_by=repr).map(
        lambda values: any_of([value for value in values if value is not None]).join(
            ABSENT if None in values else NOTHING
        )
    )
)  # fmt: skip
formulas = some.recursive(
    leaves,
    lambda inner: some.one_of(
        some.lists(inner, min_size=1, max_size=3).map(lambda parts: both(*parts)),
        some.lists(inner, min_size=1, max_size=3).map(lambda parts: either(*parts)),
        inner.map(negated),
    ),
    max_leaves=8,
)


def answer(formula: Formula, values: dict[str, Any]) -> bool:
    if isinstance(formula, Is):
        return is_in(values[formula.term], formula.values)
    told = [answer(part, values) for part in formula.parts]
    return all(told) if isinstance(formula, And) else any(told)


@given(formulas)
def test_the_search_finds_values_exactly_where_there_are_some(formula: Formula) -> None:
    domain = any_of([value for value in SMALL if value is not None]).join(ABSENT)
    found = Search(dict.fromkeys(TERMS, domain), [], 100_000).is_satisfiable(formula)
    everything = (dict(zip(TERMS, values, strict=True)) for values in product(SMALL, repeat=3))
    assert found is any(answer(formula, values) for values in everything)


def test_links_rule_values_out() -> None:
    counts = compared(">=", 0)
    link = Ordered("short", "long", "both")
    search = Search({"short": counts, "long": counts}, [link], 1_000)
    assert not search.is_satisfiable(both(Is("short", compared(">=", 3)), Is("long", compared("<", 3))))
    assert search.is_satisfiable(both(Is("short", compared(">=", 3)), Is("long", compared("<=", 3))))


def test_a_search_gives_up_after_its_steps() -> None:
    numbers = dict.fromkeys((f"t{number}" for number in range(30)), any_of([0, 1, 2]))
    hard = both(
        *(
            either(*(both(Is(a, same(value)), Is(b, same(value))) for value in (0, 1, 2)))
            for a in numbers
            for b in numbers
            if a != b
        ),
        either(*(Is(term, same(0)) for term in numbers)),
        either(*(Is(term, same(1)) for term in numbers)),
    )
    with pytest.raises(Exhausted):
        Search(numbers, [], 500).is_satisfiable(hard)
