"""What changed between two sets of rule files, by what they say and not by how it is written: comments, the order of
keys, the file, short forms, and the ways to write a length of time or a condition make no difference.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, Literal

import msgspec
from msgspec import Struct

from triggerfish.clock import parse_duration, say_duration
from triggerfish.rulefile.check import check_files
from triggerfish.rulefile.marks import Marks, Path

LONGEST_VALUE = 120
"""Characters of a value that are shown."""

Plain = Any
"""Data as YAML and JSON have it: mappings, lists, text, numbers, booleans."""
What = Literal[
    "event", "trait", "tracking plan", "definition", "list", "purpose", "policy", "segment", "rule set", "rule",
    "template",
]  # fmt: skip
_ORDER: tuple[What, ...] = (
    "event", "trait", "tracking plan", "definition", "list", "purpose", "policy", "segment", "rule set", "rule",
    "template",
)  # fmt: skip

_NAMED: Mapping[str, What] = {"events": "event", "traits": "trait", "define": "definition", "purposes": "purpose"}
"""Keys of a file that hold things by name."""
_SHORT: Mapping[What, str] = {"event": "name", "purpose": "title"}
"""What a text instead of keys is short for."""
_WHOLE: Mapping[str, What] = {"plan": "tracking plan", "policy": "policy"}
_OF_A_SET = ("description", "priority", "mode", "max_age", "cooldown")
_LENGTHS = frozenset({
    "wait", "cooldown", "max_age", "within", "at_most", "before", "after", "again", "window", "defer_at_most",
})  # fmt: skip
"""Keys whose text is a length of time, or at least may be."""
_CONDITIONS = frozenset({"when", "all", "any", "none", "value", "key"})
"""Keys whose texts are expressions, alone or in lists."""
_LISTED = frozenset({"on", "unless", "limit"})
"""Keys that hold one thing or a list of them."""
_TYPED = frozenset({"properties"})
"""Keys whose values by name may be a type alone."""


class Change(Struct, frozen=True):
    """Something that was added, removed or changed. `of` is a rule's rule set; `place` is where it stands, in the new
    files unless it was removed (`rules/cart.yaml:9`); `details` say what changed within it, one thing a line.
    """

    what: What
    name: str
    change: Literal["added", "removed", "changed"]
    of: str = ""
    place: str = ""
    details: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """`rule "vip-cart" of "cart-recovery" changed`."""
        named = f' "{self.name}"' if self.name else ""
        of = f' of "{self.of}"' if self.of else ""
        return f"{self.what}{named}{of} {self.change}"


class _Said(Struct, frozen=True):
    """One thing that rule files define: its keys in one form, and where it stands."""

    keys: dict[str, Plain]
    place: str


_Key = tuple[What, str, str]
"""What it is, the rule set that it belongs to, its name."""


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[Change]:
    """What the new rule files (path -> text) say otherwise than the old ones. Both can be read without problems."""
    before, after = _said(old), _said(new)
    found: list[Change] = []
    for key in dict.fromkeys([*before, *after]):
        what, of, name = key
        was, now = before.get(key), after.get(key)
        if now is None and was is not None:
            found.append(Change(what, name, "removed", of, was.place))
        elif was is None and now is not None:
            found.append(Change(what, name, "added", of, now.place, tuple(_outline(now.keys))))
        elif was is not None and now is not None and (details := tuple(_differences(was.keys, now.keys))):
            found.append(Change(what, name, "changed", of, now.place, details))
    return sorted(found, key=lambda change: (_ORDER.index(change.what), change.of, change.name))


# --- what files say ---------------------------------------------------------------------------------------------------


def _said(files: Mapping[str, str]) -> dict[_Key, _Said]:
    found: dict[_Key, _Said] = {}
    for form, marks in check_files(files).files:
        data = _given(form)
        for word, what in _NAMED.items():
            for name, value in data.get(word, {}).items():
                keys = value if isinstance(value, dict) else {_SHORT.get(what, "is"): value}
                found[what, "", name] = _Said(_plain(keys), _place(marks, (word, name)))
        for word, what in _WHOLE.items():
            if data.get(word) is not None:
                found[what, "", ""] = _Said(_plain(data[word]), _place(marks, (word,)))
        _say_segments(data.get("segments", []), "", marks, ("segments",), found)
        if data.get("ruleset") is not None:
            name = data["ruleset"]
            about = {key: data[key] for key in _OF_A_SET if key in data}
            rules = [rule["name"] for rule in data.get("rules", [])]
            found["rule set", "", name] = _Said({**_plain(about), "rules": rules}, _place(marks, ("ruleset",)))
            for place, rule in enumerate(data.get("rules", [])):
                keys = _plain({key: value for key, value in rule.items() if key != "name"}, is_rule=True)
                found["rule", name, rule["name"]] = _Said(keys, _place(marks, ("rules", place)))
    for path, text in files.items():
        if path.endswith(".txt"):
            found["list", "", path] = _Said({"items": sorted({*text.split("\n")} - {""})}, path)
    return found


def _say_segments(
    segments: Sequence[Mapping[str, Plain]], parent: str, marks: Marks, path: Path, found: dict[_Key, _Said]
) -> None:
    for place, segment in enumerate(segments):
        keys = {key: value for key, value in segment.items() if key not in ("name", "segments")}
        if parent:
            keys["within"] = parent
        children = segment.get("segments", [])
        names = [child["name"] for child in children]
        here = (*path, place)
        found["segment", "", segment["name"]] = _Said({**_plain(keys), "segments": names}, _place(marks, here))
        _say_segments(children, segment["name"], marks, (*here, "segments"), found)


def _place(marks: Marks, path: Path) -> str:
    return f"{marks.path}:{marks.key_place(path).line}"


def _given(value: Any) -> Plain:
    """A form as plain data, without what is said by saying nothing."""
    if isinstance(value, Struct):
        given = {}
        for field in msgspec.structs.fields(type(value)):
            inner = getattr(value, field.name)
            name = field.encode_name
            is_default = inner == field.default
            if isinstance(inner, str) and isinstance(field.default, str):
                is_default = _worded(inner, name) == _worded(field.default, name)
            if not is_default:
                given[name] = _given(inner)
        return given
    if isinstance(value, dict):
        return {name: _given(inner) for name, inner in value.items()}
    return [_given(inner) for inner in value] if isinstance(value, list) else value


def _plain(value: Plain, key: str = "", *, is_rule: bool = False) -> Plain:
    """Data in the one form in which it is compared: nothing that is not said, no short forms."""
    if isinstance(value, dict):
        made = {name: _plain(inner, name) for name, inner in value.items() if not _is_unsaid(inner)}
        if key in _TYPED:
            made = {name: {"type": inner} if isinstance(inner, str) else inner for name, inner in made.items()}
        for word in ("goal", "exit") if is_rule else ():
            if word in made:
                stops = made[word] if isinstance(made[word], list) else [made[word]]
                made[word] = [{"on": [stop]} if isinstance(stop, str) else stop for stop in stops]
        return [made] if key in _LISTED else made
    if isinstance(value, list):
        return [_worded(inner, key) if isinstance(inner, str) else _plain(inner) for inner in value]
    if isinstance(value, str):
        value = _worded(value, key)
    return [value] if key in _LISTED else value


def _is_unsaid(value: Plain) -> bool:
    return value is None or value == "" or value == [] or value == {}


def _worded(text: str, key: str) -> str:
    if key in _LENGTHS:
        try:
            return say_duration(parse_duration(text))
        except ValueError:
            return " ".join(text.split())
    if key in _CONDITIONS:
        try:
            return ast.unparse(ast.parse(text.strip(), mode="eval"))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return " ".join(text.split())
    return text


# --- differences in words ---------------------------------------------------------------------------------------------


def _outline(keys: Mapping[str, Plain]) -> Iterator[str]:
    for key, value in keys.items():
        if value != []:
            yield f"{key}: {_shown(value)}"


def _differences(was: Plain, now: Plain, where: str = "") -> Iterator[str]:
    """What changed, one thing a line, each with its place: `wait: 30 minutes → 1 hour`."""
    if was == now:
        return
    if isinstance(was, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*was, *now]):
            inner = f"{where}{key}"
            if key in ("rules", "segments") and _are_names(was.get(key)) and _are_names(now.get(key)):
                yield from _another_order(was[key], now[key], inner)
            elif key not in now:
                yield f"{inner}: no longer {_shown(was[key])}"
            elif key not in was:
                yield f"{inner}: now {_shown(now[key])}"
            else:
                label = f"{inner}, " if isinstance(was[key], dict | list) else inner
                yield from _differences(was[key], now[key], label)
    elif isinstance(was, list) and isinstance(now, list):
        yield from _items(was, now, where)
    else:
        yield f"{where.removesuffix(', ')}: {_shown(was)} → {_shown(now)}"


def _items(was: Sequence[Plain], now: Sequence[Plain], where: str) -> Iterator[str]:
    matcher = SequenceMatcher(None, [_json(item) for item in was], [_json(item) for item in now], autojunk=False)
    label = where.removesuffix(", ")
    for word, low, high, start, end in matcher.get_opcodes():
        if word == "replace" and high - low == end - start and _are_forms([*was[low:high], *now[start:end]]):
            for place, (one, other) in enumerate(zip(was[low:high], now[start:end], strict=True), start + 1):
                yield from _differences(one, other, f"{where}{other.get('name', place)}: ")
        elif word != "equal":
            if high - low == end - start == 1:
                yield f"{label}: {_shown(was[low])} → {_shown(now[start])}"
                continue
            yield from (f"{label}: no longer {_shown(item)}" for item in was[low:high])
            yield from (f"{label}: now {_shown(item)}" for item in now[start:end])


def _another_order(was: Sequence[str], now: Sequence[str], key: str) -> Iterator[str]:
    """Names that come and go are told of by themselves; that others change places is told here."""
    kept = [name for name in was if name in now]
    order = [name for name in now if name in was]
    if kept != order:
        yield f"{key}: now in the order {', '.join(order)}"


def _are_names(value: Plain) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _are_forms(values: Sequence[Plain]) -> bool:
    return all(isinstance(value, dict) for value in values)


def _json(value: Plain) -> bytes:
    return msgspec.json.encode(value, order="sorted")


def _shown(value: Plain) -> str:
    """A value as YAML would have it on one line, of bounded length."""
    text = _flow(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _flow(value: Plain) -> str:
    match value:
        case str():
            return value
        case bool() | None | int() | float():
            return msgspec.json.encode(value).decode()
        case list():
            items = ", ".join(_flow(item) for item in value)
            return items if _are_names(value) else f"[{items}]"
        case _:
            return ", ".join(f"{key}: {_bracketed(inner)}" for key, inner in value.items())


def _bracketed(value: Plain) -> str:
    text = _flow(value)
    return f"{{{text}}}" if isinstance(value, dict) else text
