"""Room 3. Profile: who a person is and what they did. `fold` adds one event; `merge` makes two profiles one.

Profiles are stored as msgpack arrays: append new fields at the end, with a default, and old blobs still read.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from triggerfish.activity import Activity, State
from triggerfish.clock import Instant
from triggerfish.consent import Change, Consent, Purposes, take, unite, words_in
from triggerfish.ingest import Event
from triggerfish.log import Position

SEEN_LIMIT = 1_024
"""Message ids that a profile remembers for telling repeats (8 bytes each)."""
IDENTITY_LIMIT = 200
SENT_LIMIT = 1_000
"""Messages that a profile remembers for caps and limits, which count no further: of marketing, and of all else."""
TRAIT_LIMIT = 500
MERGE_LIMIT = 50
STAMP_LIMIT = 500
ASSIGNMENT_LIMIT = 200
TROUBLE_LIMIT = 20
OPENING_LIMIT = 60


Trouble = Literal["hard bounce", "complaint"]
"""Why nothing, or no marketing, goes to an address any more."""


class Claim(NamedTuple):
    """A name under which a person is known: kind is "user", "anonymous", "email" or "profile" (a former profile id)."""

    kind: str
    value: str


class Identity(Struct, frozen=True, array_like=True, gc=False):
    kind: str
    value: str
    since: Instant


class Trait(Struct, frozen=True, array_like=True, gc=False):
    value: Any
    set_at: Instant


class Wait(Struct, frozen=True, array_like=True, gc=False):
    """A rule that fired and waits; or a run of a journey. `sends` are ids of messages, by the labels of their steps:
    those announced, of a journey those let go. `only` is the label of the one message that is left to do (held over
    quiet hours), or empty for all.

    A run stands at `step`, at most until `deadline`; `due_at` may be earlier, to look whether time has brought what
    ends it. `key` tells runs of one journey apart. `version` names the rule's if the run is pinned to it.

    Of a message that is held, `round` is the instant at which the arbiter looks at it next to the person's others,
    `offered` when it first asked to leave, and `lost` when it first had to stand back for others (0: it has not).
    """

    due_at: Instant
    ruleset: str
    rule: str
    trigger: Event
    sends: dict[str, str]
    only: str = ""
    step: str = ""
    deadline: Instant = 0
    key: str = ""
    version: str = ""
    round: Instant = 0
    offered: Instant = 0
    lost: Instant = 0


class Opening(Struct, frozen=True, array_like=True, gc=False):
    """An open or a click: the hour of the person's day at which it was, 0 to 23, and how surely a person did it."""

    at: Instant
    hour: int
    human: float


class Sent(Struct, frozen=True, array_like=True, gc=False):
    """A message that was let go: what caps (only if `is_marketing`), limits and cooldowns count. `send` is its id,
    `group` its rule's.
    """

    at: Instant
    ruleset: str
    rule: str
    is_marketing: bool
    purpose: str = ""
    channel: str = ""
    send: str = ""
    group: str = ""


class Assignment(Struct, frozen=True, array_like=True, gc=False):
    """The variant of an experiment that a person has, since they were first exposed to it."""

    variant: str
    at: Instant


class Merge(Struct, frozen=True, array_like=True, gc=False):
    """Another profile became part of this one: enough to explain it, and to take it apart by hand."""

    at: Instant
    profile: str
    identities: list[Identity]
    because: str
    message_id: str


