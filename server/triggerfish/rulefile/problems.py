"""Problems: what is wrong, where, and what to do about it. All of them at once, never only the first."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable

from msgspec import Struct

QUOTE_LIMIT = 60
NEAREST_LIMIT = 80


class Problem(Struct, frozen=True, order=True, kw_only=True):
    """One problem at one place of one file.

    `path` is relative to the workspace; `line` and `column` count characters from 1 (0: the file as a whole). `source`
    is the offending line as written, `width` how many characters of it the caret underlines; of a very long line,
    `source` is a part, and `skipped` says how many characters stand before it. `within` says where in the reader's
    terms (`rule "vip-cart" of rule set "cart-recovery"`).
    """

    path: str
    line: int
    column: int
    code: str
    sentence: str
    hint: str = ""
    within: str = ""
    source: str = ""
    skipped: int = 0
    width: int = 1
    is_warning: bool = False

    def render(self) -> str:
        """The form that people read, on the command line, in the API and on the page alike (STYLE.md, convention 4)."""
        place = f"{self.path}:{self.line}:{self.column}" if self.line else self.path
        kind = "warning: " if self.is_warning else ""
        lines = [f"{place}  {self.code}  {kind}{self.sentence}"]
        if self.source:
            at = max(0, self.column - 1 - self.skipped)
            left_out = "…" if self.skipped else ""
            marked = self.source[at : at + max(1, self.width)]
            caret = " " * _cells(left_out + self.source[:at]) + "^" * max(1, _cells(marked))
            lines.append(f"{self.line:>4} | {left_out}{self.source}")
            lines.append(f"     | {caret} {self.hint}".rstrip())
        elif self.hint:
            lines.append(f"       {self.hint}")
        if self.within:
            lines.append(f"       in {self.within}")
        return "\n".join(printable(line) for line in lines)


def printable(text: str) -> str:
    """The text with a stand-in for each character that a terminal would obey or hide: a file must not command it."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _STAND_INS.get(letter, "\ufffd") for letter in text)


def quote(text: str) -> str:
    """A user's text within a sentence: in quotes, printable, and cut when it is long."""
    short = text if len(text) <= QUOTE_LIMIT else text[: QUOTE_LIMIT - 1] + "…"
    return f'"{printable(short)}"'


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """`did you mean "x"?` for the known name that is nearest, or an empty text when none is near."""
    if len(name) > NEAREST_LIMIT:
        return ""
    names = {known_name.casefold(): known_name for known_name in sorted(known)}
    found = difflib.get_close_matches(name.strip().casefold(), names, n=1, cutoff=cutoff)
    return f'did you mean "{names[found[0]]}"?' if found else ""


def _cells(text: str) -> int:
    """How many cells of a terminal the text takes: two for wide characters, none for combining ones."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


_STAND_INS = {"\t": "→", "\u00a0": "␣"}
