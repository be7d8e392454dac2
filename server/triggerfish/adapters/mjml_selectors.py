"""CSS selectors over finished HTML that has Liquid in it: <mj-style inline="inline"> and <mj-html-attributes>.

The HTML is searched with its Liquid blotted out, and changed where a found tag begins; nothing else of it is written
anew, so Liquid stays where it is, between table rows too. What stands in Outlook's conditional comments is not seen, as
with npm's MJML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from bs4 import BeautifulSoup
from soupsieve import SelectorSyntaxError

from triggerfish.adapters.mjml_reader import ATTRIBUTE, MARKUP, MASK, Complaint, mask, quoted
from triggerfish.adapters.sources import NOWHERE, Piece, Woven

MOST_SELECTORS = 1_000
"""Selectors of inlined styles that one email may have."""

_DECLARATION = re.compile(r"\s*(?P<name>[-\w]+)\s*:\s*(?P<value>(?:\([^)]*\)|\"[^\"]*\"|'[^']*'|[^;\"'(])+)")
_IMPORTANT = re.compile(r"\s*!\s*important\s*$", re.IGNORECASE)
_NOT_SHOWN = frozenset({"head", "title", "base", "link", "style", "meta", "script", "noscript"})
_SIZED = frozenset({"table", "td", "th", "img"})
_OF_TABLES = frozenset({"table", "th", "tr", "td", "caption", "colgroup", "col", "thead", "tbody", "tfoot"})
_OLD = {
    "background-color": "bgcolor",
    "background-image": "background",
    "text-align": "align",
    "vertical-align": "valign",
}
_UNMATCHED = re.compile(r"::?(?:hover|focus|active|visited|link|before|after|first-line|first-letter)\b")


class Setting(NamedTuple):
    """One attribute of <mj-html-attributes> for all that a selector finds; `value` as it stands between quotes.

    `at` is the selector's place.
    """

    selector: str
    at: int
    name: str
    value: Sequence[Piece]


class _Declaration(NamedTuple):
    name: str
    value: Sequence[Piece]
    is_important: bool


class _Rule(NamedTuple):
    selector: str
    at: int
    declarations: Sequence[_Declaration]


class _Tag(NamedTuple):
    """A start tag in the text: its name and where it ends, and the bounds of its attributes: the attribute's start, its
    value's start and end, the attribute's end.
    """

    name: str
    name_end: int
    attributes: dict[str, tuple[int, ...]]

    def setting(self, name: str, value: Sequence[Piece]) -> tuple[int, int, Sequence[Piece]]:
        """The edit that gives an attribute this value."""
        before, _, _, after = self.attributes.get(name, (self.name_end,) * 4)
        blank = "" if name in self.attributes else " "
        return before, after, [(f'{blank}{name}="', NOWHERE), *value, ('"', NOWHERE)]


def set_attributes(html: Woven, settings: Sequence[Setting]) -> tuple[Woven, list[Complaint]]:
    """The HTML with the attributes set at all that the selectors find; an attribute that is there is replaced."""
    page, complaints = _Page(html), list[Complaint]()
    wanted: dict[int, dict[str, Sequence[Piece]]] = {}
    for setting in settings:
        for start in page.find(setting.selector, setting.at, complaints):
            wanted.setdefault(start, {})[setting.name] = setting.value
    edits: list[tuple[int, int, Sequence[Piece]]] = []
    for start, values in wanted.items():
        tag = page.tag(start)
        edits += [tag.setting(name, value) for name, value in values.items()]
    return html.edited(edits), complaints


def inline_styles(html: Woven, sheets: Sequence[tuple[Woven, int]]) -> tuple[Woven, list[Complaint]]:
    """The HTML with each rule of the style sheets in the style of what it finds.

    A rule that no style can say (@media) or with no sound selector does nothing, as in npm's MJML, and is warned of. A
    sheet comes with its offset in the template, for complaints. What an element has in its own style wins, except
    over !important; of two rules the more specific wins, then the later.
    """
    page, complaints = _Page(html), list[Complaint]()
    found: dict[int, list[tuple[tuple[int, int, int], int, _Rule]]] = {}
    for order, rule in enumerate(rule for sheet, at in sheets for rule in _rules(sheet, at, complaints)):
        if order >= MOST_SELECTORS:
            sentence = f"an email can inline the styles of {MOST_SELECTORS:,} selectors"
            complaints.append(
                Complaint("TF316", rule.at, sentence, "leave out what it does not use", len(rule.selector))
            )
            break
        for start in page.find(rule.selector, rule.at, complaints, is_warning=True):
            found.setdefault(start, []).append((_specificity(rule.selector), order, rule))
    edits: list[tuple[int, int, Sequence[Piece]]] = []
    for start, rules in found.items():
        tag = page.tag(start)
        usual: dict[str, _Declaration] = {}
        urgent: dict[str, _Declaration] = {}
        for _, _, rule in sorted(rules, key=lambda each: each[:2]):
            for each in rule.declarations:
                group = urgent if each.is_important else usual
                group.pop(each.name, None)
                group[each.name] = each
        if tag.name in _NOT_SHOWN:
            continue
        before, first, last, after = tag.attributes.get("style", (tag.name_end,) * 4)
        own = {
            each["name"].lower(): _Declaration(each["name"].lower(), quoted(html, *_bounds(each, first)), False)
            for each in _DECLARATION.finditer(page.masked[first:last])
        }
        semicolon = ";" if own and not page.masked[first:last].rstrip().endswith(";") and urgent else ""
        opening = ("" if "style" in tag.attributes else " ") + 'style="'
        pieces = [
            (opening, NOWHERE),
            *_written(each for each in usual.values() if each.name not in own),
            *quoted(html, first, last),
            (semicolon, NOWHERE),
            *_written(urgent.values()),
            ('"', NOWHERE),
        ]
        edits.append((before, after, pieces))
        for name, value in _old_attributes(tag.name, usual | own | urgent).items():
            edits.append(tag.setting(name, value))
    return html.edited(edits), complaints


class _Page:
    """HTML in which tags are found by selector."""

    def __init__(self, html: Woven) -> None:
        self.masked = mask(html.text)
        self._soup = BeautifulSoup(self.masked, "html.parser")
        self._lines = [0, *accumulate(len(line) + 1 for line in self.masked.split("\n"))]

    def find(self, selector: str, at: int, complaints: list[Complaint], *, is_warning: bool = False) -> list[int]:
        """The offsets of the tags that a selector finds."""
        try:
            tags = self._soup.select(_UNMATCHED.sub(":not(*)", selector))
        except (SelectorSyntaxError, NotImplementedError):
            sentence = f'"{" ".join(selector.split())}" is no selector that can be looked for'
            complaints.append(Complaint("TF316", at, sentence, "", len(selector), is_warning))
            return []
        return [
            self._lines[tag.sourceline - 1] + tag.sourcepos
            for tag in tags
            if tag.sourceline and tag.sourcepos is not None
        ]

    def tag(self, start: int) -> _Tag:
        found = MARKUP.match(self.masked, start)
        if not found:
            return _Tag("", start, {})
        attributes: dict[str, tuple[int, ...]] = {}
        for each in ATTRIBUTE.finditer(found["rest"]):
            group = next((name for name in ("double", "single", "bare") if each[name] is not None), None)
            first, last = each.span(group) if group else (each.end(), each.end())
            bounds = (found.start("rest") + at for at in (each.start(), first, last, each.end()))
            attributes.setdefault(each["name"].lower(), tuple(bounds))
        return _Tag(found["name"].lower(), found.end("name"), attributes)


def _rules(sheet: Woven, offset: int, complaints: list[Complaint]) -> Iterator[_Rule]:
    """The rules of a style sheet; what cannot be written into a style is complained of."""
    text = re.sub(r"/\*.*?(?:\*/|$)", lambda found: " " * len(found[0]), mask(sheet.text), flags=re.DOTALL)
    at = 0
    while (opening := text.find("{", at)) >= 0:
        prelude = text[at:opening]
        start = at + len(prelude) - len(prelude.lstrip())
        closing, depth = opening + 1, 1
        while closing < len(text) and depth:
            depth += {"{": 1, "}": -1}.get(text[closing], 0)
            closing += 1
        at = closing
        selector = prelude.strip().lstrip("; \n\t")
        start += len(prelude.strip()) - len(selector)
        if depth:
            complaints.append(Complaint("TF316", offset + start, "this rule is never closed", "add }", len(selector)))
            return
        if selector.startswith("@") or MASK in selector:
            is_liquid = not selector.startswith("@")
            what = "Liquid cannot stand in a selector" if is_liquid else f"{selector.split()[0]} cannot be inlined"
            hint = "put it into a <mj-style> without inline"
            complaints.append(Complaint("TF316", offset + start, what, hint, len(selector), not is_liquid))
            continue
        declarations = []
        for found in _DECLARATION.finditer(text, opening + 1, closing - 1):
            value = found["value"].rstrip()
            important = _IMPORTANT.search(value)
            end = found.start("value") + (important.start() if important else len(value))
            name = found["name"].lower()
            declarations.append(_Declaration(name, quoted(sheet, found.start("value"), end), bool(important)))
        part_at = start
        for part in _split(text[start:opening]):
            stripped = part.strip()
            if stripped:
                yield _Rule(stripped, offset + part_at + len(part) - len(part.lstrip()), declarations)
            part_at += len(part) + 1


def _bounds(declaration: re.Match[str], offset: int) -> tuple[int, int]:
    value = declaration["value"].rstrip()
    return offset + declaration.start("value"), offset + declaration.start("value") + len(value)


def _old_attributes(element: str, styles: Mapping[str, _Declaration]) -> dict[str, list[Piece]]:
    """What Outlook reads in attributes rather than in styles: sizes of tables and pictures, colours and places of
    cells. They follow from the styles that are inlined, as with npm's MJML (juice).
    """
    found: dict[str, list[Piece]] = {}
    for side in ("width", "height") if element in _SIZED else ():
        value = "".join(text for text, _ in styles[side].value) if side in styles else ""
        if "{" not in value and (re.search("px|auto", value) or (element != "img" and "%" in value)):
            found[side] = [(value.replace("px", ""), NOWHERE)]
    for name, attribute in _OLD.items() if element in _OF_TABLES else ():
        pieces = list(styles[name].value) if name in styles else []
        if pieces and "gradient(" not in pieces[0][0]:
            url = re.fullmatch(r"url\((?:&quot;|')?([^\"']+?)(?:&quot;|')?\)", pieces[0][0])
            found[attribute] = [(url[1], NOWHERE)] if url and name == "background-image" else pieces
    return found


def _split(selectors: str) -> list[str]:
    """A list of selectors at its commas, but not at those in brackets."""
    return re.split(r",(?![^(]*\))(?![^\[]*\])", selectors)


def _specificity(selector: str) -> tuple[int, int, int]:
    """How specific a selector is: ids, classes, elements (Selectors Level 4, section 17, without its functions)."""
    ids, rest = len(re.findall(r"#[-\w]+", selector)), re.sub(r"#[-\w]+", "", selector)
    rest, attributes = re.subn(r"\[[^\]]*\]", "", rest)
    rest, elements = re.subn(r"::[-\w]+", "", rest)
    rest, classes = re.subn(r"[.:][-\w]+", "", rest)
    return ids, attributes + classes, elements + len(re.findall(r"[A-Za-z][-\w]*", rest))


def _written(declarations: Iterable[_Declaration]) -> list[Piece]:
    pieces: list[Piece] = []
    for each in declarations:
        pieces += [(f"{each.name}:", NOWHERE), *each.value, (";", NOWHERE)]
    return pieces
