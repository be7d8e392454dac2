"""python-liquid, made safe: escaping on, all growth bounded, no clock, no file, no hole where a value is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from liquid import Environment, RenderContext
from liquid.ast import Node
from liquid.builtin.expressions.logical import ContainsExpression, GtExpression, LtExpression
from liquid.builtin.expressions.path import Path
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.exceptions import LiquidError, LiquidTypeError, ResourceLimitError
from liquid.expression import Expression

from triggerfish.adapters.liquid_filters import TAKES_MISSING, guarded, standard_filters
from triggerfish.adapters.liquid_rendering import (
    LIMITS,
    Compiled,
    Limits,
    Missing,
    MissingValue,
    Sending,
    WrongValue,
)
from triggerfish.adapters.liquid_tags import (
    IMAGE_TAG,
    INSTEAD,
    LINK_TAG,
    STYLE_TAG,
    STYLE_URL_TAG,
    TAGS,
    URL_TAGS,
)


class _Range(RangeLiteral):
    __slots__ = ()

    def evaluate(self, context: RenderContext) -> range:
        found = super().evaluate(context)
        if found.stop - found.start > LIMITS.range_length:
            raise ResourceLimitError(f"a range of more than {LIMITS.range_length:,} numbers", token=self.token)
        return found


class _Path(Path):
    """A path without another one in its brackets: nothing of it is worked out per person."""

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        return context.get(self.path, token=self.token)  # type: ignore[arg-type]


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


_STRICTER: dict[type[Expression], type[Expression]] = {
    RangeLiteral: _Range,
    LtExpression: _Lt,
    GtExpression: _Gt,
    ContainsExpression: _Contains,
}


def _false_if_unlike(evaluate: Callable[[RenderContext], object], context: RenderContext) -> bool:
    """A comparison of unlike values is false, as in conditions; python-liquid raises."""
    try:
        return bool(evaluate(context))
    except LiquidTypeError:
        return False


class _Environment(Environment):
    template_class = Compiled
    loop_iteration_limit = LIMITS.loop_iterations
    output_stream_limit = LIMITS.output_characters
    local_namespace_limit = LIMITS.locals_bytes
    context_depth_limit = 30
    block_nesting_limit = 40


def environment(
    *,
    is_html: bool,
    filters: Mapping[str, Callable[..., Any]],
    language: str,
    currency: str,
    is_url: bool = False,
) -> Environment:
    """The Liquid of one part of a message: HTML (autoescape on) or plain text (off); or of an address, in which values
    are percent-encoded.

    Differences from python-liquid's standard: no include, render (blocks are woven in before), tablerow; no `safe` and
    `escapejs` filters; our own date and money. `filters` are the plugins'.
    """
    made = _Environment(autoescape=is_html, undefined=Missing)
    for name in ("include", "render", "tablerow"):
        del made.tags[name]
    for tag in URL_TAGS if is_url else TAGS:
        made.add_tag(tag)
    named = standard_filters(made.filters, is_html=is_html, language=language, currency=currency)
    named.update(filters)
    made.filters = {name: f if name in TAKES_MISSING else guarded(name, f, Missing) for name, f in named.items()}
    return made


def parse(env: Environment, source: str) -> Compiled:
    """Parse a template. Raises LiquidError with the token at which it goes wrong."""
    template = env.from_string(source)
    if not isinstance(template, Compiled):
        raise TypeError("this environment was not made by environment()")
    context = RenderContext(template)
    for node in template.nodes:
        _make_strict(node, context)
    return template


def _make_strict(node: Node, context: RenderContext) -> None:
    for expression in node.expressions():
        _swap(expression)
    for child in node.children(context):
        _make_strict(child, context)


def _swap(expression: Expression) -> None:
    """python-liquid has no hook for these expressions, so each gets our subclass of its class (same slots)."""
    stricter = _STRICTER.get(type(expression))
    if type(expression) is Path and not expression.children():
        stricter = _Path
    if stricter:
        expression.__class__ = stricter
    for child in expression.children():
        _swap(child)


__all__ = [
    "IMAGE_TAG",
    "INSTEAD",
    "LIMITS",
    "LINK_TAG",
    "STYLE_TAG",
    "STYLE_URL_TAG",
    "Compiled",
    "Limits",
    "LiquidError",
    "MissingValue",
    "ResourceLimitError",
    "Sending",
    "WrongValue",
    "environment",
    "parse",
]
