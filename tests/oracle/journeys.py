"""The oracle's journeys (docs/rules.md, Journeys). A run keeps its place as a pile of lists of steps: the one it is in,
and below it those to which it comes back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from oracle.language import holds, value
from oracle.people import Person, Run, Told
from oracle.rules import Rule, Table
from oracle.times import next_time

if TYPE_CHECKING:
    from oracle.world import Oracle


def enter(oracle: Oracle, person: Person, rule: Rule, event: Told, at: int, links: int) -> None:
    """A journey's event came and its condition held."""

    def skip(why: str) -> None:
        oracle.decide(person, rule, event, at, "skipped", why)

    key = ""
    if rule.key is not None:
        told = value(rule.key, oracle.scene(person, at, event))
        if told is None:
            return skip("key")
        key = str(told)
    if any(isinstance(run, Run) and run.rule is rule and run.key == key for run in person.waits):
        return skip("inside")
    entered = person.entered.get((rule.full_name, key))
    if entered is not None and rule.again == "once":
        return skip("once")
    if entered is not None and isinstance(rule.again, int) and at - entered < rule.again:
        return skip("again")
    if len(person.waits) >= oracle.most_waits:
        return skip("limit")
    run = Run(rule, event, key, [[rule.steps, 0]])
    if ending(oracle, person, run, None, at) is not None:
        return skip("ended")
    person.entered[rule.full_name, key] = at
    oracle.decide(person, rule, event, at, "entered")
    return go_on(oracle, person, run, at, links)


def is_due(oracle: Oracle, person: Person, run: Run, at: int, segments: list[str]) -> bool:
    """Whether a run is looked at because of time: its own is over, or time alone brought what it looks for. What
    segments brought is heard of when the event of the segment happens.
    """
    step = run.step
    stops = [*run.rule.goals, *run.rule.exits, *([step["wait_until"]] if "wait_until" in step else [])]
    scene = oracle.scene(person, at, run.trigger, segments)
    return run.deadline <= at or any(not stop["on"] and holds(stop["when"], scene) for stop in stops)


def resume(oracle: Oracle, person: Person, run: Run, at: int) -> None:
    """Time has come for a run that waits."""
    over = ending(oracle, person, run, None, at)
    if over is not None:
        return end(oracle, person, run, at, *over)
    step = run.step
    if "wait_until" in step and met(oracle, person, step["wait_until"], run, None, at):
        return leave_step(oracle, person, run, at, "held", 0)
    if at < run.deadline:
        return None
    if "wait_until" in step:
        return leave_step(oracle, person, run, at, "late", 0, step["wait_until"]["otherwise"])
    if "wait" in step:
        return leave_step(oracle, person, run, at, "over", 0)
    person.waits.remove(run)
    return go_on(oracle, person, run, at, 0)


def hear(oracle: Oracle, person: Person, event: Told | None, at: int, links: int) -> None:
    """An event may be what a run waits for, or what ends it. None: traits were set."""
    for run in [wait for wait in person.waits if isinstance(wait, Run)]:
        if run not in person.waits:
            continue
        over = ending(oracle, person, run, event, at)
        if over is not None:
            end(oracle, person, run, at, *over)
        elif "wait_until" in run.step and met(oracle, person, run.step["wait_until"], run, event, at):
            leave_step(oracle, person, run, at, "came" if run.step["wait_until"]["on"] else "held", links)


def met(oracle: Oracle, person: Person, stop: Table, run: Run, event: Told | None, at: int) -> bool:
    """Whether what is waited for, or what ends a run, is so."""
    if not stop["on"]:
        return holds(stop["when"], oracle.scene(person, at, run.trigger))
    if event is None or event.name not in stop["on"] or event.at < run.trigger.at:
        return False
    return stop["when"] is None or holds(stop["when"], oracle.scene(person, at, event))


def ending(oracle: Oracle, person: Person, run: Run, event: Told | None, at: int) -> tuple[str, str] | None:
    for outcome, stops in (("reached goal", run.rule.goals), ("exited", run.rule.exits)):
        for stop in stops:
            if met(oracle, person, stop, run, event, at):
                return outcome, "happened" if stop["on"] else "true"
    return None


