"""What can be asked: a person, their timeline, sends, segments, results. The shapes are the HTTP API's answers.

Reads never wait for the worker and never make it wait. Times are RFC 3339 text in UTC.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec
from msgspec import Struct

from triggerfish.clock import Instant, say_duration
from triggerfish.consent import Purpose
from triggerfish.health import HoldView, Reign, RuleHealth
from triggerfish.log import Position
from triggerfish.measure import Results
from triggerfish.plan import Plan
from triggerfish.profile import Profile
from triggerfish.rules import Rule, Rulebook
from triggerfish.saying import say_rule
from triggerfish.schedule import Status
from triggerfish.segments import Segment
from triggerfish.steps import Action, Call, Emit, Send

LONGEST_PAGE = 1_000
"""Rows that one answer has at most, whatever the limit asked for."""
REASONS_OF = 10_000
"""So many of the newest messages that did not leave are asked for their reasons."""


class IdentityView(Struct, frozen=True):
    kind: str
    value: str


class ConsentView(Struct, frozen=True, omit_defaults=True):
    """A person's newest word about a purpose, and its proof (consent.py)."""

    is_given: bool
    at: str
    source: str
    text: str = ""
    by: str = ""
    page: str = ""
    ip: str = ""
    user_agent: str = ""
    is_confirmed: bool = False
    message_id: str = ""


class SuppressionView(Struct, frozen=True, omit_defaults=True):
    """A line of the suppression list. Without `purpose` it is about everything."""

    address: str
    reason: str
    at: str
    purpose: str = ""
    note: str = ""
    by: str = ""


class ProfileView(Struct, frozen=True):
    """A person as they are now. `segment` is the primary one of `segments`; `consent` their newest word about each
    purpose ("" is everything); `suppressed` is "hard bounce" or "complaint", of the address that they have.
    """

    id: str
    identities: list[IdentityView]
    traits: dict[str, Any]
    segments: list[str]
    segment: str | None
    updated_at: str
    consent: dict[str, ConsentView] = {}
    suppressed: str = ""


class Line(Struct, frozen=True, kw_only=True, tag_field="kind"):
    """A line of a timeline. `id` grows with time: pass the last line's as `before` to read on. `profile` is the id
    under which it happened, which may since have become part of another profile.
    """

    id: int
    at: str
    profile: str


class EventLine(Line, frozen=True, kw_only=True, tag="event"):
    """Something the person did, or that a rule emitted (`by`). `at` is when the log took it, `happened_at` event time.
    The content is there as long as the log keeps the event.
    """

    event: str
    happened_at: str | None = None
    message_id: str | None = None
    properties: dict[str, Any] = {}
    traits: dict[str, Any] = {}
    context: dict[str, Any] = {}
    send: str | None = None
    by: str | None = None


class SegmentLine(Line, frozen=True, kw_only=True, tag="segment"):
    segment: str
    change: Literal["entered", "left"]


class DecisionLine(Line, frozen=True, kw_only=True, tag="decision"):
    """What a rule made of an event: acted, waiting, skipped or stopped. `because` is the condition's tree with the
    values that it saw; `rulebook` the version of the rules. Of a journey also the `step`, and which `arm` of a branch
    or `variant` of an experiment it went.
    """

    outcome: str
    rule: str = ""
    event: str = ""
    reason: str = ""
    because: dict[str, Any] | None = None
    rulebook: str = ""
    step: str = ""
    arm: str = ""
    experiment: str = ""
    variant: str = ""

    @property
    def way(self) -> str:
        """Which way somebody went at a branch or in an experiment; else empty."""
        return f"{self.variant} of {self.experiment}" if self.variant else self.arm


class SendLine(Line, frozen=True, kw_only=True, tag="send"):
    """A message came to a new status."""

    send: str
    status: Status
    rule: str = ""
    template: str = ""
    reason: str = ""


class MergeLine(Line, frozen=True, kw_only=True, tag="merge"):
    """Another profile, `merged`, became part of this one."""

    merged: str
    because: str = ""


TimelineLine = EventLine | SegmentLine | DecisionLine | SendLine | MergeLine
Kind = Literal["event", "segment", "decision", "send", "merge"]


class HappenedView(Struct, frozen=True):
    """How often something happened to a person, and when last; of segments `segment.entered` and `segment.left`."""

    event: str
    count: int
    last_at: str


class SendView(Struct, frozen=True):
    id: str
    profile: str
    ruleset: str
    rule: str
    template: str
    channel: str
    status: Status
    reason: str
    due_at: str
    sent_at: str | None


class SendDetails(SendView, frozen=True, kw_only=True):
    """A send with what is known of it besides: the `address` that it was handed over for, the event that it answers,
    every change of its status and what was heard of it (newest first).
    """

    class_: str
    purpose: str
    address: str
    attempt: int
    event: str | None
    properties: dict[str, Any]
    history: list[TimelineLine]


