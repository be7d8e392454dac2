"""A batch: events and time in order, for the people whom they concern."""

from __future__ import annotations

import heapq
from typing import Any

from triggerfish.clock import Instant
from triggerfish.engine import alarms, journeys, rounds
from triggerfish.engine.outcome import Arrival, Membership, Outcome
from triggerfish.engine.record import Record
from triggerfish.engine.turn import Turn
from triggerfish.ingest import Event
from triggerfish.instructions import Allow, given_in
from triggerfish.measure import is_human
from triggerfish.people import Loaded, People
from triggerfish.profile import Profile, allow, claims_of, remember
from triggerfish.rules import Rulebook


class Run:
    """One call of `decide`."""

    def __init__(self, loaded: Loaded, rulebook: Rulebook, now: Instant) -> None:
        self._people = People(loaded)
        self._rulebook = rulebook
        self._now = now
        self._record = Record(rulebook, loaded.hours)
        self._repeats = 0
        self._agenda = [
            (wake_at, profile.id)
            for profile in loaded.profiles.values()
            if (wake_at := profile.wake_at) is not None and wake_at <= now
        ]
        heapq.heapify(self._agenda)

    def pass_time(self, until: Instant) -> None:
        """Do what is due up to and including `until`, in order of time."""
        while self._agenda and self._agenda[0][0] <= until:
            at, profile_id = heapq.heappop(self._agenda)
            if profile_id in self._people.merged:
                continue
            known = self._people.changed.get(profile_id) or self._people.loaded.profiles[profile_id]
            if known.wake_at == at:
                self._wake(self._people.take(profile_id), at)

    def arrive(self, arrival: Arrival) -> None:
        """An event comes."""
        event = arrival.event
        if event.kind == "instruction":
            self._instruct(arrival)
            return
        people = self._people
        named = people.named(event)
        if people.have_seen(event, named):
            self._repeats += 1
            return
        merges_before = len(people.merged)
        profile = people.who(event, named, arrival.position, arrival.at)
        if profile is None:
            return
        turn = Turn(self._rulebook, self._record, profile, arrival.at, event.timestamp)
        turn.is_unsettled = profile.recheck_at is not None and profile.recheck_at <= arrival.at
        if len(people.merged) > merges_before:
            self._record.merges(profile, event, arrival.at, people.merged)
            journeys.leave_twice_entered(turn, event)
            rounds.unite(turn)
            turn.is_moved = turn.is_unsettled = True
        remember(profile, event.message_id)
        body: dict[str, Any] = {"event": event.name}
        if event.kind == "feedback":
            body["send"] = str(event.properties.get("send_id", ""))
            if not is_human(event.properties):
                body["is_machine"] = True
        self._record.note(profile, arrival.at, "event", body, arrival.position)
        turn.happen(event)
        self._end(turn)

    def _instruct(self, arrival: Arrival) -> None:
        """Whom mail may go to again is told so, too: their own profile says no as well."""
        given = given_in(arrival.event, arrival.at)
        self._record.instructions.append(given)
        if not isinstance(given.instruction, Allow) or given.instruction.purpose:
            return
        owners = [self._people.owner(claim) for claim in claims_of(arrival.event)]
        for owner in owners:
            if owner is not None:
                profile = self._people.take(owner)
                allow(profile, given.instruction.address)
                self._record.note(profile, arrival.at, "event", {"event": arrival.event.name}, arrival.position)

    def _wake(self, profile: Profile, at: Instant) -> None:
        """Time has passed: segments may change, waits may end, the calendar may wake a rule."""
        cause = Event(kind="derived", name="time", message_id=f"time:{profile.id}:{at}", timestamp=at)
        turn = Turn(self._rulebook, self._record, profile, at, at)
        turn.settle(cause, 0, b"")
        ended = [wait for wait in profile.waits if wait.due_at <= at and not 0 < wait.round <= at]
        for wait in sorted(ended, key=lambda wait: wait.due_at):
            # One that ended before may have taken this one with it.
            if wait in profile.waits:
                rounds.end(turn, wait)
        rounds.close(turn)
        turn.hear_of_traits(0)
        for event in alarms.due(profile, self._rulebook, at, is_moved=turn.is_moved):
            turn.following.append((event, 0))
        turn.follow_on()
        self._end(turn)

    def _end(self, turn: Turn) -> None:
        """The person's turn is over: when do they need attention next?"""
        profile = turn.profile
        if turn.is_moved or (profile.alarm_at is not None and profile.alarm_at <= turn.at):
            profile.alarm_at = alarms.next_alarm(profile, self._rulebook, turn.at)
        wake_at = profile.wake_at
        if wake_at is not None and wake_at <= self._now:
            heapq.heappush(self._agenda, (wake_at, profile.id))

    def outcome(self) -> Outcome:
        """Everything that became of the batch."""
        people, record = self._people, self._record
        memberships = []
        for profile in people.changed.values():
            known = people.loaded.profiles.get(profile.id)
            before = {} if known is None else known.memberships
            after = profile.memberships
            if before == after:
                continue
            memberships += [Membership(name, profile.id, None) for name in before if name not in after]
            memberships += [Membership(name, profile.id, at) for name, at in after.items() if before.get(name) != at]
        merged = {gone: into for gone, into in people.merged.items() if gone in people.loaded.profiles}
        return Outcome(
            profiles=people.changed,
            merged=merged,
            owners=people.owners,
            memberships=memberships,
            sends=list(record.sends.values()),
            moments=record.moments,
            repeats=self._repeats,
            withdrawals=record.withdrawals,
            instructions=record.instructions,
            hours=record.opened,
        )
