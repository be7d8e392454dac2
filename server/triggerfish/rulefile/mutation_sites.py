"""Where a rulebook can be changed, and how: every mutant is one small edit of one rule file."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from msgspec import Struct

from triggerfish.rulefile.coverage_watch import Owner
from triggerfish.rulefile.marks import Marks, Path
from triggerfish.rulefile.mutation_text import Change, condition_changes, lengths_near, value_changes
from triggerfish.rulefile.places import Places, Site

NOTHING = "nothing happens"
"""An event that never comes, in the place of one that does."""
_LENGTHS = ("wait", "cooldown", "max_age", "before", "after", "within", "at_most", "window", "defer_at_most")
_EVENTS = ("on", "unless", "goal", "exit", "emit")
_COUNTS = ("sends", "most")
_TIMES = ("start", "end", "at", "from", "to")
_VALUES = ("value", "key")
_WORDS: Mapping[str, Mapping[Any, str]] = {
    "while_waiting": {"restart": "keep", "keep": "restart", "each": "restart"},
    "exclusive": {True: "false"},
    "again": {"once": "always", "always": "once"},
    "repeat": {"yearly": "once", "monthly": "yearly", "once": "yearly"},
    "once_per": {"day": "week", "week": "month", "month": "year", "year": "ever", "ever": "year"},
    "class": {"marketing": "transactional", "transactional": "marketing"},
    "mode": {"first": "all", "all": "first"},
    "losing": {"drop": "defer", "defer": "drop", "merge": "drop"},
}
_TIME = re.compile(r"(\d\d):(\d\d)")
_LISTS = {"all": "any", "any": "all", "none": "any"}


class Mutant(Struct, frozen=True):
    """One edit: characters `start` up to `end` of a file become `new`. `line` is where; `old` and `became` are that
    line (or several, as one) without its indentation, before and after. Only tests that reach one of the `owners` can
    notice (none: any may).
    """

    path: str
    start: int
    end: int
    new: str
    kind: str
    line: int
    old: str
    became: str
    within: str
    owners: tuple[Owner, ...] = ()

    def apply(self, text: str) -> str:
        """The file's text with the edit made."""
        return text[: self.start] + self.new + text[self.end :]


def mutants_of(files: Mapping[str, str], templates: Collection[str]) -> list[Mutant]:
    """Every mutant of these rule files (path -> text), in their order. `templates` are names that rules may send."""
    places = Places(files)
    finder = _Finder(sorted(templates))
    for marks in places.marks.values():
        finder.file(marks, [site for site in places.sites.values() if site.marks is marks])
    finder.priorities([site for site in places.sites.values() if site.kind == "segment"], "segment")
    finder.rulesets(places)
    unique = {(mutant.path, mutant.start, mutant.end, mutant.new): mutant for mutant in finder.mutants}
    return sorted(unique.values(), key=lambda mutant: (mutant.path, mutant.start, mutant.end))


