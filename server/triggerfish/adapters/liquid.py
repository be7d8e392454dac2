"""python-liquid, made safe: escaping on, all growth bounded, no clock, no file, no hole where a value is missing."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable, Iterable, Mapping
from io import StringIO
from typing import Any, TextIO

from liquid import BoundTemplate, Environment, RenderContext
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
from liquid.parser import get_parser
from liquid.stream import TokenStream
from liquid.stringify import to_liquid_string
from liquid.tag import Tag
from liquid.token import TOKEN_EOF, TOKEN_TAG, Token
from liquid.undefined import UNDEFINED, Undefined
from liquid.utils import ReadOnlyChainMap
from markupsafe import escape as escape_html
from msgspec import Struct

from triggerfish.adapters.liquid_filters import TAKES_MISSING, guarded, standard_filters
from triggerfish.render import Links

LINK_TAG = "tracked_link"
IMAGE_TAG = "checked_image"
LONGEST_URL = 2048

_LINK_SCHEMES = {"http": True, "https": True, "mailto": False, "tel": False, "sms": False}
_IMAGE_SCHEMES = ("http:", "https:", "cid:", "data:image/")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*(?=:)", re.IGNORECASE)
_UNSAFE_IN_URL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Limits(Struct, frozen=True):
    """What one rendering may use; beyond it, the message is refused."""

    loop_iterations: int = 10_000
    output_characters: int = 1_000_000
    locals_bytes: int = 200_000
    range_length: int = 1_000
    seconds: float = 1.0


LIMITS = Limits()


class MissingValue(LiquidError):
    """A value without a fallback is missing. `variable` is its name as the template writes it."""

    def __init__(self, variable: str, token: Token | None) -> None:
        super().__init__(f'"{variable}" is missing and has no fallback', token=token)
        self.variable = variable


class WrongValue(LiquidError):
    """A value is there but cannot stand where the template puts it (a list as text, `javascript:` as a link)."""


class Missing(Undefined):
    """A value that is not there: false in a test, nothing in a comparison, and an error when it is printed."""

    __slots__ = ()

    def __str__(self) -> str:
        raise MissingValue(self.name, self.token)

    def __int__(self) -> int:
        raise MissingValue(self.name, self.token)

    __hash__ = Undefined.__hash__


class Sending:
    """What one message's renderings share: its links, each made once, and the time they may take together."""

    def __init__(self, links: Links, unsubscribe_url: str, limits: Limits = LIMITS) -> None:
        self.unsubscribe_url = unsubscribe_url
        self.has_unsubscribe_link = False
        self.ends_at = time.monotonic() + limits.seconds
        self._links = links
        self._made: dict[str, str] = {}

    def link(self, url: str, token: Token) -> str:
        """The address to print for a link: tracked, or as it is (unsubscribe, mailto, tel, #here)."""
        made = self._made.get(url)
        if made is None:
            made = self._made[url] = self._make(url, token)
        return made

    def _make(self, url: str, token: Token) -> str:
        if url == self.unsubscribe_url:
            self.has_unsubscribe_link = True
            return url
        if url.startswith("#"):
            return url
        is_tracked = _LINK_SCHEMES.get(checked_url(url, token).partition(":")[0].lower())
        if is_tracked is None:
            raise WrongValue(f'"{url[:80]}" is no address for a link', token=token)
        return self._links.click(url) if is_tracked else url


def checked_url(url: str, token: Token) -> str:
    """The address, if it has a scheme, an acceptable length and nothing hidden in it; else WrongValue."""
    if not url:
        raise MissingValue("the address of this link", token)
    if _UNSAFE_IN_URL.search(url) or not _SCHEME.match(url) or len(url) > LONGEST_URL:
        raise WrongValue(f'"{url[:80]}" is no whole address; one starts with https://', token=token)
    return url


class _Buffer(StringIO):
    """Text that is written, up to a limit in characters. python-liquid's own encodes every piece to count its bytes."""

    def __init__(self, limit: int, left: int | None = None) -> None:
        super().__init__()
        self.left = limit if left is None else left
        self._pieces: list[str] = []

    def write(self, text: str) -> int:
        self.left -= len(text)
        if self.left < 0:
            raise ResourceLimitError("it becomes too long", token=None)
        self._pieces.append(text)
        return len(text)

    def getvalue(self) -> str:
        return "".join(self._pieces)


class Context(RenderContext):
    """A rendering's variables. Nothing reads the clock, and blank texts count as missing: a blank is a hole, too."""

    __slots__ = ("sending",)
    sending: Sending

    def __init__(self, template: BoundTemplate, **settings: Any) -> None:
        super().__init__(template, **settings)
        self.scope = ReadOnlyChainMap(self.locals, self.globals, self.counters)

    def check_time(self, token: Token | None = None) -> None:
        if time.monotonic() > self.sending.ends_at:
            raise ResourceLimitError("it takes too long", token=token)

    def get(self, path: list[object], *, token: Token | None, default: object = UNDEFINED) -> object:
        self.check_time(token)
        found: Any = None
        try:
            found = self.scope[str(path[0])]
            for part in path[1:]:
                found = found[part] if type(found) is dict and part in found else self.get_item(found, part)
        except (KeyError, TypeError, IndexError):
            found = None
        if found is None or (type(found) is str and not found.strip() and path[0] not in self.locals):
            return Missing(_written(path), token=token) if default is UNDEFINED else default
        return found

    def get_buffer(self, buf: TextIO | None = None) -> _Buffer:
        return _Buffer(self.env.output_stream_limit or 0, buf.left if isinstance(buf, _Buffer) else None)

    def filter(self, name: str, token: Token | None) -> Callable[..., object]:
        self.check_time(token)
        return super().filter(name, token)


def sending_of(context: RenderContext) -> Sending:
    """The message that a rendering belongs to."""
    if not isinstance(context, Context):
        raise TypeError("tracked links are rendered by Compiled.write only")
    return context.sending


class Compiled(BoundTemplate):
    """A parsed template. Rendering it is pure: the same data and links give the same text."""

    context_class = Context

    def write(self, data: Mapping[str, Any], sending: Sending) -> str:
        """The text for this data. Raises LiquidError (MissingValue, WrongValue, limits)."""
        context = Context(self, globals=data)
        context.sending = sending
        buffer = context.get_buffer()
        self.render_with_context(context, buffer)
        return buffer.getvalue()


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
    *, is_html: bool, filters: Mapping[str, Callable[..., Any]], language: str, currency: str
) -> Environment:
    """The Liquid of one part of a message: HTML (autoescape on) or plain text (off).

    Differences from python-liquid's standard: no include, render (blocks are woven in before), tablerow; no `safe` and
    `escapejs` filters; our own date and money. `filters` are the plugins'.
    """
    made = _Environment(autoescape=is_html, undefined=Missing)
    for name in ("include", "render", "tablerow"):
        del made.tags[name]
    for tag in (_OutputTag, _Echo, _ForTag, WithTag, _LinkTag, _ImageTag):
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


def _written(path: list[object]) -> str:
    head, *rest = path
    return str(head) + "".join(f".{part}" if isinstance(part, str) else f"[{part}]" for part in rest)
