"""The oracle's rule files: YAML into plain objects, with every condition as a tree of language.py. Only files that
`triggerfish check` passes are given to it, so it checks nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML

from oracle.language import Tree, length_of, read

Table = dict[str, Any]


@dataclass
class Segment:
    name: str
    when: Tree | None
    priority: int
    depth: int
    parent: str | None
    is_exclusive: bool


@dataclass
class Rule:
    ruleset: str
    name: str
    on: list[str]
    when: Tree | None
    wait: int
    unless: list[str]
    while_waiting: str
    cooldown: int
    priority: int
    max_age: int
    actions: list[Table]

    @property
    def full_name(self) -> str:
        return f"{self.ruleset} / {self.name}"

    @property
    def sends(self) -> list[str]:
        return [action["send"] for action in self.actions if "send" in action]


@dataclass
class RuleSet:
    name: str
    priority: int
    is_first_only: bool
    rules: list[Rule]


@dataclass
class Book:
    """All rule files together. `sets` and their rules stand in the order in which they act; `segments` in that in which
    they are looked at: as in the files, but within an exclusive parent by priority.
    """

    names: dict[str, str] = field(default_factory=dict)
    defined: dict[str, Tree] = field(default_factory=dict)
    segments: list[Segment] = field(default_factory=list)
    sets: list[RuleSet] = field(default_factory=list)
    time_zone: str = "UTC"
    quiet: tuple[int, int] | None = None
    caps: list[tuple[int, int]] = field(default_factory=list)

    def rule(self, ruleset: str, name: str) -> tuple[RuleSet, Rule]:
        return next((s, r) for s in self.sets for r in s.rules if (s.name, r.name) == (ruleset, name))


def read_book(files: Mapping[str, str]) -> Book:
    """The rulebook of these files (path -> text), in the order given."""
    book = Book()
    forms = [YAML(typ="safe", pure=True).load(text) for text in files.values()]
    for form in forms:
        for short, event in form.get("events", {}).items():
            book.names[short] = event if isinstance(event, str) else event["name"]
        for name, made in form.get("define", {}).items():
            book.defined[name] = _definition(made)
    for form in forms:
        _segments(book, form.get("segments", []), None)
        policy = form.get("policy", {})
        book.time_zone = policy.get("time_zone", book.time_zone)
        book.caps += [(cap["sends"], length_of(cap["within"])) for cap in policy.get("caps", [])]
        if "quiet_hours" in policy:
            book.quiet = (_minute(policy["quiet_hours"]["start"]), _minute(policy["quiet_hours"]["end"]))
        if "ruleset" in form:
            book.sets.append(_ruleset(book, form))
    book.sets.sort(key=lambda ruleset: -ruleset.priority)
    return book


def condition(form: Any) -> Tree | None:
    """A text, or lists under all, any and none: every key that is given must hold."""
    if form is None:
        return None
    if isinstance(form, str):
        return read(form)
    parts: list[Tree] = []
    for word, listed in form.items():
        inner = [condition(part) for part in listed]
        parts.append(("not", ("any", inner)) if word == "none" else (word, inner))
    return ("all", parts)


def _definition(form: Any) -> Tree:
    if isinstance(form, list):
        return ("list", [("const", item) for item in form])
    return condition(form)


def _segments(book: Book, forms: list[Table], parent: Segment | None) -> None:
    if parent is not None and parent.is_exclusive:
        forms = sorted(forms, key=lambda form: -form.get("priority", 0))
    for form in forms:
        segment = Segment(
            name=form["name"],
            when=condition(form.get("when")),
            priority=form.get("priority", 0),
            depth=0 if parent is None else parent.depth + 1,
            parent=None if parent is None else parent.name,
            is_exclusive=form.get("exclusive", False),
        )
        book.segments.append(segment)
        _segments(book, form.get("segments", []), segment)


def _ruleset(book: Book, form: Table) -> RuleSet:
    rules = [_rule(book, form, rule) for rule in form["rules"]]
    rules.sort(key=lambda rule: -rule.priority)
    return RuleSet(form["ruleset"], form.get("priority", 0), form.get("mode", "all") == "first", rules)


def _rule(book: Book, form: Table, rule: Table) -> Rule:
    return Rule(
        ruleset=form["ruleset"],
        name=rule["name"],
        on=_events(book, rule["on"]),
        when=condition(rule.get("when")),
        wait=_length(rule.get("wait")),
        unless=_events(book, rule.get("unless", [])),
        while_waiting=rule.get("while_waiting", "restart"),
        cooldown=_length(rule.get("cooldown")),
        priority=rule.get("priority", 0),
        max_age=length_of(rule.get("max_age", form.get("max_age", "1 hour"))),
        actions=[_action(action) for action in rule["then"]],
    )


def _action(form: Table) -> Table:
    """The action, with the texts of computed values read."""
    return {key: _values(made) if key in ("set", "properties") else made for key, made in form.items()}


def _values(forms: Table) -> Table:
    return {name: read(made["value"]) if isinstance(made, dict) else ("const", made) for name, made in forms.items()}


def _events(book: Book, names: str | list[str]) -> list[str]:
    listed = [names] if isinstance(names, str) else names
    return [book.names.get(name, name) for name in listed]


def _length(text: str | None) -> int:
    return 0 if text is None else length_of(text)


def _minute(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])
