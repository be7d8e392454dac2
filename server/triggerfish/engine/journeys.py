"""Journeys: rules with steps. A person who enters one is inside it, as one of the waits of their profile, until its
last step, a goal or an exit. Goals and exits act at once: they end waits, and stop messages that no channel has yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from msgspec.structs import replace

from triggerfish.clock import say_duration, to_iso
from triggerfish.conditions import NEVER
from triggerfish.engine import firing
from triggerfish.ingest import Event
from triggerfish.profile import Wait, assigned, keep_assignment, stamp, stamped_at
from triggerfish.rules import Rule
from triggerfish.schedule import WAIT_LIMIT, send_id, share_of
from triggerfish.steps import Act, Await, Branch, Call, Emit, End, Jump, Pause, Send, Set, Split, Step, Stop, place_of

if TYPE_CHECKING:
    from triggerfish.engine.turn import Turn

HOLDOUT = "holdout"
"""The name under which a person is noted who gets none of an experiment's variants."""

Ending = Literal["reached goal", "exited"]
_ENDINGS: Mapping[str, Ending] = {"goal": "reached goal", "exit": "exited"}


def enter(turn: Turn, rule: Rule, event: Event, depth: int) -> None:
    """A journey's event came and its condition held: in, unless the person is inside already or has been lately."""
    profile, at = turn.profile, turn.at
    key = ""
    if rule.key is not None:
        value = rule.key.of(turn.view(event))
        if value is None:
            return firing.skip_rule(turn, rule, event, f"{rule.key.text} is missing")
        key = str(value)
    if any(wait.step and wait.key == key for wait in profile.waits if (wait.ruleset, wait.rule) == _names(rule)):
        return firing.skip_rule(turn, rule, event, "already inside")
    entered = stamped_at(profile, _stamp(rule, key))
    if entered is not None and rule.again != "always":
        if rule.again == "once":
            return firing.skip_rule(turn, rule, event, f"was inside before, on {to_iso(entered)}")
        if at - entered < rule.again:
            return firing.skip_rule(turn, rule, event, f"entered less than {say_duration(rule.again)} ago")
    if len(profile.waits) >= WAIT_LIMIT:
        return firing.skip_rule(turn, rule, event, firing.TOO_MANY_WAITS)
    run = Wait(
        at, rule.ruleset, rule.name, event, {}, step="0", key=key, version=rule.version if rule.is_pinned else ""
    )
    ending = _ended_by(turn, rule, run, None)
    if ending is not None:
        return firing.skip_rule(turn, rule, event, f"{ending[1]} already")
    stamp(profile, _stamp(rule, key), at)
    turn.record.decision(profile, rule, event, at, "entered", when=rule.when, view=turn.view(event))
    return _advance(turn, rule, run, 0, depth)


def resume(turn: Turn, run: Wait) -> None:
    """The instant of a run has come: its wait is over, or time may have brought what it waits for or what ends it."""
    line = turn.profile.waits.index(run)
    del turn.profile.waits[line]
    rule = _rule_of(turn, run)
    if rule is None:
        return _skip_held(turn, run, "the journey was removed or changed meanwhile")
    if (ending := _ended_by(turn, rule, run, None)) is not None:
        return _end(turn, rule, run, *ending)
    place = place_of(rule.steps, run.step)
    if place is None:
        return _end(turn, rule, run, "exited", f"step {run.step} is not there any more")
    match rule.steps[place]:
        case Await(stop=stop, otherwise=otherwise):
            if not stop.on and stop.when is not None and stop.when.holds(turn.view(run.trigger)):
                return _go_on_from(turn, rule, run, place + 1, "it came to hold", 0)
            if turn.at < run.deadline:
                return _stay(turn, rule, run, line)
            return _go_on_from(turn, rule, run, otherwise, "nothing came in time", 0)
        case Pause():
            if turn.at < run.deadline:
                return _stay(turn, rule, run, line)
            return _go_on_from(turn, rule, run, place + 1, "the wait is over", 0)
        case Act(action=Send()) if turn.at < run.deadline:
            return _stay(turn, rule, run, line)
        case _:
            return _advance(turn, rule, run, place, 0)


