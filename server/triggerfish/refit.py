"""Rooms 3 and 4 once more, after a change of the rules: people are fitted to a rulebook that asks for something new.

What a new activity remembers is filled from the log, and who is in which segment is worked out for everybody, before a
rule of the new rulebook fires. It makes no events: nobody did anything, so nobody gets a message because of it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from triggerfish.activity import Activity
from triggerfish.clock import Instant
from triggerfish.engine import Membership, Outcome, alarms
from triggerfish.log import Entry
from triggerfish.people import Loaded
from triggerfish.profile import Profile, claims_of
from triggerfish.rules import Rulebook


def new_activities(rulebook: Rulebook, filled: Collection[str]) -> list[Activity]:
    """Those activities of the rulebook whose state is not known yet."""
    return [activity for activity in rulebook.activities if activity.key not in filled]


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
        for activity in counted:
            activity.count(profile.activity.setdefault(activity.key, activity.start()), entry.event, now)
    return list(copies.values())


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


def settle(profiles: Sequence[Profile], rulebook: Rulebook, now: Instant) -> Outcome:
    """Everybody's memberships and alarms by this rulebook, as of `now`."""
    changed: dict[str, Profile] = {}
    memberships: list[Membership] = []
    for known in profiles:
        profile = known.copy()
        moves = rulebook.segments.settle(profile, now, rulebook.zones)
        memberships += [Membership(move.segment, profile.id, now if move.what == "entered" else None) for move in moves]
        profile.alarm_at = alarms.next_alarm(profile, rulebook, now)
        if moves or (profile.recheck_at, profile.alarm_at) != (known.recheck_at, known.alarm_at):
            changed[profile.id] = profile
    return Outcome(profiles=changed, merged={}, owners={}, memberships=memberships, sends=[], moments=[])
