"""Marks: from a path within a rule file's data back to the file's line, column and text.

A path is a tuple of keys and indices: `("rules", 0, "when")`. `reading.read_yaml` makes Marks.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from msgspec import Struct

from triggerfish.rulefile.problems import Problem, quote
from triggerfish.rulefile.scalars import Style, raw_offset

Path = tuple[str | int, ...]

LINE_LIMIT = 160
"""Of a longer line, a problem shows this many characters around its place."""


class Span(Struct, frozen=True):
    """Where a key or value stands in the text: characters `start` up to `end`, written in `style`."""

    start: int
    end: int
    style: Style = ""
    value: str | None = None


class Place(Struct, frozen=True):
    """A place in a file, as a Problem has it: line and column from 1, the line's text, how much is meant."""

    line: int
    column: int
    width: int
    source: str
    skipped: int = 0


class Source:
    """The text of a file, and where its lines begin. A line ends with LF, CR LF or CR, as in YAML."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text

    @cached_property
    def _starts(self) -> list[int]:
        """Where the lines begin: of a file without problems nobody asks."""
        text, starts = self.text, [0]
        at = -1
        while (at := _next_break(text, at + 1)) >= 0:
            if text[at] == "\n" or text[at + 1 : at + 2] != "\n":
                starts.append(at + 1)
        return starts

    def place(self, start: int, width: int = 1) -> Place:
        """The place of a character of the text. The width ends with the line at the latest."""
        start = min(max(0, start), len(self.text))
        row = bisect_right(self._starts, start) - 1
        line = self.line(row + 1)
        at = min(start - self._starts[row], len(line))
        width = max(1, min(width, len(line) - at))
        skipped = 0
        if len(line) > LINE_LIMIT:
            skipped = max(0, min(at - LINE_LIMIT // 2, len(line) - LINE_LIMIT))
            line = line[skipped : skipped + LINE_LIMIT]
            width = max(1, min(width, skipped + LINE_LIMIT - at))
        return Place(row + 1, at + 1, width, line, skipped)

    def line(self, number: int) -> str:
        """The text of a line (from 1) without its end."""
        end = self._starts[number] if number < len(self._starts) else len(self.text)
        return self.text[self._starts[number - 1] : end].rstrip("\r\n")

    def start_of(self, number: int) -> int:
        """Where a line (from 1) begins in the text."""
        return self._starts[number - 1]

    def problem(
        self, start: int, code: str, sentence: str, *, width: int = 1, hint: str = "", within: str = ""
    ) -> Problem:
        """A problem at a character of the text."""
        return _problem(self.path, self.place(start, width), code, sentence, hint, within, False)


class LateSpans(Mapping[Path, Span]):
    """Spans that are found when the first of them is asked for."""

    def __init__(self, find: Callable[[], Mapping[Path, Span]]) -> None:
        self._find = find

    @cached_property
    def _found(self) -> Mapping[Path, Span]:
        return self._find()

    def __getitem__(self, path: Path) -> Span:
        return self._found[path]

    def __iter__(self) -> Iterator[Path]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


class Marks:
    """A file's plain data and the places of all its keys and values.

    `data` is dicts, lists, texts, numbers, booleans and None. `is_readable` is False when the text is no YAML that is
    admitted; then `data` is what was read until there.
    """

    def __init__(
        self,
        source: Source,
        data: Any,
        keys: Mapping[Path, Span],
        values: Mapping[Path, Span],
        *,
        is_readable: bool = True,
    ) -> None:
        self.source = source
        self.data = data
        self.is_readable = is_readable
        self._keys = keys
        self._values = values

    @property
    def path(self) -> str:
        """The file's path, as problems name it."""
        return self.source.path

    def place(self, path: Path, offset: int | None = None, width: int | None = None) -> Place:
        """Where the value at `path` stands; with `offset`, where that character of its text stands.

        Offsets are right for plain, quoted and block text over several lines. An empty value stands where its key
        does, and a path that the file does not have where its nearest parent does.
        """
        span = self._values.get(path)
        if span is None:
            return self.place(path[:-1]) if path else self.source.place(0)
        if offset is not None and span.value is not None:
            start = raw_offset(self.source.text, span.start, span.end, span.style, span.value, offset)
            end = raw_offset(self.source.text, span.start, span.end, span.style, span.value, offset + (width or 1) - 1)
            return self.source.place(start, end + 1 - start)
        if span.start == span.end and path in self._keys:
            return self.key_place(path)
        return self.source.place(span.start, width or span.end - span.start)

    def cut(self, path: Path, offset: int = 0, width: int | None = None) -> tuple[int, int]:
        """The characters of the file's text that make the value at `path`, or `width` of its own from `offset`: from,
        and up to. Only for a single value (text, a number, …) that the file has.
        """
        span = self._values[path]
        if span.value is None or (offset == 0 and width is None):
            return span.start, span.end
        last = offset + (len(span.value) - offset if width is None else width) - 1
        text = self.source.text
        start = raw_offset(text, span.start, span.end, span.style, span.value, offset)
        return start, raw_offset(text, span.start, span.end, span.style, span.value, last) + 1

    def cut_key(self, path: Path) -> tuple[int, int]:
        """The characters of the file's text that make the key of the value at `path`."""
        span = self._keys[path]
        return span.start, span.end

    def key_place(self, path: Path) -> Place:
        """Where the key of the value at `path` stands; a list's item has no key, and stands where it begins."""
        span = self._keys.get(path)
        return self.place(path) if span is None else self.source.place(span.start, span.end - span.start)

    def written(self, path: Path) -> str:
        """The text of the value at `path` as the file has it, up to 40 characters of it."""
        span = self._values.get(path)
        return "" if span is None else self.source.text[span.start : min(span.end, span.start + 40)]

    def problem(
        self,
        path: Path,
        code: str,
        sentence: str,
        *,
        hint: str = "",
        offset: int | None = None,
        width: int | None = None,
        at_key: bool = False,
        is_warning: bool = False,
    ) -> Problem:
        """A problem with the value at `path` (or with its key), placed, and named in the reader's terms."""
        place = self.key_place(path) if at_key else self.place(path, offset, width)
        return _problem(self.path, place, code, sentence, hint, self.within(path), is_warning)

    def within(self, path: Path) -> str:
        """`rule "vip-cart" of rule set "cart-recovery"`, `segment "loyal"`, `test "…"`, or empty outside of them."""
        if path[:1] == ("segments",):
            names = self._names_along(path, "segments")
            return f"segment {quote(names[-1])}" if names else ""
        if path[:1] == ("tests",):
            names = self._names_along(path[:2], "tests")
            return f"test {quote(names[-1])}" if names else ""
        if path[:1] == ("define",):
            return f"definition {quote(str(path[1]))}" if len(path) > 1 else ""
        ruleset = self.data.get("ruleset") if isinstance(self.data, dict) else None
        of_set = f"rule set {quote(ruleset)}" if isinstance(ruleset, str) else ""
        if path[:1] == ("rules",) and len(path) > 1:
            names = self._names_along(path, "rules")
            rule = f"rule {quote(names[0])}" if names else f"rule {int(path[1]) + 1}"
            return f"{rule} of {of_set}" if of_set else rule
        return of_set if path[:1] != ("events",) and path[:1] != ("policy",) else ""

    def _names_along(self, path: Path, key: str) -> list[str]:
        """The names of the things in lists called `key` through which the path goes, outermost first."""
        names = []
        at: Any = self.data
        for step in path:
            try:
                at = at[step]
            except (LookupError, TypeError):
                break
            if isinstance(step, int) and isinstance(at, dict) and isinstance(at.get("name"), str):
                names.append(at["name"])
        return names


def _next_break(text: str, start: int) -> int:
    newline, carriage = text.find("\n", start), text.find("\r", start)
    return max(newline, carriage) if min(newline, carriage) < 0 else min(newline, carriage)


def _problem(path: str, place: Place, code: str, sentence: str, hint: str, within: str, is_warning: bool) -> Problem:
    return Problem(
        path=path,
        line=place.line,
        column=place.column,
        code=code,
        sentence=sentence,
        hint=hint,
        within=within,
        source=place.source,
        skipped=place.skipped,
        width=place.width,
        is_warning=is_warning,
    )
