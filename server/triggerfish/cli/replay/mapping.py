"""How a file of data becomes events: the mapping, a small YAML file, decoded strictly. Docs: demo/README.md.

A text may name columns in braces: "{user_id}@example.com". That is all that it can do: nothing is evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Table
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, inspect

from triggerfish.clock import Instant, Millis, from_datetime, parse_duration
from triggerfish.errors import Refused, RulebookBroken
from triggerfish.rulefile.decode import Walk
from triggerfish.rulefile.format import Name
from triggerfish.rulefile.marks import Marks
from triggerfish.rulefile.problems import Problem, nearest, quote
from triggerfish.rulefile.reading import SIZE_LIMIT, read_yaml, too_large

Text = Annotated[str, Meta(min_length=1, max_length=1000)]
_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


class NumberForm(Struct, frozen=True, forbid_unknown_fields=True):
    """A value that is a number: `{number: "{price}"}`."""

    number: Text


class PageForm(Struct, frozen=True, forbid_unknown_fields=True):
    """A row that is a page view: `home: {page: Home}`."""

    page: Text


class TimeForm(Struct, frozen=True, forbid_unknown_fields=True):
    """When it happened. `format` is as in strptime, or "seconds" or "milliseconds" since 1970; without it ISO 8601.

    `at` is the time of day for data that has none; rows of one person and time that follow one another are then put
    `apart` from each other. Times are UTC unless they say otherwise.
    """

    text: Text
    format: Text | None = None
    at: str | None = None
    apart: str | None = None


Value = str | int | float | bool | NumberForm


class MappingForm(Struct, frozen=True, forbid_unknown_fields=True):
    """A mapping file. `source` names the data in the ids of its events; `columns` are for files without a first line
    of names; `sort` is for files that are not in order of time; `events` says what the data's events are called.
    A dot in the name of a trait, property or context makes an object: `device.type: "{platform}"`.
    """

    source: Name
    format: Literal["csv", "blank", "jsonl"]
    time: Text | TimeForm
    user: Text
    event: Text
    events: dict[str, Text | PageForm] = {}
    columns: list[Text] = []
    sort: bool = False
    traits: dict[str, Value] = {}
    properties: dict[str, Value] = {}
    context: dict[str, Value] = {}


class MappingBroken(RulebookBroken):
    """A mapping file with problems; all of them are in `problems`."""

    code = "TF440"

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(problems)
        self.sentence = f"the mapping has {len(problems)} problem{'s' if len(problems) != 1 else ''}"


class Template(Struct, frozen=True):
    """A text with columns in it: texts and columns take turns, beginning with a text."""

    texts: tuple[str, ...]
    columns: tuple[str, ...]

    def fill(self, cells: Table[str, Any]) -> Any:
        """The text with the row's values, or None when one is missing. A column by itself keeps its type."""
        if len(self.columns) == 1 and self.texts == ("", ""):
            value = cells.get(self.columns[0])
            return None if value == "" else value
        parts = [self.texts[0]]
        for column, text in zip(self.columns, self.texts[1:], strict=True):
            value = cells.get(column)
            if value is None or value == "":
                return None
            parts += (str(value), text)
        return "".join(parts)


class Number(Struct, frozen=True):
    template: Template

    def fill(self, cells: Table[str, Any]) -> int | float | None:
        """The number that the text says. Raises ValueError when it says none."""
        value = self.template.fill(cells)
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value
        number = float(str(value))
        if not abs(number) < 1e15:
            raise ValueError(f"{value} is no number that can be kept")
        return int(number) if number.is_integer() and "." not in str(value) else number


class Fixed(Struct, frozen=True):
    value: Any

    def fill(self, _: Table[str, Any]) -> Any:
        return self.value


Source = Template | Number | Fixed
Fields = tuple[tuple[tuple[str, ...], Source], ...]


class Time(Struct, frozen=True):
    """How to read when a row happened; `at` is a length of time after midnight."""

    template: Template
    format: str = ""
    at: timedelta | None = None
    apart: Millis = 0

    def read(self, cells: Table[str, Any]) -> Instant:
        """Raises ValueError when the row has no time that can be read."""
        value = self.template.fill(cells)
        if value is None:
            raise ValueError("the row has no time")
        if self.format in ("seconds", "milliseconds"):
            instant = round(float(value) * (1000 if self.format == "seconds" else 1))
        else:
            when = datetime.strptime(str(value), self.format) if self.format else datetime.fromisoformat(str(value))  # noqa: DTZ007 - see the next line
            when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
            if self.at is not None:
                when = when.replace(hour=0, minute=0, second=0, microsecond=0) + self.at
            instant = from_datetime(when)
        if instant < 0:
            raise ValueError(f"{value} is before 1970")
        return instant


