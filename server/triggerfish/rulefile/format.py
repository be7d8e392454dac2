"""What a rule file may say: the shapes of its YAML, before names and conditions are looked at.

One file may hold events, a policy, segments, and at most one rule set; all files of `rules/` make one rulebook.
Durations are text ("30 minutes"). Docs: docs/rules.md.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

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


DEFINED_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]{0,63}(?!\n)$"
DefinedName = Annotated[str, Meta(pattern=DEFINED_PATTERN)]
DefinedList = Annotated[list[str | int | float | bool], Meta(min_length=1)]


class DefinitionForm(ConditionForm, frozen=True):
    """What a name stands for, if it is neither text nor number nor list: lists of conditions, or the list in a file."""

    file: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


PropertyType = Literal["text", "number", "boolean", "list", "object"]
FieldName = Annotated[str, Meta(min_length=1, max_length=512)]
OnViolation = Literal["reject", "quarantine", "warn"]
OnUnknown = Literal["allow", "warn", "quarantine", "reject"]


class PropertyForm(Form, frozen=True):
    """What a property or a trait is; `total: number` is short for `total: {type: number}`."""

    type: PropertyType | None = None
    required: bool = False
    allowed: Annotated[list[str | int | float | bool], Meta(min_length=1, max_length=1_000)] | None = None
    sensitivity: Literal["personal", "special"] | None = None
    purpose: str = ""
    description: str = ""


class EventForm(Form, frozen=True):
    """What a short name stands for: `purchase: {name: Order Completed}`, or just `purchase: Order Completed`.
    `properties` says what they are; `on_violation` what becomes of an event that breaks it, if not what `plan` says.
    """

    name: EventName
    properties: dict[FieldName, PropertyType | PropertyForm] = {}
    on_violation: OnViolation | None = None
    description: str = ""


class PlanForm(Form, frozen=True):
    """What becomes of events that break the tracking plan, and of what it does not know."""

    on_violation: OnViolation = "reject"
    traits: OnViolation | None = None
    unknown_events: OnUnknown = "allow"
    unknown_properties: OnUnknown = "allow"


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
    """Exactly one of send, set, emit, call, split; `at` and `within` go with send, `properties` with emit, `with` with
    call.
    """

    send: Name | None = None
    at: Literal["best_hour"] | None = None
    within: str | None = None
    set: dict[str, Scalar | ComputedForm] | None = None
    emit: EventName | None = None
    properties: dict[str, Scalar | ComputedForm] | None = None
    call: Name | None = None
    with_: dict[str, Scalar | ComputedForm] | None = field(default=None, name="with")
    split: SplitForm | None = None


class StepForm(ActionForm, frozen=True):
    """A step of a journey: what an action may be, or exactly one of wait, wait_until, branch, goal, exit."""

    name: Name | None = None
    wait: str | None = None
    wait_until: WaitUntilForm | None = None
    branch: Annotated[list[ArmForm], Meta(min_length=1)] | None = None
    goal: str | None = None
    exit: str | None = None


class StopForm(Form, frozen=True):
    """What ends a journey: an event, perhaps with a condition on it; or a condition alone."""

    on: EventName | Annotated[list[EventName], Meta(min_length=1)] | None = None
    when: str | ConditionForm | None = None


class WaitUntilForm(Form, frozen=True):
    """Wait for an event, for a condition, or for an event that meets one; `otherwise` is done when nothing came."""

    at_most: str
    on: EventName | Annotated[list[EventName], Meta(min_length=1)] | None = None
    when: str | ConditionForm | None = None
    otherwise: list[StepForm] = []


class ArmForm(Form, frozen=True):
    """One way of a branch; without `when` it is for everybody else, and stands last."""

    steps: list[StepForm]
    name: Name | None = None
    when: str | ConditionForm | None = None


class VariantForm(Form, frozen=True):
    """One variant of an experiment; without steps, those who get it get nothing."""

    name: Name
    weight: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    steps: list[StepForm] = []


class SplitForm(Form, frozen=True):
    """An experiment. `holdout` is the percentage of people who get none of the variants."""

    name: Name
    variants: Annotated[list[VariantForm], Meta(min_length=1)]
    holdout: Annotated[int, Meta(ge=0, le=99)] = 0


Stops = EventName | StopForm | Annotated[list[EventName | StopForm], Meta(min_length=1)] | None


class RuleForm(Form, frozen=True):
    """What happens to whom: `on` an event or by the calendar, `when` something holds, `then` do this, after a `wait`,
    `unless`… With `steps` instead of `then` it is a journey.
    """

    name: Name
    on: EventName | Annotated[list[EventName], Meta(min_length=1)]
    then: Annotated[list[ActionForm], Meta(min_length=1)] | None = None
    steps: Annotated[list[StepForm], Meta(min_length=1)] | None = None
    when: str | ConditionForm | None = None
    segment: Name | None = None
    time_zone: str | None = None
    before: str | None = None
    after: str | None = None
    at: str | None = None
    repeat: Literal["yearly", "monthly", "once"] | None = None
    wait: str | None = None
    unless: EventName | list[EventName] = []
    while_waiting: Literal["restart", "keep", "each"] = "restart"
    max_age: str | None = None
    cooldown: str | None = None
    once_per: str | None = None
    limit: LimitForm | Annotated[list[LimitForm], Meta(min_length=1)] | None = None
    group: Name | None = None
    losing: Literal["drop", "defer", "merge"] = "drop"
    defer_at_most: str = "1 day"
    purpose: Name | None = None
    class_: Literal["marketing", "transactional"] | None = field(default=None, name="class")
    channel: Name | None = None
    key: str | None = None
    again: str | None = None
    goal: Stops = None
    exit: Stops = None
    in_flight: Literal["follow", "pin"] | None = None
    priority: Priority = 0
    description: str = ""


class QuietForm(Form, frozen=True):
    """No marketing leaves between these local times ("21:00" to "08:00"); it is held until the end."""

    start: str
    end: str


Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class SendWindowForm(Form, frozen=True):
    """Marketing leaves between these local times ("09:00" to "20:00"), on these days; what comes outside is held."""

    from_: str = field(name="from")
    to: str
    days: Literal["weekdays", "weekend"] | Annotated[list[Weekday], Meta(min_length=1)] | None = None


class ArbitrationForm(Form, frozen=True):
    """Marketing messages to one person within `window` stand against one another, and `most` of them leave."""

    window: str
    most: Annotated[int, Meta(ge=1, le=100)] = 1


class LimitForm(Form, frozen=True):
    """At most `sends` of a rule's messages to one person within any window of this length."""

    sends: Annotated[int, Meta(ge=1, le=1000)]
    within: str


