"""What YAML's own faults mean to somebody who edits a rule file: a sentence, a place and a way out.

ruamel.yaml names a fault in its parser's terms, and where it noticed it, which is often a line too late. What it says
and the lines around it tell what was most likely meant.
"""

from __future__ import annotations

import re

from ruamel.yaml.error import MarkedYAMLError

from triggerfish.rulefile.marks import Source
from triggerfish.rulefile.problems import Problem, quote

_NO_SPACE = re.compile(r"(?:[ ]*-[ ]+)*[ ]*[A-Za-z_][\w-]*(:)(?=[^\s:/])")
_NO_COLON = re.compile(r"(?:[ ]*-[ ]+)*[ ]*([A-Za-z_][\w-]*)(?=[ ]|$)")
_VALUE = re.compile(r"(?:[ ]*-[ ]+)*[ ]*[^\s:#][^:#]*:[ ]+(?=\S)")
_NO_SPACES = re.compile("[^ ]+")
_NO_DASH_SPACE = re.compile(r"[ ]*-[A-Za-z]")
_HAS_COLON = re.compile(r":(?:[ ]|$)")
_LAST_LOOKED_AT = 200
"""How many lines back a cause is looked for."""


def explain(error: MarkedYAMLError, source: Source) -> Problem:
    """The problem behind a YAML error, at the place where it was most likely made."""
    fault = _Fault(error, source)
    return fault.false_space() or fault.by_words() or fault.unknown()