class _Finder:
    """Collects mutants."""

    def __init__(self, templates: list[str]) -> None:
        self.mutants: list[Mutant] = []
        self._templates = templates

    def file(self, marks: Marks, sites: list[Site]) -> None:
        for site in sites:
            owner: Owner = (site.kind, site.full_name)
            data = {key: value for key, value in site.data.items() if key not in ("segments", "name", "priority")}
            self.values(marks, data, site.path, (owner,))
        rules = tuple(("rule", site.full_name) for site in sites if site.kind == "rule")
        shared = {key: marks.data[key] for key in ("max_age", "mode", "cooldown") if key in marks.data and rules}
        if len(rules) < 2:
            shared.pop("mode", None)
        self.values(marks, shared, (), rules)
        self.priorities([site for site in sites if site.kind == "rule"], "rule")
        for key in ("policy", "define"):
            self.values(marks, marks.data.get(key) or {}, (key,), ())

    def values(self, marks: Marks, data: Any, path: Path, owners: tuple[Owner, ...]) -> None:
        """Every mutant of a group of keys, and of all groups and lists in it."""
        for key, value in data.items():
            at: Path = (*path, key)
            if key == "when" or path[-1:] == ("define",):
                self.condition(marks, value, at, owners, "True")
            elif key == "set" and isinstance(value, dict):
                self.traits(marks, value, at, owners)
            elif isinstance(value, dict):
                self.values(marks, value, at, owners)
            elif isinstance(value, list):
                self.items(marks, key, value, at, owners)
            else:
                self.value(marks, key, value, at, owners)

    def items(self, marks: Marks, key: str, listed: list[Any], path: Path, owners: tuple[Owner, ...]) -> None:
        for place, item in enumerate(listed):
            if isinstance(item, dict):
                self.values(marks, item, (*path, place), owners)
            elif key in _EVENTS:
                self.edit(marks, (*path, place), NOTHING, "event", owners)

    def value(self, marks: Marks, key: str, value: Any, path: Path, owners: tuple[Owner, ...]) -> None:
        """The mutants of a single value, by its key."""
        is_step = len(path) > 1 and isinstance(path[-2], int) and path[-3:-2] != ("rules",)
        if key in _LENGTHS and isinstance(value, str):
            for near in lengths_near(value) or _times_near(value):
                self.edit(marks, path, near, "length of time", owners)
        elif key in _EVENTS and isinstance(value, str) and not (is_step and key in ("goal", "exit")):
            for near in [] if _is_calendar(value) else [NOTHING]:
                self.edit(marks, path, near, "event", owners)
            for near in _times_near(value) if _is_calendar(value) else []:
                self.edit(marks, path, near, "time of day", owners)
        elif key in _TIMES and isinstance(value, str):
            for near in _times_near(value):
                self.edit(marks, path, f'"{near}"', "time of day", owners)
        elif key in _COUNTS and isinstance(value, int):
            for number in (value + 1, value - 1):
                if number > 0:
                    self.edit(marks, path, str(number), "number", owners)
        elif key in _WORDS and value in _WORDS[key]:
            self.edit(marks, path, _WORDS[key][value], "choice", owners)
        elif key == "again" and isinstance(value, str):
            for near in lengths_near(value.removeprefix("after ")):
                self.edit(marks, path, f"after {near}", "length of time", owners)
        elif key == "send" and (other := next((name for name in self._templates if name != value), "")):
            self.edit(marks, path, other, "template", owners)
        elif key in _VALUES and isinstance(value, str):
            self.text(marks, path, value_changes(value), owners)

    def traits(self, marks: Marks, values: dict[str, Any], path: Path, owners: tuple[Owner, ...]) -> None:
        """What a rule sets traits to."""
        for name, value in values.items():
            at: Path = (*path, name)
            if isinstance(value, dict):
                self.edit(marks, (*at, "value"), "local.hour", "value", owners)
                self.values(marks, value, at, owners)
            elif value is not None:
                new = "false" if value is True else "true" if value is False else "something else"
                self.edit(marks, at, str(value + 1) if type(value) in (int, float) else new, "value", owners)

    def condition(self, marks: Marks, value: Any, path: Path, owners: tuple[Owner, ...], neutral: str) -> None:
        if isinstance(value, str):
            self.text(marks, path, condition_changes(value, neutral=neutral), owners)
        for word, other in _LISTS.items() if isinstance(value, dict) else ():
            listed = value.get(word)
            if not isinstance(listed, list):
                continue
            if other not in value and (len(listed) > 1 or word == "none"):
                self.add(marks, *marks.cut_key((*path, word)), other, "operator", (*path, word), owners)
            for place, item in enumerate(listed):
                self.condition(marks, item, (*path, word, place), owners, "True" if word == "all" else "False")

    def priorities(self, sites: list[Site], kind: str) -> None:
        """Each priority that decides something becomes the lowest, or the highest where it is the lowest already."""
        given = [int(site.data.get("priority") or 0) for site in sites]
        modes = {str(site.marks.data.get("mode") or "all") for site in sites}
        if len(set(given)) < 2 or (kind == "rule" and "first" not in modes):
            return
        for site, priority in zip(sites, given, strict=True):
            if "priority" in site.data:
                new = min(given) - 1 if priority > min(given) else max(given) + 1
                owner: Owner = (site.kind, site.full_name)
                owners = (owner,) if kind == "rule" else ()
                self.edit(site.marks, (*site.path, "priority"), str(new), "priority", owners)

    def rulesets(self, places: Places) -> None:
        """Rule sets that hear of the same event and both send, at once: their order is who comes first under a cap."""
        rules = [site for site in places.sites.values() if site.kind == "rule"]
        by_event: dict[str, set[str]] = {}
        for site in rules:
            if "wait" not in site.data and "send" in repr(site.data):
                on = site.data.get("on")
                for event in on if isinstance(on, list) else [on]:
                    by_event.setdefault(str(event), set()).add(site.ruleset)
        rivals = {name for names in by_event.values() if len(names) > 1 for name in names}
        marks = {site.ruleset: site.marks for site in rules if site.ruleset in rivals}
        given = {name: int(each.data.get("priority") or 0) for name, each in marks.items()}
        for name, each in marks.items():
            if "priority" in each.data and len(set(given.values())) > 1:
                lowest, highest = min(given.values()), max(given.values())
                new = lowest - 1 if given[name] > lowest else highest + 1
                self.edit(each, ("priority",), str(new), "priority", ())

    def text(self, marks: Marks, path: Path, changes: Iterator[Change], owners: tuple[Owner, ...]) -> None:
        """Edits within a text value."""
        for change in changes:
            start, end = marks.cut(path, change.start, change.end - change.start)
            new = change.new
            is_whole = (start, end) == marks.cut(path)
            if is_whole and new in ("True", "False"):
                new = f'"{new}"'  # without quotes, YAML would take it for no text
            self.add(marks, start, end, new, change.kind, path, owners)

    def edit(self, marks: Marks, path: Path, new: str, kind: str, owners: tuple[Owner, ...]) -> None:
        """Write a whole value anew."""
        self.add(marks, *marks.cut(path), new, kind, path, owners)

    def add(
        self, marks: Marks, start: int, end: int, new: str, kind: str, path: Path, owners: tuple[Owner, ...]
    ) -> None:
        source = marks.source
        number, last = source.place(start).line, source.place(end).line
        begin, text = source.start_of(number), source.text
        finish = source.start_of(last) + len(source.line(last))
        if text[start:end] != new:
            old, became = text[begin:finish], text[begin:start] + new + text[end:finish]
            within = marks.within(path)
            self.mutants.append(
                Mutant(marks.path, start, end, new, kind, number, _one_line(old), _one_line(became), within, owners)
            )


def _one_line(text: str) -> str:
    """A line without its indentation; of several, one."""
    return " ".join(text.split()) if "\n" in text else text.strip()


def _is_calendar(value: str) -> bool:
    return value.startswith(("schedule ", "date "))


def _times_near(text: str) -> list[str]:
    """A text with a time of day, one minute later and one earlier; empty when it has none."""
    found = _TIME.search(text)
    if found is None:
        return []
    minute = int(found[1]) * 60 + int(found[2])
    return [
        f"{text[: found.start()]}{near // 60:02d}:{near % 60:02d}{text[found.end() :]}"
        for near in ((minute + 1) % 1440, (minute - 1) % 1440)
    ]
