"""Rule files held against the tracking plan: every condition and value, at its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from triggerfish.consent import EVENTS as CONSENT_EVENTS
from triggerfish.plan import TYPES, Field, Plan, article, type_of
from triggerfish.rulefile.format import (
    ComputedForm,
    ConditionForm,
    FileForm,
    PropertyForm,
    RuleForm,
    StopForm,
    WaitUntilForm,
)
from triggerfish.rulefile.grammar import Fault, Faulty, parse
from triggerfish.rulefile.marks import Marks, Path
from triggerfish.rulefile.plan import File, check_plan
from triggerfish.rulefile.plan_terms import Fields, Known, Terms
from triggerfish.rulefile.problems import Problem, nearest, quote

_DATE = re.compile(r"\s*date\s+traits\.(\w+)\s*")
_TEXTS = ("key", "once_per")
"""Keys of a rule whose text is a value, if it is one."""


def check_types(files: Sequence[File], plan: Plan, short_names: Mapping[str, str]) -> list[Problem]:
    """All that is wrong with the plan, and with what the files say by the plan."""
    problems = list(check_plan(files))
    if not plan.traits and not any(event.properties for event in plan.events.values()):
        return problems
    set_traits = frozenset(name for form, _ in files for name in _set_in(form.rules))
    known = Known(plan, short_names, set_traits=set_traits)
    for form, marks in files:
        walk = _Walk(known, marks)
        walk.file(form)
        problems += walk.problems
    return list(dict.fromkeys(problems))


def fields_of(plan: Plan, names: Sequence[str]) -> Fields:
    """The properties of these events (own names) together; None when one of them is not planned. What they say
    differently of one property is not said.
    """
    if not names:
        return None
    merged: dict[str, Field] = {}
    for name in names:
        planned = plan.events.get(name)
        fields = planned.properties if planned is not None else _OURS.get(name)
        if not fields:
            return None
        for each, field in fields.items():
            merged[each] = field if each not in merged else _both(merged[each], field)
    return merged


_OURS: Mapping[str, Mapping[str, Field]] = {
    name: {"segment": Field("text")} for name in ("segment.entered", "segment.left")
} | {name: {"purpose": Field("text"), "source": Field("text")} for name in CONSENT_EVENTS.values()}


def _both(one: Field, other: Field) -> Field:
    allowed = tuple(dict.fromkeys((*one.allowed, *other.allowed))) if one.allowed and other.allowed else ()
    return Field(one.type if one.type == other.type else None, one.required and other.required, allowed)


class _Walk:
    """Walks through one file's forms, whatever they are: a key `when` is a condition, a `{value: …}` a value."""

    def __init__(self, known: Known, marks: Marks) -> None:
        self.known = known
        self.marks = marks
        self.problems: list[Problem] = []

    def file(self, form: FileForm) -> None:
        for name in ("segments", "define"):
            self.any(getattr(form, name, None), (name,), self.known)
        for place, rule in enumerate(form.rules):
            self.rule(rule, ("rules", place))

    def rule(self, rule: RuleForm, path: Path) -> None:
        found = _DATE.fullmatch(rule.on) if isinstance(rule.on, str) else None
        traits = self.known.plan.traits
        if found and traits and found[1] not in traits and found[1] not in self.known.set_traits:
            sentence = f"no trait {quote(found[1])} is planned"
            hint = nearest(found[1], traits) or "add it to the plan"
            self.report((*path, "on"), Fault("TF606", sentence, found.start(1), len(found[1]), hint), is_warning=True)
        known = self.of_event(rule.on)
        for key in _TEXTS:
            text = getattr(rule, key, None)
            if isinstance(text, str):
                self.text(text, (*path, key), known, is_truth=False)
        self.struct(rule, path, known)

    def of_event(self, on: str | Sequence[str]) -> Known:
        """What is known where one of these events is the triggering one."""
        written = [on] if isinstance(on, str) else list(on)
        names = [self.known.short_names.get(name, name) for name in written]
        return replace(self.known, event=fields_of(self.known.plan, names), events=tuple(names))

    def any(self, value: Any, path: Path, known: Known) -> None:
        match value:
            case ConditionForm():
                for word in ("all", "any", "none"):
                    for place, part in enumerate(getattr(value, word) or ()):
                        self.condition(part, (*path, word, place), known)
            case ComputedForm():
                self.text(value.value, (*path, "value"), known, is_truth=False)
            case WaitUntilForm() | StopForm():
                inner = self.of_event(value.on) if value.on else replace(known, event=None)
                self.condition(value.when, (*path, "when"), inner)
                self.any(getattr(value, "otherwise", None), (*path, "otherwise"), known)
            case Struct():
                self.struct(value, path, known)
            case list():
                for place, item in enumerate(value):
                    self.any(item, (*path, place), known)
            case dict():
                for key, item in value.items():
                    look = self.defined if path == ("define",) else self.any
                    look(item, (*path, key), known)

    def struct(self, form: Struct, path: Path, known: Known) -> None:
        for field in _fields(type(form)):
            value = getattr(form, field.name)
            at = (*path, field.encode_name)
            if field.encode_name == "when":
                self.condition(value, at, known)
            elif field.encode_name == "set" and isinstance(value, dict):
                self.values(value, at, known, self.known.plan.traits, "")
            elif field.encode_name == "properties" and isinstance(value, dict):
                own, fields = known.properties_of(getattr(form, "emit", None) or "")
                self.values(value, at, known, fields or {}, f" of {quote(own)}")
            elif value and not isinstance(value, str | int):
                self.any(value, at, known)

    def defined(self, value: Any, path: Path, known: Known) -> None:
        """A definition: a condition, perhaps of one text; or a list, which says nothing by itself."""
        if isinstance(value, str | ConditionForm):
            self.condition(value, path, known)

    def condition(self, form: str | ConditionForm | None, path: Path, known: Known) -> None:
        if isinstance(form, str):
            self.text(form, path, known, is_truth=path[:1] != ("define",))
        elif form is not None:
            self.any(form, path, known)

    def values(self, values: Mapping[str, Any], path: Path, known: Known, fields: Mapping[str, Field], of: str) -> None:
        """What a rule sets or emits, held against what is planned."""
        for name, value in values.items():
            field = fields.get(name)
            at = (*path, name)
            if isinstance(value, ComputedForm):
                found = self.text(value.value, (*at, "value"), known, is_truth=False)
                if field is not None and found not in (None, field.type) and field.type is not None:
                    sentence = (
                        f"{value.value} is {article(found or '')}, and {quote(name)}{of} is {article(field.type)}"
                    )
                    self.report((*at, "value"), Fault("TF604", sentence, 0, len(value.value)))
            elif field is not None and value is not None:
                self.constant(name, value, at, field, of)

    def constant(self, name: str, value: Any, path: Path, field: Field, of: str) -> None:
        if field.type is not None and type(value) not in TYPES[field.type]:
            sentence = f"this is {type_of(value)}, and {quote(name)}{of} is {article(field.type)} by the plan"
            self.problems.append(self.marks.problem(path, "TF604", sentence))
        elif field.allowed and value not in field.allowed:
            texts = [known for known in field.allowed if isinstance(known, str)]
            hint = nearest(str(value), texts) or f"it may be {', '.join(str(known) for known in field.allowed[:8])}"
            sentence = f"by the plan {quote(name)}{of} is never this"
            self.problems.append(self.marks.problem(path, "TF605", sentence, hint=hint))

    def text(self, text: str, path: Path, known: Known, *, is_truth: bool = True) -> str | None:
        """Look through one text, and say of which type it is, if that is known. A text that cannot be read is told of
        elsewhere.
        """
        try:
            node = parse(text)
        except Faulty:
            return None
        terms = Terms(known, text)
        if is_truth:
            terms.truth(node)
        part = None if is_truth else terms.look(node)
        for fault in terms.faults:
            self.report(path, fault)
        for fault in terms.warnings:
            self.report(path, fault, is_warning=True)
        return part.type if part is not None else None

    def report(self, path: Path, fault: Fault, *, is_warning: bool = False) -> None:
        self.problems.append(
            self.marks.problem(
                path, fault.code, fault.sentence, hint=fault.hint, offset=fault.offset, width=fault.width,
                is_warning=is_warning,
            )
        )  # fmt: skip


def _set_in(value: Any) -> Iterator[str]:
    """The traits that rules set, wherever in these forms."""
    if isinstance(value, Struct) and not isinstance(value, ConditionForm | PropertyForm):
        for field in _fields(type(value)):
            inner = getattr(value, field.name)
            if field.encode_name == "set" and isinstance(inner, dict):
                yield from inner
            else:
                yield from _set_in(inner)
    elif isinstance(value, list):
        for item in value:
            yield from _set_in(item)


@cache
def _fields(form: type[Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """A form's fields; msgspec works them out anew each time, which takes longer than all the rest."""
    return msgspec.structs.fields(form)
