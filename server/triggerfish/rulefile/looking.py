"""Writes the Python that looks at a condition: whether it holds, and until when time alone cannot change that; and the
Python that tells why it holds or does not.

While some parts keep a join from its usual answer, the last of those must turn before the answer can; else the first of
all. So a part that time cannot change settles it at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from triggerfish import conditions
from triggerfish.activity import Tally
from triggerfish.conditions import NEVER, All, Change, Elapsed, Late, Node, Not, Some, Test

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
    """`Condition.because`, likewise: what a rule that fires has to tell is worked out in one go."""

    def make() -> Callable[..., Any]:
        body: list[str] = []
        _, told = _tell(reader, root, body)
        name = reader.temporary()
        lines = [f"def {name}(v):", *(f"    {line}" for line in body), f"    return {told}"]
        exec(compile("\n".join(lines), "<because>", "exec"), reader.space)  # noqa: S102
        made: Callable[..., Any] = reader.space[name]
        return made

    return Late(make)


def _tell(reader: Reader, node: Node, body: list[str]) -> tuple[str, str]:
    """Work out the findings of a part. Gives the names of whether it holds and of what is told."""
    holds, told = reader.temporary(), reader.temporary()
    match node:
        case Test(text=text):
            value = _look(reader, node, holds, body)
            start = f"{told} = {{'condition': {reader.bind(text, 's')}, 'holds': {holds}"
            plain = reader.bind(conditions.PLAIN)
            body += [
                f"if {value} is None: {start}}}",
                f"elif type({value}) in {plain}: {start}, 'value': {value}}}",
                f"else: {start}, 'value': {reader.bind(conditions.sayable)}({value})}}",
            ]
            return holds, told
        case All(parts=parts):
            text, given = "all of", parts
        case Some(parts=parts):
            text, given = "any of", parts
        case Not(part=part):
            text, given = "not", (part,)
    names = [_tell(reader, part, body) for part in given]
    joined = (" and " if text == "all of" else " or ").join(f"not not {each}" for each, _ in names)
    whole = f"not {names[0][0]}" if text == "not" else joined or str(text == "all of")
    inner = f", 'parts': [{', '.join(each for _, each in names)}]" if names else ""
    body += [f"{holds} = {whole}", f"{told} = {{'condition': '{text}', 'holds': {holds}{inner}}}"]
    return holds, told


def _look(reader: Reader, test: Test, holds: str, body: list[str]) -> str:
    """Look whether a leaf holds; gives the name of the value that it saw, which is worked out once where it can be."""
    code, value = test.code, test.value_code
    body.append(f"{holds} = {code}")
    if code == value:
        return holds
    if (found := _COMPARED.match(code)) and code.startswith(f"{value})", found.end()):
        # It begins by giving its value a name.
        return found[1]
    name = reader.temporary()
    body.append(f"{name} = {value}")
    return name


_COMPARED = re.compile(r"\(type\((x\d+) := ")


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
