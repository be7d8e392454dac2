"""Links between terms that need more than logic: order, small letters, tests of texts, arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct

from triggerfish.rulefile.prove_terms import Lowered, Pair, Tested, Worked
from triggerfish.rulefile.satisfy import Domains
from triggerfish.rulefile.satisfy_sets import (
    ABSENT,
    CALCULATED,
    FALSE,
    HIGH,
    LOW,
    MISSING,
    NAN,
    NO,
    NUMERIC,
    OTHER,
    PRESENT,
    TEXTS,
    TRUE,
    YES,
    Cut,
    Ranges,
    Values,
    any_of,
    between,
    hull,
    same,
)

_EXACT = 2**53
_TRUTH = TRUE | FALSE


def narrowed(domains: Domains, term: str, values: Values) -> bool:
    """Leave the term only these values. Whether that took any away."""
    before = domains[term]
    after = before.meet(values)
    if after == before:
        return False
    domains[term] = after
    return True


class Ordered(Struct, frozen=True):
    """When the `premise` has a value, so has the other one, and `low` is at most `high`. Both are numbers,
    or missing.
    """

    low: str
    high: str
    premise: Literal["low", "high", "both"]

    def narrow(self, domains: Domains) -> bool:
        is_narrower = False
        if self.premise != "both":
            premise, other = (self.low, self.high) if self.premise == "low" else (self.high, self.low)
            if not domains[premise].may_be_missing:
                is_narrower |= narrowed(domains, other, PRESENT)
            if domains[other].misses(PRESENT):
                is_narrower |= narrowed(domains, premise, ABSENT)
        low, high = domains[self.low], domains[self.high]
        if low.numbers and (self.premise != "low" or not low.may_be_missing):
            is_narrower |= narrowed(domains, self.high, Values(MISSING, ((low.numbers[0][0], HIGH),)))
        if high.numbers and (self.premise != "high" or not high.may_be_missing):
            is_narrower |= narrowed(domains, self.low, Values(MISSING, ((LOW, high.numbers[-1][1]),)))
        return is_narrower


class Sifted(Struct, frozen=True):
    """Only whole numbers, or only texts that are admitted."""

    term: str
    is_whole: bool
    admits: Callable[[Any], bool] | None = None

    def narrow(self, domains: Domains) -> bool:
        before = domains[self.term]
        after = before.whole if self.is_whole else before
        if self.admits is not None:
            after = after.only(self.admits)
        domains[self.term] = after
        return after is not before


class LowerLink(Struct, frozen=True):
    """Small letters are there where a text is."""

    term: str
    about: Lowered

    def narrow(self, domains: Domains) -> bool:
        of, lowered = domains[self.about.of], domains[self.term]
        is_narrower = False
        if not of.texts:
            is_narrower |= narrowed(domains, self.term, ABSENT)
        elif of.is_within(TEXTS):
            is_narrower |= narrowed(domains, self.term, TEXTS)
            if (constants := of.constants) is not None:
                is_narrower |= narrowed(domains, self.term, any_of({text.lower() for text in constants}))
        if not lowered.texts:
            is_narrower |= narrowed(domains, self.about.of, TEXTS.rest)
        elif not lowered.may_be_missing:
            is_narrower |= narrowed(domains, self.about.of, TEXTS)
        return is_narrower


class TestLink(Struct, frozen=True):
    """A test of a text: known where the text is; and a text that is one of a few must pass it."""

    term: str
    about: Tested

    def narrow(self, domains: Domains) -> bool:
        of = domains[self.about.of]
        may_hold = Values(OTHER if self.about.name == "contains" else 0, (), TEXTS.texts)
        if of.misses(may_hold):
            return narrowed(domains, self.term, NO)
        is_narrower = False
        if domains[self.term] == YES:
            is_narrower |= narrowed(domains, self.about.of, may_hold)
            is_narrower |= self._sift(domains, True)
        elif domains[self.term] == NO:
            is_narrower |= self._sift(domains, False)
        elif (constants := of.constants) is not None:
            passed = {self.about.holds(constant) for constant in constants}
            if len(passed) == 1:
                is_narrower |= narrowed(domains, self.term, same(passed.pop()))
        return is_narrower

    def _sift(self, domains: Domains, wanted: bool) -> bool:
        """Leave out single texts that the test answers otherwise."""
        before = domains[self.about.of]
        after = before.only(lambda text: self.about.holds(text) is wanted)
        domains[self.about.of] = after
        return after is not before


class PairLink(Struct, frozen=True):
    """How two values compare, as far as what each can be says."""

    term: str
    about: Pair

    def narrow(self, domains: Domains) -> bool:
        left, right = domains[self.about.left], domains[self.about.right]
        can: set[str] = set()
        for a, b in ((left.numbers, right.numbers), (left.texts, right.texts)):
            if a and b:
                can |= _orders(a, b)
        if self.about.left == self.about.right:
            can &= {"eq", "same"}
        if (left.flags & NAN and (right.numbers or right.flags & NAN)) or (right.flags & NAN and left.numbers):
            can.add("ne")
        if left.flags & right.flags & _TRUTH:
            can.add("same")
        if (left.flags & TRUE and right.flags & FALSE) or (left.flags & FALSE and right.flags & TRUE):
            can.add("ne")
        is_narrower = narrowed(domains, self.term, any_of(can).join(ABSENT))
        if domains[self.term].is_within(any_of(("eq", "same"))):
            comparable = Values(_TRUTH, left.numbers, left.texts)
            is_narrower |= narrowed(domains, self.about.right, comparable)
            is_narrower |= narrowed(domains, self.about.left, Values(_TRUTH, right.numbers, right.texts))
        elif not domains[self.term].may_be_missing:
            of_a_kind = Values(_TRUTH | NAN, NUMERIC.numbers, TEXTS.texts)
            is_narrower |= narrowed(domains, self.about.left, of_a_kind)
            is_narrower |= narrowed(domains, self.about.right, of_a_kind)
        return is_narrower


class WorkLink(Struct, frozen=True):
    """A calculation, between the bounds that its sides have. Bounds go outward by a rounding, so they
    are never wrong."""

    term: str
    about: Worked

    def narrow(self, domains: Domains) -> bool:
        sides = [
            same(side) if is_constant and side is not None else ABSENT if is_constant else domains[side]
            for side, is_constant in zip(self.about.sides, self.about.is_constant, strict=True)
        ]
        if any(side.misses(CALCULATED) for side in sides):
            return narrowed(domains, self.term, ABSENT)
        is_narrower = False
        if not domains[self.term].may_be_missing:
            for side, is_constant in zip(self.about.sides, self.about.is_constant, strict=True):
                if not is_constant:
                    is_narrower |= narrowed(domains, side, CALCULATED)
        if any(side.flags & NAN or not side.numbers for side in sides):
            return is_narrower
        hulls = [hull(side.numbers) for side in sides]
        is_sure = self.about.is_whole and all(side.is_within(CALCULATED) for side in sides)
        if self.about.sign == "Div" and hulls[1] == (0, 0):
            return narrowed(domains, self.term, ABSENT) or is_narrower
        flags = 0 if is_sure and self.about.sign != "Div" else MISSING
        if not self.about.is_whole and any(math.isinf(bound) for pair in hulls for bound in pair):
            flags |= NAN
        low, high = _bounds(self.about.sign, *hulls)
        return narrowed(domains, self.term, Values(flags, between(low, high).numbers)) or is_narrower


def _orders(a: Ranges, b: Ranges) -> set[str]:
    """How a value of the one can compare with a value of the other."""
    can = set()
    if a[0][0] < _before(b[-1][1]):
        can.add("lt")
    if b[0][0] < _before(a[-1][1]):
        can.add("gt")
    if any(max(low, other_low) < min(high, other_high) for low, high in a for other_low, other_high in b):
        can.add("eq")
    return can


def _before(high: Cut) -> Cut:
    """The cut below the last value of a stretch, when that is included: what is less lies wholly before it."""
    return (0, high[1], 0) if len(high) == 3 else high


def _bounds(sign: str, a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    """Between which numbers a + b, a - b, a * b or a / b lies."""
    match sign:
        case "Add":
            found = [a[0] + b[0], a[1] + b[1]]
        case "Sub":
            found = [a[0] - b[1], a[1] - b[0]]
        case "Mult":
            found = [x * y if x and y else 0 for x in a for y in b]
        case _ if b[0] <= 0 <= b[1]:
            return -math.inf, math.inf
        case _:
            found = [x / y if math.isfinite(x) or math.isfinite(y) else 0 for x in a for y in b]
    return _outward(min(found)), -_outward(-max(found))


def _outward(low: float) -> float:
    """A lower bound that stays one whatever the rounding was. Whole numbers that a float keeps are exact."""
    if type(low) is int and abs(low) < _EXACT:
        return low
    return low if low == -math.inf else math.nextafter(low, -math.inf)
