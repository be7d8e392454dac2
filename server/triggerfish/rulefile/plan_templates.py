"""Templates held against the tracking plan: what nobody plans, and what may be missing and has no fallback."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from msgspec.structs import replace

from triggerfish.plan import Plan
from triggerfish.rulefile.plan_types import fields_of
from triggerfish.rulefile.problems import Problem, nearest, quote
from triggerfish.rules import Rulebook


class Reading(Protocol):
    """Something that a template reads: `traits.name` or `event.name`. `place` is a problem without a sentence."""

    @property
    def root(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def is_needed(self) -> bool: ...
    @property
    def place(self) -> Problem: ...


Samples = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""By template, the traits and event of its sample person."""


def check_readings(
    rulebook: Rulebook, readings: Mapping[str, Iterable[Reading]], samples: Samples | None = None
) -> list[Problem]:
    """Warnings about what templates (by name) read. Properties are held against the plan when every event that can
    bring the message about has its properties planned, traits when any are; all else against the sample person.
    """
    plan = rulebook.plan
    causes = _causes(rulebook)
    found: list[Problem] = []
    for template, reads in readings.items():
        names = causes.get(template, ())
        for read in reads:
            fields = plan.traits or None if read.root == "traits" else fields_of(plan, list(names or ()))
            if read.root == "traits" and read.name in _SHIPPED:
                continue
            if fields is None:
                sample = (samples or {}).get(template)
                if sample is not None and read.is_needed and read.name not in sample[read.root]:
                    sentence = f"{read.root}.{read.name} has no fallback, and the sample person has none either"
                    found.append(_warning(read, "TF608", sentence, f"{_fallback(read)}; or into sample.yaml"))
                continue
            whose = "" if read.root == "traits" else f" of {' and '.join(map(quote, sorted(names or ())))}"
            kind = "trait" if read.root == "traits" else "property"
            if read.name not in fields:
                sentence = f"no {kind} {quote(read.name)}{whose} is planned"
                found.append(_warning(read, "TF607", sentence, nearest(read.name, fields) or "add it to the plan"))
            elif read.is_needed and not _is_sure(plan, read, names):
                sentence = f"{read.root}.{read.name} may be missing, and then the message does not leave"
                found.append(_warning(read, "TF608", sentence, _fallback(read)))
    return list(dict.fromkeys(found))


_SHIPPED = frozenset({"email"})
"""Without it there is no message."""


def _fallback(read: Reading) -> str:
    return f'give it a fallback:  | default: "…"  ; or put it into {{% if {read.root}.{read.name} %}}'


def _is_sure(plan: Plan, read: Reading, names: Iterable[str] | None) -> bool:
    """Whether it is always there, by the plan."""
    if read.root == "traits":
        return plan.traits[read.name].required
    own = [plan.events[name].properties for name in names or () if name in plan.events]
    return all(read.name in fields and fields[read.name].required for fields in own)


def _warning(read: Reading, code: str, sentence: str, hint: str) -> Problem:
    return replace(read.place, code=code, sentence=sentence, hint=hint, is_warning=True)


def _causes(rulebook: Rulebook) -> dict[str, set[str] | None]:
    """By template, the events that can bring it about; None when the calendar can."""
    causes: dict[str, set[str] | None] = {}
    for ruleset in rulebook.rulesets:
        for rule in ruleset.rules:
            for send in rule.sends:
                known = causes.setdefault(send.template, set())
                if rule.schedule is not None or known is None:
                    causes[send.template] = None
                else:
                    known.update(rule.on)
    return causes
