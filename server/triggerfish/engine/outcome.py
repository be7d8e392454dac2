"""What goes into `decide` and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from triggerfish.clock import Instant
from triggerfish.ingest import Event
from triggerfish.instructions import Given, Resolve
from triggerfish.log import Position
from triggerfish.profile import Claim, Profile
from triggerfish.schedule import Due

Kind = Literal["event", "segment", "decision", "send", "merge"]


class Arrival(Struct, frozen=True, gc=False):
    """An event on its way in. `at` is the instant at which the log took it: the `now` of everything that it causes."""

    position: Position
    at: Instant
    event: Event


class Moment(Struct, frozen=True, gc=False):
    """A line of a person's timeline. `position` is the event's place in the log, for events that are there."""

    profile: str
    at: Instant
    kind: Kind
    body: dict[str, Any]
    position: Position = 0


class Membership(Struct, frozen=True, gc=False):
    """A change of the segments' member lists; `since` is None for leaving."""

    segment: str
    profile: str
    since: Instant | None


class Withdrawal(Struct, frozen=True, gc=False):
    """A message decided earlier that is not to leave any more, unless a channel has it already. `place` is that of its
    moment among the outcome's, which is true only if it was stopped in time. `profile` is whose it was then: a merge of
    the same batch may have come before, or after.
    """

    send: str
    profile: str
    reason: str
    at: Instant
    place: int


class Outcome(Struct, frozen=True):
    """What became of a batch: to be committed in one transaction with the log position that it came from.

    `profiles` are new or changed; `merged` maps profiles that are gone to the one that took them in; `owners` are names
    that changed hands; `repeats` counts events that were seen before; `instructions` are to be carried out in order;
    `hours` are to be added to what everybody's opens weigh by local hour, in thousandths.
    """

    profiles: Mapping[str, Profile]
    merged: Mapping[str, str]
    owners: Mapping[Claim, str | None]
    memberships: Sequence[Membership]
    sends: Sequence[Due]
    moments: Sequence[Moment]
    repeats: int = 0
    withdrawals: Sequence[Withdrawal] = ()
    instructions: Sequence[Given] = ()
    hours: Mapping[int, int] = {}

    def told(self, is_stopped: Callable[[Withdrawal], bool]) -> list[Moment]:
        """The moments that are true, when withdrawing stops those messages that `is_stopped` says."""
        if not self.withdrawals:
            return list(self.moments)
        untrue = {each.place for each in self.withdrawals if not is_stopped(each)}
        return [moment for place, moment in enumerate(self.moments) if place not in untrue]


def resolve(asked: Resolve, due: Due, given: Given) -> Moment | None:
    """Settle a send (a working copy) whose outcome nobody knows, as somebody says who looked; the line for the person's
    timeline. None, and nothing changes, when the outcome is known.
    """
    if due.status != "uncertain":
        return None
    due.status = "due" if asked.outcome == "again" else asked.outcome
    due.reason = f"settled by {given.by or 'hand'}"
    due.due_at = max(due.due_at, given.at) if asked.outcome == "again" else due.due_at
    due.sent_at = (due.sent_at or due.due_at) if asked.outcome == "sent" else due.sent_at
    body = {"send": due.id, "rule": f"{due.ruleset} / {due.rule}", "template": due.template, "status": due.status}
    return Moment(due.profile, given.at, "send", body | {"reason": due.reason})
