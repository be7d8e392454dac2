"""The language of conditions: a whitelisted subset of Python's expression grammar, compiled to Python functions.

`grammar.parse` turns text into an ast; the reader (reader.py) admits only what docs/rules.md lists and writes, for each
part, the Python that works it out over a View.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from msgspec import Struct, field

from triggerfish import conditions
from triggerfish.activity import Activity
from triggerfish.conditions import Condition, View
from triggerfish.rulefile.defined import Definitions, say_meanings
from triggerfish.rulefile.grammar import Faulty
from triggerfish.rulefile.looking import because_of, look_of
from triggerfish.rulefile.reader import Reader


class Scope(Struct, frozen=True):
    """What a condition may name. `short_names` maps the plan's names to events' own; `segments` are those that may be
    asked for; `has_event` says whether there is a triggering event; `functions` adds plugins' functions; `definitions`
    are what `define:` gives names to.
    """

    short_names: Mapping[str, str] = {}
    segments: Collection[str] = ()
    has_event: bool = True
    functions: Mapping[str, Callable[..., Any]] = {}
    definitions: Definitions = field(default_factory=Definitions)


def compile_condition(texts: Tree, scope: Scope) -> Condition:
    """A Condition from a tree of texts. Raises Faulty with the faults of all of them."""
    return read_condition(texts, scope)[0]


def read_condition(texts: Tree, scope: Scope) -> tuple[Condition, frozenset[str]]:
    """The same, and the names of the definitions that it uses."""
    reader = Reader(scope)
    truth = reader.tree(texts)
    if reader.refused:
        raise Faulty([fault for faulty in reader.refused for fault in faulty.faults])
    condition = Condition(
        text=say(texts),
        root=truth.node,
        holds=reader.function(truth.code),
        look=look_of(reader, truth.node),
        because=because_of(reader, truth.node),
        activities=tuple(reader.activities.values()),
        changes=tuple(dict.fromkeys(truth.changes)),
        names=frozenset(reader.events),
        meaning=say(texts) + say_meanings(reader.meanings),
        segments=frozenset(reader.segments),
        traits=frozenset(reader.traits),
    )
    return condition, frozenset(reader.meanings)


def compile_value(text: str, scope: Scope) -> tuple[Callable[[View], Any], tuple[Activity, ...]]:
    """A function for a value such as `event.total`, and the activities that it needs. Raises Faulty."""
    reader = Reader(scope)
    value = reader.whole(text, reader.value)
    # The segments are the profile's very own: what is kept is a list of their names.
    code = "[*v.segments]" if value.code == "v.segments" else value.code
    function = reader.function(f"{reader.bind(conditions.plain)}({code})")
    return function, tuple(reader.activities.values())


class Tree(Struct, frozen=True):
    """Texts joined by all, any and none, as a rule file writes them: exactly one of these fields is used. `path` is
    where a text stands in its file.
    """

    text: str = ""
    all: tuple[Tree, ...] | None = None
    any: tuple[Tree, ...] | None = None
    none: tuple[Tree, ...] | None = None
    path: tuple[str | int, ...] = ()


def say(tree: Tree) -> str:
    """The tree on one line, for people."""
    for word, parts in (("all", tree.all), ("any", tree.any), ("none", tree.none)):
        if parts is not None:
            return f"{word} of ({'; '.join(say(part) for part in parts)})"
    return " ".join(tree.text.split())
