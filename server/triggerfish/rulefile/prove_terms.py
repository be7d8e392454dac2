"""What a condition speaks of: terms, each with the values that it can have at all and what else is known of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from msgspec import Struct

from triggerfish.clock import Millis
from triggerfish.rulefile.satisfy_sets import (
    ABSENT,
    CALCULATED,
    EVERYTHING,
    HIGH,
    NUMERIC,
    TEXTS,
    TRUTHS,
    Values,
    any_of,
    between,
)
from triggerfish.zones import WEEKDAYS

COUNTED = Values(0, (((0, 0, 0), HIGH),))
"""Numbers from 0."""


class Counted(Struct, frozen=True):
    """How many events of a kind there were within the window (None: ever)."""

    event: str
    keeps: str
    window: Millis | None


class Age(Struct, frozen=True):
    """Milliseconds since the newest event of a kind; missing when there was none."""

    event: str
    keeps: str


class Figure(Struct, frozen=True):
    """sum, avg, min, max, first, last, distinct, score, trend or sequence."""

    name: str
    event: str
    keeps: str
    field: tuple[str, ...]
    window: Millis | None


class InSegment(Struct, frozen=True):
    name: str


class Primary(Struct, frozen=True):
    """The primary segment's name."""


class Path(Struct, frozen=True):
    """A property, a trait, or a part of the context."""

    names: tuple[str, ...]


class Lowered(Struct, frozen=True):
    """A text in small letters; `of` is the key of the text's term."""

    of: str


class Tested(Struct, frozen=True):
    """A test of a text: contains, starts_with, ends_with or matches."""

    name: str
    of: str
    argument: Any
    holds: Callable[[Any], bool]


class Pair(Struct, frozen=True):
    """How two values compare: "lt", "eq", "gt"; "same" and "ne" where there is no order, as
    with truths; missing when they cannot.
    """

    left: str
    right: str


class Worked(Struct, frozen=True):
    """A calculation; its sides are keys of terms, or constants (`is_constant` says which). `is_whole`: both sides are
    whole numbers, or missing.
    """

    sign: str
    sides: tuple[Any, Any]
    is_constant: tuple[bool, bool]
    is_whole: bool


class Unknown(Struct, frozen=True):
    """Something of which nothing is known, such as a plugin's function."""


About = Counted | Age | Figure | InSegment | Primary | Path | Lowered | Tested | Pair | Worked | Unknown


class Term(Struct, frozen=True):
    """Something that has a value at each instant. `domain` is what it can be; `admits` leaves out single texts.

    `is_free` says whether it can have every value of its domain, as far as nothing links it with others.
    """

    key: str
    about: About
    domain: Values = EVERYTHING
    admits: Callable[[Any], bool] | None = None
    is_whole: bool = False
    is_free: bool = True

    @property
    def values(self) -> Values:
        """The domain, for a search."""
        return self.domain.whole if self.is_whole else self.domain


def _selected(event: str, keeps: str) -> str:
    return f"{event!r}[{keeps}]" if keeps else repr(event)


def counted(event: str, keeps: str, window: Millis | None) -> Term:
    key = f"count {_selected(event, keeps)} {window}"
    return Term(key, Counted(event, keeps, window), COUNTED, is_whole=True)


def age(event: str, keeps: str) -> Term:
    return Term(f"age {_selected(event, keeps)}", Age(event, keeps), COUNTED.join(ABSENT), is_whole=True)


def figure(name: str, event: str, keeps: str, field: tuple[str, ...], window: Millis | None, rest: str = "") -> Term:
    """A figure; `rest` is what else it is given: half-lives, the other event of a sequence."""
    domain = {
        "sum": CALCULATED,
        "avg": CALCULATED.join(ABSENT),
        "min": NUMERIC.join(ABSENT),
        "max": NUMERIC.join(ABSENT),
        "distinct": COUNTED,
        "score": CALCULATED if field else COUNTED,
        "trend": (CALCULATED if field else COUNTED).join(ABSENT),
        "sequence": TRUTHS,
    }.get(name, EVERYTHING)
    key = f"{name} {_selected(event, keeps)} {field} {window} {rest}"
    return Term(key, Figure(name, event, keeps, field, window), domain, is_whole=name == "distinct")


def in_segment(name: str) -> Term:
    return Term(f"in {name!r}", InSegment(name), TRUTHS)


def primary(names: list[str]) -> Term:
    return Term("segment", Primary(), any_of(names).join(ABSENT))


def path(names: tuple[str, ...]) -> Term:
    return Term(f"path {names}", Path(names))


def lowered(of: Term) -> Term:
    return Term(f"lower {of.key}", Lowered(of.key), TEXTS.join(ABSENT), admits=lambda text: text == text.lower())


def tested(name: str, of: Term, argument: Any, holds: Callable[[Any], bool]) -> Term:
    is_free = name != "matches"
    return Term(f"{name} {of.key} {argument!r}", Tested(name, of.key, argument, holds), TRUTHS, is_free=is_free)


def pair(left: Term, right: Term) -> Term:
    domain = any_of(("lt", "eq", "gt", "same", "ne")).join(ABSENT)
    return Term(f"compare {left.key} {right.key}", Pair(left.key, right.key), domain, is_free=False)


def worked(sign: str, sides: tuple[Any, Any], is_constant: tuple[bool, bool], is_whole: bool) -> Term:
    return Term(
        f"work {sign} {sides!r} {is_constant}",
        Worked(sign, sides, is_constant, is_whole),
        CALCULATED.join(ABSENT),
        is_free=False,
    )


def unknown(text: str, domain: Values = EVERYTHING, *, is_free: bool = False) -> Term:
    return Term(f"? {text}", Unknown(), domain, is_free=is_free)


def _is_date(text: Any) -> bool:
    try:
        return isinstance(text, str) and date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


_DATES = Values(0, (), (((0, "0001-01-01", 0), (0, "9999-12-31", 1)),))

LOCAL: dict[str, Term] = {
    "hour": Term("local.hour", Path(("local", "hour")), between(0, 23), is_whole=True),
    "weekday": Term("local.weekday", Path(("local", "weekday")), any_of(WEEKDAYS)),
    "date": Term("local.date", Path(("local", "date")), _DATES, admits=_is_date),
}
