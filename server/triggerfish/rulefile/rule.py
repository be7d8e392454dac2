"""A rule as written to a Rule: when it wakes, what must hold, what it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from triggerfish.clock import DAY, HOUR
from triggerfish.rulefile.format import FileForm, RuleForm
from triggerfish.rulefile.forms import is_by_calendar
from triggerfish.rulefile.marks import Path
from triggerfish.rulefile.problems import nearest, quote
from triggerfish.rulefile.steps import StepWriter, sentence_and_hint, stops
from triggerfish.rules import Again, Cap, Period, Rule, Schedule, scheduled
from triggerfish.steps import Computed
from triggerfish.timetable import Anniversary, parse_timetable

if TYPE_CHECKING:
    from triggerfish.rulefile.desk import Desk

PERIODS: dict[str, Period] = {"day": "day", "week": "week", "month": "month", "year": "year", "ever": "ever"}
ONLY_THEN = ("wait", "unless", "while_waiting", "cooldown", "once_per")
ONLY_STEPS = ("key", "again", "goal", "exit", "in_flight")
ONLY_SCHEDULE = ("segment", "time_zone")
ONLY_DATE = ("before", "after", "repeat")


def rule_of(desk: Desk, form: RuleForm, file: FileForm, path: Path) -> Rule:
    """The rule. What is wrong with it is reported to the desk; then it is not used."""
    ruleset = file.ruleset or ""
    is_journey = form.steps is not None
    _keys(desk, form, path)
    if form.channel is not None and desk.channels is not None and form.channel not in desk.channels:
        hint = nearest(form.channel, desk.channels) or f"add [delivery.channels.{form.channel}] to triggerfish.toml"
        desk.problem((*path, "channel"), "TF666", f'no channel "{form.channel}" is open', hint)
    schedule = _schedule(desk, form, path) if is_by_calendar(form) else None
    on = (scheduled(ruleset, form.name),) if schedule else tuple(dict.fromkeys(desk.events(form.on)))
    forms, inner = (form.steps, "steps") if form.steps is not None else (form.then or [], "then")
    version = desk.digest(ruleset.encode(), msgspec.json.encode(form))
    return Rule(
        ruleset=ruleset,
        name=form.name,
        on=on,
        steps=StepWriter(desk, form).write(forms, (*path, inner)),
        when=desk.condition(form.when, (*path, "when")),
        wait=0 if form.wait is None else desk.length(form.wait, (*path, "wait")),
        unless=frozenset(desk.events(form.unless)),
        while_waiting=form.while_waiting,
        cooldown=0 if form.cooldown is None else desk.length(form.cooldown, (*path, "cooldown")),
        once_per=_once_per(desk, form, path),
        limits=_limits(desk, form, path),
        max_age=_max_age(desk, form, file, path),
        priority=form.priority,
        description=form.description,
        schedule=schedule,
        is_journey=is_journey,
        key=None if form.key is None else desk.computed(form.key, (*path, "key")),
        again=_again(desk, form, path),
        goals=stops(desk, form.goal, (*path, "goal")),
        exits=stops(desk, form.exit, (*path, "exit")),
        is_pinned=form.in_flight == "pin",
        group=form.group or "",
        losing=form.losing,
        defer_at_most=desk.length(form.defer_at_most, (*path, "defer_at_most")),
        set_cooldown=0 if file.cooldown is None else desk.length(file.cooldown, ("cooldown",)),
        version=version,
    )


def _keys(desk: Desk, form: RuleForm, path: Path) -> None:
    """Whether the keys go together."""
    given = desk.given(path)
    is_schedule = isinstance(form.on, str) and form.on.startswith("schedule ")
    is_date = isinstance(form.on, str) and form.on.startswith("date ")
    wrong = [
        (ONLY_THEN if form.steps is not None else (), "goes with then, and this rule is a journey", _WAY_FOR_STEPS),
        (ONLY_STEPS if form.steps is None else (), "is for journeys, and this rule has no steps", {}),
        (() if is_schedule else ONLY_SCHEDULE, "goes with a schedule", {}),
        (() if is_date else ONLY_DATE, "goes with a date", {}),
        (() if is_date else ("at",), "goes with a date", {}),
    ]
    if "defer_at_most" in given and form.losing != "defer":
        hint = "write losing: defer"
        desk.problem((*path, "defer_at_most"), "TF281", '"defer_at_most" goes with losing: defer', hint, at_key=True)
    for keys, why, ways in wrong:
        for key in keys:
            if key in given:
                hint = ways.get(key) or "delete it"
                desk.problem((*path, key), "TF281", f'"{key}" {why}', hint, at_key=True)


_WAY_FOR_STEPS = {
    "wait": "make it a step:  - wait: 30 minutes",
    "unless": "write exit: purchase",
    "cooldown": "write again: after 30 days",
    "once_per": "write key: event.order_id, or again: once",
}


def _schedule(desk: Desk, form: RuleForm, path: Path) -> Schedule | None:
    text = str(form.on)
    at = (*path, "on")
    try:
        if text.startswith("schedule "):
            timetable = parse_timetable(text.removeprefix("schedule "))
            return Schedule(
                text, timetable=timetable, segment=_segment(desk, form, path), time_zone=_zone(desk, form, path)
            )
        return Schedule(text, anniversary=_anniversary(desk, form, path))
    except ValueError as error:
        desk.problem(at, "TF282", *sentence_and_hint(error))
        return None


def _segment(desk: Desk, form: RuleForm, path: Path) -> str:
    names = desk.segment_names
    if form.segment is None:
        desk.problem(path, "TF283", "a schedule needs the segment whose people it is for", "segment: customers")
    elif form.segment not in names:
        hint = nearest(form.segment, names)
        desk.problem((*path, "segment"), "TF283", f"there is no segment {quote(form.segment)}", hint)
    return form.segment or ""


def _zone(desk: Desk, form: RuleForm, path: Path) -> str:
    if form.time_zone is None or form.time_zone == "person":
        return ""
    if form.time_zone not in desk.time_zones:
        hint = nearest(form.time_zone, desk.time_zones) or 'write it like "Europe/Berlin"'
        desk.problem((*path, "time_zone"), "TF276", f"there is no time zone {quote(form.time_zone)}", hint)
        return ""
    return form.time_zone


def _anniversary(desk: Desk, form: RuleForm, path: Path) -> Anniversary:
    _, _, trait = str(form.on).partition(" ")
    root, _, name = trait.strip().partition(".")
    if root != "traits" or not name:
        raise ValueError(f'"{trait}" is no trait; write it like "date traits.birthday"')
    minute = _minute(desk, form.at or "09:00", (*path, "at"))
    shift = 0
    for key, text, sign in (("before", form.before, -1), ("after", form.after, 1)):
        if text is not None:
            length = desk.length(text, (*path, key))
            if length % DAY:
                desk.problem((*path, key), "TF282", "a date is shifted by whole days", 'write it like "3 days"')
            shift += sign * length
    return Anniversary(name, minute, shift, form.repeat or "yearly")


def _minute(desk: Desk, text: str, path: Path) -> int:
    """A time of day as minutes after midnight; 0 for what is none, which is a problem."""
    try:
        return parse_timetable(text).minute
    except ValueError:
        hint = 'write hours and minutes with two digits each, from "00:00" to "23:59"'
        desk.problem(path, "TF275", f"{quote(text)} is no time of day", hint)
        return 0


def _once_per(desk: Desk, form: RuleForm, path: Path) -> Period | Computed | None:
    if form.once_per is None:
        return None
    return PERIODS.get(form.once_per) or desk.computed(form.once_per, (*path, "once_per"))


def _limits(desk: Desk, form: RuleForm, path: Path) -> tuple[Cap, ...]:
    if form.limit is None:
        return ()
    if not isinstance(form.limit, list):
        return (Cap(form.limit.sends, desk.length(form.limit.within, (*path, "limit", "within"))),)
    return tuple(
        Cap(each.sends, desk.length(each.within, (*path, "limit", place, "within")))
        for place, each in enumerate(form.limit)
    )


def _max_age(desk: Desk, form: RuleForm, file: FileForm, path: Path) -> int:
    if form.max_age is not None:
        return desk.length(form.max_age, (*path, "max_age"))
    return desk.length(file.max_age, ("max_age",)) if "max_age" in desk.given(()) else HOUR


def _again(desk: Desk, form: RuleForm, path: Path) -> Again:
    match form.again:
        case None | "always":
            return "always"
        case "once":
            return "once"
        case text:
            return desk.length(text.removeprefix("after "), (*path, "again"))
