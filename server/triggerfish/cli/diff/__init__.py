"""`triggerfish diff`: what changed between two sets of rules, and what that would do to people."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import click

from triggerfish.cli import json_option, print_json, workspace_option
from triggerfish.cli.backtest import closing_line, report_of
from triggerfish.cli.backtest.playing import Played, Wish, period_options, play
from triggerfish.cli.diff.words import tell_diff, tell_markdown
from triggerfish.config import Settings, load_settings
from triggerfish.processes.drafts import Draft, read_draft
from triggerfish.processes.survey import ClockName
from triggerfish.rulefile.diff import Change, changes
from triggerfish.rulefile.report import DiffReport, effect_report


@click.command()
@click.argument("old")
@click.argument("new", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    show_default=True,
    help="markdown is for a pull request.",
)
@period_options
@workspace_option
@json_option
def command(
    old: str,
    new: str | None,
    form: Literal["text", "markdown", "json"],
    since: str,
    until: str,
    clock: ClockName,
    sample: int,
    processes: int | None,
    workspace: Path,
    as_json: bool,
) -> None:
    """What changes from the rules OLD to NEW (the workspace, if not said), and whom it would concern.

    Each is a workspace's folder, a folder of rule files, or a git revision such as HEAD~1; of a revision nothing is
    checked out. Both are played on the stored events, as by backtest.
    """
    settings = load_settings(workspace.resolve(), os.environ)
    wish = Wish(since, until, clock, sample, processes)
    is_json = as_json or form == "json"
    found, played = compare(settings, old, new, wish, is_quiet=is_json)
    if is_json:
        print_json(found)
        return
    for line in tell_markdown(found) if form == "markdown" else tell_diff(found):
        click.echo(line)
    if played is not None and form == "text":
        click.echo(closing_line(played))


def compare(
    settings: Settings, old: str, new: str | None, wish: Wish, *, is_quiet: bool
) -> tuple[DiffReport, Played | None]:
    """The definitions compared, and both played if anything in them differs that can make a difference."""
    before, old_rulebook = read_draft(settings, old)
    after, new_rulebook = read_draft(settings, new)
    changed = [*changes(before.files, after.files), *_template_changes(before, after)]
    contents = tuple(
        name
        for name, facts in after.templates.items()
        if name in before.templates and before.templates[name].content != facts.content
    )
    if not changed:
        return DiffReport(before.label, after.label, (), contents), None
    played = play(settings, [before, after], wish, new_rulebook.policy.time_zone, is_quiet=is_quiet)
    was = report_of(played, 0, old_rulebook, before.label, wish.clock)
    now = report_of(played, 1, new_rulebook, after.label, wish.clock)
    backtest = played.backtest
    if backtest.result.effect is None:
        raise TypeError("two drafts were played, and no effect was told")
    effect = effect_report(backtest.result.effect, was, now, backtest.period)
    return DiffReport(before.label, after.label, tuple(changed), contents, effect, was, now), played


def _template_changes(before: Draft, after: Draft) -> list[Change]:
    """Templates that are there in one of the two only, or whose class or purpose differs: those matter to rules."""
    found = []
    for name in sorted({*before.templates, *after.templates}):
        was, now = before.templates.get(name), after.templates.get(name)
        if was is None or now is None:
            found.append(Change("template", name, "removed" if now is None else "added"))
            continue
        details = [
            f"{word}: {one} → {other}"
            for word, one, other in (("class", was.class_, now.class_), ("purpose", was.purpose, now.purpose))
            if one != other
        ]
        if details:
            found.append(Change("template", name, "changed", details=tuple(details)))
    return found
