"""Playing the log again: what would have come of people's events under a rulebook, on a virtual clock.

A circle is a set of people who may turn out to be one another (circles.py); nobody else's events matter to them. So it
is played alone, by the production engine (`decide`), from its first event to the end of the period. What is due leaves
at once, as if a channel had taken it in that instant. Of what happens before the period nothing is told, but all of it
counts: segments, waits, caps and cooldowns are as they would be had the rulebook been live all along.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta

from msgspec import Struct, field

from triggerfish.clock import Instant, to_datetime
from triggerfish.conditions import NEVER
from triggerfish.decisions import DEFERRED
from triggerfish.engine import Arrival, Moment, decide
from triggerfish.people import Loaded
from triggerfish.profile import Claim, Profile
from triggerfish.rules import Rulebook
from triggerfish.zones import Zones, instant_of

HELD = ("quiet hours", "outside the send windows", "best hour, ", DEFERRED)
"""How the reasons of messages begin that are held until they may leave (decisions.py)."""

_OF_ONE = re.compile(r" \(it is .*\)$|\b\d{4}-\d\d-\d\dT[\d:.]+Z", re.DOTALL)
"""What a reason says of one occasion only."""


class Period(Struct, frozen=True):
    """What is told of: from `since` up to, but not including, `until`. `days` are its local days, as 2026-01-31, and
    `starts` the instant at which each begins (the first at `since`).
    """

    since: Instant
    until: Instant
    days: tuple[str, ...]
    starts: tuple[Instant, ...]

    def day(self, at: Instant) -> int:
        """The place of an instant's day, for an instant within the period."""
        return max(0, bisect_right(self.starts, at) - 1)

    @property
    def weeks(self) -> float:
        return (self.until - self.since) / (7 * 86_400_000)


def period_of(since: Instant, until: Instant, time_zone: str) -> Period:
    """The period with the days of a time zone. `since` is before `until`."""
    zone = Zones(time_zone).default
    day = to_datetime(since).astimezone(zone).date()
    days, starts = [day.isoformat()], [since]
    while (start := instant_of(day := day + timedelta(days=1), 0, zone)) < until:
        days.append(day.isoformat())
        starts.append(start)
    return Period(since, until, tuple(days), tuple(starts))


class Message(Struct, frozen=True):
    """A message that would have left, and when."""

    at: Instant
    rule: str
    template: str
    id: str = ""


class Story(Struct):
    """What came of one person within the period. Rules are named `rule set / rule`.

    `skipped` counts (rule, reason), `held` and `waiting` count by rule messages that
    were held until they may leave, and that still wait as the period ends; `outcomes` (rule, outcome of a
    decision). `first` and `last` are the segments at the period's start and end, `moves` counts (segment, day, +1 or
    -1); of a person who was several, at the start one segment may count more than once.
    """

    id: str
    name: str = ""
    sent: list[Message] = []
    skipped: Counter[tuple[str, str]] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    waiting: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    first: Counter[str] = field(default_factory=Counter)
    last: frozenset[str] = frozenset()
    moves: Counter[tuple[str, int, int]] = field(default_factory=Counter)

    def take_in(self, other: Story) -> None:
        """`other` was this person all along."""
        self.sent = sorted([*self.sent, *other.sent], key=lambda sent: sent.at)
        self.skipped += other.skipped
        self.held += other.held
        self.waiting += other.waiting
        self.outcomes += other.outcomes
        self.first += other.first
        self.moves += other.moves


