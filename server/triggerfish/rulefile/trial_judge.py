"""What was expected of a test, held against what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from triggerfish.rulefile.marks import Path
from triggerfish.rulefile.trial_format import ExpectForm, MembersForm, SentForm
from triggerfish.rulefile.trial_read import Check
from triggerfish.rulefile.trial_stage import Left, Stage
from triggerfish.rules import Rulebook

_NOTHING = "nothing"
_TEXT_SHOWN = 300


class Mismatch(Struct, frozen=True):
    """An expectation that was not met, in words, and its place in the test file."""

    path: Path
    key: str
    expected: str
    actual: str


class Judge:
    """Judges the checks of one test in order; it remembers up to where `sends`, `emits` and `calls` were looked at."""

    def __init__(self, stage: Stage, rulebook: Rulebook) -> None:
        self._stage = stage
        self._rulebook = rulebook
        self._seen = {"sends": 0, "emits": 0, "calls": 0}

    def judge(self, check: Check) -> list[Mismatch]:
        """Every part of the expectation that is not as it should be."""
        form, path = check.form, check.path
        found = [*self._sends(form, path), *self._made(form, path), *self._state(form, path)]
        for name, reason in form.reasons.items():
            found += self._reason(name, reason, (*path, "reasons", name))
        return found

    def _sends(self, form: ExpectForm, path: Path) -> list[Mismatch]:
        messages = [left for left in self._stage.left if not left.call]
        found = []
        if form.sends is not None:
            fresh = messages[self._seen["sends"] :]
            self._seen["sends"] = len(messages)
            if not _match(form.sends, fresh):
                expected, actual = [_say_expected(each) for each in form.sends], [_say(left) for left in fresh]
                if any(isinstance(each, SentForm) for each in form.sends):
                    actual = [_say_whole(left) for left in fresh]
                found.append(Mismatch((*path, "sends"), "sends", _listed(expected), _listed(actual)))
        for place, name in enumerate(form.no_sends):
            times = sum(left.template == name for left in messages)
            if times:
                said = f"{name} left" + (f" {times} times" if times > 1 else "")
                found.append(Mismatch((*path, "no_sends", place), "no_sends", f"no {name} so far", said))
        return found

    def _made(self, form: ExpectForm, path: Path) -> list[Mismatch]:
        emitted = [name for _, name in self._stage.emitted]
        called = [left.call for left in self._stage.left if left.call]
        found = []
        for key, wanted, all_ in (("emits", form.emits, emitted), ("calls", form.calls, called)):
            if wanted is None:
                continue
            fresh = all_[self._seen[key] :]
            self._seen[key] = len(all_)
            own = [self._rulebook.short_names.get(name, name) for name in wanted] if key == "emits" else list(wanted)
            if Counter(own) != Counter(fresh):
                found.append(Mismatch((*path, key), key, _listed(own), _listed(fresh)))
        return found

    def _state(self, form: ExpectForm, path: Path) -> list[Mismatch]:
        person = self._stage.person()
        memberships = {} if person is None else person.memberships
        found = []
        segments = form.segments
        if isinstance(segments, MembersForm):
            groups: Sequence[tuple[str, Sequence[str], bool]] = (
                ("in", segments.in_, True), ("not_in", segments.not_in, False),
            )  # fmt: skip
            for key, names, is_in in groups:
                for place, name in enumerate(names):
                    if (name in memberships) is not is_in:
                        said = "in it" if is_in else "not in it"
                        other = "not in it" if is_in else "in it"
                        found.append(Mismatch((*path, "segments", key, place), "segments", f"{name}: {said}", other))
        elif segments is not None and set(segments) != memberships.keys():
            expected, actual = _listed(sorted(segments)), _listed(sorted(memberships))
            found.append(Mismatch((*path, "segments"), "segments", expected, actual))
        if form.segment is not None:
            primary = self._rulebook.segments.primary(memberships)
            if primary != form.segment:
                found.append(Mismatch((*path, "segment"), "segment", form.segment, primary or "none"))
        for name, value in form.traits.items():
            actual_value = None if person is None else person.trait(name)
            if not _same(actual_value, value):
                at = (*path, "traits", name)
                found.append(Mismatch(at, f"traits.{name}", _say_value(value), _say_value(actual_value)))
        if form.waiting is not None:
            waits = [] if person is None else person.waits
            inside = [f"{wait.ruleset} / {wait.rule}" for wait in waits]
            short = Counter(name.rpartition(" / ")[2] for name in inside)
            if Counter(name.rpartition(" / ")[2] for name in form.waiting) != short or not all(
                " / " not in name or name in inside for name in form.waiting
            ):
                found.append(Mismatch((*path, "waiting"), "waiting", _listed(form.waiting), _listed(inside)))
        return found

    def _reason(self, name: str, wanted: str, path: Path) -> list[Mismatch]:
        reasons = [line.reason for line in self._stage.lines if line.reason and name in line.names]
        # Conditions are quoted back with single quotes, however they were written.
        if reasons and wanted.replace('"', "'") in reasons[-1].replace('"', "'"):
            return []
        actual = reasons[-1] if reasons else "no reason is noted: nothing woke it, or it was not held back"
        return [Mismatch(path, f"reasons.{name}", wanted, actual)]


def _match(wanted: Sequence[str | SentForm], left: Sequence[Left]) -> bool:
    """Whether the messages are those wanted, in any order: each has one of its own (those described most, first)."""
    if len(wanted) != len(left) or any(each.fault for each in left):
        return False
    rest = list(left)
    for each in sorted(wanted, key=lambda each: isinstance(each, str)):
        fit = next((message for message in rest if _is_like(each, message)), None)
        if fit is None:
            return False
        rest.remove(fit)
    return True


def _is_like(wanted: str | SentForm, message: Left) -> bool:
    if isinstance(wanted, str):
        return message.template == wanted
    parts = [wanted.contains] if isinstance(wanted.contains, str) else wanted.contains
    return (
        message.template == wanted.template
        and (wanted.rule is None or wanted.rule in (message.rule, message.rule.partition(" / ")[2]))
        and (wanted.subject is None or wanted.subject in message.subject)
        and all(part in message.text for part in parts)
    )


def _say_expected(wanted: str | SentForm) -> str:
    if isinstance(wanted, str):
        return wanted
    parts = [wanted.contains] if isinstance(wanted.contains, str) else wanted.contains
    said = [f"by {wanted.rule}"] if wanted.rule else []
    said += [f'subject with "{wanted.subject}"'] if wanted.subject else []
    said += [f'text with "{part}"' for part in parts]
    return f"{wanted.template} ({'; '.join(said)})" if said else wanted.template


def _say(left: Left) -> str:
    return f"{left.template} (cannot be composed: {left.fault})" if left.fault else left.template


def _say_whole(left: Left) -> str:
    if left.fault:
        return _say(left)
    text = " ".join(left.text.split())
    shown = text if len(text) <= _TEXT_SHOWN else text[: _TEXT_SHOWN - 1] + "…"
    return f'{left.template} (by {left.rule}; subject "{left.subject}"; text "{shown}")'


def _say_value(value: Any) -> str:
    return "nothing" if value is None else repr(value) if isinstance(value, str) else str(value)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or _NOTHING


def _same(actual: Any, wanted: Any) -> bool:
    """Equal, and of one kind: 1 is not true, but it is 1.0."""
    if isinstance(actual, bool) or isinstance(wanted, bool):
        return actual is wanted
    return bool(actual == wanted)
