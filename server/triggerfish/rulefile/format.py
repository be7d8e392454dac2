"""What a rule file may say: the shapes of its YAML, before names and conditions are looked at.

One file may hold events, a policy, segments, and at most one rule set; all files of `rules/` make one rulebook.
Durations are text ("30 minutes"). Docs: docs/rules.md.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Scalar = str | int | float | bool | None
# A bare "$" would let a line break stand at the end.
NAME_PATTERN = r"^[A-Za-z0-9](?:[A-Za-z0-9 _.-]{0,62}[A-Za-z0-9_.-])?(?!\n)$"
Name = Annotated[str, Meta(pattern=NAME_PATTERN)]
EventName = Annotated[str, Meta(min_length=1, max_length=200)]
Priority = Annotated[int, Meta(ge=-1_000_000, le=1_000_000)]


class Form(Struct, frozen=True, forbid_unknown_fields=True):
    """Strict: an unknown key is a problem, never ignored."""


class ConditionForm(Form, frozen=True):
    """Lists of conditions; every key that is given must hold."""

    all: Annotated[list[str | ConditionForm], Meta(min_length=1)] | None = None
    any: Annotated[list[str | ConditionForm], Meta(min_length=1)] | None = None
    none: Annotated[list[str | ConditionForm], Meta(min_length=1)] | None = None


class EventForm(Form, frozen=True):
    """What a short name stands for: `purchase: {name: Order Completed}`, or just `purchase: Order Completed`.
    `properties` says of which types some of them are: an event that breaks it is refused at the door.
    """

    name: EventName
    properties: dict[str, Literal["text", "number", "boolean", "list", "object"]] = {}
    description: str = ""


class SegmentForm(Form, frozen=True):
    """A segment; its children need it. Without `when` it holds for everybody who is in its parent."""

    name: Name
    when: str | ConditionForm | None = None
    priority: Priority = 0
    exclusive: bool = False
    description: str = ""
    segments: list[SegmentForm] = []


class ComputedForm(Form, frozen=True):
    """A value worked out when the rule fires: `{value: event.total}`."""

    value: str


class ActionForm(Form, frozen=True):
    """Exactly one of send, set, emit; `properties` goes with emit."""

    send: Name | None = None
    set: dict[str, Scalar | ComputedForm] | None = None
    emit: EventName | None = None
    properties: dict[str, Scalar | ComputedForm] | None = None


class RuleForm(Form, frozen=True):
    """What happens to whom: `on` an event, `when` something holds, `then` do this, after a `wait`, `unless`…"""

    name: Name
    on: EventName | Annotated[list[EventName], Meta(min_length=1)]
    then: Annotated[list[ActionForm], Meta(min_length=1)]
    when: str | ConditionForm | None = None
    wait: str | None = None
    unless: EventName | list[EventName] = []
    while_waiting: Literal["restart", "keep", "each"] = "restart"
    cooldown: str | None = None
    priority: Priority = 0
    description: str = ""


class QuietForm(Form, frozen=True):
    """No marketing leaves between these local times ("21:00" to "08:00"); it is held until the end."""

    start: str
    end: str


class CapForm(Form, frozen=True):
    """At most `sends` marketing messages to one person within any window of this length."""

    sends: Annotated[int, Meta(ge=1, le=1000)]
    within: str


class PolicyForm(Form, frozen=True):
    """What holds for every rule: the default time zone, quiet hours, frequency caps."""

    time_zone: str = "UTC"
    quiet_hours: QuietForm | None = None
    caps: list[CapForm] = []


class FileForm(Form, frozen=True):
    """A file of rules/: any of events, policy and segments, and at most one rule set with its rules."""

    events: dict[Name, EventName | EventForm] = {}
    policy: PolicyForm | None = None
    segments: list[SegmentForm] = []
    ruleset: Name | None = None
    description: str = ""
    priority: Priority = 0
    mode: Literal["first", "all"] = "all"
    max_age: str = "1 hour"
    rules: list[RuleForm] = []
