"""python-liquid, made safe: escaping on, all growth bounded, no clock, no file, no hole where a value is missing."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TextIO
from urllib.parse import quote

from liquid import Environment, RenderContext
from liquid.ast import BlockNode, Node
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions.logical import ContainsExpression, GtExpression, LtExpression
from liquid.builtin.expressions.path import Path
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags.echo_tag import EchoTag
from liquid.builtin.tags.for_tag import ForNode, ForTag
from liquid.exceptions import LiquidError, LiquidTypeError, ResourceLimitError
from liquid.expression import Expression
from liquid.extra.tags import WithTag
from liquid.extra.tags._with import WithNode
from liquid.parser import get_parser
from liquid.stream import TokenStream
from liquid.stringify import to_liquid_string
from liquid.tag import Tag
from liquid.token import TOKEN_EOF, TOKEN_TAG, Token
from markupsafe import escape as escape_html

from triggerfish.adapters.liquid_filters import TAKES_MISSING, guarded, standard_filters
from triggerfish.adapters.liquid_rendering import (
    LIMITS,
    Compiled,
    Limits,
    Missing,
    MissingValue,
    Sending,
    WrongValue,
    checked_url,
    sending_of,
)

INSTEAD = "__instead"
"""`{% with url: event.url, url__instead: web.home %}`: the second stands in when the first is missing or blank."""
LINK_TAG = "tracked_link"
IMAGE_TAG = "checked_image"

_IMAGE_SCHEMES = ("http:", "https:", "cid:", "data:image/")


class _Output(OutputNode):
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        value = self.expression.evaluate(context)
        if isinstance(value, str):
            return buffer.write(str(escape_html(value)) if context.autoescape else value)
        if value is None:
            raise MissingValue(str(self.expression), self.token)
        if type(value) is Missing:
            raise MissingValue(value.name, self.token)
        if isinstance(value, Mapping) or (isinstance(value, list | tuple) and any(map(_is_structure, value))):
            raise WrongValue(f'"{self.expression}" is a structure, not a text', token=self.token)
        return buffer.write(to_liquid_string(value, context.autoescape))


def _is_structure(value: object) -> bool:
    return isinstance(value, list | Mapping)


class _OutputTag(Output):
    node_class = _Output


class _Echo(EchoTag):
    node_class = _Output  # type: ignore[assignment]


class _For(ForNode):
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        found = self.expression.iterable.evaluate(context)
        if type(found) is Missing and self.default is None:
            raise MissingValue(found.name, self.token)
        if isinstance(found, list | tuple | Mapping):
            context.raise_for_loop_limit(len(found))
        return super().render_to_output(context, buffer)


class _ForTag(ForTag):
    node_class = _For


class _With(WithNode):
    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        given: dict[str, object] = {}
        for argument in self.args:
            value = argument.value.evaluate(context)
            name = str(argument.name).removesuffix(INSTEAD)
            if name == argument.name or _is_blank(given.get(name)):
                given[name] = value
        with context.extend(given):
            return self.block.render(context, buffer)


def _is_blank(value: object) -> bool:
    return value is None or type(value) is Missing or (isinstance(value, str) and not value.strip())


class _WithTag(WithTag):
    node_class = _With


class _UrlOutput(_Output):
    """A value within the address of a feed: it can bring no part of an address of its own."""

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        inner = context.get_buffer(buffer)
        super().render_to_output(context, inner)
        return buffer.write(quote(inner.getvalue().encode("utf-8", "replace"), safe=""))


class _UrlOutputTag(Output):
    node_class = _UrlOutput


class _UrlEcho(EchoTag):
    node_class = _UrlOutput  # type: ignore[assignment]


class _Address(Node):
    """The value of an href or src: rendered, checked, and for links made trackable."""

    __slots__ = ("block", "fixed", "is_link")

    def __init__(self, token: Token, block: BlockNode, *, is_link: bool, escaped: bool) -> None:
        super().__init__(token)
        self.block = block
        self.blank = False
        self.is_link = is_link
        self.fixed: str | None = None
        if all(isinstance(node, ContentNode) for node in block.nodes):
            text = "".join(node.text for node in block.nodes if isinstance(node, ContentNode))
            self.fixed = (html.unescape(text) if escaped else text).strip()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        sending = sending_of(context)
        url = self.fixed
        if url is None:
            url = self._written(context, buffer).strip().replace(" ", "%20")
        if self.is_link:
            url = sending.link(url, self.token)
        elif not checked_url(url, self.token).lower().startswith(_IMAGE_SCHEMES):
            raise WrongValue(f'"{url[:80]}" is no address of a picture', token=self.token)
        return buffer.write(str(escape_html(url)) if context.autoescape else url)

    def _written(self, context: RenderContext, buffer: TextIO) -> str:
        """The address without HTML's escapes; one that is a value and nothing else need not be escaped first."""
        if len(self.block.nodes) == 1 and isinstance(node := self.block.nodes[0], _Output):
            value = node.expression.evaluate(context)
            if type(value) is str:
                return value
        inner = context.get_buffer(buffer)
        self.block.render(context, inner)
        return html.unescape(inner.getvalue()) if context.autoescape else inner.getvalue()

    def children(self, static_context: RenderContext, *, include_partials: bool = True) -> Iterable[Node]:
        yield self.block


class _AddressTag(Tag):
    is_link = True

    def parse(self, stream: TokenStream) -> Node:
        token = stream.eat(TOKEN_TAG)
        block = get_parser(self.env).parse_block(stream, (self.end, TOKEN_EOF))
        stream.expect(TOKEN_TAG, value=self.end)
        return _Address(token, block, is_link=self.is_link, escaped=self.env.autoescape)


class _LinkTag(_AddressTag):
    name = LINK_TAG
    end = f"end{LINK_TAG}"


class _ImageTag(_AddressTag):
    name = IMAGE_TAG
    end = f"end{IMAGE_TAG}"
    is_link = False


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
    outputs: tuple[type[Tag], ...] = (_UrlOutputTag, _UrlEcho) if is_url else (_OutputTag, _Echo)
    for tag in (*outputs, _ForTag, _WithTag, _LinkTag, _ImageTag):
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
