"""What durable_rules' networks are told of an event, written out as one Python function: for `durable.py` alone.

Values that no rule tells apart are told alike, and one that meets no test is left out. So is what only such rules read
as cannot hold: each is entered by one of its tests, and is out when that is not met. So few messages differ, and few
values are worked out.
"""

from __future__ import annotations

import operator
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from triggerfish.adapters.durable_shapes import Key, Leaf, Wake
from triggerfish.conditions import NUMBERS, View, made

ENTRIES = 8
"""What rules with more entries than this read is told anyway: to look at them all would cost as much."""

Tell = Callable[[View], dict[int, tuple[str, ...]]]
"""For each of some networks, by its number, what its fields hold; a text is empty where a field is left out."""

_COMPARED = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_IS_OF_KIND = {
    "text": "type(w) is str", "truth": "type(w) is bool",
    "number": "type(w) in NUMBERS", "unequal": "type(w) in NUMBERS",
}  # fmt: skip


class Scale(Struct):
    """The constants with which rules compare a value, ascending. The code of the i-th is 2i + 1; even ones are of what
    lies between.
    """

    bounds: list[Any]

    def code(self, bound: Any) -> int:
        return 2 * bisect_left(self.bounds, bound) + 1


def tell_of(asked: Mapping[int, Sequence[Wake]], scales: Mapping[Key, Scale]) -> Tell:
    """The function for one event and some networks: by the number of each the rules that are woken there, whose fields
    are told in the order in which they are read.
    """
    space: dict[str, Any] = {"NUMBERS": NUMBERS, "__builtins__": {"bool": bool, "str": str, "type": type}}
    everyone = [wake for wakes in asked.values() for wake in wakes]
    tests = tests_of(everyone)
    fields = {key: _Field(f"c{place}", leaves, scales[key]) for place, (key, leaves) in enumerate(tests.items())}
    whens = _whens(everyone, fields)
    lines = [line for key, field in fields.items() if not whens[key] for line in field.written(space)]
    for key, field in fields.items():
        if whens[key]:
            lines += [f"if {whens[key]}:", *(f"    {line}" for line in field.written(space))]
            lines += [f"else: {field.name} = ''"]
    told = []
    for number, wakes in asked.items():
        own, texts = whens if len(asked) == 1 else _whens(wakes, fields), ""
        for key, leaves in tests_of(wakes).items():
            text = fields[key].told(leaves, space)
            texts += f"({text} if {own[key]} else ''), " if own[key] and own[key] != whens[key] else f"{text}, "
        told.append(f"{number}: ({texts})")
    text = "\n    ".join(["def tell(v):", *lines, f"return {{{', '.join(told)}}}"])
    exec(compile(text, "<telling>", "exec"), space)  # noqa: S102  # of our own names and numbers alone
    tell: Tell = space["tell"]
    return tell


def tests_of(wakes: Sequence[Wake]) -> dict[Key, list[Leaf]]:
    """The tests of these rules by what they read."""
    tests: dict[Key, list[Leaf]] = {}
    for wake in wakes:
        for leaf in wake.shape.leaves():
            tests.setdefault(leaf.key, []).append(leaf)
    return tests


def _whens(wakes: Sequence[Wake], fields: Mapping[Key, _Field]) -> dict[Key, str]:
    """For each field that these rules read the Python for whether any of those is entered that read it. Empty: some are
    entered by the field itself, or by nothing, or there is too much to look at.
    """
    readers: dict[Key, set[str]] = {}
    for wake in wakes:
        entry = _entry(wake)
        for leaf in wake.shape.leaves():
            when = "" if entry is None or entry.key == leaf.key else fields[entry.key].meets(entry)
            readers.setdefault(leaf.key, set()).add(when)
    return {
        key: "" if "" in when or len(when) > ENTRIES else " or ".join(sorted(when)) for key, when in readers.items()
    }


def _entry(wake: Wake) -> Leaf | None:
    """The test by which a rule is entered: one that must be met, if it can be one that takes little to work out."""
    needed = [part for part in wake.shape.parts if isinstance(part, Leaf)]
    return min(needed, key=lambda leaf: "(" in str(leaf.key[0]), default=None)


class _Field:
    """What is told of one value: the variable, and the code of a value below the first bound, at it, between it and the
    next, and so on.
    """

    def __init__(self, name: str, leaves: Sequence[Leaf], scale: Scale) -> None:
        self.name = name
        self._kind = leaves[0].key[1]
        self._of = leaves[0].of
        self._bounds = [] if self._kind == "computed" else sorted({leaf.bound for leaf in leaves})
        own = [scale.code(bound) for bound in self._bounds]
        self._places = [code + beside for code in own for beside in (-1, 0)] + [code + 1 for code in own[-1:]]
        self._scale = scale
        self._codes = self._alike(leaves)

    def meets(self, leaf: Leaf) -> str:
        """The Python for whether what is told meets a test."""
        bound = self._scale.code(leaf.bound)
        passing = {
            code
            for place, code in zip(self._places, self._codes, strict=True)
            if _COMPARED[leaf.operator](place, bound)
        }
        if passing == {code for code in self._codes if code}:
            return self.name
        return f"{self.name} in {tuple(sorted(passing))!r}"

    def told(self, leaves: Sequence[Leaf], space: dict[str, Any]) -> str:
        """The Python for what is told to a network with these of the tests, which may tell fewer values apart."""
        own = self._alike(leaves)
        if own == self._codes:
            return self.name
        return f"{_bind(space, {'': '', **dict(zip(self._codes, own, strict=True))})}[{self.name}]"

    def _alike(self, leaves: Sequence[Leaf]) -> list[str]:
        """The code for each place, one of those with which the same tests are met; empty when none is."""
        tests = {(leaf.operator, self._scale.code(leaf.bound)) for leaf in leaves}
        alike: dict[tuple[bool, ...], str] = {}
        codes = []
        for place in self._places:
            met = tuple(_COMPARED[sign](place, bound) for sign, bound in tests)
            codes.append(alike.setdefault(met, str(place)) if any(met) else "")
        return codes

    def written(self, space: dict[str, Any]) -> list[str]:
        """The Python that works it out."""
        of = _bind(space, made(self._of))
        if self._kind == "computed":
            return [f"{self.name} = '1' if {of}(v) else ''"]
        return [f"w = {of}(v)", f"{self.name} = {self._placed(space)} if {_IS_OF_KIND[self._kind]} else ''"]

    def _placed(self, space: dict[str, Any]) -> str:
        """The code of a value `w` of this kind. NaN has no place, and is unequal to everything."""
        codes, bounds = self._codes, self._bounds
        between, at = codes[::2], codes[1::2]
        if len(set(between)) == 1:
            return f"{_bind(space, dict(zip(bounds, at, strict=True)).get)}(w, {between[0]!r})"
        known = _bind(space, bounds)
        if at == between[:-1]:
            place, codes = f"{_bind(space, bisect_left)}({known}, w)", between
        elif at == between[1:]:
            place, codes = f"{_bind(space, bisect_right)}({known}, w)", between
        else:
            place = f"{_bind(space, bisect_left)}({known}, w) + {_bind(space, bisect_right)}({known}, w)"
        return f"({_bind(space, codes)}[{place}] if w == w else '')"


def _bind(space: dict[str, Any], value: Any) -> str:
    """A name for a constant or function within the written Python."""
    name = f"k{len(space)}"
    space[name] = value
    return name
