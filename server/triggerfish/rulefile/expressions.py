"""The language of conditions: a whitelisted subset of Python's expression grammar, compiled to Python functions.

`grammar.parse` turns text into an ast; the reader admits only what docs/rules.md lists and writes, for each part, the
Python that works it out over a View. What is written is made of our own names and constants alone: no text from a rule
file is ever evaluated as it stands.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from triggerfish import conditions
from triggerfish.activity import Activity
from triggerfish.conditions import All, Condition, Elapsed, Leaving, Not, Some, Test, Turning, View
from triggerfish.rulefile.functions import FUNCTIONS, Function
from triggerfish.rulefile.grammar import Fault, Faulty, offset_of, parse
from triggerfish.rulefile.problems import nearest
from triggerfish.rulefile.selectors import Selector, activity_of
from triggerfish.rulefile.terms import (
    ARITHMETIC,
    SIGNS,
    TURNED,
    Changes,
    Sign,
    Truth,
    Value,
    changes_of,
    delay_of,
    gives_a_number,
    link,
)

DEPTH_LIMIT = 24
LIST_LIMIT = 1_000
KINDS = ("page", "screen", "identify", "group", "alias")
LOCAL: Mapping[str, Literal["hour", "day"]] = {"hour": "hour", "weekday": "day", "date": "day"}
ROOTS = ("event", "traits", "context", "segments", "segment", "local")


class Scope(Struct, frozen=True):
    """What a condition may name. `short_names` maps the plan's names to events' own; `segments` are those that may be
    asked for; `has_event` says whether there is a triggering event; `functions` adds plugins' functions.
    """

    short_names: Mapping[str, str] = {}
    segments: Collection[str] = ()
    has_event: bool = True
    functions: Mapping[str, Callable[..., Any]] = {}


def compile_condition(texts: Tree, scope: Scope) -> Condition:
    """A Condition from a tree of texts. Raises Faulty with the first text's faults: compile one by one to find all."""
    reader = _Reader(scope)
    truth = reader.tree(texts)
    return Condition(
        text=say(texts),
        root=truth.node,
        holds=reader.function(truth.code),
        activities=tuple(reader.activities.values()),
        changes=tuple(dict.fromkeys(truth.changes)),
        names=frozenset(reader.names),
    )


def compile_value(text: str, scope: Scope) -> tuple[Callable[[View], Any], tuple[Activity, ...]]:
    """A function for a value such as `event.total`, and the activities that it needs. Raises Faulty."""
    reader = _Reader(scope)
    value = reader.whole(text, reader.value)
    return reader.function(value.code), tuple(reader.activities.values())


class Tree(Struct, frozen=True):
    """Texts joined by all, any and none, as a rule file writes them. Exactly one of the fields is used."""

    text: str = ""
    all: tuple[Tree, ...] | None = None
    any: tuple[Tree, ...] | None = None
    none: tuple[Tree, ...] | None = None


def say(tree: Tree) -> str:
    """The tree on one line, for people."""
    for word, parts in (("all", tree.all), ("any", tree.any), ("none", tree.none)):
        if parts is not None:
            return f"{word} of ({'; '.join(say(part) for part in parts)})"
    return " ".join(tree.text.split())


