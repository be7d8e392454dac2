"""`triggerfish hold`: hold the messages of a rule, or of a rule set."""

from __future__ import annotations

import os
from pathlib import Path

import click

from triggerfish.cli import json_option, print_json, workspace_option
from triggerfish.cli.instructing import rule_named, tell, when
from triggerfish.cli.stored import open_reads
from triggerfish.config import load_settings
from triggerfish.instructions import Hold
from triggerfish.web.holds import HoldForm, check_rule, full_name


@click.command()
@click.argument("rule", metavar="RULESET[/RULE]")
@click.option("--reason", default="", help="Why, for whoever looks at it.")
@workspace_option
@json_option
def command(rule: str, reason: str, workspace: Path, as_json: bool) -> None:
    """Hold the messages of a rule, or of all of a rule set: what is due waits until it is released."""
    settings = load_settings(workspace.resolve(), os.environ)
    ruleset, name = rule_named(rule)
    with open_reads(settings) as reads:
        check_rule(reads, ruleset, name)
    form = HoldForm(ruleset, name, reason[:300])
    is_running = tell(settings, Hold(ruleset, name, form.reason), "POST", "/v1/holds", form)
    if as_json:
        print_json(form)
    else:
        click.echo(f"{full_name(ruleset, name)} is held{when(is_running)}.")
