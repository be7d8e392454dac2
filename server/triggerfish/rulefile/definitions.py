"""`define:`: names for conditions, values and lists, given once and used in all files.

Each definition is read and checked here, where it stands; those that use others come after them. What can only be told
where a name is used is told there.
"""

from __future__ import annotations

import ast
import keyword
import posixpath
from collections.abc import Mapping, Sequence
from hashlib import blake2b

from msgspec import Struct

from triggerfish.conditions import Items
from triggerfish.rulefile.defined import Definition, expand, names_in, size_of
from triggerfish.rulefile.desk import Desk, Known
from triggerfish.rulefile.expressions import Scope
from triggerfish.rulefile.folder import LIST_FILE
from triggerfish.rulefile.format import ConditionForm, DefinitionForm, FileForm, SegmentForm
from triggerfish.rulefile.functions import FUNCTIONS
from triggerfish.rulefile.grammar import Faulty, parse
from triggerfish.rulefile.marks import Marks, Path, Source
from triggerfish.rulefile.names import KINDS, ROOTS
from triggerfish.rulefile.problems import Problem, nearest, quote
from triggerfish.rulefile.reader import Reader

LISTED_LIMIT = 50_000
"""Items of a list from a file."""
CHAIN_LIMIT = 50
"""Definitions that use one another."""
ITEM_LIMIT = 1_000
"""Characters of an item of a list from a file."""
RESERVED = frozenset({*ROOTS, *KINDS, *FUNCTIONS, "predictions", "true", "false", "none"})

Meant = str | int | float | list[str | int | float | bool] | DefinitionForm
"""What a rule file gives a name."""


class Given(Struct):
    """A definition as it is written, and where."""

    name: str
    meant: Meant
    desk: Desk
    marks: Marks
    uses: tuple[str, ...] = ()
    expression: ast.expr | None = None

    @property
    def path(self) -> Path:
        return ("define", self.name)


def define(files: Sequence[tuple[FileForm, Marks]], texts: Mapping[str, str], known: Known) -> None:
    """Note what all files define in `known`, with a problem for everything that is wrong with it.

    `texts` are the files' contents by path, those of lists among them.
    """
    given: dict[str, Given] = {}
    for form, marks in files:
        for name, meant in form.define.items():
            one = Given(name, meant, Desk(known, marks), marks)
            if _may_be_called(one, given, known):
                given[name] = one
                known.definitions[name] = Definition(name)
    read: dict[str, Listed | None] = {}
    segments = [segment.name for form, _ in files for segment in _all(form.segments)]
    for one in given.values():
        definition = known.definitions[one.name]
        if isinstance(one.meant, list):
            _list(definition, _listed(tuple(one.meant)))
        elif isinstance(one.meant, DefinitionForm) and one.meant.file is not None:
            _list_from_file(definition, one, one.meant.file, texts, read, known)
        else:
            _parse(definition, one, segments)
    for name in _in_order(given, known):
        _expression(known.definitions[name], given[name], known, segments)


def report_unused(files: Sequence[tuple[FileForm, Marks]], known: Known) -> None:
    """Warn of definitions that nothing uses."""
    for form, marks in files:
        for name in form.define:
            definition = known.definitions.get(name)
            if definition is not None and not definition.is_used and not definition.is_broken:
                sentence = f"{quote(name)} is defined, and nothing uses it"
                Desk(known, marks).problem(
                    ("define", name), "TF266", sentence, "delete it, or use it", at_key=True, is_warning=True
                )


def _may_be_called(one: Given, given: Mapping[str, Given], known: Known) -> bool:
    """Whether the name is free."""
    name, other = one.name, given.get(one.name)
    if other is not None:
        sentence = f"there is another definition {quote(name)}"
        place = f"{other.marks.path}, line {other.marks.key_place(other.path).line}"
        hint = f"it is in {place}; give one of them another name"
        one.desk.problem(one.path, "TF270", sentence, hint, at_key=True)
        return False
    taken = name.lower() in RESERVED or name in known.functions or keyword.iskeyword(name)
    if taken or name in known.short_names:
        what = "an event" if name in known.short_names else "a word of conditions"
        sentence = f"{quote(name)} is {what} already"
        one.desk.problem(one.path, "TF262", sentence, "choose another name", at_key=True)
        return False
    return True


class Listed(Struct, frozen=True):
    """A list, made ready once however many names it has. `meaning` is a digest of its items."""

    items: tuple[str | int | float | bool, ...]
    lookup: Items
    meaning: str


def _listed(items: tuple[str | int | float | bool, ...]) -> Listed:
    return Listed(items, Items(items), _digest(repr(items)))


def _list(definition: Definition, listed: Listed) -> None:
    definition.items, definition.lookup, definition.meaning = listed.items, listed.lookup, listed.meaning


def _list_from_file(
    definition: Definition,
    one: Given,
    name: str,
    texts: Mapping[str, str],
    read: dict[str, Listed | None],
    known: Known,
) -> None:
    """A list that stands in a file of its own: one item a line. `read` are the files that were read before."""
    definition.is_broken = True
    folder = posixpath.dirname(one.marks.path)
    path = posixpath.normpath(posixpath.join(folder, name))
    lists = [posixpath.relpath(text, folder or ".") for text in texts if text.endswith(LIST_FILE)]
    place = (*one.path, "file")
    meant = one.meant
    if isinstance(meant, DefinitionForm) and (meant.all or meant.any or meant.none):
        sentence = "a definition is a list from a file, or conditions, and not both"
        one.desk.problem(place, "TF261", sentence, "delete one of them", at_key=True)
    elif name.startswith("/") or "\\" in name or not name.endswith(LIST_FILE):
        sentence = f"{quote(name)} is no list that can be used here"
        one.desk.problem(place, "TF261", sentence, 'a list is a file beside this one, as in  {file: "blocked.txt"}')
    elif path not in texts:
        hint = nearest(name, lists) or "put it beside this file, with one item in each line"
        one.desk.problem(place, "TF261", f"there is no list {quote(name)} beside this file", hint)
    else:
        if path not in read:
            items = _items(path, texts[path], known.problems)
            read[path] = None if items is None else _listed(items)
        listed = read[path]
        definition.is_broken = listed is None
        _list(definition, listed or _listed(()))


