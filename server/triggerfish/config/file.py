"""Reads triggerfish.toml. Every problem is found at once, and each is shown at its line and column.

TF401  the file is missing, unreadable or no TOML        TF404  a key is missing
TF402  a key that Triggerfish does not know              TF405  an environment variable is missing
TF403  a value of the wrong kind or out of its bounds
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import FieldInfo

from triggerfish.config.marks import KeyPath, Mark, Place, find_places
from triggerfish.config.secret import PluginTable, Secret
from triggerfish.config.settings import SETTINGS_FILE, Settings
from triggerfish.errors import SettingsWrong
from triggerfish.rulefile.problems import Problem, nearest

LARGEST_FILE_BYTES = 256 * 1024
DEEPEST = 16


def load_settings(workspace: Path, environ: Mapping[str, str]) -> Settings:
    """The settings of the workspace in this folder; `${NAME}` inside a text becomes `environ["NAME"]`.

    Raises SettingsWrong with all problems of the file, each with its line and column.
    """
    text = _read_text(workspace / SETTINGS_FILE)
    table = _parse(text)
    check = _Check(text, environ)
    table = check.fill_in(table)
    check.go_through(Settings, table, except_for="workspace")
    if check.problems:
        raise _settings_wrong(check.problems)
    return msgspec.convert(table | {"workspace": workspace.absolute()}, Settings, dec_hook=_decode_own)


def _read_text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        hint = 'name the folder of a workspace, or make one with "triggerfish new"'
        raise SettingsWrong(f"there is no {file}", code="TF401", hint=hint) from None
    except OSError as error:
        raise SettingsWrong(f"{file} cannot be read: {error.strerror}", code="TF401") from error
    if len(content) > LARGEST_FILE_BYTES:
        raise SettingsWrong(f"{file} is larger than {LARGEST_FILE_BYTES // 1024} KB", code="TF401")
    try:
        return content.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SettingsWrong(f"{file}:{line} is not UTF-8 text", code="TF401") from error


def _parse(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        line, column, sentence = 0, 0, "this is nested too deeply"
    except tomllib.TOMLDecodeError as error:
        what, _, where = str(error).partition(" (at ")
        place = re.match(r"line (\d+), column (\d+)", where)
        line, column = (int(place[1]), int(place[2])) if place else (text.count("\n") + 1, 1)
        sentence = f"this is no TOML: {what[:1].lower()}{what[1:]}"
    raise _settings_wrong([Problem(path=SETTINGS_FILE, line=line, column=column, code="TF401", sentence=sentence)])


def _settings_wrong(problems: list[Problem]) -> SettingsWrong:
    count = len(problems)
    shown = "\n".join(problem.render() for problem in sorted(problems))
    return SettingsWrong(f"{SETTINGS_FILE} has {count} problem{'s' if count != 1 else ''}\n{shown}")


def _decode_own(kind: type, value: object) -> object:
    """msgspec's hook for the types that it does not know."""
    if issubclass(kind, Secret) and isinstance(value, str):
        if len(value) < kind.shortest:
            raise ValueError("too short")
        return kind(value)
    if kind is PluginTable and isinstance(value, dict):
        return PluginTable(value)
    if kind is Path and isinstance(value, Path):
        return value
    raise ValueError(f"no {kind.__name__}")


_VARIABLE = re.compile(r"\$\{([^}]*)\}?")


