"""Room 1, its second look. The tracking plan: what `rules/` says that events and traits are.

An event that breaks it is refused, put aside (quarantine.py) or taken with a note, as the plan says. So no rule looks
in silence at a price that came as text. What the plan does not speak of may be anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import msgspec
from msgspec import Struct

from triggerfish.errors import Refused
from triggerfish.ingest import Event

Type = Literal["text", "number", "boolean", "list", "object"]
OnViolation = Literal["reject", "quarantine", "warn"]
OnUnknown = Literal["allow", "warn", "quarantine", "reject"]
Sensitivity = Literal["", "personal", "special"]
What = Literal["type", "missing", "not allowed", "unknown event", "unknown property", "unknown trait"]

SHOWN = 80
"""Characters of a value that a violation shows at most."""

TYPES: Mapping[str, tuple[type, ...]] = {
    "text": (str,),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list,),
    "object": (dict,),
}


class Field(Struct, frozen=True, omit_defaults=True):
    """What the plan says of a property or a trait.

    Without a `type` it may be of any; `allowed` holds the only values that it (or each item of a list) may have, if
    there are any.
    """

    type: Type | None = None
    required: bool = False
    allowed: tuple[str | int | float | bool, ...] = ()
    sensitivity: Sensitivity = ""
    purpose: str = ""
    description: str = ""


class PlannedEvent(Struct, frozen=True, omit_defaults=True):
    """An event that is planned, if only by a short name."""

    properties: dict[str, Field] = {}
    on_violation: OnViolation = "reject"


class Plan(Struct, frozen=True, omit_defaults=True):
    """The whole tracking plan; `events` by their own names. Unknown are: an event without an entry, another property of
    an event whose properties are planned, another trait where traits are planned.
    """

    events: dict[str, PlannedEvent] = {}
    traits: dict[str, Field] = {}
    on_trait_violation: OnViolation = "reject"
    unknown_events: OnUnknown = "allow"
    unknown_properties: OnUnknown = "allow"


class Violation(Struct, frozen=True):
    """How an event breaks the plan. `field` is a path in the event (`properties.total`), empty for the event itself;
    `given` is of what kind the value is, `shown` what may be shown of it.
    """

    event: str
    field: str
    what: What
    action: OnViolation
    expected: str = ""
    given: str = ""
    shown: str = ""

    @property
    def sentence(self) -> str:
        name = self.field.partition(".")[2]
        match self.what:
            case "type":
                return f'"{name}" of "{self.event}" is {self.given}, and {self.expected} is expected'
            case "missing":
                return f'"{name}" of "{self.event}" is missing'
            case "not allowed":
                return f'"{name}" of "{self.event}" is {self.shown}, which is none of the allowed values'
            case "unknown event":
                return f'no event "{self.event}" is planned'
            case _:
                kind = "property" if self.what == "unknown property" else "trait"
                return f'no {kind} "{name}" of "{self.event}" is planned'

    def refusal(self, place: str) -> Refused:
        """As the door says it; `place` is the event's path in the body, such as `batch[3].`."""
        return Refused(
            self.sentence,
            code="TF117" if self.what == "type" else "TF118",
            field=place + (self.field or "event"),
            expected=self.expected,
            hint="the tracking plan in rules/ says so",
        )


class Sifted(Struct, frozen=True):
    """A request's events, sorted: `taken`, and `aside` with what they break. `violations` are all that count, each with
    its message id; with a `refusal`, nothing is to be stored, and they are those for which.
    """

    taken: Sequence[Event]
    aside: Sequence[tuple[Event, Sequence[Violation]]] = ()
    violations: Sequence[tuple[str, Violation]] = ()
    refusal: Refused | None = None


_Check = Callable[[Mapping[str, Any], list[Violation]], None]


