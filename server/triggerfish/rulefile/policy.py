"""The policy as written to a Policy. Lengths and times of day that cannot be read are check.py's to report."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from triggerfish.clock import Millis, parse_duration
from triggerfish.rulefile.format import CapForm, FileForm, PolicyForm, SendWindowForm
from triggerfish.rulefile.marks import Path
from triggerfish.rulefile.problems import nearest, quote
from triggerfish.rules import Arbitration, Cap, Policy, Quiet, RuleSet, SendWindow
from triggerfish.zones import WEEKDAYS

if TYPE_CHECKING:
    from triggerfish.rulefile.desk import Desk


def policy_of(form: PolicyForm, desk: Desk, rulesets: Sequence[RuleSet]) -> Policy:
    """The policy. Names in it that nothing has are reported to the desk."""
    quiet = form.quiet_hours
    for place, cap in enumerate(form.caps):
        _names(cap, desk, rulesets, ("policy", "caps", place))
    windows = tuple(_window(window) for window in form.send_windows)
    if windows and not _open_minutes(form, windows):
        hint = "let a window and the hours that are not quiet have some time in common"
        desk.problem(("policy", "send_windows"), "TF641", "no marketing could ever leave", hint, at_key=True)
    return Policy(
        time_zone=form.time_zone,
        quiet=None if quiet is None else Quiet(_minute(quiet.start), _minute(quiet.end)),
        caps=tuple(_cap(cap) for cap in form.caps),
        windows=windows,
        arbitration=_arbitration(form),
    )


def report_vain(files: Sequence[tuple[FileForm, Desk]], policy: Policy, rulesets: Sequence[RuleSet]) -> None:
    """Report what rules say about coming before one another where nothing makes them stand against each other."""
    has_arbiter = policy.arbitration is not None
    shows_others = any(send.reads_also for ruleset in rulesets for rule in ruleset.rules for send in rule.sends)
    for form, desk in files:
        for place, rule in enumerate(form.rules):
            path = ("rules", place)
            if rule.group and not has_arbiter and all(cap.group != rule.group for cap in policy.caps):
                sentence = f"nothing comes of the group {quote(rule.group)}: no arbitration, and no cap on it"
                _vain(desk, (*path, "group"), sentence, "policy: {arbitration: {window: 5 minutes}}")
            if rule.losing == "merge" and not has_arbiter:
                sentence = "nothing can be merged: without arbitration, messages leave one by one"
                _vain(desk, (*path, "losing"), sentence, "policy: {arbitration: {window: 5 minutes}}")
            elif rule.losing == "merge" and not shows_others:
                sentence = "nothing can be merged: no template that a rule sends shows others"
                _vain(desk, (*path, "losing"), sentence, "read `also` in one: {% for other in also %}")
            elif rule.losing == "defer" and not has_arbiter and not policy.caps:
                sentence = "nothing makes this rule lose: the policy has no caps and no arbitration"
                _vain(desk, (*path, "losing"), sentence, "delete it")


def _vain(desk: Desk, path: Path, sentence: str, hint: str) -> None:
    desk.problem(path, "TF643", sentence, hint, is_warning=True)


def _cap(form: CapForm) -> Cap:
    return Cap(
        sends=form.sends,
        within=_length(form.within),
        channel=form.channel or "",
        purpose=form.purpose or "",
        ruleset=form.ruleset or "",
        group=form.group or "",
    )


def _window(form: SendWindowForm) -> SendWindow:
    match form.days:
        case None:
            days = range(7)
        case "weekdays":
            days = range(5)
        case "weekend":
            days = range(5, 7)
        case list() as listed:
            return SendWindow(frozenset(WEEKDAYS.index(day) for day in listed), _minute(form.from_), _minute(form.to))
    return SendWindow(frozenset(days), _minute(form.from_), _minute(form.to))


def _arbitration(form: PolicyForm) -> Arbitration | None:
    given = form.arbitration
    return None if given is None else Arbitration(_length(given.window), given.most)


def _open_minutes(form: PolicyForm, windows: Sequence[SendWindow]) -> set[int]:
    """The minutes of an ordinary week at which marketing leaves."""
    minutes: set[int] = set()
    for window in windows:
        length = (window.end - window.start - 1) % _DAY + 1
        for day in window.days:
            minutes.update((day * _DAY + window.start + minute) % (7 * _DAY) for minute in range(length))
    if form.quiet_hours is not None:
        start, end = _minute(form.quiet_hours.start), _minute(form.quiet_hours.end)
        quiet = {(start + minute) % _DAY for minute in range((end - start) % _DAY)}
        minutes = {minute for minute in minutes if minute % _DAY not in quiet}
    return minutes


_DAY = 24 * 60


def _names(cap: CapForm, desk: Desk, rulesets: Sequence[RuleSet], path: Path) -> None:
    """A cap on what no message is would hold nothing back, and nobody would know."""
    rules = [rule for ruleset in rulesets for rule in ruleset.rules]
    sends = [send for rule in rules for send in rule.sends]
    known: dict[str, tuple[str | None, str, Collection[str]]] = {
        "channel": (cap.channel, "no message leaves over", {send.channel for send in sends}),
        "purpose": (cap.purpose, "no rule's message has the purpose", {send.purpose for send in sends}),
        "ruleset": (cap.ruleset, "there is no rule set", {ruleset.name for ruleset in rulesets}),
        "group": (cap.group, "no rule is in the group", {rule.group for rule in rules}),
    }
    for key, (name, sentence, names) in known.items():
        if name is not None and name not in names and not (key == "channel" and "" in names):
            hint = nearest(name, [each for each in names if each]) or "nothing would be counted: delete the key"
            desk.problem((*path, key), "TF640", f"{sentence} {quote(name)}", hint)


def _length(text: str) -> Millis:
    """A length of time; 0 for one that does not parse."""
    try:
        return parse_duration(text)
    except ValueError:
        return 0


def _minute(text: str) -> int:
    """ "21:30" as minutes after midnight; 0 for what is no time."""
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes) if hours.isdigit() and minutes.isdigit() else 0
