"""Reads the calls of functions: `count(purchase[total > 50], "30d")`, `lower(traits.country)`, `sequence(…)`."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from triggerfish.activity import Activity, Tally, Window
from triggerfish.clock import Millis, parse_duration
from triggerfish.conditions import Following, Leaving
from triggerfish.rulefile.defined import say_meanings
from triggerfish.rulefile.functions import FUNCTIONS, Function
from triggerfish.rulefile.names import OfEvent
from triggerfish.rulefile.problems import nearest
from triggerfish.rulefile.saying import say_node
from triggerfish.rulefile.selectors import Selector, activity_of
from triggerfish.rulefile.terms import Age, Changes, Decay, Value, changes_of

if TYPE_CHECKING:
    from triggerfish.rulefile.reader import Reader


class Call(Struct):
    """A call of one of our functions on what people did. `lengths` are the lengths of time that it was given, by name;
    `places` are where they stand.
    """

    node: ast.Call
    name: str
    function: Function
    events: Sequence[ast.expr]
    lengths: dict[str, Millis]
    places: dict[str, ast.expr]


def _takes(function: Callable[..., Any], count: int) -> bool:
    """Whether a plugin's function can be called with so many values; one that does not tell takes any."""
    try:
        signature(function).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:
        return True
    return True


def read_call(
    reader: Reader, node: ast.Call, name: str, arguments: Sequence[ast.expr], keywords: Sequence[ast.keyword]
) -> Value:
    """A call as the Python that works it out."""
    if name in reader.scope.functions:
        if keywords:
            raise reader.fault("TF238", node, f"{name} takes values without names", f"as in  {name}(event.x, 2)")
        values = [reader.value(argument) for argument in arguments]
        given = reader.scope.functions[name]
        if not _takes(given, len(values)):
            sentence = f"{name} does not take {len(values)} value{'' if len(values) == 1 else 's'}"
            raise reader.fault("TF238", node, sentence, f"it is {name}{signature(given)}, of a plugin")
        reader.settled(node, *values)
        code = f"{reader.bind(given)}({', '.join(value.code for value in values)})"
        return Value(code, say_node(node), changes=changes_of(values))
    function = FUNCTIONS.get(name)
    if function is None:
        hint = nearest(name, [*FUNCTIONS, *reader.scope.functions])
        raise reader.fault("TF237", node, f'there is no function "{name}"', hint)
    _check_names(reader, node, name, function, keywords)
    if not function.least <= len(arguments) + len(keywords) <= function.most:
        raise reader.fault("TF238", node, f"{name} is written {function.usage}", function.example)
    if not function.takes_activity:
        return _plain(reader, node, function, arguments)
    if isinstance(reader.names, OfEvent):
        hint = "brackets look at the counted event alone"
        raise reader.fault("TF251", node, f"{name} cannot be used in brackets", hint)
    call = _call(reader, node, name, function, arguments, keywords)
    match name:
        case "sequence":
            return _sequence(reader, call)
        case "trend":
            return _trend(reader, call)
        case "score" | "distinct":
            return _traced(reader, call)
    return _counted(reader, call)


def _check_names(
    reader: Reader, node: ast.Call, name: str, function: Function, keywords: Sequence[ast.keyword]
) -> None:
    """Values are given by names that the function has, each once."""
    if keywords and not function.names:
        raise reader.fault("TF238", node, f"{name} is written {function.usage}", function.example)
    given: set[str | None] = set()
    for keyword in keywords:
        if keyword.arg not in function.names or keyword.arg in given:
            written = "**" if keyword.arg is None else keyword.arg
            hint = nearest(written, function.names) or f"it has {' and '.join(function.names)}"
            sentence = f'"{written}" is given twice' if keyword.arg in given else f'{name} has no "{written}"'
            raise reader.fault("TF252", keyword, sentence, hint)
        given.add(keyword.arg)


def _plain(reader: Reader, node: ast.Call, function: Function, arguments: Sequence[ast.expr]) -> Value:
    """A function of plain values."""
    values = [reader.value(argument) for argument in arguments]
    reader.settled(node, *values)
    made = function.of
    if function.prepare is not None:
        constant = values[1].constant if values[1].is_constant else None
        try:
            made = function.prepare(constant)
        except ValueError as error:
            raise reader.fault("TF239", arguments[1], str(error)) from error
        values = values[:1]
    code = f"{reader.bind(made)}({', '.join(value.code for value in values)})"
    return Value(code, say_node(node), is_truth=function.is_truth, changes=changes_of(values))