def _items(path: str, text: str, problems: list[Problem]) -> tuple[str, ...] | None:
    """The items of a list's file: each line's text, but for empty lines and those that begin with "#"."""
    items, start = [], 0
    for line in text.split("\n"):
        item = line.strip().lstrip("\ufeff")
        if item and not item.startswith("#"):
            items.append(item)
        if len(item) > ITEM_LIMIT:
            sentence = f"an item of more than {ITEM_LIMIT:,} characters"
            problems.append(Source(path, text).problem(start, "TF265", sentence, hint="one item goes into one line"))
            return None
        if len(items) > LISTED_LIMIT:
            hint = "make it a trait, or a segment"
            problems.append(
                Source(path, text).problem(start, "TF265", f"a list of more than {LISTED_LIMIT:,} items", hint=hint)
            )
            return None
        start += len(line) + 1
    return tuple(dict.fromkeys(items))


# Expressions.


def _parse(definition: Definition, one: Given, segments: Sequence[str]) -> None:
    """Note the expression as it is written, and the names in it."""
    meant = one.meant
    is_empty = isinstance(meant, DefinitionForm) and not (meant.all or meant.any or meant.none)
    if is_empty or isinstance(meant, list):
        definition.is_broken = True  # decoding has reported that it is empty
        return
    try:
        one.expression = _ast(meant)
    except Faulty:
        _check(one, segments)
        definition.is_broken = True
        return
    one.uses = tuple(dict.fromkeys(node.id for node in names_in(one.expression)))


def _ast(meant: str | float | ConditionForm) -> ast.expr:
    """What was written as one ast. Raises Faulty."""
    if isinstance(meant, str):
        return parse(meant)
    if isinstance(meant, int | float):
        return ast.Constant(meant, lineno=1, col_offset=0, end_lineno=1, end_col_offset=1)
    parts: list[ast.expr] = []
    for word, listed in (("all", meant.all), ("any", meant.any), ("none", meant.none)):
        if listed is not None:
            read = [_ast(part) for part in listed]
            joined = read[0]
            if len(read) > 1:
                joined = _placed(ast.BoolOp(ast.And() if word == "all" else ast.Or(), read), read[0])
            parts.append(joined if word != "none" else _placed(ast.UnaryOp(ast.Not(), joined), joined))
    return parts[0] if len(parts) == 1 else _placed(ast.BoolOp(ast.And(), parts), parts[0])


def _placed(made: ast.expr, like: ast.expr) -> ast.expr:
    return ast.copy_location(made, like)


def _in_order(given: Mapping[str, Given], known: Known) -> list[str]:
    """The names of expressions, those that are used before those that use them. Circles are reported and left out."""
    order: list[str] = []
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        if len(above) > CHAIN_LIMIT:
            sentence = f"definitions use one another more than {CHAIN_LIMIT} deep"
            given[above[0]].desk.problem(given[above[0]].path, "TF265", sentence, "say it more simply", at_key=True)
            for each in above:
                known.definitions[each].is_broken = True
        elif name in above:
            circle = [*above[above.index(name) :], name]
            if not any(known.definitions[each].is_broken for each in circle):
                sentence = f"{quote(name)} is defined by itself: {' uses '.join(circle)}"
                given[name].desk.problem(given[name].path, "TF263", sentence, "say one of them without", at_key=True)
            for each in circle:
                known.definitions[each].is_broken = True
        elif name in given and name not in done:
            for used in given[name].uses:
                visit(used, (*above, name))
            done.add(name)
            if given[name].expression is not None:
                order.append(name)

    for name in given:
        visit(name, ())
    return order


def _expression(definition: Definition, one: Given, known: Known, segments: Sequence[str]) -> None:
    """Check an expression by itself, and keep it with the definitions that it uses in their places."""
    if definition.is_broken or one.expression is None:
        return
    definition.is_broken = not _check(one, segments)
    if definition.is_broken:
        return
    try:
        definition.expression = expand(Reader(Scope(definitions=known.definitions)), one.expression)
    except Faulty as faulty:  # each of its texts is sound, and all of them are too much
        definition.is_broken = True
        for fault in faulty.faults:
            one.desk.problem(one.path, fault.code, fault.sentence, fault.hint, at_key=True)
        return
    definition.size = size_of(definition.expression)
    inner = [known.definitions[name].meaning for name in one.uses if name in known.definitions]
    definition.meaning = _digest(repr((ast.unparse(definition.expression), inner)))


def _check(one: Given, segments: Sequence[str]) -> bool:
    """Whether what is defined can be used somewhere; with a problem at its place for each fault."""
    if isinstance(one.meant, int | float):
        return True
    return isinstance(one.meant, str | ConditionForm) and one.desk.is_sound(one.meant, one.path, segments)


def _digest(text: str) -> str:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=6).hexdigest()


def _all(forms: Sequence[SegmentForm]) -> list[SegmentForm]:
    return [each for form in forms for each in (form, *_all(form.segments))]
