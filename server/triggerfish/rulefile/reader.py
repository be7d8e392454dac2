"""Reads one condition: an ast to the Python that works it out, part by part.

What is written is made of our own names and constants alone: no text from a rule file is ever evaluated as it stands.
Calls are read in calls.py, names in names.py.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from triggerfish import conditions
from triggerfish.activity import Activity
from triggerfish.conditions import All, Items, Late, Not, Some, Test
from triggerfish.rulefile.calls import read_call
from triggerfish.rulefile.defined import Definition, defined_in, expand
from triggerfish.rulefile.grammar import Fault, Faulty, offset_of, parse, path_of
from triggerfish.rulefile.names import Names, OfPerson
from triggerfish.rulefile.problems import nearest
from triggerfish.rulefile.saying import say_node
from triggerfish.rulefile.terms import (
    ARITHMETIC,
    SIGNS,
    TURNED,
    Changes,
    Sign,
    Truth,
    Value,
    changes_of,
    gives_a_number,
    link,
)

if TYPE_CHECKING:
    from triggerfish.rulefile.expressions import Scope, Tree

DEPTH_LIMIT = 24
LIST_LIMIT = 1_000
DRIFTING = "days_since, hours_since, minutes_since and score are compared with a number"


class Reader:
    """Reads one condition. `activities` collects what it needs remembered, `events`, `segments` and `traits` those that
    it names, and `meanings` what the defined names in it come to.
    """

    def __init__(self, scope: Scope, names: Names | None = None) -> None:
        self.scope = scope
        self.names = names or OfPerson()
        self.activities: dict[str, Activity] = {}
        self.events: set[str] = set()
        self.segments: set[str] = set()
        self.traits: set[str] = set()
        self.meanings: dict[str, str] = {}
        self.space: dict[str, Any] = {"NUMBERS": conditions.NUMBERS, "__builtins__": {"type": type, "str": str}}
        self.text = ""
        self.refused: list[Faulty] = []
        self._bound = {id(value): name for name, value in self.space.items()}
        self._functions: dict[str, Callable[[Any], Any]] = {}
        self._temporaries = 0
        self._depth = 0

    # The edges: text in, functions out.

    def function(self, code: str) -> Callable[[Any], Any]:
        """The function for written Python; one and the same for the same."""
        made = self._functions.get(code)
        if made is None:
            source, space = f"lambda {self.names.given}: {code}", self.space
            made = self._functions[code] = Late(
                lambda: eval(compile(source, "<condition>", "eval"), space)  # noqa: S307
            )
        return made

    def bind(self, value: Any, name: str = "k") -> str:
        """A name for a constant or function within the written Python."""
        made = self._bound.get(id(value))
        if made is None:
            made = self._bound[id(value)] = f"{name}{len(self.space)}"
            self.space[made] = value
        return made

    def temporary(self) -> str:
        self._temporaries += 1
        return f"x{self._temporaries}"

    def whole(self, text: str, read: Callable[[ast.expr], Any]) -> Any:
        """Read one text from beginning to end."""
        self.text = text
        return read(expand(self, parse(text)))

    def uses(self, definition: Definition) -> None:
        """Note that the condition uses a definition."""
        definition.is_used = True
        self.meanings[definition.name] = definition.meaning

    def within(self, names: Names) -> Reader:
        """Another reader for a part of the same text, in which names stand for something else."""
        inner = Reader(self.scope, names)
        inner.text = self.text
        return inner

    def tree(self, tree: Tree) -> Truth:
        """Read a tree of texts; those that cannot be read leave what is wrong with them in `refused`."""
        for parts, join in ((tree.all, self.all_of), (tree.any, self.any_of), (tree.none, self.none_of)):
            if parts is not None:
                return join([self.tree(part) for part in parts])
        try:
            truth: Truth = self.whole(tree.text, self.truth)
        except Faulty as faulty:
            self.refused.append(Faulty([replace(fault, path=tree.path) for fault in faulty.faults]))
            return Truth("False", Some(()))
        return truth

    def all_of(self, parts: Sequence[Truth]) -> Truth:
        if len(parts) == 1:
            return parts[0]
        code = "(" + " and ".join(part.code for part in parts) + ")" if parts else "True"
        return Truth(code, All(tuple(part.node for part in parts)), changes_of(parts))

    def any_of(self, parts: Sequence[Truth]) -> Truth:
        if len(parts) == 1:
            return parts[0]
        code = "(" + " or ".join(part.code for part in parts) + ")" if parts else "False"
        return Truth(code, Some(tuple(part.node for part in parts)), changes_of(parts))

    def none_of(self, parts: Sequence[Truth]) -> Truth:
        return self.negation(self.any_of(parts))

    def negation(self, part: Truth) -> Truth:
        return Truth(f"(not {part.code})", Not(part.node), part.changes)

    def fault(self, code: str, node: ast.AST, sentence: str, hint: str = "") -> Faulty:
        """A mistake at a part of the text; of what a definition brought in, it is the use that is mistaken."""
        defined = defined_in(node)
        if defined:
            code, sentence = "TF264", f'"{defined}" cannot be used here: {sentence}'
        start = offset_of(self.text, getattr(node, "lineno", 1), getattr(node, "col_offset", 0))
        end = offset_of(self.text, getattr(node, "end_lineno", 1) or 1, getattr(node, "end_col_offset", 1) or 1)
        return Faulty([Fault(code, sentence, start, max(1, end - start), hint)])

    # True or false.

    def truth(self, node: ast.expr) -> Truth:
        match node:
            case ast.BoolOp(op=ast.And(), values=values):
                return self.all_of([self.truth(value) for value in values])
            case ast.BoolOp(values=values):
                return self.any_of([self.truth(value) for value in values])
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self.negation(self.truth(operand))
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                sides = [left, *comparators]
                return self.all_of(
                    [
                        self.comparison(link(sides[i], op, sides[i + 1]), sides[i], op, sides[i + 1])
                        for i, op in enumerate(ops)
                    ],
                )
        value = self.value(node)
        if value.items is not None:
            raise self.fault("TF241", node, f"{value.text} is a list, neither true nor false", 'use it with "in"')
        if value.is_constant and not isinstance(value.constant, bool):
            raise self.fault("TF241", node, f"{value.text} is neither true nor false", "compare it with something")
        if isinstance(node, ast.BinOp) or (isinstance(node, ast.Call) and gives_a_number(node)):
            hint = f"compare it, as in  {value.text} > 3"
            raise self.fault("TF241", node, f"{value.text} is a number, neither true nor false", hint)
        code = value.code if value.is_truth else f"({value.code} is True)"
        return self.test(node, code, value, value.changes, operator="==", bound=True)

    def comparison(self, whole: ast.Compare, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Truth:
        if isinstance(op, ast.In | ast.NotIn):
            return self.membership(whole, self.value(left), op, self.defined_list(right) or self.value(right))
        a, b = self.value(left), self.value(right)
        sign = SIGNS.get(type(op))
        if sign is None:
            raise self.fault("TF242", whole, '"is" is not used in conditions', 'write "==" to compare')
        if a.is_constant and not b.is_constant:
            a, b, sign = b, a, TURNED[sign]
        changes = a.changes + b.changes
        if a.drifts or b.drifts:
            changes += self.drift(whole, a, sign, b)
        if a.items is not None or b.items is not None or "v.segments" in (a.code, b.code):
            raise self.fault("TF243", whole, "a list cannot be compared this way", 'use "in", as in  event.x in [1, 2]')
        x, y = self.temporary(), self.temporary()
        if b.is_constant:
            kind = type(b.constant)
            if sign not in ("==", "!=") and kind is bool:
                raise self.fault("TF244", whole, "true and false have no order", 'use "==" or "!="')
            of_kind = f"type({x} := {a.code}) in NUMBERS" if kind in (int, float) else f"type({x} := {a.code}) is {{}}"
            code = f"({of_kind.format(self.bind(kind, 't'))} and {x} {sign} {self.bind_constant(b.constant)})"
            return self.test(whole, code, a, changes, operator=sign, bound=b.constant)
        like = self.bind(conditions.alike if sign in ("==", "!=") else conditions.ordered)
        code = f"({like}({x} := {a.code}, {y} := {b.code}) and {x} {sign} {y})"
        return self.test(whole, code, a, changes)

    def membership(self, whole: ast.Compare, a: Value, op: ast.cmpop, b: Value) -> Truth:
        self.settled(whole, a, b)
        if b.code == "v.segments":
            if not (a.is_constant and isinstance(a.constant, str)):
                raise self.fault("TF245", whole, "segments are asked for by name", 'write  "vip" in segments')
            self.check_segment(whole, a.constant)
            self.segments.add(a.constant)
            code = f"({self.bind_constant(a.constant)} in v.segments)"
            truth = self.test(whole, code, None, ())
            return truth if isinstance(op, ast.In) else self.negation(truth)
        if b.items is None and b.is_constant:
            raise self.fault(
                "TF246", whole, f'"in" needs a list, and {b.text} is none', "use contains(…) to look inside a text"
            )
        told = self.bind(conditions.among if isinstance(op, ast.In) else conditions.beside)
        return self.test(whole, f"{told}({a.code}, {b.code})", a, a.changes + b.changes)

    def check_segment(self, node: ast.AST, name: str) -> None:
        if name not in self.scope.segments:
            hint = nearest(name, self.scope.segments)
            raise self.fault("TF247", node, f'no segment "{name}" can be asked for here', hint)

    def drift(self, node: ast.AST, a: Value, sign: Sign, b: Value) -> Changes:
        if a.drifts is None or type(b.constant) not in conditions.NUMBERS or not math.isfinite(b.constant):
            raise self.fault("TF248", node, DRIFTING, "as in  days_since(purchase) > 30")
        return a.drifts.changes(sign, b.constant)

    def settled(self, node: ast.AST, *values: Value) -> None:
        """Refuse values that change from instant to instant: nobody could tell when what is made of them changes."""
        if any(value.drifts for value in values):
            raise self.fault("TF248", node, DRIFTING, "and with nothing else; as in  days_since(purchase) > 30")

    def test(
        self,
        node: ast.expr,
        code: str,
        value: Value | None,
        changes: Changes,
        *,
        operator: Sign | None = None,
        bound: Any = None,
    ) -> Truth:
        if value is not None and "v.segments" in code:
            self.segments.add(conditions.ANY_SEGMENT)
        leaf = Test(
            text=say_node(node),
            holds=self.function(code),
            value=None if value is None else self.function(value.code),
            value_key="" if value is None else value.text,
            operator=operator,
            bound=bound,
            changes=changes,
            code=code,
            value_code="None" if value is None else value.code,
        )
        return Truth(code, leaf, changes)

    # Values.

    def value(self, node: ast.expr) -> Value:
        self._depth += 1
        if self._depth > DEPTH_LIMIT:
            raise self.fault(
                "TF231", node, f"the condition is nested more than {DEPTH_LIMIT} deep", "say it more simply"
            )
        try:
            return self._value(node)
        finally:
            self._depth -= 1

    def _value(self, node: ast.expr) -> Value:
        text = say_node(node)
        match node:
            case ast.Constant(value=bool() | int() | float() | str() as constant):
                return Value(self.bind_constant(constant), text, constant, is_constant=True)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as constant)):
                return Value(self.bind_constant(-constant), text, -constant, is_constant=True)
            case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
                return self.list_of(node, elements)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
                a, b = self.value(left), self.value(right)
                self.settled(node, a, b)
                function = self.bind(ARITHMETIC[type(op)])
                return Value(f"{function}({a.code}, {b.code})", text, changes=a.changes + b.changes)
            case ast.Name(id=name):
                return self.names.name(self, node, name)
            case ast.Attribute() | ast.Subscript():
                return self.names.path(self, node)
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=keywords):
                return read_call(self, node, name, arguments, keywords)
            case ast.BoolOp() | ast.Compare() | ast.UnaryOp(op=ast.Not()):
                truth = self.truth(node)
                return Value(truth.code, text, is_truth=True, changes=truth.changes)
        raise self.fault("TF232", node, f'"{text}" cannot be used in a condition', "docs/rules.md lists what can")

    def bind_constant(self, constant: Any) -> str:
        """Numbers and booleans stand in the code as they are; text is bound, so that none of it is ever code."""
        if isinstance(constant, str):
            return self.bind(constant, "s")
        return f"({constant!r})" if abs(constant) < 1e15 else self.bind(constant)

    def list_of(self, node: ast.expr, elements: Sequence[ast.expr]) -> Value:
        if len(elements) > LIST_LIMIT:
            raise self.fault("TF233", node, f"a list of more than {LIST_LIMIT} items", "define it, or put it in a file")
        items = []
        for element in elements:
            item = self.value(element)
            if not item.is_constant:
                raise self.fault("TF234", element, "a list holds texts and numbers as they are", 'as in  ["DE", "FR"]')
            items.append(item.constant)
        return Value(self.bind(Items(items)), say_node(node), items=tuple(items))

    def defined_list(self, node: ast.expr) -> Value | None:
        """The list that a name is defined as; None for anything else."""
        definition = self.scope.definitions.get(node.id) if isinstance(node, ast.Name) else None
        if definition is None or definition.items is None:
            return None
        self.uses(definition)
        if definition.is_broken:
            raise Faulty([])
        return Value(self.bind(definition.lookup), definition.name, items=definition.items)

    def steps(self, node: ast.expr) -> tuple[str, tuple[str, ...]]:
        """A path's root and the names behind it."""
        path = path_of(node)
        if path is None:
            raise self.fault("TF232", node, f'"{say_node(node)}" cannot be used in a condition')
        return path

    def dig(self, node: ast.expr, code: str, names: tuple[str, ...]) -> Value:
        """The Python for what stands at a path within something."""
        text = say_node(node)
        if not names:
            return Value(code, text)
        if len(names) == 1 and code in ("v.properties", "v.context"):
            return Value(f"{code}.get({self.bind_constant(names[0])})", text)
        return Value(f"{self.bind(conditions.dig)}({code}, {self.bind(names, 'path')})", text)
