"""Conditions as formulas: what a text claims, part by part, in the very sense in which `expressions.py` compiles it.

A value is read as cases (`default(x, 0)` is x where there is one, and 0 where there is none). What is not understood
becomes a term of which nothing is known: then less can be proved, and nothing wrong.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from msgspec import Struct

from triggerfish.clock import DAY, HOUR, MINUTE, Millis, parse_duration
from triggerfish.conditions import NUMBERS
from triggerfish.rulefile import prove_terms as terms
from triggerfish.rulefile.defined import Definition
from triggerfish.rulefile.format import ConditionForm
from triggerfish.rulefile.functions import FUNCTIONS
from triggerfish.rulefile.grammar import Faulty, parse, path_of
from triggerfish.rulefile.prove_terms import LOCAL, Term
from triggerfish.rulefile.satisfy import ALWAYS, NEVER, Formula, Is, both, either, negated
from triggerfish.rulefile.satisfy_sets import (
    ABSENT,
    CALCULATED,
    EVERYTHING,
    PRESENT,
    TRUTHS,
    YES,
    Values,
    any_of,
    compared,
    same,
)
from triggerfish.rulefile.terms import ARITHMETIC, SIGNS, TURNED, delay_of

UNITS: Mapping[str, Millis] = {"minutes_since": MINUTE, "hours_since": HOUR, "days_since": DAY}
_OUTCOMES = {
    "==": ("eq", "same"),
    "!=": ("lt", "gt", "ne"),
    "<": ("lt",),
    "<=": ("lt", "eq"),
    ">": ("gt",),
    ">=": ("gt", "eq"),
}
LIST_LIMIT = 500
"""Of the values of a longer list, nothing is said."""
_PREDICATES = ("contains", "starts_with", "ends_with", "matches")


class Fixed(Struct, frozen=True):
    """A constant; None is missing."""

    value: Any


class Truth(Struct, frozen=True):
    """True where the formula holds, else false."""

    formula: Formula


class Since(Struct, frozen=True):
    """days_since and the like: an age in units."""

    age: Term
    unit: Millis
    text: str


class Listed(Struct, frozen=True):
    items: tuple[Any, ...]


class Segments(Struct, frozen=True):
    """The name `segments`."""


Atom = Fixed | Truth | Since | Listed | Segments | Term
Cases = list[tuple[Formula, Atom]]
"""What a value is in each case; exactly one of the formulas holds."""


class Reading:
    """Reads conditions of one rulebook. `terms` are all that were met, by key."""

    def __init__(
        self,
        short_names: Mapping[str, str],
        segments: Sequence[str] = (),
        functions: Collection[str] = (),
        definitions: Mapping[str, Definition] | None = None,
    ) -> None:
        self.terms: dict[str, Term] = {}
        self.texts: dict[str, str] = {}
        """How a term was first written, by key."""
        self._short_names = short_names
        self._segments = list(segments)
        self._functions = functions
        self._definitions = definitions or {}
        self._read: dict[str, Formula] = {}

    def form(self, form: str | ConditionForm | None) -> Formula:
        """A condition as a rule file has it; None always holds."""
        if form is None:
            return ALWAYS
        if isinstance(form, str):
            return self.text(form)
        parts = []
        if form.all is not None:
            parts.append(both(*(self.form(part) for part in form.all)))
        if form.any is not None:
            parts.append(either(*(self.form(part) for part in form.any)))
        if form.none is not None:
            parts.append(negated(either(*(self.form(part) for part in form.none))))
        return both(*parts)

    def text(self, text: str) -> Formula:
        """One text; what cannot be read is a claim of which nothing is known."""
        found = self._read.get(text)
        if found is None:
            try:
                found = self.truth(parse(text))
            except Faulty:
                found = self.is_in(terms.unknown(text, TRUTHS), YES)
            self._read[text] = found
        return found

    def segment(self, name: str) -> Formula:
        """The person is in the segment."""
        return self.is_in(terms.in_segment(name), YES)

    def is_in(self, term: Term, values: Values, text: str = "") -> Formula:
        """The term's value is in the set. Remembers the term."""
        self.terms.setdefault(term.key, term)
        if text:
            self.texts.setdefault(term.key, text)
        if term.domain.is_within(values):
            return ALWAYS
        return NEVER if term.values.misses(values) else Is(term.key, values)

    # True or false.

    def truth(self, node: ast.expr) -> Formula:
        match node:
            case ast.BoolOp(op=ast.And(), values=values):
                return both(*(self.truth(value) for value in values))
            case ast.BoolOp(values=values):
                return either(*(self.truth(value) for value in values))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return negated(self.truth(operand))
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                sides = [left, *comparators]
                return both(*(self.comparison(sides[i], op, sides[i + 1]) for i, op in enumerate(ops)))
        return self.member(self.value(node), YES)

    def comparison(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Formula:
        text = f"{ast.unparse(left)} {ast.unparse(right)}"
        a, b = self.value(left), self.value(right)
        if isinstance(op, ast.In | ast.NotIn):
            is_in = self.membership(a, b, text)
            return is_in if isinstance(op, ast.In) else self.not_in(a, b, is_in, text)
        sign = SIGNS.get(type(op))
        if sign is None:
            return self.is_in(terms.unknown(f"is {text}", TRUTHS), YES)
        return either(*(both(when, and_when, self.compare(x, sign, y)) for when, x in a for and_when, y in b))

    def compare(self, a: Atom, sign: str, b: Atom) -> Formula:
        match a, b:
            case Truth(formula), _:
                return either(
                    both(formula, self.compare(Fixed(True), sign, b)),
                    both(negated(formula), self.compare(Fixed(False), sign, b)),
                )
            case _, Truth():
                return self.compare(b, TURNED[sign], a)
            case Fixed(None), _:
                return NEVER
            case _, Fixed(None):
                return NEVER
            case Since(), Fixed(bound) if type(bound) in NUMBERS and math.isfinite(bound):
                return self.age(a, sign, bound)
            case Fixed(), Since():
                return self.compare(b, TURNED[sign], a)
            case Fixed(left), Fixed(right):
                if type(right) is bool and sign not in ("==", "!="):
                    return NEVER
                return ALWAYS if same(left).is_within(compared(sign, right)) else NEVER
            case Term(), Fixed(bound):
                if type(bound) is bool and sign not in ("==", "!="):
                    return NEVER
                return self.is_in(a, compared(sign, bound))
            case Fixed(), Term():
                return self.compare(b, TURNED[sign], a)
            case Term(), Term():
                if b.key < a.key:
                    a, b, sign = b, a, TURNED[sign]
                return self.is_in(terms.pair(self.known(a), self.known(b)), any_of(_OUTCOMES[sign]))
        return self.is_in(terms.unknown(f"{a!r} {sign} {b!r}", TRUTHS), YES)

    def age(self, since: Since, sign: str, bound: float) -> Formula:
        """An age compared: the same whole milliseconds at which `expressions.py` looks again."""
        meets = delay_of(since.unit, lambda age: age >= bound, bound)
        passes = delay_of(since.unit, lambda age: age > bound, bound)
        values = {
            ">=": compared(">=", meets),
            ">": compared(">=", passes),
            "<": compared("<", meets),
            "<=": compared("<", passes),
            "==": compared(">=", meets).meet(compared("<", passes)),
            "!=": compared("<", meets).join(compared(">=", passes)),
        }[sign]
        return self.is_in(since.age, values)

    def membership(self, a: Cases, b: Cases, text: str) -> Formula:
        match b:
            case [(_, Segments())]:
                match a:
                    case [(_, Fixed(str() as name))]:
                        return self.segment(name)
            case [(_, Listed(items))]:
                if len(items) <= LIST_LIMIT:
                    return self.member(a, any_of(items))
                return self.is_in(terms.unknown(f"in {text}", TRUTHS, is_free=True), YES)
        return self.is_in(terms.unknown(f"in {text}", TRUTHS), YES)

    def not_in(self, a: Cases, b: Cases, is_in: Formula, text: str) -> Formula:
        """`not in` is false for a missing value and for what is no list; of segments it is plain negation."""
        match b:
            case [(_, Segments())]:
                return negated(is_in)
            case [(_, Listed())]:
                return both(negated(is_in), self.member(a, PRESENT))
        is_list = self.is_in(terms.unknown(f"list in {text}", TRUTHS), YES)
        return both(is_list, negated(is_in), self.member(a, PRESENT))

    def member(self, cases: Cases, values: Values) -> Formula:
        """The value is in the set."""
        return either(*(both(when, self._member(atom, values)) for when, atom in cases))

    def _member(self, atom: Atom, values: Values) -> Formula:
        match atom:
            case Fixed(value):
                held = ABSENT if value is None else same(value)
                return ALWAYS if held.is_within(values) else NEVER
            case Truth(formula):
                return either(
                    both(formula, self._member(Fixed(True), values)),
                    both(negated(formula), self._member(Fixed(False), values)),
                )
            case Since():
                return self.is_in(self.known(terms.unknown(atom.text, CALCULATED.join(ABSENT))), values)
            case Listed() | Segments():
                return ALWAYS if PRESENT.is_within(values) else NEVER
            case Term():
                return self.is_in(atom, values)

    # Values.

    def value(self, node: ast.expr) -> Cases:
        text = ast.unparse(node)
        match node:
            case ast.Constant(value=bool() | int() | float() | str() as constant):
                return [(ALWAYS, Fixed(constant))]
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as constant)):
                return [(ALWAYS, Fixed(-constant))]
            case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
                items = [self.value(element) for element in elements]
                return [(ALWAYS, Listed(tuple(case[0][1].value for case in items if isinstance(case[0][1], Fixed))))]
            case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
                return self.calculation(self.value(left), op, self.value(right))
            case ast.Name(id="segment"):
                return [(ALWAYS, self.known(terms.primary(self._segments), text))]
            case ast.Name(id="segments"):
                return [(ALWAYS, Segments())]
            case ast.Name(id=name) if (definition := self._definitions.get(name)) is not None:
                if definition.items is not None:
                    return [(ALWAYS, Listed(definition.items))]
                if definition.expression is not None:
                    return self.value(definition.expression)
            case ast.Attribute() | ast.Subscript():
                return [(ALWAYS, self.path(node, text))]
            case ast.Call(func=ast.Name(id=name), args=arguments) if name in FUNCTIONS and name not in self._functions:
                return self.call(node, name, arguments, text)
            case ast.BoolOp() | ast.Compare() | ast.UnaryOp(op=ast.Not()):
                return [(ALWAYS, Truth(self.truth(node)))]
        return [(ALWAYS, self.known(terms.unknown(text), text))]

    def known(self, term: Term, text: str = "") -> Term:
        self.is_in(term, EVERYTHING, text)
        return term

    def path(self, node: ast.expr, text: str) -> Term:
        match path_of(node):
            case ("local", (name,)) if name in LOCAL:
                return self.known(LOCAL[name], text)
            case ("event" | "traits" | "context" as root, names):
                return self.known(terms.path((root, *names)), text)
        return self.known(terms.unknown(text), text)

    def calculation(self, left: Cases, op: ast.operator, right: Cases) -> Cases:
        cases: Cases = []
        for when, a in left:
            for and_when, b in right:
                made: Atom = Fixed(None)
                if isinstance(a, Fixed) and isinstance(b, Fixed):
                    made = Fixed(ARITHMETIC[type(op)](a.value, b.value))
                elif isinstance(a, Fixed | Term) and isinstance(b, Fixed | Term):
                    sides = [(side.value, True) if isinstance(side, Fixed) else (side.key, False) for side in (a, b)]
                    values, is_constant = zip(*sides, strict=True)
                    is_whole = all(
                        type(side.value) is int if isinstance(side, Fixed) else side.is_whole for side in (a, b)
                    )
                    made = self.known(terms.worked(type(op).__name__, values, is_constant, is_whole))
                elif not isinstance(a, Truth) and not isinstance(b, Truth):
                    made = self.known(terms.unknown(f"{a!r} {type(op).__name__} {b!r}"))
                cases.append((both(when, and_when), made))
        return cases

    # Functions.

    def call(self, node: ast.Call, name: str, arguments: Sequence[ast.expr], text: str) -> Cases:
        function = FUNCTIONS[name]
        if function.takes_activity:
            return [(ALWAYS, self.activity(name, node, text))]
        if name == "exists":
            return [(ALWAYS, Truth(self.member(self.value(arguments[0]), PRESENT)))]
        if name == "default":
            return self.default(self.value(arguments[0]), self.value(arguments[1]))
        if name == "lower":
            return [(when, self.lower(atom)) for when, atom in self.value(arguments[0])]
        if name in _PREDICATES:
            match self.value(arguments[1]):
                case [(_, Fixed(argument))]:
                    cases = self.value(arguments[0])
                    return [
                        (ALWAYS, Truth(either(*(both(when, self.test(name, atom, argument)) for when, atom in cases))))
                    ]
        return [(ALWAYS, self.known(terms.unknown(text, TRUTHS if function.is_truth else EVERYTHING), text))]

    def default(self, cases: Cases, otherwise: Cases) -> Cases:
        made: Cases = []
        for when, atom in cases:
            there = both(when, self._member(atom, PRESENT))
            missing = both(when, self._member(atom, ABSENT))
            if there != NEVER:
                made.append((there, atom))
            if missing != NEVER:
                made += [(both(missing, and_when), other) for and_when, other in otherwise]
        return made

    def lower(self, atom: Atom) -> Atom:
        match atom:
            case Fixed(str() as text):
                return Fixed(text.lower())
            case Term():
                return self.known(terms.lowered(self.known(atom)))
        return Fixed(None) if not isinstance(atom, Since) else terms.unknown(atom.text)

    def test(self, name: str, atom: Atom, argument: Any) -> Formula:
        function = FUNCTIONS[name]
        if function.prepare is not None:
            holds = function.prepare(argument)
        elif (of := function.of) is not None:

            def holds(value: Any) -> bool:
                return bool(of(value, argument))

        match atom:
            case Fixed(value):
                return ALWAYS if holds(value) else NEVER
            case Term():
                return self.is_in(terms.tested(name, self.known(atom), argument, holds), YES)
        return self.is_in(terms.unknown(f"{name} {atom!r} {argument!r}", TRUTHS), YES)

    def activity(self, name: str, node: ast.Call, text: str) -> Atom:
        try:
            event, keeps, field = self.selector(node.args[0])
            if name in ("score", "trend", "sequence"):
                return self.known(terms.figure(name, event, keeps, field or (), None, _rest(node)), text)
            window = _window(node)
        except (ValueError, IndexError):
            return self.known(terms.unknown(text), text)
        if name in ("count", "did") and field is None:
            term = self.known(terms.counted(event, keeps, window), text if name == "count" else "")
            return term if name == "count" else Truth(self.is_in(term, compared(">=", 1)))
        if name in UNITS and field is None and window is None:
            return Since(self.known(terms.age(event, keeps)), UNITS[name], text)
        if name in ("sum", "avg", "min", "max", "first", "last", "distinct") and field is not None:
            return self.known(terms.figure(name, event, keeps, field, window), text)
        return self.known(terms.unknown(text), text)

    def selector(self, at: ast.expr) -> tuple[str, str, tuple[str, ...] | None]:
        """Event, filter and property of an activity. Raises ValueError for another spelling."""
        fields, keeps = [], ""
        while isinstance(at, ast.Attribute):
            fields.append(at.attr)
            at = at.value
        if isinstance(at, ast.Subscript):
            keeps, at = ast.unparse(at.slice), at.value
        match at:
            case ast.Name(id=name):
                event = self._short_names.get(name, name)
            case ast.Constant(value=str() as event):
                pass
            case _:
                raise ValueError(ast.unparse(at))
        return event, keeps, tuple(reversed(fields)) or None


def _window(node: ast.Call) -> Millis | None:
    """The window of an activity function. Raises ValueError for another spelling."""
    match [*node.args[1:], *(keyword.value for keyword in node.keywords)]:
        case []:
            return None
        case [ast.Constant(value=str() as text)]:
            return parse_duration(text)
    raise ValueError(ast.unparse(node))


def _rest(node: ast.Call) -> str:
    """What is given to an activity function besides the event."""
    return ", ".join([ast.unparse(argument) for argument in (*node.args[1:], *node.keywords)])
