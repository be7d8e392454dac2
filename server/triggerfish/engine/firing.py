"""A rule fires: act now, or wait and then ask again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from triggerfish import decisions
from triggerfish.clock import Instant, say_duration, to_iso
from triggerfish.conditions import View, explain, first_failed, made
from triggerfish.engine import journeys, rounds
from triggerfish.ingest import Event
from triggerfish.profile import Wait, set_traits
from triggerfish.rules import Rule
from triggerfish.schedule import WAIT_LIMIT, send_id, waits_of
from triggerfish.steps import Act, Call, Computed, Emit, Send, Set

if TYPE_CHECKING:
    from triggerfish.engine.turn import Turn

TOO_MANY_WAITS = f"{WAIT_LIMIT} waits are pending for this person"


def fire(turn: Turn, rule: Rule, event: Event, depth: int) -> None:
    """A rule's event came and its condition held."""
    at = turn.at
    if at - event.timestamp > rule.max_age:
        return skip_rule(turn, rule, event, f"the event is older than {say_duration(rule.max_age)}")
    if rule.is_journey:
        return journeys.enter(turn, rule, event, depth)
    if not rule.wait:
        turn.record.decision(turn.profile, rule, event, at, "acted", when=rule.when, view=turn.view(event))
        return act_all(turn, rule, event, {}, depth)
    return _begin_wait(turn, rule, event)


def skip_rule(turn: Turn, rule: Rule, event: Event, reason: str) -> None:
    """A rule's condition held, and nothing comes of it."""
    turn.record.decision(turn.profile, rule, event, turn.at, "skipped", reason)


def _begin_wait(turn: Turn, rule: Rule, event: Event) -> None:
    profile, at = turn.profile, turn.at
    waiting = waits_of(profile, rule, whole_set=turn.rulebook.ruleset(rule.ruleset).mode == "first")
    if waiting and rule.while_waiting == "keep":
        return skip_rule(turn, rule, event, "already waiting in this rule")
    if waiting and rule.while_waiting == "restart":
        for wait in waiting:
            _drop_wait(turn, wait, f"started again by a newer {event.name}")
    if len(profile.waits) >= WAIT_LIMIT:
        return skip_rule(turn, rule, event, TOO_MANY_WAITS)
    sends = {label: send_id(profile, rule, label, event) for label, _ in rule.certain_sends}
    wait = Wait(at + rule.wait, rule.ruleset, rule.name, event, sends)
    profile.waits.append(wait)
    reason = f"until {to_iso(wait.due_at)}"
    turn.record.decision(profile, rule, event, at, "waiting", reason, when=rule.when, view=turn.view(event))
    for label, send in rule.certain_sends:
        reason = f"waits {say_duration(rule.wait)}"
        turn.record.send(profile, rule, send, sends[label], at, "scheduled", reason, wait.due_at)
    return None


def cancel_waits(turn: Turn, event: Event) -> None:
    """End the waits that this event is the `unless` of, if it is no older than the event that began them."""
    for wait in list(turn.profile.waits):
        rule = turn.rulebook.rule(wait.ruleset, wait.rule)
        if rule is not None and event.name in rule.unless and event.timestamp >= wait.trigger.timestamp:
            _drop_wait(turn, wait, f"{event.name} happened meanwhile")


def _drop_wait(turn: Turn, wait: Wait, reason: str) -> None:
    turn.profile.waits.remove(wait)
    _skip_sends(turn, wait, reason)


def end_wait(turn: Turn, wait: Wait) -> None:
    """A wait is over, and no more among the person's waits: still true? Then act."""
    rule = turn.rulebook.rule(wait.ruleset, wait.rule)
    if rule is None or rule.is_journey or (wait.sends.keys() - {label for label, _ in _sends(rule)}):
        return _skip_sends(turn, wait, "the rule was removed or changed meanwhile")
    if rule.when is not None:
        view = turn.view(wait.trigger)
        if not rule.when.holds(view):
            failed = first_failed(explain(rule.when.root, view))
            return _skip_sends(turn, wait, f"no longer true: {failed}")
    if not wait.only:
        return act_all(turn, rule, wait.trigger, wait.sends, 0)
    _offer_or_hold(turn, rule, dict(_sends(rule))[wait.only], wait.only, wait.sends, wait.trigger, wait)
    return None


def _skip_sends(turn: Turn, wait: Wait, reason: str) -> None:
    """Nothing will come of a wait's messages."""
    rule = turn.rulebook.rule(wait.ruleset, wait.rule)
    sends = {} if rule is None else dict(_sends(rule))
    for label, identifier in wait.sends.items():
        if wait.only in ("", label):
            turn.record.send(
                turn.profile, rule or wait, sends.get(label), identifier, turn.at, "skipped", reason, wait.due_at
            )


