"""The functions of the condition language: one table, which docs/rules.md repeats and a test compares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import re2
from msgspec import Struct

from triggerfish import conditions, figures
from triggerfish.clock import DAY, HOUR, MINUTE, Millis

PATTERN_LIMIT = 500


class Function(Struct, frozen=True):
    """How a function is written and what works it out.

    Those that take an activity are called with (view, activity[, name]), the others with plain values; None: calls.py
    writes them out.
    `least` to `most` values are given, in order or by their names: `names` are those that can be given by name.
    `fields` says whether the activity is about a property: "none", "needed", or "either". `is_number` and `is_truth`
    say what it always gives. `prepare` makes the function from its second argument once, when the rule is compiled.
    """

    usage: str
    example: str
    of: Callable[..., Any] | None = None
    least: int = 1
    most: int = 1
    takes_activity: bool = False
    fields: Literal["none", "needed", "either"] = "none"
    takes_name: bool = False
    is_truth: bool = False
    is_number: bool = False
    unit: Millis = 0
    names: tuple[str, ...] = ()
    prepare: Callable[[Any], Callable[[Any], bool]] | None = None


def _lower(value: Any) -> Any:
    return value.lower() if type(value) is str else None


def _contains(value: Any, part: Any) -> bool:
    if type(value) is str:
        return type(part) is str and part in value
    return conditions.among(part, value) if type(value) in (list, tuple, conditions.Items) else False


def _starts_with(value: Any, part: Any) -> bool:
    return type(value) is str and type(part) is str and value.startswith(part)


def _ends_with(value: Any, part: Any) -> bool:
    return type(value) is str and type(part) is str and value.endswith(part)


def _matches(pattern: Any) -> Callable[[Any], bool]:
    """A test of a whole pattern in RE2 syntax, which takes time linear in the text."""
    if type(pattern) is not str or len(pattern) > PATTERN_LIMIT:
        raise ValueError(f"a pattern is a text of at most {PATTERN_LIMIT} characters")
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)  # type: ignore[no-untyped-call]
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error.args[0])
        raise ValueError(f"this pattern cannot be read: {reason}") from error

    def matches(value: Any) -> bool:
        return type(value) is str and compiled.search(value) is not None

    return matches


def _exists(value: Any) -> bool:
    return value is not None


def _default(value: Any, fallback: Any) -> Any:
    return fallback if value is None else value


def _since(unit: str, length: Millis) -> Function:
    return Function(
        f"{unit}_since(event)",
        f"{unit}_since(purchase) > 30",
        takes_activity=True,
        is_number=True,
        unit=length,
    )


def _figure(name: str) -> Function:
    return Function(
        f'{name}(event.property) or {name}(event.property, "90d")',
        f'{name}(purchase.total, "90d")',
        figures.figures,
        most=2,
        takes_activity=True,
        fields="needed",
        takes_name=True,
        is_number=True,
        names=("window",),
    )


def _end(name: str, of: Callable[..., Any]) -> Function:
    return Function(
        f"{name}(event.property)",
        f"{name}(purchase.total)",
        of,
        most=2,
        takes_activity=True,
        fields="needed",
        names=("window",),
    )


FUNCTIONS: dict[str, Function] = {
    "count": Function(
        'count(event) or count(event, "30d")',
        'count(purchase, "30d")',
        most=2,
        takes_activity=True,
        is_number=True,
        names=("window",),
    ),
    "did": Function(
        'did(event) or did(event, "30d")',
        'did(purchase, "30d")',
        most=2,
        takes_activity=True,
        is_truth=True,
        names=("window",),
    ),
    "sum": _figure("sum"),
    "avg": _figure("avg"),
    "min": _figure("min"),
    "max": _figure("max"),
    "last": _end("last", figures.last),
    "first": _end("first", figures.first),
    "minutes_since": _since("minutes", MINUTE),
    "hours_since": _since("hours", HOUR),
    "days_since": _since("days", DAY),
    "distinct": Function(
        'distinct(event.property) or distinct(event.property, "7d")',
        'distinct(product_viewed.category, "7d")',
        figures.distinct,
        most=2,
        takes_activity=True,
        fields="needed",
        is_number=True,
        names=("window",),
    ),
    "score": Function(
        'score(event, half_life="7d") or score(event.property, half_life="7d")',
        'score(page_view, half_life="7d") > 5',
        figures.score,
        least=2,
        most=2,
        takes_activity=True,
        fields="either",
        is_number=True,
        names=("half_life",),
    ),
    "trend": Function(
        'trend(event, short="7d", long="28d") or trend(event.property, short="7d", long="28d")',
        'trend(page_view, short="7d", long="28d") < 0.5',
        figures.trend,
        least=3,
        most=3,
        takes_activity=True,
        fields="either",
        is_number=True,
        names=("short", "long"),
    ),
    "sequence": Function(
        'sequence(event, event, within="1h") or sequence(event, not event, within="1h", window="7d")',
        'sequence(product_viewed, not add_to_cart, within="1h")',
        figures.sequence,
        least=3,
        most=4,
        takes_activity=True,
        is_truth=True,
        names=("within", "window"),
    ),
    "lower": Function("lower(text)", 'lower(traits.country) == "de"', _lower),
    "contains": Function("contains(text, part)", 'contains(event.url, "/sale")', _contains, 2, 2, is_truth=True),
    "starts_with": Function(
        "starts_with(text, part)", 'starts_with(event.sku, "A-")', _starts_with, 2, 2, is_truth=True
    ),
    "ends_with": Function("ends_with(text, part)", 'ends_with(traits.email, ".edu")', _ends_with, 2, 2, is_truth=True),
    "matches": Function(
        "matches(text, pattern)", 'matches(event.sku, "^A-[0-9]+$")', _matches, 2, 2, is_truth=True, prepare=_matches
    ),
    "exists": Function("exists(value)", "exists(traits.email)", _exists, is_truth=True),
    "default": Function("default(value, otherwise)", "default(traits.visits, 0) > 3", _default, 2, 2),
}
