"""The engine: rooms 3 to 7 as one pure function. It reads no clock, no file, no network and throws no dice.

`decide` takes events in the order of the log together with the profiles that they and the agenda concern, and returns
what is to become of all of them. Rule tests, replays, explanations and the live worker call this one function.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct

from triggerfish import decisions
from triggerfish.activity import Activity
from triggerfish.clock import Instant, say_duration, to_iso
from triggerfish.conditions import Condition, View, explain, findings, first_failed
from triggerfish.ingest import Event
from triggerfish.log import Position
from triggerfish.people import Loaded, People
from triggerfish.profile import SENT_LIMIT, Claim, Profile, Wait, fold, remember, set_traits
from triggerfish.rules import Computed, Emit, Rule, Rulebook, Send, Set
from triggerfish.schedule import WAIT_LIMIT, Due, Status, send_id, waits_of

CHAIN_LIMIT = 8
"""How many events may follow from one another (segment changes, `emit`) before the chain is cut."""
FOLLOWERS_LIMIT = 100
"""How many events may follow from one event in all."""
_TOO_MANY_WAITS = f"{WAIT_LIMIT} waits are pending for this person"

Following = deque[tuple[Event, int]]
"""Events that are still to happen, and how many came before each, one from another."""


class Arrival(Struct, frozen=True):
    """An event on its way in. `at` is the instant at which the log took it: the `now` of everything that it causes."""

    position: Position
    at: Instant
    event: Event


class Moment(Struct, frozen=True):
    """A line of a person's timeline. `position` is the event's place in the log, for events that are there."""

    profile: str
    at: Instant
    kind: Literal["event", "segment", "decision", "send", "merge"]
    body: dict[str, Any]
    position: Position = 0


class Membership(Struct, frozen=True):
    """A change of the segments' member lists; `since` is None for leaving."""

    segment: str
    profile: str
    since: Instant | None


class Outcome(Struct, frozen=True):
    """What became of a batch: to be committed in one transaction with the log position that it came from.

    `profiles` are new or changed; `merged` maps profiles that are gone to the one that took them in; `owners` are names
    that changed hands; `repeats` counts events that were seen before.
    """

    profiles: Mapping[str, Profile]
    merged: Mapping[str, str]
    owners: Mapping[Claim, str | None]
    memberships: Sequence[Membership]
    sends: Sequence[Due]
    moments: Sequence[Moment]
    repeats: int = 0


class StateStore(Protocol):
    """Where outcomes are kept. `tests/contracts/state_store.py` says what every adapter must do."""

    def position(self) -> tuple[Position, Instant]:
        """The log position up to which events are decided, and the instant up to which the agenda is."""
        ...

    def load(self, claims: Sequence[Claim], ids: Sequence[str]) -> Loaded:
        """The owners of these names, and the profiles that they and `ids` name."""
        ...

    def agenda(self, until: Instant, limit: int) -> list[tuple[Instant, str]]:
        """The profiles that need attention at or before `until`, the earliest first: (instant, profile id)."""
        ...

    def next_due(self) -> Instant | None:
        """The earliest instant on the agenda."""
        ...

    def commit(self, outcome: Outcome, position: Position, until: Instant) -> None:
        """All of it or nothing, with the position in the log and the instant of the agenda that it takes us to.

        A send that is due, or further, is the sender's: deciding it again does not change it. Of a profile that is
        gone, the sends on their way go to the one that took it in; its timeline stays under its own id.
        """
        ...

    def attempt(self, position: Position) -> int:
        """Note durably that the event at `position` is about to be decided alone. Returns how often that was noted.

        For a worker that comes after one that died (processes/poison.py); the usual way writes no such notes. Going
        past the position forgets them.
        """
        ...

    def bury(self, position: Position, cause: str, at: Instant) -> None:
        """Put the event at `position` among the dead letters, and go past it in the log, in one transaction."""
        ...

    def strike(self, moment: Moment) -> None:
        """Take the person of `moment` off the agenda until something happens to them again, and write the moment down,
        which says why, in one transaction. Notes of `attempt` at the present position are forgotten.
        """
        ...

    def to_send(self, now: Instant, limit: int) -> list[Due]:
        """Messages due or to be retried at or before `now`, the earliest first."""
        ...

    def next_send(self) -> Instant | None:
        """The earliest instant at which a message is due or to be tried again."""
        ...

    def mark(self, sends: Sequence[Due], moments: Sequence[Moment]) -> None:
        """Write how far these messages are (status, reason, instants, channel, attempt), in one transaction.

        On return it is on disk, even should the power fail. A message that is not there stays away.
        """
        ...

    def in_flight(self) -> list[Due]:
        """Messages that were handed to a channel by a process that did not live to note the answer."""
        ...

    def everybody(self, after: str, limit: int) -> list[Profile]:
        """At most `limit` profiles in order of their ids, from the first after `after`."""
        ...

    def fitted(self) -> tuple[frozenset[str], str]:
        """What the profiles are fitted to: keys of activities, and the version of the segments."""
        ...

    def refit(self, outcome: Outcome) -> None:
        """Write profiles and memberships, in one transaction, and stay where we are in the log."""
        ...

    def note_fitted(self, activities: Sequence[str], segments: str) -> None:
        """The profiles are fitted to exactly these."""
        ...

    def close(self) -> None: ...