class Checks:
    """A plan made ready to look at events: what can be worked out once, is."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._events = {name: _check_of_event(name, event, plan) for name, event in plan.events.items()}
        self._traits = _check_of_traits(plan) if plan.traits else None
        self._minds_unknown = plan.unknown_events != "allow"
        self._is_idle = not self._minds_unknown and self._traits is None and not any(self._events.values())

    def look(self, event: Event) -> Sequence[Violation]:
        """All that is wrong with one event by the plan."""
        if self._is_idle:
            return ()
        found: list[Violation] = []
        check = self._events.get(event.name)
        if check is not None:
            check(event.properties, found)
        elif self._minds_unknown and event.kind == "track" and event.name not in self._events:
            found.append(Violation(event.name, "", "unknown event", _action(self._plan.unknown_events)))
        if event.traits and self._traits is not None and event.kind == "identify":
            self._traits(event.traits, found)
        return found

    def sift(self, events: Sequence[Event], *, is_batch: bool) -> Sifted:
        """Sort a request's events. An event with several violations meets the gravest one's end."""
        if self._is_idle:
            return Sifted(events)
        taken: list[Event] = []
        aside: list[tuple[Event, Sequence[Violation]]] = []
        violations: list[tuple[str, Violation]] = []
        for place, event in enumerate(events):
            found = self.look(event)
            if not found:
                taken.append(event)
                continue
            actions = {violation.action for violation in found}
            if "reject" in actions:
                refused = [violation for violation in found if violation.action == "reject"]
                counted = [(event.message_id, violation) for violation in refused]
                return Sifted((), (), counted, refused[0].refusal(f"batch[{place}]." if is_batch else ""))
            violations += [(event.message_id, violation) for violation in found]
            if "quarantine" in actions:
                aside.append((event, found))
            else:
                taken.append(event)
        return Sifted(taken, aside, violations)


class LivePlan:
    """The checks of the plan that `plan` gives, made anew when that is another one."""

    def __init__(self, plan: Callable[[], Plan]) -> None:
        self._of = plan
        self._plan = Plan()
        self._checks = Checks(self._plan)

    def __call__(self) -> Checks:
        plan = self._of()
        if plan is not self._plan:
            self._plan, self._checks = plan, Checks(plan)
        return self._checks


def _check_of_event(name: str, event: PlannedEvent, plan: Plan) -> _Check | None:
    if not event.properties:
        return None
    unknown = plan.unknown_properties
    return _check_of(name, "properties.", event.properties, event.on_violation, "unknown property", unknown)


def _check_of_traits(plan: Plan) -> _Check:
    unknown = plan.unknown_properties
    return _check_of("identify", "traits.", plan.traits, plan.on_trait_violation, "unknown trait", unknown)


def _check_of(
    event: str, before: str, fields: Mapping[str, Field], action: OnViolation, unknown: What, on_unknown: OnUnknown
) -> _Check:
    """A function that adds what is wrong with properties or traits to a list. Null is missing."""
    known = {name: (*_kinds_of(field), field) for name, field in fields.items()}
    required = [(name, field) for name, field in fields.items() if field.required]

    def check(values: Mapping[str, Any], found: list[Violation]) -> None:
        for name, field in required:
            if values.get(name) is None:
                found.append(Violation(event, before + name, "missing", action, _expected(field)))
        for name, value in values.items():
            planned = known.get(name)
            if planned is None:
                if on_unknown != "allow":
                    given = type_of(value)
                    found.append(Violation(event, before + name, unknown, _action(on_unknown), "", given, given))
                continue
            if value is None:
                continue
            types, allowed, field = planned
            if type(value) in types and (allowed is None or _is_allowed(value, allowed)):
                continue
            what: What = "not allowed" if type(value) in types else "type"
            shown = _shown(name, field, value)
            found.append(Violation(event, before + name, what, action, _expected(field), type_of(value), shown))

    return check


def _kinds_of(field: Field) -> tuple[tuple[type, ...], frozenset[Any] | None]:
    """The Python types that a field takes, and the values as (is boolean, value), if only some are allowed."""
    every = tuple(kind for kinds in TYPES.values() for kind in kinds)
    if not field.allowed:
        return TYPES[field.type] if field.type else every, None
    allowed = frozenset((type(value) is bool, value) for value in field.allowed)
    of_values = {word for word, kinds in TYPES.items() for value in field.allowed if type(value) in kinds}
    return TYPES[field.type] if field.type else tuple(kind for word in of_values for kind in TYPES[word]), allowed


def _is_allowed(value: Any, allowed: frozenset[Any]) -> bool:
    """A list's items must all be allowed; what cannot be compared is not."""
    if type(value) is list:
        return all(type(item) not in (list, dict) and _is_allowed(item, allowed) for item in value)
    return type(value) is not dict and (type(value) is bool, value) in allowed


def _action(on_unknown: OnUnknown) -> OnViolation:
    return "warn" if on_unknown == "allow" else on_unknown


def _expected(field: Field) -> str:
    what = article(field.type) if field.type else "a value"
    if not field.allowed:
        return what
    said = ", ".join(msgspec.json.encode(value).decode() for value in field.allowed[:10])
    return f"{what} out of {said}{' and others' if len(field.allowed) > 10 else ''}"


def type_of(value: Any) -> str:
    """What a value is, with an article: `text`, `a number`."""
    return next((article(word) for word, types in TYPES.items() if type(value) in types), "something else")


def article(word: str) -> str:
    return f"an {word}" if word == "object" else word if word == "text" else f"a {word}"


def _shown(name: str, field: Field, value: Any) -> str:
    """A value as it may be told: not when it is personal, and never whole when it is long."""
    if field.sensitivity or looks_personal(name):
        return f"{type_of(value)} that is not shown ({field.sensitivity or 'personal'})"
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_PERSONAL = frozenset(
    {"email", "mail", "phone", "telephone", "mobile", "fax", "firstname", "lastname", "surname", "fullname", "nickname",
     "username", "address", "street", "zip", "postcode", "postal", "ip", "birthday", "birthdate", "birth", "dob",
     "passport", "ssn", "iban", "bic", "card", "latitude", "longitude", "lat", "lon", "lng"}
)  # fmt: skip
_PERSONAL_PAIRS = frozenset(
    {("first", "name"), ("last", "name"), ("full", "name"), ("middle", "name"), ("family", "name"), ("given", "name"),
     ("user", "name"), ("house", "number"), ("tax", "id"), ("device", "id"), ("e", "mail")}
)  # fmt: skip


def looks_personal(name: str) -> bool:
    """Whether a property or trait of this name most likely says who somebody is: `email`, `shippingAddress`, …"""
    words = [word.lower() for word in _WORDS.findall(name)]
    return any(word in _PERSONAL for word in words) or any(pair in _PERSONAL_PAIRS for pair in pairwise(words))
