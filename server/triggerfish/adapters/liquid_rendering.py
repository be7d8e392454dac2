"""One rendering of python-liquid: what it may use, what it knows of its message, and how it says what is missing."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from io import StringIO
from time import monotonic
from typing import Any, TextIO

from liquid import BoundTemplate, RenderContext
from liquid.ast import Node
from liquid.exceptions import LiquidError, LiquidInterrupt, LiquidSyntaxError, ResourceLimitError
from liquid.token import Token
from liquid.undefined import UNDEFINED, Undefined
from liquid.utils import ReadOnlyChainMap
from msgspec import Struct

from triggerfish.render import Links

LONGEST_URL = 2048

_LINK_SCHEMES = {"http": True, "https": True, "mailto": False, "tel": False, "sms": False}
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*(?=:)", re.IGNORECASE)
_UNSAFE_IN_URL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""What no text of a mail has: control characters, halves of characters, and marks that turn round what comes after."""


class Limits(Struct, frozen=True):
    """What one rendering may use; beyond it, the message is refused."""

    loop_iterations: int = 10_000
    output_characters: int = 1_000_000
    locals_bytes: int = 200_000
    range_length: int = 1_000
    seconds: float = 1.0


LIMITS = Limits()
_USES_BY_NODES = 2
"""A template that is used more often gets code (liquid_code.py). Many are used for a check or the sample alone."""
_LONGEST_VALUE = LIMITS.output_characters


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
        self.preferences_url = links.preferences()
        self.confirm_url = links.confirm()
        self.has_unsubscribe_link = False
        self.ends_at = monotonic() + limits.seconds
        self._links = links
        self.made: dict[str, str] = {}
        """The addresses to print for links, each made once."""

    def link(self, url: str, token: Token) -> str:
        """The address to print for a link: tracked, or as it is (unsubscribe, preferences, mailto, tel, #here)."""
        made = self.made.get(url)
        if made is None:
            made = self.made[url] = self._make(url, token)
        return made

    def _make(self, url: str, token: Token) -> str:
        if url == self.unsubscribe_url:
            self.has_unsubscribe_link = True
            return url
        if url.startswith("#") or url in (self.preferences_url, self.confirm_url):
            return url
        is_tracked = _is_tracked(url) if url and len(url) <= LONGEST_URL else None
        if is_tracked is None:
            checked_url(url, token)
            raise WrongValue(f'"{url[:80]}" is no address for a link', token=token)
        return self._links.click(url) if is_tracked else url


def checked_url(url: str, token: Token) -> str:
    """The address, if it has a scheme, an acceptable length and nothing hidden in it; else WrongValue."""
    if not url:
        raise MissingValue("the address of this link", token)
    if len(url) > LONGEST_URL or not _is_whole(url):
        raise WrongValue(f'"{url[:80]}" is no whole address; one starts with https://', token=token)
    return url


@lru_cache(maxsize=2_048)
def _is_tracked(url: str) -> bool | None:
    """Whether a link is one to track; None when it is no link."""
    return _LINK_SCHEMES.get(url.partition(":")[0].lower()) if _is_whole(url) else None


@lru_cache(maxsize=2_048)
def _is_whole(url: str) -> bool:
    return _UNSAFE_IN_URL.search(url) is None and _SCHEME.match(url) is not None


def cleaned(text: str) -> str:
    """The text without what no mail has."""
    return _UNFIT.sub("", text)


def _is_blank(text: str) -> bool:
    return not text or text.isspace() or not (text.isprintable() or cleaned(text).strip())


class Buffer(StringIO):
    """Text that is written, in pieces, up to a limit in characters. python-liquid's own encodes every piece to count
    its bytes.
    """

    __slots__ = ("left", "pieces")

    def __init__(self, left: int) -> None:
        self.left = left
        self.pieces: list[str] = []

    def write(self, text: str) -> int:
        self.left -= len(text)
        if self.left < 0:
            raise ResourceLimitError("it becomes too long", token=None)
        self.pieces.append(text)
        return 0

    def count(self, left: int, start: int) -> None:
        """Count what was appended since there were `start` pieces and `left` characters left."""
        self.left = left - sum(map(len, self.pieces[start:]))
        if self.left < 0:
            raise ResourceLimitError("it becomes too long", token=None)

    def getvalue(self) -> str:
        return "".join(self.pieces)


class _Names(ReadOnlyChainMap):
    """Where names are looked up, innermost first. python-liquid's raises and catches at each place that lacks one."""

    def __getitem__(self, name: str) -> object:
        for place in self._maps:
            if name in place:
                return place[name]
        raise KeyError(name)


