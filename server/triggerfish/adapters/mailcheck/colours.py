"""Colours and their contrast, by WCAG 2.2 (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio)."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from tinycss2.color3 import parse_color


class Colour(NamedTuple):
    """sRGB from 0 to 1, and how much of what is behind it it covers."""

    red: float
    green: float
    blue: float
    alpha: float = 1.0

    @property
    def hex(self) -> str:
        return "#" + "".join(f"{round(part * 255):02x}" for part in self[:3])

    def over(self, ground: Colour) -> Colour:
        """This colour as it looks on an opaque ground."""
        if self.alpha >= 1:
            return self
        mixed = [part * self.alpha + below * (1 - self.alpha) for part, below in zip(self[:3], ground[:3], strict=True)]
        return Colour(*mixed)

    def luminance(self) -> float:
        """Relative luminance: 0 is black, 1 is white."""
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in self[:3])
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue


BLACK, WHITE = Colour(0, 0, 0), Colour(1, 1, 1)


def contrast(one: Colour, other: Colour) -> float:
    """From 1 (the same) to 21 (black on white)."""
    lighter, darker = sorted((one.luminance(), other.luminance()), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def readable(ink: Colour, ground: Colour, needed: float) -> Colour:
    """The colour nearest to the ink, towards black or white, that has the contrast needed."""
    end = max((BLACK, WHITE), key=lambda colour: contrast(colour, ground))
    for step in range(1, 65):
        part = step / 64
        mixed = Colour(*(a + (b - a) * part for a, b in zip(ink[:3], end[:3], strict=True)))
        rounded = Colour(*(round(value * 255) / 255 for value in mixed[:3]))
        if contrast(rounded, ground) >= needed:
            return rounded
    return end


def colour_of(value: Any) -> Colour | None:
    """A colour as CSS writes it, text or token of tinycss2; None for `currentcolor` and what is no colour."""
    if not isinstance(value, str) and value.type in ("hash", "ident"):
        value = value.serialize()
    return _named(value) if isinstance(value, str) else _parsed(value)


def _parsed(value: Any) -> Colour | None:
    found = parse_color(value)
    if found is None or isinstance(found, str):
        return None
    return Colour(found.red, found.green, found.blue, found.alpha)


_named = functools.lru_cache(maxsize=1024)(_parsed)
