"""Lines of Python for what a template reads: paths, conditions, filters (liquid_code.py writes the rest).

    {% if event.total %}{{ event.total | money }}{% endif %}

    r0 = root('event')
    p1 = r0.get('total', k5) if r0.__class__ is dict else None
    if p1 is None or (p1.__class__ is str and …): p1 = reach(r0, k6, k7)

A path is looked up once, at the beginning of the frame in which its first name means one thing. What is usual, a value
in a dictionary that is a number or a text with something in it, is found by these lines alone; `reach` knows the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from keyword import iskeyword
from time import monotonic

from liquid import RenderContext
from liquid.builtin.expressions.arguments import PositionalArgument
from liquid.builtin.expressions.filtered import Filter, FilteredExpression
from liquid.builtin.expressions.logical import (
    BooleanExpression,
    EqExpression,
    GeExpression,
    GtExpression,
    LeExpression,
    LogicalAndExpression,
    LogicalOrExpression,
    LtExpression,
    NeExpression,
)
from liquid.builtin.expressions.path import Path
from liquid.builtin.expressions.primitive import Literal
from liquid.expression import Expression

from triggerfish.adapters.liquid_rendering import Missing, missing_at
from triggerfish.adapters.liquid_tags import Held, is_blank

_COMPARED: Mapping[type[Expression], str] = {
    EqExpression: "==", NeExpression: "!=", LtExpression: "<",
    GtExpression: ">", LeExpression: "<=", GeExpression: ">=",
}  # fmt: skip
_PLAIN = frozenset({int, float, str})
"""Two of one of these compare in Liquid as they do in Python."""
_OWN_WAYS = frozenset({"size", "first", "last"})
"""Parts of a path that mean more than a key."""
_OF_LOOP = {
    "index": "{i} + 1", "index0": "{i}", "first": "{i} == 0", "last": "{i} == {n} - 1",
    "length": "{n}", "rindex": "{n} - {i}", "rindex0": "{n} - {i} - 1",
}  # fmt: skip
"""What `forloop` knows, by the variables with the number of the item, from 0, and with how many there are."""


class NamesNeeded(Exception):
    """Within a loop that is to become lines, something wants to look names up by itself."""


@dataclass
class Frame:
    """A stretch of code within which `roots` mean one thing: the variables that hold what each name means, and those
    of paths from there. `lookups` are to be said at line `at`. Of a loop, `loop` are the variables of _OF_LOOP.

    `is_named`: something in it looks names up by itself, so that they must be in the scope.
    """

    roots: dict[str, str]
    at: int
    depth: int
    loop: Mapping[str, str] | None = None
    is_whole: bool = False
    is_named: bool = False
    paths: dict[str, str] = field(default_factory=dict)
    lookups: list[str] = field(default_factory=list)


class Lines:
    """The lines of one stretch of nodes, and what they refer to."""

    def __init__(self, context: RenderContext, names_set: set[str]) -> None:
        self.context = context
        self.names_set = names_set
        self.known: dict[str, object] = {"Missing": Missing, "is_blank": is_blank, "now": monotonic, "plain": _PLAIN}
        self.lines: list[str] = []
        self.depth = 1
        # Of the whole, then of each {% with %} and loop around.
        self.frames: list[Frame] = []
        self.variables = 0

    def say(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    def say_check(self) -> None:
        self.say("if now() > ends: context.check_time()")

    def const(self, value: object) -> str:
        name = f"k{len(self.known)}"
        self.known[name] = value
        return name

    def variable(self, letter: str) -> str:
        self.variables += 1
        return f"{letter}{self.variables}"

    def open(self, roots: dict[str, str], *, loop: Mapping[str, str] | None = None) -> Frame:
        frame = Frame(roots, len(self.lines), self.depth, loop, is_whole=not self.frames)
        self.frames.append(frame)
        return frame

    def close(self) -> None:
        frame = self.frames.pop()
        self.lines[frame.at : frame.at] = ["    " * frame.depth + line for line in frame.lookups]

    def by_names(self) -> str:
        """The context, for what looks names up by itself. Raises NamesNeeded within a loop."""
        for frame in self.frames:
            if frame.loop is not None:
                raise NamesNeeded
            frame.is_named = True
        return "context"

    def condition(self, expression: Expression) -> str:
        """Whether Liquid takes it for true."""
        match expression:
            case BooleanExpression():
                return self.condition(expression.expression)
            case LogicalAndExpression():
                return f"({self.condition(expression.left)} and {self.condition(expression.right)})"
            case LogicalOrExpression():
                return f"({self.condition(expression.left)} or {self.condition(expression.right)})"
            case Path() if self.is_fixed(expression):
                found = self.path(expression)
                return f"({found}.__class__ is not Missing and {found} is not False)"
            case (
                EqExpression() | NeExpression() | LtExpression() | GtExpression() | LeExpression() | GeExpression()
            ) if self.is_at_hand(expression.left) and self.is_at_hand(expression.right):
                left, right = self.expression(expression.left), self.expression(expression.right)
                sign = next(sign for kind, sign in _COMPARED.items() if isinstance(expression, kind))
                are_plain = f"{left}.__class__ is {right}.__class__ and {left}.__class__ in plain"
                unlike = self.const(_compares(type(expression), expression))
                return f"({left} {sign} {right} if {are_plain} else {unlike}({left}, {right}, context))"
            case _:
                boolean = BooleanExpression(expression.token, expression)
                return f"{self.const(boolean.evaluate)}({self.by_names()})"

    def expression(self, expression: Expression) -> str:
        match expression:
            case Literal():
                return self.const(expression.evaluate(self.context))
            case Path() if self.is_fixed(expression):
                return self.path(expression)
            case FilteredExpression() if all(map(self.is_known, expression.filters or ())):
                written = self.expression(expression.left)
                if expression.filters:
                    self.say_check()
                for each in expression.filters or ():
                    given = [
                        ("" if isinstance(arg, PositionalArgument) else f"{arg.name}=") + self.expression(arg.value)
                        for arg in each.args
                    ]
                    function = self.context.env.bare_filters[each.name]  # type: ignore[attr-defined]
                    written = f"{self.const(function)}({', '.join((written, *given))})"
                return written
            case _:
                return f"{self.const(expression.evaluate)}({self.by_names()})"

    def is_known(self, filtered: Filter) -> bool:
        return filtered.name in self.context.env.bare_filters and all(  # type: ignore[attr-defined]
            isinstance(arg, PositionalArgument) or (arg.name.isidentifier() and not iskeyword(arg.name))
            for arg in filtered.args
        )

    def is_at_hand(self, expression: Expression) -> bool:
        return isinstance(expression, Literal) or (isinstance(expression, Path) and self.is_fixed(expression))

    def is_fixed(self, path: Path) -> bool:
        """Whether a path leads to one and the same as long as the names around it mean the same."""
        if path.children() or not isinstance(path.path[0], str) or path.path[0] in self.names_set:
            return False
        is_of_loop = path.path[0] == "forloop" and self.frame_of("forloop").loop is not None
        return not is_of_loop or (len(path.path) == 2 and path.path[1] in _OF_LOOP)

    def frame_of(self, name: str) -> Frame:
        return next(each for each in reversed(self.frames) if name in each.roots or each.is_whole)

    def path(self, path: Path) -> str:
        """The variable that holds what stands at a path."""
        name = str(path.path[0])
        frame = self.frame_of(name)
        written = repr(path.path)
        if written not in frame.paths:
            found = self.variable("p")
            frame.lookups += self._lookup(frame, found, path)
            frame.paths[written] = found
        return frame.paths[written]

    def _lookup(self, frame: Frame, found: str, path: Path) -> list[str]:
        first, *rest = path.path
        if first == "forloop" and frame.loop is not None:
            return [f"{found} = {_OF_LOOP[str(rest[0])].format_map(frame.loop)}"]
        root = self._root(frame, str(first))
        reached = f"{found} = reach({root}, {self.const(path.path)}, {self.const(path.token)})"
        if any(not isinstance(part, str) or part in _OWN_WAYS for part in rest):
            return [reached]
        holder = root
        for at, part in enumerate(rest[:-1]):
            holder = self._step(frame, repr(("step", path.path[: at + 2])), holder, str(part))
        value = root
        if rest:
            missing = self.const(missing_at(path.path, path.token))
            value = f"{holder}.get({rest[-1]!r}, {missing}) if {holder}.__class__ is dict else None"
        is_text = f"{found}.isprintable() and len({found}) < 1000 and {found}.strip()"
        return [
            f"{found} = {value}",
            f"if {found} is None or ({found}.__class__ is str and not ({is_text})): {reached}",
        ]

    def _root(self, frame: Frame, name: str) -> str:
        if name not in frame.roots:
            frame.roots[name] = root = self.variable("r")
            frame.lookups.append(f"{root} = context.root({name!r})")
        return frame.roots[name]

    def _step(self, frame: Frame, key: str, holder: str, part: str) -> str:
        if key not in frame.paths:
            frame.paths[key] = step = self.variable("r")
            frame.lookups.append(f"{step} = {holder}.get({part!r}) if {holder}.__class__ is dict else None")
        return frame.paths[key]


def _compares(kind: type[Expression], like: Expression) -> Callable[[object, object, RenderContext], bool]:
    """A comparison of values that are at hand already."""

    def compare(left: object, right: object, context: RenderContext) -> bool:
        compared = kind(like.token, Held(like.token, left), Held(like.token, right))  # type: ignore[call-arg]
        return bool(compared.evaluate(context))

    return compare
