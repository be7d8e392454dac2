"""Room 3, its other half. People: which profile an event belongs to, and when two profiles turn out to be one person.

The rules (docs/profiles.md): a profile has at most one userId. Profiles that share a name are one person unless each
has a userId of its own; then an anonymousId goes over to the person who used it last, and an email stays where it was.
`alias` joins two profiles whatever they hold: the developer says that they are one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from triggerfish.clock import Instant
from triggerfish.ingest import Event
from triggerfish.log import Position
from triggerfish.profile import (
    IDENTITY_LIMIT,
    Claim,
    Identity,
    Profile,
    claims_of,
    know_seen,
    merge,
    new_profile,
    previous_claims,
)

_STRENGTH = {"anonymous": 0, "email": 1, "user": 2}


class Loaded(Struct, frozen=True):
    """What the store gave for a batch: profiles by id, who owns which name, and what everybody's opens weigh by local
    hour, in thousandths (24 of them; none: nothing is known). Never changed.
    """

    profiles: Mapping[str, Profile]
    owners: Mapping[Claim, str]
    hours: Sequence[int] = ()


class Named(NamedTuple):
    """The names that an event gives its person, and the ids of those who go by them; None: nobody goes by one."""

    claims: Sequence[Claim]
    owners: Collection[str | None]


class People:
    """The profiles of a batch as working copies, made when they are first needed.

    `changed` holds the copies, `merged` says which profile became part of which, `owners` the names that changed hands
    (None: given up).
    """

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self.changed: dict[str, Profile] = {}
        self.merged: dict[str, str] = {}
        self.owners: dict[Claim, str | None] = {}

    def take(self, profile_id: str) -> Profile:
        """The working copy of a profile."""
        copy = self.changed.get(profile_id)
        if copy is None:
            copy = self.changed[profile_id] = self.loaded.profiles[profile_id].copy()
        return copy

    def owner(self, claim: Claim) -> str | None:
        """The id of the profile that goes by this name."""
        if claim in self.owners:
            return self.owners[claim]
        if claim.kind == "profile" and (claim.value in self.changed or claim.value in self.loaded.profiles):
            owner: str | None = claim.value
        else:
            owner = self.loaded.owners.get(claim)
        return None if owner is None else self.merged.get(owner, owner)

    def named(self, event: Event) -> Named:
        """Whom an event names."""
        claims = claims_of(event)
        return Named(claims, {self.owner(claim) for claim in claims})

    def have_seen(self, event: Event, named: Named) -> bool:
        """Whether somebody who goes by one of the event's names had it before. Then nothing may come of it, not even a
        name that changes hands: it may have done so again since.
        """
        for owner in named.owners:  # noqa: SIM110  asked at every event: a generator costs more than it says
            if owner is not None and self._as_is(owner).has_seen(event.message_id):
                return True
        return False

    def who(self, event: Event, named: Named, position: Position, now: Instant) -> Profile | None:
        """The working copy of the person whose event this is; made, merged and named as the event says. `position` is
        the event's place in the log.

        None when an event of our own (a click, say) is about a profile that is gone.
        """
        claims, owners = named
        if event.profile_id:
            known = self.owner(claims[0])
            return None if known is None else self.take(known)
        if len(owners) == 1 and not event.previous_id and (known := next(iter(owners))) is not None:
            # Nearly every event: all its names are one person's.
            return self.take(known)
        person = self._nearest(claims, position, now)
        for claim in claims:
            person = self._settle(person, claim, event, now)
        previous = previous_claims(event)
        known_before = [owner for claim in previous if (owner := self.owner(claim)) is not None]
        other = next((owner for owner in known_before if owner != person.id), None)
        if other is not None:
            person = self._join(person, self.take(other), "alias", event, now)
        elif previous and not known_before:
            # Nobody has been known by that name yet: events under it may be late.
            person = self._settle(person, previous[-1], event, now)
        return person

    def _as_is(self, profile_id: str) -> Profile:
        return self.changed.get(profile_id) or self.loaded.profiles[profile_id]

    def _nearest(self, claims: Iterable[Claim], position: Position, now: Instant) -> Profile:
        """The profile to start from: that of the userId, else of another name, if nobody else's; else a new one."""
        strongest = None
        has_user = False
        for claim in claims:
            strongest = strongest or claim
            has_user = has_user or claim.kind == "user"
            known = self.owner(claim)
            if known is None:
                continue
            if claim.kind == "user" or not (has_user and self._as_is(known).has_user):
                return self.take(known)
        if strongest is None:
            raise ValueError("an event without an identity passed the front door")
        person = new_profile(strongest, position, now)
        self.changed[person.id] = person
        return person

    def _settle(self, person: Profile, claim: Claim, event: Event, now: Instant) -> Profile:
        """Let the person go by this name too."""
        known = self.owner(claim)
        if known == person.id:
            return person
        if known is not None:
            other = self.take(known)
            if not (person.has_user and other.has_user):
                return self._join(person, other, f"{event.kind} with {claim.kind} {claim.value}", event, now)
            if claim.kind == "email":
                return person
            other.identities = [held for held in other.identities if (held.kind, held.value) != claim]
            # What was sent under this name may be sent again: it was the other's, and stays theirs.
            know_seen(person, other)
        person.identities.append(Identity(claim.kind, claim.value, now))
        self.owners[claim] = person.id
        self._give_up_names(person)
        return person

    def _give_up_names(self, person: Profile) -> None:
        """Keep to the limit: the weakest kind of name first, of these the oldest."""
        while len(person.identities) > IDENTITY_LIMIT:
            weakest = min(person.identities, key=lambda held: (_STRENGTH[held.kind], held.since))
            person.identities.remove(weakest)
            self.owners[Claim(weakest.kind, weakest.value)] = None

    def _join(self, one: Profile, other: Profile, because: str, event: Event, now: Instant) -> Profile:
        """The one with a userId stays, else the older."""
        into, gone = one, other
        if (other.has_user, -other.created_at) > (one.has_user, -one.created_at):
            into, gone = other, one
        if because == "alias":
            into, gone = one, other
        for former in (gone.id, *(earlier.profile for earlier in gone.merges)):
            self.owners[Claim("profile", former)] = into.id
        merge(into, gone, because=because, message_id=event.message_id, now=now)
        for held in gone.identities:
            self.owners[Claim(held.kind, held.value)] = into.id
        for former, owner in self.merged.items():
            if owner == gone.id:
                self.merged[former] = into.id
        self.merged[gone.id] = into.id
        del self.changed[gone.id]
        self._give_up_names(into)
        return into
