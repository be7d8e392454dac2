"""Sets of the values that a condition can meet: missing, true, false, stretches of numbers and of texts, and the rest.

Exact where conditions can tell values apart. Between two texts (or numbers) there is always taken to be another one:
so a set that looks empty is empty, and nothing wrong follows from one that only looks as if it were not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

import msgspec
from msgspec import Struct

from triggerfish.conditions import NUMBERS

Cut = tuple[Any, ...]
"""Between two values: `(0, value, 0)` is just before the value, `(0, value, 1)` just after it."""
Ranges = tuple[tuple[Cut, Cut], ...]
"""Stretches between cuts, apart from one another, ascending."""

LOW: Cut = (-1,)
HIGH: Cut = (1,)
WHOLE: Ranges = ((LOW, HIGH),)

MISSING, NAN, TRUE, FALSE, OTHER = 1, 2, 4, 8, 16
"""Flags for what has no order: a calculation's "no number", the two truths; lists and objects are `OTHER`."""
_FLAGS = 31


def _outside(ranges: Ranges) -> Ranges:
    made, at = [], LOW
    for low, high in ranges:
        if at < low:
            made.append((at, low))
        at = high
    if at < HIGH:
        made.append((at, HIGH))
    return tuple(made)


def _common(left: Ranges, right: Ranges) -> Ranges:
    if left == WHOLE:
        return right
    if right == WHOLE:
        return left
    made = []
    i = j = 0
    while i < len(left) and j < len(right):
        low, high = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if low < high:
            made.append((low, high))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return tuple(made)


def _whole(low: Cut, high: Cut) -> tuple[Cut, Cut] | None:
    """The stretch from its first to its last whole number."""
    if len(low) == 3 and math.isfinite(low[1]):
        first = math.ceil(low[1])
        low = (0, first + (low[2] == 1 and first == low[1]), 0)
    if len(high) == 3 and math.isfinite(high[1]):
        last = math.floor(high[1])
        high = (0, last - (high[2] == 0 and last == high[1]), 1)
    return (low, high) if low < high else None


def _is_single(low: Cut, high: Cut) -> bool:
    return len(low) == len(high) == 3 and bool(low[1] == high[1])


class Values(Struct, frozen=True, dict=True):
    """A set of values: some of those with a flag, stretches of numbers, stretches of texts."""

    flags: int = 0
    numbers: Ranges = ()
    texts: Ranges = ()

    @cached_property
    def rest(self) -> Values:
        """All other values."""
        return Values(_FLAGS & ~self.flags, _outside(self.numbers), _outside(self.texts))

    def meet(self, other: Values) -> Values:
        """The values that are in both."""
        if self is other:
            return self
        met = Values(self.flags & other.flags, _common(self.numbers, other.numbers), _common(self.texts, other.texts))
        return self if met == self else met

    def join(self, other: Values) -> Values:
        """The values that are in one of them."""
        return self.rest.meet(other.rest).rest

    @property
    def is_empty(self) -> bool:
        return not (self.flags or self.numbers or self.texts)

    def is_within(self, other: Values) -> bool:
        return self.meet(other.rest).is_empty

    def misses(self, other: Values) -> bool:
        """Whether no value is in both."""
        return self.meet(other).is_empty

    @property
    def may_be_missing(self) -> bool:
        return bool(self.flags & MISSING)

    @property
    def constants(self) -> list[Any] | None:
        """All values one by one, when there are only single ones, and none is missing, a list or an object."""
        if self.flags & (MISSING | NAN | OTHER):
            return None
        found: list[Any] = [truth for flag, truth in ((TRUE, True), (FALSE, False)) if self.flags & flag]
        ranges = (*self.numbers, *self.texts)
        if not all(_is_single(low, high) for low, high in ranges):
            return None
        return found + [low[1] for low, _ in ranges]

    @property
    def single_texts(self) -> list[str]:
        """The texts that are in it one by one."""
        return [low[1] for low, high in self.texts if _is_single(low, high)]

    def only(self, admits: Callable[[Any], bool]) -> Values:
        """Without the single texts that are not admitted; of stretches, nothing is said."""
        kept = tuple((low, high) for low, high in self.texts if not _is_single(low, high) or admits(low[1]))
        return self if kept == self.texts else msgspec.structs.replace(self, texts=kept)

    @property
    def whole(self) -> Values:
        """Without numbers that are not whole."""
        made = tuple(kept for low, high in self.numbers if (kept := _whole(low, high)) is not None)
        return self if made == self.numbers else msgspec.structs.replace(self, numbers=made)


NOTHING = Values()
EVERYTHING = Values(_FLAGS, WHOLE, WHOLE)
ABSENT = Values(MISSING)
PRESENT = ABSENT.rest
YES, NO = Values(TRUE), Values(FALSE)
TRUTHS = Values(TRUE | FALSE)
NUMERIC = Values(0, WHOLE)
CALCULATED = Values(NAN, WHOLE)
"""What a sum or a calculation gives when it gives something."""
TEXTS = Values(0, (), WHOLE)


def same(constant: Any) -> Values:
    """The values equal to a text, number or truth, and of its kind."""
    if type(constant) is bool:
        return YES if constant else NO
    return any_of([constant])


def any_of(constants: Iterable[Any]) -> Values:
    """The values equal to one of these texts, numbers and truths, and of its kind."""
    flags = 0
    numbers: set[Any] = set()
    texts: set[Any] = set()
    for constant in constants:
        if type(constant) is bool:
            flags |= TRUE if constant else FALSE
        else:
            (numbers if type(constant) in NUMBERS else texts).add(constant)
    return Values(flags, _points(numbers), _points(texts))


def _points(constants: Iterable[Any]) -> Ranges:
    return tuple(((0, constant, 0), (0, constant, 1)) for constant in sorted(constants))


def compared(sign: str, bound: Any) -> Values:
    """The values that compare so with a text, number or truth: only those of its kind do (docs/rules.md)."""
    if type(bound) is bool:
        return same(bound) if sign == "==" else same(not bound)
    if sign in ("==", "!="):
        kind = CALCULATED if type(bound) in NUMBERS else TEXTS
        return same(bound) if sign == "==" else kind.meet(same(bound).rest)
    before, after = (0, bound, 0), (0, bound, 1)
    ranges = {"<": (LOW, before), "<=": (LOW, after), ">": (after, HIGH), ">=": (before, HIGH)}[sign]
    return Values(0, (ranges,)) if type(bound) in NUMBERS else Values(0, (), (ranges,))


def between(low: float, high: float) -> Values:
    """The numbers from one to another, both included."""
    return Values(0, (((0, low, 0), (0, high, 1)),)) if low <= high else NOTHING


def hull(ranges: Ranges) -> tuple[float, float]:
    """The numbers between which all of these lie; infinite where they have no bound."""
    low, high = ranges[0][0], ranges[-1][1]
    return (low[1] if len(low) == 3 else -math.inf), (high[1] if len(high) == 3 else math.inf)
