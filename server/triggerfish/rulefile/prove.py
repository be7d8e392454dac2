"""What can be proved of conditions: that none of them can ever hold, always holds, or follows from another.

Sound: "never" and "always" are proofs over everything that a person or an event can be, by reasoning about sets of
values (satisfy.py). What cannot be decided is said to be undecided. The bound is a number of steps and no time, so that
the same rulebook gets the same answer everywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

from triggerfish.rulefile.prove_facts import Definition, SegmentFact, facts_of
from triggerfish.rulefile.prove_reading import Reading
from triggerfish.rulefile.prove_terms import (
    Age,
    Counted,
    Figure,
    InSegment,
    Lowered,
    Pair,
    Path,
    Primary,
    Term,
    Tested,
    Worked,
)
from triggerfish.rulefile.satisfy import (
    NEVER,
    And,
    Exhausted,
    Formula,
    Is,
    Or,
    Search,
    both,
    either,
    negated,
    terms_of,
)

Answer = Literal["yes", "no", "undecided"]

STEP_LIMIT = 20_000
"""Steps of one question: some 50 ms."""
ALONE_LIMIT = 4
"""Terms that are doubtful beside others, and are tried alone."""
TERM_LIMIT = 400
"""Terms of one question; more are not looked at."""


class Prover:
    """Answers questions about one rulebook's conditions. `asked` counts the answers."""

    def __init__(
        self, reading: Reading, segments: Mapping[str, SegmentFact], definition: Definition, steps: int = STEP_LIMIT
    ) -> None:
        self.reading = reading
        self.segments = segments
        self.definition = definition
        self.steps = steps
        self.asked: Counter[Answer] = Counter()
        for name in segments:
            reading.segment(name)

    def is_possible(self, formula: Formula, *, is_settled: bool = True) -> Answer:
        """Whether there can be a person and an event for which the formula holds. "no" is proved.

        `is_settled`: the person's segments are up to date, as when a rule is woken.
        """
        try:
            answer = self._ask(formula, is_settled)
        except Exhausted:
            answer = "undecided"
        self.asked[answer] += 1
        return answer

    def implies(self, premise: Formula, conclusion: Formula, *, is_settled: bool = True) -> bool:
        """Whether it is proved that the conclusion holds wherever the premise does."""
        return self.is_possible(both(premise, negated(conclusion)), is_settled=is_settled) == "no"

    def core(self, parts: Sequence[Formula], *, is_settled: bool = True) -> list[int]:
        """Of parts that cannot hold together, the places of those that already exclude one another; none can be left
        out of them.
        """
        kept = list(range(len(parts)))
        for place in range(len(parts)):
            without = [other for other in kept if other != place]
            if without and self.is_possible(both(*(parts[other] for other in without)), is_settled=is_settled) == "no":
                kept = without
        return kept

    def subjects(self, formula: Formula) -> frozenset[str]:
        """What a formula is about, by way of segments, too: a claim about none of this cannot follow from it."""
        try:
            known, _, _ = self._world(formula, is_settled=True)
        except Exhausted:
            return frozenset()
        return frozenset(_subject(term) for term in known if not _sides(term))

    def _ask(self, formula: Formula, is_settled: bool) -> Answer:
        if formula == NEVER:
            return "no"
        known, search, facts = self._world(formula, is_settled)
        if not search.is_satisfiable(both(formula, *facts)):
            return "no"
        doubtful = self._doubtful(known)
        if not doubtful:
            return "yes"
        alone = sorted(key for key in doubtful if self.reading.terms[key].is_free)[:ALONE_LIMIT]
        for left_out in (doubtful, *(doubtful - {key} for key in alone)):
            sure = _without(formula, left_out)
            _, search, facts = self._world(sure, is_settled)
            if search.is_satisfiable(both(sure, *facts)):
                return "yes"
        return "undecided"

    def _world(self, formula: Formula, is_settled: bool) -> tuple[list[Term], Search, list[Formula]]:
        """The terms that a formula leads to, and everything that holds between them."""
        known: dict[str, Term] = {}
        definition = self.definition if is_settled else None
        new = set(terms_of(formula))
        while True:
            while new:
                if len(known) > TERM_LIMIT:
                    raise Exhausted
                key = new.pop()
                if key not in known:
                    known[key] = self.reading.terms[key]
                    new.update(_sides(known[key]))
            links, facts = facts_of(list(known.values()), self.segments, definition)
            new = {key for fact in facts for key in terms_of(fact)} - known.keys()
            if not new:
                domains = {key: term.values for key, term in known.items()}
                return list(known.values()), Search(domains, links, self.steps), facts

    def _doubtful(self, known: Sequence[Term]) -> frozenset[str]:
        """Terms of which more is true than is known here, so that "yes" would say too much."""
        figures = Counter(term.about.event for term in known if isinstance(term.about, Figure))
        tests = Counter(term.about.of for term in known if isinstance(term.about, Tested))
        return frozenset(
            term.key
            for term in known
            if not term.is_free
            or (isinstance(term.about, Figure) and figures[term.about.event] > 1)
            or (isinstance(term.about, Tested) and tests[term.about.of] > 1)
        )


def _subject(term: Term) -> str:
    match term.about:
        case Counted(event=event) | Age(event=event) | Figure(event=event):
            return f"event {event}"
        case Path(names):
            return f"path {names[:2]}"
        case InSegment() | Primary():
            return "segments"
    return term.key


def _sides(term: Term) -> list[str]:
    """The terms that a term is made of."""
    match term.about:
        case Lowered(of) | Tested(of=of):
            return [of]
        case Pair(left, right):
            return [left, right]
        case Worked(sides=sides, is_constant=is_constant):
            return [side for side, fixed in zip(sides, is_constant, strict=True) if not fixed]
    return []


def _without(formula: Formula, doubtful: frozenset[str]) -> Formula:
    """A formula that is harder to satisfy: nothing doubtful is taken to hold, one way or the other."""
    match formula:
        case Is(term):
            return NEVER if term in doubtful else formula
        case And(parts):
            return both(*(_without(part, doubtful) for part in parts))
        case Or(parts):
            return either(*(_without(part, doubtful) for part in parts))
