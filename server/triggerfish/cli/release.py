"""`triggerfish release`: let the messages of a rule, or of a rule set, leave again."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import click

from triggerfish.cli import json_option, print_json, workspace_option
from triggerfish.cli.instructing import rule_named, tell, when
from triggerfish.cli.stored import open_reads
from triggerfish.config import load_settings
from triggerfish.instructions import Release
from triggerfish.web.holds import HoldForm, check_held, full_name


@click.command()
@click.argument("rule", metavar="RULESET[/RULE]")
@workspace_option
@json_option
def command(rule: str, workspace: Path, as_json: bool) -> None:
    """Let the messages of a rule leave again, or those of a rule set that is held as a whole."""
    settings = load_settings(workspace.resolve(), os.environ)
    ruleset, name = rule_named(rule)
    with open_reads(settings) as reads:
        check_held(reads, ruleset, name)
    path = "/v1/holds/" + "/".join(quote(part, safe="") for part in (ruleset, name) if part)
    is_running = tell(settings, Release(ruleset, name), "DELETE", path, None)
    if as_json:
        print_json(HoldForm(ruleset, name))
    else:
        click.echo(f"{full_name(ruleset, name)} is released{when(is_running)}.")
