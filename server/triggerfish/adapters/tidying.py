"""The last touch on a plain text, at each send: blanks and empty lines in order, rows of tables laid out.

What stands in the template is tidied once. Words are never touched, and what becomes of the blanks and breaks between
two words follows from these alone; so of each piece it is known what it has between its first and its last word, and
only what stands around its ends is worked out anew. Rows of tables are laid out whole.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from triggerfish.render import Fixed

# Marks that stand for the breaks of tables until the text is tidied: what a row holds is known only per person.
# An address between two ADDRESS is the one of the line that it stands in.
CELL, LINE, ROW, TALL_ROW, ADDRESS = "\t", "\x1c", "\x1e", "\x1d", "\x02"
_MARKED = r"\n\t\x1c-\x1e\xa0\u200b-\u200d\u2060\ufeff\u00ad\u034f"
_GAP = re.compile(rf"[{_MARKED}][ {_MARKED}]*")
_RUN = re.compile(rf"[ \r\x02{_MARKED}]+")
_BETWEEN_WORDS = " \r\n\t\x1c\x1d\x1e\xa0\u200b\u200c\u200d\u2060\ufeff\xad\u034f"
_ROW_MARKS = re.compile(r"[\t\x1d\x1e\x02]")
_ADDRESSED = re.compile(r" *\x02([^\x02]*)\x02")
_RULE = "---\n"
_RULES = re.compile(r"\A(?:---\n\n)+|(?:\n\n---)+(?=\n\n---\n|\Z)")
"""Rules at the beginning and the end, and all but the last of several in a row: they divide nothing."""


def tidy(text: str) -> str:
    """Blanks collapsed, lines stripped, at most one empty line in a row, and one line end at the end."""
    text = _in_order(_laid_out(text)).strip()
    if _has_idle_rules(text):
        text = _RULES.sub("", text)
    return text + "\n"


def tidied(pieces: Sequence[str]) -> str:
    """What `tidy` makes of the text that pieces are joined to, of which those that stand in the template are Fixed."""
    written = _piece_by_piece(pieces)
    if written:
        text = "".join(written)
        # What else counts as blank is not looked for piece by piece.
        if text == text.strip() and not _has_idle_rules(text):
            return text + "\n"
    return tidy("".join(pieces))


class _Piece(NamedTuple):
    """A piece from its first word to its last, and the blanks and breaks before and after."""

    before: str
    words: str
    after: str


class _Marked(NamedTuple):
    """A piece with marks of rows: what stands before the first and after the last; and the whole, laid out."""

    start: Fixed
    marked: str
    end: Fixed
    alone: Fixed


def _piece_by_piece(pieces: Sequence[str]) -> list[str] | None:
    """The pieces tidied, from the first word to the last. None where marks come from a person's values."""
    with_rows = _with_rows(pieces)
    if with_rows is None:
        return None
    written: list[str] = []
    gap = ""
    for piece in with_rows:
        if type(piece) is Fixed:
            before, words, after = piece.kept
        elif piece.isprintable() and piece.isascii() and "  " not in piece and piece.strip() == piece:
            before, words, after = "", piece, ""
        elif _ROW_MARKS.search(piece) and type(piece) is not _LaidOut:
            return None
        else:
            before, words, after = _cut(piece)
        gap += before
        if words:
            if gap and written:
                written.append(_between(gap))
            written.append(words)
            gap = after
    return written


def _with_rows(pieces: Sequence[str]) -> Sequence[str] | None:
    """The pieces, those from the first to the last with marks of rows laid out as one. None where an address would
    take away blanks of the piece before.
    """
    found: list[int] = []
    for at, piece in enumerate(pieces):
        if type(piece) is Fixed:
            if piece.kept is None:
                piece.kept = _prepared(piece)
            if type(piece.kept) is _Marked:
                found.append(at)
    if not found:
        return pieces
    first, last = pieces[found[0]].kept, pieces[found[-1]].kept  # type: ignore[attr-defined]
    is_cut = not first.start and first.marked.lstrip(" \r").startswith(ADDRESS)
    if is_cut and next(filter(None, reversed(pieces[: found[0]])), "").endswith((" ", "\r")):
        return None
    if len(found) == 1:
        return [*pieces[: found[0]], first.alone, *pieces[found[0] + 1 :]]
    rows = "".join((first.marked + first.end, *pieces[found[0] + 1 : found[-1]], last.start + last.marked))
    return [*pieces[: found[0]], first.start, _LaidOut(_laid_out(rows)), last.end, *pieces[found[-1] + 1 :]]


class _LaidOut(str):
    """Rows that are laid out, whose marks are none of a person's values."""

    __slots__ = ()


def _prepared(piece: str) -> _Piece | _Marked:
    """What is kept of a piece of the template."""
    marks = [found.span() for found in _RUN.finditer(piece) if _ROW_MARKS.search(found[0])]
    if not marks:
        return _cut(piece)
    start, end = marks[0][0], marks[-1][1]
    cut = [Fixed(piece[:start]), Fixed(piece[end:]), Fixed(_laid_out(piece))]
    for part in cut:
        part.kept = _cut(part)
    return _Marked(cut[0], piece[start:end], cut[1], cut[2])


def _cut(piece: str) -> _Piece:
    words = piece.strip(_BETWEEN_WORDS)
    if not words:
        return _Piece(piece, "", "")
    start = piece.index(words)
    return _Piece(piece[:start], _in_order(words), piece[start + len(words) :])


@lru_cache(maxsize=1_024)
def _between(gap: str) -> str:
    """What a run of blanks and breaks between two words becomes."""
    return _in_order(f".{gap}.")[1:-1]


def _laid_out(text: str) -> str:
    text = text.replace("\r", "")
    if CELL in text:
        text = _rows(text)
    if ADDRESS in text:
        text = _ADDRESSED.sub(r": \1", text).replace(ADDRESS, " ")
    return text


def _in_order(text: str) -> str:
    """Blanks and breaks between words in order."""
    text = text.replace("\r", "")
    while "  " in text:
        text = text.replace("  ", " ")
    text = _GAP.sub(_gap, text)
    return text.replace(" \n", "\n").replace("   ", "  ")


def _has_idle_rules(text: str) -> bool:
    return text.startswith(_RULE) or text.endswith("\n---") or "\n---\n\n---\n" in text


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
