"""Alarms: rules that the calendar wakes. Each person has at most one alarm set, for the earliest of them; it is set
anew whenever their traits, time zone or segments change, and after it rang.
"""

from __future__ import annotations

from triggerfish.clock import Instant
from triggerfish.ingest import Event
from triggerfish.profile import Profile
from triggerfish.rules import Rule, Rulebook, scheduled
from triggerfish.zones import Local


def next_alarm(profile: Profile, rulebook: Rulebook, after: Instant) -> Instant | None:
    """The first instant later than `after` at which the calendar wakes a rule for this person."""
    instants = [_next(profile, rulebook, rule, after) for rule in rulebook.schedules]
    return min((at for at in instants if at is not None), default=None)


def due(profile: Profile, rulebook: Rulebook, at: Instant, *, is_moved: bool) -> list[Event]:
    """The events of those rules that the calendar wakes for this person at exactly this instant. `is_moved` says that
    their traits or segments changed at this instant: an alarm that was not set may be due.

    `event.date` is the local date of the person then.
    """
    if not is_moved and (profile.alarm_at is None or profile.alarm_at > at):
        return []
    events = []
    for rule in rulebook.schedules:
        if _next(profile, rulebook, rule, at - 1) == at:
            name = scheduled(rule.ruleset, rule.name)
            properties = {"date": Local(at, rulebook.zones.of(profile.time_zone)).date}
            events.append(Event("derived", name, f"{name}@{at}", at, properties=properties))
    return events


def _next(profile: Profile, rulebook: Rulebook, rule: Rule, after: Instant) -> Instant | None:
    schedule = rule.schedule
    if schedule is None or (schedule.segment and schedule.segment not in profile.memberships):
        return None
    zone = rulebook.zones.of(schedule.time_zone or profile.time_zone)
    if schedule.timetable is not None:
        return schedule.timetable.next(after, zone)
    if schedule.anniversary is not None:
        return schedule.anniversary.next(profile.trait(schedule.anniversary.trait), after, zone)
    return None