class Profile(Struct, array_like=True, gc=False):
    """One person. Owned by whoever holds it: the engine works on copies (`copy`), never on the store's."""

    id: str
    created_at: Instant
    updated_at: Instant
    identities: list[Identity] = []
    traits: dict[str, Trait] = {}
    activity: dict[str, State] = {}
    memberships: dict[str, Instant] = {}
    waits: list[Wait] = []
    sent: list[Sent] = []
    consent: dict[str, Consent] = {}
    suppressed: str = ""
    time_zone: str = ""
    locale: str = ""
    seen: bytes = b""
    merges: list[Merge] = []
    recheck_at: Instant | None = None
    """Until then, time alone changes no membership. An instant that has come: look at all segments."""
    alarm_at: Instant | None = None
    """When the calendar next wakes a rule for this person."""
    stamps: dict[str, Instant] = {}
    """When something last happened that is to happen once, or not too soon again: journeys entered, messages sent."""
    assignments: dict[str, Assignment] = {}
    """The variants of experiments."""
    troubles: dict[str, Trouble] = {}
    """Addresses that nothing, or no marketing, goes to any more; `suppressed` says it of whichever they have."""
    openings: list[Opening] = []
    """Opens and clicks, by which their best hour is found (hours.py)."""

    def copy(self) -> Profile:
        """A profile that shares nothing with this one that anybody changes; a state of activity is copied by whoever
        adds to it (`fold`, `merge`).
        """
        return replace(
            self,
            identities=self.identities.copy(),
            traits=self.traits.copy(),
            activity=self.activity.copy(),
            memberships=self.memberships.copy(),
            waits=self.waits.copy(),
            sent=self.sent.copy(),
            consent=self.consent.copy(),
            merges=self.merges.copy(),
            stamps=self.stamps.copy(),
            assignments=self.assignments.copy(),
            openings=self.openings.copy(),
            troubles=self.troubles.copy(),
        )

    @property
    def wake_at(self) -> Instant | None:
        """When this profile next needs attention: its place on the agenda."""
        soonest = self.recheck_at
        if (alarm_at := self.alarm_at) is not None and (soonest is None or alarm_at < soonest):
            soonest = alarm_at
        for wait in self.waits:
            if soonest is None or wait.due_at < soonest:
                soonest = wait.due_at
        return soonest

    @property
    def has_user(self) -> bool:
        return any(identity.kind == "user" for identity in self.identities)

    def has_seen(self, message_id: str) -> bool:
        """Whether an event with this id was folded before."""
        digest = _digest(message_id)
        at = self.seen.find(digest)
        while at != -1 and at % 8:
            at = self.seen.find(digest, at + 1)
        return at != -1

    def trait(self, name: str) -> Any:
        """A trait's value, or None."""
        found = self.traits.get(name)
        return None if found is None else found.value


@lru_cache(16)
def _digest(message_id: str) -> bytes:
    """What is remembered of a message id; it is asked for twice in a row."""
    return blake2b(message_id.encode(), digest_size=8).digest()


def new_profile(claim: Claim, position: Position, now: Instant) -> Profile:
    """A profile for a person not seen before. Its id follows from the claim and from the place of its first event in
    the log: deciding again gives the same id, and a name that was given up and comes back gives another one.
    """
    text = f"{claim.kind}\0{claim.value}\0{position}"
    digest = blake2b(text.encode(), digest_size=10, person=b"profile").hexdigest()
    return Profile(id=f"p{digest}", created_at=now, updated_at=now, recheck_at=now)


def claims_of(event: Event) -> list[Claim]:
    """The names that an event gives its person, the strongest first."""
    claims = []
    if event.profile_id:
        claims.append(Claim("profile", event.profile_id))
    if event.user_id:
        claims.append(Claim("user", event.user_id))
    if event.anonymous_id:
        claims.append(Claim("anonymous", event.anonymous_id))
    if event.kind in ("identify", "consent"):
        email = event.traits.get("email")
        if isinstance(email, str) and "@" in email:
            claims.append(Claim("email", email.strip().lower()))
    if event.kind == "instruction" and event.name == "allow":
        # Of the people whom an instruction concerns it is only this one that they have to be told of.
        claims.append(Claim("email", str(event.properties.get("address", "")).strip().lower()))
    return claims


def previous_claims(event: Event) -> list[Claim]:
    """The names under which an alias call's `previousId` may be known."""
    if event.kind != "alias" or not event.previous_id:
        return []
    return [Claim("user", event.previous_id), Claim("anonymous", event.previous_id)]


def remember(profile: Profile, message_id: str) -> None:
    """Note a message id as seen."""
    profile.seen = profile.seen[-8 * (SEEN_LIMIT - 1) :] + _digest(message_id)


def know_seen(profile: Profile, other: Profile) -> None:
    """Let a working copy know the message ids that another profile has seen, as older than its own."""
    profile.seen = (other.seen + profile.seen)[-8 * SEEN_LIMIT :]


