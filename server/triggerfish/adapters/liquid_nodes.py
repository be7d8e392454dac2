"""What python-liquid's parser makes by itself, made ours: comparisons as in conditions, ranges within bounds, and no
more work for each person than the text asks for.

python-liquid has no hook for these classes, so each object gets a subclass of its own class, with the same slots.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TextIO

from liquid import BoundTemplate, RenderContext
from liquid.ast import BlockNode, Node
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions.arguments import PositionalArgument
from liquid.builtin.expressions.filtered import Filter, FilteredExpression
from liquid.builtin.expressions.logical import (
    BooleanExpression,
    ContainsExpression,
    GtExpression,
    LtExpression,
    is_truthy,
)
from liquid.builtin.expressions.path import Path
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.if_tag import IfNode
from liquid.exceptions import LiquidTypeError, ResourceLimitError
from liquid.expression import Expression
from liquid.output import NullIO

from triggerfish.adapters.liquid_rendering import LIMITS, Missing, context_of
from triggerfish.render import Fixed


def make_ours(template: BoundTemplate) -> None:
    """Give all nodes and expressions of a template our classes."""
    context = RenderContext(template)
    for node in template.nodes:
        _swap_node(node, context)


def _swap_node(node: Node, context: RenderContext) -> None:
    if type(node) in _NODES:
        node.__class__ = _NODES[type(node)]
    if isinstance(node, ContentNode):
        node.text = Fixed(node.text)
    for expression in node.expressions():
        _swap(expression)
    if isinstance(node, OutputNode) and type(node.expression) is FilteredExpression and not node.expression.filters:
        node.expression = node.expression.left
    for child in node.children(context):
        _swap_node(child, context)


def _swap(expression: Expression) -> None:
    kind = type(expression)
    if kind in _EXPRESSIONS and not (kind is Path and expression.children()):
        expression.__class__ = _EXPRESSIONS[kind]
    if isinstance(expression, FilteredExpression):
        for each in expression.filters or ():
            each.__class__ = _Filter
    for child in expression.children():
        _swap(child)


# Node.render asks each time whether tags are disabled. Only {% render %} could do that, which is none of ours, so that
# these have a render of their own. The number that it returns, of characters, is read by nobody.


class _Content(ContentNode):
    """Text of the template itself."""

    __slots__ = ()

    def render(self, context: RenderContext, buffer: TextIO) -> int:
        return buffer.write(self.text)


class _Block(BlockNode):
    """What stands between two tags. Of one that holds only blanks and names being set, the blanks are left out."""

    __slots__ = ()

    def render(self, context: RenderContext, buffer: TextIO) -> int:
        context_of(context).check_time(self.token)
        if self.blank:
            buffer = NullIO()
        for node in self.nodes:
            node.render(context, buffer)
        return 0


class _If(IfNode):
    __slots__ = ()

    def render(self, context: RenderContext, buffer: TextIO) -> int:
        if self.condition.evaluate(context):
            return self.consequence.render(context, buffer)
        for alternative in self.alternatives:
            if alternative.expression.evaluate(context):
                return alternative.block.render(context, buffer)
        return self.default.render(context, buffer) if self.default else 0


class _Boolean(BooleanExpression):
    __slots__ = ()

    def evaluate(self, context: RenderContext) -> bool:
        value = self.expression.evaluate(context)
        return type(value) is not Missing and is_truthy(value)


class _Path(Path):
    """A path without another one in its brackets: nothing of it is worked out per person."""

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        return context_of(context).value(self.path, self.token)


class _Filter(Filter):
    __slots__ = ()

    def evaluate_args(self, context: RenderContext) -> tuple[list[object], dict[str, object]]:
        positional: list[object] = []
        named: dict[str, object] = {}
        for arg in self.args:
            if type(arg) is PositionalArgument:
                positional.append(arg.value.evaluate(context))
            else:
                name, value = arg.evaluate(context)
                named[str(name)] = value
        return positional, named


class _Range(RangeLiteral):
    __slots__ = ()

    def evaluate(self, context: RenderContext) -> range:
        found = super().evaluate(context)
        if found.stop - found.start > LIMITS.range_length:
            raise ResourceLimitError(f"a range of more than {LIMITS.range_length:,} numbers", token=self.token)
        return found


class _Lt(LtExpression):
    __slots__ = ()

    def evaluate(self, context: RenderContext) -> bool:
        return _false_if_unlike(super().evaluate, context)


class _Gt(GtExpression):
    __slots__ = ()

    def evaluate(self, context: RenderContext) -> bool:
        return _false_if_unlike(super().evaluate, context)


class _Contains(ContainsExpression):
    __slots__ = ()

    def evaluate(self, context: RenderContext) -> bool:
        return _false_if_unlike(super().evaluate, context)


def _false_if_unlike(evaluate: Callable[[RenderContext], object], context: RenderContext) -> bool:
    """A comparison of unlike values is false, as in conditions; python-liquid raises."""
    try:
        return bool(evaluate(context))
    except LiquidTypeError:
        return False


_NODES: dict[type[Any], type[Any]] = {ContentNode: _Content, BlockNode: _Block, IfNode: _If}
_EXPRESSIONS: dict[type[Any], type[Any]] = {
    RangeLiteral: _Range,
    LtExpression: _Lt,
    GtExpression: _Gt,
    ContainsExpression: _Contains,
    BooleanExpression: _Boolean,
    Path: _Path,
}
