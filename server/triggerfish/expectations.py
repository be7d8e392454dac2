"""Room 1, its second look. Expectations: what `rules/events.yaml` says the properties of an event must be.

An event that breaks one is refused at the door, so that no rule looks at a price that came as text, and silently does
not hold. What is not spoken of may be anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from triggerfish.errors import Refused
from triggerfish.ingest import Event

Type = Literal["text", "number", "boolean", "list", "object"]
Expectations = Mapping[str, Mapping[str, Type]]
"""By an event's own name, the types of properties that must have one when they are there."""

_TYPES: Mapping[str, tuple[type, ...]] = {
    "text": (str,),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list,),
    "object": (dict,),
}


def check(events: Sequence[Event], expectations: Expectations, *, is_batch: bool) -> None:
    """Raises Refused (TF117) for the first property of another type than expected. A missing one or null is fine."""
    for place, event in enumerate(events):
        for name, expected in expectations.get(event.name, {}).items():
            value = event.properties.get(name)
            if value is not None and type(value) not in _TYPES[expected]:
                raise Refused(
                    f'"{name}" of "{event.name}" is {_named(value)}, and {_article(expected)} is expected',
                    code="TF117",
                    field=f"batch[{place}].properties.{name}" if is_batch else f"properties.{name}",
                    expected=_article(expected),
                    hint="rules/events.yaml says so",
                )


def _named(value: Any) -> str:
    return next((_article(word) for word, types in _TYPES.items() if type(value) in types), "something else")


def _article(word: str) -> str:
    return f"an {word}" if word == "object" else word if word == "text" else f"a {word}"
