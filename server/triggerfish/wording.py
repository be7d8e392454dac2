"""Conditions in plain words. What has no words of its own here is said as it is written: never wrong, at worst terse.

A test's text is Python's grammar (rulefile/expressions.py), so it is read with `ast`; nothing of it is ever run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

from triggerfish.clock import parse_duration, say_duration
from triggerfish.conditions import All, Node, Not, Some, Test

_SIGNS: Mapping[type[ast.cmpop], str] = {
    ast.Gt: "over", ast.GtE: "at least", ast.Lt: "under", ast.LtE: "at most", ast.Eq: "", ast.NotEq: "not",
}  # fmt: skip
_FIGURES = {
    "sum": "the sum of {}", "avg": "the mean of {}", "min": "the least {}", "max": "the greatest {}",
    "last": "the newest {}", "first": "the oldest {}",
}  # fmt: skip
_TEXTS = {
    "contains": ("contains", "does not contain"), "starts_with": ("begins with", "does not begin with"),
    "ends_with": ("ends with", "does not end with"),
    "matches": ("matches the pattern", "does not match the pattern"),
}  # fmt: skip
_LOCAL = {"hour": "the hour", "weekday": "the weekday", "date": "the date"}
_SINCE = {"minutes_since": "minutes", "hours_since": "hours", "days_since": "days"}


def say_node(node: Node, wanted: bool = True) -> str:
    """A condition's tree as a part of a sentence; with `wanted` false, that it does not hold."""
    whole = list(_joint(node, wanted))
    if len(whole) == 1:
        return _one(*whole[0])
    return join_words("and", [_bracketed(part, is_wanted) for part, is_wanted in whole]) or "always"


def _joint(node: Node, wanted: bool) -> Iterator[tuple[Node, bool]]:
    """The parts that must all be so for a tree to be as wanted, however they are nested."""
    match node:
        case Not(part=part):
            yield from _joint(part, not wanted)
        case All(parts=parts) if wanted:
            for part in parts:
                yield from _joint(part, True)
        case Some(parts=parts) if not wanted:
            for part in parts:
                yield from _joint(part, False)
        case _:
            yield node, wanted


def _one(node: Node, wanted: bool) -> str:
    match node:
        case Test(text=text):
            return say_test(text, wanted)
        case All(parts=parts) | Some(parts=parts):
            ways = [_bracketed(part, wanted) for part in parts]
            return f"either {join_words('or', ways)}" if ways else "never"
        case Not(part=part):
            return _one(part, not wanted)


def _bracketed(node: Node, wanted: bool) -> str:
    """A part; in brackets where "and" and "or" would run into each other."""
    said = say_node(node, wanted)
    is_plain = isinstance(node, Test) or (isinstance(node, Not) and isinstance(node.part, Test))
    return said if is_plain else f"({said})"


def join_words(word: str, parts: Sequence[str]) -> str:
    """`a, b, and c`."""
    if len(parts) <= 2:
        return f" {word} ".join(parts)
    return f"{', '.join(parts[:-1])}, {word} {parts[-1]}"


def say_test(text: str, wanted: bool = True) -> str:
    """A single test in words."""
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return text if wanted else f"not: {text}"
    return _truth(tree, wanted)


def say_value(text: str) -> str:
    """A value such as `sum(purchase.total, "90d")` in words."""
    try:
        return _value(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return text


# --- true or false ----------------------------------------------------------------------------------------------------


def _truth(node: ast.expr, wanted: bool) -> str:
    match node:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _truth(operand, not wanted)
        case ast.BoolOp(op=op, values=values):
            said = join_words("and" if isinstance(op, ast.And) else "or", [_truth(value, True) for value in values])
            return said if wanted else f"it is not so that ({said})"
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _comparison(left, op, right, wanted)
        case ast.Compare(left=left, ops=ops, comparators=sides):
            pairs = zip([left, *sides], ops, sides, strict=False)
            said = " and ".join(_comparison(one, op, other, True) for one, op, other in pairs)
            return said if wanted else f"it is not so that ({said})"
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=keywords):
            said = _call_as_truth(name, arguments, keywords, wanted)
            if said:
                return said
    said = _value(node)
    return f"{said} is true" if wanted else f"{said} is not true"


