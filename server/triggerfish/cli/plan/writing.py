"""What was observed, as rule files that people go on with."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from triggerfish.cli.plan.observe import Observed, Seen, SeenEvent
from triggerfish.clock import to_iso
from triggerfish.plan import Field
from triggerfish.rulefile.check import KINDS, SEGMENT_EVENTS
from triggerfish.rulefile.format import EventForm, PlanForm, PropertyForm

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?: [A-Za-z0-9_]+)*")
_NOT_PLAIN = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


class Known(Struct):
    """What the rule files say: in the files that are written anew (`events`, `traits`, `plan`), and elsewhere."""

    events: dict[str, str | EventForm] = field(default_factory=dict)
    traits: dict[str, str | PropertyForm] = field(default_factory=dict)
    plan: PlanForm | None = None
    taken: dict[str, str] = field(default_factory=dict)
    taken_traits: set[str] = field(default_factory=set)
    has_plan_elsewhere: bool = False


def events_text(observed: Observed, known: Known) -> str:
    """events.yaml. Events that other files plan are left to those; those that are known and never came are kept."""
    lines = [*_head(observed, "events"), ""]
    if not known.has_plan_elsewhere:
        lines += ["plan:", *(f"  {key}: {value}" for key, value in _plan(known.plan)), ""]
    lines.append("events:")
    before = len(lines)
    shorts = _short_names(observed, known)
    for name, short in shorts.items():
        seen = observed.events.get(name, SeenEvent())
        said = known.events.get(short)
        description = said.description if isinstance(said, EventForm) else ""
        lines += _event(short, name, seen, description)
    return "\n".join(lines) + "\n" if len(lines) > before else ""


def traits_text(observed: Observed, known: Known) -> str:
    """traits.yaml."""
    fields = {name: seen for name, seen in observed.traits.fields.items() if name not in known.taken_traits}
    if not fields:
        return ""
    lines = [*_head(observed, "traits"), "", "traits:"]
    lines += _fields(fields, observed.traits.calls, "  ")
    return "\n".join(lines) + "\n"


def short_name(name: str, taken: Mapping[str, object] | set[str]) -> str:
    """A name that rules can write without quotes: `order_completed`; with a number when it is taken."""
    made = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").lower()[:56].strip("_") or "event"
    made = made if made[0].isalpha() else f"e_{made}"
    made = f"{made}_event" if made in (*KINDS, *SEGMENT_EVENTS) else made
    number, free = 2, made
    while free in taken:
        number, free = number + 1, f"{made}_{number}"
    return free


def _short_names(observed: Observed, known: Known) -> dict[str, str]:
    """Every event that is written, by its own name: those that are known first, in their order, then by frequency."""
    own = {short: event if isinstance(event, str) else event.name for short, event in known.events.items()}
    shorts = {name: short for short, name in reversed(own.items()) if short not in known.taken}
    shorts = dict(reversed(shorts.items()))
    elsewhere = set(known.taken.values())
    taken = {*own, *known.taken}
    for name, _ in sorted(observed.events.items(), key=lambda item: (-item[1].calls, item[0])):
        if name not in shorts and name not in elsewhere and 0 < len(name) <= 200 and name.isprintable():
            shorts[name] = short_name(name, taken)
            taken.add(shorts[name])
    return shorts


def _head(observed: Observed, what: str) -> list[str]:
    if not observed.total:
        return [f"# A first plan of {what}: nothing was stored yet when triggerfish plan infer wrote this."]
    span = f"{to_iso(observed.first)[:10]} to {to_iso(observed.last)[:10]}"
    return [
        f"# A first plan of {what}: triggerfish plan infer wrote it from {observed.total:,} stored events, {span}.",
        "# It says what was so until now, which is not always what must be so: look through it.",
    ]


def _plan(said: PlanForm | None) -> Iterator[tuple[str, str]]:
    form = said or PlanForm(on_violation="warn")
    yield "on_violation", form.on_violation
    if form.traits is not None:
        yield "traits", form.traits
    for key, value in (("unknown_events", form.unknown_events), ("unknown_properties", form.unknown_properties)):
        if value != "allow":
            yield key, value


def _event(short: str, name: str, seen: SeenEvent, description: str) -> Iterator[str]:
    if not seen.fields and not description:
        yield f"  {_text(short)}: {_text(name)}"
        return
    yield f"  {_text(short)}:"
    yield f"    name: {_text(name)}"
    if description:
        yield f"    description: {_text(description)}"
    if seen.fields:
        yield "    properties:"
        yield from _fields(seen.fields, seen.calls, "      ")
    if seen.left_out:
        yield "      # It has more properties than are listed here."


def _fields(fields: Mapping[str, Seen], calls: int, indent: str) -> Iterator[str]:
    for name, seen in sorted(fields.items()):
        if not 0 < len(name) <= 512 or not name.isprintable():
            continue
        if doubt := seen.doubt():
            yield f"{indent}# {doubt}"
        yield f"{indent}{_text(name)}: {_field(seen.field(name, calls))}"


def _field(made: Field) -> str:
    said = []
    if made.type:
        said.append(f"type: {made.type}")
    if made.required:
        said.append("required: true")
    if made.allowed:
        said.append(f"allowed: [{', '.join(_text(value) for value in made.allowed)}]")
    if made.sensitivity:
        said.append(f"sensitivity: {made.sensitivity}")
    if said == [f"type: {made.type}"]:
        return str(made.type)
    return "{" + ", ".join(said) + "}"


def _text(value: object) -> str:
    """A text as YAML: plain where that is safe, else in double quotes, which YAML reads as JSON does."""
    text = str(value)
    return text if _PLAIN.fullmatch(text) and text.lower() not in _NOT_PLAIN else json.dumps(text, ensure_ascii=False)
