"""What an edit means for people who are inside a journey now: told before it goes live."""

from __future__ import annotations

from collections.abc import Sequence

from triggerfish.rulefile.problems import quote
from triggerfish.rules import Rule, Rulebook
from triggerfish.steps import Act, Await, Pause, Send, Steps, place_of


def effects_of_edit(live: Rulebook, edited: Rulebook) -> list[str]:
    """A sentence for each journey of the live rulebook that the edited one says otherwise, or not at all."""
    told = []
    for ruleset in live.rulesets:
        for before in ruleset.rules:
            if before.is_journey:
                after = edited.rule(before.ruleset, before.name)
                if after is None or after.version != before.version:
                    told.append(_effect(before, after))
    return told


def effects_of_edits(rulebook: Rulebook) -> list[str]:
    """A sentence for each journey: what an edit would mean for those who are inside."""
    journeys = [rule for ruleset in rulebook.rulesets for rule in ruleset.rules if rule.is_journey]
    return [
        f"{_name(rule)}: people inside "
        + ("keep to the steps that they entered with (in_flight: pin)" if rule.is_pinned else "follow every edit")
        for rule in journeys
    ]


def _name(rule: Rule) -> str:
    return f"journey {quote(rule.name)} of rule set {quote(rule.ruleset)}"


def _effect(before: Rule, after: Rule | None) -> str:
    """What becomes of those who entered by the one, once the other is live."""
    name = _name(before)
    if after is None and before.is_pinned:
        return f"{name} is no more: people inside go on by the steps that they entered with (in_flight: pin)"
    if after is None or not after.is_journey:
        return f"{name} is no more: people inside leave it without what was still to come"
    if before.is_pinned and after.is_pinned:
        return f"{name} has changed: people inside keep to the steps that they entered with (in_flight: pin)"
    gone = [label for label in _stays(before.steps) if place_of(after.steps, label) is None]
    if not gone:
        return f"{name} has changed: people inside go on by the new steps from where they are"
    steps = f"step {_listed(gone)}, which is gone" if len(gone) == 1 else f"steps {_listed(gone)}, which are gone"
    return f"{name} has changed: people inside go on by the new steps; those at {steps}, leave"


def _stays(steps: Steps) -> list[str]:
    """The labels of the steps at which people wait; a message waits for quiet hours to end."""
    return [
        step.label
        for step in steps
        if isinstance(step, Pause | Await) or (isinstance(step, Act) and isinstance(step.action, Send))
    ]


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(quote(label) for label in labels)
