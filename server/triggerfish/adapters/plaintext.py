"""The plain-text part, made from the same MJML: what a person would write, with the Liquid still in it.

It becomes a second Liquid template when a template is loaded; `tidy` puts each rendering into shape.
"""

from __future__ import annotations

import html
import re

from triggerfish.adapters.liquid import LINK_TAG
from triggerfish.adapters.mjml_reader import LIQUID, Element, Tag, mask
from triggerfish.adapters.sources import NOWHERE, Piece, Woven

SKIPPED_CLASS = "html-only"
"""A component with this css-class has no place in the plain text (a logo, a decoration)."""

_TOKEN = re.compile(
    r"<!--\[if.*?<!\[endif\]-->|<!--.*?-->|<(?P<skip>style|script|head)\b.*?</(?P=skip)\s*>"
    r"|<(?P<end>/?)(?P<name>[a-zA-Z][\w:-]*)(?P<rest>(?:[^<>\"']|\"[^\"]*\"|'[^']*')*)>",
    re.DOTALL | re.IGNORECASE,
)
_PARAGRAPHS = frozenset(
    {"p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "dl", "blockquote", "pre"}
)

# Marks that stand for the breaks of tables until the text is tidied: what a row holds is known only per person.
_CELL, _LINE, _ROW, _TALL_ROW = "\t", "\x1c", "\x1e", "\x1d"
_MARKED = r"\n\t\x1c-\x1e\xa0\u200b-\u200d\u2060\ufeff\u00ad\u034f"
_GAP = re.compile(rf"[{_MARKED}][ {_MARKED}]*")


def tidy(text: str) -> str:
    """Blanks collapsed, lines stripped, at most one empty line in a row, and one line end at the end."""
    while "  " in text:
        text = text.replace("  ", " ")
    text = _GAP.sub(_gap, text.replace("\r", ""))
    return text.replace(" \n", "\n").replace("   ", "  ").strip() + "\n"


def _gap(found: re.Match[str]) -> str:
    gap = found[0]
    if _TALL_ROW in gap:
        return "\n\n"
    if _ROW in gap:
        return "\n\n" if "\n\n" in gap else "\n"
    if _CELL in gap:
        return "  "
    if gap.count("\n") > 1:
        return "\n\n"
    if "\n" in gap or _LINE in gap:
        return "\n"
    return " " if "\xa0" in gap or " " in gap else ""


def text_of(source: Woven, root: Element) -> Woven:
    """The body of the template as plain text with Liquid."""
    pieces: list[Piece] = []
    for child in root.children:
        if isinstance(child, Element) and child.name == "mj-body":
            _Walk(source, pieces).children(child)
    return Woven(pieces)


class _Walk:
    def __init__(self, source: Woven, pieces: list[Piece]) -> None:
        self.source = source
        self.pieces = pieces

    def say(self, text: str) -> None:
        self.pieces.append((text, NOWHERE))

    def children(self, element: Element) -> None:
        for child in element.children:
            if isinstance(child, Tag):
                self.pieces += self.source.cut(child.start, child.end)
            else:
                self.element(child)

    def element(self, element: Element) -> None:
        css_class = element.get("css-class")
        if css_class and SKIPPED_CLASS in css_class.value.split():
            return
        match element.name:
            case "mj-divider":
                self.say("\n\n---\n\n")
            case "mj-button":
                self.say("\n\n")
                self.linked(element, ":\n")
                self.say("\n\n")
            case "mj-social-element" | "mj-navbar-link":
                self.say("\n")
                self.linked(element, ": ")
                self.say("\n")
            case "mj-image" | "mj-carousel-image":
                self.image(element)
            case _ if element.content is not None:
                self.say("\n\n")
                self.content(*element.content)
                self.say("\n\n")
            case _:
                self.say("\n")
                self.children(element)
                self.say("\n")

    def linked(self, element: Element, between: str) -> None:
        if element.content:
            text = self.source.text[slice(*element.content)]
            start = element.content[0] + len(text) - len(text.lstrip())
            self.content(start, start + len(text.strip()))
        href = element.get("href")
        if href and href.value:
            self.say(between)
            self.address(href.start, href.end)

    def image(self, element: Element) -> None:
        alt, href = element.get("alt"), element.get("href")
        if alt and alt.value:
            self.say("\n[")
            self.static(alt.start, alt.end)
            self.say("]\n")
            if href and href.value:
                self.address(href.start, href.end)
                self.say("\n")

    def address(self, start: int, end: int) -> None:
        self.say(f"{{% {LINK_TAG} %}}")
        self.static(start, end)
        self.say(f"{{% end{LINK_TAG} %}}")

    def content(self, start: int, end: int) -> None:
        """HTML between two places as text."""
        masked = mask(self.source.text[start:end])
        at, row_is_tall, cells = 0, False, 0
        links: list[tuple[tuple[int, int] | None, int]] = []
        skipped: list[str] = []
        for found in _TOKEN.finditer(masked):
            name, is_end = (found["name"] or "").lower(), bool(found["end"])
            if skipped:
                if name == skipped[0]:
                    skipped = skipped[1:] if is_end else [name, *skipped]
                at = found.end()
                continue
            self.static(start + at, start + found.start())
            at = found.end()
            if SKIPPED_CLASS in (found["rest"] or "") and not is_end and name not in ("img", "br", "hr"):
                skipped = [name]
            elif name == "a" and not is_end:
                links.append((self._value(found, "href", start), start + found.end()))
            elif name == "a" and links:
                self._close_link(links.pop(), start + found.start())
            elif name == "img":
                alt = self._value(found, "alt", start)
                if alt and self.source.text[slice(*alt)].strip():
                    self.static(*alt)
            elif name == "tr":
                self.say(_TALL_ROW if is_end and row_is_tall else _ROW)
                row_is_tall, cells = False, 0
            elif name in ("td", "th") and not is_end:
                cells += 1
                self.say(_CELL if cells > 1 else "")
            elif name in _PARAGRAPHS or name == "br":
                self.say("\n" if name == "br" else _LINE if cells else "\n\n")
                row_is_tall = row_is_tall or cells > 0
                if name == "table":
                    cells = 0
            elif name == "li" and not is_end:
                self.say("\n- ")
            elif name == "hr":
                self.say("\n\n---\n\n")
        self.static(start + at, end)

    def _close_link(self, link: tuple[tuple[int, int] | None, int], end: int) -> None:
        """`label (address)`; only the label when it is the address already, only the address without a label."""
        href, start = link
        if not href:
            return
        address = self.source.text[slice(*href)].strip()
        label = re.sub(r"<[^>]*>", "", self.source.text[start:end]).strip()
        if label in (address, address.partition(":")[2]):
            return
        self.say(" (" if label else " ")
        self.address(*href)
        self.say(")" if label else " ")

    def _value(self, tag: re.Match[str], name: str, base: int) -> tuple[int, int] | None:
        found = re.search(rf"(?<![\w-]){name}\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>]+))", tag["rest"], re.IGNORECASE)
        if not found:
            return None
        group = next(number for number in (1, 2, 3) if found[number] is not None)
        begin = base + tag.start("rest")
        return begin + found.start(group), begin + found.end(group)

    def static(self, start: int, end: int) -> None:
        """Text and Liquid between two places: blanks collapsed, entities turned into letters."""
        at = start
        for found in LIQUID.finditer(self.source.text, start, end):
            self._letters(at, found.start())
            self.pieces += self.source.cut(found.start(), found.end())
            at = found.end()
        self._letters(at, end)

    def _letters(self, start: int, end: int) -> None:
        text = html.unescape(re.sub(r"\s+", " ", self.source.text[start:end]))
        text = re.sub(r"\{(?=[{%])", '{{ "{" }}', text)
        if text:
            self.pieces.append((text, self.source.origin(start)))
