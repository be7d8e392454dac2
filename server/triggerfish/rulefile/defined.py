"""Definitions as conditions use them: a defined name stands for its expression, and a defined list for its items.

Expressions are put in the place of their names before a condition is read; every node of them then stands, for whoever
looks for a mistake, where the name was written. Lists are looked up when they are read.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from triggerfish.conditions import Items
from triggerfish.rulefile.functions import FUNCTIONS
from triggerfish.rulefile.grammar import NESTING_LIMIT, NODE_LIMIT, Faulty, nesting_of

if TYPE_CHECKING:
    from triggerfish.rulefile.reader import Reader


PARTS_LIMIT = 500_000
"""Parts that definitions may bring into a rulebook's conditions; each is put there a few times while it is checked."""


class Definition(Struct):
    """What a name stands for: an expression of `size` parts, or a list. `meaning` is a digest of all that it comes to.

    One that is broken has been reported where it is defined; whatever uses it cannot be compiled either.
    """

    name: str
    meaning: str = ""
    expression: ast.expr | None = None
    size: int = 0
    items: tuple[str | int | float | bool, ...] | None = None
    lookup: Items | None = None
    is_broken: bool = False
    is_used: bool = False


class Definitions(dict[str, Definition]):
    """All that a rulebook defines, by name. `parts` counts what its conditions were given by them so far."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = 0


def expand(reader: Reader, tree: ast.expr) -> ast.expr:
    """The tree with definitions in the place of their names. Raises Faulty when the whole becomes too large, and,
    without a fault, when a definition is broken.
    """
    definitions = reader.scope.definitions
    if not definitions:
        return tree
    size = size_of(tree)
    too_large = f"with what is defined, this comes to more than {NODE_LIMIT:,} parts, or is nested too deeply"

    def put(node: ast.Name) -> ast.expr:
        nonlocal size
        definition = definitions.get(node.id)
        if definition is None:
            return node
        reader.uses(definition)
        if definition.items is not None:
            return node
        if definition.is_broken or definition.expression is None:
            raise Faulty([])
        size += definition.size
        definitions.parts += definition.size
        if size > NODE_LIMIT:
            raise reader.fault("TF265", node, too_large, "say it more simply")
        if definitions.parts > PARTS_LIMIT:
            sentence = f"up to here, what is defined comes to more than {PARTS_LIMIT:,} parts in all conditions"
            raise reader.fault("TF265", node, sentence, "say it more simply, or make it a segment")
        return _placed(definition.expression, node)

    made: ast.expr = _Names(put).visit(tree)
    if nesting_of(made) > NESTING_LIMIT:
        raise reader.fault("TF265", tree, too_large, "say it more simply")
    return made


def size_of(tree: ast.expr) -> int:
    """How many parts a tree has."""
    return sum(1 for _ in ast.walk(tree))


def names_in(tree: ast.expr) -> Iterator[ast.Name]:
    """The names of a tree that could be definitions, in order. The tree is not changed."""
    found: list[ast.Name] = []

    def note(node: ast.Name) -> ast.expr:
        found.append(node)
        return node

    _Names(note).visit(tree)
    yield from found
    # Within brackets, a defined list may stand behind "in".
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            for sign, side in zip(node.ops, node.comparators, strict=True):
                if isinstance(sign, ast.In | ast.NotIn) and isinstance(side, ast.Name) and side not in found:
                    yield side


def say_meanings(meanings: Mapping[str, str]) -> str:
    """What defined names come to, for telling conditions and activities apart; empty when there are none."""
    return "".join(f" where {name} is {meanings[name]}" for name in sorted(meanings))


def defined_in(node: ast.AST) -> str:
    """The definition that a node comes from, or an empty text."""
    found: str = getattr(node, "defined", "")
    return found


def _placed(expression: ast.expr, name: ast.Name) -> ast.expr:
    """A copy of a definition's expression whose every part stands where the name does."""

    def copied(node: Any) -> Any:
        if isinstance(node, list):
            return [copied(each) for each in node]
        if not isinstance(node, ast.expr | ast.keyword):
            return node
        made = type(node)(**{field: copied(getattr(node, field, None)) for field in node._fields})
        setattr(made, "defined", name.id)  # noqa: B010  # an attribute of ours: see defined_in
        return ast.copy_location(made, name)

    copy: ast.expr = copied(expression)
    return copy


class _Names(ast.NodeTransformer):
    """Visits the names that stand for themselves: no roots of paths, no functions, no events."""

    def __init__(self, put: Callable[[ast.Name], ast.expr]) -> None:
        self._put = put

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._put(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        function = FUNCTIONS.get(node.func.id) if isinstance(node.func, ast.Name) else None
        if function is None or not function.takes_activity:
            node.args = [self.visit(argument) for argument in node.args]
        return node
