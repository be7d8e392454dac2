"""Where each character of a template came from, through blocks and MJML, so that a problem has line and column."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

NOWHERE = -1
Piece = tuple[str, int]
"""A text and the offset in the Sources where it starts, or NOWHERE for text that no file has."""


class Place(NamedTuple):
    """One character of a file; line and column count from 1, `source` is the whole line."""

    path: str
    line: int
    column: int
    source: str


class Sources:
    """The files of a template laid end to end: an offset into that row names one character of one file."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._files: list[tuple[str, str]] = []
        self._end = 0

    def add(self, path: str, text: str) -> int:
        """Lay one more file at the end; the offset at which it starts."""
        start = self._end
        self._starts.append(start)
        self._files.append((path, text))
        self._end = start + len(text) + 1
        return start

    def place(self, offset: int) -> Place:
        """The place of an offset. NOWHERE is the beginning of the first file."""
        index = max(0, bisect_right(self._starts, max(0, offset)) - 1)
        path, text = self._files[index]
        at = min(max(0, offset - self._starts[index]), len(text))
        start = text.rfind("\n", 0, at) + 1
        end = text.find("\n", at)
        return Place(path, text.count("\n", 0, at) + 1, at - start + 1, text[start : end if end >= 0 else len(text)])


class Woven:
    """A text woven from pieces of files; it knows where each of its characters came from."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self.pieces = tuple(piece for piece in pieces if piece[0])
        self.text = "".join(text for text, _ in self.pieces)
        self._starts: list[int] = []
        at = 0
        for text, _ in self.pieces:
            self._starts.append(at)
            at += len(text)

    def origin(self, at: int) -> int:
        """The offset in the Sources that a character came from; of woven-in text, that of the nearest before it."""
        index = bisect_right(self._starts, at) - 1
        while index >= 0:
            text, start = self.pieces[index]
            if start != NOWHERE:
                return start + min(at - self._starts[index], len(text))
            index -= 1
        return NOWHERE

    def cut(self, start: int, end: int) -> list[Piece]:
        """The pieces between two places."""
        found: list[Piece] = []
        index = max(0, bisect_right(self._starts, start) - 1)
        while index < len(self.pieces) and self._starts[index] < end:
            text, origin = self.pieces[index]
            first, last = max(0, start - self._starts[index]), min(len(text), end - self._starts[index])
            if first < last:
                found.append((text[first:last], origin if origin == NOWHERE else origin + first))
            index += 1
        return found

    def edited(self, edits: Iterable[tuple[int, int, Sequence[Piece]]]) -> Woven:
        """A copy in which each stretch (start, end) is replaced by pieces; the stretches do not overlap."""
        woven: list[Piece] = []
        at = 0
        for start, end, pieces in sorted(edits, key=lambda edit: edit[:2]):
            woven.extend(self.cut(at, start))
            woven.extend(pieces)
            at = end
        woven.extend(self.cut(at, len(self.text)))
        return Woven(woven)
