"""The condition language once more, small and slow: random worlds and conditions, and an evaluator that walks Python's
ast over plain values. It shares no code with the server, except to build a World's View.
"""

from __future__ import annotations

import ast
import math
import operator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from triggerfish.activity import Activity
from triggerfish.conditions import View
from triggerfish.ingest import Event
from triggerfish.profile import Profile, Trait
from triggerfish.rulefile.expressions import Scope, Tree
from triggerfish.zones import Zones

NOON = 1_800_000_000_000
DAY = 86_400_000
SHORT_NAMES = {"purchase": "Order Completed"}
SEGMENTS = ("vip", "new", "at risk")
SCOPE = Scope(short_names=SHORT_NAMES, segments=SEGMENTS)
ZONES = Zones()

NUMBERS = [0, 1, 2, 3, 5, 10, -1, -7, 2**31, 2**53, 2**53 + 1, -(2**63), 10**30]
NUMBERS += [0.0, -0.0, 0.5, 2.5, 1e-07, 5e-324, 0.1, 0.1 + 0.2, 0.3, 1e16, 1e17, 1e300, -2.5, 3.0]
TEXTS = ["", "a", "b", "ab", "10", "2", "true", "True", "a ", "é", "e\u0301", "ß", "日本", "😀", '"', "'", "\\", "}"]
TEXTS += ['","f1":1,"x":"', "\0", "\n", "\t\r", "\u2028", "\ud800", "a\0b", "x" * 300, "x" * 300 + "y", "$nex", "sid"]
TRUTHS = [True, False]
OTHERS = [None, None, None, [], ["a", 1], {"x": 1}, {"x": "a", "y": {"z": 2}}, [None], ["vip"]]
PATHS = ["event.a", "event.b", "event.c", "event['d e']", "event.n.x", "event.n.y.z"]
PATHS += ["traits.t", "traits.u", "context.c"]
AGES = [0, 1, 60_000, DAY // 48, DAY // 24, DAY // 24 + 1, 5 * DAY, 7 * DAY, 8 * DAY, 40 * DAY]
SIGNS = ["==", "!=", "<", "<=", ">", ">="]
WINDOWS = ("7 days", "30 minutes", "1h", "7d", "30d")
SINCE = {"minutes_since": 60_000, "hours_since": 3_600_000, "days_since": DAY}


class Deed(Struct, frozen=True):
    """Something done before."""

    name: str
    at: int
    properties: dict[str, Any]


class World(Struct):
    """All that a condition may look at. `deeds` come in the order in which they were told, not that of time."""

    name: str = "view"
    now: int = NOON
    properties: dict[str, Any] = {}
    context: dict[str, Any] = {}
    traits: dict[str, Any] = {}
    segments: tuple[str, ...] = ()
    segment: str | None = None
    zone: str = "UTC"
    deeds: tuple[Deed, ...] = ()

    def profile(self, activities: list[Activity] | tuple[Activity, ...]) -> Profile:
        profile = Profile(id="p1", created_at=0, updated_at=0, time_zone=self.zone)
        profile.traits = {name: Trait(value, 0) for name, value in self.traits.items()}
        for activity in activities:
            told = [deed for deed in self.deeds if deed.name in activity.events]
            if told:
                state = profile.activity[activity.key] = activity.start()
                for deed in told:
                    event = Event("track", deed.name, "m", deed.at, properties=deed.properties)
                    activity.count(state, event, self.now)
        return profile

    def view(self, activities: list[Activity] | tuple[Activity, ...] = (), now: int | None = None) -> View:
        event = Event("track", self.name, "m", self.now, properties=self.properties, context=self.context)
        segments = dict.fromkeys(self.segments, 0)
        at = self.now if now is None else now
        return View(self.profile(activities), at, ZONES, event=event, segments=segments, segment=self.segment)


def some_value(dice: Random) -> Any:
    return dice.choice(dice.choice((NUMBERS[:7], NUMBERS, TEXTS[:6], TEXTS, TRUTHS, OTHERS)))


def some_world(dice: Random, names: tuple[str, ...] = ("view", "Order Completed")) -> World:
    deeds = tuple(
        Deed(
            dice.choice(("view", "Order Completed")),
            NOON - dice.choice(AGES),
            {
                "total": dice.choice((0, 1, 50, 51, 99.5, -3, "50", None, True)),
                "sku": dice.choice(("A-1", "B-2", None)),
            },
        )
        for _ in range(dice.choice((0, 0, 1, 2, 3, 9)))
    )
    return World(
        name=dice.choice(names),
        properties={key: some_value(dice) for key in ("a", "b", "c", "d e", "n") if dice.random() < 0.8},
        context={"c": some_value(dice)} if dice.random() < 0.5 else {},
        traits={key: some_value(dice) for key in ("t", "u") if dice.random() < 0.8},
        segments=tuple(name for name in SEGMENTS if dice.random() < 0.4),
        segment=dice.choice((None, *SEGMENTS)),
        zone=dice.choice(("", "UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "nowhere")),
        deeds=deeds,
    )


def some_constant(dice: Random) -> str:
    return repr(dice.choice(dice.choice((NUMBERS[:7], NUMBERS, TEXTS[:6], TEXTS, TRUTHS))))


def some_activity(dice: Random) -> str:
    event = dice.choice(("purchase", "view", '"Order Completed"'))
    if dice.random() < 0.4:
        event += dice.choice(("[total > 50]", "[sku == 'A-1']", "[total == True or not total < 51]"))
    window = dice.choice(("", "", *(f', "{window}"' for window in WINDOWS)))
    name = dice.choice(("count", "sum", "avg", "min", "max", "last", "first", *SINCE, "distinct", "score", "trend"))
    match name:
        case "distinct":
            return f"distinct({event}.{dice.choice(('total', 'sku'))}{window})"
        case "score":
            weighed = dice.choice(("purchase", "view[total > 50].total", "'Order Completed'[total == 1].total"))
            return f'score({weighed}, half_life="{dice.choice(WINDOWS)}")'
        case "trend":
            short, long = dice.choice((("1h", "7d"), ("7d", "30d"), ("30 minutes", "30d")))
            return f"trend({event}{dice.choice(('', '.total'))}, {dice.choice(('', 'short='))}'{short}', long='{long}')"
    if name in SINCE:
        return f"{name}({event})"
    return f"{name}({event if name == 'count' else event + '.total'}{window})"


def some_sequence(dice: Random) -> str:
    events = [dice.choice(("purchase", "view", "view[total > 50]", "purchase[sku == 'A-1']")) for _ in range(2)]
    within, window = dice.choice((("1h", "7d"), ("7d", "30d"), ("30 minutes", "1h")))
    last = dice.choice(("", f", window='{window}'"))
    return f"sequence({events[0]}, {dice.choice(('', 'not '))}{events[1]}, within='{within}'{last})"


def some_operand(dice: Random) -> str:
    match dice.randrange(12):
        case 0:
            return f"lower({dice.choice(PATHS)})"
        case 1:
            return f"default({dice.choice(PATHS)}, {some_constant(dice)})"
        case 2:
            return f"({dice.choice(PATHS)} {dice.choice('+-*/')} {dice.choice([*PATHS, '2', '0', '0.5', '1e308'])})"
        case 3:
            return dice.choice(("local.hour", "local.weekday", "local.date", "segment"))
        case _:
            return dice.choice(PATHS)


def some_test(dice: Random) -> str:
    match dice.randrange(16):
        case 0:
            return f"'{dice.choice(SEGMENTS)}' {dice.choice(('in', 'not in'))} segments"
        case 1:
            listed = ", ".join(some_constant(dice) for _ in range(dice.randrange(4)))
            return f"{some_operand(dice)} {dice.choice(('in', 'not in'))} [{listed}]"
        case 2:
            return f"{some_operand(dice)} {dice.choice(SIGNS)} {some_operand(dice)}"
        case 3:
            name = dice.choice(("contains", "starts_with", "ends_with"))
            return f"{name}({some_operand(dice)}, {some_constant(dice)})"
        case 4:
            return f"exists({some_operand(dice)})"
        case 5:
            return dice.choice(PATHS)
        case 6:
            activity = some_activity(dice)
            bound = dice.choice(("0", "1", "2", "50", "7", "0.5"))
            return f"{activity} {dice.choice(SIGNS)} {bound}"
        case 7:
            did = ("did(purchase)", 'did(purchase, "7d")', 'did(view[total > 50], "30d")')
            return dice.choice((*did, some_sequence(dice), some_sequence(dice)))
        case 8:
            low, high = sorted(dice.sample(range(-2, 9), 2))
            return f"{low} < {some_operand(dice)} <= {high}"
        case 9:
            hour = dice.randrange(24)
            tests = (f"local.hour >= {hour}", "local.weekday == 'friday'", "local.date > '2027-01-15'")
            return dice.choice(tests)
        case _:
            constant = some_constant(dice)
            sign = dice.choice(SIGNS[:2] if constant in ("True", "False") else SIGNS)
            sides = [some_operand(dice), constant]
            return f" {sign} ".join(sides if dice.random() < 0.9 else reversed(sides))


def some_condition(dice: Random, depth: int = 0) -> str:
    chance = dice.random()
    if depth > 2 or chance < 0.45:
        return some_test(dice)
    if chance < 0.6:
        return f"(not {some_condition(dice, depth + 1)})"
    join = dice.choice((" and ", " or "))
    return "(" + join.join(some_condition(dice, depth + 1) for _ in range(dice.choice((2, 2, 3, 4)))) + ")"


def some_tree(dice: Random) -> Tree:
    """A condition as a rule file writes it: mostly one text, sometimes lists of them."""
    if dice.random() < 0.7:
        return Tree(some_condition(dice))
    parts = tuple(Tree(some_condition(dice, 2)) for _ in range(dice.choice((1, 2, 3, 12))))
    return dice.choice((Tree(all=parts), Tree(any=parts), Tree(none=parts)))


# The evaluator.


def tree_holds(tree: Tree, world: World) -> bool:
    if tree.all is not None:
        return all(tree_holds(part, world) for part in tree.all)
    if tree.any is not None:
        return any(tree_holds(part, world) for part in tree.any)
    if tree.none is not None:
        return not any(tree_holds(part, world) for part in tree.none)
    return text_holds(tree.text, world)


def text_holds(text: str, world: World) -> bool:
    return _truth(ast.parse(text, mode="eval").body, world, None)


_COMPARE = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}  # fmt: skip
_WORK = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "other"


def _equal(left: Any, right: Any) -> bool:
    return _kind(left) == _kind(right) != "other" and left == right


def _truth(node: ast.expr, world: World, inside: dict[str, Any] | None) -> bool:
    """`inside` are the properties of the deed that a filter in brackets looks at."""
    if isinstance(node, ast.BoolOp):
        found = [_truth(part, world, inside) for part in node.values]
        return all(found) if isinstance(node.op, ast.And) else any(found)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return not _truth(node.operand, world, inside)
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        return all(_link(sides[i], sign, sides[i + 1], world, inside) for i, sign in enumerate(node.ops))
    return _value(node, world, inside) is True


def _link(left: ast.expr, sign: ast.cmpop, right: ast.expr, world: World, inside: dict[str, Any] | None) -> bool:
    a = _value(left, world, inside)
    if isinstance(right, ast.Name) and right.id == "segments" and inside is None:
        return (a in world.segments) == isinstance(sign, ast.In)
    b = _value(right, world, inside)
    if isinstance(sign, ast.In | ast.NotIn):
        if a is None or not isinstance(b, list):
            return False
        return any(_equal(a, item) for item in b) == isinstance(sign, ast.In)
    kinds = ("truth", "number", "text") if isinstance(sign, ast.Eq | ast.NotEq) else ("number", "text")
    return _kind(a) == _kind(b) and _kind(a) in kinds and _COMPARE[type(sign)](a, b)


def _value(node: ast.expr, world: World, inside: dict[str, Any] | None) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, world, inside)
        case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
            return [_value(element, world, inside) for element in elements]
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _value(left, world, inside), _value(right, world, inside)
            if _kind(a) != "number" or _kind(b) != "number":
                return None
            try:
                return _WORK[type(op)](a, b)
            except (ZeroDivisionError, OverflowError):
                return None
        case ast.Name(id="segment") if inside is None:
            return world.segment
        case ast.Name() | ast.Attribute() | ast.Subscript():
            return _path(node, world, inside)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=keywords):
            return _call(name, arguments, {word.arg or "": word.value for word in keywords}, world, inside)
    return _truth(node, world, inside)


