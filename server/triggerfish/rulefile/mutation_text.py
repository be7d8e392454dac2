"""Small changes of a condition's text: each would make another rule of it, and some test should notice.

Thresholds and windows a little larger and smaller, operators turned, `and` and `or` exchanged, `not` taken away, and
each leaf answered without asking.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise

from msgspec import Struct

from triggerfish.clock import parse_duration
from triggerfish.rulefile.grammar import Faulty, parse
from triggerfish.rulefile.places import span_of

_OPERATOR = re.compile(r"not\s+in\b|in\b|<=|>=|==|!=|<|>")
_TURNED = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "in": "not in", "not in": "in"}
_SIGNS: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"),
}  # fmt: skip
_DURATION = re.compile(r"(?<![.\d])(\d+)(\s*[A-Za-z]+)")
_NOT = re.compile(r"not\b\s*")


class Change(Struct, frozen=True):
    """Characters `start` up to `end` of a text become `new`; `kind` says what is changed."""

    start: int
    end: int
    new: str
    kind: str


def condition_changes(text: str, *, neutral: str = "True") -> Iterator[Change]:
    """Every change of a condition. `neutral` is the answer that makes no difference where the condition stands: True
    among all, False among any. A text that is no condition has none.
    """
    try:
        tree = parse(text)
    except Faulty:
        return
    for start, end, answer in _leaves(text, tree, neutral):
        yield Change(start, end, answer, "condition")
    yield from _changes(text, tree)


def value_changes(text: str) -> Iterator[Change]:
    """Every change of a text that works out a value, such as `event.total * 2`."""
    try:
        yield from _changes(text, parse(text))
    except Faulty:
        return


def _leaves(text: str, node: ast.expr, neutral: str) -> Iterator[tuple[int, int, str]]:
    """The leaves, each with the answer with which it says nothing any more."""
    match node:
        case ast.BoolOp(op=op, values=values):
            for value in values:
                yield from _leaves(text, value, "True" if isinstance(op, ast.And) else "False")
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield from _leaves(text, operand, "False" if neutral == "True" else "True")
        case ast.Constant():
            return
        case _:
            yield (*span_of(text, node), neutral)


def _changes(text: str, tree: ast.expr) -> Iterator[Change]:
    lengths = {id(argument) for node in ast.walk(tree) if isinstance(node, ast.Call) for argument in _later(node)}
    for node in ast.walk(tree):
        match node:
            case ast.Compare(left=left, comparators=comparators):
                sides = [left, *comparators]
                for one, other in pairwise(sides):
                    yield from _operator(text, one, other)
            case ast.BoolOp(op=op, values=values):
                old, new = ("and", "or") if isinstance(op, ast.And) else ("or", "and")
                for one, other in pairwise(values):
                    yield from _between(text, one, other, re.compile(rf"\b{old}\b"), new)
            case ast.UnaryOp(op=ast.Not()):
                start, _ = span_of(text, node)
                found = _NOT.match(text, start)
                if found:
                    yield Change(start, found.end(), "", "operator")
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _SIGNS:
                sign, other_sign = _SIGNS[type(op)]
                yield from _between(text, left, right, re.compile(re.escape(sign)), other_sign)
            case ast.Constant(value=str() as length) if id(node) in lengths:
                start, _ = span_of(text, node)
                for changed in lengths_near(length):
                    at = text.index(length, start)
                    yield Change(at, at + len(length), changed, "window")
            case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
                for near in numbers_near(number):
                    yield Change(*span_of(text, node), near, "threshold")


def _later(node: ast.Call) -> list[ast.expr]:
    """The arguments of a call that may be windows."""
    return [*node.args[1:], *(keyword.value for keyword in node.keywords)]


def _operator(text: str, left: ast.expr, right: ast.expr) -> Iterator[Change]:
    begin, end = span_of(text, left)[1], span_of(text, right)[0]
    found = _OPERATOR.search(text, begin, end)
    if found:
        old = " ".join(found[0].split())
        yield Change(found.start(), found.end(), _TURNED[old], "operator")


def _between(text: str, left: ast.expr, right: ast.expr, old: re.Pattern[str], new: str) -> Iterator[Change]:
    found = old.search(text, span_of(text, left)[1], span_of(text, right)[0])
    if found:
        yield Change(found.start(), found.end(), new, "operator")


def numbers_near(number: float) -> list[str]:
    """A number a little larger, and a little smaller."""
    if isinstance(number, int):
        return [str(number + 1), str(number - 1)] if number > 0 else [str(number + 1)]
    return [repr(round(number * 1.1 + 0.001, 6)), repr(round(number * 0.9 - 0.001, 6))] if number > 0.01 else ["0.1"]


def lengths_near(text: str) -> list[str]:
    """A length of time by one of its last unit longer, and shorter (of one unit, half of it): `29d` and `31d` of `30d`.

    Empty for text that is no length of time.
    """
    try:
        parse_duration(text)
    except ValueError:
        return []
    units = list(_DURATION.finditer(text))
    if not units:
        return []  # only fractions, such as "1.5h"
    found = units[-1]
    number = int(found[1])
    shorter = str(number - 1) if number > 1 else "0.5"
    return [f"{text[: found.start(1)]}{each}{text[found.end(1) :]}" for each in (str(number + 1), shorter)]
