"""The words in which problems speak of a rule file's parts: what a form is called, what a value is, an example."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import inspect

from triggerfish.rulefile import format as forms

_NOUNS: dict[type, str] = {
    forms.FileForm: "a rule file",
    forms.ConditionForm: "a condition",
    forms.DefinitionForm: "a definition",
    forms.EventForm: "an event",
    forms.PropertyForm: "a property",
    forms.PlanForm: "the plan",
    forms.SegmentForm: "a segment",
    forms.ComputedForm: "a computed value",
    forms.ActionForm: "an action",
    forms.RuleForm: "a rule",
    forms.StepForm: "a step",
    forms.StopForm: "a goal or exit",
    forms.WaitUntilForm: "a wait_until",
    forms.ArmForm: "an arm",
    forms.VariantForm: "a variant",
    forms.SplitForm: "a split",
    forms.QuietForm: "quiet hours",
    forms.SendWindowForm: "a send window",
    forms.ArbitrationForm: "arbitration",
    forms.LimitForm: "a limit",
    forms.CapForm: "a cap",
    forms.PolicyForm: "the policy",
    forms.PurposeForm: "a purpose",
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
    "window": "window: 5 minutes",
    "from": 'from: "09:00"',
    "to": 'to: "20:00"',
    "cooldown": "cooldown: 7 days",
    "max_age": "max_age: 1 hour",
    "sends": "sends: 3",
    "within": "within: 7 days",
    "value": "value: event.total",
    "emit": "emit: reward_earned",
    "steps": "steps: [{send: welcome}, {wait: 2 days}, {send: tips}]",
    "at_most": "at_most: 3 days",
    "before": "before: 3 days",
    "after": "after: 3 days",
    "again": "again: after 30 days",
    "variants": "variants: [{name: a, steps: [{send: offer}]}, {name: b}]",
    "weight": "weight: 1",
    "holdout": "holdout: 10",
}


DESCRIPTIONS = {
    "file.define": "Names for conditions, values and lists, which conditions of all files then use.",
    "file.events": "Short names for events: on the left what rules say, on the right what the shop or app sends.",
    "file.traits": "The traits that people may have, each with its type or more: country: text",
    "file.plan": "What becomes of events that break the tracking plan. A rulebook has one.",
    "file.purposes": "What people can consent to, or opt out of: newsletter: Our newsletter, or more about it.",
    "file.policy": "What holds for every marketing message. A rulebook has one policy.",
    "file.segments": "Groups of people that rules and conditions can name.",
    "file.ruleset": "The name of this file's rule set.",
    "file.description": "What this file is for, for people.",
    "file.priority": "Among rule sets that want the same person's attention, the higher one comes first.",
    "file.mode": "first: only the highest-priority rule that matches fires. all: every one that matches does.",
    "file.max_age": "An event older than this when it arrives sends nothing; it still updates the profile.",
    "file.cooldown": 'Messages of this rule set to one person are at least so far apart, like "3 days".',
    "file.rules": "What happens to whom, and when.",
    "condition.all": "Every one of these conditions must hold.",
    "condition.any": "At least one of these conditions must hold.",
    "condition.none": "None of these conditions may hold.",
    "definition.all": "Every one of these conditions must hold.",
    "definition.any": "At least one of these conditions must hold.",
    "definition.none": "None of these conditions may hold.",
    "definition.file": "A list, one item a line, in a .txt file beside this one: blocked.txt",
    "event.name": "The event's own name, as the shop or app sends it.",
    "event.properties": "What its properties are, each with its type or more: total: number",
    "event.on_violation": "What becomes of such an event that breaks this: refused, put aside, or taken with a note.",
    "event.description": "What the event means, for people.",
    "property.type": "text, number, boolean, list or object. Of null, and of nothing, nothing is asked.",
    "property.required": "true: it must be there. A trait: in every identify call that brings traits.",
    "property.allowed": "The only values that it may have; of a list, that its items may have.",
    "property.sensitivity": "personal: it says who somebody is. special: health, belief and the like. Never shown.",
    "property.purpose": "What it is collected for.",
    "property.description": "What it means, for people.",
    "plan.on_violation": "What becomes of an event that breaks the plan: reject (if not said), quarantine or warn.",
    "plan.traits": "The same for identify calls whose traits break the plan; as on_violation, if not said.",
    "plan.unknown_events": "What becomes of track calls whose event is not planned: allow, if not said.",
    "plan.unknown_properties": "The same for properties and traits that are not planned, where others are.",
    "segment.name": "The segment's name; no other segment has it.",
    "segment.when": "Who is in it: a condition, or lists of conditions under all, any and none.",
    "segment.priority": "Of the segments that a person is in, the one with the highest priority is the primary one.",
    "segment.exclusive": "A person is in one of its children at a time.",
    "segment.description": "What the segment is for, for people.",
    "segment.segments": "Its children: whoever is in one of them is also in this one.",
    "computed.value": "What to work out when the rule fires, as in a condition: event.total",
    "action.send": "The template to send.",
    "action.at": "best_hour: the message waits for the hour at which the person opens and clicks most.",
    "action.within": 'How long it waits for that hour at most, like "24 hours".',
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
    "rule.steps": "What is done over time instead of `then`: a journey that people enter, are inside of, and leave.",
    "rule.segment": "With a schedule: whom it is for.",
    "rule.time_zone": 'With a schedule: the time zone of its hour, like "Europe/Berlin"; if not said, each person\'s.',
    "rule.before": 'With a date: as many days before it, like "3 days".',
    "rule.after": 'With a date: as many days after it, like "3 days".',
    "rule.at": 'With a date: the local time of day, like "09:00".',
    "rule.repeat": "With a date: yearly (if not said), monthly or once.",
    "rule.max_age": "An event older than this when it arrives does not wake this rule; else the rule set's holds.",
    "rule.once_per": "One message a day, week, month or year, or ever; or for each value, such as event.order_id.",
    "rule.limit": "At most so many of this rule's messages to one person within some time; one limit, or a list.",
    "rule.group": "Its messages and those of the group's other rules shut one another out; caps can name the group.",
    "rule.losing": "What becomes of its message when others come first: drop (if not said), defer, or merge.",
    "rule.defer_at_most": 'With losing: defer, how long it stands back at most; "1 day" if not said.',
    "rule.purpose": "The purpose of its messages, instead of their templates' own.",
    "rule.channel": "What its messages leave over, instead of [delivery] channel: one that triggerfish.toml names.",
    "rule.class": "marketing or transactional, instead of their templates' own.",
    "rule.key": "Of a journey: a person may be inside once for each value of this, such as event.order_id.",
    "rule.again": 'Of a journey: whether somebody may enter once more: always (if not said), once, or "after 30 days".',
    "rule.goal": "Of a journey: the event, or condition, at which a person has what it is for. It ends at once.",
    "rule.exit": "Of a journey: the event, or condition, at which a person leaves it at once.",
    "rule.in_flight": "What an edit means for people inside: follow the new steps (if not said), or pin to the old.",
    "action.call": "The plugin's action to carry out.",
    "action.with": "The values that the plugin's action is given.",
    "action.split": "An experiment: each person gets one of its variants, and always the same.",
    "step.send": "The template to send. The journey goes on when the message has left, or may not leave at all.",
    "step.at": "best_hour: the message waits for the hour at which the person opens and clicks most.",
    "step.within": 'How long it waits for that hour at most, like "24 hours".',
    "step.set": "Traits to set on the profile.",
    "step.emit": "The name of an event that happens to the person now.",
    "step.properties": "The properties of the event that is emitted.",
    "step.call": "The plugin's action to carry out.",
    "step.with": "The values that the plugin's action is given.",
    "step.split": "An experiment: each person gets one of its variants, and always the same.",
    "step.name": "The step's name: people who are at it are found again after an edit.",
    "step.wait": 'How long to wait, like "2 days", or until when: "until 09:00", "until monday 09:00".',
    "step.wait_until": "Wait until something happens or holds, at most some time.",
    "step.branch": "Several ways, of which each person goes the first one that holds for them.",
    "step.goal": "The journey ends here as a success, which is called this.",
    "step.exit": "The journey ends here, for this reason.",
    "stop.on": "The event, or list of events.",
    "stop.when": "With an event: what must hold of it. Alone: what must come to hold.",
    "waituntil.on": "The event, or list of events, that is waited for.",
    "waituntil.when": "With an event: what must hold of it. Alone: what must come to hold.",
    "waituntil.at_most": 'How long to wait at most, like "3 days".',
    "waituntil.otherwise": "Steps for those to whom nothing came in time; then the journey goes on.",
    "arm.name": "The arm's name, for people.",
    "arm.when": "Who goes this way. Without it: everybody else.",
    "arm.steps": "What is done on this way; then the journey goes on behind the branch.",
    "variant.name": "The variant's name.",
    "variant.weight": "How large its share is, next to the other variants' weights.",
    "variant.steps": "What is done for those who get it. Without steps, they get nothing: a control group.",
    "split.name": "The experiment's name; no other experiment has it, since people are assigned by it.",
    "split.variants": "What people get, each one of these.",
    "split.holdout": "Of 100 people, so many get none of the variants.",
    "purpose.title": "What people see of it on the preference page: one text, or one for each language: {en: News}.",
    "purpose.description": "A sentence more about it, for the same page.",
    "purpose.consent": "opt_out: whoever does not object. opt_in: who said yes. double_opt_in: and confirmed by mail.",
    "purpose.gpc": "true: a browser's Global Privacy Control counts as an opt-out.",
    "purpose.categories": "What a consent banner calls it: the categories of context.consent that mean this purpose.",
    "quiet.start": 'When quiet hours begin, in the person\'s own time zone, like "21:00".',
    "quiet.end": 'When they end, like "08:00"; before `start`, it is the next morning.',
    "limit.sends": "At most so many of the rule's messages to one person …",
    "limit.within": '… within any window of this length, like "7 days".',
    "cap.sends": "At most so many marketing messages to one person …",
    "cap.within": '… within any window of this length, like "7 days".',
    "cap.channel": "Only messages that leave over this channel are counted and held back.",
    "cap.purpose": "Only messages of this purpose are counted and held back.",
    "cap.ruleset": "Only messages of this rule set are counted and held back.",
    "cap.group": "Only messages of rules of this group are counted and held back.",
    "policy.time_zone": 'The time zone of people whose own is not known, like "Europe/Berlin".',
    "policy.quiet_hours": "When no marketing message leaves; it is held until they end.",
    "policy.caps": "How many marketing messages one person gets at most.",
    "policy.send_windows": "When marketing may leave, by the person's own clock; what comes outside is held.",
    "policy.arbitration": "Marketing messages that want to leave at nearly one time stand against one another.",
    "sendwindow.from": 'When it opens, in the person\'s own time zone, like "09:00".',
    "sendwindow.to": 'When it closes, like "20:00"; if not later than `from`, on the next day.',
    "sendwindow.days": "On which days it opens: weekdays, weekend or a list of days; if not said, every day.",
    "arbitration.window": 'How long the first message waits for others, like "5 minutes".',
    "arbitration.most": "How many of them leave: 1 if not said.",
}
"""What each key means, for editors (`triggerfish schema`) and docs. A test holds the list to format.py."""


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
