"""`triggerfish serve`: start the server on a workspace."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click

from triggerfish.cli import BROKEN, json_option, print_json, workspace_option
from triggerfish.config import Settings, load_settings
from triggerfish.processes.child import NotStarted
from triggerfish.processes.logs import set_up_logs
from triggerfish.processes.supervisor import Supervisor
from triggerfish.rulefile.problems import Problem


@click.command("serve")
@workspace_option
@click.option("--host", help="Listen on this address instead of the one in triggerfish.toml.")
@click.option("--port", type=int, help="Listen on this port; 0 takes any that is free.")
@click.option("--demo", "is_demo", is_flag=True, help="Follow the events' own time until they have caught up.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, workspace: Path, host: str | None, port: int | None, is_demo: bool, as_json: bool
) -> None:
    """Take events, follow them, send messages. Ctrl-C stops it; killed, it goes on where it was."""
    settings = load_settings(workspace.resolve(), os.environ).listening_on(host, port)
    set_up_logs(settings, process="supervisor")

    def say(address: str) -> None:
        if as_json:
            print_json({"address": address, "pid": os.getpid(), "workspace": str(settings.workspace)})
            return
        click.echo(f"Triggerfish is listening on {address}")
        for line in _notes(settings, is_demo):
            click.echo(line)

    try:
        asyncio.run(Supervisor(settings, is_demo=is_demo, say=say).run())
    except NotStarted as refused:
        for problem in refused.report.problems:
            click.echo(Problem(**problem).render() + "\n", err=True)
        click.echo(f"not started: {refused.sentence}", err=True)
        ctx.exit(BROKEN)


def _notes(settings: Settings, is_demo: bool) -> list[str]:
    notes = []
    if settings.uses_demo_keys:
        notes.append("  These are the demo's keys, known to everybody: they work on this machine only.")
    if is_demo:
        notes.append("  Demo: the clock follows the events until they have caught up with now.")
    return notes
