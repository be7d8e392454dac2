"""What stored events say about themselves: of which types their properties are, how often they are there, which values.

One look at each event; memory is bounded by the numbers below, whatever the log holds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from triggerfish.clock import Instant
from triggerfish.ingest import Event
from triggerfish.plan import TYPES, Field, Type, looks_personal

MOST_EVENTS = 300
MOST_FIELDS = 100
"""Of one event, or of traits."""
MOST_VALUES = 10
"""Different values up to which they are taken for the only ones."""
LONGEST_VALUE = 40
ENOUGH = 30
"""Times that something is seen before "always" or "only" is said of it."""
NEARLY_ALL = 0.99

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_ADDRESS = re.compile(r"\d{1,3}(\.\d{1,3}){3}")


class Seen(Struct):
    """One property or trait. `values` is None once there were more than MOST_VALUES."""

    count: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    values: Counter[str] | None = field(default_factory=Counter)
    personal: int = 0

    def add(self, value: Any) -> None:
        self.count += 1
        kind = next((word for word, types in TYPES.items() if type(value) in types), "object")
        self.kinds[kind] += 1
        if kind != "text":
            return
        if self.values is not None:
            if len(value) > LONGEST_VALUE or (value not in self.values and len(self.values) >= MOST_VALUES):
                self.values = None
            else:
                self.values[value] += 1
        if _EMAIL.fullmatch(value) or _ADDRESS.fullmatch(value):
            self.personal += 1

    def field(self, name: str, calls: int) -> Field:
        """What may be said of it, when the whole came `calls` times."""
        kind, most = self.kinds.most_common(1)[0]
        is_one_kind = most >= NEARLY_ALL * self.count
        is_personal = looks_personal(name) or self.personal * 2 > self.count
        return Field(
            type=_type(kind) if is_one_kind else None,
            required=self.count == calls and calls >= ENOUGH,
            allowed=self._allowed(name) if is_one_kind and kind == "text" and not is_personal else (),
            sensitivity="personal" if is_personal else "",
        )

    def _allowed(self, name: str) -> tuple[str, ...]:
        if self.values is None or len(self.values) < 2 or name.lower().endswith("id") or len(self.kinds) > 1:
            return ()
        if self.count < max(ENOUGH, 10 * len(self.values)):
            return ()
        return tuple(sorted(self.values))

    def doubt(self) -> str:
        """What a reader should know of the type: `3 of 400 are text`. Empty when all are alike."""
        (_, most), *others = self.kinds.most_common()
        if not others:
            return ""
        said = " and ".join(f"{number:,} {kind}" for kind, number in others)
        return f"of {self.count:,}, {self.count - most:,} are of another type than most: {said}"


class SeenEvent(Struct):
    """An event, or the traits of all identify calls. `left_out` counts fields beyond MOST_FIELDS, once a call."""

    calls: int = 0
    fields: dict[str, Seen] = field(default_factory=dict)
    left_out: int = 0

    def add(self, values: Mapping[str, Any]) -> None:
        self.calls += 1
        for name, value in values.items():
            if value is None:
                continue
            seen = self.fields.get(name)
            if seen is None:
                if len(self.fields) >= MOST_FIELDS:
                    self.left_out += 1
                    continue
                seen = self.fields[name] = Seen()
            seen.add(value)


class Observed(Struct):
    """All of it. `left_out` are the track calls of events beyond MOST_EVENTS."""

    events: dict[str, SeenEvent] = field(default_factory=dict)
    traits: SeenEvent = field(default_factory=SeenEvent)
    total: int = 0
    left_out: int = 0
    first: Instant = 0
    last: Instant = 0

    def add(self, event: Event, received_at: Instant) -> None:
        self.total += 1
        self.first = self.first or received_at
        self.last = received_at
        if event.kind == "identify" and event.traits:
            self.traits.add(event.traits)
        elif event.kind == "track":
            seen = self.events.get(event.name)
            if seen is None:
                if len(self.events) >= MOST_EVENTS:
                    self.left_out += 1
                    return
                seen = self.events[event.name] = SeenEvent()
            seen.add(event.properties)


def _type(word: str) -> Type | None:
    return word if word in TYPES else None  # type: ignore[return-value]  # TYPES has exactly the words of Type
