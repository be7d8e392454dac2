"""Plain data to forms: every departure from format.py, each at its place and with what to write instead.

msgspec stops at the first fault, so the data is walked here along the same types (`msgspec.inspect`); what the walk
admits, msgspec then converts.
"""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

import msgspec
from msgspec import inspect

from triggerfish.rulefile.format import (
    DEFINED_PATTERN,
    NAME_PATTERN,
    ActionForm,
    ConditionForm,
    DefinitionForm,
    FileForm,
    RuleForm,
    StepForm,
)
from triggerfish.rulefile.forms import STEP_VERBS, VERBS
from triggerfish.rulefile.marks import Marks, Path
from triggerfish.rulefile.problems import Problem, nearest, quote
from triggerfish.rulefile.reading import PROBLEM_LIMIT, UNREAD, read_yaml
from triggerfish.rulefile.words import EXAMPLES, choice, expected, given, noun

_FILE = inspect.type_info(FileForm)
_PLACE_IN_ERROR = re.compile(r"\.(\w+)|\[(\d+)\]")


def decode_file(text: str, path: str) -> tuple[FileForm | None, Marks, list[Problem]]:
    """A rule file as a FileForm, or None, and all that is wrong with its YAML and its keys and values.

    Where nothing but unknown keys within rules, segments and the like is wrong, the form is that without them, so that
    the rest can be checked as well.
    What is between files (names used twice, …) is not looked at here, nor what conditions say.
    """
    marks, problems = read_yaml(text, path)
    walk = Walk(marks)
    if marks.is_readable:
        problems = sorted(problems + walk.problems_of(_FILE))
    if len(problems) >= PROBLEM_LIMIT:
        last = problems[PROBLEM_LIMIT - 1]
        sentence = f"only the first {PROBLEM_LIMIT} problems of this file are shown"
        notice = Problem(path=path, line=last.line, column=last.column, code="TF224", sentence=sentence)
        return None, marks, [*problems[:PROBLEM_LIMIT], notice]
    if len(problems) > len(walk.unknown) or any(len(at) == 1 for at in walk.unknown):
        return None, marks, problems
    try:
        return msgspec.convert(_without(marks.data, walk.unknown), FileForm), marks, problems
    except msgspec.ValidationError as error:
        if problems:  # the unknown key is a needed one, misspelt
            return None, marks, problems
        what, _, where = str(error).rpartition(" - at `$")
        at = tuple(int(step[1]) if step[1] else step[0] for step in _PLACE_IN_ERROR.findall(where))
        return None, marks, [marks.problem(at, "TF225", f"this value does not fit: {what or error}")]


def _without(data: Any, unknown: list[Path]) -> Any:
    """A copy of plain data that lacks the keys at these paths."""
    if not unknown:
        return data
    copy = deepcopy(data)
    for path in unknown:
        at = copy
        for step in path[:-1]:
            at = at[step]
        del at[path[-1]]
    return copy


