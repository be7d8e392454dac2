"""The last touch on a plain text, at each send: blanks and empty lines in order, rows of tables laid out."""

from __future__ import annotations

import re
from functools import lru_cache

# Marks that stand for the breaks of tables until the text is tidied: what a row holds is known only per person.
# An address between two ADDRESS is the one of the line that it stands in.
CELL, LINE, ROW, TALL_ROW, ADDRESS = "\t", "\x1c", "\x1e", "\x1d", "\x02"
_MARKED = r"\n\t\x1c-\x1e\xa0\u200b-\u200d\u2060\ufeff\u00ad\u034f"
_GAP = re.compile(rf"[{_MARKED}][ {_MARKED}]*")
_ADDRESSED = re.compile(r" *\x02([^\x02]*)\x02")
_RULE = "---\n"
_RULES = re.compile(r"\A(?:---\n\n)+|(?:\n\n---)+(?=\n\n---\n|\Z)")
"""Rules at the beginning and the end, and all but the last of several in a row: they divide nothing."""


def tidy(text: str) -> str:
    """Blanks collapsed, lines stripped, at most one empty line in a row, and one line end at the end."""
    text = text.replace("\r", "")
    if CELL in text:
        text = _rows(text)
    if ADDRESS in text:
        text = _ADDRESSED.sub(r": \1", text).replace(ADDRESS, " ")
    while "  " in text:
        text = text.replace("  ", " ")
    text = _GAP.sub(_gap, text)
    text = text.replace(" \n", "\n").replace("   ", "  ").strip()
    if text.startswith(_RULE) or text.endswith("\n---") or "\n---\n\n---\n" in text:
        text = _RULES.sub("", text)
    return text + "\n"


def _gap(found: re.Match[str]) -> str:
    written = _written(found[0])
    return "" if written == " " and found.string.endswith(" ", 0, found.start()) else written


@lru_cache(maxsize=1_024)
def _written(gap: str) -> str:
    if TALL_ROW in gap:
        return "\n\n"
    if ROW in gap:
        return "\n\n" if "\n\n" in gap else "\n"
    if CELL in gap:
        return "  "
    if gap.count("\n") > 1:
        return "\n\n"
    if "\n" in gap or LINE in gap:
        return "\n"
    return " " if "\xa0" in gap or " " in gap else ""


def _rows(text: str) -> str:
    """The text with the rows of its tables laid out; what stands before the first mark and after the last is none."""
    parts = [part.split(TALL_ROW) for part in text.split(ROW)]
    ends = parts[0][0], parts[-1][-1]
    for inner in parts:
        for at, part in enumerate(inner):
            if CELL in part and part is not ends[0] and part is not ends[1]:
                inner[at] = _row(part)
    return ROW.join(TALL_ROW.join(inner) for inner in parts)


def _row(row: str) -> str:
    """A row whose cells have several lines or addresses: what begins them on one line, what follows below."""
    cells = [
        [line for line in map(str.strip, cell.replace(LINE, "\n").split("\n")) if line] for cell in row.split(CELL)
    ]
    tall = [cell for cell in cells if len(cell) > 1]
    if not tall and ADDRESS not in row:
        return row
    if len(tall) > 1:  # a table that only lays out: each cell is a paragraph
        return TALL_ROW + TALL_ROW.join("\n".join(cell) for cell in cells) + TALL_ROW
    lines = [CELL.join(cell[0] for cell in cells if cell), *(line for cell in tall for line in cell[1:])]
    words = "\n".join(lines).split(ADDRESS)
    return TALL_ROW + "\n".join(["".join(words[::2]), *words[1::2]]) + TALL_ROW