def fold(profile: Profile, event: Event, activities: Sequence[Activity], now: Instant) -> Sequence[str]:
    """Add one event to a working copy: traits (the newest wins), context, consent, activity, wherever its time falls.

    `activities` are those that count this event's name. Returns the names of the traits that changed.
    """
    changed: Sequence[str] = ()
    if event.traits and event.kind in ("identify", "consent"):
        changed = set_traits(profile, event.traits, event.timestamp)
    if event.context and event.kind != "derived":
        # What a rule emits after a wait has the context of the event that woke it; newer ones may have come since.
        _note_context(profile, event.context)
    if event.kind == "feedback":
        note_trouble(profile, event)
    for activity in activities:
        known = profile.activity.get(activity.key)
        # The copy's own: most of what a profile remembers is not counted at an event, and is shared.
        state = profile.activity[activity.key] = activity.start() if known is None else known.copy()
        activity.count(state, event, now)
    profile.updated_at = now
    return changed


def set_traits(profile: Profile, traits: dict[str, Any], at: Instant) -> list[str]:
    """Set traits as of `at`: an older value never replaces a newer one. None removes a value, but keeps its time.
    Returns the names of those that are other than before.

    A profile has at most TRAIT_LIMIT traits; further names are not taken.
    """
    changed = []
    held = profile.traits
    for name, value in traits.items():
        known = held.get(name)
        if known is None:
            if len(held) < TRAIT_LIMIT:
                held[name] = Trait(value, at)
                changed.append(name)
        elif known.set_at <= at:
            held[name] = Trait(value, at)
            if not _is_same(known.value, value):
                changed.append(name)
    return changed


def _is_same(one: Any, other: Any) -> bool:
    """Whether a value is surely the same as another one; 1, 1.0 and True are three, also within lists and objects."""
    return type(one) is type(other) and one == other and type(one) not in _NESTING


_NESTING = frozenset({list, dict})


def remember_sent(profile: Profile, sent: Sent) -> None:
    """Count a message that was let go. Of marketing, and of all else, the newest SENT_LIMIT are kept."""
    profile.sent.append(sent)
    _forget_sent(profile)


def _forget_sent(profile: Profile) -> None:
    if len(profile.sent) <= SENT_LIMIT:
        return
    surplus = dict.fromkeys((True, False), -SENT_LIMIT)
    for sent in profile.sent:
        surplus[sent.is_marketing] += 1
    kept = []
    for sent in profile.sent:
        if surplus[sent.is_marketing] > 0:
            surplus[sent.is_marketing] -= 1
        else:
            kept.append(sent)
    profile.sent[:] = kept


def stamp(profile: Profile, what: str, at: Instant) -> None:
    """Note that something happened that is to happen once, or not too soon again. The newest STAMP_LIMIT are kept."""
    profile.stamps.pop(what, None)
    profile.stamps[what] = at
    while len(profile.stamps) > STAMP_LIMIT:
        del profile.stamps[next(iter(profile.stamps))]


def stamped_at(profile: Profile, what: str) -> Instant | None:
    """When it last happened."""
    return profile.stamps.get(what)


def assigned(profile: Profile, experiment: str) -> str | None:
    """The variant of an experiment that the person has."""
    known = profile.assignments.get(experiment)
    return None if known is None else known.variant


def keep_assignment(profile: Profile, experiment: str, variant: str, at: Instant) -> None:
    """Let the person have this variant from now on. The newest ASSIGNMENT_LIMIT are kept."""
    profile.assignments.pop(experiment, None)
    profile.assignments[experiment] = Assignment(variant, at)
    while len(profile.assignments) > ASSIGNMENT_LIMIT:
        del profile.assignments[next(iter(profile.assignments))]


def _note_context(profile: Profile, context: dict[str, Any]) -> None:
    zone, locale = context.get("timezone"), context.get("locale")
    if isinstance(zone, str) and zone and len(zone) <= 64:
        profile.time_zone = zone
    if isinstance(locale, str) and locale and len(locale) <= 64:
        profile.locale = locale


def hear_consent(profile: Profile, event: Event, purposes: Purposes) -> list[tuple[Change, str]]:
    """Note what the event says about consent in a working copy. Returns what changed by it, and of which purpose."""
    told = words_in(event, purposes, profile.consent)
    return take(profile.consent, told, purposes, is_ours=event.kind == "feedback") if told else []


