"""Findings about rules: conditions of rules and journeys, rules and arms that others always take the place of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from triggerfish.clock import HOUR, Millis, parse_duration
from triggerfish.rulefile.format import ConditionForm, FileForm, RuleForm, StepForm
from triggerfish.rulefile.forms import actions_of, is_by_calendar, stops_of
from triggerfish.rulefile.marks import Marks, Path
from triggerfish.rulefile.problems import quote
from triggerfish.rulefile.prove import Answer, Prover
from triggerfish.rulefile.prove_conditions import Notes, examine_condition, unknown_segments
from triggerfish.rulefile.prove_parts import Part, part_of
from triggerfish.rulefile.satisfy import Formula, both, negated

SEGMENT_EVENTS = frozenset({"segment.entered", "segment.left"})
RIVALS = 20
"""A rule is held against at most so many higher ones together; against each alone in any case."""


class Written(Struct, frozen=True):
    """A rule as written. `on` are events' own names."""

    form: RuleForm
    file: FileForm
    marks: Marks
    path: Path
    on: frozenset[str]
    part: Part

    @property
    def formula(self) -> Formula:
        return self.part.formula

    @property
    def max_age(self) -> Millis:
        text = self.form.max_age or self.file.max_age
        try:
            return parse_duration(text)
        except ValueError:
            return HOUR


def rules_of(files: Sequence[tuple[FileForm, Marks]], prover: Prover, short_names: Mapping[str, str]) -> list[Written]:
    """Every rule of the files."""
    found = []
    for file, marks in files:
        for number, form in enumerate(file.rules):
            path: Path = ("rules", number)
            on = [form.on] if isinstance(form.on, str) else form.on
            names = [f"{marks.path} {number}"] if is_by_calendar(form) else [short_names.get(name, name) for name in on]
            part = part_of(prover.reading, form.when, (*path, "when"))
            found.append(Written(form, file, marks, path, frozenset(names), part))
    return found


def examine_rules(prover: Prover, notes: Notes, rules: Sequence[Written]) -> None:
    """Note what can be proved of each rule."""
    idle: set[int] = set()
    for rule in rules:
        if rule.form.when is not None and examine_condition(prover, notes, rule.marks, rule.part) == "never":
            idle.add(id(rule))
        _segments_named(prover, notes, rule)
        for path, form in _other_conditions(rule):
            part = part_of(prover.reading, form, path)
            examine_condition(prover, notes, rule.marks, part, is_settled=False)
        _arms(prover, notes, rule)
        _behind_ends(notes, rule, rule.form.steps or (), (*rule.path, "steps"))
    by_file: dict[int, list[Written]] = {}
    for rule in rules:
        if rule.file.mode == "first" and id(rule) not in idle:
            by_file.setdefault(id(rule.file), []).append(rule)
    for group in by_file.values():
        _shadows(prover, notes, sorted(group, key=lambda rule: -rule.form.priority))


def _segments_named(prover: Prover, notes: Notes, rule: Written) -> None:
    """Note segments that `event.segment` is compared with, and that there are not."""
    if rule.form.when is None or not rule.on <= SEGMENT_EVENTS:
        return
    for part in rule.part.everything():
        if part.parts:
            continue
        for name, hint in unknown_segments([part.formula], list(prover.segments)):
            sentence = f"there is no segment {quote(name)}"
            notes.warn(rule.marks, part, "TF267", sentence, hint or "it is entered and left by nobody")


def _other_conditions(rule: Written) -> Iterator[tuple[Path, str | ConditionForm]]:
    """The conditions that a rule asks later: of goals and exits, and of its steps."""
    for key, given in (("goal", rule.form.goal), ("exit", rule.form.exit)):
        for path, _, stop in stops_of(given, (*rule.path, key)):
            if stop.when is not None:
                yield (*path, "when"), stop.when
    for path, step in actions_of(rule.form, rule.path):
        if not isinstance(step, StepForm):
            continue
        if step.wait_until is not None and step.wait_until.when is not None:
            yield (*path, "wait_until", "when"), step.wait_until.when
        for number, arm in enumerate(step.branch or ()):
            if arm.when is not None:
                yield (*path, "branch", number, "when"), arm.when


