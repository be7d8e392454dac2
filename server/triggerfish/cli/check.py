"""`triggerfish check`: every problem of the workspace's rules and templates, before any of them is live."""

from __future__ import annotations

import os
from collections import UserDict
from pathlib import Path

import click
from msgspec import Struct

from triggerfish.cli import BROKEN, FINE, WARNINGS_ONLY, json_option, print_json, workspace_option
from triggerfish.rulefile.problems import Problem


class Counts(Struct, frozen=True):
    """How much was checked. Rules and segments are counted only when all of them can be read."""

    files: int
    rules: int = 0
    rulesets: int = 0
    segments: int = 0
    templates: int = 0


@click.command()
@workspace_option
@json_option
@click.option("--strict", is_flag=True, help="Let warnings count as problems.")
@click.pass_context
def command(ctx: click.Context, workspace: Path, as_json: bool, strict: bool) -> None:
    """Check rules and templates, and show every problem at its place.

    Exit code 0: all good. 1: there are problems. 3: there are warnings only (1 with --strict).
    """
    problems, counts = check_workspace(workspace)
    warnings = sum(problem.is_warning for problem in problems)
    if as_json:
        print_json(problems)
    else:
        for problem in problems:
            click.echo(problem.render() + "\n")
        click.echo(closing_line(counts, len(problems) - warnings, warnings))
    if len(problems) > warnings or (warnings and strict):
        ctx.exit(BROKEN)
    ctx.exit(WARNINGS_ONLY if warnings else FINE)


def check_workspace(workspace: Path) -> tuple[list[Problem], Counts]:
    """All problems of the workspace's rule files and templates, in the order of files and lines.

    Secrets are not needed: an environment variable that triggerfish.toml names and that is not set gets a stand-in.
    Raises SettingsWrong and PluginFailed, since without settings and plugins nothing can be said of the rest.
    """
    from triggerfish.compose import inspect
    from triggerfish.config import load_settings

    found = inspect(load_settings(workspace, AnyEnvironment(os.environ)))
    counts = Counts(files=found.files, templates=len(found.templates))
    if found.rulebook is not None:
        counts = Counts(
            files=found.files,
            rules=sum(len(ruleset.rules) for ruleset in found.rulebook.rulesets),
            rulesets=len(found.rulebook.rulesets),
            segments=len(found.rulebook.segments.segments),
            templates=len(found.templates),
        )
    return list(found.problems), counts


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
