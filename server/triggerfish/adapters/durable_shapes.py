"""Conditions in the shape in which durable_rules' network can take them safely: for `durable.py` alone.

A comparison of a value with a constant becomes a Leaf of the network. What the network cannot say safely (a negation, a
function, two values compared), or what would make a rule too large for it, becomes a computed Leaf: true or false.

The limits follow from durable_rules 2.0.28's sources (src/rules): 64 partial matches pending at once (events.c,
MAX_STACK_SIZE; each is on the way to a rule, so PATHS_OF_AN_EVENT bounds them), 32 marks of $and and $or a rule, two
each (rete.c, MAX_SEQUENCE_EXPRESSIONS), 255 properties an object (state.h).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, Literal

from msgspec import Struct

from triggerfish.conditions import All, Late, Node, Not, Some, Test, View, made

RULES_OF_A_NETWORK = 48
PATHS_OF_AN_EVENT = 60
"""Ways in which one event can reach rules of one network; alternatives multiply them."""
FIELDS_OF_A_NETWORK = 200
TESTS_OF_A_RULE = 24
JOINS_OF_A_RULE = 12
PATHS_OF_A_RULE = 8
DEPTH_OF_A_RULE = 4

Kind = Literal["number", "unequal", "text", "truth", "computed"]
"""What a field holds. "unequal" is a number for `!=` alone, which NaN fulfils too."""

Key = tuple[Hashable, Kind]
"""What gives a field its value, and what it holds. Two leaves with one key share the field."""


class Leaf(Struct, frozen=True):
    """A field compared with a constant. `of` gives the value."""

    key: Key
    of: Callable[[View], Any]
    operator: str = "=="
    bound: Any = True


class Join(Struct, frozen=True):
    word: Literal["$and", "$or"]
    parts: tuple[Leaf | Join, ...]


class Shape(Struct, frozen=True):
    """A condition: `parts` all hold. `paths` is in how many ways an event can pass them."""

    parts: tuple[Leaf | Join, ...] = ()
    paths: int = 1
    tests: int = 0
    joins: int = 0
    depth: int = 0

    def leaves(self) -> Iterator[Leaf]:
        pending = list(self.parts)
        while pending:
            part = pending.pop()
            if isinstance(part, Join):
                pending.extend(part.parts)
            else:
                yield part


class Wake(Struct, frozen=True):
    """A rule, as one of its events can wake it. `place` is the rule's place among all; it is looked up by `guard`, if
    there is one (guards.py).
    """

    place: int
    event: str
    shape: Shape
    guard: Test | None = None


def cut(wakes: Sequence[Wake], *, is_ordered: bool) -> Iterator[list[Wake]]:
    """Into networks: an event's rules stay together where they can. They keep their order if that matters, else those
    that are looked up by one value stay together.
    """
    part: list[Wake] = []
    paths = 0
    fields: set[Key] = set()
    for wake in sorted(wakes, key=lambda wake: (wake.event, () if is_ordered else _by_guard(wake), wake.place)):
        own = {leaf.key for leaf in wake.shape.leaves()}
        paths = wake.shape.paths + (paths if part and part[-1].event == wake.event else 0)
        is_full = len(part) == RULES_OF_A_NETWORK or paths > PATHS_OF_AN_EVENT
        if part and (is_full or len(fields | own) > FIELDS_OF_A_NETWORK):
            yield part
            part, paths, fields = [], wake.shape.paths, set()
        part.append(wake)
        fields |= own
    if part:
        yield part


def _by_guard(wake: Wake) -> tuple[str, str]:
    return ("", "") if wake.guard is None else (wake.guard.value_key, repr(wake.guard.bound))


def shape_of(root: Node) -> Shape:
    """A rule's condition for the network. It holds exactly when the condition does."""
    shape = Shape(joins=1)
    for node in _flat(root, All):
        grown = _both(shape, _part(node))
        shape = grown if _is_small(grown) else _both(shape, _computed(node))
    return shape if _is_small(shape) else _computed(root)


def _part(node: Node) -> Shape:
    """A part of a condition, which may be a join of others."""
    match node:
        case Test(value=value, operator=operator, bound=bound) if value is not None and operator is not None:
            kind: Kind = "text" if type(bound) is str else "truth" if type(bound) is bool else "number"
            if kind == "number" and operator == "!=":
                kind = "unequal"
            return Shape((Leaf((node.value_key, kind), value, operator, bound),), tests=1)
        case All(parts=(_, *_)):
            inner = Shape()
            for part in _flat(node, All):
                inner = _both(inner, _part(part))
            return _joined("$and", inner) if _is_small(inner) else _computed(node)
        case Some(parts=(_, *_)):
            either = Shape(paths=0)
            for part in _flat(node, Some):
                one = _part(part)
                either = Shape(
                    either.parts + one.parts,
                    either.paths + one.paths,
                    either.tests + one.tests,
                    either.joins + one.joins,
                    max(either.depth, one.depth),
                )
            return _joined("$or", either) if _is_small(either) else _computed(node)
    return _computed(node)


def _both(one: Shape, other: Shape) -> Shape:
    return Shape(
        one.parts + other.parts,
        one.paths * other.paths,
        one.tests + other.tests,
        one.joins + other.joins,
        max(one.depth, other.depth),
    )


def _joined(word: Literal["$and", "$or"], inner: Shape) -> Shape:
    """Parts as a single one."""
    if len(inner.parts) == 1:
        return inner
    return Shape((Join(word, inner.parts),), inner.paths, inner.tests, inner.joins + 1, inner.depth + 1)


def _is_small(shape: Shape) -> bool:
    return (
        shape.paths <= PATHS_OF_A_RULE
        and shape.tests <= TESTS_OF_A_RULE
        and shape.joins <= JOINS_OF_A_RULE
        and shape.depth <= DEPTH_OF_A_RULE
    )


def _computed(node: Node) -> Shape:
    return Shape((Leaf((_meaning(node), "computed"), Late(lambda: _holds(node))),), tests=1)


def _flat(node: Node, join: type[All | Some]) -> list[Node]:
    """The parts of nested joins of one kind, in order."""
    if not isinstance(node, join) or not node.parts:
        return [node]
    return [part for inner in node.parts for part in _flat(inner, join)]


def _holds(node: Node) -> Callable[[View], bool]:
    """A tree as one function."""
    match node:
        case Test(holds=holds):
            return made(holds)
        case Not(part=part):
            inner = _holds(part)
            return lambda view: not inner(view)
        case All(parts=parts):
            every = [_holds(part) for part in parts]
            return lambda view: all(holds(view) for holds in every)
        case Some(parts=parts):
            either = [_holds(part) for part in parts]
            return lambda view: any(holds(view) for holds in either)


def _meaning(node: Node) -> Hashable:
    """Equal for trees that say the same, so that rules share what they compute."""
    match node:
        case Test(text=text):
            return text
        case Not(part=part):
            return ("not", _meaning(part))
        case All(parts=parts):
            return ("all", *(_meaning(part) for part in parts))
        case Some(parts=parts):
            return ("some", *(_meaning(part) for part in parts))
