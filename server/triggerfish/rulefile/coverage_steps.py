"""What tests can reach within the steps of a rule: the arms of branches, variants, waits and their time-outs, ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from triggerfish.rulefile.marks import Path
from triggerfish.rulefile.places import Site
from triggerfish.rules import Rule
from triggerfish.steps import Await, Branch, End, Split, Stop

Expected = tuple[str, str, Path, tuple[tuple[str, ...], ...]]
"""Kind, what is missing, where, and the facts (coverage_watch.Recorder) of which one is enough."""
_CAME_TO_HOLD = ("it came to hold", "it holds already")


def step_items(rule: Rule, site: Site) -> Iterator[Expected]:
    """Everything that the steps of a rule, its goals and its exits may come to."""
    name, labels = site.full_name, dict(labels_of(site))
    for step in rule.steps:
        at = labels.get(step.label, site.path)
        match step:
            case Branch(label=label, arms=arms, else_name=else_name):
                for arm in arms:
                    yield "branch", f"the arm {arm.name} is never taken", at, ((name, "arm", label, arm.name),)
                yield "branch", "one of the arms is always taken, never none", at, ((name, "arm", label, else_name),)
            case Split(label=label, variants=variants, holdout=holdout):
                names = [variant.name for variant in variants] + (["holdout"] if holdout else [])
                for variant in names:
                    yield "variant", f"nobody gets {variant}", at, ((name, "variant", label, variant),)
            case Await(label=label, stop=stop):
                came = [*(f"{event} came" for event in sorted(stop.on)), *(() if stop.on else _CAME_TO_HOLD)]
                yield (
                    "branch",
                    "what it waits for never comes",
                    at,
                    tuple((name, "went on", label, each) for each in came),
                )
                yield "branch", "it never waits in vain", at, ((name, "went on", label, "nothing came in time"),)
            case End(label=label, outcome=outcome, reason=reason):
                said = "reached goal" if outcome == "goal" else "exited"
                yield "branch", "no journey ends here", at, ((name, said, label, reason),)
    for key, ended, stops in (("goal", "reached goal", rule.goals), ("exit", "exited", rule.exits)):
        for stop in stops:
            yield from _stop_items(name, (*site.path, key), ended, stop)


def _stop_items(name: str, at: Path, outcome: str, stop: Stop) -> Iterator[Expected]:
    for event in sorted(stop.on):
        yield "rule", f"{event} never ends it", at, ((name, outcome, "", f"{event} happened"),)
    if not stop.on and stop.when is not None:
        yield "rule", f"never ends because of {stop.when.text}", at, ((name, outcome, "", f"true: {stop.when.text}"),)


def labels_of(site: Site) -> Iterator[tuple[str, Path]]:
    """The labels of a rule's steps, as steps.py gives them, with the places of the steps in the file."""
    for key in ("then", "steps"):
        yield from _labels(site.data.get(key), (*site.path, key), "")


def _labels(listed: Any, path: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    for place, step in enumerate(listed or ()):
        at: Path = (*path, place)
        label = str(step.get("name") or f"{prefix}{place + 1}")
        yield label, at
        if isinstance(step.get("wait_until"), dict):
            inner = (*at, "wait_until", "otherwise")
            yield from _labels(step["wait_until"].get("otherwise"), inner, f"{label}.otherwise.")
        for number, arm in enumerate(step.get("branch") or ()):
            name = arm.get("name") or (str(number + 1) if "when" in arm else "else")
            yield from _labels(arm.get("steps"), (*at, "branch", number, "steps"), f"{label}.{name}.")
        for number, variant in enumerate((step.get("split") or {}).get("variants") or ()):
            inner = (*at, "split", "variants", number, "steps")
            yield from _labels(variant.get("steps"), inner, f"{label}.{variant['name']}.")