class _Check:
    """Goes through a parsed file and notes every problem at its place."""

    def __init__(self, text: str, environ: Mapping[str, str]) -> None:
        self.problems: list[Problem] = []
        self._lines = text.split("\n")
        self._places: dict[KeyPath, Place] = find_places(text)
        self._environ = environ
        self._filled: set[KeyPath] = set()
        self._unfilled: set[KeyPath] = set()

    def fill_in(self, table: dict[str, Any], at: KeyPath = ()) -> dict[str, Any]:
        """The table with the environment's values in place of each `${NAME}`."""
        return {name: self._fill(value, (*at, name)) for name, value in table.items()}

    def _fill(self, value: Any, at: KeyPath) -> Any:
        if len(at) > DEEPEST:
            self._note(at, "TF401", "this is nested too deeply", f"{DEEPEST} levels are the limit")
            return value
        if isinstance(value, dict):
            return self.fill_in(value, at)
        if isinstance(value, list):
            return [self._fill(item, (*at, index)) for index, item in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value

        def look_up(found: re.Match[str]) -> str:
            name = found[1]
            if not found[0].endswith("}") or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                self._note(at, "TF405", f'"{found[0]}" names no environment variable', "write it like ${NAME}")
            elif name not in self._environ:
                self._note(
                    at, "TF405", f"the environment variable {name} is not set", "set it, or write the value here"
                )
            else:
                self._filled.add(at)
                return self._environ[name]
            self._unfilled.add(at)
            return ""

        return _VARIABLE.sub(look_up, value)

    def go_through(self, kind: type[Struct], table: dict[str, Any], at: KeyPath = (), *, except_for: str = "") -> None:
        """Note what `kind` would not take of the table, key by key."""
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind) if field.name != except_for}
        for name in table.keys() - fields.keys():
            where = f"[{'.'.join(map(str, at))}]" if at else "the settings"
            self._note((*at, name), "TF402", f'unknown key "{name}" in {where}', nearest(name, fields), on_key=True)
        for name, field in fields.items():
            if name not in table:
                if field.required:
                    self._note_missing(name, at, field)
            elif isinstance(field.type, type) and issubclass(field.type, Struct):
                self._go_into(name, field.type, table[name], (*at, name))
            elif (kind_of_each := _kind_of_tables(field.type)) is not None and isinstance(table[name], dict):
                for each, inner in table[name].items():
                    self._go_into(each, kind_of_each, inner, (*at, name, each))
            else:
                self._try_value(name, field, table, (*at, name))

    def _go_into(self, name: str, kind: type[Struct], value: object, at: KeyPath) -> None:
        if isinstance(value, dict):
            self.go_through(kind, value, at)
        else:
            self._note(at, "TF403", f'"{name}" must be a table', f"write [{name}] on a line of its own, its keys below")

    def _try_value(self, name: str, field: FieldInfo, table: dict[str, Any], at: KeyPath) -> None:
        if any(path[: len(at)] == at for path in self._unfilled):
            return
        try:
            # A number can only come from the environment as text.
            table[name] = msgspec.convert(table[name], field.type, strict=at not in self._filled, dec_hook=_decode_own)
        except msgspec.ValidationError:
            self._note(at, "TF403", f'"{name}" must be {_say_expected(field)}')

    def _note_missing(self, name: str, at: KeyPath, field: FieldInfo) -> None:
        if isinstance(field.type, type) and issubclass(field.type, Struct):
            needed = ", ".join(inner.encode_name for inner in msgspec.structs.fields(field.type) if inner.required)
            self._note(at, "TF404", f"[{name}] is missing", f"it needs {needed}")
        else:
            self._note(at, "TF404", f'"{name}" is missing', f"it must be {_say_expected(field)}")

    def _note(self, at: KeyPath, code: str, sentence: str, hint: str = "", *, on_key: bool = False) -> None:
        place = self._places.get(at)
        mark = Mark(0, 0, 1) if place is None else place.key if on_key else place.value
        source = self._lines[mark.line - 1] if mark.line else ""
        # Keys and a plugin's passwords must not end up in a journal: there the place is enough. They may also stand
        # where they do not belong, so of an unknown key the value is not shown.
        if at and at[0] in ("keys", "plugins"):
            source = ""
        elif on_key:
            source = source[: mark.column - 1 + mark.width]
        problem = Problem(
            path=SETTINGS_FILE,
            line=mark.line,
            column=mark.column,
            width=mark.width,
            code=code,
            sentence=sentence,
            hint=hint,
            source=source,
        )
        self.problems.append(problem)


def _kind_of_tables(kind: Any) -> type[Struct] | None:
    """What each table is, of a field that is made of tables with names."""
    kind = kind.__origin__ if get_origin(kind) is Annotated else kind
    inner = get_args(kind)[1] if get_origin(kind) is dict else None
    return inner if isinstance(inner, type) and issubclass(inner, Struct) else None


def _say_expected(field: FieldInfo) -> str:
    for extra in getattr(field.type, "__metadata__", ()):
        if isinstance(extra, Meta) and extra.description:
            return extra.description
    return "one of " + ", ".join(f'"{choice}"' for choice in get_args(field.type))
