"""`triggerfish resolve`: settle a send whose outcome nobody knows."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import click
import msgspec

from triggerfish.cli import json_option, print_json, workspace_option
from triggerfish.cli.instructing import tell, when
from triggerfish.cli.stored import open_reads
from triggerfish.config import load_settings
from triggerfish.instructions import Resolve
from triggerfish.web.holds import Outcome, check_uncertain


@click.command()
@click.argument("send")
@click.argument("outcome", type=click.Choice(["sent", "failed", "again"]))
@workspace_option
@json_option
def command(send: str, outcome: str, workspace: Path, as_json: bool) -> None:
    """Settle a send that is uncertain: it was sent, it failed, or it is to be sent again.

    Look in the provider's log first: "again" may be a second time.
    """
    settings = load_settings(workspace.resolve(), os.environ)
    with open_reads(settings) as reads:
        check_uncertain(reads, send)
    said = msgspec.convert({"outcome": outcome}, Outcome)
    path = f"/v1/sends/{quote(send, safe='')}/resolve"
    is_running = tell(settings, Resolve(send, said.outcome), "POST", path, said)
    if as_json:
        print_json(said)
    else:
        click.echo(f"{send} is settled as {outcome}{when(is_running)}.")
