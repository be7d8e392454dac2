"""`triggerfish check`: every problem of the workspace's rules and templates, before any of them is live."""

from __future__ import annotations

import os
from collections import UserDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from triggerfish.cli import BROKEN, FINE, WARNINGS_ONLY, json_option, print_json, workspace_option
from triggerfish.rulefile.problems import Problem

if TYPE_CHECKING:
    from triggerfish.config import Settings
    from triggerfish.rulefile.prove_conditions import Notes
    from triggerfish.rules import Rulebook

FORMATS = ("text", "json", "sarif", "github")


class Counts(Struct, frozen=True):
    """How much was checked. Rules and segments are counted only when all of them can be read."""

    files: int
    rules: int = 0
    rulesets: int = 0
    segments: int = 0
    templates: int = 0


class Checked(Struct, frozen=True):
    """What there is to say of a workspace. `undecided` are questions that could be answered neither way, of `questions`
    in all; `effects` tell what becomes of people inside journeys once this goes live, `habits` what an edit would mean,
    `notes` what some mail programs lack without harm.
    """

    problems: Sequence[Problem]
    counts: Counts
    questions: int = 0
    undecided: Sequence[str] = ()
    effects: Sequence[str] = ()
    habits: Sequence[str] = ()
    notes: Sequence[str] = ()


@click.command()
@workspace_option
@json_option
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", help="For people, programs or reviews.")
@click.option("--strict", is_flag=True, help="Let warnings count as problems.")
@click.option(
    "--verbose",
    is_flag=True,
    help="Tell of each journey what an edit means, of templates what mail programs lack, and of what was not decided.",
)
@click.pass_context
def command(ctx: click.Context, workspace: Path, as_json: bool, form: str, strict: bool, verbose: bool) -> None:
    """Check rules and templates, and show every problem at its place.

    Exit code 0: all good. 1: there are problems. 3: there are warnings only (1 with --strict).
    """
    checked = look_at(workspace)
    warnings = sum(problem.is_warning for problem in checked.problems)
    problems = len(checked.problems) - warnings
    match "json" if as_json else form:
        case "json":
            print_json(checked.problems)
        case "sarif":
            from triggerfish.cli.check_report import as_sarif

            print_json(as_sarif(checked.problems, _folder(workspace)))
        case "github":
            from triggerfish.cli.check_report import as_annotation

            for problem in checked.problems:
                click.echo(as_annotation(problem, _folder(workspace)))
            click.echo(closing_line(checked.counts, problems, warnings))
        case _:
            _print(checked, closing_line(checked.counts, problems, warnings), verbose=verbose)
    if problems or (warnings and strict):
        ctx.exit(BROKEN)
    ctx.exit(WARNINGS_ONLY if warnings else FINE)


def _print(checked: Checked, closing: str, *, verbose: bool) -> None:
    for problem in checked.problems:
        click.echo(problem.render() + "\n")
    for effect in checked.effects:
        click.echo(effect)
    for line in (*checked.habits, *checked.notes, *checked.undecided) if verbose else ():
        click.echo(line)
    click.echo(closing)
    if checked.undecided:
        more = "" if verbose else " (--verbose lists them)"
        click.echo(f"{len(checked.undecided)} of {checked.questions} questions could not be decided{more}")


def check_workspace(workspace: Path) -> tuple[list[Problem], Counts]:
    """All problems of the workspace's rule files and templates, in the order of files and lines; as `look_at`."""
    checked = look_at(workspace)
    return list(checked.problems), checked.counts


def look_at(workspace: Path) -> Checked:
    """Everything that there is to say of a workspace.

    Secrets are not needed: an environment variable that triggerfish.toml names and that is not set gets a stand-in.
    Raises SettingsWrong and PluginFailed, since without settings and plugins nothing can be said of the rest.
    """
    from triggerfish.compose import inspect
    from triggerfish.config import load_settings
    from triggerfish.rulefile.examination import examine
    from triggerfish.rulefile.in_flight import effects_of_edits

    settings = load_settings(workspace, AnyEnvironment(os.environ))
    notes: list[Notes] = []

    def look_again(*given: object) -> Sequence[Problem]:
        notes.append(examine(*given))  # type: ignore[arg-type]  # as load_rulebook gives them
        return notes[0].problems

    found = inspect(settings, examine=look_again)
    counts = Counts(files=found.files, templates=len(found.templates))
    remarks = _by_note(found.notes)
    if found.rulebook is None:
        return Checked(found.problems, counts, notes=remarks)
    counts = Counts(
        files=found.files,
        rules=sum(len(ruleset.rules) for ruleset in found.rulebook.rulesets),
        rulesets=len(found.rulebook.rulesets),
        segments=len(found.rulebook.segments.segments),
        templates=len(found.templates),
    )
    undecided = [each.render() for each in notes[0].undecided]
    return Checked(
        found.problems,
        counts,
        questions=notes[0].decided + len(undecided),
        undecided=undecided,
        effects=_effects(settings, found.rulebook),
        habits=effects_of_edits(found.rulebook),
        notes=remarks,
    )


def _by_note(notes: Mapping[str, Sequence[str]]) -> list[str]:
    """Each note once, with the templates that it is about."""
    about: dict[str, list[str]] = {}
    for name, told in sorted(notes.items()):
        for note in told:
            about.setdefault(note, []).append(name)
    return [f"{'all templates' if len(names) == len(notes) > 1 else ', '.join(names)}: {note}"
            for note, names in about.items()]  # fmt: skip


def _effects(settings: Settings, edited: Rulebook) -> list[str]:
    """What the edit means for people inside journeys, if the workspace has been served."""
    from triggerfish.compose import live_rulebook
    from triggerfish.rulefile.in_flight import effects_of_edit

    live = live_rulebook(settings)
    return [] if live is None else effects_of_edit(live, edited)


def _folder(workspace: Path) -> str:
    """Where the workspace lies below the folder that check is called in, as reviews name files."""
    try:
        below = workspace.resolve().relative_to(Path.cwd())
    except ValueError:
        return ""
    return "" if below == Path() else below.as_posix()


def closing_line(counts: Counts, problems: int, warnings: int) -> str:
    """`3 problems, 1 warning in 5 files`, or what there is when all is good."""
    found = [_count(problems, "problem")] * bool(problems) + [_count(warnings, "warning")] * bool(warnings)
    files = _count(counts.files, "rule file")
    if found:
        return f"{', '.join(found)} in {files} and {_count(counts.templates, 'template')}"
    rules = f"{_count(counts.rules, 'rule')} in {_count(counts.rulesets, 'rule set')}"
    segments, templates = _count(counts.segments, "segment"), _count(counts.templates, "template")
    return f"{files}, {rules}, {segments}, {templates}: all good"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


class AnyEnvironment(UserDict[str, str]):
    """The environment, in which every variable is set. The stand-in is long enough for a key, and an address."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return "unset-environment-variable@example.invalid"
