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
from triggerfish.segments import Marks, either

CHAIN_LIMIT = 8
"""How many events may follow from one another (segment changes, `emit`) before the chain is cut."""
FOLLOWERS_LIMIT = 100
"""How many events may follow from one event in all."""


class Turn:
    """`profile` is a working copy. `since` is how old all that follows is: as the event that came; when it was time
    that passed, as old as now. `following` are events that are still to happen, and how many came before each, one
    from another. `is_moved` says that traits, time zone or segments changed: what the calendar goes by. `has_set` says
    that a rule set traits since runs of journeys were last looked at; `is_unsettled` that nobody knows which segments
    the person is in, who is new or was two. `round` is the arbiter's that ends just now.
    """

    __slots__ = (
        "_view", "at", "following", "has_set", "is_moved", "is_unsettled", "profile", "record", "round", "rulebook",
        "since",
    )  # fmt: skip

    def __init__(self, rulebook: Rulebook, record: Record, profile: Profile, at: Instant, since: Instant) -> None:
        self.rulebook = rulebook
        self.record = record
        self.profile = profile
        self.at = at
        self.since = since
        self.following: deque[tuple[Event, int]] = deque()
        self.is_moved = False
        self.has_set = False
        self.is_unsettled = False
        self.round: Round | None = None
        self._view: View | None = None

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
            if event.kind == "derived" and not self.profile.waits and self.rulebook.is_idle(event.name):
                self.profile.updated_at = self.at
            else:
                self._once(event, depth)

    def _once(self, event: Event, depth: int) -> None:
        profile, waits = self.profile, self.profile.waits
        if waits:
            firing.cancel_waits(self, event)
        zone, readers = profile.time_zone, self.rulebook.readers(event.name)
        changed = fold(profile, event, self.rulebook.counts(event.name), self.at)
        if event.kind == "feedback" and (opened := note_opening(profile, event, self.rulebook.zones)) is not None:
            self.record.open(*opened)
        if event.kind != "derived" and consent.may_change_it(event):
            self.hear_of_consent(event, depth)
        if changed or profile.time_zone != zone:
            self.is_moved = True
            readers = either(readers, self._readers_of(changed, has_moved=profile.time_zone != zone))
        self.settle(event, depth, None if self.is_unsettled else readers)
        self.is_unsettled = False
        if waits:
            journeys.hear(self, event, depth)
        for rule in self.rulebook.match(self.view(event)):
            firing.fire(self, rule, event, depth)
        if self.has_set:
            self.hear_of_traits(depth)

    def _readers_of(self, traits: Collection[str], *, has_moved: bool = False) -> Marks:
        """The segments that look at any of these traits and, if the person moved to another time zone, at the clock."""
        segments = self.rulebook.segments
        return either(segments.readers_of_traits(traits), segments.local if has_moved else b"")

    def hear_of_traits_set(self, traits: Collection[str], cause: Event, depth: int) -> None:
        """A rule set traits: segments look at once, runs of journeys when the rule is done."""
        self.is_moved = self.has_set = True
        self.settle(cause, depth, self._readers_of(traits))

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

    def settle(self, cause: Event, depth: int, asked: Marks | None) -> None:
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
        view, profile = self._view, self.profile
        if view is None or view.event is not event or view.segments is not profile.memberships:
            rulebook = self.rulebook
            view = View(profile, self.at, rulebook.zones, event=event, primary=rulebook.segments.primary)
            self._view = view
        return view
