"""Findings about what rules emit: events that come back to the rule that emitted them, for ever or perhaps.

From rule to rule there is a way when the one emits an event that wakes the other, and the other's condition can hold
for the properties that the event is emitted with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from triggerfish.engine import CHAIN_LIMIT
from triggerfish.rulefile import prove_terms as terms
from triggerfish.rulefile.format import ComputedForm
from triggerfish.rulefile.forms import actions_of
from triggerfish.rulefile.marks import Path
from triggerfish.rulefile.problems import quote
from triggerfish.rulefile.prove import Prover
from triggerfish.rulefile.prove_conditions import Notes
from triggerfish.rulefile.prove_rules import Written
from triggerfish.rulefile.prove_terms import Counted
from triggerfish.rulefile.satisfy import ALWAYS, Formula, Is, both, negated, terms_of
from triggerfish.rulefile.satisfy_sets import ABSENT, EVERYTHING, OTHER, Values, compared, same

MANY = 1_000_000
"""A condition that asks for fewer events than this is a brake: it ends the circle some time."""


class Way(Struct, frozen=True):
    """From a rule to one that an event of it wakes. `is_certain`: it wakes it, whoever the person is."""

    to: int
    event: str
    path: Path
    is_certain: bool


def examine_cycles(prover: Prover, notes: Notes, rules: Sequence[Written], short_names: Mapping[str, str]) -> None:
    """Note the circles in which rules wake one another."""
    woken: dict[str, list[int]] = {}
    for number, rule in enumerate(rules):
        for name in rule.on:
            woken.setdefault(name, []).append(number)
    ways = [_ways(prover, rule, rules, woken, short_names) for rule in rules]
    _long_chains(notes, rules, ways)
    certain = [[way for way in out if way.is_certain] for out in ways]
    told: set[frozenset[int]] = set()
    for number in range(len(rules)):
        # The shortest circle through the rule, of certain ways if there is one: the rules with the ways out of them.
        circle = _walk(number, certain) or _walk(number, ways)
        members = frozenset(at for at, _ in circle)
        if not circle or members in told or _has_brake(prover, rules, circle):
            continue
        told.add(members)
        is_certain = all(way.is_certain for _, way in circle)
        steps = [f"{quote(rules[at].form.name)} emits {quote(way.event)}" for at, way in circle]
        chain = ", ".join(steps[:4]) + (", …" if len(steps) > 4 else "")
        rule, first = rules[number], circle[0][1]
        if is_certain:
            sentence = f"this goes round for ever: {chain}, which wakes {quote(rule.form.name)} again"
            notes.warn_at(rule.marks, first.path, "TF296", sentence, "give one of them a condition that ends it")
        else:
            sentence = f"this can go round and round: {chain}, which can wake {quote(rule.form.name)} again"
            event = next((short for short, name in short_names.items() if name == first.event), f'"{first.event}"')
            hint = f'put a brake on it, such as  when: count({event}, "1d") < 3'
            notes.warn_at(rule.marks, first.path, "TF297", sentence, hint)


def _long_chains(notes: Notes, rules: Sequence[Written], ways: Sequence[Sequence[Way]]) -> None:
    """Note rules that begin a chain of events longer than the engine follows. A wait begins a chain anew."""
    emits = [[path for path, action in actions_of(rule.form, rule.path) if action.emit is not None] for rule in rules]
    is_at_once = [
        not rule.form.wait and not rule.form.steps and bool(paths) for rule, paths in zip(rules, emits, strict=True)
    ]
    at_once = [out if is_now else [] for is_now, out in zip(is_at_once, ways, strict=True)]
    longest: dict[int, int] = {}

    def links(number: int, above: frozenset[int]) -> int:
        """How many events follow from one another from here on; of circles, one turn counts."""
        if number not in longest:
            inner = above | {number}
            further = [links(way.to, inner) for way in at_once[number] if way.to not in inner]
            longest[number] = is_at_once[number] + max(further, default=0)
        return longest[number]

    woken = {way.to for out in at_once for way in out}
    for number, rule in enumerate(rules):
        if number not in woken and links(number, frozenset()) > CHAIN_LIMIT:
            sentence = f"{longest[number]} events follow from this one, and a chain is cut after {CHAIN_LIMIT}"
            hint = "let one rule do what several do, or give one of them a wait"
            notes.warn_at(rule.marks, (*emits[number][0], "emit"), "TF269", sentence, hint)


def _ways(
    prover: Prover,
    rule: Written,
    rules: Sequence[Written],
    woken: Mapping[str, Sequence[int]],
    short_names: Mapping[str, str],
) -> list[Way]:
    found = []
    for path, action in actions_of(rule.form, rule.path):
        if action.emit is None:
            continue
        event = short_names.get(action.emit, action.emit) if action.emit not in woken else action.emit
        for number in woken.get(event, ()):
            other = rules[number]
            given = _given(prover, action.properties or {}, other.formula)
            if prover.is_possible(both(given, other.formula)) == "no":
                continue
            is_plain = path[-2] == "then" and rule.form.unless == [] and other.form.again in (None, "always")
            always = prover.is_possible(both(given, negated(other.formula))) == "no"
            is_certain = is_plain and always and other.file.mode == "all"
            found.append(Way(number, event, (*path, "emit"), is_certain))
    return found


def _given(prover: Prover, properties: Mapping[str, Any], formula: Formula) -> Formula:
    """What the emitted event's properties are known to be, as far as the formula asks for them."""
    known: list[Formula] = []
    for key in set(terms_of(formula)):
        about = prover.reading.terms[key].about
        if not isinstance(about, terms.Path) or about.names[0] != "event":
            continue
        value = properties.get(about.names[1])
        if isinstance(value, ComputedForm):
            continue
        if value is None or len(about.names) > 2:
            known.append(Is(key, ABSENT))
        else:
            known.append(Is(key, same(value) if isinstance(value, str | int | float | bool) else Values(OTHER)))
    return both(*known) if known else ALWAYS


def _walk(start: int, ways: Sequence[Sequence[Way]]) -> list[tuple[int, Way]]:
    """The shortest circle of these ways through a rule; empty if there is none."""
    came: dict[int, tuple[int, Way]] = {}
    level = [start]
    while level:
        following = []
        for at in level:
            for way in ways[at]:
                if way.to == start:
                    circle = [(at, way)]
                    while at != start:
                        at, step = came[at]
                        circle.append((at, step))
                    return circle[::-1]
                if way.to not in came:
                    came[way.to] = (at, way)
                    following.append(way.to)
        level = following
    return []


def _has_brake(prover: Prover, rules: Sequence[Written], circle: Sequence[tuple[int, Way]]) -> bool:
    """Whether a rule of the circle holds only while there were few of the events that go round."""
    events = {way.event for _, way in circle}
    for _, way in circle:
        formula = rules[way.to].formula
        for key in set(terms_of(formula)):
            about = prover.reading.terms[key].about
            if isinstance(about, Counted) and about.event in events and not about.keeps:
                few = Is(key, compared("<", MANY))
                if EVERYTHING.rest != few.values and prover.implies(formula, few):
                    return True
    return False