class _Reader:
    """Reads one condition. `activities` collects what it needs remembered, `names` the events that it names."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.activities: dict[str, Activity] = {}
        self.names: set[str] = set()
        self.space: dict[str, Any] = {"NUMBERS": conditions.NUMBERS, "__builtins__": {"type": type, "str": str}}
        self._text = ""
        self._temporaries = 0
        self._depth = 0

    # The edges: text in, functions out.

    def function(self, code: str) -> Callable[[View], Any]:
        made: Callable[[View], Any] = eval(compile(f"lambda v: {code}", "<condition>", "eval"), self.space)  # noqa: S307
        return made

    def bind(self, value: Any, name: str = "k") -> str:
        """A name for a constant or function within the written Python."""
        for known, held in self.space.items():
            if held is value:
                return known
        made = f"{name}{len(self.space)}"
        self.space[made] = value
        return made

    def temporary(self) -> str:
        self._temporaries += 1
        return f"x{self._temporaries}"

    def whole(self, text: str, read: Callable[[ast.expr], Any]) -> Any:
        """Read one text from beginning to end."""
        self._text = text
        tree = parse(text)
        return read(tree)

    def tree(self, tree: Tree) -> Truth:
        for parts, join in ((tree.all, self.all_of), (tree.any, self.any_of), (tree.none, self.none_of)):
            if parts is not None:
                return join([self.tree(part) for part in parts])
        truth: Truth = self.whole(tree.text, self.truth)
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
        if value.is_constant and not isinstance(value.constant, bool):
            raise self.fault("TF241", node, f"{value.text} is neither true nor false", "compare it with something")
        if isinstance(node, ast.BinOp) or (isinstance(node, ast.Call) and gives_a_number(node)):
            hint = f"compare it, as in  {value.text} > 3"
            raise self.fault("TF241", node, f"{value.text} is a number, neither true nor false", hint)
        code = value.code if value.is_truth else f"({value.code} is True)"
        return self.test(node, code, value, value.changes, operator="==", bound=True)

    def comparison(self, whole: ast.Compare, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Truth:
        a, b = self.value(left), self.value(right)
        if isinstance(op, ast.In | ast.NotIn):
            return self.membership(whole, a, op, b)
        sign = SIGNS.get(type(op))
        if sign is None:
            raise self.fault("TF242", whole, '"is" is not used in conditions', 'write "==" to compare')
        if a.is_constant and not b.is_constant:
            a, b, sign = b, a, TURNED[sign]
        changes = a.changes + b.changes
        if a.since or b.since:
            changes += self.since(whole, a, sign, b)
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
        among = self.bind(conditions.among)
        if b.code == "v.segments":
            if not (a.is_constant and isinstance(a.constant, str)):
                raise self.fault("TF245", whole, "segments are asked for by name", 'write  "vip" in segments')
            self.check_segment(whole, a.constant)
            code = f"({self.bind_constant(a.constant)} in v.segments)"
            truth = self.test(whole, code, None, ())
            return truth if isinstance(op, ast.In) else self.negation(truth)
        if b.items is None and b.is_constant:
            raise self.fault(
                "TF246", whole, f'"in" needs a list, and {b.text} is none', "use contains(…) to look inside a text"
            )
        x = self.temporary()
        code = f"{among}({x} := {a.code}, {b.code})"
        if isinstance(op, ast.NotIn):
            code = f"(not {among}({x} := {a.code}, {b.code}) and {x} is not None)"
        return self.test(whole, code, a, a.changes + b.changes)

    def check_segment(self, node: ast.AST, name: str) -> None:
        if name not in self.scope.segments:
            hint = nearest(name, self.scope.segments)
            raise self.fault("TF247", node, f'no segment "{name}" can be asked for here', hint)

    def since(self, node: ast.AST, a: Value, sign: str, b: Value) -> Changes:
        if a.since is None or type(b.constant) not in conditions.NUMBERS or not math.isfinite(b.constant):
            sentence = "days_since, hours_since and minutes_since are compared with a number"
            raise self.fault("TF248", node, sentence, "as in  days_since(purchase) > 30")
        activity, unit = a.since
        meets = Elapsed(activity, delay_of(unit, lambda age: age >= b.constant, b.constant))
        passes = Elapsed(activity, delay_of(unit, lambda age: age > b.constant, b.constant))
        if sign in (">", "<="):
            return (passes,)
        return (meets,) if sign in (">=", "<") else (meets, passes)

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
        leaf = Test(
            text=ast.unparse(node),
            holds=self.function(code),
            value=None if value is None else self.function(value.code),
            value_key="" if value is None else value.text,
            operator=operator,
            bound=bound,
            changes=changes,
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
        text = ast.unparse(node)
        match node:
            case ast.Constant(value=bool() | int() | float() | str() as constant):
                return Value(self.bind_constant(constant), text, constant, is_constant=True)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as constant)):
                return Value(self.bind_constant(-constant), text, -constant, is_constant=True)
            case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
                return self.list_of(node, elements)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
                a, b = self.value(left), self.value(right)
                if a.since or b.since:
                    raise self.fault(
                        "TF248", node, "days_since and the like are not calculated with", "compare with a number"
                    )
                function = self.bind(ARITHMETIC[type(op)])
                return Value(f"{function}({a.code}, {b.code})", text, changes=a.changes + b.changes)
            case ast.Name(id=name):
                return self.name(node, name)
            case ast.Attribute() | ast.Subscript():
                return self.path(node)
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=keywords):
                return self.call(node, name, arguments, keywords)
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
            raise self.fault("TF233", node, f"a list of more than {LIST_LIMIT} items", "make it a trait or a segment")
        items = []
        for element in elements:
            item = self.value(element)
            if not item.is_constant:
                raise self.fault("TF234", element, "a list holds texts and numbers as they are", 'as in  ["DE", "FR"]')
            items.append(item.constant)
        return Value(self.bind(tuple(items)), ast.unparse(node), items=tuple(items))

    def name(self, node: ast.expr, name: str) -> Value:
        if name == "segment":
            return Value("v.segment", name)
        if name == "segments":
            return Value("v.segments", name)
        hint = f"did you mean {name}.something?" if name in ROOTS else nearest(name, [*ROOTS, *FUNCTIONS])
        if name.lower() in ("true", "false"):
            hint = f"write {name.capitalize()}"
        elif name in self.scope.short_names or name in KINDS:
            hint = f'write count({name}), or did({name}, "30d")'
        raise self.fault("TF235", node, f'"{name}" is not known here', hint)

    def path(self, node: ast.expr) -> Value:
        """`event.a.b`, `traits["First Name"]`, `local.hour`."""
        root, names = self.steps(node)
        match root:
            case "event" | "context" if not self.scope.has_event:
                sentence = f'"{root}" is not known here: a segment has no triggering event'
                raise self.fault("TF236", node, sentence, "use traits, or what they did: count(…), last(…)")
            case "event":
                return self.dig(node, "v.properties", names)
            case "context":
                return self.dig(node, "v.context", names)
            case "traits":
                code = f"v.trait({self.bind_constant(names[0])})"
                return self.dig(node, code, names[1:])
            case "local" if len(names) == 1 and names[0] in LOCAL:
                return Value(f"v.local.{names[0]}", ast.unparse(node), changes=(Turning(LOCAL[names[0]]),))
            case "local":
                hint = nearest(names[0], LOCAL) or "local has hour, weekday and date"
                raise self.fault("TF235", node, f'"local.{names[0]}" is not known', hint)
        hint = nearest(root, ROOTS)
        if root in self.scope.short_names:
            hint = f"event.{names[0]} is the triggering event's; last({root}.{names[0]}) the newest {root}'s"
        raise self.fault("TF235", node, f'"{root}" is not known here', hint)

    def steps(self, node: ast.expr) -> tuple[str, tuple[str, ...]]:
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
                    raise self.fault("TF232", node, f'"{ast.unparse(node)}" cannot be used in a condition')

    def dig(self, node: ast.expr, code: str, names: tuple[str, ...]) -> Value:
        text = ast.unparse(node)
        if not names:
            return Value(code, text)
        if len(names) == 1 and code in ("v.properties", "v.context"):
            return Value(f"{code}.get({self.bind_constant(names[0])})", text)
        return Value(f"{self.bind(conditions.dig)}({code}, {self.bind(names, 'path')})", text)

    def call(self, node: ast.Call, name: str, arguments: Sequence[ast.expr], keywords: Sequence[ast.keyword]) -> Value:
        if name in self.scope.functions:
            if keywords:
                raise self.fault("TF238", node, f"{name} takes values without names", f"as in  {name}(event.x, 2)")
            values = [self.value(argument) for argument in arguments]
            code = f"{self.bind(self.scope.functions[name])}({', '.join(value.code for value in values)})"
            return Value(code, ast.unparse(node), changes=changes_of(values))
        function = FUNCTIONS.get(name)
        if function is None:
            hint = nearest(name, [*FUNCTIONS, *self.scope.functions])
            raise self.fault("TF237", node, f'there is no function "{name}"', hint)
        if keywords or not function.least <= len(arguments) <= function.most:
            raise self.fault("TF238", node, f"{name} is written {function.usage}", function.example)
        if function.takes_activity:
            return self.activity_call(node, name, function, arguments)
        values = [self.value(argument) for argument in arguments]
        for value in values:
            if value.since:
                raise self.fault("TF248", node, "days_since and the like are compared with a number")
        made = function.of
        if function.prepare is not None:
            constant = values[1].constant if values[1].is_constant else None
            try:
                made = function.prepare(constant)
            except ValueError as error:
                raise self.fault("TF239", arguments[1], str(error)) from error
            values = values[:1]
        code = f"{self.bind(made)}({', '.join(value.code for value in values)})"
        return Value(code, ast.unparse(node), is_truth=function.is_truth, changes=changes_of(values))

    def activity_call(self, node: ast.Call, name: str, function: Function, arguments: Sequence[ast.expr]) -> Value:
        selector = self.selector(arguments[0])
        window = arguments[1] if len(arguments) > 1 else None
        if function.needs_field and selector.field is None:
            raise self.fault("TF240", arguments[0], f"{name} needs a property, as in {function.example}")
        if not function.needs_field and selector.field is not None:
            raise self.fault("TF240", arguments[0], f"{name} counts events, not a property", function.example)
        try:
            length = window.value if isinstance(window, ast.Constant) else window
            activity = activity_of(selector, length)
        except ValueError as error:
            raise self.fault("TF249", window or node, str(error)) from error
        self.activities.setdefault(activity.key, activity)
        bound = self.bind(self.activities[activity.key])
        changes: Changes = () if activity.window is None else (Leaving(activity),)
        since = None
        if function.unit:
            since = (self.activities[activity.key], function.unit)
        extra = f", {function.unit}" if function.unit else (f", {self.bind(name)}" if function.takes_name else "")
        code = f"{self.bind(function.of)}(v, {bound}{extra})"
        return Value(code, ast.unparse(node), is_truth=function.is_truth, since=since, changes=changes)

    def selector(self, node: ast.expr) -> Selector:
        """`purchase`, `"Order Completed"`, `purchase.total`, `purchase[total > 50].total`."""
        path: list[str] = []
        while isinstance(node, ast.Attribute):
            path.append(node.attr)
            node = node.value
        keeps, keeps_text = None, ""
        if isinstance(node, ast.Subscript):
            keeps, keeps_text = self.filter(node.slice)
            node = node.value
        match node:
            case ast.Name(id=name):
                event = self.scope.short_names.get(name, name)
            case ast.Constant(value=str() as event):
                pass
            case _:
                sentence = f'"{ast.unparse(node)}" is not an event'
                raise self.fault("TF250", node, sentence, 'as in  count(purchase)  or  count("Order Completed")')
        self.names.add(event)
        return Selector(event, tuple(reversed(path)) or None, keeps, keeps_text)

    def filter(self, node: ast.expr) -> tuple[Callable[[dict[str, Any]], bool], str]:
        """The condition in brackets: names in it are the counted event's own properties."""
        inner = _FilterReader(self.scope)
        inner._text = self._text
        truth = inner.truth(node)
        code = f"lambda p: {truth.code}"
        keeps: Callable[[dict[str, Any]], bool] = eval(compile(code, "<filter>", "eval"), inner.space)  # noqa: S307
        return keeps, ast.unparse(node)

    def fault(self, code: str, node: ast.AST, sentence: str, hint: str = "") -> Faulty:
        start = offset_of(self._text, getattr(node, "lineno", 1), getattr(node, "col_offset", 0))
        end = offset_of(self._text, getattr(node, "end_lineno", 1) or 1, getattr(node, "end_col_offset", 1) or 1)
        return Faulty([Fault(code, sentence, start, max(1, end - start), hint)])


class _FilterReader(_Reader):
    """Reads what stands in a selector's brackets."""

    def function(self, code: str) -> Callable[[Any], Any]:
        made: Callable[[Any], Any] = eval(compile(f"lambda p: {code}", "<filter>", "eval"), self.space)  # noqa: S307
        return made

    def name(self, node: ast.expr, name: str) -> Value:
        return Value(f"p.get({self.bind_constant(name)})", name)

    def path(self, node: ast.expr) -> Value:
        root, names = self.steps(node)
        path = self.bind((root, *names), "path")
        return Value(f"{self.bind(conditions.dig)}(p, {path})", ast.unparse(node))

    def activity_call(self, node: ast.Call, name: str, function: Function, arguments: Sequence[ast.expr]) -> Value:
        raise self.fault(
            "TF251", node, f"{name} cannot be used in brackets", "brackets look at the counted event alone"
        )
