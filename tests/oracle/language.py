"""The oracle's conditions: a parser of its own, and answers found by scanning the plain list of what a person did.

Written from docs/rules.md alone; slow on purpose, and it shares no code with the server. A condition is read into
nested tuples such as `("const", 5)` or `("call", "count", [...], {...})`; `holds` and `value` answer them over a Scene.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

Tree = Any
"""A condition as read: a tuple whose first item says what it is."""

UTC_ZONE = ZoneInfo("UTC")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SINCE = {"minutes_since": 60_000, "hours_since": 3_600_000, "days_since": 86_400_000}
LENGTHS = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 1),
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1_000),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60_000),
    **dict.fromkeys(("h", "hour", "hours"), 3_600_000),
    **dict.fromkeys(("d", "day", "days"), 86_400_000),
    **dict.fromkeys(("w", "week", "weeks"), 604_800_000),
}
_TOKEN = re.compile(
    r"""\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<word>[^\W\d]\w*)
    |(?P<sign>==|!=|<=|>=|[-+*/<>()\[\].,=]))""",
    re.VERBOSE,
)


def length_of(text: str) -> int:
    """`"1h 30m"` in milliseconds."""
    return sum(
        round(float(number) * LENGTHS[unit]) for number, unit in re.findall(r"([\d.]+)\s*([a-z]+)", text.lower())
    )


# Reading.


def read(text: str) -> Tree:
    """A condition's text as a tree."""
    reader = _Reader(text)
    tree = reader.either()
    assert reader.kind == "end", f"{text!r}: what is {reader.text!r}?"
    return tree


class _Reader:
    def __init__(self, text: str) -> None:
        self.rest = text.strip()
        self.kind, self.text = "", ""
        self.go()

    def go(self) -> str:
        """Take the present token and go to the next one."""
        taken = self.text
        if not self.rest:
            self.kind, self.text = "end", ""
            return taken
        found = _TOKEN.match(self.rest)
        assert found is not None, f"cannot read {self.rest!r}"
        self.kind = str(found.lastgroup)
        self.text = found[self.kind]
        self.rest = self.rest[found.end() :].lstrip()
        return taken

    def have(self, *texts: str) -> bool:
        return self.kind in ("word", "sign") and self.text in texts

    def take(self, text: str) -> bool:
        if self.have(text):
            self.go()
            return True
        return False

    def want(self, text: str) -> None:
        assert self.take(text), f"{text!r} is missing before {self.text + self.rest!r}"

    def either(self) -> Tree:
        parts = [self.both()]
        while self.take("or"):
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else ("any", parts)

    def both(self) -> Tree:
        parts = [self.negated()]
        while self.take("and"):
            parts.append(self.negated())
        return parts[0] if len(parts) == 1 else ("all", parts)

    def negated(self) -> Tree:
        return ("not", self.negated()) if self.take("not") else self.compared()

    def compared(self) -> Tree:
        sides, signs = [self.added()], []
        while self.have("==", "!=", "<", "<=", ">", ">=", "in", "not"):
            sign = self.go()
            if sign == "not":
                self.want("in")
                sign = "not in"
            signs.append(sign)
            sides.append(self.added())
        return ("chain", sides, signs) if signs else sides[0]

    def added(self) -> Tree:
        left = self.multiplied()
        while self.have("+", "-"):
            left = ("calc", self.go(), left, self.multiplied())
        return left

    def multiplied(self) -> Tree:
        left = self.signed()
        while self.have("*", "/"):
            left = ("calc", self.go(), left, self.signed())
        return left

    def signed(self) -> Tree:
        return ("minus", self.signed()) if self.take("-") else self.followed()

    def followed(self) -> Tree:
        tree = self.first()
        while self.have(".", "[", "("):
            sign = self.go()
            if sign == ".":
                tree = ("dot", tree, self.go())
            elif sign == "[":
                tree = ("at", tree, self.either())
                self.want("]")
            else:
                tree = ("call", tree[1], *self.arguments())
        return tree

    def arguments(self) -> tuple[list[Tree], dict[str, Tree]]:
        given: list[Tree] = []
        named: dict[str, Tree] = {}
        while not self.take(")"):
            tree = self.either()
            if tree[0] == "name" and self.take("="):
                named[tree[1]] = self.either()
            else:
                given.append(tree)
            if not self.have(")"):
                self.want(",")
        return given, named

    def first(self) -> Tree:
        kind, text = self.kind, self.go()
        if kind == "number":
            return ("const", int(text) if text.isdigit() else float(text))
        if kind == "text":
            return ("const", re.sub(r"\\(.)", r"\1", text[1:-1]))
        if kind == "word":
            return ("const", text == "True") if text in ("True", "False") else ("name", text)
        if text == "(":
            inside = self.either()
            self.want(")")
            return inside
        assert text == "[", f"what is {text!r}?"
        items = []
        while not self.take("]"):
            items.append(self.added())
            if not self.have("]"):
                self.want(",")
        return ("list", items)


