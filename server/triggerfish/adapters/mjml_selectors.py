"""CSS selectors over finished HTML that has Liquid in it: <mj-style inline="inline"> and <mj-html-attributes>.

The HTML is searched with its Liquid blotted out, and changed where a found tag begins; nothing else of it is written
anew, so Liquid stays where it is, between table rows too. What stands in Outlook's conditional comments is not seen, as
with npm's MJML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
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
    """A start tag in the text: where its name ends, and the bounds of its attributes: the attribute's start, its
    value's start and end, the attribute's end.
    """

    name_end: int
    attributes: dict[str, tuple[int, ...]]


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
        for name, value in values.items():
            before, _, _, after = tag.attributes.get(name, (tag.name_end, 0, 0, tag.name_end))
            blank = "" if name in tag.attributes else " "
            edits.append((before, after, [(f'{blank}{name}="', NOWHERE), *value, ('"', NOWHERE)]))
    return html.edited(edits), complaints


def inline_styles(html: Woven, sheets: Sequence[tuple[Woven, int]]) -> tuple[Woven, list[Complaint]]:
    """The HTML with each rule of the style sheets in the style of what it finds.

    A sheet comes with its offset in the template, for complaints. What an element has in its own style wins, except
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
        for start in page.find(rule.selector, rule.at, complaints):
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
        before, first, last, after = tag.attributes.get("style", (tag.name_end,) * 4)
        own = page.masked[first:last]
        has = {each["name"].lower() for each in _DECLARATION.finditer(own)}
        semicolon = ";" if own.strip() and not own.rstrip().endswith(";") and urgent else ""
        opening = ("" if "style" in tag.attributes else " ") + 'style="'
        pieces = [
            (opening, NOWHERE),
            *_written(each for each in usual.values() if each.name not in has),
            *quoted(html, first, last),
            (semicolon, NOWHERE),
            *_written(urgent.values()),
            ('"', NOWHERE),
        ]
        edits.append((before, after, pieces))
    return html.edited(edits), complaints


class _Page:
    """HTML in which tags are found by selector."""

    def __init__(self, html: Woven) -> None:
        self.masked = mask(html.text)
        self._soup = BeautifulSoup(self.masked, "html.parser")
        self._lines = [0, *accumulate(len(line) + 1 for line in self.masked.split("\n"))]

    def find(self, selector: str, at: int, complaints: list[Complaint]) -> list[int]:
        """The offsets of the tags that a selector finds."""
        try:
            tags = self._soup.select(_UNMATCHED.sub(":not(*)", selector))
        except (SelectorSyntaxError, NotImplementedError):
            complaints.append(
                Complaint("TF316", at, f'"{selector}" is no selector that can be looked for', width=len(selector))
            )
            return []
        return [
            self._lines[tag.sourceline - 1] + tag.sourcepos
            for tag in tags
            if tag.sourceline and tag.sourcepos is not None
        ]

    def tag(self, start: int) -> _Tag:
        found = MARKUP.match(self.masked, start)
        if not found:
            return _Tag(start, {})
        attributes: dict[str, tuple[int, ...]] = {}
        for each in ATTRIBUTE.finditer(found["rest"]):
            group = next((name for name in ("double", "single", "bare") if each[name] is not None), None)
            first, last = each.span(group) if group else (each.end(), each.end())
            bounds = (found.start("rest") + at for at in (each.start(), first, last, each.end()))
            attributes.setdefault(each["name"].lower(), tuple(bounds))
        return _Tag(found.end("name"), attributes)


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
        selector = prelude.strip()
        if depth:
            complaints.append(Complaint("TF316", offset + start, "this rule is never closed", "add }", len(selector)))
            return
        if selector.startswith("@") or MASK in selector:
            sentence = (
                f"{selector.split()[0]} cannot be inlined"
                if selector[0] == "@"
                else "Liquid cannot stand in a selector"
            )
            complaints.append(
                Complaint("TF316", offset + start, sentence, "put it into a <mj-style> of its own", len(selector))
            )
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