def _path(node: ast.expr, world: World, inside: dict[str, Any] | None) -> Any:
    names: list[str] = []
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Attribute):
            names.insert(0, node.attr)
        elif isinstance(node, ast.Subscript):
            names.insert(0, ast.literal_eval(node.slice))
        node = node.value
    found: Any
    if inside is not None:
        found, names = inside, [node.id, *names]
    elif node.id == "local":
        return _local(names[0], world)
    else:
        found = {"event": world.properties, "context": world.context, "traits": world.traits}[node.id]
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _local(what: str, world: World) -> Any:
    zone = ZoneInfo(world.zone) if world.zone and world.zone != "nowhere" else UTC
    clock = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=world.now)).astimezone(zone)
    return {"hour": clock.hour, "weekday": f"{clock:%A}".lower(), "date": f"{clock:%Y-%m-%d}"}[what]


def _call(
    name: str, arguments: list[ast.expr], words: dict[str, ast.expr], world: World, inside: dict[str, Any] | None
) -> Any:
    if name in LENGTHS:
        number = 2 if name == "sequence" else 1
        given = dict(zip(LENGTHS[name], arguments[number:], strict=False)) | words
        lengths = {word: parse(ast.literal_eval(node)) for word, node in given.items()}
        return _activity(name, arguments[:number], lengths, world)
    values = [_value(argument, world, inside) for argument in arguments]
    first = values[0]
    match name:
        case "lower":
            return first.lower() if isinstance(first, str) else None
        case "exists":
            return first is not None
        case "default":
            return values[1] if first is None else first
        case "contains" if isinstance(first, list):
            return any(_equal(item, values[1]) for item in first)
        case "contains" | "starts_with" | "ends_with":
            if not (isinstance(first, str) and isinstance(values[1], str)):
                return False
            at = first.find(values[1])
            return {"contains": at >= 0, "starts_with": at == 0, "ends_with": first.endswith(values[1])}[name]
    raise AssertionError(f"the generator wrote {name}")


