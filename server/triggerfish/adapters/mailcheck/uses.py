"""Which features of HTML and CSS the author's part of a mail uses, by marks ("property:gap", "element:video").

What MJML writes is left out: its tables, its conditional comments for Outlook and its resets suit mail programs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from triggerfish.adapters.mailcheck.mail import Mail
from triggerfish.adapters.mailcheck.markup import Node
from triggerfish.adapters.mailcheck.styles import At, Declaration, Rule, Token, declarations, offset_of, rules
from triggerfish.adapters.mjml_reader import MASK

_PSEUDO_ELEMENTS = frozenset({"before", "after", "first-letter", "first-line", "marker", "placeholder"})
_OF_CLIENTS = frozenset({"data-ogsc", "data-ogsb", "data-outlook-cycle", "owa", "x-apple-data-detectors"})
"""Attributes that a mail program adds: who selects by them speaks to it alone."""

_PICTURE = re.compile(r"\.(\w{3,4})(?:[?#].*)?$|^data:image/(\w+)", re.DOTALL)
_FEATURE = re.compile(r"\(\s*([\w-]+)")


class Use(NamedTuple):
    """One use: its mark, where it stands (an offset of the HTML, or of the MJML), how wide it is, and the marks of the
    at-rules around it: only mail programs that have those meet it.
    """

    mark: str
    at: int
    width: int
    around: tuple[str, ...] = ()
    in_mjml: bool = False


def uses_of(mail: Mail) -> Iterator[Use]:
    """All uses, in the order of the text; a feature that is used often comes often."""
    for element in mail.root.walk():
        for name in ("src", "background-url"):
            value = element.get(name)
            if value and (element.name.endswith("image") or name == "background-url"):
                for mark in _picture(value.value):
                    yield Use(mark, value.start, min(value.end - value.start, 40), in_mjml=True)
    for node in mail.markup.nodes:
        if node.written:
            yield from _markup(mail, node)
        if node.name == "style":
            for text in node.texts:
                if mail.markup.is_written(text.start):
                    yield from _sheet(mail, text.start, text.end)


def _markup(mail: Mail, node: Node) -> Iterator[Use]:
    width = len(node.name) + 1
    yield Use(f"element:{node.name}", node.at, width)
    if node.name in ("input", "button"):
        yield Use(f"{node.name}:{node.get('type').lower() or 'text'}", node.at, width)
    for name, value in node.attributes.items():
        yield Use(f"attribute:{name}", node.at, width)
        if name in ("src", "background"):
            for mark in _picture(value.text):
                yield Use(mark, value.start, min(value.end - value.start, 40))
    href = node.get("href").strip()
    if node.name == "a" and href.startswith(("#", "mailto:")) and len(href) > 1:
        yield Use("anchor:" if href.startswith("#") else "mailto:", node.at, width)
    if node.name == "meta" and node.get("name").lower() == "color-scheme":
        yield Use("meta:color-scheme", node.at, width)
    style = node.attributes.get("style")
    if style:
        text = mail.filled.get(style.start, style.text)
        is_plain = text == mail.html.text[style.start : style.end]
        for each in declarations(text):
            at = style.start + offset_of(text, each.line, each.column) if is_plain else style.start
            yield from _declaration(each, at, ())


def _picture(address: str) -> Iterator[str]:
    found = _PICTURE.search(address.strip())
    if found and MASK not in address and "{" not in address:
        yield f"image:{(found[1] or found[2]).lower()}"
        if found[2] and ";base64" in address[:80]:
            yield "image:base64"


def _sheet(mail: Mail, start: int, end: int) -> Iterator[Use]:
    text = mail.filled.get(start, mail.html.text[start:end])
    is_plain = text == mail.html.text[start:end]
    for rule in rules(text):
        at = start + offset_of(text, rule.line, rule.column) if is_plain else start
        around = tuple(mark for condition in rule.conditions for mark in _condition(condition))
        if isinstance(rule, At):
            for mark in _condition(f"@{rule.name} {rule.prelude}"):
                yield Use(mark, at, len(rule.name) + 1, around)
            continue
        for mark in _selector(rule):
            yield Use(mark, at, 1, around)
        for each in rule.declarations:
            where = start + offset_of(text, each.line, each.column) if is_plain else start
            yield from _declaration(each, where, around)


def _condition(condition: str) -> Iterator[str]:
    name, _, prelude = condition.partition(" ")
    yield f"at:{name.removeprefix('@')}"
    if name == "@media":
        for found in _FEATURE.finditer(prelude):
            yield f"media:{found[1].lower()}"


def _selector(rule: Rule) -> Iterator[str]:
    """What a selector needs: kinds of simple selectors, combinators, pseudo-classes."""
    if rule.is_nested:
        yield "nesting:"
    before, classes = "", 0
    for token in rule.selector:
        kind = token.type
        if before == ":" and kind in ("ident", "function"):
            name = token.lower_value if kind == "ident" else token.lower_name
            if name != "root":
                yield f"pseudo-element:{name}" if name in _PSEUDO_ELEMENTS else f"pseudo-class:{name}"
        elif kind == "ident":
            classes += before == "."
            yield "selector:." if before == "." else "selector:type"
            if classes > 1:
                yield "selector:chain"
        elif kind == "hash":
            yield "selector:#"
        elif kind == "[] block":
            if not any(part.type == "ident" and part.lower_value in _OF_CLIENTS for part in token.content):
                yield "selector:[]"
        elif kind == "literal" and token.value in "+~>*":
            yield f"selector:{token.value}"
        if kind == "whitespace" or (kind == "literal" and token.value not in ".:"):
            classes = 0
        before = token.value if kind == "literal" else ""


def _declaration(each: Declaration, at: int, around: tuple[str, ...]) -> Iterator[Use]:
    width = len(each.name)
    yield Use(f"property:{'--' if each.name.startswith('--') else each.name}", at, width, around)
    if each.is_important:
        yield Use("important:", at, width, around)
    if len(each.tokens) == 1 and each.tokens[0].type == "ident":
        yield Use(f"value:{each.name}:{each.tokens[0].lower_value}", at, width, around)
    if each.name == "font-family":  # names of fonts are no keywords, but for system-ui and its like
        for token in each.tokens:
            if token.type == "ident":
                yield Use(f"keyword:{token.lower_value}", at, width, around)
        return
    for mark in _value(each.tokens):
        yield Use(mark, at, width, around)


def _value(tokens: Sequence[Token], depth: int = 0) -> Iterator[str]:
    for token in tokens:
        if token.type == "dimension":
            yield f"unit:{token.lower_unit}"
        elif token.type == "percentage":
            yield "unit:%"
        elif token.type == "ident":
            yield f"keyword:{token.lower_value}"
        elif token.type == "function":
            yield f"function:{token.lower_name}"
            if depth < 5:
                yield from _value(token.arguments, depth + 1)
