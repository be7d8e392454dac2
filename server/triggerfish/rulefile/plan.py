"""Rule files' `events`, `traits` and `plan` as the tracking plan, and what must hold between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from triggerfish.plan import TYPES, Field, Plan, PlannedEvent, article, type_of
from triggerfish.rulefile.format import EventForm, FileForm, PlanForm, PropertyForm
from triggerfish.rulefile.marks import Marks, Path
from triggerfish.rulefile.problems import Problem, quote

File = tuple[FileForm, Marks]


def plan_of(forms: Iterable[FileForm]) -> Plan:
    """The tracking plan of a rulebook. Of what is planned twice (a problem), the first entry that says more counts."""
    forms = list(forms)
    said = next((form.plan for form in forms if form.plan is not None), PlanForm())
    events: dict[str, PlannedEvent] = {}
    traits: dict[str, Field] = {}
    for form in forms:
        for event in form.events.values():
            name = event if isinstance(event, str) else event.name
            if name not in events or not events[name].properties:
                events[name] = _event(event, said)
        for name, trait in form.traits.items():
            traits.setdefault(name, field_of(trait))
    return Plan(events, traits, said.traits or said.on_violation, said.unknown_events, said.unknown_properties)


def field_of(form: str | PropertyForm) -> Field:
    """A property or trait; its form may be a type alone."""
    if not isinstance(form, PropertyForm):
        return Field(form)  # type: ignore[arg-type]  # the form admits nothing but types
    return Field(
        form.type, form.required, tuple(form.allowed or ()), form.sensitivity or "", form.purpose, form.description
    )


def check_plan(files: Sequence[File]) -> Iterator[Problem]:
    """What is wrong with the plan as it is written."""
    plan: tuple[str, int] | None = None
    planned: dict[str, tuple[str, int]] = {}
    traits: dict[str, tuple[str, int]] = {}
    for form, marks in files:
        if form.plan is not None:
            if plan is not None:
                hint = f"the other one is in {plan[0]}, line {plan[1]}; make them one"
                sentence = "a rulebook has one plan, and this is another"
                yield marks.problem(("plan",), "TF600", sentence, hint=hint, at_key=True)
            plan = plan or (marks.path, marks.key_place(("plan",)).line)
        for short, event in form.events.items():
            if isinstance(event, EventForm) and event.properties:
                yield from _twice("event", event.name, planned, marks, ("events", short))
                yield from _check_fields(event.properties, marks, ("events", short, "properties"))
        for name in form.traits:
            yield from _twice("trait", name, traits, marks, ("traits", name))
        yield from _check_fields(form.traits, marks, ("traits",))


def _twice(kind: str, name: str, known: dict[str, tuple[str, int]], marks: Marks, path: Path) -> Iterator[Problem]:
    here = (marks.path, marks.key_place(path).line)
    first = known.setdefault(name, here)
    if first != here:
        hint = f"it is in {first[0]}, line {first[1]}; make the two one"
        yield marks.problem(path, "TF601", f"the {kind} {quote(name)} is planned twice", hint=hint, at_key=True)


def _check_fields(fields: Mapping[str, str | PropertyForm], marks: Marks, path: Path) -> Iterator[Problem]:
    for name, form in fields.items():
        if not isinstance(form, PropertyForm):
            continue
        at = (*path, name)
        for place, value in enumerate(form.allowed or ()):
            if form.type in ("text", "number", "boolean") and type(value) not in TYPES[form.type]:
                sentence = f"{quote(str(value))} is {type_of(value)}, and {quote(name)} is {article(form.type)}"
                hint = "write it in quotes" if form.type == "text" else "change the one or the other"
                yield marks.problem((*at, "allowed", place), "TF602", sentence, hint=hint)
        if form.allowed and form.type == "object":
            sentence = f"{quote(name)} is an object, of which there are no single values to allow"
            yield marks.problem((*at, "allowed"), "TF602", sentence, hint="delete one of the two", at_key=True)
        if form.sensitivity == "special" and not form.purpose:
            sentence = f"{quote(name)} is of a special kind, and nothing says what it is collected for"
            hint = "add  purpose: …  ; without a purpose it should not be collected"
            yield marks.problem((*at, "sensitivity"), "TF603", sentence, hint=hint, is_warning=True)


def _event(form: str | EventForm, said: PlanForm) -> PlannedEvent:
    if not isinstance(form, EventForm):
        return PlannedEvent({}, said.on_violation)
    fields = {name: field_of(field) for name, field in form.properties.items()}
    return PlannedEvent(fields, form.on_violation or said.on_violation)