LENGTHS = {
    **dict.fromkeys(("count", "did", "sum", "avg", "min", "max", "last", "first", "distinct"), ("window",)),
    **dict.fromkeys(SINCE, ()),
    "score": ("half_life",),
    "trend": ("short", "long"),
    "sequence": ("within", "window"),
}


def parse(text: str) -> int:
    """`30 minutes`, `7d` or `40d` in milliseconds."""
    units = {"m": 60_000, "h": 3_600_000, "d": DAY, "s": 1_000}
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyz ")
    return int(digits) * units[text[len(digits) :].strip()[0]]


def _deeds(node: ast.expr, oldest: float, world: World) -> tuple[list[Deed], list[str]]:
    """What a selector selects, in the order of time, and the path of the property that it names."""
    fields, keeps = [], None
    while isinstance(node, ast.Attribute):
        fields.insert(0, node.attr)
        node = node.value
    if isinstance(node, ast.Subscript):
        keeps, node = node.slice, node.value
    event = node.value if isinstance(node, ast.Constant) else SHORT_NAMES.get(node.id, node.id)
    deeds = [
        deed
        for deed in world.deeds
        if deed.name == event and deed.at > oldest and (keeps is None or _truth(keeps, world, deed.properties))
    ]
    return sorted(deeds, key=lambda deed: deed.at), fields


