"""The words in which problems speak of a rule file's parts: what a form is called, what a value is, an example."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import inspect

from triggerfish.rulefile import format as forms

_NOUNS: dict[type, str] = {
    forms.FileForm: "a rule file",
    forms.ConditionForm: "a condition",
    forms.EventForm: "an event",
    forms.SegmentForm: "a segment",
    forms.ComputedForm: "a computed value",
    forms.ActionForm: "an action",
    forms.RuleForm: "a rule",
    forms.QuietForm: "quiet hours",
    forms.CapForm: "a cap",
    forms.PolicyForm: "the policy",
}

EXAMPLES = {
    "all": "all: [event.value > 200, count(purchase) >= 1]",
    "any": "any: [event.value > 200, count(purchase) >= 1]",
    "none": "none: [count(purchase) >= 1]",
    "name": "name: vip-cart",
    "on": "on: purchase",
    "then": "then: [{send: cart-reminder}]",
    "start": 'start: "21:00"',
    "end": 'end: "08:00"',
    "wait": "wait: 30 minutes",
    "cooldown": "cooldown: 7 days",
    "max_age": "max_age: 1 hour",
    "sends": "sends: 3",
    "within": "within: 7 days",
    "value": "value: event.total",
    "emit": "emit: reward_earned",
}


def noun(form: type) -> str:
    """What a form is called, with its article."""
    return _NOUNS.get(form) or f"a {form.__name__.removesuffix('Form').lower()}"


def choice(values: Iterable[object]) -> str:
    """`"first" or "all"`: texts in quotes, joined by or."""
    return _joined([f'"{value}"' for value in values])


def given(value: Any) -> str:
    """What a value is, for somebody who wrote something else than was expected."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
    return "a group of keys"


def expected(type_: inspect.Type) -> str:
    """What a type takes: `text or a list`."""
    options = type_.types if isinstance(type_, inspect.UnionType) else (type_,)
    words: list[str] = []
    for option in options:
        match option:
            case inspect.StrType():
                word = "text"
            case inspect.IntType():
                word = "a whole number"
            case inspect.FloatType():
                word = "a number"
            case inspect.BoolType():
                word = "true or false"
            case inspect.ListType():
                word = "a list"
            case inspect.DictType():
                word = "a group of keys"
            case inspect.StructType():
                word = noun(option.cls)
            case inspect.LiteralType():
                word = choice(option.values)
            case _:
                continue
        if word not in words:
            words.append(word)
    if "a number" in words and "a whole number" in words:
        words.remove("a whole number")
    return _joined(words)


def _joined(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
