"""The oracle's people: whose event it is, and when two turn out to be one person (docs/profiles.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from oracle.language import Deed
from oracle.rules import Rule, Table

Name = tuple[str, str]
"""A kind ("user", "anonymous", "email") and a text."""


@dataclass(frozen=True)
class Told:
    """An event as the history tells it. `at` is its own time. `about` is the person of a feedback event."""

    kind: str
    name: str
    message_id: str
    at: int
    user: str | None = None
    anon: str | None = None
    previous: str | None = None
    about: str | None = None
    properties: dict[str, Any] = field(default_factory=dict)
    traits: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)

    def names(self) -> list[Name]:
        found = [("user", self.user)] if self.user else []
        found += [("anonymous", self.anon)] if self.anon else []
        email = self.traits.get("email") if self.kind == "identify" else None
        if isinstance(email, str) and "@" in email:
            found.append(("email", email.strip().lower()))
        return found


@dataclass(eq=False)
class Wait:
    """A rule that waits, or (`only`) one message of it that is held back. `sends` are messages' ids, by step."""

    due: int
    rule: Rule
    trigger: Told
    sends: dict[str, str]
    only: str = ""
    round: int = 0
    lost: int = 0


@dataclass(eq=False)
class Run:
    """A person's way through a journey. `pile` holds [steps, place] for each list of steps that it is within; `sends`
    are the ids of messages by step.
    """

    rule: Rule
    trigger: Told
    key: str
    pile: list[list[Any]]
    sends: dict[str, str] = field(default_factory=dict)
    deadline: int = 0
    round: int = 0
    lost: int = 0

    @property
    def step(self) -> Table:
        steps, place = self.pile[-1]
        return steps[place]

    @property
    def due(self) -> int:
        return self.deadline


@dataclass
class Person:
    """`traits` is every value that was ever told, as (name, value, as of when), in the order in which it came.
    `sent` is (at, rule, whether caps count it, what they go by). `segments` says since when. `entered` is when they
    last entered a journey, under a key; `once` is what a rule with `once_per` sent for; `variants` are experiments',
    with the instant of the first time.
    """

    id: str
    created: int
    names: list[Name] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)
    traits: list[tuple[str, Any, int]] = field(default_factory=list)
    zone: str = ""
    seen: set[str] = field(default_factory=set)
    segments: dict[str, int] = field(default_factory=dict)
    waits: list[Wait | Run] = field(default_factory=list)
    sent: list[tuple[int, str, bool, dict[str, str]]] = field(default_factory=list)
    refused: list[tuple[str, int]] = field(default_factory=list)
    troubles: list[tuple[Any, str]] = field(default_factory=list)
    entered: dict[tuple[str, str], int] = field(default_factory=dict)
    once: set[tuple[str, str]] = field(default_factory=set)
    variants: dict[str, tuple[int, str]] = field(default_factory=dict)

    def has_user(self) -> bool:
        return any(kind == "user" for kind, _ in self.names)

    def values(self) -> dict[str, Any]:
        """Of each trait the value that is newest, of equally old ones the one that came last."""
        newest: dict[str, tuple[int, Any]] = {}
        for name, told, at in self.traits:
            if name not in newest or newest[name][0] <= at:
                newest[name] = (at, told)
        return {name: told for name, (_, told) in newest.items()}


class People:
    """Everybody. `into` says whom a former person became part of."""

    def __init__(self) -> None:
        self.all: list[Person] = []
        self.into: dict[str, str] = {}

    def by_id(self, person: str) -> Person | None:
        while person in self.into:
            person = self.into[person]
        return next((each for each in self.all if each.id == person), None)

    def named(self, name: Name) -> Person | None:
        return next((each for each in self.all if name in each.names), None)

    def had(self, event: Told) -> bool:
        """Whether somebody who goes by one of its names had this event before."""
        owners = [self.named(name) for name in event.names()]
        owners += [self.by_id(event.about)] if event.about else []
        return any(owner is not None and event.message_id in owner.seen for owner in owners)

    def whose(self, event: Told, position: int, now: int) -> tuple[Person | None, list[str]]:
        """The person, and the ids of those who became part of them just now."""
        if event.about:
            return self.by_id(event.about), []
        gone: list[str] = []
        person = self._start(event, position, now)
        for name in event.names():
            person = self._also(person, name, gone)
        if event.kind == "alias" and event.previous:
            known = [self.named((kind, event.previous)) for kind in ("user", "anonymous")]
            others = [other for other in known if other is not None]
            other = next((other for other in others if other is not person), None)
            if other is not None:
                self._unite(person, other, gone)
            elif not others:
                person = self._also(person, ("anonymous", event.previous), gone)
        return person, gone

    def _start(self, event: Told, position: int, now: int) -> Person:
        for kind, text in event.names():
            known = self.named((kind, text))
            if known is not None and (kind == "user" or not (event.user and known.has_user())):
                return known
        kind, text = event.names()[0]
        person = Person(f"{kind}:{text}:{position}", now)
        self.all.append(person)
        return person

    def _also(self, person: Person, name: Name, gone: list[str]) -> Person:
        """Let the person go by this name too."""
        known = self.named(name)
        if known is person:
            return person
        if known is not None and not (person.has_user() and known.has_user()):
            stays = known.has_user() or (not person.has_user() and known.created < person.created)
            into, other = (known, person) if stays else (person, known)
            self._unite(into, other, gone)
            return into
        if known is not None and name[0] == "email":
            return person
        if known is not None:
            known.names.remove(name)
            person.seen |= known.seen
        person.names.append(name)
        return person

    def _unite(self, into: Person, other: Person, gone: list[str]) -> None:
        """As if it had always been one person's. What `other` did and said counts as told before what comes now."""
        into.created = min(into.created, other.created)
        into.names += [name for name in other.names if name not in into.names]
        into.deeds += other.deeds
        into.traits = other.traits + into.traits
        into.zone = into.zone or other.zone
        into.seen |= other.seen
        for name, since in other.segments.items():
            into.segments[name] = min(since, into.segments.get(name, since))
        into.waits = sorted(into.waits + other.waits, key=lambda wait: wait.due)
        into.sent = sorted(into.sent + other.sent, key=lambda sent: sent[0])
        into.refused += other.refused
        into.troubles += other.troubles
        into.once |= other.once
        for journey, at in other.entered.items():
            into.entered[journey] = max(at, into.entered.get(journey, at))
        for experiment, (at, variant) in other.variants.items():
            if experiment not in into.variants or at < into.variants[experiment][0]:
                into.variants[experiment] = (at, variant)
        self.all.remove(other)
        self.into[other.id] = into.id
        gone.append(other.id)