def _activity(name: str, nodes: list[ast.expr], lengths: dict[str, int], world: World) -> Any:
    oldest = world.now - lengths.get("window", lengths.get("long", math.inf))
    if name == "sequence":
        return _sequence(nodes, lengths, oldest, world)
    deeds, fields = _deeds(nodes[0], oldest, world)
    values = (
        [deed.properties[fields[0]] for deed in deeds if deed.properties.get(fields[0]) is not None] if fields else []
    )
    numbers = [value for value in values if _kind(value) == "number"]
    match name:
        case "count" | "did":
            return len(deeds) if name == "count" else bool(deeds)
        case "minutes_since" | "hours_since" | "days_since":
            return (world.now - deeds[-1].at) / SINCE[name] if deeds else None
        case "last" | "first":
            return (values[-1] if name == "last" else values[0]) if values else None
        case "distinct":
            return len({(_kind(value), value) for value in values if _kind(value) != "other"})
        case "score":
            weights = [(deed.at, deed.properties.get(fields[0]) if fields else 1) for deed in deeds]
            return math.fsum(
                weight * 2.0 ** -((world.now - at) / lengths["half_life"])
                for at, weight in weights
                if _kind(weight) == "number"
            )
        case "trend":
            new = world.now - lengths["short"]
            weights = [(deed.at, deed.properties.get(fields[0]) if fields else 1) for deed in deeds]
            recent, usual = (
                sum(Fraction(weight) for at, weight in weights if at > after and _kind(weight) == "number")
                for after in (new, oldest)
            )
            return float(recent / lengths["short"] / (usual / lengths["long"])) if usual > 0 else None
    if name == "sum":
        return math.fsum(numbers)
    if not numbers:
        return None
    return math.fsum(numbers) / len(numbers) if name == "avg" else min(numbers) if name == "min" else max(numbers)


def _sequence(nodes: list[ast.expr], lengths: dict[str, int], oldest: float, world: World) -> bool:
    within, then = lengths["within"], nodes[1]
    is_not = isinstance(then, ast.UnaryOp)
    firsts, _ = _deeds(nodes[0], -math.inf, world)
    thens, _ = _deeds(then.operand if is_not else then, -math.inf, world)
    if not is_not:
        return any(0 < b.at - a.at <= within and b.at > oldest for a in firsts for b in thens)
    if not firsts:
        return False
    at = firsts[-1].at
    is_followed = any(0 < b.at - at <= within for b in thens)
    return world.now - at > within and at > oldest and not is_followed