def parts_of(tree: Any) -> Iterator[Tree]:
    """A tree and everything in it."""
    if isinstance(tree, tuple):
        yield tree
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, tuple | list):
        for part in tree:
            yield from parts_of(part)


# Answering.


@dataclass(frozen=True)
class Deed:
    """Something that a person did. Within a person's list, deeds stand in the order in which they were told."""

    name: str
    at: int
    properties: dict[str, Any]


@dataclass(frozen=True)
class Scene:
    """What a condition looks at. `names` are the plan's short names; inside a selector's brackets `inside` holds the
    counted event's properties, and nothing else is to be seen. `defined` are the named conditions and lists.
    """

    now: int
    deeds: list[Deed] = field(default_factory=list)
    traits: dict[str, Any] = field(default_factory=dict)
    segments: tuple[str, ...] = ()
    primary: str | None = None
    zone: ZoneInfo = UTC_ZONE
    properties: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    defined: dict[str, Tree] = field(default_factory=dict)
    inside: dict[str, Any] | None = None


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def local(now: int, zone: ZoneInfo) -> datetime:
    """The person's wall clock."""
    return (EPOCH + timedelta(milliseconds=now)).astimezone(zone)


def holds(tree: Tree, scene: Scene) -> bool:
    """Whether a condition is true. A value by itself is when it is exactly true."""
    match tree:
        case ("all", parts):
            return all(holds(part, scene) for part in parts)
        case ("any", parts):
            return any(holds(part, scene) for part in parts)
        case ("not", part):
            return not holds(part, scene)
        case ("chain", sides, signs):
            return all(_compare(sides[i], sign, sides[i + 1], scene) for i, sign in enumerate(signs))
        case ("name", name) if scene.inside is None and name in scene.defined:
            return holds(scene.defined[name], scene)
    return value(tree, scene) is True


def value(tree: Tree, scene: Scene) -> Any:
    """What a part of a condition gives; None when it is missing."""
    match tree:
        case ("const", constant):
            return constant
        case ("minus", part):
            inner = value(part, scene)
            return -inner if is_number(inner) else None
        case ("list", items):
            return [value(item, scene) for item in items]
        case ("calc", sign, left, right):
            return _calculate(sign, value(left, scene), value(right, scene))
        case ("call", name, given, named):
            return _call(name, given, named, scene)
        case ("name", _) | ("dot", _, _) | ("at", _, _):
            return _look_up(tree, scene)
    return holds(tree, scene)


