"""Compiled HTML with the Liquid still in it, read as a tree in which each tag, value and text knows its offset.

Both ways of a condition and the body of a loop are there, one after the other, so that nothing is missed that the
sample person does not see.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Set
from functools import cached_property
from typing import NamedTuple
from xml.etree import ElementTree as ET

import cssselect2

from triggerfish.adapters.mjml_reader import LIQUID, MASK, mask
from triggerfish.adapters.sources import NOWHERE, Woven

DEEPEST = 100
"""Elements in one another; what lies deeper is taken as their neighbour."""

_TOKEN = re.compile(
    r"<!--.*?-->|<![^>]*>|<(?P<end>/?)(?P<name>[a-zA-Z][\w:-]*)(?P<rest>(?:[^<>\"']|\"[^\"]*\"|'[^']*')*)>", re.DOTALL
)
_ATTRIBUTE = re.compile(
    r"(?P<name>[^\s=/\"'<>]+)(?:\s*=\s*(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<bare>[^\s\"'>]+)))?"
)
_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})
_RAW = {name: re.compile(rf"</{name}\s*>", re.IGNORECASE) for name in ("style", "script", "title", "textarea")}
_CELLS = frozenset({"td", "th"})
_TABLE = frozenset({"table", "tbody", "thead", "tfoot", "tr", *_CELLS})
_CLOSES: Mapping[str, Set[str]] = {"td": _CELLS, "th": _CELLS, "tr": {"tr", *_CELLS}, "li": {"li"}}
_STOPS: Mapping[str, Set[str]] = {
    "td": {"tr", "table"},
    "th": {"tr", "table"},
    "tr": {"table"},
    "li": {"ul", "ol", "table"},
}
_ENDS_P = frozenset({
    "address", "article", "aside", "blockquote", "center", "div", "dl", "footer", "h1", "h2", "h3", "h4", "h5", "h6",
    "header", "hr", "main", "nav", "ol", "p", "pre", "section", "table", "ul",
})  # fmt: skip
"""What cannot stand in a paragraph, and so ends it (https://html.spec.whatwg.org/#the-p-element)."""


class Value(NamedTuple):
    """An attribute's value as written, with entities turned into letters, and where it stands."""

    text: str
    start: int
    end: int


class Text(NamedTuple):
    """A stretch of text, as written."""

    start: int
    end: int


class Node:
    """An element: its place, its attributes, its own texts. `written` says whether the author wrote it, not MJML."""

    __slots__ = ("at", "attributes", "children", "depth", "element", "end", "name", "parent", "texts", "written")

    def __init__(self, name: str, at: int, end: int, parent: Node | None, *, written: bool) -> None:
        self.name = name
        self.at = at
        self.end = end
        self.parent = parent
        self.depth: int = parent.depth + 1 if parent else 0
        self.written = written
        self.attributes: dict[str, Value] = {}
        self.texts: list[Text] = []
        self.children: list[Node] = []
        self.element = ET.Element(name)
        if parent is not None:
            parent.element.append(self.element)
            parent.children.append(self)

    def get(self, name: str) -> str:
        value = self.attributes.get(name)
        return value.text if value else ""

    def inside(self) -> Iterator[Node]:
        """The elements in this one, at any depth."""
        for child in self.children:
            yield child
            yield from child.inside()

    def above(self) -> Iterator[Node]:
        """The elements around this one, from the inside out."""
        node = self.parent
        while node is not None:
            yield node
            node = node.parent


class Markup:
    """The tree of one mail; `nodes` has its elements in the order of the text.

    `masked` is the text with MASK for all Liquid; in `visible`, only what writes something is MASK, tags are blanks.
    """

    def __init__(self, source: Woven) -> None:
        self.source = source
        self.masked = mask(source.text)
        self.visible = visible(source.text)
        self._pieces: list[tuple[int, int]] = []
        at = 0
        for text, origin in source.pieces:
            self._pieces.append((at, origin))
            at += len(text)
        self._starts = [start for start, _ in self._pieces]
        self.root = Node("html", 0, 0, None, written=False)
        self.nodes: list[Node] = []
        self._read()

    @cached_property
    def wrappers(self) -> dict[ET.Element, cssselect2.ElementWrapper]:
        """The elements as cssselect2 matches them."""
        whole = cssselect2.ElementWrapper.from_html_root(self.root.element)
        return {wrapper.etree_element: wrapper for wrapper in whole.iter_subtree()}

    def is_written(self, at: int) -> bool:
        """Whether a character stands in one of the author's files."""
        index = bisect_right(self._starts, at) - 1
        return index >= 0 and self._pieces[index][1] != NOWHERE

    def _read(self) -> None:
        node, at = self.root, 0
        while found := _TOKEN.search(self.masked, at):
            self._text(node, at, found.start())
            at = found.end()
            name = (found["name"] or "").lower()
            if not name:
                continue
            if found["end"]:
                closed = _closed_by(node, name)
                node = closed.parent or self.root if closed else node
                continue
            if name == "html":
                self._take(self.root, found)
                continue
            ended = _ended_by(node, name)
            node = ended.parent or self.root if ended else node
            opened = Node(name, found.start(), found.end(), node, written=self.is_written(found.start()))
            self._take(opened, found)
            self.nodes.append(opened)
            if name in _RAW:
                end = _RAW[name].search(self.masked, at)
                self._text(opened, at, end.start() if end else len(self.masked))
                at = end.end() if end else len(self.masked)
            elif name not in _VOID and not (found["rest"].endswith("/") and (":" in name or _is_drawing(node))):
                node = opened if opened.depth < DEEPEST else node
        self._text(node, at, len(self.masked))

    def _text(self, node: Node, start: int, end: int) -> None:
        if not self.visible[start:end].isspace() and start < end:
            node.texts.append(Text(start, end))

    def _take(self, node: Node, tag: re.Match[str]) -> None:
        base = tag.start("rest")
        for found in _ATTRIBUTE.finditer(tag["rest"]):
            name = found["name"].lower()
            if MASK in name or name in node.attributes:
                continue
            group = next((each for each in ("double", "single", "bare") if found[each] is not None), "name")
            start, end = base + found.start(group), base + found.end(group)
            text = "" if group == "name" else html.unescape(self.source.text[start:end])
            node.attributes[name] = Value(text, start, end)
            node.element.set(name, text)


def visible(text: str) -> str:
    """The text with MASK for each piece of Liquid that writes something, and blanks for the others."""
    return LIQUID.sub(lambda found: (MASK if found[0].startswith("{{") else " ") * len(found[0]), text)


def _closed_by(node: Node, name: str) -> Node | None:
    """The element that an end tag closes: none beyond the cell that it stands in."""
    for each in (node, *node.above()):
        if each.name == name and each.parent is not None:
            return each
        if each.name in _CELLS and name not in _TABLE:
            return None
    return None


def _ended_by(node: Node, name: str) -> Node | None:
    """The outermost element that a start tag ends: a cell the cell before it, a list the paragraph before it."""
    closes: Set[str] = {"p"} if name in _ENDS_P else _CLOSES.get(name, frozenset())
    stops: Set[str] = _STOPS.get(name, _TABLE)
    ended = None
    for each in (node, *node.above()) if closes else ():
        if each.name in stops:
            break
        if each.name in closes:
            ended = each
    return ended


def _is_drawing(node: Node) -> bool:
    return any(each.name == "svg" for each in (node, *node.above()))