def hear(turn: Turn, event: Event | None, depth: int) -> None:
    """Let the runs of a person hear of an event, which may be their goal, their exit or what they wait for. None: no
    event, but traits were set.
    """
    for run in [wait for wait in turn.profile.waits if wait.step]:
        rule = _rule_of(turn, run)
        if rule is None or run not in turn.profile.waits:
            continue
        if (ending := _ended_by(turn, rule, run, event)) is not None:
            turn.profile.waits.remove(run)
            _end(turn, rule, run, *ending)
            continue
        place = place_of(rule.steps, run.step)
        step = None if place is None else rule.steps[place]
        if place is not None and isinstance(step, Await) and _stops(turn, step.stop, run, event):
            turn.profile.waits.remove(run)
            came = f"{event.name} came" if step.stop.on and event is not None else "it came to hold"
            _go_on_from(turn, rule, run, place + 1, came, depth)
        elif run.deadline and _looks(rule, step):
            # What time alone would change may have moved.
            line = turn.profile.waits.index(run)
            del turn.profile.waits[line]
            _stay(turn, rule, run, line)


def leave_twice_entered(turn: Turn, event: Event) -> None:
    """Two profiles became one: of two runs of one journey under one key, the one that began first goes on."""
    runs = sorted((wait for wait in turn.profile.waits if wait.step), key=lambda run: run.trigger.timestamp)
    known: set[tuple[str, str, str]] = set()
    for run in runs:
        name = (run.ruleset, run.rule, run.key)
        if name in known:
            turn.profile.waits.remove(run)
            _skip_held(turn, run, "the same person was inside already")
        known.add(name)


def go_on(turn: Turn, rule: Rule, step: Step, after: int, event: Event) -> int:
    """Where it goes on behind a step that only says where. `after` is the next place."""
    match step:
        case Branch(label=label, arms=arms, otherwise=otherwise):
            view = turn.view(event)
            arm = next((each for each in arms if each.when is None or each.when.holds(view)), None)
            when = None if arm is None else arm.when
            name = step.else_name if arm is None else arm.name
            _note(turn, rule, event, "branched", when=when, view=view, step=label, arm=name)
            return otherwise if arm is None else arm.to
        case Split(label=label, experiment=experiment):
            name = assigned(turn.profile, experiment) or ""
            variant = next((each for each in step.variants if each.name == name), None)
            if variant is None and name != HOLDOUT:
                variant = step.assign(share_of(turn.profile, experiment))
                name = HOLDOUT if variant is None else variant.name
                keep_assignment(turn.profile, experiment, name, turn.at)
            _note(turn, rule, event, "assigned", step=label, experiment=experiment, variant=name)
            return step.otherwise if variant is None else variant.to
        case Jump(to=to):
            return to
        case _:
            return len(rule.steps)


def _advance(turn: Turn, rule: Rule, run: Wait, place: int, depth: int) -> None:
    """Go on with a run that is not among the person's waits, until it has to wait or is over."""
    event, at = run.trigger, turn.at
    while place < len(rule.steps):
        step = rule.steps[place]
        place += 1
        match step:
            case Act(label=label, action=Send() as send):
                identifier = run.sends.get(label) or send_id(turn.profile, rule, label, event)
                before = run if run.step == label else None
                run = replace(run, sends=run.sends | {label: identifier}, round=0, offered=0, lost=0)
                held = firing.offer(turn, rule, send, identifier, event, before)
                if held is not None:
                    until, ends, offered, lost = held
                    run = replace(run, step=label, deadline=until, round=ends, offered=offered, lost=lost)
                    return _stand(turn, rule, run)
            case Act(label=label, action=Set() | Emit() | Call() as action):
                firing.act(turn, rule, action, label, event, depth)
                if (ending := _ended_by(turn, rule, run, None)) is not None:
                    return _end(turn, rule, run, *ending)
            case Pause(label=label, length=length, until=timetable):
                until = at + length if timetable is None else timetable.next(at, turn.view(event).local.zone)
                _note(turn, rule, event, "waiting", f"until {to_iso(until)}", step=label)
                return _stand(turn, rule, replace(run, step=label, deadline=until))
            case Await(label=label, stop=stop, at_most=at_most):
                if not stop.on and stop.when is not None and stop.when.holds(turn.view(event)):
                    _note(turn, rule, event, "went on", "it holds already", step=label)
                    continue
                _note(turn, rule, event, "waiting", f"until {to_iso(at + at_most)} at most", step=label)
                return _stand(turn, rule, replace(run, step=label, deadline=at + at_most))
            case End(label=label, outcome=outcome, reason=reason):
                return _note(turn, rule, event, _ENDINGS[outcome], reason, step=label)
            case _:
                place = go_on(turn, rule, step, place, event)
    return _note(turn, rule, event, "finished")