def trouble_with(profile: Profile, event: Event) -> tuple[Trouble, str] | None:
    """What feedback says against ever writing to an address again, and the address: the one that the message went to,
    else the one that they have. None when it says no such thing.
    """
    found: Trouble
    if event.name == "Email Bounced" and event.properties.get("is_permanent"):
        found = "hard bounce"
    elif event.name == "Email Marked as Spam":
        found = "complaint"
    else:
        return None
    recipient = event.properties.get("recipient") or profile.trait("email")
    return found, recipient.strip().lower() if isinstance(recipient, str) else ""


def note_trouble(profile: Profile, event: Event) -> None:
    """Remember in a working copy what feedback says against ever writing to an address again."""
    found = trouble_with(profile, event) if event.kind == "feedback" else None
    if found is None:
        return
    trouble, address = found
    if not address:
        profile.suppressed = _worse(profile.suppressed, trouble)
        return
    profile.troubles[address] = _worse(profile.troubles.pop(address, ""), trouble)
    while len(profile.troubles) > TROUBLE_LIMIT:
        del profile.troubles[next(iter(profile.troubles))]


def _worse(known: str, trouble: Trouble) -> Trouble:
    return "hard bounce" if known == "hard bounce" else trouble


def suppression_of(profile: Profile) -> str:
    """Why nothing, or no marketing, goes to the address that they have: "hard bounce", "complaint" or empty."""
    of_address = profile.troubles.get(_email_of(profile), "")
    return "hard bounce" if "hard bounce" in (profile.suppressed, of_address) else profile.suppressed or of_address


def allow(profile: Profile, address: str) -> None:
    """Let mail go to an address again, in a working copy."""
    profile.troubles.pop(address.strip().lower(), None)
    profile.suppressed = ""


def _email_of(profile: Profile) -> str:
    email = profile.trait("email")
    return email.strip().lower() if isinstance(email, str) else ""


def merge(into: Profile, other: Profile, *, because: str, message_id: str, now: Instant) -> None:
    """Make `other` part of `into` (a working copy): activity united, newest trait and consent win, waits go along."""
    into.merges.append(Merge(now, other.id, other.identities.copy(), because, message_id))
    into.merges = (other.merges + into.merges)[-MERGE_LIMIT:]
    into.created_at = min(into.created_at, other.created_at)
    known = {(identity.kind, identity.value) for identity in into.identities}
    into.identities += [identity for identity in other.identities if (identity.kind, identity.value) not in known]
    for name, trait in other.traits.items():
        ours = into.traits.get(name)
        if ours is None or ours.set_at < trait.set_at:
            into.traits[name] = trait
    unite(into.consent, other.consent)
    for key, state in other.activity.items():
        our_state = into.activity.get(key)
        if our_state is None:
            into.activity[key] = state
        else:
            into.activity[key] = our_state = our_state.copy()
            our_state.unite(state)  # type: ignore[arg-type]  # one key, one kind of state
    for segment, since in other.memberships.items():
        into.memberships[segment] = min(since, into.memberships.get(segment, since))
    into.waits = sorted(into.waits + other.waits, key=lambda wait: wait.deadline or wait.due_at)
    into.sent = sorted(into.sent + other.sent, key=lambda sent: sent.at)
    _forget_sent(into)
    stamps = sorted({*into.stamps, *other.stamps}, key=lambda what: _later(into, other, what))[-STAMP_LIMIT:]
    into.stamps = {what: _later(into, other, what) for what in stamps}
    for experiment, assignment in other.assignments.items():
        known_one = into.assignments.get(experiment)
        if known_one is None or assignment.at < known_one.at:
            into.assignments[experiment] = assignment
    into.openings = sorted(into.openings + other.openings, key=lambda opening: opening.at)[-OPENING_LIMIT:]
    know_seen(into, other)
    into.suppressed = into.suppressed or other.suppressed
    for address, trouble in other.troubles.items():
        into.troubles[address] = _worse(into.troubles.get(address, ""), trouble)
    into.time_zone = into.time_zone or other.time_zone
    into.locale = into.locale or other.locale
    into.recheck_at = now


def _later(one: Profile, other: Profile, what: str) -> Instant:
    return max(one.stamps.get(what, 0), other.stamps.get(what, 0))
