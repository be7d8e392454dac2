"""`triggerfish holds`: which rules' messages are held, why, and how many wait."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from triggerfish.cli import json_option, print_json, workspace_option
from triggerfish.cli.stored import open_reads
from triggerfish.config import load_settings
from triggerfish.web.holds import full_name


@click.command()
@workspace_option
@json_option
def command(workspace: Path, as_json: bool) -> None:
    """List the rules whose messages are held, by the guard or by somebody, and how many wait."""
    with open_reads(load_settings(workspace.resolve(), os.environ)) as reads:
        found = reads.holds()
    if as_json:
        print_json(found)
        return
    for each in found:
        name = click.style(full_name(each.ruleset, each.rule), bold=True)
        click.echo(
            f"{name}  since {each.since[:16].replace('T', ' ')} by {each.by or 'hand'}, {each.waiting:,} waiting"
        )
        if each.reason:
            click.echo(f"  {each.reason}")
        one = f"{each.ruleset}/{each.rule}" if each.rule else each.ruleset
        click.echo(f"  triggerfish release {shlex.quote(one)}")
    if not found:
        click.echo("Nothing is held.")
