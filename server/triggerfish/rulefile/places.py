"""Where the parts of a rulebook are written: rules, segments, and each condition's leaves, by what they say.

What compiled conditions keep of their text is the text of each leaf. It is found again in the rule's own conditions or
in the definitions that they name.
"""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from triggerfish.rulefile.folder import SUFFIXES
from triggerfish.rulefile.grammar import Faulty, offset_of, parse
from triggerfish.rulefile.marks import Marks, Path
from triggerfish.rulefile.reading import read_yaml
from triggerfish.rulefile.terms import link

_LISTS = ("all", "any", "none")


class Spot(Struct, frozen=True):
    """A part of a condition's text: characters `offset` up to `offset + width` of the value at `path`."""

    marks: Marks
    path: Path
    offset: int
    width: int


class Site(Struct, frozen=True):
    """A rule or a segment as a file has it. `data` is its plain data, `path` its place."""

    kind: str
    name: str
    marks: Marks
    path: Path
    data: Mapping[str, Any]
    ruleset: str = ""

    @property
    def full_name(self) -> str:
        """`rule set / rule`, or the segment's name."""
        return f"{self.ruleset} / {self.name}" if self.kind == "rule" else self.name


class Places:
    """The places of everything in some rule files (path -> text), which are known to be sound."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.marks = {path: read_yaml(text, path)[0] for path, text in files.items() if path.endswith(SUFFIXES)}
        self.sites = {(site.kind, site.full_name): site for marks in self.marks.values() for site in sites_of(marks)}
        self._defined: dict[str, deque[Spot]] = {}
        for marks in self.marks.values():
            for path, text in _texts(marks.data.get("define"), ("define",)):
                _index(marks, path, text, self._defined)

    def leaves(self, kind: str, name: str) -> Leaves:
        """The leaves of a rule's or segment's conditions."""
        return Leaves(self.sites[kind, name], self._defined)


class Leaves:
    """Finds one owner's leaves again, each once, in the order in which they are asked for."""

    def __init__(self, site: Site, defined: Mapping[str, deque[Spot]]) -> None:
        self._site = site
        self._defined = defined
        self._own: dict[str, deque[Spot]] = {}
        for path, text in condition_texts(site.data, site.path):
            _index(site.marks, path, text, self._own)

    def find(self, text: str) -> Spot | None:
        """The next place of a leaf that says this; None when it is not written anywhere as it stands."""
        spots = self._own.get(text)
        if spots:
            return spots.popleft() if len(spots) > 1 else spots[0]
        spots = self._defined.get(text)
        return spots[0] if spots else None


def sites_of(marks: Marks) -> Iterator[Site]:
    """The segments and rules of one file, in its order."""
    data = marks.data
    yield from _segments(marks, data.get("segments") or [], ("segments",))
    for place, rule in enumerate(data.get("rules") or []):
        yield Site("rule", rule["name"], marks, ("rules", place), rule, data["ruleset"])


def _segments(marks: Marks, listed: list[Any], path: Path) -> Iterator[Site]:
    for place, segment in enumerate(listed):
        yield Site("segment", segment["name"], marks, (*path, place), segment)
        yield from _segments(marks, segment.get("segments") or [], (*path, place, "segments"))


def condition_texts(data: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """The texts of all conditions in a rule's or segment's own data (`when`, however deep), with their places.

    A segment's children have conditions of their own, which are not among them.
    """
    if isinstance(data, dict):
        for key, value in data.items():
            if key == "when":
                yield from _texts(value, (*path, key))
            elif key != "segments":
                yield from condition_texts(value, (*path, key))
    elif isinstance(data, list):
        for place, value in enumerate(data):
            yield from condition_texts(value, (*path, place))


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Every text of a condition, or of definitions by name."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, (*path, key))
    elif isinstance(value, list) and path[-1] in _LISTS:
        for place, inner in enumerate(value):
            yield from _texts(inner, (*path, place))


def _index(marks: Marks, path: Path, text: str, spots: dict[str, deque[Spot]]) -> None:
    """Note every part of a condition's text by what it says."""
    try:
        tree = parse(text)
    except Faulty:
        return  # a definition may be a list, or say what is no condition by itself
    found: list[tuple[int, int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and len(node.ops) > 1:
            sides = [node.left, *node.comparators]
            found += [_part(text, link(sides[at], op, sides[at + 1])) for at, op in enumerate(node.ops)]
        elif isinstance(node, ast.expr):
            found.append(_part(text, node))
    for offset, width, said in sorted(found):
        spots.setdefault(said, deque()).append(Spot(marks, path, offset, width))


def _part(text: str, node: ast.expr) -> tuple[int, int, str]:
    """Where a part stands in its text, and what it says in the form that compiled leaves keep."""
    start, end = span_of(text, node)
    return start, end - start, ast.unparse(node)


def span_of(text: str, node: ast.expr) -> tuple[int, int]:
    """The characters of a condition's text that make a part of it: from, and up to."""
    start = offset_of(text, node.lineno, node.col_offset)
    end = offset_of(text, node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)
    return start, end
