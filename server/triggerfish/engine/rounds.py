"""Rounds: the arbiter. Marketing messages that want to leave to one person within a short time wait for one another; as
their round ends, they are offered in order of priority, and so many leave as the policy lets (docs/arbitration.md).

A round ends at an instant, which every message in it holds (`Wait.round`). Whoever asks to leave joins the round that
ends soonest within the policy's window, or begins one that ends when the window is over. What is held for the hours, or
stands back, asks again in a round that ends just when it may leave: it does not wait twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from triggerfish.clock import Instant
from triggerfish.decisions import Asking, Verdict, stand_back
from triggerfish.engine import firing, journeys
from triggerfish.ingest import Event
from triggerfish.profile import Wait
from triggerfish.rules import Arbitration, Rule
from triggerfish.schedule import Merged
from triggerfish.steps import Send, place_of

if TYPE_CHECKING:
    from triggerfish.engine.turn import Turn

WAITS = "arbitration"
"""Why a message is held that waits for its round's end."""


class Round:
    """A round that ends now. `pending` are the ids of its messages; `winners` those that leave, the first one first."""

    def __init__(self, arbitration: Arbitration | None, pending: frozenset[str]) -> None:
        self.arbitration = arbitration
        self.pending = pending
        self.winners: list[tuple[Rule, Send, str]] = []

    def before(self, rule: Rule) -> tuple[Rule, str] | None:
        """Whom a message of this rule loses to, and the group that only one leaves of, if it is for that."""
        if self.arbitration is None:
            return None
        if rule.group:
            for winner, _, _ in self.winners:
                if winner.group == rule.group:
                    return winner, rule.group
        return (self.winners[-1][0], "") if len(self.winners) >= self.arbitration.most else None


def close(turn: Turn) -> None:
    """Let the round that ends now be decided: its messages ask once more whether they may leave, the best first."""
    pending = [wait for wait in turn.profile.waits if wait.round and wait.round <= turn.at]
    if not pending:
        return
    turn.round = Round(turn.rulebook.policy.arbitration, frozenset(wait.sends[_label(wait)] for wait in pending))
    for wait in sorted(pending, key=lambda wait: _order(turn, wait)):
        # One that came before may have ended this one.
        if wait in turn.profile.waits:
            end(turn, wait)
    turn.round = None


def end(turn: Turn, wait: Wait) -> None:
    """A wait's instant has come."""
    if wait.step:
        journeys.resume(turn, wait)
    else:
        turn.profile.waits.remove(wait)
        firing.end_wait(turn, wait)


def judge(turn: Turn, rule: Rule, asking: Asking, verdict: Verdict) -> Verdict:
    """What the arbiter says to a marketing message that may leave, or that only a cap holds back, as the `verdict` has
    it: wait for the others, leave, or stand back for those that came before it, which says more than the cap does.
    """
    arbitration, ending = turn.rulebook.policy.arbitration, turn.round
    if arbitration is None:
        return verdict
    if ending is None or asking.identifier not in ending.pending:
        return verdict if verdict.has_lost else Verdict("hold", WAITS, _soonest(turn, arbitration))
    lost_to = ending.before(rule)
    if lost_to is None:
        return verdict
    until = max(verdict.until, turn.at + arbitration.window)
    return stand_back(rule, _lost(turn, rule, *lost_to), until, turn.at, asking)


def merge(turn: Turn, rule: Rule, send: Send, event: Event, reason: str) -> tuple[str, bool]:
    """Let a message that lost become part of one of its round's that leave, if that one's template shows such. Gives
    the reason to note, and whether it did.
    """
    winners = [] if turn.round is None else turn.round.winners
    for winner, leaving, identifier in winners:
        if leaving.reads_also:
            part = Merged(rule.ruleset, rule.name, send.template, event.properties, send.purpose)
            turn.record.sends[identifier].also.append(part)
            return f"merged into {_name(winner)}: {reason}", True
    return f"{reason}; no template that leaves shows others" if winners else reason, False


def unite(turn: Turn) -> None:
    """Two people were one: of their rounds that end within the window, all end with the first."""
    arbitration = turn.rulebook.policy.arbitration
    waits = turn.profile.waits
    if arbitration is None:
        return
    soon = {wait.round for wait in waits if wait.round and wait.round <= turn.at + arbitration.window}
    if len(soon) < 2:
        return
    first = min(soon)
    for place, wait in enumerate(waits):
        if wait.round in soon:
            deadline = first if wait.step else wait.deadline
            waits[place] = replace(wait, due_at=min(wait.due_at, first), deadline=deadline, round=first)


def _soonest(turn: Turn, arbitration: Arbitration) -> Instant:
    """When the round ends that a message joins now. One that ends at this very instant, and is not decided yet, is open
    for what was due at this instant as well.
    """
    last = turn.at + arbitration.window
    earliest = turn.at if turn.round is None else turn.at + 1
    return min((wait.round for wait in turn.profile.waits if earliest <= wait.round <= last), default=last)


def _order(turn: Turn, wait: Wait) -> tuple[int, int, int, Instant, int]:
    """What comes first; of equals, what asked first."""
    rule = turn.rulebook.rule_of(wait)
    if rule is None:
        return 1, 0, 0, wait.trigger.timestamp, 0
    return *turn.rulebook.rank(rule), wait.trigger.timestamp, place_of(rule.steps, _label(wait)) or 0


def _label(wait: Wait) -> str:
    """The step whose message is held."""
    return wait.step or wait.only


def _name(rule: Rule) -> str:
    return f'"{rule.name}" of "{rule.ruleset}"'


def _lost(turn: Turn, rule: Rule, winner: Rule, group: str) -> str:
    (their_set, their_own, _), (our_set, our_own, _) = turn.rulebook.rank(winner), turn.rulebook.rank(rule)
    if their_set != our_set:
        why = f"rule set priority {-their_set} against {-our_set}"
    elif their_own != our_own:
        why = f"priority {-their_own} against {-our_own}"
    elif (winner.ruleset, winner.name) == (rule.ruleset, rule.name):
        why = "the first of its own"
    else:
        why = "first in the files"
    return f"lost to {_name(winner)} ({why}{f', group {group}' if group else ''})"
