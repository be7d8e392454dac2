"""Where things stand in a TOML text: `tomllib` gives values without places, this gives the places.

Made for text that `tomllib` has taken already, so it finds things and checks nothing. Grammar: https://toml.io/en/v1.0.0
"""

from __future__ import annotations

import re
import tomllib
from typing import NamedTuple

KeyPath = tuple[str | int, ...]
"""The way to a value: `("server", "port")`, `("keys", "write", 0)`."""


class Mark(NamedTuple):
    """A stretch of one line. `line` and `column` count from 1; `width` is in characters, at least 1."""

    line: int
    column: int
    width: int


class Place(NamedTuple):
    """Where a key stands and where its value does. For a table both are its header, for an item of a list the item."""

    key: Mark
    value: Mark


class _Token(NamedTuple):
    text: str
    start: int
    end: int


_TOKENS = re.compile(
    r"""[ \t\r]+ | \#[^\n]*                                          # skipped
      | (?P<token> \n | \"{3}(?:\\[\s\S]|[^\\])*?\"{3,5} | '{3}[\s\S]*?'{3,5}
                 | "(?:\\.|[^"\\\n])*" | '[^'\n]*' | [\[\]{}=,.] | [^\s"'\[\]{}=,.\#]+ )""",
    re.VERBOSE,
)


def find_places(text: str) -> dict[KeyPath, Place]:
    """The place of every table, key and list item of a valid TOML text."""
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [_Token(m["token"], m.start(), m.end()) for m in _TOKENS.finditer(text) if m["token"]]
        self._next = 0
        self._places: dict[KeyPath, Place] = {}
        self._tables_in_list: dict[KeyPath, int] = {}

    def read(self) -> dict[KeyPath, Place]:
        table: KeyPath = ()
        while self._next < len(self._tokens):
            if self._peek() == "\n":
                self._next += 1
            elif self._peek() == "[":
                table = self._read_header()
            else:
                self._read_pair(table)
        return self._places

    def _peek(self) -> str:
        return self._tokens[self._next].text if self._next < len(self._tokens) else ""

    def _take(self) -> _Token:
        self._next += 1
        return self._tokens[self._next - 1]

    def _mark(self, first: _Token, last: _Token) -> Mark:
        line_start = self._text.rfind("\n", 0, first.start) + 1
        line_end = self._text.find("\n", first.start)
        end = min(last.end, line_end if line_end >= 0 else len(self._text))
        line = self._text.count("\n", 0, first.start) + 1
        return Mark(line, first.start - line_start + 1, max(1, end - first.start))

    def _read_header(self) -> KeyPath:
        opening = self._take()
        is_list = self._peek() == "["
        if is_list:
            self._next += 1
        table: KeyPath = ()
        names, _, _ = self._read_key("]")
        for depth, name in enumerate(names, 1):
            table += (name,)
            if is_list and depth == len(names):
                self._tables_in_list[table] = self._tables_in_list.get(table, -1) + 1
            if table in self._tables_in_list:
                table += (self._tables_in_list[table],)
        closing = self._take()
        if is_list:
            closing = self._take()
        here = self._mark(opening, closing)
        self._places[table] = Place(here, here)
        return table

    def _read_key(self, stop: str) -> tuple[list[str], _Token, _Token]:
        """The names of a dotted key up to (not including) `stop`, with its first and its last token."""
        names, first = [], self._tokens[self._next]
        while self._peek() != stop:
            token = self._take()
            if token.text != ".":
                names.append(_plain(token.text))
        return names, first, self._tokens[self._next - 1]

    def _read_pair(self, table: KeyPath) -> None:
        names, first, last = self._read_key("=")
        self._next += 1
        path = (*table, *names)
        key = self._mark(first, last)
        for depth in range(len(table) + 1, len(path)):
            self._places.setdefault(path[:depth], Place(key, key))
        self._places[path] = Place(key, self._read_value(path))

    def _read_value(self, path: KeyPath) -> Mark:
        first = last = self._take()
        if first.text == "[":
            at = 0
            while self._peek() != "]":
                if self._peek() in ("\n", ","):
                    self._next += 1
                    continue
                item = self._read_value((*path, at))
                self._places[(*path, at)] = Place(item, item)
                at += 1
            last = self._take()
        elif first.text == "{":
            while self._peek() != "}":
                if self._peek() in ("\n", ","):
                    self._next += 1
                else:
                    self._read_pair(path)
            last = self._take()
        else:
            while self._peek() not in ("\n", ",", "]", "}", ""):
                last = self._take()
        return self._mark(first, last)


def _plain(key: str) -> str:
    """A key as it is meant: without its quotes, its escapes resolved."""
    return next(iter(tomllib.loads(f"{key} = 0"))) if key[0] in "\"'" else key