def _stand(turn: Turn, rule: Rule, run: Wait) -> None:
    """Let a run begin to wait, behind the person's other waits; unless what ends it is so by now."""
    if (ending := _ended_by(turn, rule, run, None)) is not None:
        return _end(turn, rule, run, *ending)
    return _stay(turn, rule, run, len(turn.profile.waits))


def _stay(turn: Turn, rule: Rule, run: Wait, line: int) -> None:
    """Let a run wait, in this place among the person's waits: until its deadline, or until time alone may bring what
    would end the wait.
    """
    due_at = run.deadline
    place = place_of(rule.steps, run.step)
    step = None if place is None else rule.steps[place]
    for stop in (*rule.goals, *rule.exits, *([step.stop] if isinstance(step, Await) else [])):
        if not stop.on and stop.when is not None:
            _, soonest = stop.when.look(turn.view(run.trigger), due_at)
            due_at = min(due_at, NEVER if soonest <= turn.at else soonest)
    turn.profile.waits.insert(line, replace(run, due_at=due_at))


def _go_on_from(turn: Turn, rule: Rule, run: Wait, place: int, reason: str, depth: int) -> None:
    _note(turn, rule, run.trigger, "went on", reason, step=run.step)
    _advance(turn, rule, run, place, depth)


def _end(turn: Turn, rule: Rule, run: Wait, outcome: Ending, reason: str) -> None:
    """A goal or an exit overtook a run: what it let go and no channel has yet does not leave."""
    _note(turn, rule, run.trigger, outcome, reason)
    for identifier in run.sends.values():
        turn.record.withdraw(turn.profile, rule, identifier, turn.at, reason)


def _skip_held(turn: Turn, run: Wait, reason: str) -> None:
    """A run is over without its rule: a message that it held does not leave."""
    for identifier in run.sends.values():
        turn.record.withdraw(turn.profile, run, identifier, turn.at, reason)


def _ended_by(turn: Turn, rule: Rule, run: Wait, event: Event | None) -> tuple[Ending, str] | None:
    """How a run ends now, if it does."""
    for stop in (*rule.goals, *rule.exits):
        if _stops(turn, stop, run, event):
            outcome = _ENDINGS["goal" if stop in rule.goals else "exit"]
            if stop.on and event is not None:
                return outcome, f"{event.name} happened"
            return outcome, "" if stop.when is None else f"true: {stop.when.text}"
    return None


def _stops(turn: Turn, stop: Stop, run: Wait, event: Event | None) -> bool:
    """An event counts that is no older than the one by which the person entered."""
    if not stop.on:
        return stop.when is not None and stop.when.holds(turn.view(run.trigger))
    if event is None or event.name not in stop.on or event.timestamp < run.trigger.timestamp:
        return False
    return stop.when is None or stop.when.holds(turn.view(event))


def _looks(rule: Rule, step: Step | None) -> bool:
    """Whether a run that stands at this step looks at conditions that time may change."""
    stops = (*rule.goals, *rule.exits, *([step.stop] if isinstance(step, Await) else []))
    return any(not stop.on for stop in stops)


def _rule_of(turn: Turn, run: Wait) -> Rule | None:
    rule = turn.rulebook.rule_of(run)
    return rule if rule is not None and rule.is_journey else None


def _names(rule: Rule) -> tuple[str, str]:
    return rule.ruleset, rule.name


def _stamp(rule: Rule, key: str) -> str:
    return f"entered {rule.full_name} {key}"


def _note(turn: Turn, rule: Rule, event: Event, outcome: str, reason: str = "", **more: Any) -> None:
    turn.record.decision(turn.profile, rule, event, turn.at, outcome, reason, **more)
