"""The filters that templates may use: Liquid's own within bounds, and date and money as shops write them."""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import get_day_names, get_month_names
from babel.numbers import UnknownCurrencyError, format_currency, validate_currency
from liquid.exceptions import FilterArgumentError, ResourceLimitError

Filter = Callable[..., Any]

LONGEST_TEXT = 100_000
LONGEST_LIST = 10_000
LARGEST_NUMBER = 10**18

TAKES_MISSING = frozenset({"default", "size"})
"""Filters that say themselves what becomes of a missing value; all others pass it on, for a later default to catch."""

_REPLACING = frozenset({"replace", "replace_first", "replace_last"})
_DIRECTIVE = re.compile(r"%(-?)([A-Za-z%])|%.?")
_ZONED = "aAbBcdDeFgGhHIjklmMnNpPrRsStTuUVwWxXyYzZ"


def guarded(name: str, function: Filter, missing: type) -> Filter:
    """The filter, bounded: a missing value passes through; too large a text, list or number is refused beforehand."""

    @functools.wraps(function)
    def call(value: Any, *args: Any, **more: Any) -> Any:
        if type(value) is missing:
            return value
        if not (type(value) is str and len(value) <= LONGEST_TEXT):
            _check_size(value)
        for arg in args:
            if not (type(arg) is str and len(arg) <= LONGEST_TEXT):
                _check_size(arg)
        if name in _REPLACING and isinstance(value, str) and args:
            found = value.count(str(args[0])) if str(args[0]) else len(value) + 1
            if len(value) + found * len(str(args[1]) if len(args) > 1 else "") > LONGEST_TEXT:
                raise ResourceLimitError("a replacement would make too long a text", token=None)
        elif name == "join" and isinstance(value, list | tuple):
            length = sum(len(item) if isinstance(item, str) else 20 for item in value)
            if length + len(value) * len(str(args[0]) if args else " ") > LONGEST_TEXT:
                raise ResourceLimitError("a join would make too long a text", token=None)
        return function(value, *args, **more)

    return call


def _check_size(value: object) -> None:
    if isinstance(value, str):
        if len(value) > LONGEST_TEXT:
            raise ResourceLimitError(f"a text of more than {LONGEST_TEXT:,} characters", token=None)
    elif isinstance(value, list | tuple | dict):
        if len(value) > LONGEST_LIST:
            raise ResourceLimitError(f"a list of more than {LONGEST_LIST:,} items", token=None)
    elif isinstance(value, int | float | Decimal) and not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:
        raise ResourceLimitError("a number is too large", token=None)


def standard_filters(
    builtin: Mapping[str, Filter], *, is_html: bool, language: str, currency: str
) -> dict[str, Filter]:
    """Liquid's standard filters without those that undo escaping or read the clock, and ours.

    Plain text escapes nothing. Raises ValueError when there is no such language.
    """
    filters = {name: f for name, f in builtin.items() if name not in ("safe", "escapejs")}
    locale = str(locale_of(language))
    filters["date"] = functools.partial(format_date, locale=locale)
    filters["money"] = functools.partial(format_money, usual=currency, locale=locale)
    if not is_html:
        filters.update(escape=_as_text, escape_once=_unescaped, newline_to_br=_as_text)
    return filters


def locale_of(language: str) -> Locale:
    """The locale of a language tag such as "en" or "pt-BR". Raises ValueError when there is none."""
    try:
        return Locale.parse(language.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        raise ValueError(f'"{language}" is no language; write it like "en", "de" or "pt-BR"') from None


@functools.lru_cache(maxsize=512)
def is_currency(code: str) -> bool:
    """Whether this is a currency's code (ISO 4217), such as "EUR"."""
    try:
        validate_currency(code)
    except (UnknownCurrencyError, ValueError):
        return False
    return True


def format_money(value: object, code: object = None, *, usual: str, locale: str) -> str:
    """`49.9 | money` as "€49.90" (or "49,90 €": the template's language decides).

    The currency is the argument, if it is a currency's code, else the one of brand.yaml. Raises FilterArgumentError
    when the value is no number.
    """
    chosen = code.upper() if isinstance(code, str) and is_currency(code.upper()) else usual
    if type(value) is int or (type(value) is float and value):  # 0.0 and -0.0 are one key
        return _price(value, chosen, locale)
    return _any_price(value, chosen, locale)


def _any_price(value: object, code: str, locale: str) -> str:
    try:
        amount = Decimal(value.strip() if isinstance(value, str) else str(value))
        if isinstance(value, bool) or not amount.is_finite() or abs(amount) > LARGEST_NUMBER:
            raise InvalidOperation
    except InvalidOperation:
        raise FilterArgumentError(f'money needs a number, not "{str(value)[:40]}"', token=None) from None
    return _money(amount, code, locale)


_price = functools.lru_cache(maxsize=4_096, typed=True)(_any_price)


@functools.lru_cache(maxsize=4096)
def _money(amount: Decimal, code: str, language: str) -> str:
    return format_currency(amount, code, locale=language)


@functools.lru_cache(maxsize=64)
def _names(kind: str, language: str) -> tuple[str, ...]:
    """The names that one of the directives a, A, b, B stands for, Monday or January first."""
    width: Literal["wide", "abbreviated"] = "wide" if kind in "AB" else "abbreviated"
    found = get_day_names(width, locale=language) if kind in "aA" else get_month_names(width, locale=language)
    return tuple(str(found[at]) for at in sorted(found))


def format_date(value: object, form: object = "%-d %B %Y", zone: object = None, *, locale: str) -> str:
    """A date or time in strftime's directives, in `zone` ("Europe/Berlin") or UTC; names of days and months in the
    template's language. Takes ISO 8601 text, an aware datetime, or seconds since 1970 (milliseconds beyond 10^11).

    Raises FilterArgumentError when the value is no time or the form asks for something unknown.
    """
    when = _moment(value).astimezone(_zone(zone))
    if not isinstance(form, str) or len(form) > 100:
        raise FilterArgumentError("date needs a form like '%-d %B %Y'", token=None)

    def write(found: re.Match[str]) -> str:
        directive = found[2]
        if directive is None or (directive != "%" and directive not in _ZONED):
            raise FilterArgumentError(f'date does not know "{found[0]}"', token=None)
        if directive in "aA":
            return _names(directive, locale)[when.weekday()]
        if directive in "bBh":
            return _names("B" if directive == "B" else "b", locale)[when.month - 1]
        return when.strftime(found[0])

    return _DIRECTIVE.sub(write, form)


@functools.lru_cache(maxsize=256)
def _zone(name: object) -> ZoneInfo:
    """The time zone of this name, or UTC: a person's zone comes from outside and may be anything."""
    try:
        return ZoneInfo(name if isinstance(name, str) and name else "UTC")
    except (OSError, ValueError, LookupError):
        return ZoneInfo("UTC")


def _moment(value: object) -> datetime:
    try:
        if isinstance(value, datetime):
            return value if value.tzinfo else value.replace(tzinfo=UTC)
        if isinstance(value, date):
            return datetime(value.year, value.month, value.day, tzinfo=UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000 if abs(value) > 1e11 else value, UTC)
        found = datetime.fromisoformat(str(value).strip())
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        raise FilterArgumentError(f'date needs a time, not "{str(value)[:40]}"', token=None) from None


def _as_text(value: object) -> str:
    return str(value)


def _unescaped(value: object) -> str:
    return html.unescape(str(value))