class Context(RenderContext):
    """A rendering's variables. Nothing reads the clock, and blank texts count as missing: a blank is a hole, too."""

    __slots__ = ("by_nodes", "sending")
    sending: Sending
    by_nodes: bool

    def __init__(self, template: BoundTemplate, **settings: Any) -> None:
        super().__init__(template, **settings)
        self.scope = _Names(self.locals, self.globals, self.counters)

    def check_time(self, token: Token | None = None) -> None:
        if monotonic() > self.sending.ends_at:
            raise ResourceLimitError("it takes too long", token=token)

    def get(self, path: list[object], *, token: Token | None, default: object = UNDEFINED) -> object:
        found = self.value(path, token)
        return default if type(found) is Missing and default is not UNDEFINED else found

    def value(self, path: Sequence[Any], token: Token | None) -> object:
        """What stands at a path; Missing when nothing does."""
        return self.reach(self.root(path[0]), path, token, is_set_here=path[0] in self.locals)

    def root(self, name: Any) -> Any:
        """What a name means here; None when it means nothing."""
        for place in self.scope._maps:
            if name in place:
                return place[name]
        return None

    def reach(self, found: Any, path: Sequence[Any], token: Token | None, *, is_set_here: bool = False) -> object:
        """The same of a path whose first name means `found`. What a template set itself may be blank."""
        try:
            for part in path[1:]:
                found = found[part] if type(found) is dict and part in found else self.get_item(found, part)
        except (KeyError, TypeError, IndexError):
            found = None
        if type(found) is str and not (found and found.isprintable() and not found.isspace() and len(found) < 1_000):
            if len(found) > _LONGEST_VALUE:
                raise ResourceLimitError("a value is longer than a mail may be", token=token)
            if _is_blank(found) and not is_set_here:
                found = None
        return missing_at(path, token) if found is None else found

    def get_buffer(self, buf: TextIO | None = None) -> Buffer:
        return Buffer(buf.left if type(buf) is Buffer else self.env.output_stream_limit or 0)

    def filter(self, name: str, token: Token | None) -> Callable[..., object]:
        self.check_time(token)
        return self.env.bare_filters.get(name) or super().filter(name, token)  # type: ignore[attr-defined]


def context_of(context: RenderContext) -> Context:
    """The same, of which more is known."""
    if type(context) is not Context:
        raise TypeError("our nodes are rendered by Compiled.write only")
    return context


def sending_of(context: RenderContext) -> Sending:
    """The message that a rendering belongs to."""
    return context_of(context).sending


class Compiled(BoundTemplate):
    """A parsed template. Rendering it is pure: the same data and links give the same text."""

    context_class = Context
    uses = 0
    code: Node | None = None
    write_code: Callable[[BoundTemplate], Node | None]

    def write(self, data: Mapping[str, Any], sending: Sending) -> str:
        """The text for this data. Raises LiquidError (MissingValue, WrongValue, limits)."""
        return "".join(self.pieces(data, sending))

    def pieces(self, data: Mapping[str, Any], sending: Sending) -> list[str]:
        """The text in pieces, of which those that stand in the template are Fixed. Raises as `write` does."""
        self.uses += 1
        if self.uses == _USES_BY_NODES + 1:
            self.code = self.write_code(self)
        found = self._by_code(self.code, data, sending) if self.code else None
        return self._by_nodes(data, sending) if found is None else found

    def _by_code(self, code: Node, data: Mapping[str, Any], sending: Sending) -> list[str] | None:
        context = self._context(data, sending, by_nodes=False)
        buffer = context.get_buffer()
        try:
            code.render(context, buffer)
        except Exception:
            return None  # whatever it was: the nodes meet it again, and know its place
        return buffer.pieces

    def _context(self, data: Mapping[str, Any], sending: Sending, *, by_nodes: bool) -> Context:
        context = Context(self, globals=data)
        context.sending, context.by_nodes = sending, by_nodes
        return context

    def _by_nodes(self, data: Mapping[str, Any], sending: Sending) -> list[str]:
        context = self._context(data, sending, by_nodes=True)
        buffer = context.get_buffer()
        for node in self.nodes:
            try:
                node.render(context, buffer)
            except LiquidInterrupt as error:
                raise LiquidSyntaxError(f"unexpected '{error}'", token=node.token) from error
            except LiquidError as error:
                error.token = error.token or node.token
                raise
        return buffer.pieces


def missing_at(path: Sequence[Any], token: Token | None) -> Missing:
    return Missing(_written(path), token=token)


def _written(path: Sequence[Any]) -> str:
    try:
        return ".".join(path)
    except TypeError:  # a number, as in items[0]
        head, *rest = path
        return str(head) + "".join(f".{part}" if isinstance(part, str) else f"[{part}]" for part in rest)
