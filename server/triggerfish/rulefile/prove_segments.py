"""Findings about segments: children that add nothing or that nobody can be in, siblings that only order tells apart."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from triggerfish.rulefile.format import FileForm, SegmentForm
from triggerfish.rulefile.marks import Marks, Path
from triggerfish.rulefile.problems import quote
from triggerfish.rulefile.prove import Prover
from triggerfish.rulefile.prove_conditions import Notes, examine_condition
from triggerfish.rulefile.prove_facts import SegmentFact
from triggerfish.rulefile.prove_parts import Part, part_of
from triggerfish.rulefile.satisfy import ALWAYS, Formula, both, negated
from triggerfish.segments import Segment

SIBLINGS = 60
"""Of more exclusive children, only those that follow one another are compared."""


class Place:
    """A segment as written: its form, where it stands, and its parent's name."""

    def __init__(self, form: SegmentForm, marks: Marks, path: Path, parent: Place | None) -> None:
        self.form = form
        self.marks = marks
        self.path = path
        self.parent = parent


def places_of(files: Sequence[tuple[FileForm, Marks]]) -> dict[str, Place]:
    """Every segment of the files by name, parents first."""
    found: dict[str, Place] = {}
    for form, marks in files:
        for place in _places(form.segments, marks, ("segments",), None):
            found[place.form.name] = place
    return found


def _places(forms: Sequence[SegmentForm], marks: Marks, path: Path, parent: Place | None) -> Iterator[Place]:
    for number, form in enumerate(forms):
        place = Place(form, marks, (*path, number), parent)
        yield place
        yield from _places(form.segments, marks, (*path, number, "segments"), place)


def facts_of_tree(segments: Sequence[Segment]) -> dict[str, SegmentFact]:
    """What the tree's shape says, from segments in the order in which they are looked at."""
    exclusive = {segment.name for segment in segments if segment.is_exclusive}
    children: dict[str, list[str]] = {}
    for segment in segments:
        if segment.parent in exclusive and segment.parent is not None:
            children.setdefault(segment.parent, []).append(segment.name)
    facts = {}
    for segment in segments:
        siblings = children.get(segment.parent or "", [])
        before = siblings[: siblings.index(segment.name)] if segment.name in siblings else []
        others = tuple(name for name in siblings if name != segment.name) if before or siblings else ()
        facts[segment.name] = SegmentFact(segment.name, segment.parent, tuple(before), others, segment.rank)
    return facts


def examine_segments(prover: Prover, notes: Notes, places: Mapping[str, Place]) -> None:
    """Note what can be proved of each segment."""
    empty: set[str] = set()
    for name, place in places.items():
        if place.parent is not None and place.parent.form.name in empty:
            empty.add(name)
            continue
        part = part_of(prover.reading, place.form.when, (*place.path, "when"))
        verdict = "sometimes"
        if place.form.when is not None:
            verdict = examine_condition(prover, notes, place.marks, part)
        if verdict == "never" or (place.parent is not None and _is_empty(prover, notes, place, part, verdict)):
            empty.add(name)
    for place in places.values():
        if place.form.exclusive and place.form.name not in empty:
            _overlaps(prover, notes, place, empty)


def _is_empty(prover: Prover, notes: Notes, place: Place, part: Part, verdict: str) -> bool:
    """Whether nobody who is in the parent can be in it; notes that, and a child that everybody is in."""
    name, parent = place.form.name, place.parent
    if parent is None:
        return False
    within = prover.reading.segment(parent.form.name)
    told = quote(parent.form.name)
    can = prover.is_possible(both(within, part.formula))
    if can == "no":
        sentence = f"nobody can be in {quote(name)}: its condition excludes its parent {told}"
        notes.warn(
            place.marks, part, "TF292", sentence, "a child needs its parent; move it out, or change one of the two"
        )
        return True
    before = prover.segments[name].before
    if before:
        free = both(within, part.formula, *(negated(prover.reading.segment(other)) for other in before))
        if prover.is_possible(free) == "no":
            sentence = f"nobody can be in {quote(name)}: those before it in {told} take everybody"
            path = place.path if place.form.when is None else part.path
            hint = f"give it a higher priority than {_listed(before)}, or another condition"
            notes.warn_at(place.marks, path if path != place.path else (*path, "name"), "TF294", sentence, hint)
            return True
    if place.form.when is None:
        if not parent.form.exclusive:
            sentence = f"{quote(name)} adds nothing: everybody in its parent {told} is in it"
            notes.warn_at(place.marks, (*place.path, "name"), "TF293", sentence, "give it a condition, or delete it")
        return False
    answer = prover.is_possible(both(within, negated(part.formula)))
    if answer == "no" and verdict != "always":
        sentence = f"this adds nothing: it holds for everybody in the parent {told}"
        hint = (
            "leave it out, if it is for all others"
            if parent.form.exclusive
            else "say what is more, or delete the segment"
        )
        notes.warn(place.marks, part, "TF293", sentence, hint)
    notes.count(place.marks, part.path, [can, answer], f"how the condition of {quote(name)} goes with {told}")
    return False


def _overlaps(prover: Prover, notes: Notes, place: Place, empty: Collection[str]) -> None:
    """Note exclusive children of one priority that a person could be in both of: the file's order decides."""
    children = [
        (number, child)
        for number, child in enumerate(place.form.segments)
        if child.when is not None and child.name not in empty
    ]
    within = prover.reading.segment(place.form.name)
    for at, (number, child) in enumerate(children):
        others = children[:at] if len(children) <= SIBLINGS else children[max(0, at - 1) : at]
        for _, other in others:
            if other.priority != child.priority:
                continue
            shared = both(within, _formula(prover, child), _formula(prover, other))
            if prover.is_possible(shared) == "yes":
                either_one = f"{quote(other.name)} as well as in {quote(child.name)}"
                sentence = f"somebody could be in {either_one}: the file's order decides"
                hint = "say who comes first with priority, or let their conditions exclude one another"
                path = (*place.path, "segments", number, "when")
                notes.warn_at(place.marks, path, "TF295", sentence, hint)
                break


def _formula(prover: Prover, form: SegmentForm) -> Formula:
    return ALWAYS if form.when is None else prover.reading.form(form.when)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(quote(name) for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and the others"
