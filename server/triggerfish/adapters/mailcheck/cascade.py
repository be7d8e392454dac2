"""What a mail's texts look like: ink, ground and size of each element, as style sheets and attributes make them."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import cssselect2
import tinycss2

from triggerfish.adapters.mailcheck.colours import WHITE, Colour, colour_of
from triggerfish.adapters.mailcheck.markup import Markup, Node
from triggerfish.adapters.mailcheck.styles import Declaration, Rule, Token, declarations

_SIZES = {"xx-small": 9.0, "x-small": 10.0, "small": 13.0, "medium": 16.0, "large": 18.0, "x-large": 24.0,
          "xx-large": 32.0}  # fmt: skip
_UNITS = {"px": 1.0, "pt": 4 / 3, "pc": 16.0, "in": 96.0, "cm": 96 / 2.54, "mm": 96 / 25.4, "rem": 16.0}
_HEADINGS = {"h1": 2.0, "h2": 1.5, "h3": 1.17, "h4": 1.0, "h5": 0.83, "h6": 0.67}
_LOOKED_AT = frozenset({"color", "background", "background-color", "background-image", "font-size", "font-weight",
                        "font", "display", "visibility", "opacity", "max-height", "mso-hide"})  # fmt: skip
_LINK = Colour(0, 0, 238 / 255)
_LINK_IN_DARK = Colour(158 / 255, 158 / 255, 1)
DARK = Colour(18 / 255, 18 / 255, 18 / 255)
"""What stands for the ground that mail programs in dark mode put under a mail that has none."""


class Look(NamedTuple):
    """How an element's own text looks. Ink or ground is None where it cannot be known: a value of Liquid. `on_picture`:
    between text and ground is a picture or gradient, where one is shown.
    """

    ink: Colour | None
    ground: Colour | None
    size: float
    is_bold: bool
    is_hidden: bool = False
    on_picture: bool = False


class Sheets:
    """The rules of all style sheets that hold on a wide screen, ready to be matched, in light or in dark mode."""

    def __init__(self, rules: Iterable[Rule], *, is_dark: bool) -> None:
        self._matcher = cssselect2.Matcher()
        for rule in rules:
            wanted = tuple(each for each in rule.declarations if each.name in _LOOKED_AT)
            if not wanted or not all(_holds(condition, is_dark=is_dark) for condition in rule.conditions):
                continue
            for selector in _selectors(tinycss2.serialize(rule.selector)):
                self._matcher.add_selector(selector, wanted)

    def match(self, element: cssselect2.ElementWrapper) -> list[Declaration]:
        """What is declared for an element, weakest first."""
        return [each for *_, wanted in self._matcher.match(element) for each in wanted]


@functools.lru_cache(maxsize=1024)
def _selectors(text: str) -> tuple[cssselect2.compiler.CompiledSelector, ...]:
    """The selectors, ready to be matched; none where they cannot be read: mail programs skip those, too."""
    try:
        return tuple(cssselect2.compile_selector_list(text))
    except cssselect2.SelectorError:
        return ()


def looks(markup: Markup, rules: Sequence[Rule], filled: Mapping[int, str], *, is_dark: bool) -> dict[Node, Look]:
    """How each element looks. `filled` are values with their Liquid worked out (values.py), by their offsets."""
    sheets = Sheets(rules, is_dark=is_dark)
    wrappers = markup.wrappers
    canvas = DARK if is_dark else WHITE
    found: dict[Node, Look] = {markup.root: Look(WHITE if is_dark else Colour(0, 0, 0), canvas, 16.0, False)}
    for node in markup.nodes:
        above = found[node.parent or markup.root]
        matched = sheets.match(wrappers[node.element])
        style = node.attributes.get("style")
        own = declarations(filled.get(style.start, style.text)) if style else ()
        ranked = [*_hints(node, filled), *matched, *own]
        important = [*(each for each in matched if each.is_important), *(each for each in own if each.is_important)]
        found[node] = _look(node, above, [*ranked, *important], is_dark=is_dark)
    return found


def _hints(node: Node, filled: Mapping[int, str]) -> list[Declaration]:
    """Attributes that say what CSS does: bgcolor, color of <font>, text of <body>."""
    hints: list[Declaration] = []
    for attribute, name in (("bgcolor", "background-color"), ("color", "color"), ("text", "color")):
        value = node.attributes.get(attribute)
        if value and (attribute != "color" or node.name == "font") and (attribute != "text" or node.name == "body"):
            hints += declarations(f"{name}:{filled.get(value.start, value.text)}")
    background = node.attributes.get("background")
    return [*hints, *declarations("background-image:url(x)")] if background and background.text else hints


def _look(node: Node, above: Look, declared: Sequence[Declaration], *, is_dark: bool) -> Look:
    ink, ground, size = above.ink, above.ground, above.size * _HEADINGS.get(node.name, 1.0)
    is_bold = above.is_bold or node.name in ("b", "strong", "th", *_HEADINGS)
    is_hidden = above.is_hidden or node.name in ("style", "script", "title", "head", "template")
    if node.name == "a" and node.get("href"):
        ink = _LINK_IN_DARK if is_dark else _LINK
    fill: Colour | None = Colour(0, 0, 0, 0)
    has_picture = False
    for each in declared:
        match each.name:
            case "color":
                ink = _ink(each.tokens, ink, above.ink)
            case "background-color":
                fill = _ink(each.tokens, fill, above.ground)
            case "background-image":
                has_picture = not _is_word(each.tokens, "none")
            case "background":
                fill, has_picture = _background(each.tokens)
            case "font-size":
                size = _size(each.tokens, above.size, size)
            case "font-weight":
                is_bold = _is_bold(each.tokens, is_bold)
            case "display":
                is_hidden = above.is_hidden or _is_word(each.tokens, "none")
            case "visibility":
                is_hidden = above.is_hidden or _is_word(each.tokens, "hidden")
            case "mso-hide":
                is_hidden = is_hidden or _is_word(each.tokens, "all")
            case "opacity" | "max-height":  # max-height:0 hides preheaders
                is_hidden = is_hidden or (bool(each.tokens) and getattr(each.tokens[0], "value", 1) == 0)
    on_picture = above.on_picture
    if fill is None:
        ground = None
    elif fill.alpha >= 1:
        ground, on_picture = fill, False
    elif fill.alpha > 0:
        ground = fill.over(ground) if ground else None
    return Look(ink, ground, size, is_bold, is_hidden, on_picture or has_picture)


def _ink(tokens: Sequence[Token], usual: Colour | None, inherited: Colour | None) -> Colour | None:
    if len(tokens) != 1:
        return None
    if tokens[0].type == "ident" and tokens[0].lower_value in ("inherit", "currentcolor", "unset"):
        return inherited
    found = colour_of(tokens[0])
    return usual if found is None and tokens[0].type in ("number", "dimension") else found


def _background(tokens: Sequence[Token]) -> tuple[Colour | None, bool]:
    """The colour of a `background`, and whether there is a picture or a gradient."""
    fill: Colour | None = Colour(0, 0, 0, 0)
    has_picture = False
    for token in tokens:
        if token.type in ("url", "error") or (token.type == "function" and not colour_of(token)):
            has_picture = True
        elif token.type in ("ident", "hash", "function") and (found := colour_of(token)):
            fill = found
        elif token.type == "ident" and not token.lower_value.isascii():
            fill = None
    return fill, has_picture


def _size(tokens: Sequence[Token], above: float, usual: float) -> float:
    if len(tokens) != 1:
        return usual
    token = tokens[0]
    if token.type == "dimension":
        unit = above if token.lower_unit == "em" else _UNITS.get(token.lower_unit)
        return usual if unit is None else float(token.value * unit)
    if token.type == "number":
        return 0.0 if token.value == 0 else usual
    if token.type == "percentage":
        return float(above * token.value / 100)
    if token.type == "ident":
        return above if token.lower_value == "inherit" else _SIZES.get(token.lower_value, usual)
    return usual


def _is_bold(tokens: Sequence[Token], usual: bool) -> bool:
    if len(tokens) == 1 and tokens[0].type == "number":
        return bool(tokens[0].value >= 600)
    if len(tokens) == 1 and tokens[0].type == "ident" and tokens[0].lower_value != "inherit":
        return tokens[0].lower_value in ("bold", "bolder")
    return usual


def _is_word(tokens: Sequence[Token], word: str) -> bool:
    return len(tokens) == 1 and tokens[0].type == "ident" and tokens[0].lower_value == word


def _holds(condition: str, *, is_dark: bool) -> bool:
    """Whether an at-rule's inside holds on a wide screen; what is not known does not."""
    name, _, query = condition.partition(" ")
    if name == "@layer":
        return True
    if name != "@media":
        return False
    return any(_query_holds(each.strip().lower(), is_dark=is_dark) for each in query.split(","))


def _query_holds(query: str, *, is_dark: bool) -> bool:
    for part in re.split(r"\s+and\s+", query.removeprefix("only ")):
        if part in ("", "all", "screen"):
            continue
        found = re.fullmatch(r"\(\s*([\w-]+)\s*:?\s*([^)]*?)\s*\)", part)
        if not found:
            return False
        name, value = found[1], found[2]
        if name == "prefers-color-scheme":
            if value != ("dark" if is_dark else "light"):
                return False
        elif name != "min-width":
            return False
    return True
