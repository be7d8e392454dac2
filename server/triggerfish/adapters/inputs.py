"""Inputs: what a block or a layout takes, declared in its front matter, with a fallback or without."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from triggerfish.adapters.frontmatter import read_front
from triggerfish.adapters.workfile import ReadFile
from triggerfish.rulefile.marks import Marks, Path
from triggerfish.rulefile.problems import Problem

Inputs = Mapping[str, Any]
"""Name -> fallback: a text, a number, true or false; None where it must be given, "" where it may be left out."""

_NAME = re.compile(r"[A-Za-z_]\w{0,63}")
_VALUE = re.compile(r"\{\{-?\s*(?P<path>[A-Za-z_][\w.]*)\s*-?\}\}")


class Shared(NamedTuple):
    """A block or a layout as its file has it. `inputs` is None when it declares none. Of one whose front matter cannot
    be read (`is_sound` is False), only that is told.
    """

    file: ReadFile
    body_at: int
    inputs: Inputs | None
    is_sound: bool = True


def read_shared(file: ReadFile, roots: frozenset[str], problems: list[Problem]) -> Shared:
    """A block or layout. Problems: TF302 and TF303 at their places; `roots` are names that no input can have."""
    before = len(problems)
    marks, body_at = read_front(file, ("inputs", "description"), (), problems)
    if len(problems) > before:
        return Shared(file, body_at, None, is_sound=False)
    if marks is None or "inputs" not in marks.data:
        return Shared(file, body_at, None)
    declared = marks.data["inputs"]
    if not isinstance(declared, dict):
        hint = 'write  inputs: {label: Shop now, url: null}  (null: it must be given; "": it may be left out)'
        problems.append(marks.problem(("inputs",), "TF303", "inputs holds names, each with its fallback", hint=hint))
        return Shared(file, body_at, {})
    inputs = {}
    for name, fallback in declared.items():
        path = ("inputs", name)
        if not _NAME.fullmatch(name):
            problems.append(
                marks.problem(path, "TF303", f'"{name}" is no name of an input', hint="letters, digits and _")
            )
        elif name in roots:
            hint = "every template can read it anyway; take another name"
            problems.append(marks.problem(path, "TF303", f'"{name}" is a name of its own', hint=hint, at_key=True))
        elif is_plain(marks, path, fallback, problems):
            inputs[name] = fallback
    return Shared(file, body_at, inputs)


def is_plain(marks: Marks, path: Path, value: object, problems: list[Problem]) -> bool:
    """Whether a fallback can be written in Liquid; if not, a problem says so (TF303)."""
    if isinstance(value, dict | list):
        problems.append(marks.problem(path, "TF303", "a fallback is a text, a number, true or false"))
        return False
    if not isinstance(value, str) or _VALUE.fullmatch(value.strip()):
        return True
    if "{{" in value or "{%" in value or "%}" in value or "}}" in value:
        hint = "write one value, such as {{ web.home }}, or a text without Liquid"
        problems.append(marks.problem(path, "TF303", "a fallback holds no more Liquid than one value", hint=hint))
        return False
    if '"' in value and "'" in value:
        sentence = "a fallback has double quotes or single ones, not both"
        problems.append(marks.problem(path, "TF303", sentence, hint="typographic quotes are fine: “…” or ‘…’"))
        return False
    return True


def literal(fallback: object) -> str:
    """A fallback as Liquid writes it: `"Shop now"`, `3`, `true`, `web.home`, `nil`."""
    if isinstance(fallback, bool):
        return "true" if fallback else "false"
    if isinstance(fallback, int | float):
        return f"{fallback:f}" if isinstance(fallback, float) else str(fallback)
    if not isinstance(fallback, str) or not fallback.strip():
        return "nil"
    found = _VALUE.fullmatch(fallback.strip())
    if found:
        return found["path"]
    text = " ".join(fallback.split())
    return f"'{text}'" if '"' in text else f'"{text}"'
