"""What the tracking plan knows of the parts of a condition: of which type a part is, and whether it can be as written.

Only what the plan says is held against a condition; a part of which it says nothing may be anything.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from triggerfish.plan import Field, Plan, article
from triggerfish.rulefile.functions import FUNCTIONS, Function
from triggerfish.rulefile.grammar import Fault, offset_of, path_of
from triggerfish.rulefile.problems import nearest, quote

Fields = Mapping[str, Field] | None
"""The properties of an event, or of several, as far as they are planned; None when they are not."""

_ORDERS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_TAKE_TEXT = {"lower", "starts_with", "ends_with", "matches"}
_ADD_UP = {"sum", "avg", "min", "max", "score", "trend"}


class Part(Struct, frozen=True):
    """A part of a condition. `field` is what the plan says of it, `constant` its value (as a list of one), if it is
    written down.
    """

    type: str | None = None
    node: ast.expr | None = None
    field: Field | None = None
    constant: tuple[Any, ...] = ()

    @property
    def text(self) -> str:
        return "" if self.node is None else ast.unparse(self.node)


class Known(Struct, frozen=True):
    """What a text may name: the plan, the short names, the triggering event's `event` (its names in `events`), and the
    traits that rules set.
    """

    plan: Plan
    short_names: Mapping[str, str]
    event: Fields = None
    events: tuple[str, ...] = ()
    set_traits: frozenset[str] = frozenset()

    def properties_of(self, name: str) -> tuple[str, Fields]:
        """An event's own name, and its properties as planned."""
        own = self.short_names.get(name, name)
        planned = self.plan.events.get(own)
        return own, planned.properties if planned is not None and planned.properties else None


