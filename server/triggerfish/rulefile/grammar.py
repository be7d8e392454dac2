"""Condition text to ast, with faults that a marketer understands."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from msgspec import Struct

TEXT_LIMIT = 4_000
NODE_LIMIT = 1_500
NESTING_LIMIT = 50
"""Levels of the ast, far above what people write; CPython refuses code with 200 brackets in one another."""


class Fault(Struct, frozen=True):
    """A mistake within a condition's text; `offset` and `width` count characters of it. `path` is where the text stands
    in its file, if its tree says so.
    """

    code: str
    sentence: str
    offset: int = 0
    width: int = 1
    hint: str = ""
    path: tuple[str | int, ...] = ()


class Faulty(Exception):  # it reads as a claim
    """A condition that cannot be compiled, with all its faults."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(fault.sentence for fault in faults))
        self.faults = tuple(faults)


def parse(text: str) -> ast.expr:
    """The text as an ast. Raises Faulty with a sentence for a marketer."""
    if len(text) > TEXT_LIMIT:
        raise Faulty(
            [Fault("TF230", f"a condition of more than {TEXT_LIMIT} characters", hint="split it with all: or any:")]
        )
    if not text.strip():
        raise Faulty([Fault("TF230", "the condition is empty", hint="say when, or leave the key out")])
    try:
        tree = ast.parse(text.strip() if "\n" not in text else f"({text})", mode="eval").body
    except SyntaxError as error:
        raise Faulty([_syntax_fault(text, error)]) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise Faulty(
            [Fault("TF231", "the condition cannot be read: it is nested too deeply or holds a NUL")]
        ) from error
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.expr)]
    if len(nodes) > NODE_LIMIT:
        raise Faulty([Fault("TF231", f"the condition has {len(nodes)} parts; that is too many", hint="split it up")])
    if nesting_of(tree) > NESTING_LIMIT:
        raise Faulty([Fault("TF231", "the condition is nested too deeply", hint="split it with all: or any:")])
    shift = len(text) - len(text.lstrip()) if "\n" not in text else -1
    for node in nodes:
        if shift > 0 or node.lineno == 1:
            node.col_offset += shift
        if node.end_col_offset is not None and (shift > 0 or node.end_lineno == 1):
            node.end_col_offset += shift
    return tree


def nesting_of(tree: ast.expr) -> int:
    """How many levels the ast has, counted without recursion."""
    levels, level = 0, [tree]
    while level:
        levels += 1
        level = [child for node in level for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
    return levels


def path_of(node: ast.expr) -> tuple[str, tuple[str, ...]] | None:
    """The root of a path such as `event.a["b c"]`, and the names behind it; None for what is no path."""
    names: list[str] = []
    while True:
        match node:
            case ast.Attribute(value=inner, attr=name):
                names.append(name)
                node = inner
            case ast.Subscript(value=inner, slice=ast.Constant(value=str() as name)):
                names.append(name)
                node = inner
            case ast.Name(id=root):
                return root, tuple(reversed(names))
            case _:
                return None


def _syntax_fault(text: str, error: SyntaxError) -> Fault:
    shift = len(text) - len(text.lstrip()) if "\n" not in text else -1
    offset = max(
        0, offset_of(text, error.lineno or 1, (error.offset or 1) - 1) + (shift if (error.lineno or 1) == 1 else 0)
    )
    for wrong, right in (("&&", "and"), ("||", "or"), ("<>", "!="), ("=>", ">="), ("=<", "<=")):
        if wrong in text:
            return Fault("TF230", f'"{wrong}" is not known', text.index(wrong), 2, f'write "{right}"')
    bare = _bare_equals(text)
    if bare is not None:
        return Fault("TF230", 'a single "=" does not compare', bare, 1, 'write "=="')
    hint = next((hint for said, hint in _OPEN if said in error.msg), "")
    unquoted = None if hint else _unquoted(text)
    return unquoted or Fault(
        "TF230", "this condition cannot be read from here on", min(offset, max(0, len(text) - 1)), 1, hint
    )


def _unquoted(text: str) -> Fault | None:
    """What people forget to put in quotes: a length of time, an event's name of several words."""
    bare = _QUOTED.sub(lambda quoted: " " * len(quoted[0]), text)
    for pattern, sentence in (
        (_LENGTH, "a length of time stands in quotes"),
        (_WORDS, "a name of several words stands in quotes"),
    ):
        found = pattern.search(bare)
        if found is not None:
            return Fault("TF230", sentence, found.start(1), len(found[1]), f'write "{found[1]}"')
    return None


_OPEN = (("was never closed", "this bracket is not closed"), ("unterminated string", "this quote is not closed"))
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_LENGTH = re.compile(
    r"(?<![\w.])([0-9]+(?:\.[0-9]+)? ?(?:ms|[smhdw]|milliseconds?|seconds?|minutes?|hours?|days?|weeks?))(?!\w)"
)
_WORDS = re.compile(r"\( ?([A-Z]\w*(?: \w+)+)[,)\[.]")


def _bare_equals(text: str) -> int | None:
    quote = ""
    for at, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter == "=" and text[at - 1 : at] not in ("=", "!", "<", ">") and text[at + 1 : at + 2] != "=":
            return at
    return None


def offset_of(text: str, line: int, column: int) -> int:
    """Where a line (from 1) and column of the ast are within the text: ast counts bytes, people count characters."""
    lines = text.split("\n")
    before = sum(len(earlier) + 1 for earlier in lines[: line - 1])
    if line - 1 >= len(lines):
        return len(text)
    return before + len(lines[line - 1].encode()[: max(0, column)].decode(errors="ignore"))