class Mapping(Struct, frozen=True):
    """A mapping, ready for use. `columns` in `used` must be in the file."""

    source: str
    format: Literal["csv", "blank", "jsonl"]
    time: Time
    user: Template
    event: Template
    events: dict[str, str | PageForm]
    columns: tuple[str, ...]
    sort: bool
    traits: Fields
    properties: Fields
    context: Fields

    @property
    def used(self) -> frozenset[str]:
        """Every column that some text names; `row`, the row's number, is always there."""
        sources: list[Source] = [self.time.template, self.user, self.event]
        sources += [source for fields in (self.traits, self.properties, self.context) for _, source in fields]
        templates = [source.template if isinstance(source, Number) else source for source in sources]
        return frozenset(
            column for template in templates if isinstance(template, Template) for column in template.columns
        ) - {"row"}


def load_mapping(path: Path) -> Mapping:
    """The mapping in a file. Raises MappingBroken with every problem at its place, and Refused for no file at all."""
    try:
        with path.open("rb") as file:
            raw = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}", code="TF440") from error
    if len(raw) > SIZE_LIMIT:
        raise MappingBroken([too_large(str(path))])
    return read_mapping(raw.decode(errors="replace"), str(path))


def read_mapping(text: str, path: str) -> Mapping:
    """The mapping in a text; `path` is for the problems. Raises MappingBroken."""
    marks, problems = read_yaml(text, path)
    if marks.is_readable:
        problems += Walk(marks).problems_of(inspect.type_info(MappingForm))
    if problems:
        raise MappingBroken(problems)
    form = msgspec.convert(marks.data, MappingForm)
    compiler = _Compiler(marks)
    mapping = compiler.mapping(form)
    if compiler.problems:
        raise MappingBroken(compiler.problems)
    return mapping


class _Compiler:
    """Turns a form into a Mapping, and collects what is wrong with its texts."""

    def __init__(self, marks: Marks) -> None:
        self.marks = marks
        self.problems: list[Problem] = []

    def mapping(self, form: MappingForm) -> Mapping:
        mapping = Mapping(
            source=form.source,
            format=form.format,
            time=self.time(form.time),
            user=self.template(form.user, ("user",)),
            event=self.template(form.event, ("event",)),
            events=form.events,
            columns=tuple(form.columns),
            sort=form.sort,
            traits=self.fields(form.traits, ("traits",)),
            properties=self.fields(form.properties, ("properties",)),
            context=self.fields(form.context, ("context",)),
        )
        if not mapping.user.columns:
            self.report(("user",), "every row would be the same person", 'name a column, as in  "{user_id}"')
        if form.columns and form.format == "jsonl":
            self.report(("columns",), "JSON lines name their columns themselves", "delete it")
        return mapping

    def report(self, path: tuple[str | int, ...], sentence: str, hint: str = "", *, offset: int | None = None) -> None:
        self.problems.append(self.marks.problem(path, "TF440", sentence, hint=hint, offset=offset))

    def time(self, form: str | TimeForm) -> Time:
        if isinstance(form, str):
            return Time(self.template(form, ("time",)))
        at, apart = None, 0
        if form.at is not None:
            clock = _CLOCK.fullmatch(form.at)
            if clock is None:
                self.report(("time", "at"), f"{quote(form.at)} is no time of day", 'write it like "12:00"')
            else:
                at = timedelta(hours=int(clock[1]), minutes=int(clock[2]))
        if form.apart is not None:
            try:
                apart = parse_duration(form.apart)
            except ValueError as error:
                self.report(("time", "apart"), str(error))
        return Time(self.template(form.text, ("time", "text")), form.format or "", at, apart)

    def fields(self, table: Table[str, Any], path: tuple[str | int, ...]) -> Fields:
        found: list[tuple[tuple[str, ...], Source]] = []
        for name, value in table.items():
            source: Source = Fixed(value)
            if isinstance(value, NumberForm):
                source = Number(self.template(value.number, (*path, name, "number")))
            elif isinstance(value, str):
                source = self.template(value, (*path, name))
            names = tuple(name.split("."))
            if any(names[: len(held)] == held or held[: len(names)] == names for held, _ in found):
                self.report((*path, name), f"{quote(name)} is both a value and an object")
            found.append((names, source))
        return tuple(found)

    def template(self, text: str, path: tuple[str | int, ...]) -> Template:
        texts, columns, at = [""], [], 0
        for part in _PART.finditer(text):
            texts[-1] += text[at : part.start()]
            at = part.end()
            if part[0] in ("{{", "}}"):
                texts[-1] += part[0][0]
            elif part[1] is None:
                hint = f'write "{part[0]}{part[0]}" if the brace itself is meant'
                self.report(path, f'"{part[0]}" stands alone', hint, offset=part.start())
            elif not part[1].strip():
                self.report(path, "no column is named in these braces", 'as in  "{user_id}"', offset=part.start())
            else:
                columns.append(part[1].strip())
                texts.append("")
        texts[-1] += text[at:]
        return Template(tuple(texts), tuple(columns))


def check_columns(mapping: Mapping, columns: list[str], path: str) -> None:
    """Raises Refused (TF441) when the mapping names a column that the file does not have."""
    for column in sorted(mapping.used - {*columns}):
        hint = nearest(column, columns) or f"its columns are {', '.join(columns[:20])}"
        raise Refused(f'{path} has no column "{column}", which the mapping names', code="TF441", hint=hint)