class Terms:
    """Looks through one text. `faults` and `warnings` collect what it finds."""

    def __init__(self, known: Known, text: str) -> None:
        self._known = known
        self._text = text
        self.faults: list[Fault] = []
        self.warnings: list[Fault] = []
        self._within: tuple[str, Fields] | None = None

    # True or false.

    def truth(self, node: ast.expr) -> None:
        part = self.look(node)
        if isinstance(node, ast.Attribute | ast.Subscript) and part.type not in (None, "boolean"):
            hint = f"compare it, or ask whether it is there:  exists({part.text})"
            self._fault("TF604", node, f"{part.text} is {article(part.type or '')}, neither true nor false", hint)

    def compare(self, node: ast.expr, left: Part, op: ast.cmpop, right: Part) -> None:
        if left.constant and not right.constant:
            left, right = right, left
        if left.field is None and right.field is None:
            return
        if left.type is not None and right.type is not None and left.type != right.type:
            sentence = f"{left.text} is {article(left.type)}, and is never compared with {article(right.type)}"
            self._fault("TF604", node, sentence, _written(left, right))
        elif isinstance(op, _ORDERS):
            for part in (left, right):
                if part.type in ("boolean", "list", "object"):
                    self._fault("TF604", node, f"{part.text} is {article(part.type)}, which has no order")
                    return
        elif right.constant:
            self._allowed(node, left, right.constant[0])

    def membership(self, node: ast.expr, left: Part, right_node: ast.expr) -> None:
        if isinstance(right_node, ast.List | ast.Tuple | ast.Set):
            for item in right_node.elts:
                constant = self.look(item)
                if left.field is not None and left.type and constant.type and left.type != constant.type:
                    sentence = f"{left.text} is {article(left.type)}, and is never {constant.text}"
                    self._fault("TF604", item, sentence, _written(left, constant))
                elif constant.constant:
                    self._allowed(item, left, constant.constant[0])
            return
        right = self.look(right_node)
        if right.field is not None and right.type not in (None, "list", "object"):
            sentence = f'"in" needs a list, and {right.text} is {article(right.type or "")}'
            self._fault(
                "TF604", node, sentence, "use contains(…) to look inside a text" if right.type == "text" else ""
            )
        elif right.type == "list" and left.constant:
            self._allowed(node, right, left.constant[0])

    def _allowed(self, node: ast.expr, part: Part, value: Any) -> None:
        if part.field is None or not part.field.allowed:
            return
        if not any(type(value) is type(known) and value == known for known in _alike(part.field.allowed)):
            texts = [known for known in part.field.allowed if isinstance(known, str)]
            hint = nearest(value, texts) if isinstance(value, str) else ""
            said = ", ".join(_say(known) for known in part.field.allowed[:8])
            self._fault("TF605", node, f"by the plan {part.text} is never {_say(value)}", hint or f"it may be {said}")

    # Values.

    def look(self, node: ast.expr) -> Part:
        """What is known of a part; what is wrong within it is noted."""
        match node:
            case ast.BoolOp(values=values):
                for value in values:
                    self.truth(value)
                return Part("boolean", node)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                self.truth(operand)
                return Part("boolean", node)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
                return Part("number", node, None, (-value,))
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                return self._comparison(node, [left, *comparators], ops)
            case ast.BinOp(left=left, right=right):
                for side in (left, right):
                    part = self.look(side)
                    if part.field is not None and part.type not in (None, "number"):
                        sentence = f"{part.text} is {article(part.type or '')}, and cannot be calculated with"
                        self._fault("TF604", side, sentence)
                return Part("number", node)
            case ast.Constant(value=bool() as value):
                return Part("boolean", node, None, (value,))
            case ast.Constant(value=int() | float() as value):
                return Part("number", node, None, (value,))
            case ast.Constant(value=str() as value):
                return Part("text", node, None, (value,))
            case ast.Name(id=name):
                return self._name(node, name)
            case ast.Attribute() | ast.Subscript():
                return self._path(node)
            case ast.Call(func=ast.Name(id=name)):
                return self._call(node, name)
        return Part(None, node)

    def _comparison(self, node: ast.expr, sides: list[ast.expr], ops: list[ast.cmpop]) -> Part:
        for place, op in enumerate(ops):
            left, right = sides[place], sides[place + 1]
            whole = node if len(ops) == 1 else left
            if isinstance(op, ast.In | ast.NotIn):
                self.membership(whole, self.look(left), right)
            else:
                self.compare(whole, self.look(left), op, self.look(right))
        return Part("boolean", node)

    def _name(self, node: ast.expr, name: str) -> Part:
        if self._within is not None:
            event, fields = self._within
            return self._of(node, name, fields, "property", f"of {quote(event)}")
        return Part("text" if name == "segment" else None, node)

    def _path(self, node: ast.expr) -> Part:
        root, names = path_of(node) or ("", ())
        if not names:
            return Part(None, node)
        if self._within is not None:
            event, fields = self._within
            part = self._of(node, root, fields, "property", f"of {quote(event)}")
            return self._inside(node, part)
        match root:
            case "event":
                named = " and ".join(quote(name) for name in self._known.events)
                part = self._of(node, names[0], self._known.event, "property", f"of {named}")
            case "traits":
                fields = self._known.plan.traits or None
                if names[0] in self._known.set_traits and (fields is None or names[0] not in fields):
                    return Part(None, node)
                part = self._of(node, names[0], fields, "trait", "")
            case "local":
                return Part("number" if names[0] == "hour" else "text", node)
            case _:
                return Part(None, node)
        return self._inside(node, part) if len(names) > 1 else part

    def _inside(self, node: ast.expr, part: Part) -> Part:
        if part.type not in (None, "object"):
            what = article(part.type or "")
            self._fault("TF604", node, f"{ast.unparse(node)} looks inside {what}", "only objects have parts")
        return Part(None, node)

    def _of(self, node: ast.expr, name: str, fields: Fields, kind: str, whose: str) -> Part:
        if fields is None:
            return Part(None, node)
        field = fields.get(name)
        if field is None:
            sentence = f"no {kind} {quote(name)} {whose}".rstrip() + " is planned"
            self._fault("TF606", node, sentence, nearest(name, fields) or "add it to the plan", is_warning=True)
            return Part(None, node)
        return Part(field.type, node, field)

    # Calls.

    def _call(self, node: ast.Call, name: str) -> Part:
        function = FUNCTIONS.get(name)
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        if function is not None and function.takes_activity:
            return self._activity(node, name, function, given)
        parts = [self.look(each) for each in given]
        if function is None or not parts:
            return Part(None, node)
        first = parts[0]
        if first.field is not None and name in _TAKE_TEXT and first.type not in (None, "text"):
            sentence = f"{name} looks at text, and {first.text} is {article(first.type or '')}"
            self._fault("TF604", node.args[0], sentence, function.example)
        if first.field is not None and name == "contains" and first.type not in (None, "text", "list"):
            sentence = f"contains looks into text or a list, and {first.text} is {article(first.type or '')}"
            self._fault("TF604", node.args[0], sentence, function.example)
        if name == "default" and len(parts) == 2:
            return Part(first.type if first.type == parts[1].type else None, node)
        return Part("boolean" if function.is_truth else "text" if name == "lower" else None, node)

    def _activity(self, node: ast.Call, name: str, function: Function, given: list[ast.expr]) -> Part:
        found = Part()
        for each in given:
            selector = each.operand if isinstance(each, ast.UnaryOp) and isinstance(each.op, ast.Not) else each
            if isinstance(selector, ast.Name | ast.Attribute | ast.Subscript):
                part = self._selected(selector)
                if name in _ADD_UP and part.type not in (None, "number"):
                    sentence = f"{name} adds up numbers, and {part.text} is {article(part.type or '')}"
                    self._fault("TF604", selector, sentence, function.example)
                found = found if found.node is not None else part
            elif isinstance(selector, ast.Call):
                self.look(selector)
        if name in ("first", "last"):
            return Part(found.type, node, found.field)
        return Part("boolean" if function.is_truth else "number" if function.is_number else None, node)

    def _selected(self, node: ast.expr) -> Part:
        """`purchase`, `purchase.total`, `purchase[total > 50].total`: what is known of the property."""
        names: list[str] = []
        at = node
        while isinstance(at, ast.Attribute):
            names.append(at.attr)
            at = at.value
        condition = None
        if isinstance(at, ast.Subscript):
            condition, at = at.slice, at.value
        match at:
            case ast.Name(id=event) | ast.Constant(value=str() as event):
                own, fields = self._known.properties_of(event)
            case _:
                return Part()
        if condition is not None:
            outer, self._within = self._within, (own, fields)
            self.truth(condition)
            self._within = outer
        if not names:
            return Part(None, node)
        part = self._of(node, names[-1], fields, "property", f"of {quote(own)}")
        return self._inside(node, part) if len(names) > 1 else part

    def _fault(self, code: str, node: ast.AST, sentence: str, hint: str = "", *, is_warning: bool = False) -> None:
        start = offset_of(self._text, getattr(node, "lineno", 1), getattr(node, "col_offset", 0))
        end = offset_of(self._text, getattr(node, "end_lineno", 1) or 1, getattr(node, "end_col_offset", 1) or 1)
        fault = Fault(code, sentence, start, max(1, end - start), hint)
        (self.warnings if is_warning else self.faults).append(fault)


def _alike(allowed: tuple[Any, ...]) -> list[Any]:
    """The allowed values, each number as both of its types."""
    numbers = [value for value in allowed if type(value) in (int, float)]
    whole = [int(value) for value in numbers if value == int(value)]
    return [*(value for value in allowed if value not in numbers or type(value) is bool), *map(float, numbers), *whole]


def _say(value: Any) -> str:
    return quote(value) if isinstance(value, str) else str(value)


def _written(left: Part, right: Part) -> str:
    """What to write instead, where that is plain."""
    if not right.constant:
        return ""
    value = right.constant[0]
    if left.type == "number" and isinstance(value, str):
        return "write the number without quotes" if value.replace(".", "", 1).isdigit() else ""
    if left.type == "boolean" and isinstance(value, str) and value.lower() in ("true", "false", "yes", "no"):
        return f"write {value.lower() in ('true', 'yes')}, without quotes"
    if left.type == "text" and isinstance(value, int | float) and not isinstance(value, bool):
        return f'put quotes around it: "{value}"'
    return ""
