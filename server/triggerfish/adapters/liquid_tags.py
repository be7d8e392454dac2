"""What Liquid's tags write into a message: values escaped and cleaned, addresses and styles checked, loops bounded."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TextIO
from urllib.parse import quote

from liquid import RenderContext
from liquid.ast import BlockNode, Node
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions.loop import LoopExpression
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags.echo_tag import EchoTag
from liquid.builtin.tags.for_tag import ForNode, ForTag
from liquid.expression import Expression
from liquid.extra.tags import WithTag
from liquid.extra.tags._with import WithNode
from liquid.parser import get_parser
from liquid.stream import TokenStream
from liquid.stringify import to_liquid_string
from liquid.tag import Tag
from liquid.token import TOKEN_EOF, TOKEN_TAG, Token
from markupsafe import escape as escape_html

from triggerfish.adapters.liquid_rendering import (
    Missing,
    MissingValue,
    WrongValue,
    checked_url,
    cleaned,
    sending_of,
)

INSTEAD = "__instead"
"""`{% with url: event.url, url__instead: web.home %}`: the second stands in when the first is missing or blank."""
LINK_TAG = "tracked_link"
IMAGE_TAG = "checked_image"
STYLE_TAG = "checked_style"
STYLE_URL_TAG = "checked_style_url"

_STYLE_VALUE = re.compile(r"[\w\s#%.,+-]*|\s*(?:rgb|hsl)a?\([\d\s.,%/+-]*\)\s*", re.ASCII)
_ENDS_URL = re.compile(r"[\s'\"()\\<>]")
_IMAGE_SCHEMES = ("http:", "https:", "cid:", "data:image/")


class Written(OutputNode):
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return self.put(self.expression.evaluate(context), context, buffer)

    render = render_to_output

    def put(self, value: object, context: RenderContext, buffer: TextIO) -> int:
        """Write the value, if it is one that can be written."""
        if isinstance(value, str):
            if not value.isprintable():
                value = cleaned(value)
            return buffer.write(escape_html(value) if context.autoescape else value)
        if value is None:
            raise MissingValue(str(self.expression), self.token)
        if type(value) is Missing:
            raise MissingValue(value.name, self.token)
        if isinstance(value, float) and not math.isfinite(value):
            raise MissingValue(str(self.expression), self.token)
        if isinstance(value, Mapping) or (isinstance(value, list | tuple) and any(map(_is_no_text, value))):
            raise WrongValue(f'"{self.expression}" is a structure, not a text', token=self.token)
        return buffer.write(cleaned(to_liquid_string(value, context.autoescape)))


def _is_no_text(value: object) -> bool:
    return value is None or isinstance(value, list | Mapping)


def escaped(text: str) -> str:
    """The text as it stands in HTML. Most need no change, which is found out in less time than a change takes."""
    if "&" in text or "<" in text or ">" in text or '"' in text or "'" in text:
        return str(escape_html(text))
    return text


class _OutputTag(Output):
    node_class = Written


class _Echo(EchoTag):
    node_class = Written  # type: ignore[assignment]


class Held(Expression):
    """A value that is at hand already."""

    __slots__ = ("value",)

    def __init__(self, token: Token, value: object) -> None:
        super().__init__(token)
        self.value = value

    def evaluate(self, context: RenderContext) -> object:
        return self.value

    def children(self) -> list[Expression]:
        return []


class For(ForNode):
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        self._check(self.expression.iterable.evaluate(context), context)
        return super().render_to_output(context, buffer)

    def _check(self, found: object, context: RenderContext) -> None:
        if type(found) is Missing and self.default is None:
            raise MissingValue(found.name, self.token)
        if isinstance(found, list | tuple | Mapping):
            context.raise_for_loop_limit(len(found))

    def items(self, found: object, context: RenderContext) -> list[object]:
        """What the loop goes through, of what it is to go through."""
        self._check(found, context)
        given = self.expression
        items, length = LoopExpression(
            given.token, given.identifier, Held(given.token, found),
            limit=given.limit, offset=given.offset, reversed_=given.reversed, cols=None,
        ).evaluate(context)  # fmt: skip
        context.raise_for_loop_limit(length)
        return list(items)


class _ForTag(ForTag):
    node_class = For


class With(WithNode):
    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        scope = context.scope
        scope.push(self.given(context))
        try:
            return self.block.render(context, buffer)
        finally:
            scope.pop()

    render = render_to_output

    def given(self, context: RenderContext) -> dict[str, object]:
        """What the names stand for."""
        given: dict[str, object] = {}
        for argument in self.args:
            value = argument.value.evaluate(context)
            name = str(argument.name).removesuffix(INSTEAD)
            if name == argument.name or is_blank(given.get(name)):
                given[name] = value
        return given


def is_blank(value: object) -> bool:
    return value is None or type(value) is Missing or (isinstance(value, str) and not value.strip())


class _WithTag(WithTag):
    node_class = With


class _UrlOutput(Written):
    """A value within the address of a feed: it can bring no part of an address of its own."""

    def put(self, value: object, context: RenderContext, buffer: TextIO) -> int:
        inner = context.get_buffer(buffer)
        super().put(value, context, inner)
        return buffer.write(quote(inner.getvalue().encode("utf-8", "replace"), safe=""))


class _UrlOutputTag(Output):
    node_class = _UrlOutput


class _UrlEcho(EchoTag):
    node_class = _UrlOutput  # type: ignore[assignment]


class Address(Node):
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
        if self.fixed is not None:
            return self.put(self.fixed, context, buffer)
        return self.put(self._written(context, buffer).strip().replace(" ", "%20"), context, buffer)

    render = render_to_output

    def put(self, url: str, context: RenderContext, buffer: TextIO) -> int:
        """Write the address, if it is one that can be written."""
        sending = sending_of(context)
        if self.is_link:
            url = sending.link(url, self.token)
        elif not checked_url(url, self.token).lower().startswith(_IMAGE_SCHEMES):
            raise WrongValue(f'"{url[:80]}" is no address of a picture', token=self.token)
        return buffer.write(escape_html(url) if context.autoescape else url)

    @property
    def value(self) -> Expression | None:
        """What the address is, if it is one value and nothing else."""
        return _value_of(self.block)

    def _written(self, context: RenderContext, buffer: TextIO) -> str:
        """The address without HTML's escapes; one that is a value and nothing else need not be escaped first."""
        if self.value is not None:
            return self._text_of(self.value.evaluate(context), context, buffer)
        inner = context.get_buffer(buffer)
        self.block.render(context, inner)
        return html.unescape(inner.getvalue()) if context.autoescape else inner.getvalue()

    def _text_of(self, value: object, context: RenderContext, buffer: TextIO) -> str:
        if type(value) is str:
            return value
        written = _written_alone(self.block, value, context, buffer)
        return html.unescape(written) if context.autoescape else written

    def put_value(self, value: object, context: RenderContext, buffer: TextIO) -> None:
        """Write the address, which is one value and nothing else."""
        self.put(self._text_of(value, context, buffer).strip().replace(" ", "%20"), context, buffer)

    def children(self, static_context: RenderContext, *, include_partials: bool = True) -> Iterable[Node]:
        yield self.block


