"""What a template reads of a person and of the event that it answers, where, and whether it can do without."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from liquid import RenderContext
from liquid.ast import Node
from liquid.builtin.expressions.filtered import FilteredExpression
from liquid.builtin.expressions.path import Path
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.for_tag import ForNode
from liquid.expression import Expression

from triggerfish.adapters.liquid_filters import TAKES_MISSING
from triggerfish.adapters.liquid_rendering import Compiled
from triggerfish.rulefile.problems import Problem

PLANNED_ROOTS = ("traits", "event")


class Read(NamedTuple):
    """`{{ event.total }}` at character `at`. It is needed where its absence would stop the message: it has no fallback,
    and stands in no block that asks for it.
    """

    root: str
    name: str
    at: int
    width: int
    is_needed: bool


class Reading(NamedTuple):
    """A Read with its place in the files: `place` is a problem without a sentence."""

    root: str
    name: str
    is_needed: bool
    place: Problem


def reads_of(template: Compiled) -> Iterator[Read]:
    """All that a template reads of traits and event, in the order of the text."""
    context = RenderContext(template)
    for node in template.nodes:
        yield from _reads(node, frozenset(), context)


def _reads(node: Node, asked: frozenset[str], context: RenderContext) -> Iterator[Read]:
    """`asked` are the paths that the blocks around ask for: what is within is not reached without them."""
    if isinstance(node, OutputNode):
        expression = node.expression
        has_fallback = isinstance(expression, FilteredExpression) and any(
            each.name in TAKES_MISSING for each in expression.filters or ()
        )
        is_plain = isinstance(expression, FilteredExpression | Path)
        first = expression.left if isinstance(expression, FilteredExpression) else expression
        for path in _paths(expression):
            yield from _read(path, path is first and is_plain and not has_fallback and str(path) not in asked)
    else:
        loops = isinstance(node, ForNode) and node.default is None
        for expression in node.expressions():
            for path in _paths(expression):
                yield from _read(path, loops and str(path) not in asked)
                asked |= {str(path)}
    for child in node.children(context):
        yield from _reads(child, asked, context)


def _read(path: Path, is_needed: bool) -> Iterator[Read]:
    names = [part for part in path.path if isinstance(part, str)]
    if len(names) > 1 and names[0] in PLANNED_ROOTS:
        yield Read(names[0], names[1], path.token.start_index, len(names[0]) + 1 + len(names[1]), is_needed)


def _paths(expression: Expression) -> Iterator[Path]:
    if isinstance(expression, Path):
        yield expression
    for child in expression.children():
        yield from _paths(child)
