"""Whether anything at all satisfies a formula: a search that is sound in saying no.

A formula joins claims such as "count(purchase) is in this set" with And and Or. `Links` narrow what values terms can
have together. "No" is a proof: every value that a person or an event can have was ruled out. "Yes" holds as far as the
terms are independent but for the links. Method: the terms' sets are narrowed by everything that must hold (arc
consistency), then alternatives are tried one after another, in the manner of Davis, Logemann and Loveland (1962).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, Protocol

from msgspec import Struct

from triggerfish.rulefile.satisfy_sets import EVERYTHING, Values

Domains = dict[str, Values]
"""What values each term can still have, by its key."""


class Is(Struct, frozen=True):
    """The term's value is in the set."""

    term: str
    values: Values


class And(Struct, frozen=True):
    parts: tuple[Formula, ...]


class Or(Struct, frozen=True):
    parts: tuple[Formula, ...]


Formula = Is | And | Or
ALWAYS: Formula = And(())
NEVER: Formula = Or(())


class Link(Protocol):
    """Something that always holds between terms."""

    def narrow(self, domains: Domains) -> bool:
        """Take out values that cannot be. Whether anything was taken out."""
        ...


class Exhausted(Exception):  # it is caught where the question is asked
    """The search took more steps than it may."""


def both(*parts: Formula) -> Formula:
    """All of them hold."""
    flat: list[Formula] = []
    for part in parts:
        if isinstance(part, And):
            flat += part.parts
        else:
            flat.append(part)
    if NEVER in flat:
        return NEVER
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def either(*parts: Formula) -> Formula:
    """At least one of them holds."""
    flat: list[Formula] = []
    for part in parts:
        if isinstance(part, Or):
            flat += part.parts
        else:
            flat.append(part)
    if ALWAYS in flat:
        return ALWAYS
    return flat[0] if len(flat) == 1 else Or(tuple(flat))


def negated(formula: Formula) -> Formula:
    match formula:
        case Is(term, values):
            return Is(term, values.rest)
        case And(parts):
            return either(*(negated(part) for part in parts))
        case Or(parts):
            return both(*(negated(part) for part in parts))


def terms_of(formula: Formula) -> Iterator[str]:
    """The keys of the terms that it speaks of, with repetitions."""
    waiting = [formula]
    while waiting:
        at = waiting.pop()
        if isinstance(at, Is):
            yield at.term
        else:
            waiting += at.parts


class Search:
    """Looks for values that satisfy formulas, given what each term can be at all, and links between terms."""

    def __init__(self, domains: Mapping[str, Values], links: Sequence[Link], steps: int) -> None:
        self.domains = domains
        self.links = links
        self.steps = steps

    def is_satisfiable(self, formula: Formula) -> bool:
        """Raises Exhausted when that takes too many steps."""
        return self._search(dict(self.domains), [formula])

    def _search(self, domains: Domains, waiting: list[Formula]) -> bool:
        choices: list[Or] = []
        if not self._settle(domains, waiting, choices):
            return False
        if not choices:
            return True
        chosen = min(choices, key=lambda choice: len(choice.parts))
        others: list[Formula] = [choice for choice in choices if choice is not chosen]
        for place, part in enumerate(chosen.parts):
            not_before = [negated(earlier) for earlier in chosen.parts[:place]]
            if self._search(dict(domains), [part, *not_before, *others]):
                return True
        return False

    def _settle(self, domains: Domains, waiting: list[Formula], choices: list[Or]) -> bool:
        """Narrow by everything that must hold, until nothing changes; what is left to choose goes to `choices`."""
        open_choices: list[Or] = []
        while True:
            is_narrower = False
            while waiting:
                formula = waiting.pop()
                self._step()
                match formula:
                    case Is(term, values):
                        before = domains.get(term, EVERYTHING)
                        after = before.meet(values)
                        if after.is_empty:
                            return False
                        if after != before:
                            domains[term] = after
                            is_narrower = True
                    case And(parts):
                        waiting += parts
                    case Or():
                        open_choices.append(formula)
            while sum(link.narrow(domains) for link in self.links):
                self._step(len(self.links))
                is_narrower = True
                if any(values.is_empty for values in domains.values()):
                    return False
            left: list[Or] = []
            for choice in open_choices:
                self._step(len(choice.parts))
                kept = self._open_parts(choice, domains)
                if kept is None:
                    continue
                if not kept:
                    return False
                if len(kept) == 1:
                    waiting.append(kept[0])
                else:
                    left.append(choice if len(kept) == len(choice.parts) else Or(tuple(kept)))
            open_choices = left
            if not waiting and not is_narrower:
                choices += open_choices
                return True

    def _open_parts(self, choice: Or, domains: Domains) -> list[Formula] | None:
        """The parts that can still hold; None when one of them does in any case."""
        kept = []
        for part in choice.parts:
            told = _told(part, domains)
            if told == "yes":
                return None
            if told != "no":
                kept.append(part)
        return kept

    def _step(self, count: int = 1) -> None:
        self.steps -= count
        if self.steps < 0:
            raise Exhausted


def _told(formula: Formula, domains: Mapping[str, Values]) -> Literal["yes", "no", "open"]:
    """What the narrowed sets already say."""
    match formula:
        case Is(term, values):
            known = domains.get(term, EVERYTHING)
            if known.misses(values):
                return "no"
            return "yes" if known.is_within(values) else "open"
        case And(parts):
            told = {_told(part, domains) for part in parts}
            return "no" if "no" in told else "open" if "open" in told else "yes"
        case Or(parts):
            told = {_told(part, domains) for part in parts}
            return "yes" if "yes" in told else "open" if "open" in told else "no"
