"""Walking the forms of a rule: its actions and steps, however deep they stand in branches and experiments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from triggerfish.rulefile.format import ActionForm, RuleForm, StepForm, StopForm, Stops
from triggerfish.rulefile.marks import Path

VERBS = ("send", "set", "emit", "call", "split")
"""What an action may be."""
STEP_VERBS = (*VERBS, "wait", "wait_until", "branch", "goal", "exit")
"""What a step of a journey may be."""


def actions_of(rule: RuleForm, path: Path) -> Iterator[tuple[Path, ActionForm]]:
    """Every action or step of a rule, in the order in which they are written, with its path."""
    yield from _within(rule.then or (), (*path, "then"))
    yield from _within(rule.steps or (), (*path, "steps"))


def _within(forms: Sequence[ActionForm], path: Path) -> Iterator[tuple[Path, ActionForm]]:
    for place, form in enumerate(forms):
        here = (*path, place)
        yield here, form
        if form.split is not None:
            for number, variant in enumerate(form.split.variants):
                yield from _within(variant.steps, (*here, "split", "variants", number, "steps"))
        if isinstance(form, StepForm):
            if form.wait_until is not None:
                yield from _within(form.wait_until.otherwise, (*here, "wait_until", "otherwise"))
            for number, arm in enumerate(form.branch or ()):
                yield from _within(arm.steps, (*here, "branch", number, "steps"))


def stops_of(given: Stops, path: Path) -> Iterator[tuple[Path, Path, StopForm]]:
    """What stands under `goal` or `exit`, each as a form of its own, with its path and that of its events."""
    if isinstance(given, list):
        for place, each in enumerate(given):
            yield from stops_of(each, (*path, place))
    elif isinstance(given, str):
        yield path, path, StopForm(on=given)
    elif given is not None:
        yield path, (*path, "on"), given


def events_of(rule: RuleForm, path: Path) -> Iterator[tuple[Path, str]]:
    """Every event that a rule listens to, with its path; not what the calendar brings."""
    if not is_by_calendar(rule):
        yield from _names(rule.on, (*path, "on"))
    yield from _names(rule.unless, (*path, "unless"))
    for key, given in (("goal", rule.goal), ("exit", rule.exit)):
        for _, place, stop in stops_of(given, (*path, key)):
            yield from _names(stop.on, place)
    for place, form in actions_of(rule, path):
        if isinstance(form, StepForm) and form.wait_until is not None:
            yield from _names(form.wait_until.on, (*place, "wait_until", "on"))


def is_by_calendar(rule: RuleForm) -> bool:
    """Whether the calendar wakes a rule: `on: schedule monday 09:00`, `on: date traits.birthday`."""
    return isinstance(rule.on, str) and rule.on.startswith(("schedule ", "date "))


def _names(given: str | list[str] | None, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(given, str):
        yield path, given
    else:
        for place, name in enumerate(given or ()):
            yield (*path, place), name