def _compare(left: Tree, sign: str, right: Tree, scene: Scene) -> bool:
    if right == ("name", "segments") and scene.inside is None:
        return (value(left, scene) in scene.segments) is (sign == "in")
    if right[0] == "name" and scene.defined.get(right[1], ("", ""))[0] == "list":
        # A list that has a name stands for itself also within brackets, where other names are properties.
        right = scene.defined[right[1]]
    a, b = value(left, scene), value(right, scene)
    if sign in ("in", "not in"):
        if a is None or not isinstance(b, list):
            return False
        return any(_are_equal(a, item) for item in b) is (sign == "in")
    if sign == "==":
        return _are_alike(a, b) and a == b
    if sign == "!=":
        return _are_alike(a, b) and a != b
    if isinstance(a, bool) or not _are_alike(a, b):
        return False
    return bool({"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[sign])


def _are_alike(a: Any, b: Any) -> bool:
    if is_number(a) or is_number(b):
        return is_number(a) and is_number(b)
    return (isinstance(a, str) and isinstance(b, str)) or (isinstance(a, bool) and isinstance(b, bool))


def _are_equal(a: Any, b: Any) -> bool:
    return _are_alike(a, b) and a == b


def _calculate(sign: str, a: Any, b: Any) -> Any:
    if not is_number(a) or not is_number(b) or (sign == "/" and b == 0):
        return None
    try:
        return {"+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b, "/": lambda: a / b}[sign]()
    except OverflowError:
        return None


def _path(tree: Tree) -> list[str]:
    match tree:
        case ("name", name):
            return [name]
        case ("dot", base, name) | ("at", base, ("const", name)):
            return [*_path(base), name]
    raise AssertionError(f"{tree} is no path")


def _dig(table: Any, path: list[str]) -> Any:
    for name in path:
        if not isinstance(table, dict):
            return None
        table = table.get(name)
    return table


def _look_up(tree: Tree, scene: Scene) -> Any:
    path = _path(tree)
    if scene.inside is not None:
        return _dig(scene.inside, path)
    match path:
        case [name] if name in scene.defined:
            return value(scene.defined[name], scene)
        case ["segment"]:
            return scene.primary
        case ["event", *names]:
            return _dig(scene.properties, names)
        case ["context", *names]:
            return _dig(scene.context, names)
        case ["traits", *names]:
            return _dig(scene.traits, names)
        case ["local", "hour"]:
            return local(scene.now, scene.zone).hour
        case ["local", "weekday"]:
            return WEEKDAYS[local(scene.now, scene.zone).weekday()]
        case ["local", "date"]:
            return local(scene.now, scene.zone).strftime("%Y-%m-%d")
    raise AssertionError(f"{path} is not known")


def _call(name: str, given: list[Tree], named: dict[str, Tree], scene: Scene) -> Any:
    if name in ACTIVITY:
        return ACTIVITY[name](Asked(scene, given, named))
    values = [value(part, scene) for part in given]
    match name, values:
        case "lower", [text]:
            return text.lower() if isinstance(text, str) else None
        case "contains", [list() as items, item]:
            return any(_are_equal(item, each) for each in items)
        case "contains", [text, part]:
            return isinstance(text, str) and isinstance(part, str) and part in text
        case "starts_with", [text, part]:
            return isinstance(text, str) and isinstance(part, str) and text.startswith(part)
        case "ends_with", [text, part]:
            return isinstance(text, str) and isinstance(part, str) and text.endswith(part)
        case "matches", [text, pattern]:
            return isinstance(text, str) and re.search(pattern, text) is not None
        case "exists", [one]:
            return one is not None
        case "default", [one, other]:
            return other if one is None else one
    raise AssertionError(f"{name} is not known")


@dataclass(frozen=True)
class Asked:
    """What an activity function is asked for."""

    scene: Scene
    given: list[Tree]
    named: dict[str, Tree]

    def text(self, place: int, name: str) -> str | None:
        """An argument such as a window, by its place or its name."""
        if len(self.given) > place:
            return str(self.given[place][1])
        return str(self.named[name][1]) if name in self.named else None

    def length(self, place: int, name: str) -> int | None:
        text = self.text(place, name)
        return None if text is None else length_of(text)

    def found(self, place: int = 0, window: int | None = None) -> list[tuple[int, Any]]:
        """When, and the value of the property that is asked for (None when none is): the deeds that the selector at
        `place` means, the oldest first. What happened at one instant stays in the order in which it was told.
        """
        return select(self.given[place], self.scene, window)


def select(tree: Tree, scene: Scene, window: int | None = None) -> list[tuple[int, Any]]:
    """See `Asked.found`."""
    path: list[str] = []
    keeps: Tree = None
    while tree[0] == "dot":
        path.insert(0, tree[2])
        tree = tree[1]
    if tree[0] == "at":
        keeps, tree = tree[2], tree[1]
    name = scene.names.get(tree[1], tree[1]) if tree[0] == "name" else tree[1]
    found = []
    for deed in sorted(scene.deeds, key=lambda deed: deed.at):
        if deed.name != name or deed.at > scene.now or (window is not None and scene.now - deed.at >= window):
            continue
        if keeps is not None and not holds(keeps, replace(scene, inside=deed.properties)):
            continue
        told = _dig(deed.properties, path) if path else None
        if path and told is None:
            continue
        found.append((deed.at, told))
    return found


def _numbers(asked: Asked) -> list[Any]:
    return [told for _, told in asked.found(0, asked.length(1, "window")) if is_number(told)]


def _since(unit: int) -> Callable[[Asked], Any]:
    def work(asked: Asked) -> Any:
        found = asked.found()
        return (asked.scene.now - found[-1][0]) / unit if found else None

    return work


def _mean(numbers: list[Any]) -> Any:
    return sum(numbers) / len(numbers) if numbers else None


def _end(place: int) -> Callable[[Asked], Any]:
    def work(asked: Asked) -> Any:
        found = asked.found(0, asked.length(1, "window"))
        return found[place][1] if found else None

    return work


def _distinct(asked: Asked) -> int:
    found: list[Any] = []
    for _, told in asked.found(0, asked.length(1, "window")):
        if isinstance(told, str | int | float) and not any(_are_equal(told, known) for known in found):
            found.append(told)
    return len(found)


def _score(asked: Asked) -> float:
    half_life = asked.length(1, "half_life") or 1
    has_property = asked.given[0][0] == "dot"
    return math.fsum(
        (told if has_property else 1) * 2.0 ** ((at - asked.scene.now) / half_life)
        for at, told in asked.found()
        if is_number(told) or not has_property
    )


def _trend(asked: Asked) -> float | None:
    """Worked out in fractions: exact until the last division."""
    rates: list[Fraction] = []
    for place, name in ((1, "short"), (2, "long")):
        length = asked.length(place, name) or 1
        found = asked.found(0, length)
        numbers = [told for _, told in found if is_number(told)]
        rates.append(Fraction(sum(numbers) if asked.given[0][0] == "dot" else len(found)) / length)
    return float(rates[0] / rates[1]) if rates[1] > 0 else None


def _sequence(asked: Asked) -> bool:
    now, within, window = asked.scene.now, asked.length(2, "within") or 0, asked.length(3, "window")
    first, then = asked.given[:2]
    is_not = then[0] == "not"
    befores = [at for at, _ in select(first, asked.scene)]
    afters = [at for at, _ in select(then[1] if is_not else then, asked.scene)]
    if is_not:
        newest = max(befores, default=now)
        is_young = window is None or now - newest < window
        return now - newest > within and is_young and not any(newest < at <= newest + within for at in afters)
    return any(
        before < after <= before + within and (window is None or now - after < window)
        for before in befores
        for after in afters
    )


ACTIVITY: dict[str, Callable[[Asked], Any]] = {
    "count": lambda asked: len(asked.found(0, asked.length(1, "window"))),
    "did": lambda asked: bool(asked.found(0, asked.length(1, "window"))),
    "sum": lambda asked: sum(_numbers(asked)),
    "avg": lambda asked: _mean(_numbers(asked)),
    "min": lambda asked: min(_numbers(asked), default=None),
    "max": lambda asked: max(_numbers(asked), default=None),
    "last": _end(-1),
    "first": _end(0),
    "distinct": _distinct,
    "score": _score,
    "trend": _trend,
    "sequence": _sequence,
    **{name: _since(unit) for name, unit in SINCE.items()},
}
"""The functions that look at what the person did."""


def pauses(tree: Tree) -> set[int]:
    """After how long an event may change what a condition says, by time alone: every length of time in it and, for
    days_since and its like, every number; a millisecond more and less, too. Too many do no harm.
    """
    found: set[int] = set()
    trees = list(parts_of(tree))
    units = {SINCE[part[1]] for part in trees if part[0] == "call" and part[1] in SINCE}
    for part in trees:
        if part[0] == "call" and part[1] in ACTIVITY:
            texts = [given[1] for given in (*part[2][1:], *part[3].values()) if given[0] == "const"]
            found |= {length_of(text) + more for text in texts for more in (-1, 0, 1)}
        if part[0] == "const" and is_number(part[1]):
            found |= {round(part[1] * unit) + more for unit in units for more in (-1, 0, 1)}
    return {pause for pause in found if pause > 0}


def fadings(tree: Tree, scene: Scene, until: int) -> set[int]:
    """The instants after now and up to `until` at which a score that is compared with a number comes to it, or passes
    it: a score moves toward 0 and nowhere else, so halving finds them.
    """
    found = set()
    for part in parts_of(tree):
        if part[0] == "chain" and any(side[:2] == ("call", "score") for side in part[1]):
            scores = [side for side in part[1] if side[:2] == ("call", "score")]
            bounds = [side for side in part[1] if side[0] in ("const", "minus")]
            for score, bound in ((score, value(bound, scene)) for score in scores for bound in bounds):
                low, high = scene.now, until
                while high - low > 1:
                    middle = (low + high) // 2
                    is_same = _side(score, bound, middle, scene) == _side(score, bound, scene.now, scene)
                    low, high = (middle, high) if is_same else (low, middle)
                found |= {high, high + 1}
    return found


def _side(score: Tree, bound: float, at: int, scene: Scene) -> int:
    told = value(score, replace(scene, now=at))
    return (told > bound) - (told < bound)


def looks_at_the_clock(tree: Tree) -> bool:
    return any(part == ("name", "local") for part in parts_of(tree))