class SegmentView(Struct, frozen=True):
    """A segment, how many people are in it, and the segments within it."""

    name: str
    count: int
    priority: int
    children: list[SegmentView] = []


class MemberView(Struct, frozen=True):
    profile: str
    since: str


class StatusView(Struct, frozen=True):
    """How the whole is doing. `lag` counts events that are stored and not decided yet; `decided_until` is the instant
    up to which waits and re-checks are done.
    """

    events: int
    lag: int
    decided_until: str
    profiles: int
    dead_letters: int
    sends: dict[str, int]


class ReasonView(Struct, frozen=True):
    """Why messages did not leave, of the newest REASONS_OF that did not. A value that was looked at is left out of the
    reason, so that alike ones add up.
    """

    status: Status
    reason: str
    count: int


class RuleView(Struct, frozen=True):
    """What a rule's messages came to: how many have which status, what was heard of those sent, and the most frequent
    reasons of those that did not leave.
    """

    ruleset: str
    rule: str
    sends: dict[str, int]
    results: Results
    reasons: list[ReasonView] = []


class DeadLetterView(Struct, frozen=True):
    """An event that could not be decided. `event` is its content as the log has it, if it still has."""

    position: Position
    at: str
    cause: str
    event: dict[str, Any] | None


class Noted(Struct, frozen=True):
    """A line of a timeline as it was written down. `position` is an event's place in the log, if it is there."""

    at: Instant
    profile: str
    kind: Kind
    position: Position
    body: dict[str, Any]


class Past(Struct, frozen=True):
    """All that is written down of a person, oldest first, and where it has led: what deciding again is held against.
    It is of one instant: decided up to `position` of the log and `until` of the agenda. `reigns` tell which rulebook
    decided from where on. `is_whole` is false when there are more lines than were asked for. `hours` are what
    everybody's opens weigh by hour now (hours.py); what they were at each decision is kept nowhere.
    """

    profile: Profile
    lines: list[Noted]
    position: Position
    until: Instant
    reigns: list[Reign]
    is_whole: bool
    hours: Sequence[int] = ()


