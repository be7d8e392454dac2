"""What a rule file may say: the shapes of its YAML, before names and conditions are looked at.

One file may hold events, a policy, segments, and at most one rule set; all files of `rules/` make one rulebook.
Durations are text ("30 minutes"). Docs: docs/rules.md.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Scalar = str | int | float | bool | None
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}$")]
Priority = Annotated[int, Meta(ge=-1_000_000, le=1_000_000)]


class Form(Struct, frozen=True, forbid_unknown_fields=True):
    """Strict: an unknown key is a problem, never ignored."""


class ConditionForm(Form):
    """Lists of conditions; every key that is given must hold."""

    all: list[str | ConditionForm] | None = None
    any: list[str | ConditionForm] | None = None
    none: list[str | ConditionForm] | None = None


class EventForm(Form):
    """What a short name stands for: `purchase: {name: Order Completed}`, or just `purchase: Order Completed`."""

    name: str
    description: str = ""


class SegmentForm(Form):
    """A segment; its children need it. Without `when` it holds for everybody who is in its parent."""

    name: Name
    when: str | ConditionForm | None = None
    priority: Priority = 0
    exclusive: bool = False
    description: str = ""
    segments: list[SegmentForm] = []


class ComputedForm(Form):
    """A value worked out when the rule fires: `{value: event.total}`."""

    value: str


class ActionForm(Form):
    """Exactly one of send, set, emit; `properties` goes with emit."""

    send: Name | None = None
    set: dict[str, Scalar | ComputedForm] | None = None
    emit: str | None = None
    properties: dict[str, Scalar | ComputedForm] | None = None


class RuleForm(Form):
    name: Name
    on: str | list[str]
    then: list[ActionForm]
    when: str | ConditionForm | None = None
    wait: str | None = None
    unless: str | list[str] = []
    while_waiting: Literal["restart", "keep", "each"] = "restart"
    cooldown: str | None = None
    priority: Priority = 0
    description: str = ""


class QuietForm(Form):
    """No marketing leaves between these local times ("21:00" to "08:00"); it is held until the end."""

    start: str
    end: str


class CapForm(Form):
    """At most `sends` marketing messages to one person within any window of this length."""

    sends: Annotated[int, Meta(ge=1, le=1000)]
    within: str


class PolicyForm(Form):
    """What holds for every rule: the default time zone, quiet hours, frequency caps."""

    time_zone: str = "UTC"
    quiet_hours: QuietForm | None = None
    caps: list[CapForm] = []


class FileForm(Form):
    events: dict[Name, str | EventForm] = {}
    policy: PolicyForm | None = None
    segments: list[SegmentForm] = []
    ruleset: Name | None = None
    description: str = ""
    priority: Priority = 0
    mode: Literal["first", "all"] = "all"
    max_age: str = "1 hour"
    rules: list[RuleForm] = []