def _call_as_truth(name: str, arguments: list[ast.expr], keywords: list[ast.keyword], wanted: bool) -> str:
    given = {keyword.arg: keyword.value for keyword in keywords}
    match name, arguments:
        case "did", [event, *window]:
            return _times(event, _within(window, given), "" if wanted else "did not happen")
        case "exists", [value]:
            return f"{_value(value)} is {'' if wanted else 'not '}known"
        case (("contains" | "starts_with" | "ends_with" | "matches"), [one, other]):
            return f"{_value(one)} {_TEXTS[name][0 if wanted else 1]} {_value(other)}"
        case "sequence", [one, ast.UnaryOp(op=ast.Not(), operand=other)]:
            within = _length(given.get("within"))
            said = f"{_event(one)} happened{_younger(given)} and no {_event(other)} followed within {within}"
            return _not(said, wanted)
        case "sequence", [one, other]:
            within = _length(given.get("within"))
            return _not(f"{_event(other)} followed {_event(one)} within {within}{_younger(given)}", wanted)
    return ""


def _not(said: str, wanted: bool) -> str:
    return said if wanted else f"it is not so that {said}"


def _comparison(left: ast.expr, op: ast.cmpop, right: ast.expr, wanted: bool) -> str:
    if isinstance(op, ast.In | ast.NotIn):
        return _membership(left, isinstance(op, ast.In), right, wanted)
    if isinstance(left, ast.Constant) and type(op) in _TURNED:
        left, op, right = right, _TURNED[type(op)](), left
    # A count is never missing: that it is not at least 3 means that it is less.
    counted = _counted(left, op if wanted else _OPPOSITE.get(type(op), ast.Is)(), right)
    if counted:
        return counted
    is_so = "is" if wanted else "is not"
    match left:
        case ast.Call(func=ast.Name(id=name), args=[event]) if name in _SINCE and type(op) in _AGO:
            return f"the newest {_event(event)} {is_so} {_AGO[type(op)]} {_value(right)} {_SINCE[name]} ago"
    sign = _SIGNS.get(type(op))
    if sign is None:
        return _not(ast.unparse(ast.Compare(left, [op], [right])), wanted)
    # With a missing value a comparison is false, "!=" too; what "not" says is true then.
    if isinstance(op, ast.NotEq):
        return f"{_value(left)} is {'known and not' if wanted else 'missing or'} {_value(right)}"
    return f"{_value(left)} {is_so} {sign} {_value(right)}" if sign else f"{_value(left)} {is_so} {_value(right)}"


_TURNED: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Gt: ast.Lt, ast.GtE: ast.LtE, ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Eq: ast.Eq, ast.NotEq: ast.NotEq,
}  # fmt: skip
_OPPOSITE: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Lt: ast.GtE, ast.LtE: ast.Gt,
}  # fmt: skip
_AGO: Mapping[type[ast.cmpop], str] = {
    ast.Gt: "more than", ast.GtE: "at least", ast.Lt: "less than", ast.LtE: "at most",
}  # fmt: skip


def _counted(left: ast.expr, op: ast.cmpop, right: ast.expr) -> str:
    """`count(purchase, "30d") >= 3` as people say it; empty when it is no such thing."""
    match left, right:
        case ast.Call(func=ast.Name(id="count"), args=[event, *window], keywords=keywords), ast.Constant(value=number):
            if type(number) is not int:
                return ""
            within = _within(window, {keyword.arg: keyword.value for keyword in keywords})
            match op, number:
                case (ast.GtE(), 1) | (ast.Gt(), 0):
                    return _times(event, within)
                case (ast.Eq(), 0) | (ast.Lt(), 1) | (ast.LtE(), 0):
                    return _times(event, within, "did not happen")
                case ast.GtE(), _:
                    return _times(event, within, f"happened at least {times(number)}")
                case ast.Gt(), _:
                    return _times(event, within, f"happened more than {times(number)}")
                case ast.Lt(), _:
                    return _times(event, within, f"happened less than {times(number)}")
                case ast.LtE(), _:
                    return _times(event, within, f"happened at most {times(number)}")
                case ast.Eq(), _:
                    return _times(event, within, f"happened exactly {times(number)}")
    return ""


def times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def _times(event: ast.expr, within: str, verb: str = "") -> str:
    return f"{_event(event)} {verb or 'happened'}{within}"