# Functions of what people did.


def _call(
    reader: Reader,
    node: ast.Call,
    name: str,
    function: Function,
    arguments: Sequence[ast.expr],
    keywords: Sequence[ast.keyword],
) -> Call:
    """The call with its events and its lengths of time told apart, whichever way these were given."""
    number = 2 if name == "sequence" else 1
    places = dict(zip(function.names, arguments[number:], strict=False))
    for keyword in keywords:
        if keyword.arg in places:
            raise reader.fault("TF252", keyword, f'"{keyword.arg}" is given twice', function.example)
        places[str(keyword.arg)] = keyword.value
    needed = function.names[: function.least - number]
    if len(arguments) < number or any(word not in places for word in needed):
        raise reader.fault("TF238", node, f"{name} is written {function.usage}", function.example)
    lengths = {word: _length(reader, word, place) for word, place in places.items()}
    return Call(node, name, function, arguments[:number], lengths, places)


def _length(reader: Reader, word: str, node: ast.expr) -> Millis:
    """A length of time that a call is given."""
    text = node.value if isinstance(node, ast.Constant) else None
    if not isinstance(text, str):
        called = "a window" if word == "window" else f'"{word}"'
        raise reader.fault("TF249", node, f'{called} is written as text, like "30d"')
    try:
        return parse_duration(text)
    except ValueError as error:
        raise reader.fault("TF249", node, str(error)) from error


def _known(reader: Reader, activity: Activity) -> Activity:
    """The activity, or the equal one that the condition has named before."""
    return reader.activities.setdefault(activity.key, activity)


def _counted(reader: Reader, call: Call) -> Value:
    """count, did, sum, last, days_since and the like."""
    function = call.function
    activity = _known(reader, activity_of(_selector(reader, call), call.lengths.get("window")))
    changes: Changes = () if activity.window is None else (Leaving(activity),)
    if activity.window is None or call.name in _OF_WINDOWS:
        code = _written(reader, call.name, activity, function.unit)
    else:
        extra = f", {reader.bind(call.name)}" if function.takes_name else ""
        code = f"{reader.bind(function.of)}(v, {reader.bind(activity)}{extra})"
    drifts = Age(activity, function.unit) if function.unit else None
    return Value(code, say_node(call.node), is_truth=function.is_truth, drifts=drifts, changes=changes)


_OF_TALLIES = {
    "count": ("{}.count", "0"),
    "did": ("{}.count > 0", "False"),
    "sum": ("{}.sum", "0.0"),
    "avg": ("({0}.sum / {0}.numbers if {0}.numbers else None)", "None"),
    "min": ("{}.low", "None"),
    "max": ("{}.high", "None"),
    "first": ("{}.first", "None"),
    "last": ("{}.last", "None"),
}
_OF_WINDOWS = {"count": ("{}.count_since(v.now - {})", "0"), "did": ("{}.count_since(v.now - {}) > 0", "False")}
_SINCE = "((v.now - {0}.last_at) / {1} if {0}.last_at is not None else None)"


def _written(reader: Reader, name: str, activity: Activity, unit: Millis) -> str:
    """What most conditions ask, as Python that looks at the state itself: what a call would cost is more than that."""
    state = reader.temporary()
    if unit:
        told, otherwise = _SINCE.format(state, unit), "None"
    elif activity.window is None:
        told, otherwise = _OF_TALLIES[name][0].format(state), _OF_TALLIES[name][1]
    else:
        told, otherwise = _OF_WINDOWS[name][0].format(state, activity.window), _OF_WINDOWS[name][1]
    kind = reader.bind(Tally if activity.window is None else Window, "t")
    return f"({told} if type({state} := v.activity.get({activity.key!r})) is {kind} else {otherwise})"


def _traced(reader: Reader, call: Call) -> Value:
    """score and distinct."""
    selector, window = _selector(reader, call), call.lengths.get("window")
    if call.name == "score":
        activity = _known(reader, activity_of(selector, kind="score", span=call.lengths["half_life"]))
    else:
        activity = _known(reader, activity_of(selector, window, kind="distinct"))
    code = f"{reader.bind(call.function.of)}(v, {reader.bind(activity)})"
    drifts = Decay(activity) if call.name == "score" else None
    changes: Changes = () if window is None else (Leaving(activity),)
    return Value(code, say_node(call.node), drifts=drifts, changes=changes)