class _Fault:
    """A YAML error with the lines around it. `at` is where the parser stopped, `since` where it began to read."""

    def __init__(self, error: MarkedYAMLError, source: Source) -> None:
        self.source = source
        self.text = source.text
        self.what = str(error.problem or "")
        self.reading = str(error.context or "")
        mark = error.problem_mark or error.context_mark
        self.at = min(mark.index, len(self.text)) if mark is not None else 0
        self.since = error.context_mark.index if error.context_mark is not None else self.at
        self.row = source.place(self.at).line
        self.line = source.line(self.row)
        self.column = source.place(self.at).column

    def by_words(self) -> Problem | None:
        what, reading = self.what, self.reading
        if "quoted scalar" in reading and "escape" not in what:
            return self.open_quote(self.since)
        if "escape" in what:
            hint = 'use single quotes around it, or write the backslash twice ("\\\\")'
            return self.problem(self.at - 1, "TF228", "in double quotes, a backslash is special", hint=hint)
        if what.startswith("mapping values are not allowed"):
            return self.stray_colon()
        if what.startswith("could not find expected ':'"):
            return self.no_colon(self.source.place(self.since).line)
        if "cannot start any token" in what or any(word in reading for word in _NEEDING_QUOTES):
            return self.special(self.since if "scanning for" not in reading else self.at)
        if "flow" in reading or what.endswith("'<stream end>'"):
            return self.open_bracket()
        if what.startswith("expected <block end>"):
            return self.block()
        if what.startswith("expected the node content"):
            hint = "delete it, or put quotes around the text that it belongs to"
            return self.problem(self.at, "TF205", "a value is expected here, and this is none", hint=hint)
        return None

    def problem(self, start: int, code: str, sentence: str, *, width: int = 1, hint: str = "") -> Problem:
        return self.source.problem(start, code, sentence, width=width, hint=hint)

    def unknown(self) -> Problem:
        hint = "look at the quotes, colons and indentation of this line and of the one above"
        return self.problem(self.at, "TF205", "from here on, this is not YAML", hint=hint)

    def false_space(self) -> Problem | None:
        """Tabs and other blanks in the indentation, which look like spaces and are not."""
        for row in (self.row, self.source.place(self.since).line, self.row_above() or self.row):
            line = self.source.line(row)
            indent = line[: len(line) - len(line.lstrip())]
            found = _NO_SPACES.search(indent)
            if found is not None:
                what = "a tab" if found[0][0] == "\t" else "a blank that is no space (such as a no-break space)"
                start = self.source.start_of(row) + found.start()
                return self.problem(start, "TF206", f"{what} indents this line", width=len(found[0]), hint="use spaces")
        return None

    def open_quote(self, start: int) -> Problem:
        mark = self.text[start]
        hint = f"put {mark} at the end of the text"
        return self.problem(start, "TF207", "this quote is never closed", hint=hint)

    def open_bracket(self) -> Problem | None:
        start = self.since if self.text[self.since : self.since + 1] in ("[", "{") else _unclosed(self.text, self.at)
        if start is None:
            return None
        opening = self.text[start]
        closing = {"[": "]", "{": "}"}[opening]
        if self.source.place(start).line != self.row or self.at >= len(self.text.rstrip()):
            hint = f"close it with {closing}, or put quotes around it if it is text"
            return self.problem(start, "TF207", f'this "{opening}" is never closed', hint=hint)
        sentence = f'a comma or "{closing}" is expected here'
        return self.problem(self.at, "TF205", sentence, hint="put quotes around text that holds signs")

    def stray_colon(self) -> Problem:
        """A colon that opens a mapping where none can be: text with a colon in it, or a fault in the line above."""
        before = self.line[: self.column - 1]
        value = _VALUE.match(before)
        if value is not None:
            start = self.source.start_of(self.row) + value.end()
            return self.needs_quotes(start, "this text holds a colon with a space after it")
        above = self.row_above()
        if above is None:
            return self.unknown()
        if not _HAS_COLON.search(self.source.line(above)):
            return self.no_colon(above)
        return self.indentation()

    def no_colon(self, row: int) -> Problem:
        line = self.source.line(row)
        start = self.source.start_of(row)
        if found := _NO_SPACE.match(line):
            return self.problem(
                start + found.start(1), "TF227", "a space is missing after the colon", hint='write ": "'
            )
        if found := _NO_COLON.match(line):
            name = found[1]
            sentence = f"a colon is missing after {quote(name)}"
            hint = f'write "{name}:"' if len(name) < 40 else ""
            return self.problem(start + found.start(1), "TF227", sentence, width=len(name), hint=hint)
        at = start + len(line) - len(line.lstrip())
        return self.problem(at, "TF227", "a key with a colon is expected in this line", width=len(line.strip()))

    def special(self, start: int) -> Problem:
        sign = self.text[start : start + 1]
        return self.needs_quotes(start, f"text cannot begin with {quote(sign)} unless it stands in quotes")

    def needs_quotes(self, start: int, sentence: str) -> Problem:
        rest = self.source.line(self.source.place(start).line)[self.source.place(start).column - 1 :].rstrip()
        hint = 'put the text below, indented, and "|" in its place'
        if "'" not in rest:
            hint = f"write '{rest}'" if len(rest) <= 50 else "put single quotes around the whole of it"
        elif '"' not in rest and "\\" not in rest:
            hint = f'write "{rest}"' if len(rest) <= 50 else "put double quotes around the whole of it"
        return self.problem(start, "TF228", sentence, width=len(rest), hint=hint)

    def block(self) -> Problem:
        """Something that does not belong to the block that it stands in."""
        found = self.what.rpartition("found ")[2].strip("'")
        if found == "<scalar>":
            return self.after_value()
        if _NO_DASH_SPACE.match(self.line):
            return self.problem(self.at, "TF227", 'a space is missing after this "-"')
        if found == "?" and self.line.lstrip()[:1] != "-":
            inner = self.inner_column()
            hint = f"begin it in column {inner} if it belongs to the item above" if inner else ""
            width = len(self.line.split(":", 1)[0].strip())
            return self.problem(self.at, "TF226", "a key stands between the items of a list", width=width, hint=hint)
        if found == "-":
            hint = "a list needs a key of its own above it"
            return self.problem(self.at, "TF226", "an item of a list stands between keys", hint=hint)
        if found.startswith("<block"):
            return self.indentation()
        return self.unknown()

    def after_value(self) -> Problem:
        """More text after a closed quote or bracket: a condition that begins with one, or a quote closed too late."""
        value = _VALUE.match(self.line)
        if value is not None and value.end() < self.column - 1 and self.line[value.end()] in "\"'[{":
            start = self.source.start_of(self.row) + value.end()
            kind = "quote" if self.line[value.end()] in "\"'" else "bracket"
            return self.needs_quotes(start, f"text goes on after the closing {kind}")
        mark = self.text[: self.at].rstrip()[-1:]
        for row in range(self.row - 1, max(0, self.row - _LAST_LOOKED_AT), -1):
            line = self.source.line(row)
            if mark in ('"', "'") and line.count(mark) % 2:
                return self.open_quote(self.source.start_of(row) + line.index(mark))
        return self.unknown()

    def indentation(self) -> Problem:
        """A line that begins in a column where nothing above it does."""
        indent = len(self.line) - len(self.line.lstrip(" "))
        columns = self.columns_above()
        wanted = min(columns, key=lambda column: (abs(column - indent - 1), -column), default=1)
        start = self.source.start_of(self.row)
        return self.problem(
            start + indent,
            "TF226",
            "this line is indented unlike the lines above it",
            width=len(self.line.strip().split(" ", 1)[0]),
            hint=f"begin it in column {wanted}",
        )

    def columns_above(self) -> set[int]:
        """The columns in which keys or items of the lines above begin, whichever this line has."""
        is_item = self.line.lstrip().startswith("- ")
        columns = set()
        for row in range(max(1, self.row - _LAST_LOOKED_AT), self.row):
            line = self.source.line(row)
            bare = line.lstrip(" ")
            if not bare or bare.startswith("#"):
                continue
            if bare.startswith("- "):
                columns.add(len(line) - len(bare) + 1 if is_item else len(line) - len(bare[1:].lstrip()) + 1)
            elif not is_item:
                columns.add(len(line) - len(bare) + 1)
        return columns

    def inner_column(self) -> int | None:
        """The column in which the keys of the list's last item begin."""
        for row in range(self.row - 1, max(0, self.row - _LAST_LOOKED_AT), -1):
            bare = self.source.line(row).lstrip(" ")
            if bare.startswith("- "):
                return len(self.source.line(row)) - len(bare[1:].lstrip()) + 1
        return None

    def row_above(self) -> int | None:
        """The nearest line above that is neither empty nor a comment."""
        for row in range(self.row - 1, max(0, self.row - _LAST_LOOKED_AT), -1):
            bare = self.source.line(row).strip()
            if bare and not bare.startswith("#"):
                return row
        return None


_NEEDING_QUOTES = ("scanning an alias", "scanning an anchor", "scanning a block scalar", "tag")


def _unclosed(text: str, end: int) -> int | None:
    """The last bracket before `end` that is not closed, quotes left aside."""
    open_at: list[int] = []
    for at in range(max(0, end - 20_000), end):
        if text[at] in "[{":
            open_at.append(at)
        elif text[at] in "]}" and open_at:
            open_at.pop()
    return open_at[-1] if open_at else None
