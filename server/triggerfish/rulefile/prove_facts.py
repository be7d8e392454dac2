"""What always holds between the terms of a question: how counts, ages and figures of one event go together, which
segments need or exclude which, what tests of one text say of one another.

Counts are taken as exact; beyond 512 events in a window they are so to a 64th of its length (docs/rules.md).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import permutations

from msgspec import Struct

from triggerfish.clock import Millis
from triggerfish.rulefile import prove_terms as terms
from triggerfish.rulefile.prove_links import LowerLink, Ordered, PairLink, Sifted, TestLink, WorkLink
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
from triggerfish.rulefile.satisfy import Formula, Is, Link, both, either, negated
from triggerfish.rulefile.satisfy_sets import (
    ABSENT,
    NO,
    OTHER,
    PRESENT,
    YES,
    Values,
    compared,
    same,
)

_NOT_NEGATIVE = compared(">=", 0)


class SegmentFact(Struct, frozen=True):
    """What is known of a segment: `before` are the siblings that come first in an exclusive parent, `condition` its own
    (None: there is none), `rank` its place among all when the primary one is chosen.
    """

    name: str
    parent: str | None
    before: tuple[str, ...] = ()
    siblings: tuple[str, ...] = ()
    rank: int = 0


Definition = Callable[[str], Formula | None]
"""The own condition of a segment, by name."""


def facts_of(
    known: Sequence[Term], segments: Mapping[str, SegmentFact], definition: Definition | None
) -> tuple[list[Link], list[Formula]]:
    """Links and formulas that hold for these terms. With a `definition`, people are in a segment exactly when its
    condition (and its parents') holds now; without, only the tree's shape is used: as after a step that set a trait.

    The formulas may speak of further terms.
    """
    links: list[Link] = []
    formulas: list[Formula] = []
    events: dict[str, list[Term]] = defaultdict(list)
    paths: list[Term] = []
    tested: dict[str, list[Tested]] = defaultdict(list)
    inside: list[str] = []
    is_primary_known = False
    for term in known:
        if term.is_whole or term.admits is not None:
            links.append(Sifted(term.key, term.is_whole, term.admits))
        match term.about:
            case Counted() | Age() | Figure():
                events[term.about.event].append(term)
            case Path():
                paths.append(term)
            case Lowered():
                links.append(LowerLink(term.key, term.about))
            case Tested():
                links.append(TestLink(term.key, term.about))
                tested[term.about.of].append(term.about)
            case Pair():
                links.append(PairLink(term.key, term.about))
            case Worked():
                links.append(WorkLink(term.key, term.about))
            case InSegment(name):
                inside.append(name)
            case Primary():
                is_primary_known = True
    for group in events.values():
        _activity(group, links, formulas)
    formulas += _paths(paths)
    for tests in tested.values():
        formulas += _tests(tests)
    formulas += _segments(inside, is_primary_known, segments, definition)
    return links, formulas


# What somebody did.


def _covers(wide: Counted | Age | Figure, narrow: Counted | Age | Figure) -> bool:
    """Whether every event that the narrow one looks at is one that the wide one looks at."""
    wide_window, narrow_window = _window(wide), _window(narrow)
    is_longer = wide_window is None or (narrow_window is not None and narrow_window <= wide_window)
    return is_longer and wide.keeps in ("", narrow.keeps)


def _window(about: Counted | Age | Figure) -> Millis | None:
    return None if isinstance(about, Age) else about.window


def _activity(group: Iterable[Term], links: list[Link], formulas: list[Formula]) -> None:
    for one, other in permutations(group, 2):
        a, b = one.about, other.about
        match a, b:
            case Counted(), Counted() if _covers(b, a):
                links.append(Ordered(one.key, other.key, "both"))
            case Age(), Age() if _covers(a, b):
                links.append(Ordered(one.key, other.key, "high"))
            case Counted(), Age():
                formulas += _count_and_age(one.key, a, other.key, b)
            case Figure(), Counted() if _covers(b, a):
                formulas.append(_implies(_tells(one.key, a), Is(other.key, compared(">=", 1))))
                if a.name == "distinct":
                    links.append(Ordered(one.key, other.key, "both"))
            case Figure(), Age() if a.keeps == b.keeps or b.keeps == "":
                formulas.append(_implies(_tells(one.key, a), Is(other.key, _younger(a.window))))
            case Figure(), Figure() if a.field == b.field:
                _figures(one.key, a, other.key, b, links, formulas)


def _count_and_age(count: str, counted: Counted, age: str, about: Age) -> list[Formula]:
    """The newest event is younger than the window exactly when there is one in it."""
    some, young = Is(count, compared(">=", 1)), Is(age, _younger(counted.window))
    made = []
    if about.keeps in ("", counted.keeps):
        made.append(_implies(some, young))
    if counted.keeps in ("", about.keeps):
        made.append(_implies(young, some))
    return made


def _younger(window: Millis | None) -> Values:
    return PRESENT if window is None else compared("<", window)


def _tells(key: str, figure: Figure) -> Formula:
    """What a figure is only when there was an event."""
    if figure.name in ("sum", "distinct", "score"):
        return Is(key, same(0).rest)
    return Is(key, YES if figure.name == "sequence" else PRESENT)


def _figures(one: str, a: Figure, other: str, b: Figure, links: list[Link], formulas: list[Formula]) -> None:
    measures = ("avg", "min", "max")
    if (a.keeps, a.window) == (b.keeps, b.window):
        if a.name in measures and b.name in measures:
            formulas.append(_implies(Is(one, PRESENT), Is(other, PRESENT)))
        if (a.name, b.name) == ("min", "max"):
            links.append(Ordered(one, other, "both"))
        if (a.name, b.name) == ("sum", "min"):
            formulas.append(_implies(Is(other, _NOT_NEGATIVE), Is(one, _NOT_NEGATIVE)))
            formulas.append(_implies(Is(other, ABSENT), Is(one, same(0))))
        if a.name == "sum" and b.name in measures:
            formulas.append(_implies(Is(one, same(0).rest), Is(other, PRESENT)))
        if a.name in measures and b.name in ("first", "last"):
            # In a window's buckets the newest value is not kept: only without one it is there for sure.
            formulas += [] if a.window else [_implies(Is(one, PRESENT), Is(other, PRESENT))]
    elif _covers(b, a):
        if (a.name, b.name) == ("min", "min"):
            links.append(Ordered(other, one, "high"))
        if (a.name, b.name) == ("max", "max"):
            links.append(Ordered(one, other, "low"))


# Values.


def _paths(paths: Sequence[Term]) -> list[Formula]:
    """What has parts is an object."""
    made = []
    for one, other in permutations(paths, 2):
        a, b = one.about, other.about
        is_outer = isinstance(a, Path) and isinstance(b, Path) and b.names[: len(a.names)] == a.names
        if is_outer and one is not other:
            made.append(_implies(Is(other.key, PRESENT), Is(one.key, Values(OTHER))))
    return made


def _tests(tests: Sequence[Tested]) -> list[Formula]:
    """A text that begins with "ab" begins with "a", holds "b", and does not begin with "c"."""
    made = []
    for a, b in permutations((test for test in tests if isinstance(test.argument, str)), 2):
        one, other = Is(_key(a), YES), Is(_key(b), YES)
        if a.name == b.name == "starts_with":
            if a.argument.startswith(b.argument):
                made.append(_implies(one, other))
            elif not b.argument.startswith(a.argument):
                made.append(negated(both(one, other)))
        elif a.name == b.name == "ends_with":
            if a.argument.endswith(b.argument):
                made.append(_implies(one, other))
            elif not b.argument.endswith(a.argument):
                made.append(negated(both(one, other)))
        elif b.name == "contains" and a.name != "matches" and b.argument in a.argument and a.name != "contains":
            made.append(_implies(one, other))
    return made


def _key(test: Tested) -> str:
    return f"{test.name} {test.of} {test.argument!r}"


# Segments.


def _segments(
    inside: Sequence[str], is_primary_known: bool, segments: Mapping[str, SegmentFact], definition: Definition | None
) -> list[Formula]:
    made: list[Formula] = []
    for name in inside:
        fact = segments.get(name)
        if fact is None:
            continue
        is_in = Is(terms.in_segment(name).key, YES)
        parent = None if fact.parent is None else Is(terms.in_segment(fact.parent).key, YES)
        if parent is not None:
            made.append(_implies(is_in, parent))
        made += [_implies(is_in, Is(terms.in_segment(other).key, NO)) for other in fact.siblings if other in inside]
        if is_primary_known:
            made.append(_implies(Is("segment", same(name)), is_in))
            made.append(_implies(is_in, Is("segment", PRESENT)))
            for other in segments.values():
                if other.rank > fact.rank:
                    made.append(_implies(is_in, Is("segment", same(other.name).rest)))
        condition = None if definition is None else definition(name)
        if condition is not None:
            first = [Is(terms.in_segment(other).key, NO) for other in fact.before]
            own = both(condition, *first, *([] if parent is None else [parent]))
            made += [_implies(is_in, own), _implies(own, is_in)]
    return made


def _implies(premise: Formula, conclusion: Formula) -> Formula:
    return either(negated(premise), conclusion)
