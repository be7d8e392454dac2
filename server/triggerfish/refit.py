"""Rooms 3 and 4 once more, after a change of the rules: people are fitted to a rulebook that asks for something new.

What a new activity remembers is filled from the log, and who is in which segment is worked out for everybody, before a
rule of the new rulebook fires. It makes no events: nobody did anything, so nobody gets a message because of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from copy import copy
from zlib import crc32

from msgspec import Struct
from msgspec.structs import replace

from triggerfish.activity import Activity
from triggerfish.clock import Instant
from triggerfish.engine import Membership, Outcome, alarms
from triggerfish.log import Entry
from triggerfish.people import Loaded
from triggerfish.profile import Claim, Profile, claims_of
from triggerfish.rules import Fitting, Rulebook

TRACES_LIMIT = 1_000_000
"""Traces (an activity's state for one person) that are held at once while the log is read again: some 500 MB."""


UNFINISHED: Fitting = frozenset({("segment", "of a fitting that was broken off")})
"""Noted while people are being fitted: some may still be in segments that are gone."""


class Gap(Struct, frozen=True):
    """What is to be done about people who are fitted to something else: fill `activities`, look at `segments` (by name)
    and, should `is_calendar`, set all alarms anew. `is_less`: some of what they were fitted to is gone.
    """

    activities: Sequence[Activity]
    segments: Collection[str]
    is_calendar: bool
    is_less: bool

    @property
    def settles(self) -> bool:
        """Whether memberships or alarms may change."""
        return bool(self.segments) or self.is_calendar or self.is_less


def gap(rulebook: Rulebook, fitted: Fitting) -> Gap:
    """What people who are fitted to this lack of what the rulebook asks for."""
    wanted = rulebook.fitting
    activities = [activity for activity in rulebook.activities if ("activity", activity.key) not in fitted]
    prints = rulebook.segments.fingerprints(rulebook.policy.time_zone)
    changed = {name for name, print_ in prints.items() if ("segment", print_) not in fitted}
    return Gap(
        activities=activities,
        segments=changed | rulebook.segments.named(rulebook.segments.readers(activities)),
        is_calendar=any(kind == "calendar" for kind, _ in wanted - fitted),
        is_less=any(kind == "segment" for kind, _ in fitted - wanted),
    )


def forget(profiles: Sequence[Profile], activities: Collection[Activity]) -> list[Profile]:
    """Copies without any state of these activities: filling begins from nothing, however often it is begun."""
    keys = {activity.key for activity in activities}
    copies = [profile.copy() for profile in profiles if keys & profile.activity.keys()]
    for profile in copies:
        for key in keys:
            profile.activity.pop(key, None)
    return copies


def fill(
    entries: Sequence[Entry], loaded: Loaded, activities: Sequence[Activity], now: Instant, seen: Seen
) -> list[Profile]:
    """Copies of the profiles with these events of the log added to these activities, and to nothing else.

    Events that segments and rules made are not in the log: an activity that counts those begins empty.
    """
    by_event: dict[str, list[Activity]] = {}
    for activity in activities:
        for event in activity.events:
            by_event.setdefault(event, []).append(activity)
    copies: dict[str, Profile] = {}
    for entry in entries:
        counted = by_event.get(entry.event.name)
        owner = next((loaded.owners[claim] for claim in claims_of(entry.event) if claim in loaded.owners), None)
        if not counted or owner is None or owner not in loaded.profiles or seen.before(owner, entry.event.message_id):
            continue
        profile = copies.get(owner)
        if profile is None:
            profile = copies[owner] = loaded.profiles[owner].copy()
            profile.activity = {key: state.copy() for key, state in profile.activity.items()}
        for activity in counted:
            activity.count(profile.activity.setdefault(activity.key, activity.start()), entry.event, now)
    return list(copies.values())


class Traces:
    """What new activities remember of people, while the log is read again: kept apart from the profiles, so that each
    of those is written once. Too many are taken share by share, each with a reading of its own.
    """

    def __init__(self, activities: Sequence[Activity], *, limit: int = TRACES_LIMIT) -> None:
        self.activities = activities
        self.events = frozenset(event for activity in activities for event in activity.events)
        self.shares, self.share = 1, 0
        self._limit = limit
        self._people: dict[str, Profile] = {}
        self._seen = Seen()

    def _holds(self, profile: str) -> bool:
        """Whether the person is of this share."""
        return self.shares == 1 or crc32(profile.encode()) % self.shares == self.share

    def add(self, entries: Sequence[Entry], owners: Mapping[Claim, str], now: Instant) -> None:
        """Count these events of the log; `owners` are those of the names that they bear."""
        known = {
            owner: self._people.get(owner) or Profile(owner, now, now)
            for owner in owners.values()
            if self._holds(owner)
        }
        for profile in fill(entries, Loaded(known, owners), self.activities, now, self._seen):
            self._people[profile.id] = profile
        # Only the first reading finds out how many shares it takes.
        while len(self._people) * len(self.activities) > self._limit and self.share == 0:
            self.shares *= 2
            self._people = {owner: profile for owner, profile in self._people.items() if self._holds(owner)}

    def put(self, profiles: Sequence[Profile]) -> dict[str, Profile]:
        """Those of the profiles that change: with what was counted, in place of whatever a filling that was broken off
        left there.
        """
        keys = {activity.key for activity in self.activities}
        changed: dict[str, Profile] = {}
        for profile in profiles:
            counted = self._people.get(profile.id)
            if self._holds(profile.id) and (counted is not None or keys & profile.activity.keys()):
                others = {key: state for key, state in profile.activity.items() if key not in keys}
                filled = {**others, **({} if counted is None else counted.activity)}
                changed[profile.id] = replace(profile, activity=filled)
        return changed

    def go_on(self) -> bool:
        """Begin the next share; False when this was the last."""
        self.share += 1
        self._people, self._seen = {}, Seen()
        return self.share < self.shares


class Seen:
    """Which events were filled lately: a client that tried again put them into the log twice. Keeps `limit`."""

    def __init__(self, limit: int = 200_000) -> None:
        self._limit = limit
        self._ids: dict[tuple[str, str], None] = {}

    def before(self, profile: str, message_id: str) -> bool:
        """Whether this one was asked for before."""
        known = (profile, message_id) in self._ids
        self._ids[profile, message_id] = None
        if len(self._ids) > self._limit:
            del self._ids[next(iter(self._ids))]
        return known


def only(profiles: Sequence[Profile]) -> Outcome:
    """An outcome of nothing but these profiles."""
    changed = {profile.id: profile for profile in profiles}
    return Outcome(profiles=changed, merged={}, owners={}, memberships=[], sends=[], moments=[])


def settle(
    profiles: Sequence[Profile],
    rulebook: Rulebook,
    now: Instant,
    filled: Mapping[str, Profile] | None = None,
    given: Gap | None = None,
) -> Outcome:
    """Everybody's memberships and alarms by this rulebook, as of `now`. `filled` are those of them that changed before;
    they are part of the outcome in any case. Only what is in the gap is looked at; None looks at everything.
    """
    asked = None if given is None else rulebook.segments.marks(given.segments)
    sets_all = given is None or given.is_calendar
    changed: dict[str, Profile] = {}
    memberships: list[Membership] = []
    for known in profiles:
        base = known if filled is None else filled.get(known.id, known)
        # Nothing but memberships and instants is put in its place here.
        profile = copy(base)
        moves = rulebook.segments.settle(profile, now, rulebook.zones, asked)
        memberships += [Membership(move.segment, profile.id, now if move.what == "entered" else None) for move in moves]
        if sets_all or moves or (profile.alarm_at is not None and profile.alarm_at <= now):
            profile.alarm_at = alarms.next_alarm(profile, rulebook, now)
        is_new = base is not known or (profile.recheck_at, profile.alarm_at) != (known.recheck_at, known.alarm_at)
        if moves or is_new:
            changed[profile.id] = profile
    return Outcome(profiles=changed, merged={}, owners={}, memberships=memberships, sends=[], moments=[])
