"""Single values of YAML: what plain text means (1.2, core schema), and where each character of it was written."""

from __future__ import annotations

import math
import re
from typing import Literal

Style = Literal["", "'", '"', "|", ">"]
"""How a scalar is written: plain, in single or double quotes, as a literal or a folded block."""

Plain = str | int | float | bool | None

LARGEST = 2**63 - 1
"""Numbers beyond 64 bits are refused: neither the store nor JavaScript would give them back as they were."""

_CONSTANTS: dict[str, Plain] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INTEGER = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_ESCAPE = re.compile(r"x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.", re.DOTALL)


def resolve(text: str) -> Plain:
    """What unquoted text stands for: null, true, false, a number, or the text itself. `NO`, `on` and `10:30` are text.

    Raises ValueError with a sentence for a marketer when it looks like a number that cannot be kept as it is.
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if not (text[0].isdigit() or text[0] in "+-."):
        return text
    if _NO_NUMBER.fullmatch(text):
        raise ValueError("an endless number, or none at all, cannot be used here")
    if _INTEGER.fullmatch(text):
        digits = text.lstrip("+-")
        if len(digits) > 1 and digits[0] == "0":
            raise ValueError("a number that begins with 0 would lose it")
        number = int(text) if len(digits) < 20 else LARGEST + 1
    elif _BASED.fullmatch(text):
        number = int(text, 0) if len(text) < 32 else LARGEST + 1
    elif _FLOAT.fullmatch(text):
        value = float(text)
        if math.isinf(value):
            raise ValueError("the number is too large to be kept")
        return value
    else:
        return text
    if not -LARGEST - 1 <= number <= LARGEST:
        raise ValueError("the number is too large to be kept")
    return number


def raw_offset(text: str, start: int, end: int, style: Style, value: str, offset: int) -> int:
    """Where in `text` the character `offset` of a scalar's value was written.

    The scalar stands at `start` up to `end`, quotes and block header included. Line folding and indentation only add
    or drop white space, so everything else appears in both, in the same order; a space is where the one before ended.
    An offset at or past the end of the value gives the place after its last character.
    """
    at = start
    if style in ("|", ">"):
        at = _after_line(text, start, end)
    elif style:
        at += 1
    offset = max(0, offset)
    for letter in value[:offset]:
        at = _after(text, at, end, style, letter)
    if offset < len(value) and not value[offset].isspace():
        at = _next_written(text, at, end, style)
    return min(at, max(start, end - 1))


def _after(text: str, at: int, end: int, style: Style, letter: str) -> int:
    """The place after one character of a value, which stands at `at` or later."""
    if letter.isspace():
        if style == '"':
            at = _after_escaped_breaks(text, at, end)
        if not (style == '"' and text.startswith("\\", at)):
            return at + 1 if at < end and text[at] in " \t" else at
    at = _next_written(text, at, end, style)
    if style == "'" and text.startswith("''", at):
        return at + 2
    if style == '"' and text.startswith("\\", at):
        escape = _ESCAPE.match(text, at + 1)
        return escape.end() if escape else at + 1
    return at + 1


def _next_written(text: str, at: int, end: int, style: Style) -> int:
    """Skip what is no character of the value: indentation and line ends, escaped or not."""
    while at < end:
        if style == '"' and (after := _after_escaped_breaks(text, at, end)) > at:
            at = after
        elif text[at].isspace():
            at += 1
        else:
            break
    return at


def _after_escaped_breaks(text: str, at: int, end: int) -> int:
    """Skip a backslash at a line's end, and the indentation of the line below."""
    while at + 1 < end and text[at] == "\\" and text[at + 1] in "\r\n":
        at += 2
        while at < end and text[at].isspace():
            at += 1
    return at


def _after_line(text: str, at: int, end: int) -> int:
    while at < end and text[at] not in "\r\n":
        at += 1
    return at
