"""The oracle's rule files: YAML into plain objects, with every condition as a tree of language.py. Only files that
`triggerfish check` passes are given to it, so it checks nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML

from oracle.language import WEEKDAYS, Tree, length_of, read

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
    steps: list[Table]
    is_journey: bool = False
    key: Tree | None = None
    again: str | int = "always"
    goals: list[Table] = field(default_factory=list)
    exits: list[Table] = field(default_factory=list)
    once_per: str | Tree | None = None
    limits: list[tuple[int, int]] = field(default_factory=list)
    is_marketing: bool | None = None
    purpose: str | None = None
    calendar: Table | None = None
    group: str = ""
    losing: str = "drop"
    patience: int = 0
    set_cooldown: int = 0

    @property
    def full_name(self) -> str:
        return f"{self.ruleset} / {self.name}"

    @property
    def sends(self) -> list[Table]:
        """The messages that are certain to come, if nothing stops them: none of them is in a split."""
        return [step for step in self.steps if "send" in step]


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
    caps: list[Table] = field(default_factory=list)
    windows: list[Table] = field(default_factory=list)
    arbitration: tuple[int, int] | None = None

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
        book.caps += [{**cap, "within": length_of(cap["within"])} for cap in policy.get("caps", [])]
        book.windows += [_window(window) for window in policy.get("send_windows", [])]
        if "arbitration" in policy:
            book.arbitration = (length_of(policy["arbitration"]["window"]), policy["arbitration"].get("most", 1))
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
    if isinstance(form, int | float):
        return ("const", form)
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
    calendar = _calendar(rule) if str(rule["on"]).startswith(("schedule ", "date ")) else None
    once_per = rule.get("once_per")
    limit = rule.get("limit", [])
    again = rule.get("again", "always")
    return Rule(
        ruleset=form["ruleset"],
        name=rule["name"],
        on=_events(book, rule["on"]) if calendar is None else [f"schedule:{form['ruleset']}/{rule['name']}"],
        when=condition(rule.get("when")),
        wait=_length(rule.get("wait")),
        unless=_events(book, rule.get("unless", [])),
        while_waiting=rule.get("while_waiting", "restart"),
        cooldown=_length(rule.get("cooldown")),
        priority=rule.get("priority", 0),
        max_age=length_of(rule.get("max_age", form.get("max_age", "1 hour"))),
        steps=_steps(book, rule.get("steps", rule.get("then")), ""),
        is_journey="steps" in rule,
        key=read(rule["key"]) if "key" in rule else None,
        again=length_of(again) if again.startswith("after") else again,
        goals=_stops(book, rule.get("goal", [])),
        exits=_stops(book, rule.get("exit", [])),
        once_per=once_per if once_per in (None, "day", "week", "month", "year", "ever") else read(once_per),
        limits=[(cap["sends"], length_of(cap["within"])) for cap in (limit if isinstance(limit, list) else [limit])],
        is_marketing=None if "class" not in rule else rule["class"] == "marketing",
        purpose=rule.get("purpose"),
        calendar=calendar,
        group=rule.get("group", ""),
        losing=rule.get("losing", "drop"),
        patience=length_of(rule.get("defer_at_most", "1 day")),
        set_cooldown=_length(form.get("cooldown")),
    )


def _window(form: Table) -> Table:
    days = form.get("days", WEEKDAYS)
    listed = {"weekdays": WEEKDAYS[:5], "weekend": WEEKDAYS[5:]}.get(days, days) if isinstance(days, str) else days
    return {"days": [WEEKDAYS.index(day) for day in listed], "from": _minute(form["from"]), "to": _minute(form["to"])}


def _steps(book: Book, forms: list[Table], before: str) -> list[Table]:
    """Steps with their labels: their name, or their place as people count. Conditions and values are read."""
    made = []
    for place, form in enumerate(forms, 1):
        label = form.get("name", f"{before}{place}")
        step: Table = {**form, "label": label}
        for key in ("set", "properties"):
            if key in form:
                step[key] = _values(form[key])
        if "wait" in form:
            text = form["wait"]
            step["wait"] = text.removeprefix("until ") if text.startswith("until ") else length_of(text)
        if "wait_until" in form:
            told = form["wait_until"]
            step["wait_until"] = _stop(book, told) | {
                "at_most": length_of(told["at_most"]),
                "otherwise": _steps(book, told.get("otherwise", []), f"{label}.otherwise."),
            }
        if "branch" in form:
            step["branch"] = []
            for number, arm in enumerate(form["branch"], 1):
                name = arm.get("name", "else" if "when" not in arm else str(number))
                inner = _steps(book, arm["steps"], f"{label}.{name}.")
                step["branch"].append({"name": name, "when": condition(arm.get("when")), "steps": inner})
        if "split" in form:
            variants = [
                {**each, "steps": _steps(book, each.get("steps", []), f"{label}.{each['name']}.")}
                for each in form["split"]["variants"]
            ]
            step["split"] = {**form["split"], "variants": variants}
        made.append(step)
    return made


def _stops(book: Book, given: Any) -> list[Table]:
    listed = given if isinstance(given, list) else [given]
    return [_stop(book, {"on": each} if isinstance(each, str) else each) for each in listed]


def _stop(book: Book, form: Table) -> Table:
    return {"on": _events(book, form.get("on", [])), "when": condition(form.get("when"))}


def _calendar(rule: Table) -> Table:
    """What wakes a rule without an event: `times` are as oracle.times reads them."""
    word, _, rest = str(rule["on"]).partition(" ")
    if word == "schedule":
        zone = rule.get("time_zone", "")
        return {"times": rest, "segment": rule["segment"], "zone": "" if zone == "person" else zone}
    shift = _length(rule.get("after")) - _length(rule.get("before"))
    return {
        "trait": rest.removeprefix("traits."),
        "shift": shift // 86_400_000,
        "minute": _minute(rule.get("at", "09:00")),
        "repeat": rule.get("repeat", "yearly"),
    }


def _values(forms: Table) -> Table:
    return {name: read(made["value"]) if isinstance(made, dict) else ("const", made) for name, made in forms.items()}


def _events(book: Book, names: str | list[str]) -> list[str]:
    listed = [names] if isinstance(names, str) else names
    return [book.names.get(name, name) for name in listed]


def _length(text: str | None) -> int:
    return 0 if text is None else length_of(text)


def _minute(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])