class _AddressTag(Tag):
    is_link = True

    def parse(self, stream: TokenStream) -> Node:
        token = stream.eat(TOKEN_TAG)
        block = get_parser(self.env).parse_block(stream, (self.end, TOKEN_EOF))
        stream.expect(TOKEN_TAG, value=self.end)
        return Address(token, block, is_link=self.is_link, escaped=self.env.autoescape)


class _LinkTag(_AddressTag):
    name = LINK_TAG
    end = f"end{LINK_TAG}"


class _ImageTag(_AddressTag):
    name = IMAGE_TAG
    end = f"end{IMAGE_TAG}"
    is_link = False


class Style(Node):
    """A value within CSS: a word, a number, a colour; anything else could bring rules of its own. Of an address in it,
    what could end it is percent-encoded.
    """

    __slots__ = ("block", "is_url")

    def __init__(self, token: Token, block: BlockNode, *, is_url: bool) -> None:
        super().__init__(token)
        self.block = block
        self.blank = False
        self.is_url = is_url

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        inner = context.get_buffer(buffer)
        self.block.render(context, inner)
        return self.put(inner.getvalue(), context, buffer)

    render = render_to_output

    @property
    def value(self) -> Expression | None:
        """What is written, if it is one value and nothing else."""
        return _value_of(self.block)

    def put_value(self, value: object, context: RenderContext, buffer: TextIO) -> None:
        """Write what is one value and nothing else."""
        self.put(_written_alone(self.block, value, context, buffer), context, buffer)

    def put(self, value: str, context: RenderContext, buffer: TextIO) -> int:
        """Write a value, escaped, if it can stand in CSS."""
        written = _style_address(value) if self.is_url else _style_value(value)
        if written is None:
            raise WrongValue(f'"{html.unescape(value)[:80]}" is no value for a style', token=self.token)
        return buffer.write(written)

    def children(self, static_context: RenderContext, *, include_partials: bool = True) -> Iterable[Node]:
        yield self.block


def _value_of(block: BlockNode) -> Expression | None:
    nodes = block.nodes
    return nodes[0].expression if len(nodes) == 1 and isinstance(nodes[0], Written) else None


def _written_alone(block: BlockNode, value: object, context: RenderContext, buffer: TextIO) -> str:
    """A value as the only output of a block writes it."""
    inner = context.get_buffer(buffer)
    for node in block.nodes:
        if isinstance(node, Written):
            node.put(value, context, inner)
    return inner.getvalue()


@lru_cache(maxsize=1_024)
def _style_value(escaped: str) -> str | None:
    """The value as it stands in CSS; None when it could bring rules of its own."""
    value = html.unescape(escaped)
    return str(escape_html(value)) if _STYLE_VALUE.fullmatch(value) else None


@lru_cache(maxsize=1_024)
def _style_address(escaped: str) -> str:
    return str(escape_html(_ENDS_URL.sub(lambda found: f"%{ord(found[0]):02X}", html.unescape(escaped))))


class _StyleTag(Tag):
    name = STYLE_TAG
    end = f"end{STYLE_TAG}"

    def parse(self, stream: TokenStream) -> Node:
        token = stream.eat(TOKEN_TAG)
        block = get_parser(self.env).parse_block(stream, (self.end, TOKEN_EOF))
        stream.expect(TOKEN_TAG, value=self.end)
        return Style(token, block, is_url=self.name == STYLE_URL_TAG)


class _StyleUrlTag(_StyleTag):
    name = STYLE_URL_TAG
    end = f"end{STYLE_URL_TAG}"


URL_TAGS: tuple[type[Tag], ...] = (_UrlOutputTag, _UrlEcho, _ForTag, _WithTag)
"""For the address of a feed."""
TAGS: tuple[type[Tag], ...] = (
    _OutputTag, _Echo, _ForTag, _WithTag, _LinkTag, _ImageTag, _StyleTag, _StyleUrlTag,
)  # fmt: skip
"""For the parts of a message."""