def end(oracle: Oracle, person: Person, run: Run, at: int, outcome: str, why: str) -> None:
    """A goal or an exit: messages that are not on their way yet do not leave."""
    if run in person.waits:
        person.waits.remove(run)
    oracle.decide(person, run.rule, run.trigger, at, outcome, why)
    oracle.withdraw(person, run, at)


def leave_step(
    oracle: Oracle, person: Person, run: Run, at: int, why: str, links: int, otherwise: list[Table] | None = None
) -> None:
    """A wait is over: on, through the steps of `otherwise` if there are any."""
    person.waits.remove(run)
    oracle.decide(person, run.rule, run.trigger, at, "went on", why, run.step["label"])
    run.pile[-1][1] += 1
    if otherwise:
        run.pile.append([otherwise, 0])
    go_on(oracle, person, run, at, links)


def go_on(oracle: Oracle, person: Person, run: Run, at: int, links: int) -> None:
    """Step by step, until the run waits or is over."""
    event, rule = run.trigger, run.rule
    while run.pile:
        steps, place = run.pile[-1]
        if place == len(steps):
            run.pile.pop()
            continue
        step, label = steps[place], steps[place]["label"]
        if "send" in step:
            send = run.sends.setdefault(label, oracle.send_id(person, rule, label, event))
            lost, run.lost, run.round = run.lost, 0, 0
            held = oracle.offer(person, rule, step, send, event, at, lost)
            if held is not None:
                run.deadline, run.round, run.lost = held
                return stand(oracle, person, run, at)
        elif "wait" in step:
            if isinstance(step["wait"], int):
                run.deadline = at + step["wait"]
            else:
                run.deadline = next_time(at, step["wait"], oracle.zone(person))
            oracle.decide(person, rule, event, at, "waiting", "", label)
            return stand(oracle, person, run, at)
        elif "wait_until" in step:
            if not step["wait_until"]["on"] and met(oracle, person, step["wait_until"], run, None, at):
                oracle.decide(person, rule, event, at, "went on", "already", label)
            else:
                run.deadline = at + step["wait_until"]["at_most"]
                oracle.decide(person, rule, event, at, "waiting", "", label)
                return stand(oracle, person, run, at)
        elif "goal" in step or "exit" in step:
            outcome = "reached goal" if "goal" in step else "exited"
            return oracle.decide(person, rule, event, at, outcome, step.get("goal", step.get("exit")), label)
        run.pile[-1][1] += 1
        if "branch" in step:
            scene = oracle.scene(person, at, event)
            arms = [arm for arm in step["branch"] if arm["when"] is None or holds(arm["when"], scene)]
            oracle.decide(person, rule, event, at, "branched", "", label, arms[0]["name"] if arms else "else")
            run.pile += [[arms[0]["steps"], 0]] if arms else []
        elif "split" in step:
            run.pile.append([oracle.split(person, rule, step, event, at), 0])
        elif "set" in step or "emit" in step:
            oracle.do(person, rule, step, event, at, links)
            over = ending(oracle, person, run, None, at)
            if over is not None:
                return end(oracle, person, run, at, *over)
    return oracle.decide(person, rule, event, at, "finished")


def stand(oracle: Oracle, person: Person, run: Run, at: int) -> None:
    """From now on the run waits, behind all others; unless what ends it is so by now."""
    over = ending(oracle, person, run, None, at)
    if over is not None:
        return end(oracle, person, run, at, *over)
    person.waits.append(run)
    return None


def unite(oracle: Oracle, person: Person, at: int) -> None:
    """Two people became one: of two runs of a journey under one key, that which the older event began stays."""
    runs = sorted((wait for wait in person.waits if isinstance(wait, Run)), key=lambda run: run.trigger.at)
    known: set[tuple[str, str]] = set()
    for run in runs:
        name = (run.rule.full_name, run.key)
        if name in known:
            person.waits.remove(run)
            oracle.withdraw(person, run, at)
        known.add(name)
