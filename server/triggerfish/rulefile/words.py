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
    "name": "name: vip",
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


DESCRIPTIONS = {
    "file.events": "Short names for events: on the left what rules say, on the right what the shop or app sends.",
    "file.policy": "What holds for every marketing message. A rulebook has one policy.",
    "file.segments": "Groups of people that rules and conditions can name.",
    "file.ruleset": "The name of this file's rule set.",
    "file.description": "What this file is for, for people.",
    "file.priority": "Among rule sets that want the same person's attention, the higher one comes first.",
    "file.mode": "first: only the highest-priority rule that matches fires. all: every one that matches does.",
    "file.max_age": "An event older than this when it arrives sends nothing; it still updates the profile.",
    "file.rules": "What happens to whom, and when.",
    "condition.all": "Every one of these conditions must hold.",
    "condition.any": "At least one of these conditions must hold.",
    "condition.none": "None of these conditions may hold.",
    "event.name": "The event's own name, as the shop or app sends it.",
    "event.properties": "Of which types some of its properties are; an event that breaks it is refused at the door.",
    "event.description": "What the event means, for people.",
    "segment.name": "The segment's name; no other segment has it.",
    "segment.when": "Who is in it: a condition, or lists of conditions under all, any and none.",
    "segment.priority": "Of the segments that a person is in, the one with the highest priority is the primary one.",
    "segment.exclusive": "A person is in one of its children at a time.",
    "segment.description": "What the segment is for, for people.",
    "segment.segments": "Its children: whoever is in one of them is also in this one.",
    "computed.value": "What to work out when the rule fires, as in a condition: event.total",
    "action.send": "The template to send.",
    "action.set": "Traits to set on the profile: each to a text, a number, true, false, null, or {value: event.total}.",
    "action.emit": "The name of an event that happens to the person now.",
    "action.properties": "The properties of the event that is emitted.",
    "rule.name": "The rule's name; no other rule of this rule set has it.",
    "rule.on": "The event, or list of events, that wakes the rule; segment.entered and segment.left are events, too.",
    "rule.when": "What must hold then, and still when a wait is over: a condition, or lists of them.",
    "rule.wait": 'How long to wait before anything is done, like "30 minutes".',
    "rule.unless": "The event, or list of events, that cancels the rule when it happens during the wait.",
    "rule.while_waiting": "If it is woken again during its wait: restart the wait, keep the first, or wait for each.",
    "rule.cooldown": 'For this long after the rule fired for a person, it does not fire for them again, like "7 days".',
    "rule.priority": "Within the rule set, the higher rule comes first.",
    "rule.description": "What the rule is for, for people.",
    "rule.then": "What is done, in order.",
    "quiet.start": 'When quiet hours begin, in the person\'s own time zone, like "21:00".',
    "quiet.end": 'When they end, like "08:00"; before `start`, it is the next morning.',
    "cap.sends": "At most so many marketing messages to one person …",
    "cap.within": '… within any window of this length, like "7 days".',
    "policy.time_zone": 'The time zone of people whose own is not known, like "Europe/Berlin".',
    "policy.quiet_hours": "When no marketing message leaves; it is held until they end.",
    "policy.caps": "How many marketing messages one person gets at most.",
}
"""What each key means, for editors (`triggerfish schema`) and docs. A test holds the list to format.py."""


def noun_of(name: str) -> str:
    """What the form of this class name is called, without its article: "RuleForm" is a "rule"."""
    return noun(getattr(forms, name)).removeprefix("a ").removeprefix("an ").removeprefix("the ")


def noun(form: type) -> str:
    """What a form is called, with its article; forms of other kinds of files say it themselves (`NOUN`)."""
    return _NOUNS.get(form) or str(getattr(form, "NOUN", "")) or f"a {form.__name__.removesuffix('Form').lower()}"


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
