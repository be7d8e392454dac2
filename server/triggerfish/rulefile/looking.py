"""Writes the Python that looks at a condition: whether it holds, and until when time alone cannot change that; and the
Python that tells why it holds or does not.

While some parts keep a join from its usual answer, the last of those must turn before the answer can; else the first of
all. So a part that time cannot change settles it at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from triggerfish import conditions
from triggerfish.activity import Tally
from triggerfish.conditions import NEVER, All, Change, Elapsed, Late, Node, Not, Some, Test, told

if TYPE_CHECKING:
    from triggerfish.rulefile.reader import Reader


def look_of(reader: Reader, root: Node) -> Callable[..., Any]:
    """`Condition.look` for a tree whose tests the reader has written."""

    def make() -> Callable[..., Any]:
        lines: list[str] = []
        name = _write(reader, root, lines)
        exec(compile("\n".join(lines), "<look>", "exec"), reader.space)  # noqa: S102
        made: Callable[..., Any] = reader.space[name]
        return made

    return Late(make)


def because_of(reader: Reader, root: Node) -> Callable[..., Any]:
    """`Condition.because`, likewise."""
    return reader.function(_because(reader, root))


def _because(reader: Reader, node: Node) -> str:
    match node:
        case Test(text=text, code=code, value_code=value):
            return f"{reader.bind(told)}({reader.bind(text, 's')}, {code}, {value})"
        case All(parts=parts):
            join, given = conditions.told_of_all, parts
        case Some(parts=parts):
            join, given = conditions.told_of_some, parts
        case Not(part=part):
            join, given = conditions.told_of_not, (part,)
    return f"{reader.bind(join)}([{', '.join(_because(reader, part) for part in given)}])"


def _write(reader: Reader, node: Node, lines: list[str]) -> str:
    """The function that looks at a part; those for parts of it come before it. Gives its name."""
    body: list[str] = []
    match node:
        case All(parts=parts) | Some(parts=parts) if _changes(node):
            _join(reader, parts, isinstance(node, All), lines, body)
        case Not(part=All() | Some() as part) if _changes(node):
            body += [f"holds, at = {_write(reader, part, lines)}(v, enough)", "return not holds, at"]
        case _:
            _instant(reader, _changes(node), body)
            body.append(f"return {_code(node)}, at")
    name = reader.temporary()
    lines += [f"def {name}(v, enough):", *(f"    {line}" for line in body)]
    return name


def _join(reader: Reader, parts: Sequence[Node], usual: bool, lines: list[str], body: list[str]) -> None:
    body.append(f"soonest, latest = {NEVER}, 0")
    for part in parts:
        changes = _changes(part)
        if not changes:
            body += [f"if {'not ' if usual else ''}{_code(part)}: return {not usual}, {NEVER}"]
            continue
        if _is_leaf(part):
            _instant(reader, changes, body)
            holds = _code(part)
        else:
            body.append(f"holds, at = {_write(reader, part, lines)}(v, enough)")
            holds = "holds"
        body += [
            f"if {'' if usual else 'not '}{holds}:",
            "    if at < soonest: soonest = at",
            f"elif at >= enough: return {not usual}, at",
            "elif at > latest: latest = at",
        ]
    body.append(f"return ({not usual}, latest) if latest else ({usual}, soonest)")


def _instant(reader: Reader, changes: Sequence[Change], body: list[str]) -> None:
    """Work out `at`, the first instant at which one of these comes."""
    body.append(f"at = {NEVER}")
    for change in changes:
        if isinstance(change, Elapsed):
            body += [
                f"state = v.activity.get({change.activity.key!r})",
                f"if type(state) is {reader.bind(Tally)} and state.last_at is not None:",
                f"    if v.now < (next := state.last_at + {change.delay}) < at: at = next",
            ]
        else:
            body.append(f"if (next := {reader.bind(change.next)}(v)) is not None and next < at: at = next")


def _is_leaf(node: Node) -> bool:
    return isinstance(node.part if isinstance(node, Not) else node, Test)


def _changes(node: Node) -> tuple[Change, ...]:
    match node:
        case Test(changes=changes):
            return changes
        case Not(part=part):
            return _changes(part)
        case All(parts=parts) | Some(parts=parts):
            return tuple(change for part in parts for change in _changes(part))


def _code(node: Node) -> str:
    match node:
        case Test(code=code):
            return code
        case Not(part=part):
            return f"(not {_code(part)})"
        case All(parts=parts):
            return f"({' and '.join(_code(part) for part in parts)})" if parts else "True"
        case Some(parts=parts):
            return f"({' or '.join(_code(part) for part in parts)})" if parts else "False"
