"""`triggerfish backtest`: what the rules would have done, played on what is stored."""

from __future__ import annotations

import os
from pathlib import Path

import click

from triggerfish.cli import json_option, print_json, workspace_option
from triggerfish.cli.backtest.playing import Played, Wish, period_options, play
from triggerfish.cli.backtest.words import tell_report
from triggerfish.config import load_settings
from triggerfish.processes.drafts import read_draft
from triggerfish.processes.survey import ClockName
from triggerfish.rulefile.report import Report, report, say_number
from triggerfish.rules import Rulebook


@click.command()
@click.option(
    "--rules",
    "rules",
    help="Other rules than the workspace's: a folder of them, another workspace, or a git revision.",
)
@period_options
@workspace_option
@json_option
def command(
    rules: str | None,
    since: str,
    until: str,
    clock: ClockName,
    sample: int,
    processes: int | None,
    workspace: Path,
    as_json: bool,
) -> None:
    """Play the stored events under the rules, and tell what would have been sent to whom.

    Nothing is sent or changed. What is due leaves at once; caps, cooldowns and quiet hours hold. Events before the
    period are played, too, so that counts, segments, waits and caps are right, but nothing is told of them.
    """
    settings = load_settings(workspace.resolve(), os.environ)
    draft, rulebook = read_draft(settings, rules)
    wish = Wish(since, until, clock, sample, processes)
    played = play(settings, [draft], wish, rulebook.policy.time_zone, is_quiet=as_json)
    found = report_of(played, 0, rulebook, draft.label, clock)
    if as_json:
        print_json(found)
        return
    for line in tell_report(found):
        click.echo(line)
    click.echo(closing_line(played))


def report_of(played: Played, side: int, rulebook: Rulebook, label: str, clock: ClockName) -> Report:
    """The report of one draft of a backtest."""
    backtest = played.backtest
    return report(
        backtest.result.tallies[side],
        backtest.period,
        rulebook,
        rules_of=label,
        clock=clock,
        events=backtest.events,
        before=backtest.before,
    )


def closing_line(played: Played) -> str:
    """How long it took."""
    backtest = played.backtest
    events = backtest.events + backtest.before
    by = "1 process" if backtest.processes == 1 else f"{backtest.processes} processes"
    return (
        f"{events:,} events played in {played.seconds:.1f} s by {by}, {say_number(events / played.seconds)} a second."
    )
