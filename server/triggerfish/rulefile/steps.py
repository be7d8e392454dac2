"""Actions and steps as written to steps as the engine runs them (triggerfish.steps)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from triggerfish.clock import DAY, Millis
from triggerfish.rulefile.format import ActionForm, RuleForm, StepForm, Stops, WaitUntilForm
from triggerfish.rulefile.forms import stops_of
from triggerfish.rulefile.marks import Path
from triggerfish.rulefile.problems import nearest
from triggerfish.steps import (
    STEP_LIMIT,
    Act,
    Action,
    Arm,
    Await,
    Branch,
    Call,
    Emit,
    End,
    Jump,
    Pause,
    Send,
    Set,
    Split,
    Step,
    Steps,
    Stop,
    Variant,
)
from triggerfish.timetable import Timetable, parse_timetable

if TYPE_CHECKING:
    from triggerfish.rulefile.desk import Desk

UNTIL = "until "
BEST_WITHIN_LIMIT: Millis = 7 * DAY
NO_HOLDOUT = 100


class StepWriter:
    """Writes the steps of one rule. `desk` is where names and conditions of its file are looked up (compile.py)."""

    def __init__(self, desk: Desk, rule: RuleForm) -> None:
        self._desk = desk
        self._rule = rule
        self._written: list[Step] = []
        self._labels: set[str] = set()

    def write(self, forms: Sequence[ActionForm], path: Path) -> Steps:
        """The steps of a whole rule."""
        self._list(forms, path, "", is_certain=True)
        if len(self._written) > STEP_LIMIT:
            hint = "make it two journeys; the first can emit the event that the second listens to"
            self._desk.problem(path, "TF289", f"a rule has at most {STEP_LIMIT} steps", hint, at_key=True)
        return tuple(self._written)

    def _list(self, forms: Sequence[ActionForm], path: Path, prefix: str, *, is_certain: bool) -> None:
        for place, form in enumerate(forms):
            self._one(form, (*path, place), self._label(form, (*path, place), f"{prefix}{place + 1}"), is_certain)

    def _label(self, form: ActionForm, path: Path, place: str) -> str:
        name = form.name if isinstance(form, StepForm) else None
        if name is None:
            return place
        if name in self._labels or name[:1].isdigit():
            sentence = f'there is another step "{name}"' if name in self._labels else f'"{name}" looks like a place'
            hint = "give each step of a rule a name of its own, which begins with a letter"
            self._desk.problem((*path, "name"), "TF284", sentence, hint)
        self._labels.add(name)
        return name

    def _one(self, form: ActionForm, path: Path, label: str, is_certain: bool) -> None:
        if form.split is not None:
            return self._split(form, path, label)
        if isinstance(form, StepForm):
            if form.wait is not None:
                return self._written.append(self._pause(form.wait, (*path, "wait"), label))
            if form.wait_until is not None:
                return self._wait_until(form.wait_until, (*path, "wait_until"), label)
            if form.branch is not None:
                return self._branch(form, path, label)
            if form.goal is not None:
                return self._written.append(End(label, "goal", form.goal))
            if form.exit is not None:
                return self._written.append(End(label, "exit", form.exit))
        action = self._action(form, path)
        if action is not None:
            self._written.append(Act(label, action, is_certain))
        return None

    def _action(self, form: ActionForm, path: Path) -> Action | None:
        desk = self._desk
        if form.send is not None:
            facts = desk.templates.get(form.send)
            if facts is None:
                hint = nearest(form.send, desk.templates) or "make the folder templates/" + form.send
                desk.problem((*path, "send"), "TF260", f'there is no template "{form.send}"', hint)
                return None
            class_ = self._rule.class_ or facts.class_
            return Send(
                form.send, class_, self._rule.purpose or facts.purpose, self._rule.channel or desk.channel,
                best_within=self._best_within(form, path, class_),
                reads_also=any(name == "also" or name.startswith(("also.", "also[")) for name in facts.variables),
            )  # fmt: skip
        if form.set is not None:
            return Set(desk.values(form.set, (*path, "set")))
        if form.emit is not None:
            return Emit(form.emit, desk.values(form.properties or {}, (*path, "properties")))
        if form.call is not None:
            if form.call not in desk.actions:
                hint = nearest(form.call, desk.actions) or "see: triggerfish plugins"
                desk.problem((*path, "call"), "TF288", f'no plugin has an action "{form.call}"', hint)
            return Call(form.call, desk.values(form.with_ or {}, (*path, "with")))
        return None

    def _best_within(self, form: ActionForm, path: Path, class_: str) -> Millis:
        """How long a message may wait for its best hour; 0 when it leaves at once."""
        desk = self._desk
        if form.at is None or form.within is None:
            for key, missing in (("at", "within"), ("within", "at")):
                if getattr(form, key) is not None:
                    hint = "within: 24 hours" if missing == "within" else "at: best_hour"
                    desk.problem((*path, key), "TF642", f'"{key}" needs "{missing}" beside it', hint, at_key=True)
            return 0
        if class_ == "transactional":
            sentence = "a transactional message leaves at once, and never waits for an hour"
            desk.problem((*path, "at"), "TF642", sentence, "delete at and within", at_key=True)
        length = desk.length(form.within, (*path, "within"))
        if length > BEST_WITHIN_LIMIT:
            hint = "24 hours hold every hour of the day once"
            desk.problem((*path, "within"), "TF642", "a message waits at most 7 days for its best hour", hint)
        return length

    def _pause(self, text: str, path: Path, label: str) -> Pause:
        if text.startswith(UNTIL):
            return Pause(label, until=self._timetable(text.removeprefix(UNTIL), path))
        return Pause(label, self._desk.length(text, path))

    def _timetable(self, text: str, path: Path) -> Timetable | None:
        try:
            return parse_timetable(text)
        except ValueError as error:
            self._desk.problem(path, "TF282", *sentence_and_hint(error))
            return None

    def _wait_until(self, form: WaitUntilForm, path: Path, label: str) -> None:
        if form.on is None and form.when is None:
            self._desk.problem(path, "TF286", "nothing is said that it waits for", "give it on, when, or both")
        stop = Stop(frozenset(self._desk.events(form.on or [])), self._desk.condition(form.when, (*path, "when")))
        at_most = self._desk.length(form.at_most, (*path, "at_most"))
        here = self._place()
        if form.otherwise:
            leap = self._place()
            self._list(form.otherwise, (*path, "otherwise"), f"{label}.otherwise.", is_certain=False)
            self._written[leap] = Jump(label, len(self._written))
            self._written[here] = Await(label, stop, at_most, leap + 1)
        else:
            self._written[here] = Await(label, stop, at_most, here + 1)

    def _branch(self, form: StepForm, path: Path, label: str) -> None:
        here = self._place()
        arms: list[Arm] = []
        leaps: list[int] = []
        otherwise: int | None = None
        else_name = "else"
        for number, arm in enumerate(form.branch or ()):
            at = (*path, "branch", number)
            if otherwise is not None:
                hint = "the first arm that holds is taken; put the one without when last"
                self._desk.problem(at, "TF285", "this arm is never looked at: one before it has no when", hint)
            name = arm.name or ("else" if arm.when is None else str(number + 1))
            begin = len(self._written)
            if arm.when is None:
                otherwise, else_name = begin, name
            else:
                arms.append(Arm(name, self._desk.condition(arm.when, (*at, "when")), begin))
            self._list(arm.steps, (*at, "steps"), f"{label}.{name}.", is_certain=False)
            leaps.append(self._place())
        end = len(self._written)
        for leap in leaps:
            self._written[leap] = Jump(label, end)
        self._unique([arm.name for arm in arms], (*path, "branch"), "arm")
        self._written[here] = Branch(label, tuple(arms), end if otherwise is None else otherwise, else_name)

    def _split(self, form: ActionForm, path: Path, label: str) -> None:
        split = form.split
        if split is None:
            return
        at = (*path, "split")
        self._desk.experiment(split.name, (*at, "name"))
        here = self._place()
        variants: list[Variant] = []
        leaps: list[int] = []
        # Whole numbers: of 100 people `holdout` are held out, and the others share by weight.
        total = sum(variant.weight for variant in split.variants)
        for number, variant in enumerate(split.variants):
            variants.append(Variant(variant.name, variant.weight * (NO_HOLDOUT - split.holdout), len(self._written)))
            inner = (*at, "variants", number, "steps")
            if self._rule.steps is None:
                self._only_actions(variant.steps, inner)
            self._list(variant.steps, inner, f"{label}.{variant.name}.", is_certain=False)
            leaps.append(self._place())
        end = len(self._written)
        for leap in leaps:
            self._written[leap] = Jump(label, end)
        self._unique([variant.name for variant in variants], (*at, "variants"), "variant")
        self._written[here] = Split(label, split.name, tuple(variants), total * split.holdout, end)

    def _only_actions(self, steps: Sequence[StepForm], path: Path) -> None:
        for place, step in enumerate(steps):
            for verb in ("wait", "wait_until", "branch", "goal", "exit"):
                if getattr(step, verb) is not None:
                    hint = "write steps: instead of then:"
                    sentence = f'"{verb}" is for journeys, and this rule has then'
                    self._desk.problem((*path, place, verb), "TF287", sentence, hint, at_key=True)

    def _unique(self, names: Sequence[str], path: Path, kind: str) -> None:
        for name in sorted({name for name in names if names.count(name) > 1}):
            hint = f"give each {kind} a name of its own"
            self._desk.problem(path, "TF284", f'there is another {kind} "{name}"', hint, at_key=True)

    def _place(self) -> int:
        """A place whose step is written later."""
        self._written.append(Jump("", 0))
        return len(self._written) - 1


def stops(desk: Desk, given: Stops, path: Path) -> tuple[Stop, ...]:
    """What ends a journey."""
    made = []
    for at, _, form in stops_of(given, path):
        if form.on is None and form.when is None:
            desk.problem(at, "TF286", "nothing is said that ends it", "give it on, when, or both", at_key=True)
        events = frozenset(desk.events(form.on or []))
        made.append(Stop(events, desk.condition(form.when, (*at, "when"))))
    return tuple(made)


def sentence_and_hint(error: ValueError) -> tuple[str, str]:
    """An error's text, `sentence; hint`, in two."""
    sentence, _, hint = str(error).partition("; ")
    return sentence, hint
