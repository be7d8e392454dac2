"""The functions of the condition language: one table, which docs/rules.md repeats and a test compares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import re2
from msgspec import Struct

from triggerfish import conditions
from triggerfish.activity import Activity
from triggerfish.clock import DAY, HOUR, MINUTE, Millis
from triggerfish.conditions import View

PATTERN_LIMIT = 500


class Function(Struct, frozen=True):
    """How a function is written and what works it out.

    Those that take an activity are called with (view, activity[, unit or name]); the others with plain values.
    `prepare` makes the function from its second argument once, when the rule is compiled.
    """

    usage: str
    example: str
    of: Callable[..., Any]
    least: int = 1
    most: int = 1
    takes_activity: bool = False
    needs_field: bool = False
    takes_name: bool = False
    is_truth: bool = False
    unit: Millis = 0
    prepare: Callable[[Any], Callable[[Any], bool]] | None = None


def _lower(value: Any) -> Any:
    return value.lower() if type(value) is str else None


def _contains(value: Any, part: Any) -> bool:
    if type(value) is str:
        return type(part) is str and part in value
    return conditions.among(part, value) if type(value) is list else False


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


def _did(view: View, activity: Activity) -> bool:
    return conditions.count(view, activity) > 0


def _since(unit: str, length: Millis) -> Function:
    return Function(
        f"{unit}_since(event)", f"{unit}_since(purchase) > 30", conditions.since, takes_activity=True, unit=length
    )


def _figure(name: str) -> Function:
    return Function(
        f'{name}(event.property) or {name}(event.property, "90d")',
        f'{name}(purchase.total, "90d")',
        conditions.figures,
        most=2,
        takes_activity=True,
        needs_field=True,
        takes_name=True,
    )


def _end(name: str, of: Callable[..., Any]) -> Function:
    return Function(
        f"{name}(event.property)", f"{name}(purchase.total)", of, most=2, takes_activity=True, needs_field=True
    )


FUNCTIONS: dict[str, Function] = {
    "count": Function(
        'count(event) or count(event, "30d")', 'count(purchase, "30d")', conditions.count, most=2, takes_activity=True
    ),
    "did": Function(
        'did(event) or did(event, "30d")', 'did(purchase, "30d")', _did, most=2, takes_activity=True, is_truth=True
    ),
    "sum": _figure("sum"),
    "avg": _figure("avg"),
    "min": _figure("min"),
    "max": _figure("max"),
    "last": _end("last", conditions.last),
    "first": _end("first", conditions.first),
    "minutes_since": _since("minutes", MINUTE),
    "hours_since": _since("hours", HOUR),
    "days_since": _since("days", DAY),
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
