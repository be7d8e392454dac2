"""A condition's parts, each with what it claims and where it stands: lists, texts, and what `and`, `or`, `not` join."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import Struct

from triggerfish.rulefile.format import ConditionForm
from triggerfish.rulefile.grammar import Faulty, offset_of, parse
from triggerfish.rulefile.marks import Path
from triggerfish.rulefile.prove_reading import Reading
from triggerfish.rulefile.satisfy import ALWAYS, Formula, both, either, negated

Join = Literal["all", "any", "none", "leaf"]


class Part(Struct, frozen=True):
    """A condition or a part of one. `text` is how it is written; `offset` and `width` say which characters of the text
    at `path` are meant (None: it is a list of conditions, and its key is meant).
    """

    text: str
    formula: Formula
    path: Path
    join: Join = "leaf"
    parts: tuple[Part, ...] = ()
    offset: int | None = None
    width: int | None = None

    @property
    def conjuncts(self) -> tuple[Part, ...]:
        """The parts that all must hold."""
        if self.join != "all":
            return (self,)
        return tuple(inner for part in self.parts for inner in part.conjuncts)

    def everything(self) -> Iterator[Part]:
        """The part and all within it."""
        yield self
        for part in self.parts:
            yield from part.everything()


def part_of(reading: Reading, form: str | ConditionForm | None, path: Path) -> Part:
    """A condition as a rule file has it, taken apart; None always holds."""
    if form is None:
        return Part("", ALWAYS, path, "all")
    if isinstance(form, str):
        return _text(reading, form, path)
    parts: list[Part] = []
    joins: tuple[tuple[Join, Sequence[str | ConditionForm] | None], ...] = (
        ("all", form.all), ("any", form.any), ("none", form.none),
    )  # fmt: skip
    for join, listed in joins:
        if listed is not None:
            inner = [part_of(reading, each, (*path, join, place)) for place, each in enumerate(listed)]
            parts.append(_joined(join, inner, path=(*path, join)))
    return parts[0] if len(parts) == 1 else _joined("all", parts, path=path)


def _text(reading: Reading, text: str, path: Path) -> Part:
    try:
        node = parse(text)
    except Faulty:
        return Part(text, reading.text(text), path, offset=0, width=max(1, len(text)))
    return _node(reading, node, text, path, is_whole=True)


def _node(reading: Reading, node: ast.expr, text: str, path: Path, *, is_whole: bool = False) -> Part:
    start = 0 if is_whole else offset_of(text, node.lineno, node.col_offset)
    end = len(text) if is_whole else offset_of(text, node.end_lineno or 1, node.end_col_offset or 1)
    written, width = " ".join(text[start:end].split()), max(1, end - start)
    match node:
        case ast.BoolOp(op=op, values=values):
            join: Join = "all" if isinstance(op, ast.And) else "any"
            return _joined(join, [_node(reading, value, text, path) for value in values], path, written, start, width)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _joined("none", [_node(reading, operand, text, path)], path, written, start, width)
    return Part(written, reading.truth(node), path, "leaf", (), start, width)


def _joined(
    join: Join, parts: Sequence[Part], path: Path, text: str = "", offset: int | None = None, width: int | None = None
) -> Part:
    formulas = [part.formula for part in parts]
    formula = both(*formulas) if join == "all" else either(*formulas)
    if join == "none":
        formula = negated(formula)
    written = text or f"{join}: [{'; '.join(part.text for part in parts)}]"
    return Part(written, formula, path, join, tuple(parts), offset, width)