class Player:
    """Plays one circle's events under one rulebook: `take` them in order, in parts as large as memory allows, then
    `finish`.
    """

    def __init__(self, rulebook: Rulebook, period: Period) -> None:
        self._rulebook = rulebook
        self._period = period
        self._profiles: dict[str, Profile] = {}
        self._owners: dict[Claim, str] = {}
        self._stories: dict[str, Story] = {}
        self._members: dict[str, set[str]] = {}
        self._became: dict[str, str] = {}
        # Messages that left (or never will), and when; and those that wait, with whose and which rule's they are.
        self._left: dict[str, Instant] = {}
        self._waiting: dict[str, tuple[str, str]] = {}
        self._has_begun = False

    def take(self, arrivals: Sequence[Arrival], now: Instant) -> None:
        """Let these events happen, and time pass until `now`, which is not before the last of them."""
        outcome = decide(arrivals, Loaded(self._profiles, self._owners), self._rulebook, now)
        for moment in outcome.moments:
            self._hear(moment)
        for gone in outcome.merged:
            self._profiles.pop(gone, None)
        self._profiles.update(outcome.profiles)
        self._own(outcome.owners)

    def finish(self) -> list[Story]:
        """What came of everybody in the circle."""
        self._begin()
        for profile_id, rule in self._waiting.values():
            self._story(profile_id).waiting[rule] += 1
        for gone in self._became:
            story = self._stories.pop(gone, None)
            if story is not None:
                self._story(self._now_called(gone)).take_in(story)
        for profile in self._profiles.values():
            story = self._story(profile.id)
            story.name = name_of(profile)
            story.last = frozenset(self._members.get(profile.id, ()))
        return [self._stories[profile] for profile in self._profiles]

    def _hear(self, moment: Moment) -> None:
        body = moment.body
        is_told = moment.at >= self._period.since
        if is_told and not self._has_begun:
            self._begin()
        match moment.kind:
            case "segment":
                self._move(moment.profile, str(body["segment"]), body["change"] == "entered", moment.at)
            case "merge":
                self._join(moment.profile, str(body["profile"]), moment.at)
            case "send":
                self._note_send(moment, is_told)
            case "decision" if is_told and "rule" in body:
                story = self._story(moment.profile)
                rule, outcome = str(body["rule"]), str(body["outcome"])
                story.outcomes[rule, outcome] += 1
                if outcome == "skipped":
                    story.skipped[rule, said_of_all(str(body.get("reason", "")))] += 1

    def _note_send(self, moment: Moment, is_told: bool) -> None:
        """As a store and a channel do: only a message that waits may change its mind, or one that is called back in the
        very instant in which it would have left.
        """
        body = moment.body
        send, status, rule = str(body["send"]), body["status"], str(body["rule"])
        reason = said_of_all(str(body.get("reason", "")))
        left_at = self._left.get(send)
        if left_at is not None and not (status == "skipped" and left_at == moment.at):
            return
        if status == "scheduled":
            self._waiting[send] = (moment.profile, rule)
        else:
            self._waiting.pop(send, None)
            self._left[send] = moment.at if status == "due" else NEVER
        if not is_told:
            return
        story = self._story(moment.profile)
        if status == "due" and "call" in body:
            story.outcomes[rule, f"called {body['call']}"] += 1
        elif status == "due":
            story.sent.append(Message(moment.at, rule, str(body.get("template", "")), send))
        elif status == "skipped":
            if left_at is not None:
                story.sent = [sent for sent in story.sent if sent.id != send]
            story.skipped[rule, reason] += 1
        elif reason.startswith(HELD):
            story.held[rule] += 1

    def _move(self, profile: str, segment: str, has_entered: bool, at: Instant) -> None:
        members = self._members.setdefault(profile, set())
        if has_entered is (segment in members):
            return
        (members.add if has_entered else members.discard)(segment)
        self._count_move(profile, segment, 1 if has_entered else -1, at)

    def _count_move(self, profile: str, segment: str, change: int, at: Instant) -> None:
        if at >= self._period.since:
            self._story(profile).moves[segment, self._period.day(at), change] += 1

    def _join(self, into: str, gone: str, at: Instant) -> None:
        """Two people are one: where both were in a segment, one is."""
        self._became[gone] = into
        for segment in sorted(self._members.pop(gone, ())):
            members = self._members.setdefault(into, set())
            if segment in members:
                self._count_move(into, segment, -1, at)
            members.add(segment)

    def _begin(self) -> None:
        """The period begins: who is where?"""
        if not self._has_begun:
            self._has_begun = True
            for profile, segments in self._members.items():
                self._story(profile).first = Counter(segments)

    def _story(self, profile: str) -> Story:
        story = self._stories.get(profile)
        if story is None:
            story = self._stories[profile] = Story(profile)
        return story

    def _now_called(self, gone: str) -> str:
        while gone in self._became:
            gone = self._became[gone]
        return gone

    def _own(self, owners: Mapping[Claim, str | None]) -> None:
        for claim, owner in owners.items():
            if owner is None:
                self._owners.pop(claim, None)
            else:
                self._owners[claim] = owner
        for claim, owner in self._owners.items() if self._became else ():
            if claim.kind == "profile":
                self._owners[claim] = self._now_called(owner)


def name_of(profile: Profile) -> str:
    """What an example calls a person: their userId, else an anonymousId. An email address is never shown."""
    names = {identity.kind: identity.value for identity in reversed(profile.identities)}
    if "user" in names:
        return names["user"]
    return f"anonymous {names['anonymous']}" if "anonymous" in names else profile.id


def said_of_all(reason: str) -> str:
    """A reason without what is true of one occasion only, so that equal ones can be counted."""
    return _OF_ONE.sub("", reason)