def _sends(rule: Rule) -> list[tuple[str, Send]]:
    return [(step.label, step.action) for step in rule.steps if isinstance(step, Act) and isinstance(step.action, Send)]


def act_all(turn: Turn, rule: Rule, event: Event, sends: Mapping[str, str], depth: int) -> None:
    """Carry out a rule's actions in order. `sends` are the ids of messages that were announced before, by label."""
    place, steps = 0, rule.steps
    while place < len(steps):
        step = steps[place]
        place += 1
        if not isinstance(step, Act):
            place = journeys.go_on(turn, rule, step, place, event)
        elif isinstance(step.action, Send):
            _offer_or_hold(turn, rule, step.action, step.label, sends, event)
        else:
            act(turn, rule, step.action, step.label, event, depth)


def _offer_or_hold(
    turn: Turn,
    rule: Rule,
    send: Send,
    label: str,
    sends: Mapping[str, str],
    event: Event,
    before: Wait | None = None,
) -> None:
    """In a rule without steps, a message that is held holds nothing else. `before` is the wait that held it so far."""
    identifier = sends.get(label) or send_id(turn.profile, rule, label, event)
    held = offer(turn, rule, send, identifier, event, before)
    if held is not None:
        wait = Wait(
            held.until, rule.ruleset, rule.name, event, {label: identifier}, label,
            round=held.round, offered=held.offered, lost=held.lost,
        )  # fmt: skip
        turn.profile.waits.append(wait)


class Held(NamedTuple):
    """A message is held until an instant; the others are as in Wait."""

    until: Instant
    round: Instant
    offered: Instant
    lost: Instant


def offer(turn: Turn, rule: Rule, send: Send, identifier: str, event: Event, before: Wait | None = None) -> Held | None:
    """Ask whether a message may leave, and write down the answer. `before` is the wait that held it so far. Gives how
    it is held now; None when it is not.
    """
    profile, record, at = turn.profile, turn.record, turn.at
    view, policy = turn.view(event), turn.rulebook.policy
    offered, lost = (0, 0) if before is None else (before.offered, before.lost)
    asking = decisions.Asking(identifier, offered, lost, record.hours)
    verdict = decisions.weigh(profile, rule, send, policy, view, asking)
    is_marketing = send.class_ == "marketing"
    if is_marketing and (verdict.what == "go" or verdict.has_lost):
        verdict = rounds.judge(turn, rule, asking, verdict)
    match verdict.what:
        case "go":
            decisions.note_sent(profile, rule, send, view, identifier)
            record.send(profile, rule, send, identifier, at, "due", "", at, event)
            if turn.round is not None and is_marketing:
                turn.round.winners.append((rule, send, identifier))
        case "skip" if verdict.has_lost and rule.losing == "merge":
            reason, is_merged = rounds.merge(turn, rule, send, event, verdict.reason)
            if is_merged:
                decisions.note_sent(profile, rule, send, view, identifier, is_merged=True)
            record.send(profile, rule, send, identifier, at, "skipped", reason)
        case "skip":
            record.send(profile, rule, send, identifier, at, "skipped", verdict.reason)
        case "hold" if len(profile.waits) >= WAIT_LIMIT:
            record.send(profile, rule, send, identifier, at, "skipped", TOO_MANY_WAITS)
        case "hold":
            record.send(profile, rule, send, identifier, at, "scheduled", verdict.reason, verdict.until)
            ends = verdict.until if policy.arbitration is not None else 0
            return Held(verdict.until, ends, offered or at, lost or (at if verdict.has_lost else 0))
    return None


def act(turn: Turn, rule: Rule, action: Set | Emit | Call, label: str, event: Event, depth: int) -> None:
    """Carry out an action that is no message."""
    profile, at = turn.profile, turn.at
    view = turn.view(event)
    match action:
        case Set(values=values):
            # What is set to what it is changes nothing, and most rules set the same again and again.
            if changed := set_traits(profile, worked_out(values, view), at):
                turn.hear_of_traits_set(changed, event, depth)
        case Emit(event=name, properties=properties):
            emitted = Event(
                kind="derived",
                name=name,
                message_id=f"{event.message_id}/{rule.ruleset}/{rule.name}/{label}/{name}",
                timestamp=turn.since,
                properties=worked_out(properties, view),
                context=event.context,
            )
            turn.record.note(profile, at, "event", {"event": name, "by": rule.full_name})
            turn.following.append((emitted, depth + 1))
        case Call(action=name, values=values):
            identifier = send_id(profile, rule, label, event)
            turn.record.call(profile, rule, name, worked_out(values, view), identifier, at)


def worked_out(values: Mapping[str, Any | Computed], view: View) -> dict[str, Any]:
    """Values as they are now."""
    return {name: made(value.of)(view) if type(value) is Computed else value for name, value in values.items()}
