"""`triggerfish rules`: how each rule is doing, from what the server counted."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from triggerfish.cli import json_option, print_json, workspace_option
from triggerfish.cli.stored import open_reads
from triggerfish.config import load_settings
from triggerfish.health import RuleHealth

BARS = " ▁▂▃▄▅▆▇█"


@click.command()
@click.option("--stopped", is_flag=True, help="Only rules that used to fire and have stopped.")
@workspace_option
@json_option
def command(stopped: bool, workspace: Path, as_json: bool) -> None:
    """List the live rules with their health: when each fired last, how often it matches, errors, share of time.

    It works on the workspace's files: whether the server runs makes no difference.
    """
    settings = load_settings(workspace.resolve(), os.environ)
    with open_reads(settings) as reads:
        rules = [each for each in reads.health() if each.has_stopped or not stopped]
    if as_json:
        print_json(rules)
        return
    for line in tell(rules):
        click.echo(line)


def tell(rules: Sequence[RuleHealth]) -> Iterator[str]:
    """The rules as lines for a terminal, rule set by rule set."""
    if not rules:
        yield "There are no such rules."
        return
    width = max(len(each.rule) for each in rules)
    ruleset = ""
    for each in rules:
        if each.ruleset != ruleset:
            ruleset = each.ruleset
            yield click.style(ruleset, bold=True)
        fired = "never" if each.last_fired is None else each.last_fired[:16].replace("T", " ")
        share = "" if each.share_of_time is None else f"  {100 * each.share_of_time:4.1f}% of time"
        errors = click.style(f"  {each.errors_7} errors", fg="red") if each.errors_7 else ""
        often = f"{each.matches_a_day_7:8.1f} a day"
        yield f"  {each.rule:{width}}  last fired {fired:16}  {often}  {spark(each.by_day)}{share}{errors}"
        if each.held:
            yield click.style(f"  {'':{width}}  HELD: {each.held}", fg="red")
        if each.has_stopped:
            yield click.style(f"  {'':{width}}  STOPPED: {each.sentence}", fg="yellow")


def spark(counts: Sequence[int]) -> str:
    """A bar a day, as high as the day's part of the highest."""
    most = max(counts, default=0)
    if not most:
        return "·" * len(counts)
    return "".join(BARS[0 if not each else max(1, round(8 * each / most))] for each in counts)