class Walk:
    """Holds data against types, and notes what does not fit."""

    def __init__(self, marks: Marks) -> None:
        self.marks = marks
        self.problems: list[Problem] = []
        self.unknown: list[Path] = []

    def problems_of(self, type_: inspect.Type) -> list[Problem]:
        self.value(type_, self.marks.data, ())
        return self.problems

    def report(self, path: Path, code: str, sentence: str, *, hint: str = "", at_key: bool = False) -> None:
        self.problems.append(self.marks.problem(path, code, sentence, hint=hint, at_key=at_key))

    def value(self, type_: inspect.Type, value: Any, path: Path) -> None:
        if value is UNREAD or len(self.problems) >= PROBLEM_LIMIT:
            return
        fitting = _fitting(type_, value)
        match fitting:
            case None:
                self.wrong_type(type_, value, path)
            case inspect.StructType():
                self.struct(fitting, value, path)
            case inspect.DictType():
                for key, item in value.items():
                    self.text(fitting.key_type, key, (*path, key), at_key=True)
                    self.value(fitting.value_type, item, (*path, key))
            case inspect.ListType():
                if not value and fitting.min_length:
                    self.report(path, "TF221", f"{_called(path)} is empty", hint=_example(path))
                for index, item in enumerate(value):
                    self.value(fitting.item_type, item, (*path, index))
            case inspect.StrType():
                self.text(fitting, value, path)
            case inspect.IntType():
                if (fitting.ge is not None and value < fitting.ge) or (fitting.le is not None and value > fitting.le):
                    hint = f"from {fitting.ge:,} to {fitting.le:,}"
                    self.report(path, "TF218", f"{_called(path)} is out of range", hint=hint)
            case inspect.LiteralType():
                if value not in fitting.values:
                    sentence = f"{_called(path)} is {choice(fitting.values)}, not {quote(value)}"
                    self.report(path, "TF219", sentence, hint=nearest(value, map(str, fitting.values)))

    def struct(self, type_: inspect.StructType, value: dict[str, Any], path: Path) -> None:
        fields = {field.encode_name: field for field in type_.fields}
        kind = noun(type_.cls)
        unknown = [key for key in value if key not in fields]
        for key in unknown[:PROBLEM_LIMIT]:
            self.unknown.append((*path, key))
            self.report(
                (*path, key), "TF214", f"unknown key {quote(key)} in {kind}", hint=_known(key, fields), at_key=True
            )
        for key, field in fields.items():
            if key in value:
                if value[key] is None:
                    sentence = f"the key {quote(key)} has no value"
                    hint = "write one, or delete the key" if not field.required else _example((key,))
                    self.report((*path, key), "TF221", sentence, hint=hint, at_key=True)
                else:
                    self.value(field.type, value[key], (*path, key))
            elif field.required and not _resembles(key, unknown):
                self.report(path, "TF215", f"{kind} needs {quote(key)}", hint=_example((key,)))
        if type_.cls in (ActionForm, StepForm) and not unknown:
            self.action(value, path, "an action" if type_.cls is ActionForm else "a step")
        if type_.cls is RuleForm:
            self.rule(value, path, unknown)
        if type_.cls is ConditionForm and not value:
            self.report(path, "TF221", "this condition is empty", hint="give it all, any or none, each with a list")
        if type_.cls is DefinitionForm and not value:
            self.report(path, "TF221", "this definition is empty", hint="write a condition, a list, or {file: x.txt}")

    def rule(self, value: dict[str, Any], path: Path, unknown: list[str]) -> None:
        if "then" in value and "steps" in value:
            hint = "then acts at once or after one wait; steps make it a journey"
            self.report((*path, "steps"), "TF280", "a rule has then or steps, not both", hint=hint, at_key=True)
        elif not {"then", "steps"} & value.keys() and not any(_resembles(key, unknown) for key in ("then", "steps")):
            self.report(path, "TF215", 'a rule needs "then", or "steps" to be a journey', hint=_example(("then",)))

    def action(self, value: dict[str, Any], path: Path, kind: str) -> None:
        known = VERBS if kind == "an action" else STEP_VERBS
        verbs = [verb for verb in known if verb in value]
        if not verbs:
            listed = f"{', '.join(known[:-1])} and {known[-1]}"
            self.report(path, "TF220", f"{kind} needs one of {listed}", hint="send: cart-reminder")
        for verb in verbs[1:]:
            sentence = f"{kind} does one thing, and this one does {' and '.join(verbs)}"
            hint = f'begin another one with "- {verb}:"'
            self.report((*path, verb), "TF220", sentence, hint=hint, at_key=True)
        for key, verb in (("properties", "emit"), ("with", "call"), ("at", "send"), ("within", "send")):
            if key in value and verb not in value:
                hint = "a template reads the triggering event's own properties" if "send" in value else "delete it"
                self.report((*path, key), "TF222", f'"{key}" goes with {verb} only', hint=hint, at_key=True)

    def text(self, type_: inspect.Type, value: str, path: Path, *, at_key: bool = False) -> None:
        if not isinstance(type_, inspect.StrType):
            return
        if type_.pattern is not None and not re.search(type_.pattern, value):
            if type_.pattern == DEFINED_PATTERN:
                sentence = f"{quote(value)} is no name that can be used in conditions"
                hint = "letters, digits and _, and no digit first, as in  big_spender"
            elif type_.pattern == NAME_PATTERN:
                sentence = f"{quote(value)} is no name that can be used here"
                hint = "1 to 64 of a-z, A-Z, 0-9, space and _ . -; a letter or digit first, no space last"
            else:
                sentence, hint = f"{quote(value)} is not of the form that is needed here", type_.pattern
            self.report(path, "TF217", sentence, hint=hint, at_key=at_key)
        elif type_.min_length is not None and len(value) < type_.min_length:
            self.report(path, "TF221", f"{_called(path)} is empty text", hint=_example(path), at_key=at_key)
        elif type_.max_length is not None and len(value) > type_.max_length:
            sentence = f"{_called(path)} is longer than {type_.max_length} characters"
            self.report(path, "TF218", sentence, at_key=at_key)

    def wrong_type(self, type_: inspect.Type, value: Any, path: Path) -> None:
        if not path:
            hint = "such as  segments:  or  ruleset:"
            self.report(path, "TF216", f"a rule file is keys with values, and this is {given(value)}", hint=hint)
            return
        sentence = f"{_called(path)} is {expected(type_)}, not {given(value)}"
        self.report(path, "TF216", sentence, hint=self.way_to_type(type_, value, path))

    def way_to_type(self, type_: inspect.Type, value: Any, path: Path) -> str:
        """What to do about a value of the wrong type, if that is plain."""
        takes_text = _fitting(type_, "") is not None
        if isinstance(value, str):
            if _fitting(type_, 1) and re.fullmatch(r"[-+]?\d{1,18}", value):
                return "take the quotes away"
            if _fitting(type_, True):
                return _TRUTHS.get(value.lower(), "write true or false, without quotes")
        if takes_text and isinstance(value, int | float):
            if path[-1] in _WITH_UNITS:
                return _example(path)
            return f'if text is meant, put quotes around it: "{self.marks.written(path)}"'
        if _fitting(type_, []) and not takes_text:
            return 'begin each item with "- " in a line of its own'
        if isinstance(value, list) and _fitting(type_, {}) and not takes_text:
            return 'take the "- " away'
        return _example(path)


