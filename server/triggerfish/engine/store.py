"""The StateStore port: where outcomes are kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from triggerfish.blast import Alarm, Traffic
from triggerfish.clock import Instant
from triggerfish.engine.outcome import Moment, Outcome
from triggerfish.instructions import Given, Held, Suppression
from triggerfish.log import Position
from triggerfish.people import Loaded
from triggerfish.profile import Claim, Profile, Sent
from triggerfish.rules import Fitting
from triggerfish.schedule import Due


class StateStore(Protocol):
    """Where outcomes are kept. `tests/contracts/state_store.py` says what every adapter must do."""

    @property
    def trouble(self) -> str:
        """Why nothing can be written just now, for people; empty when all is well."""
        ...

    def position(self) -> tuple[Position, Instant]:
        """The log position up to which events are decided, and the instant up to which the agenda is."""
        ...

    def load(self, claims: Sequence[Claim], ids: Sequence[str]) -> Loaded:
        """The owners of these names, and the profiles that they and `ids` name."""
        ...

    def owners_of(self, claims: Sequence[Claim]) -> Mapping[Claim, str]:
        """The owners of these names, without their profiles."""
        ...

    def agenda(self, until: Instant, limit: int) -> list[tuple[Instant, str]]:
        """The profiles that need attention at or before `until`, the earliest first: (instant, profile id)."""
        ...

    def next_due(self) -> Instant | None:
        """The earliest instant on the agenda."""
        ...

    def commit(self, outcome: Outcome, position: Position, until: Instant) -> None:
        """All of it or nothing, with the position in the log and the instant of the agenda that it takes us to.

        A send that is due, or further, is the sender's: deciding it again does not change it. A withdrawal skips one
        that no channel has yet; else its moment is not written. Of a profile that is gone, the sends on their way
        go to the one that took it in; its timeline stays under its own id. Instructions are carried out in order: a
        suppression for anything but a hard bounce does not replace one for that.
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

    def lanes(self) -> Mapping[str, Instant]:
        """The lanes in which messages stand that are due or to be retried, now or later, each with its earliest
        instant.
        """
        ...

    def to_send(self, now: Instant, limit: int, lanes: Mapping[str, int | None] | None = None) -> list[Due]:
        """Messages due or to be retried at or before `now`: the earliest first, of one instant by priority. With
        `lanes` those only, and of each at most so many.
        """
        ...

    def handed_over(self, profiles: Collection[str], since: Instant) -> Mapping[str, Sequence[Sent]]:
        """The messages that were handed over to a channel after `since`, and that it has or may have, by profile, each
        with the instant of its last attempt.
        """
        ...

    def handed_on(self, channel: str, day: int) -> int:
        """How many messages were handed to a channel on a day (days since 1970, UTC), every attempt counted."""
        ...

    def traffic(self, ruleset: str, rule: str, at: Instant) -> Traffic:
        """What a rule handed over, and what people made of it, as of `at`. Marketing only."""
        ...

    def waiting(self, ruleset: str, rule: str, since: Instant, most: int) -> int:
        """How many messages of a rule wait that fall due within an hour from `since`, counted up to `most`."""
        ...

    def alarm(self, held: Held, cause: Alarm) -> None:
        """Hold a rule, and remember why, in one transaction. It is on disk on return, as with `mark`."""
        ...

    def calls_due(self, now: Instant) -> list[str]:
        """The names of those actions that have calls due or to be retried at or before `now`."""
        ...

    def to_call(self, action: str, now: Instant, limit: int) -> list[Due]:
        """As `to_send`, the calls of one action."""
        ...

    def next_send(self) -> Instant | None:
        """The earliest instant at which a message or a call is due or to be tried again."""
        ...

    def next_call(self) -> Instant | None:
        """The earliest instant at which a call is due or to be tried again."""
        ...

    def mark(self, sends: Sequence[Due], moments: Sequence[Moment], given: Sequence[Given] = ()) -> None:
        """Write how far these messages are (status, reason, instants, channel, lane, attempt), and these moments, in
        one transaction; what follows from it (`given`) is carried out. Those that are "sending" count as handed over.

        On return it is on disk, even should the power fail. A message that is not there stays away.
        """
        ...

    def in_flight(self) -> list[Due]:
        """Messages that were handed to a channel by a process that did not live to note the answer."""
        ...

    def suppressed(self, addresses: Collection[str]) -> Mapping[str, Sequence[Suppression]]:
        """The lines of the suppression list that concern these addresses, their domains' included; by address as it is
        given, those that none concerns left out.
        """
        ...

    def holds(self) -> Sequence[Held]:
        """The rules and rule sets that are held, the oldest first."""
        ...

    def everybody(self, after: str, limit: int) -> list[Profile]:
        """At most `limit` profiles in order of their ids, from the first after `after`."""
        ...

    def fitted(self) -> Fitting:
        """What the profiles are fitted to, every one of them."""
        ...

    def refit(self, outcome: Outcome) -> None:
        """Write profiles and memberships, in one transaction, and stay where we are in the log."""
        ...

    def note_fitted(self, fitting: Fitting) -> None:
        """The profiles are fitted to exactly this. On return it is on disk, even should the power fail."""
        ...

    def close(self) -> None: ...
