"""Guards: of many rules that listen to one event, those that can hold are looked up and not tried one after another.

A rule whose condition holds only when a value equals a constant (`event.category == "shoes"`, and whatever else) need
not be asked while the value is another. So ten thousand rules for as many categories cost what those of one cost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from triggerfish.conditions import NUMBERS, All, Condition, Node, Test, View, made

ENOUGH = 4
"""Of values that are compared with fewer constants than this, looking up is no gain."""


def guards_of(conditions: Sequence[Condition | None]) -> list[Test | None]:
    """For each condition the test to look it up by: of its equalities the one whose value is compared with the most
    constants here. None: there is none.
    """
    found = [[] if condition is None else _equalities(condition.root) for condition in conditions]
    bounds = Counter(key for key, _ in {(test.value_key, _code(test.bound)) for tests in found for test in tests})
    best = [max(tests, key=lambda test: bounds[test.value_key], default=None) for tests in found]
    return [None if test is None or bounds[test.value_key] < ENOUGH else test for test in best]


def _equalities(root: Node) -> list[Test]:
    """The tests that must hold for all of it to hold, as far as they are equalities."""
    match root:
        case Test(value=value, operator="==") if value is not None and root.bound == root.bound:
            return [root]
        case All(parts=parts):
            return [test for part in parts for test in _equalities(part)]
    return []


def _code(value: Any) -> Hashable:
    """Equal for values that conditions call equal. None for what equals no constant."""
    if isinstance(value, str):
        return value
    kind = type(value)
    return (kind is bool, value) if kind is bool or kind in NUMBERS else None


class Lookup:
    """Which of some entries can hold. Each has guards, one of which holds if it does; or None: it may hold anyway."""

    def __init__(self, entries: Sequence[Sequence[Test] | None]) -> None:
        self._always = [place for place, guards in enumerate(entries) if guards is None]
        columns: dict[str, tuple[Callable[[View], Any], dict[Hashable, list[int]]]] = {}
        for place, guards in enumerate(entries):
            for test in guards or ():
                _, places = columns.setdefault(test.value_key, (made(test.value or test.holds), {}))
                found = places.setdefault(_code(test.bound), [])
                if not found or found[-1] != place:
                    found.append(place)
        self._columns = list(columns.values())

    def open(self, view: View) -> Sequence[int]:
        """The places of the entries that can hold, ascending."""
        if not self._columns:
            return self._always
        found = self._always
        for value_of, places in self._columns:
            more = places.get(_code(value_of(view)))
            if more:
                found = found + more
        return found if found is self._always else sorted(set(found))
