"""A second look at a sound rulebook: what can be proved to be useless, contradictory, hidden or endless.

Everything found is a warning: the rules do what they say, and that is hardly what was meant. `triggerfish check` looks
so closely; a running server that takes new rules does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from triggerfish.rulefile.desk import Known, TemplateFacts
from triggerfish.rulefile.format import FileForm
from triggerfish.rulefile.forms import actions_of
from triggerfish.rulefile.marks import Marks
from triggerfish.rulefile.problems import quote
from triggerfish.rulefile.prove import STEP_LIMIT, Prover
from triggerfish.rulefile.prove_conditions import Notes
from triggerfish.rulefile.prove_cycles import examine_cycles
from triggerfish.rulefile.prove_reading import Reading
from triggerfish.rulefile.prove_rules import Written, examine_rules, rules_of
from triggerfish.rulefile.prove_segments import examine_segments, facts_of_tree, places_of
from triggerfish.rulefile.satisfy import ALWAYS, Formula
from triggerfish.rules import Rulebook


def examine(
    files: Sequence[tuple[FileForm, Marks]],
    rulebook: Rulebook,
    known: Known,
    steps: int = STEP_LIMIT,
) -> Notes:
    """What can be proved of a rulebook, from its files' forms. `steps` bounds each question."""
    places = places_of(files)
    prover = prover_of(files, rulebook, known, steps)
    notes = Notes()
    examine_segments(prover, notes, places)
    rules = rules_of(files, prover, known.short_names)
    examine_rules(prover, notes, rules)
    examine_cycles(prover, notes, rules, known.short_names)
    _purposes(notes, rules, known.templates)
    notes.problems.sort()
    notes.undecided.sort()
    return notes


def prover_of(
    files: Sequence[tuple[FileForm, Marks]], rulebook: Rulebook, known: Known, steps: int = STEP_LIMIT
) -> Prover:
    """Who answers questions about the rulebook's conditions."""
    places = places_of(files)
    names = [each.name for each in rulebook.segments.segments]
    reading = Reading(known.short_names, names, known.functions, known.definitions)

    def definition(name: str) -> Formula:
        form = places[name].form.when
        return ALWAYS if form is None else reading.form(form)

    return Prover(reading, facts_of_tree(rulebook.segments.segments), definition, steps)


def _purposes(notes: Notes, rules: Sequence[Written], templates: Mapping[str, TemplateFacts]) -> None:
    """Note marketing messages of which nobody can say what for they are sent."""
    for rule in rules:
        for path, action in actions_of(rule.form, rule.path):
            facts = None if action.send is None else templates.get(action.send)
            if facts is None or facts.purpose or rule.form.purpose:
                continue
            if (rule.form.class_ or facts.class_) == "marketing":
                sentence = f"{quote(action.send or '')} is marketing and has no purpose: nobody can opt out of it alone"
                hint = f"write  purpose: newsletter  in templates/{action.send}/email.mjml, or in the rule"
                notes.warn_at(rule.marks, (*path, "send"), "TF299", sentence, hint)
