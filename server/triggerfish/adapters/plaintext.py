"""The plain-text part, made from the same MJML: what a person would write, with the Liquid still in it.

It becomes a second Liquid template when a template is loaded; `tidying.tidy` puts each rendering into shape.
"""

from __future__ import annotations

import html
import re
from typing import NamedTuple

from triggerfish.adapters.liquid import LINK_TAG
from triggerfish.adapters.mjml_reader import BLOCKS, DIVIDERS, LIQUID, MASK, Element, Tag, mask
from triggerfish.adapters.sources import NOWHERE, Piece, Woven
from triggerfish.adapters.tidying import ADDRESS, CELL, LINE, ROW, TALL_ROW

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

_ENDS_LINE = _PARAGRAPHS | {"br", "hr", "tr", "td", "th", "li", "tbody", "thead", "tfoot"}
_ARROWS = re.compile(r"[\s→»›>:]+$")
"""What stands at the end of a link's words, and has no place before a colon."""

_OF_A_PERSON = re.compile(r"\s*(?:mailto|tel|sms):([^?{}\s]+)(?:\?[^{}]*)?\s*")
"""What leads to somebody rather than to a page is written as people write it: without a scheme and a subject."""


def text_of(source: Woven, root: Element) -> Woven:
    """The body of the template as plain text with Liquid."""
    pieces: list[Piece] = []
    for child in root.children:
        if isinstance(child, Element) and child.name == "mj-body":
            _Walk(source, pieces).children(child)
    return Woven(pieces)


class _Link(NamedTuple):
    """A link as it was written last: where it leads, in which column, and which of the pieces say so."""

    address: str
    column: int
    ends: int
    first: int
    last: int