class CapForm(LimitForm, frozen=True):
    """At most `sends` marketing messages to one person within any window of this length: of all, or of those that meet
    whatever else is said.
    """

    channel: Name | None = None
    purpose: Name | None = None
    ruleset: Name | None = None
    group: Name | None = None


class PolicyForm(Form, frozen=True):
    """What holds for every rule: the default time zone, when marketing leaves, how much of it, and what comes first."""

    time_zone: str = "UTC"
    quiet_hours: QuietForm | None = None
    caps: list[CapForm] = []
    send_windows: list[SendWindowForm] = []
    arbitration: ArbitrationForm | None = None


LanguageTag = Annotated[str, Meta(pattern=r"^[a-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}(?!\n)$")]
Shown = Annotated[str, Meta(max_length=1_000)]


class PurposeForm(Form, frozen=True):
    """What people can consent to, as the preference page shows it. `title` and `description` are one text for all, or
    one for each language; `categories` are what a consent banner calls it.
    """

    title: Shown | Annotated[dict[LanguageTag, Shown], Meta(min_length=1)] = ""
    description: Shown | Annotated[dict[LanguageTag, Shown], Meta(min_length=1)] = ""
    consent: Literal["opt_out", "opt_in", "double_opt_in"] = "opt_out"
    gpc: bool = False
    categories: list[Annotated[str, Meta(min_length=1, max_length=200)]] = []


class FileForm(Form, frozen=True):
    """A file of rules/: any of define, events, traits, plan, purposes, policy, segments; and at most one rule set."""

    define: dict[DefinedName, str | int | float | DefinedList | DefinitionForm] = {}
    events: dict[Name, EventName | EventForm] = {}
    traits: dict[FieldName, PropertyType | PropertyForm] = {}
    plan: PlanForm | None = None
    purposes: Annotated[dict[Name, Shown | PurposeForm], Meta(max_length=100)] = {}
    policy: PolicyForm | None = None
    segments: list[SegmentForm] = []
    ruleset: Name | None = None
    description: str = ""
    priority: Priority = 0
    mode: Literal["first", "all"] = "all"
    max_age: str = "1 hour"
    cooldown: str | None = None
    rules: list[RuleForm] = []