def decide(arrivals: Sequence[Arrival], loaded: Loaded, rulebook: Rulebook, now: Instant) -> Outcome:
    """What follows from these events and from time passing until `now`.

    `loaded` holds every profile that the events name and every one whose `wake_at` is at or before `now`. What is due
    at an instant happens before an event of the same instant.
    """
    run = _Run(loaded, rulebook, now)
    for arrival in arrivals:
        run.pass_time(arrival.at)
        run.arrive(arrival)
    run.pass_time(now)
    return run.outcome()


class _Run:
    """One call of `decide`."""

    def __init__(self, loaded: Loaded, rulebook: Rulebook, now: Instant) -> None:
        self.people = People(loaded)
        self.rulebook = rulebook
        self.now = now
        self.sends: dict[str, Due] = {}
        self.moments: list[Moment] = []
        self.repeats = 0
        self.agenda = [
            (profile.wake_at, profile.id)
            for profile in loaded.profiles.values()
            if profile.wake_at is not None and profile.wake_at <= now
        ]
        heapq.heapify(self.agenda)

    # Time and events.

    def pass_time(self, until: Instant) -> None:
        """Do what is due up to and including `until`, in order of time."""
        while self.agenda and self.agenda[0][0] <= until:
            at, profile_id = heapq.heappop(self.agenda)
            if profile_id in self.people.merged:
                continue
            known = self.people.changed.get(profile_id) or self.people.loaded.profiles[profile_id]
            if known.wake_at == at:
                self.wake(self.people.take(profile_id), at)

    def arrive(self, arrival: Arrival) -> None:
        event = arrival.event
        if self.people.have_seen(event):
            self.repeats += 1
            return
        merges_before = len(self.people.merged)
        profile = self.people.who(event, arrival.position, arrival.at)
        if profile is None:
            return
        if len(self.people.merged) > merges_before:
            self.note_merges(profile, event, arrival.at)
        remember(profile, event.message_id)
        body = {"event": event.name}
        if event.kind == "feedback":
            body["send"] = str(event.properties.get("send_id", ""))
        self.note(profile, arrival.at, "event", body, arrival.position)
        self.happen(profile, arrival.at, deque([(event, 0)]))
        self.rearm(profile)

    def wake(self, profile: Profile, at: Instant) -> None:
        """Time has passed: segments may change, waits may end."""
        cause = Event(kind="derived", name="time", message_id=f"time:{profile.id}:{at}", timestamp=at)
        following: Following = deque()
        self.settle(profile, at, cause, 0, following, ())
        due = [wait for wait in profile.waits if wait.due_at <= at]
        profile.waits = [wait for wait in profile.waits if wait.due_at > at]
        for wait in sorted(due, key=lambda wait: wait.due_at):
            self.end_wait(profile, wait, at, following)
        self.happen(profile, at, following)
        self.rearm(profile)

    def rearm(self, profile: Profile) -> None:
        wake_at = profile.wake_at
        if wake_at is not None and wake_at <= self.now:
            heapq.heappush(self.agenda, (wake_at, profile.id))

    def happen(self, profile: Profile, at: Instant, following: Following) -> None:
        """Let events happen to a person: fold, segments, rules; then whatever followed from them."""
        happened = 0
        while following:
            event, depth = following.popleft()
            happened += 1
            if depth > CHAIN_LIMIT or happened > FOLLOWERS_LIMIT:
                body = {"outcome": "stopped", "event": event.name, "reason": "too many events followed from one"}
                self.note(profile, at, "decision", body)
                return
            self.cancel_waits(profile, event, at)
            counted = self.rulebook.counts(event.name)
            did_more = fold(profile, event, counted, at)
            self.settle(profile, at, event, depth, following, None if did_more else counted)
            for rule in self.rulebook.match(self.view(profile, at, event)):
                self.fire(profile, rule, event, at, depth, following)

    def settle(
        self,
        profile: Profile,
        at: Instant,
        cause: Event,
        depth: int,
        following: Following,
        counted: Collection[Activity] | None = None,
    ) -> None:
        """Bring the segments up to date (segments.py); entering and leaving are events, as old as what caused them."""
        for change in self.rulebook.segments.settle(profile, at, self.rulebook.zones, counted):
            self.note(profile, at, "segment", {"segment": change.segment, "change": change.what})
            event = Event(
                kind="derived",
                name=f"segment.{change.what}",
                message_id=f"{cause.message_id}/{change.what}:{change.segment}@{at}",
                timestamp=cause.timestamp,
                properties={"segment": change.segment},
            )
            following.append((event, depth + 1))

    # Rules.

    def fire(self, profile: Profile, rule: Rule, event: Event, at: Instant, depth: int, following: Following) -> None:
        """A rule's event came and its condition held: act now, or wait."""
        ruleset = self.rulebook.ruleset(rule.ruleset)
        if at - event.timestamp > ruleset.max_age:
            reason = f"the event is older than {say_duration(ruleset.max_age)}"
            return self.note_decision(profile, rule, event, at, "skipped", reason)
        sends = [send_id(profile, rule, place, event) for place, _ in enumerate(rule.sends)]
        if not rule.wait:
            self.note_decision(profile, rule, event, at, "acted", "", rule.when)
            return self.act(profile, rule, event, at, sends, None, depth, following)
        waiting = waits_of(profile, rule, whole_set=ruleset.mode == "first")
        if waiting and rule.while_waiting == "keep":
            return self.note_decision(profile, rule, event, at, "skipped", "already waiting in this rule")
        if waiting and rule.while_waiting == "restart":
            for wait in waiting:
                self.drop_wait(profile, wait, at, f"started again by a newer {event.name}")
        if len(profile.waits) >= WAIT_LIMIT:
            return self.note_decision(profile, rule, event, at, "skipped", _TOO_MANY_WAITS)
        wait = Wait(at + rule.wait, rule.ruleset, rule.name, event, sends)
        profile.waits.append(wait)
        self.note_decision(profile, rule, event, at, "waiting", f"until {to_iso(wait.due_at)}", rule.when)
        reason = f"waits {say_duration(rule.wait)}"
        for send, identifier in zip(rule.sends, sends, strict=True):
            self.write(profile, rule, send, identifier, at, "scheduled", reason, wait.due_at)
        return None

    def cancel_waits(self, profile: Profile, event: Event, at: Instant) -> None:
        """End the waits that this event is the `unless` of."""
        for wait in list(profile.waits):
            rule = self.rulebook.rule(wait.ruleset, wait.rule)
            if rule is not None and event.name in rule.unless:
                self.drop_wait(profile, wait, at, f"{event.name} happened meanwhile")

    def drop_wait(self, profile: Profile, wait: Wait, at: Instant, reason: str) -> None:
        profile.waits.remove(wait)
        self.skip(profile, wait, at, reason)

    def end_wait(self, profile: Profile, wait: Wait, at: Instant, following: Following) -> None:
        """A wait is over: still true? Then act."""
        rule = self.rulebook.rule(wait.ruleset, wait.rule)
        if rule is None or len(rule.sends) != len(wait.sends):
            return self.skip(profile, wait, at, "the rule was removed or changed meanwhile")
        if rule.when is not None:
            view = self.view(profile, at, wait.trigger)
            if not rule.when.holds(view):
                failed = first_failed(explain(rule.when.root, view))
                return self.skip(profile, wait, at, f"no longer true: {failed}")
        self.act(profile, rule, wait.trigger, at, wait.sends, wait.only, 0, following)
        return None

    def skip(self, profile: Profile, wait: Wait, at: Instant, reason: str) -> None:
        """Nothing will come of a wait's messages."""
        rule = self.rulebook.rule(wait.ruleset, wait.rule)
        for place, identifier in enumerate(wait.sends):
            if wait.only is None or wait.only == place:
                template = rule.sends[place] if rule is not None and place < len(rule.sends) else None
                self.write(profile, rule or wait, template, identifier, at, "skipped", reason, wait.due_at)

    def act(
        self,
        profile: Profile,
        rule: Rule,
        event: Event,
        at: Instant,
        sends: Sequence[str],
        only: int | None,
        depth: int,
        following: Following,
    ) -> None:
        """Carry out a rule's actions in order; `only` names the single send that was held back."""
        place = -1
        for action in rule.actions:
            if isinstance(action, Send):
                place += 1
                if only is None or only == place:
                    self.offer(profile, rule, action, place, sends, event, at)
            elif only is None:
                view = self.view(profile, at, event)
                if isinstance(action, Set):
                    set_traits(profile, _worked_out(action.values, view), at)
                    self.settle(profile, at, event, depth, following)
                elif isinstance(action, Emit):
                    emitted = Event(
                        kind="derived",
                        name=action.event,
                        message_id=f"{event.message_id}/{rule.ruleset}/{rule.name}/{action.event}",
                        timestamp=event.timestamp,
                        properties=_worked_out(action.properties, view),
                        context=event.context,
                    )
                    self.note(profile, at, "event", {"event": action.event, "by": f"{rule.ruleset} / {rule.name}"})
                    following.append((emitted, depth + 1))

    def offer(
        self, profile: Profile, rule: Rule, send: Send, place: int, sends: Sequence[str], event: Event, at: Instant
    ) -> None:
        """Ask whether a message may leave, and write down the answer."""
        verdict = decisions.weigh(profile, rule, send, self.rulebook.policy, self.rulebook.zones, at)
        match verdict.what:
            case "go":
                decisions.note_sent(profile, rule, send, at, SENT_LIMIT)
                self.write(profile, rule, send, sends[place], at, "due", "", at, event)
            case "skip":
                self.write(profile, rule, send, sends[place], at, "skipped", verdict.reason, at)
            case "hold" if len(profile.waits) >= WAIT_LIMIT:
                self.write(profile, rule, send, sends[place], at, "skipped", _TOO_MANY_WAITS, at)
            case "hold":
                wait = Wait(verdict.until, rule.ruleset, rule.name, event, list(sends), place)
                profile.waits.append(wait)
                self.write(profile, rule, send, sends[place], at, "scheduled", verdict.reason, verdict.until)

    # What is written down.

    def view(self, profile: Profile, at: Instant, event: Event | None) -> View:
        primary = self.rulebook.segments.primary(profile.memberships)
        return View(profile, at, self.rulebook.zones, event=event, segment=primary)

    def write(
        self,
        profile: Profile,
        rule: Rule | Wait,
        send: Send | None,
        identifier: str,
        at: Instant,
        status: Status,
        reason: str,
        due_at: Instant,
        trigger: Event | None = None,
    ) -> None:
        name = rule.name if isinstance(rule, Rule) else rule.rule
        known = self.sends.get(identifier)
        template = send.template if send else (known.template if known else "")
        due = Due(
            id=identifier,
            profile=profile.id,
            ruleset=rule.ruleset,
            rule=name,
            template=template,
            class_=send.class_ if send else "marketing",
            purpose=send.purpose if send else "",
            channel=send.channel if send else "",
            status=status,
            reason=reason,
            due_at=due_at,
            trigger=trigger,
        )
        if known is None or known.status == "scheduled":
            self.sends[identifier] = due
        body = {"send": identifier, "rule": f"{rule.ruleset} / {name}", "template": template, "status": status}
        self.note(profile, at, "send", body | ({"reason": reason} if reason else {}))

    def note_decision(
        self,
        profile: Profile,
        rule: Rule,
        event: Event,
        at: Instant,
        outcome: str,
        reason: str,
        when: Condition | None = None,
    ) -> None:
        body: dict[str, Any] = {
            "rule": f"{rule.ruleset} / {rule.name}",
            "outcome": outcome,
            "event": event.name,
            "rulebook": self.rulebook.version,
        }
        if reason:
            body["reason"] = reason
        if when is not None:
            body["because"] = findings(explain(when.root, self.view(profile, at, event)))
        self.note(profile, at, "decision", body)

    def note_merges(self, profile: Profile, event: Event, at: Instant) -> None:
        """Write down which profiles an event made part of this one. Their messages on the way are this one's now; those
        of earlier batches the store hands over.
        """
        for each in profile.merges:
            if each.message_id == event.message_id and each.at == at:
                self.note(profile, at, "merge", {"profile": each.profile, "because": each.because})
        for due in self.sends.values():
            if due.status in ("scheduled", "due"):
                due.profile = self.people.merged.get(due.profile, due.profile)

    def note(
        self,
        profile: Profile,
        at: Instant,
        kind: Literal["event", "segment", "decision", "send", "merge"],
        body: dict[str, Any],
        position: Position = 0,
    ) -> None:
        self.moments.append(Moment(profile.id, at, kind, body, position))

    def outcome(self) -> Outcome:
        people = self.people
        memberships = []
        for profile in people.changed.values():
            known = people.loaded.profiles.get(profile.id)
            before = {} if known is None else known.memberships
            after = profile.memberships
            memberships += [Membership(name, profile.id, None) for name in before if name not in after]
            memberships += [Membership(name, profile.id, at) for name, at in after.items() if before.get(name) != at]
        merged = {gone: into for gone, into in people.merged.items() if gone in people.loaded.profiles}
        return Outcome(
            profiles=people.changed,
            merged=merged,
            owners=people.owners,
            memberships=memberships,
            sends=list(self.sends.values()),
            moments=self.moments,
            repeats=self.repeats,
        )


def _worked_out(values: Mapping[str, Any], view: View) -> dict[str, Any]:
    return {name: value.of(view) if isinstance(value, Computed) else value for name, value in values.items()}
