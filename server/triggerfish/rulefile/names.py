"""What a name in a condition stands for: a part of what the condition looks at, or within brackets, of one event."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Protocol

from triggerfish import conditions
from triggerfish.conditions import Turning
from triggerfish.rulefile.functions import FUNCTIONS
from triggerfish.rulefile.problems import nearest
from triggerfish.rulefile.saying import say_node
from triggerfish.rulefile.terms import Value

if TYPE_CHECKING:
    from triggerfish.rulefile.reader import Reader

KINDS = ("page", "screen", "identify", "group", "alias")
LOCAL: Mapping[str, Literal["hour", "day"]] = {"hour": "hour", "weekday": "day", "date": "day"}
ROOTS = ("event", "traits", "context", "segments", "segment", "local")


class Names(Protocol):
    """How a reader understands names. `given` is what the compiled function takes."""

    given: str

    def name(self, reader: Reader, node: ast.expr, name: str) -> Value: ...
    def path(self, reader: Reader, node: ast.expr) -> Value: ...


class OfPerson:
    """Names of a condition: `traits.country`, `event.total`, `segment`. It looks at a View."""

    given = "v"

    def name(self, reader: Reader, node: ast.expr, name: str) -> Value:
        defined = reader.defined_list(node)
        if defined is not None:
            return defined
        if name == "segment":
            return Value("v.segment", name)
        if name == "segments":
            return Value("v.segments", name)
        hint = (
            f"did you mean {name}.something?"
            if name in ROOTS
            else nearest(name, [*ROOTS, *FUNCTIONS, *reader.scope.definitions])
        )
        if name.lower() in ("true", "false"):
            hint = f"write {name.capitalize()}"
        elif name in reader.scope.short_names or name in KINDS:
            hint = f'write count({name}), or did({name}, "30d")'
        raise reader.fault("TF235", node, f'"{name}" is not known here', hint)

    def path(self, reader: Reader, node: ast.expr) -> Value:
        """`event.a.b`, `traits["First Name"]`, `local.hour`."""
        root, names = reader.steps(node)
        match root:
            case "event" | "context" if not reader.scope.has_event:
                sentence = f'"{root}" is not known here: a segment has no triggering event'
                raise reader.fault("TF236", node, sentence, "use traits, or what they did: count(…), last(…)")
            case "event":
                return reader.dig(node, "v.properties", names)
            case "context":
                return reader.dig(node, "v.context", names)
            case "traits":
                reader.traits.add(names[0])
                found = reader.temporary()
                trait = f"({found} := v.traits.get({reader.bind_constant(names[0])}))"
                return reader.dig(node, f"({found}.value if {trait} is not None else None)", names[1:])
            case "local" if len(names) == 1 and names[0] in LOCAL:
                return Value(f"v.local.{names[0]}", say_node(node), changes=(Turning(LOCAL[names[0]]),))
            case "local":
                hint = nearest(names[0], LOCAL) or "local has hour, weekday and date"
                raise reader.fault("TF235", node, f'"local.{names[0]}" is not known', hint)
            case "predictions":
                hint = "there are no predictions yet; use what they did: score(…), trend(…), days_since(…)"
                raise reader.fault("TF235", node, f'"{say_node(node)}" is not known here', hint)
        hint = nearest(root, ROOTS)
        if root in reader.scope.short_names:
            hint = f"event.{names[0]} is the triggering event's; last({root}.{names[0]}) the newest {root}'s"
        raise reader.fault("TF235", node, f'"{root}" is not known here', hint)


class OfEvent:
    """Names within a selector's brackets: the properties of the event that is counted. It looks at those."""

    given = "p"

    def name(self, reader: Reader, node: ast.expr, name: str) -> Value:
        return Value(f"p.get({reader.bind_constant(name)})", name)

    def path(self, reader: Reader, node: ast.expr) -> Value:
        root, names = reader.steps(node)
        path = reader.bind((root, *names), "path")
        return Value(f"{reader.bind(conditions.dig)}(p, {path})", say_node(node))
