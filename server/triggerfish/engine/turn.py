"""One person at one instant: an event happens to them, their segments follow, rules fire, and so do whatever events
follow from that, until nothing follows any more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from triggerfish import consent
from triggerfish.clock import Instant
from triggerfish.conditions import View
from triggerfish.engine import firing, journeys
from triggerfish.engine.record import Record
from triggerfish.engine.rounds import Round
from triggerfish.hours import note_opening
from triggerfish.ingest import Event
from triggerfish.instructions import Given, Suppress
from triggerfish.profile import Profile, fold, hear_consent, trouble_with
from triggerfish.rules import Rulebook

CHAIN_LIMIT = 8
"""How many events may follow from one another (segment changes, `emit`) before the chain is cut."""
FOLLOWERS_LIMIT = 100
"""How many events may follow from one event in all."""


class Turn:
    """`profile` is a working copy. `since` is how old all that follows is: as the event that came; when it was time
    that passed, as old as now. `following` are events that are still to happen, and how many came before each, one
    from another. `is_moved` says that traits, time zone or segments changed: what the calendar goes by. `has_set` says
    that a rule set traits since runs of journeys were last looked at. `round` is the arbiter's that ends just now.
    """

    __slots__ = ("at", "following", "has_set", "is_moved", "profile", "record", "round", "rulebook", "since")

    def __init__(self, rulebook: Rulebook, record: Record, profile: Profile, at: Instant, since: Instant) -> None:
        self.rulebook = rulebook
        self.record = record
        self.profile = profile
        self.at = at
        self.since = since
        self.following: deque[tuple[Event, int]] = deque()
        self.is_moved = False
        self.has_set = False
        self.round: Round | None = None

    def happen(self, event: Event) -> None:
        """An event happens, and whatever follows from it."""
        self.following.append((event, 0))
        self.follow_on()

    def follow_on(self) -> None:
        """Let happen what is still to happen."""
        happened = 0
        while self.following:
            event, depth = self.following.popleft()
            happened += 1
            if depth > CHAIN_LIMIT or happened > FOLLOWERS_LIMIT:
                body = {"outcome": "stopped", "event": event.name, "reason": "too many events followed from one"}
                self.record.note(self.profile, self.at, "decision", body)
                return
            self._once(event, depth)

    def _once(self, event: Event, depth: int) -> None:
        profile, waits = self.profile, self.profile.waits
        if waits:
            firing.cancel_waits(self, event)
        counted = self.rulebook.counts(event.name)
        did_more = fold(profile, event, counted, self.at)
        if event.kind == "feedback" and (opened := note_opening(profile, event, self.rulebook.zones)) is not None:
            self.record.open(*opened)
        if event.kind != "derived":
            self.hear_of_consent(event, depth)
        self.is_moved = self.is_moved or did_more
        self.settle(event, depth, None if did_more else self.rulebook.segments.readers(counted))
        if waits:
            journeys.hear(self, event, depth)
        for rule in self.rulebook.match(self.view(event)):
            firing.fire(self, rule, event, depth)
        self.hear_of_traits(depth)

    def hear_of_consent(self, event: Event, depth: int) -> None:
        """What the person says about being written to; what changes by it are events. An address that nothing reaches,
        or whose owner complains, goes on the suppression list.
        """
        for change, purpose in hear_consent(self.profile, event, self.rulebook.policy.purposes):
            word = self.profile.consent[purpose]
            following = Event(
                kind="derived",
                name=consent.EVENTS[change],
                message_id=f"{event.message_id}/{change}:{purpose}",
                timestamp=self.since,
                properties={"purpose": purpose, "source": word.source},
            )
            self.following.append((following, depth + 1))
        trouble = trouble_with(self.profile, event) if event.kind == "feedback" else None
        if trouble is not None and trouble[1]:
            reason, address = trouble
            suppress = Suppress(address, reason=reason, note=str(event.properties.get("detail", ""))[:500])
            self.record.instructions.append(Given(suppress, self.at, by="feedback"))

    def hear_of_traits(self, depth: int) -> None:
        """Let runs of journeys look at traits that were set, and at those that they set in turn."""
        while self.has_set:
            self.has_set = False
            if self.profile.waits:
                journeys.hear(self, None, depth)

    def settle(self, cause: Event, depth: int, asked: Collection[str] | None = None) -> None:
        """Bring the segments up to date (segments.py); entering and leaving are events."""
        for change in self.rulebook.segments.settle(self.profile, self.at, self.rulebook.zones, asked):
            self.is_moved = True
            self.record.note(self.profile, self.at, "segment", {"segment": change.segment, "change": change.what})
            event = Event(
                kind="derived",
                name=f"segment.{change.what}",
                message_id=f"{cause.message_id}/{change.what}:{change.segment}@{self.at}",
                timestamp=self.since,
                properties={"segment": change.segment},
            )
            self.following.append((event, depth + 1))

    def view(self, event: Event | None) -> View:
        """What conditions look at now."""
        primary = self.rulebook.segments.primary(self.profile.memberships)
        return View(self.profile, self.at, self.rulebook.zones, event=event, segment=primary)