class Reads(Protocol):
    """What the pages, the API and the command line ask. A `limit` beyond LONGEST_PAGE means LONGEST_PAGE."""

    def profile(self, identity: str) -> ProfileView:
        """The person who goes by this profile id (perhaps a former one), userId, anonymousId or email, in this order.

        A kind before a colon asks for that kind only: `email:ana@example.com`, `user:…`, `anonymous:…`, `profile:…`.
        Raises NotFound.
        """
        ...

    def stored(self, identity: str) -> Profile:
        """The same person as the engine sees them. Raises NotFound."""
        ...

    def timeline(
        self, identity: str, limit: int, before: int | None = None, kinds: Collection[Kind] = ()
    ) -> list[TimelineLine]:
        """A person's timeline, newest first, with that of the profiles that became part of theirs; of some `kinds` of
        lines, if given. Raises NotFound.
        """
        ...

    def past(self, identity: str, limit: int) -> Past:
        """A person's past, at most `limit` lines of it. Raises NotFound."""
        ...

    def happened(self, identity: str) -> list[HappenedView]:
        """What happened to a person, by name, at most LONGEST_PAGE names, the newest first. Raises NotFound."""
        ...

    def recent(self, limit: int) -> list[TimelineLine]:
        """The newest lines of everybody's timelines, newest first."""
        ...

    def sends(
        self,
        *,
        profile: str | None = None,
        status: Status | None = None,
        template: str | None = None,
        rule: str | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> list[SendView]:
        """Sends, the newest decision first; `before` is the id of a send, to read on from it. `rule` is a rule's name,
        or `rule set / rule`.

        Nobody's sends are none. Raises NotFound when `before` is no send.
        """
        ...

    def send(self, send_id: str) -> SendDetails:
        """One send. Raises NotFound."""
        ...

    def rulebook(self) -> RulebookOutline:
        """What is known of the live rulebook."""
        ...

    def suppressions(self, limit: int, after: str | None = None, address: str | None = None) -> list[SuppressionView]:
        """The suppression list by address and purpose; `after` is the last address read, or `address purpose`. Of one
        `address`: its lines, and those of its domain.
        """
        ...

    def segments(self) -> list[SegmentView]:
        """The rulebook's segments as a tree, each with its number of members."""
        ...

    def members(self, segment: str, limit: int, after: str | None = None) -> list[MemberView]:
        """A segment's members by profile id; `after` is the last one read. Raises NotFound for an unknown segment."""
        ...

    def status(self) -> StatusView: ...

    def results(self) -> list[RuleView]:
        """Every rule that decided about a message, by rule set and rule."""
        ...

    def health(self) -> list[RuleHealth]:
        """How the live rulebook's rules are doing, by rule set and rule in their order."""
        ...

    def holds(self) -> list[HoldView]:
        """The rules and rule sets whose messages are held, the oldest first."""
        ...

    def dead_letters(self, limit: int, before: Position | None = None) -> list[DeadLetterView]:
        """Events that were put aside, newest first."""
        ...

    def close(self) -> None: ...


# --- the rulebook, told to those who do not load it -------------------------------------------------------------------


class SegmentOutline(Struct, frozen=True):
    """A segment as written; the one of the lowest `rank` is the primary one."""

    name: str
    priority: int = 0
    rank: int = 0
    when: str = ""
    exclusive: bool = False
    description: str = ""
    children: list[SegmentOutline] = []


class RuleOutline(Struct, frozen=True):
    """`then` says the actions in order: `{"send": template}`, `{"set": [traits]}`, `{"emit": event}` or
    `{"call": action}`; of a journey, and of an experiment, all that it may do. `said` is the rule in plain words.
    """

    name: str
    on: list[str]
    then: list[dict[str, Any]]
    when: str = ""
    wait: str = ""
    unless: list[str] = []
    cooldown: str = ""
    priority: int = 0
    description: str = ""
    said: list[str] = []


class RuleSetOutline(Struct, frozen=True):
    name: str
    mode: str
    rules: list[RuleOutline]
    priority: int = 0
    description: str = ""


class RulebookOutline(Struct, frozen=True):
    """What is known of the live rulebook without loading it."""

    version: str = ""
    segments: list[SegmentOutline] = []
    rulesets: list[RuleSetOutline] = []
    short_names: dict[str, str] = {}
    plan: Plan = Plan()
    purposes: list[Purpose] = []


def outline(rulebook: Rulebook) -> RulebookOutline:
    """A rulebook's outline."""
    inside: dict[str | None, list[Segment]] = {}
    for segment in rulebook.segments.segments:
        inside.setdefault(segment.parent, []).append(segment)

    def below(parent: str | None) -> list[SegmentOutline]:
        return [
            SegmentOutline(
                each.name,
                each.priority,
                each.rank,
                "" if each.when is None else each.when.text,
                each.is_exclusive,
                each.description,
                below(each.name),
            )
            for each in inside.get(parent, ())
        ]

    rulesets = [
        RuleSetOutline(
            each.name, each.mode, [_rule(rule, rulebook) for rule in each.rules], each.priority, each.description
        )
        for each in rulebook.rulesets
    ]
    purposes = list(rulebook.policy.purposes.values())
    return RulebookOutline(rulebook.version, below(None), rulesets, rulebook.short_names, rulebook.plan, purposes)


def describe(rulebook: Rulebook) -> dict[str, Any]:
    """A rulebook's outline as plain data, for JSON."""
    data: dict[str, Any] = msgspec.to_builtins(outline(rulebook))
    return data


def _rule(rule: Rule, rulebook: Rulebook) -> RuleOutline:
    return RuleOutline(
        name=rule.name,
        on=list(rule.on) if rule.schedule is None else [rule.schedule.text],
        then=[_action(action) for action in rule.actions],
        when="" if rule.when is None else rule.when.text,
        wait=say_duration(rule.wait) if rule.wait else "",
        unless=sorted(rule.unless),
        cooldown=say_duration(rule.cooldown) if rule.cooldown else "",
        priority=rule.priority,
        description=rule.description,
        said=say_rule(rule, rulebook),
    )


def _action(action: Action) -> dict[str, Any]:
    if isinstance(action, Send):
        return {"send": action.template}
    if isinstance(action, Emit):
        return {"emit": action.event}
    if isinstance(action, Call):
        return {"call": action.action}
    return {"set": sorted(action.values)}


def primary_segment(known: RulebookOutline, names: Sequence[str]) -> str | None:
    """The one of these segments that speaks for the person, as `SegmentTree.primary` has it."""
    candidates = [each for each in _walk(known.segments) if each.name in names]
    return min(candidates, key=lambda each: each.rank).name if candidates else None


def has_segment(known: RulebookOutline, name: str) -> bool:
    return any(each.name == name for each in _walk(known.segments))


def with_counts(segments: Sequence[SegmentOutline], counts: Mapping[str, int]) -> list[SegmentView]:
    """The tree of segments with the number of members of each."""
    return [
        SegmentView(each.name, counts.get(each.name, 0), each.priority, with_counts(each.children, counts))
        for each in segments
    ]


def _walk(segments: Sequence[SegmentOutline]) -> Iterator[SegmentOutline]:
    for each in segments:
        yield each
        yield from _walk(each.children)