def _trend(reader: Reader, call: Call) -> Value:
    selector = _selector(reader, call)
    short, long = call.lengths["short"], call.lengths["long"]
    if short >= long:
        raise reader.fault("TF253", call.places["long"], '"long" must be longer than "short"', call.function.example)
    both = [_known(reader, activity_of(selector, window)) for window in (short, long)]
    code = f"{reader.bind(call.function.of)}(v, {reader.bind(both[0])}, {reader.bind(both[1])})"
    return Value(code, say_node(call.node), changes=tuple(Leaving(activity) for activity in both))


def _sequence(reader: Reader, call: Call) -> Value:
    first, then = call.events
    is_not = isinstance(then, ast.UnaryOp) and isinstance(then.op, ast.Not)
    if isinstance(first, ast.UnaryOp) and isinstance(first.op, ast.Not):
        hint = 'as in  sequence(product_viewed, not add_to_cart, within="1h")'
        raise reader.fault("TF254", first, 'a sequence begins with what happened; "not" goes with the second', hint)
    if isinstance(then, ast.UnaryOp) and is_not:
        then = then.operand
    within, window = call.lengths["within"], call.lengths.get("window")
    if is_not and window is not None and window <= within + 1:
        sentence = f'this is never so: until "within" is over nobody knows, and by then the {call.name} is too old'
        raise reader.fault("TF253", call.places["window"], sentence, '"window" must be longer than "within"')
    selectors = [_event_of(reader, call, node) for node in (first, then)]
    kind: Any = "unfollowed" if is_not else "followed"
    activity = _known(reader, activity_of(selectors[0], window, kind=kind, span=within, then=selectors[1]))
    code = f"{reader.bind(call.function.of)}(v, {reader.bind(activity)})"
    changes: Changes = (Following(activity),) if is_not or window is not None else ()
    return Value(code, say_node(call.node), is_truth=True, changes=changes)


def _event_of(reader: Reader, call: Call, node: ast.expr) -> Selector:
    selector = read_selector(reader, node, call.function.example)
    if selector.field is not None:
        raise reader.fault("TF240", node, f"{call.name} looks at events, not at a property", call.function.example)
    return selector


def _selector(reader: Reader, call: Call) -> Selector:
    """The one event, or property of one, that a function is about."""
    node, function = call.events[0], call.function
    selector = read_selector(reader, node, function.example)
    if function.fields == "needed" and selector.field is None:
        raise reader.fault("TF240", node, f"{call.name} needs a property, as in {function.example}")
    if function.fields == "none" and selector.field is not None:
        raise reader.fault("TF240", node, f"{call.name} counts events, not a property", function.example)
    return selector


def read_selector(reader: Reader, node: ast.expr, example: str) -> Selector:
    """`purchase`, `"Order Completed"`, `purchase.total`, `purchase[total > 50].total`; like those of `example`."""
    path: list[str] = []
    while isinstance(node, ast.Attribute):
        path.append(node.attr)
        node = node.value
    keeps, keeps_text, where = None, "", ""
    if isinstance(node, ast.Subscript):
        # The condition in brackets: names in it are the counted event's own properties.
        inner = reader.within(OfEvent())
        keeps, keeps_text = inner.function(inner.truth(node.slice).code), say_node(node.slice)
        where = say_meanings(inner.meanings)
        reader.meanings |= inner.meanings
        node = node.value
    match node:
        case ast.Name(id=name) if name in reader.scope.definitions:
            sentence = f'"{name}" is a definition, and not an event'
            raise reader.fault("TF264", node, sentence, "use it by itself, or name the event that it is about")
        case ast.Name(id=name):
            event = reader.scope.short_names.get(name, name)
        case ast.Constant(value=str() as event):
            pass
        case _:
            hint = f'as in  {example}; a name of several words is put in quotes: "Order Completed"'
            raise reader.fault("TF250", node, f'"{say_node(node)}" is not an event', hint)
    reader.events.add(event)
    return Selector(event, tuple(reversed(path)) or None, keeps, keeps_text, where)