def _arms(prover: Prover, notes: Notes, rule: Written) -> None:
    """Note arms of a branch that an earlier one always takes the place of."""
    for path, step in actions_of(rule.form, rule.path):
        if not isinstance(step, StepForm) or not step.branch:
            continue
        earlier: list[Formula] = []
        for number, arm in enumerate(step.branch):
            part = part_of(prover.reading, arm.when, (*path, "branch", number, "when"))
            left = both(part.formula, *(negated(formula) for formula in earlier))
            is_dead = prover.is_possible(left, is_settled=False) == "no"
            if earlier and is_dead and prover.is_possible(part.formula, is_settled=False) != "no":
                at = (*path, "branch", number, "steps") if arm.when is None else part.path
                sentence = "this arm is never taken: wherever it holds, one before it does"
                notes.warn_at(rule.marks, at, "TF268", sentence, "move it up, or delete it")
            earlier.append(part.formula)


def _behind_ends(notes: Notes, rule: Written, steps: Sequence[StepForm], path: Path) -> None:
    """Note steps behind one that ends the run whichever way it goes."""
    for number, step in enumerate(steps):
        if number and _ends(steps[number - 1]):
            sentence = "this step is never reached: the one before it ends the run"
            notes.warn_at(rule.marks, (*path, number), "TF268", sentence, "move it up, or delete it")
            return
        for inner, where in _lists(step):
            _behind_ends(notes, rule, inner, (*path, number, *where))


def _ends(step: StepForm) -> bool:
    """Whether nobody goes on behind the step."""
    if step.goal is not None or step.exit is not None:
        return True
    inner = [bool(steps) and _ends(steps[-1]) for steps, _ in _lists(step)]
    if step.branch:
        return all(inner) and step.branch[-1].when is None
    return step.split is not None and step.split.holdout == 0 and all(inner)


def _lists(step: StepForm) -> list[tuple[Sequence[StepForm], Path]]:
    """The lists of steps within a step, with where they stand."""
    found: list[tuple[Sequence[StepForm], Path]] = []
    if step.wait_until is not None:
        found.append((step.wait_until.otherwise, ("wait_until", "otherwise")))
    found += [(arm.steps, ("branch", place, "steps")) for place, arm in enumerate(step.branch or ())]
    if step.split is not None:
        found += [
            (variant.steps, ("split", "variants", place, "steps")) for place, variant in enumerate(step.split.variants)
        ]
    return found


def _shadows(prover: Prover, notes: Notes, rules: Sequence[Written]) -> None:
    """Note rules of a set with `mode: first` that can never be the first: `rules` in the order in which they win."""
    claims = {id(rule): [prover.subjects(each.formula) for each in rule.part.conjuncts] for rule in rules}
    for place, rule in enumerate(rules):
        about = prover.subjects(rule.formula)
        rivals = [rival for rival in rules[:place] if rival.on & rule.on and rival.max_age >= rule.max_age]
        if not rivals or not rule.on <= frozenset().union(*(rival.on for rival in rivals)):
            continue
        near = [rival for rival in rivals if all(about & claim or not claim for claim in claims[id(rival)])]
        single = next((rival for rival in near if _takes_all(prover, rule, rival)), None)
        answers = []
        if single is None and len(rivals) > 1:
            akin = sorted(rivals, key=lambda rival: any(about & claim for claim in claims[id(rival)]))[-RIVALS:]
            answers = [_taken_together(prover, rule, akin, name) for name in sorted(rule.on)]
            if set(answers) == {"no"}:
                _shadowed(notes, rule, "the rules above it together take all of its events")
        elif single is not None:
            _shadowed(notes, rule, f"{quote(single.form.name)} stands above it and holds whenever it does")
        notes.count(rule.marks, (*rule.path, "name"), answers, f"whether {quote(rule.form.name)} can ever be the first")


def _takes_all(prover: Prover, rule: Written, rival: Written) -> bool:
    """Whether the rival holds whenever the rule does."""
    return rule.on <= rival.on and prover.implies(rule.formula, rival.formula)


def _taken_together(prover: Prover, rule: Written, rivals: Sequence[Written], event: str) -> Answer:
    """Whether the rule can hold for the event where none of the rivals does."""
    others = (negated(rival.formula) for rival in rivals if event in rival.on)
    return prover.is_possible(both(rule.formula, *others))


def _shadowed(notes: Notes, rule: Written, why: str) -> None:
    sentence = f"{quote(rule.form.name)} never acts: {why}"
    hint = "give it a higher priority, or say in its condition what sets it apart"
    notes.warn_at(rule.marks, (*rule.path, "name"), "TF298", sentence, hint)
