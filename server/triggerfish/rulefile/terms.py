"""The parts that a condition is read into, and what can be said of them without reading on."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

from msgspec import Struct

from triggerfish.activity import Activity
from triggerfish.clock import Millis
from triggerfish.conditions import NUMBERS, Change, Elapsed, Fading, Node
from triggerfish.rulefile.defined import defined_in
from triggerfish.rulefile.functions import FUNCTIONS

FAR_AWAY: Millis = 2**60

Changes = tuple[Change, ...]
Sign = Literal["==", "!=", "<", "<=", ">", ">="]


class Age(Struct, frozen=True):
    """A value that grows with time: how long ago an activity's newest event was, in units."""

    activity: Activity
    unit: Millis

    def changes(self, sign: Sign, bound: float) -> Changes:
        """What time can change about its comparison with a number."""
        meets = Elapsed(self.activity, delay_of(self.unit, lambda age: age >= bound, bound))
        passes = Elapsed(self.activity, delay_of(self.unit, lambda age: age > bound, bound))
        if sign in (">", "<="):
            return (passes,)
        return (meets,) if sign in (">=", "<") else (meets, passes)


class Decay(Struct, frozen=True):
    """A value that fades with time: an activity's score."""

    activity: Activity

    def changes(self, sign: Sign, bound: float) -> Changes:
        """What time can change about its comparison with a number."""
        return (Fading(self.activity, bound),)


class Value(Struct):
    """A part that gives a value: the Python that works it out, and what else is known of it. `drifts` says of one that
    changes from instant to instant how it does; it can be compared with a number alone.
    """

    code: str
    text: str
    constant: Any = None
    is_constant: bool = False
    is_truth: bool = False
    items: tuple[Any, ...] | None = None
    drifts: Age | Decay | None = None
    changes: Changes = ()


class Truth(Struct):
    """A part that is true or false."""

    code: str
    node: Node
    changes: Changes = ()


def link(left: ast.expr, op: ast.cmpop, right: ast.expr) -> ast.Compare:
    """One comparison of a chain such as `1 < event.x < 5`: each is a test with a text of its own."""
    made = ast.Compare(
        left,
        [op],
        [right],
        lineno=left.lineno,
        col_offset=left.col_offset,
        end_lineno=right.end_lineno,
        end_col_offset=right.end_col_offset,
    )
    if defined_in(left) and defined_in(right):
        setattr(made, "defined", defined_in(left))  # noqa: B010  # an attribute of ours
    return made


def delay_of(unit: Millis, is_reached: Callable[[float], bool], bound: float) -> Millis:
    """The first whole millisecond at which an age in units reaches a bound, by the very division that tells the age."""
    near = math.floor(max(-FAR_AWAY, min(FAR_AWAY, bound * unit)))
    return next((delay for delay in range(near - 1, near + 3) if is_reached(delay / unit)), near)


def gives_a_number(node: ast.Call) -> bool:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    function = FUNCTIONS.get(name)
    return function is not None and function.is_number


def changes_of(parts: Sequence[Truth] | Sequence[Value]) -> Changes:
    return tuple(change for part in parts for change in part.changes)


def _arithmetic(of: Callable[[float, float], float]) -> Callable[[Any, Any], float | None]:
    def work(left: Any, right: Any) -> float | None:
        if type(left) not in NUMBERS or type(right) not in NUMBERS:
            return None
        try:
            return of(left, right)
        except (ZeroDivisionError, OverflowError):
            return None

    return work


ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], float | None]] = {
    ast.Add: _arithmetic(lambda a, b: a + b),
    ast.Sub: _arithmetic(lambda a, b: a - b),
    ast.Mult: _arithmetic(lambda a, b: a * b),
    ast.Div: _arithmetic(lambda a, b: a / b),
}
SIGNS: dict[type[ast.cmpop], Sign] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip
TURNED: dict[str, Sign] = {
    "==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<=",
}  # fmt: skip
