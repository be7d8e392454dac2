"""CSS of a mail, read with tinycss2: declarations of attributes, the rules of style sheets and their conditions."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import tinycss2
from tinycss2.ast import AtRule, QualifiedRule
from tinycss2.ast import Declaration as ParsedDeclaration

Token = Any
"""A component value of tinycss2 (tinycss2.ast): what it has depends on its `type`."""


class Declaration(NamedTuple):
    """`name: value`, at a line (from 1) and column (from 1) of the text that was read."""

    name: str
    tokens: tuple[Token, ...]
    is_important: bool
    line: int
    column: int


class Rule(NamedTuple):
    """What a selector says under conditions (the preludes of the at-rules around it, "@media (max-width: 480px)")."""

    selector: tuple[Token, ...]
    declarations: tuple[Declaration, ...]
    conditions: tuple[str, ...]
    line: int
    column: int
    is_nested: bool = False


class At(NamedTuple):
    """An at-rule: "media", its prelude as text, and the conditions around it."""

    name: str
    prelude: str
    conditions: tuple[str, ...]
    line: int
    column: int


@functools.lru_cache(maxsize=4096)
def declarations(text: str) -> tuple[Declaration, ...]:
    """The declarations of a `style` attribute; what is none is left out, as mail programs do."""
    return tuple(_declared(tinycss2.parse_blocks_contents(text, skip_comments=True, skip_whitespace=True)))


@functools.lru_cache(maxsize=256)
def rules(text: str) -> tuple[Rule | At, ...]:
    """The rules of a style sheet in their order, at-rules before what they hold."""
    return tuple(_rules(tinycss2.parse_stylesheet(text, skip_comments=True, skip_whitespace=True), ()))


def _declared(nodes: list[Token]) -> Iterator[Declaration]:
    for node in nodes:
        if isinstance(node, ParsedDeclaration):
            tokens = tuple(token for token in node.value if token.type not in ("whitespace", "comment"))
            yield Declaration(node.lower_name, tokens, node.important, node.source_line, node.source_column)


def _rules(nodes: list[Token], conditions: tuple[str, ...], depth: int = 0) -> Iterator[Rule | At]:
    for node in nodes:
        if isinstance(node, QualifiedRule):
            inner = tinycss2.parse_blocks_contents(node.content, skip_comments=True, skip_whitespace=True)
            is_nested = any(isinstance(each, QualifiedRule | AtRule) for each in inner)
            yield Rule(
                tuple(node.prelude), tuple(_declared(inner)), conditions, node.source_line, node.source_column,
                is_nested,
            )  # fmt: skip
        elif isinstance(node, AtRule):
            prelude = tinycss2.serialize(node.prelude).strip()
            yield At(node.lower_at_keyword, prelude, conditions, node.source_line, node.source_column)
            if node.content is not None and node.lower_at_keyword in ("media", "supports", "layer") and depth < 5:
                inside = tinycss2.parse_rule_list(node.content, skip_comments=True, skip_whitespace=True)
                yield from _rules(inside, (*conditions, f"@{node.lower_at_keyword} {prelude}"), depth + 1)


def offset_of(text: str, line: int, column: int) -> int:
    """The offset of a line and column of the text."""
    at = 0
    for _ in range(line - 1):
        found = text.find("\n", at)
        if found < 0:
            break
        at = found + 1
    return min(at + column - 1, len(text))