_WITH_UNITS = (
    "wait", "cooldown", "max_age", "within", "before", "after", "at_most", "again", "window", "defer_at_most",
)  # fmt: skip
_TRUTHS = {"yes": "write true", "on": "write true", "no": "write false", "off": "write false"}


def _fitting(type_: inspect.Type, value: Any) -> inspect.Type | None:
    """The type itself, or the one of a union's, that takes values of this kind; None if there is none."""
    options = type_.types if isinstance(type_, inspect.UnionType) else (type_,)
    for option in options:
        takes = _TAKES.get(type(option), ())
        if type(value) in takes:
            return option
    return None


_TAKES: dict[type[inspect.Type], tuple[type, ...]] = {
    inspect.StructType: (dict,),
    inspect.DictType: (dict,),
    inspect.ListType: (list,),
    inspect.StrType: (str,),
    inspect.LiteralType: (str,),
    inspect.IntType: (int,),
    inspect.FloatType: (float, int),
    inspect.BoolType: (bool,),
    inspect.NoneType: (type(None),),
}


def _called(path: Path) -> str:
    """What a value is called in a sentence: its key, or which item of which list it is."""
    if not path:
        return "the file"
    if isinstance(path[-1], int):
        return f"item {path[-1] + 1} of {_called(path[:-1])}"
    return quote(path[-1])


def _example(path: Path) -> str:
    return EXAMPLES.get(str(path[-1]), "") if path else ""


def _known(key: str, fields: dict[str, inspect.Field]) -> str:
    """How to go on from an unknown key: the nearest known one, or all of them."""
    if key.startswith("-") and key[1:].strip() in fields:
        return f'put a space after the "-": "- {key[1:].strip()}:"'
    return nearest(key, fields) or f"known here: {', '.join(fields)}"


def _resembles(key: str, unknown: list[str]) -> bool:
    """Whether a missing key was most likely misspelt, and so was told already."""
    return any(nearest(written, [key]) for written in unknown[:20])