class _Walk:
    def __init__(self, source: Woven, pieces: list[Piece]) -> None:
        self.source = source
        self.pieces = pieces
        self.column = 0
        self.link: _Link | None = None
        self.base: tuple[int, int] | None = None
        # Whether nothing is on the line yet; for each open {% if %}, how it was before it.
        self.is_fresh = True
        self.was_fresh: list[bool] = []

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
            case "mj-navbar":
                base = element.get("base-url")
                self.base = (base.start, base.end) if base else None
                self.children(element)
                self.base = None
            case _ if element.content is not None:
                self.say("\n\n")
                self.content(*element.content)
                self.say("\n\n")
            case _:
                if element.name in ("mj-column", "mj-hero"):
                    self.column = element.start
                self.say("\n")
                self.children(element)
                self.say("\n")

    def linked(self, element: Element, between: str) -> None:
        start, end = element.content or (0, 0)
        text = self.source.text[start:end]
        start, end = start + len(text) - len(text.lstrip()), start + len(text.rstrip())
        if start < end:
            self.content(start, end)
            self.drop_arrow()
        href = element.get("href")
        if href and href.value:
            self.lead(href.start, href.end, between if start < end else "", "")

    def drop_arrow(self) -> None:
        """Take back what the words that were just said end with and an address does not need before it."""
        text, origin = self.pieces[-1] if self.pieces else ("", NOWHERE)
        if not text.startswith("{") and (words := _ARROWS.sub("", text)):
            self.pieces[-1] = (words, origin)

    def image(self, element: Element) -> None:
        alt, href = element.get("alt"), element.get("href")
        if alt and alt.value:
            self.say("\n[")
            self.static(alt.start, alt.end)
            self.say("]\n")
            if href and href.value:
                self.lead(href.start, href.end, "", "\n")

    def lead(self, start: int, end: int, before: str, after: str) -> None:
        """Say where a link leads. Of links to one place that follow each other in a column, the last one says it."""
        address, last = self.source.text[start:end].strip(), self.link
        if last and last.address == address and last.column == self.column and last.ends <= start:
            between = self.source.text[last.ends : start]
            if not any(found["tag"] for found in LIQUID.finditer(between)):  # else one may be without the other
                self.pieces[last.first : last.last] = [("", NOWHERE)] * (last.last - last.first)
        first = len(self.pieces)
        self.say(before)
        self.address(start, end)
        self.say(after)
        self.link = _Link(address, self.column, end, first, len(self.pieces))

    def address(self, start: int, end: int) -> None:
        if person := _OF_A_PERSON.fullmatch(self.source.text, start, end):
            self.static(person.start(1), person.end(1))
            return
        self.say(f"{{% {LINK_TAG} %}}")
        if self.base:
            self.static(*self.base)
        self.static(start, end)
        self.say(f"{{% end{LINK_TAG} %}}")

    def content(self, start: int, end: int) -> None:
        """HTML between two places as text."""
        masked = mask(self.source.text[start:end])
        at, row_is_tall, cells = 0, False, 0
        links: list[tuple[tuple[int, int] | None, int, bool]] = []
        skipped: list[str] = []
        lists: list[int | None] = []
        self.is_fresh = True
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
                links.append((self._value(found, "href", start), start + found.end(), self.is_fresh))
            elif name == "a" and links:
                self._close_link(
                    links.pop(), start + found.start(), self._ends_line(start + at, end), is_cell=cells > 0
                )
            elif name == "img":
                alt = self._value(found, "alt", start)
                if alt and self.source.text[slice(*alt)].strip():
                    self.static(*alt)
            elif name == "tr":
                self.say(TALL_ROW if is_end and row_is_tall else ROW)
                row_is_tall, cells = False, 0
            elif name in ("td", "th") and not is_end:
                cells += 1
                self.say(CELL if cells > 1 else "")
            elif name in _PARAGRAPHS or name == "br":
                self.say("\n" if name == "br" else LINE if cells else "\n\n")
                row_is_tall = row_is_tall or cells > 0
                if name == "table":
                    cells = 0
                elif name in ("ol", "ul"):
                    lists = lists[:-1] if is_end else [*lists, self._first_number(name, masked, at)]
            elif name == "li" and not is_end:
                number = lists[-1] if lists else None
                self.say("\n- " if number is None else f"\n{number}. ")
                lists = [*lists[:-1], number + 1] if number is not None else lists
            elif name == "hr":
                self.say("\n\n---\n\n")
            self.is_fresh = self.is_fresh or name in _ENDS_LINE
        self.static(start + at, end)

    def _first_number(self, name: str, masked: str, at: int) -> int | None:
        """1 for a list that can be numbered now: one without loops and conditions."""
        end = masked.find("</ol", at)
        return 1 if name == "ol" and MASK not in masked[at : end if end >= 0 else len(masked)] else None

    def _ends_line(self, at: int, end: int) -> bool:
        """Whether nothing follows on the line, whichever way the conditions around it go."""
        while at < end:
            if piece := LIQUID.match(self.source.text, at, end):
                if piece["tag"] is None:
                    return False
                at = self._end_of_block(piece.end(), end) if piece["tag"] in DIVIDERS else piece.end()
            elif token := _TOKEN.match(self.source.text, at, end):
                if (token["name"] or "").lower() in _ENDS_LINE:
                    return True
                at = token.end()
            elif self.source.text[at].isspace():
                at += 1
            else:
                return False
        return True

    def _end_of_block(self, at: int, end: int) -> int:
        depth = 0
        for found in LIQUID.finditer(self.source.text, at, end):
            tag = found["tag"] or ""
            if tag in BLOCKS:
                depth += 1
            elif tag.startswith("end") and tag[3:] in BLOCKS:
                depth -= 1
                if depth < 0:
                    return found.end()
        return end

    def _close_link(
        self, link: tuple[tuple[int, int] | None, int, bool], end: int, ends_line: bool, *, is_cell: bool
    ) -> None:
        """`label (address)`, or `label: address` on a line of its own; of a label that is the address, that alone."""
        href, start, began_line = link
        if not href:
            return
        address = self.source.text[slice(*href)].strip()
        label = re.sub(r"<[^>]*>", "", self.source.text[start:end]).strip()
        if label in (address, address.partition(":")[2]) or (label and address.startswith("#")):
            return
        if not label:
            self.lead(*href, " ", " ")
        elif began_line and ends_line:
            mark = ADDRESS if is_cell else ""
            self.drop_arrow()
            self.lead(*href, mark or ": ", mark)
        else:
            self.lead(*href, " (", ")")

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
            self._note_tag(found["tag"])
            self.pieces += self.source.cut(found.start(), found.end())
            at = found.end()
        self._letters(at, end)

    def _note_tag(self, tag: str | None) -> None:
        """Keep in mind whether the line is empty, on each way of a condition."""
        if tag is None:
            self.is_fresh = False
        elif tag in BLOCKS:
            self.was_fresh.append(self.is_fresh)
        elif tag in DIVIDERS and self.was_fresh:
            self.is_fresh = self.was_fresh[-1]
        elif tag.startswith("end") and self.was_fresh:
            self.was_fresh.pop()

    def _letters(self, start: int, end: int) -> None:
        text = html.unescape(re.sub(r"\s+", " ", self.source.text[start:end]))
        text = re.sub(r"\{(?=[{%])", '{{ "{" }}', text)
        if text:
            self.is_fresh = self.is_fresh and text.isspace()
            self.pieces.append((text, self.source.origin(start)))