def _membership(left: ast.expr, is_in: bool, right: ast.expr, wanted: bool) -> str:
    match left, right:
        case ast.Constant(value=str() as segment), ast.Name(id="segments"):
            return f"they are {'' if is_in is wanted else 'not '}in {segment}"
        case _, ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            listed = ", ".join(_value(item) for item in items[:20]) + (", …" if len(items) > 20 else "")
            if is_in:
                return f"{_value(left)} is {'' if wanted else 'not '}one of {listed}"
            return f"{_value(left)} is {'known and none' if wanted else 'missing or one'} of {listed}"
    if is_in:
        return f"{_value(left)} is {'' if wanted else 'not '}in {_value(right)}"
    return _not(f"{_value(left)} is known and not in {_value(right)}", wanted)


# --- values -----------------------------------------------------------------------------------------------------------


def _value(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=bool() as truth):
            return "true" if truth else "false"
        case ast.Constant(value=str() as text):
            return f'"{text}"'
        case ast.Constant(value=number):
            return f"{number:,}" if type(number) is int else str(number)
        case ast.Name(id="segment"):
            return "their first segment"
        case ast.Attribute() | ast.Subscript():
            return _path(node)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=keywords):
            return _call(node, name, arguments, {keyword.arg: keyword.value for keyword in keywords})
        case ast.BinOp(left=left, op=op, right=right):
            sign = {ast.Add: "plus", ast.Sub: "minus", ast.Mult: "times", ast.Div: "divided by"}.get(type(op))
            return f"{_operand(left)} {sign} {_operand(right)}" if sign else ast.unparse(node)
    return ast.unparse(node)


def _operand(node: ast.expr) -> str:
    return f"({_value(node)})" if isinstance(node, ast.BinOp) else _value(node)


def _path(node: ast.expr) -> str:
    names: list[str] = []
    at = node
    while True:
        match at:
            case (
                ast.Attribute(value=value, attr=name) | ast.Subscript(value=value, slice=ast.Constant(value=str(name)))
            ):
                names.append(name)
                at = value
            case ast.Name(id=root):
                break
            case _:
                return ast.unparse(node)
    path = ".".join(reversed(names))
    if root == "local":
        return f"{_LOCAL.get(path, path)} where they are"
    return {"event": f"the event's {path}", "traits": f"their {path}", "context": f"the context's {path}"}.get(
        root, f"{root}.{path}"
    )


def _call(
    node: ast.expr, name: str, arguments: list[ast.expr], given: Mapping[str | None, ast.expr]
) -> str:  # fmt: skip
    match name, arguments:
        case "count", [event, *window]:
            return f"the number of {_event(event)}{_within(window, given)}"
        case "distinct", [value, *window]:
            return f"the number of different {_event(value)}{_within(window, given)}"
        case (("sum" | "avg" | "min" | "max" | "last" | "first"), [value, *window]):
            return _FIGURES[name].format(_event(value)) + _within(window, given)
        case (("minutes_since" | "hours_since" | "days_since"), [event]):
            return f"the {_SINCE[name]} since the newest {_event(event)}"
        case "score", [event, *rest]:
            half = _length(given.get("half_life") or (rest[0] if rest else None))
            return f"the score of {_event(event)} (halving every {half})"
        case "trend", [event, *rest]:
            short = _length(given.get("short") or (rest[0] if rest else None))
            long = _length(given.get("long") or (rest[1] if len(rest) > 1 else None))
            return f"the trend of {_event(event)} ({short} against their own {long})"
        case "lower", [text]:
            return f"{_value(text)} in small letters"
        case "default", [value, otherwise]:
            return f"{_value(value)} ({_value(otherwise)} if missing)"
    return ast.unparse(node)


def _event(node: ast.expr) -> str:
    """An event as an activity names it: its name, a property of it, a filter."""
    match node:
        case ast.Constant(value=str() as name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{_event(value)}.{name}"
        case ast.Subscript(value=value, slice=ast.Constant(value=str() as name)):
            return f"{_event(value)}.{name}"
        case ast.Subscript(value=value, slice=keeps):
            return f"{_event(value)} (whose {_truth(keeps, True)})"
    return ast.unparse(node)


def _within(window: list[ast.expr], given: Mapping[str | None, ast.expr]) -> str:
    length = given.get("window") or (window[0] if window else None)
    return "" if length is None else f" within {_length(length)}"


def _younger(given: Mapping[str | None, ast.expr]) -> str:
    return f" (the last {_length(given['window'])} only)" if "window" in given else ""


def _length(node: ast.expr | None) -> str:
    match node:
        case ast.Constant(value=str() as text):
            try:
                return say_duration(parse_duration(text))
            except ValueError:
                return text
        case None:
            return "?"
    return ast.unparse(node)
