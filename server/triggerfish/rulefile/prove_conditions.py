"""Findings about one condition: it can never hold, it always holds, or one of its parts does."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from triggerfish.rulefile.marks import Marks, Path
from triggerfish.rulefile.problems import Problem, nearest, quote
from triggerfish.rulefile.prove import Prover
from triggerfish.rulefile.prove_parts import Part
from triggerfish.rulefile.satisfy import ALWAYS, Formula, Is, both, negated, terms_of
from triggerfish.zones import WEEKDAYS

Verdict = str
"""What is known of a condition: "never", "always", "sometimes" or "undecided"."""


class Undecided(Struct, frozen=True, order=True):
    """A question that could be answered neither way."""

    path: str
    line: int
    question: str

    def render(self) -> str:
        return f"{self.path}:{self.line}  undecided: {self.question}"


class Notes:
    """What was found of one rulebook: problems, and how many questions were decided."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.undecided: list[Undecided] = []
        self.decided = 0

    def warn(self, marks: Marks, part: Part, code: str, sentence: str, hint: str = "") -> None:
        """A warning about a part of a condition."""
        at_key = part.offset is None and not isinstance(part.path[-1], int)
        self.problems.append(
            marks.problem(
                part.path,
                code,
                sentence,
                hint=hint,
                offset=part.offset,
                width=part.width,
                at_key=at_key,
                is_warning=True,
            )
        )

    def warn_at(self, marks: Marks, path: Path, code: str, sentence: str, hint: str = "") -> None:
        """A warning about something else than a condition."""
        self.problems.append(marks.problem(path, code, sentence, hint=hint, is_warning=True))

    def count(self, marks: Marks, path: Path, answers: Sequence[str], question: str) -> None:
        """Count a question as decided, or note that it is not."""
        if "undecided" not in answers:
            self.decided += 1
            return
        self.undecided.append(Undecided(marks.path, marks.place(path).line, question))


def examine_condition(
    prover: Prover, notes: Notes, marks: Marks, part: Part, *, context: Formula = ALWAYS, is_settled: bool = True
) -> Verdict:
    """Note what can be proved of a condition, and of its parts as far as that says more. `context` holds anyhow."""
    verdict = _verdict(prover, part, context, is_settled)
    if verdict == "never":
        _never(prover, notes, marks, part, is_settled)
    elif verdict == "always":
        _always(notes, marks, part)
    else:
        _within(prover, notes, marks, part, context, is_settled)
    answers = ["undecided"] if verdict == "undecided" else []
    notes.count(marks, part.path, answers, f"whether {_short(part.text)} can hold, and can fail to")
    return verdict


def _verdict(prover: Prover, part: Part, context: Formula, is_settled: bool) -> Verdict:
    can = prover.is_possible(both(context, part.formula), is_settled=is_settled)
    if can == "no":
        return "never"
    can_fail = prover.is_possible(both(context, negated(part.formula)), is_settled=is_settled)
    if can_fail == "no":
        return "always"
    return "undecided" if "undecided" in (can, can_fail) else "sometimes"


def _within(prover: Prover, notes: Notes, marks: Marks, part: Part, context: Formula, is_settled: bool) -> None:
    """Look for parts that never or always hold, from the outside in. In `all`, what stands beside a part holds, too."""
    for inner in part.parts:
        beside = context
        if part.join == "all" and inner.join in ("any", "none"):
            beside = both(context, *(other.formula for other in part.parts if other is not inner))
        alone = "sometimes" if _is_plain(inner) else _verdict(prover, inner, ALWAYS, is_settled)
        here = both(context, inner.formula)
        is_choice = part.join == "any" and context is not ALWAYS
        if alone == "never":
            _never(prover, notes, marks, inner, is_settled)
        elif alone == "always":
            _always(notes, marks, inner)
        elif is_choice and prover.is_possible(here, is_settled=is_settled) == "no":
            sentence = f"{_short(inner.text)} can never hold beside what else must hold here"
            notes.warn(marks, inner, "TF290", sentence, "delete it, or change one of the two")
        else:
            _within(prover, notes, marks, inner, beside, is_settled)


def _is_plain(part: Part) -> bool:
    """Whether a part is a single claim about something that can be so or otherwise: nothing needs to be asked."""
    if part.parts or not isinstance(part.formula, Is):
        return False
    return not part.formula.term.startswith(("in ", "contains ", "starts_with ", "ends_with ", "matches ", "lower "))


def _never(prover: Prover, notes: Notes, marks: Marks, part: Part, is_settled: bool) -> None:
    parts = part.conjuncts
    core = [parts[place] for place in prover.core([each.formula for each in parts], is_settled=is_settled)]
    if len(core) == 1:
        single = core[0]
        inner = next((each for each in single.everything() if each is not single and _is_never(prover, each)), single)
        at = inner if single.join == "any" and len(single.parts) == 1 else single
        notes.warn(marks, at, "TF290", f"{_short(at.text)} can never hold", _hint(at))
        return
    told = " and ".join(_short(each.text) for each in core) if len(core) < 4 else f"{len(core)} parts of this condition"
    sentence = f"this can never hold: {told} exclude one another"
    notes.warn(marks, part, "TF290", sentence, "change one of them; or is it meant that any of them holds?")


def _is_never(prover: Prover, part: Part) -> bool:
    return prover.is_possible(part.formula) == "no"


def _always(notes: Notes, marks: Marks, part: Part) -> None:
    hint = "leave it out, or say what else is meant"
    if part.join == "any":
        hint = "one of these holds in any case; or is it meant that all of them hold?"
    notes.warn(marks, part, "TF291", f"{_short(part.text)} always holds, so it decides nothing", _hint(part) or hint)


def _hint(part: Part) -> str:
    """What is most likely meant by a single claim that never or always holds."""
    if part.parts:
        return ""
    keys = set(terms_of(part.formula)) | set(_named(part.text))
    if "local.weekday" in keys:
        day = next((day for day in WEEKDAYS if day[:3] in part.text.casefold()), "")
        return f'weekdays are written in small letters: "{day or WEEKDAYS[0]}"'
    if "local.hour" in keys:
        return "local.hour is a whole number from 0 to 23"
    if "local.date" in keys:
        return 'dates are written like "2026-01-31"'
    if "lower(" in part.text:
        return "lower(…) gives small letters; compare with small letters"
    if part.text.startswith(("count(", "days_since(", "hours_since(", "minutes_since(")):
        return "it is never less than 0"
    return ""


def _named(text: str) -> list[str]:
    return [name for name in ("local.weekday", "local.hour", "local.date") if name in text]


def _short(text: str) -> str:
    """A condition within a sentence: in quotes, of the kind that it does not hold itself."""
    shown = quote(text)
    return f"'{shown[1:-1]}'" if '"' in text else shown


def unknown_segments(formulas: Sequence[Formula], names: Sequence[str]) -> list[tuple[str, str]]:
    """Texts with which `event.segment` is compared and that are no segment's name, each with a hint."""
    key = "path ('event', 'segment')"
    found: dict[str, str] = {}
    waiting = list(formulas)
    while waiting:
        at = waiting.pop()
        if not isinstance(at, Is):
            waiting += at.parts
        elif at.term == key:
            for text in (*at.values.single_texts, *at.values.rest.single_texts):
                if text not in names:
                    found[text] = nearest(text, names)
    return sorted(found.items())
