"""`triggerfish verify`: whether a workspace's data, or a backup, is whole."""

from __future__ import annotations

import os
from pathlib import Path

import click
from msgspec import Struct

from triggerfish.adapters.backup.format import problems_of, read_manifest
from triggerfish.adapters.sqlite.checking import check
from triggerfish.cli import BROKEN, FINE, json_option, print_json, workspace_option
from triggerfish.cli.backup import places_of, what_is_in
from triggerfish.cli.progress import bytes_bar
from triggerfish.clock import to_iso
from triggerfish.config import load_settings


class Verified(Struct, frozen=True):
    """What was looked at, and what is wrong with it: nothing, when `is_whole`."""

    path: str
    is_whole: bool
    said: str
    problems: list[str]


@click.command("verify")
@click.argument("backup", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@workspace_option
@json_option
@click.pass_context
def command(ctx: click.Context, backup: Path | None, workspace: Path, as_json: bool) -> None:
    """Look at every page, row and checksum of BACKUP; without it, at the workspace's own data.

    The server may run meanwhile. Exit code 0 when all is whole, 1 when something is not.
    """
    with bytes_bar("verify", is_quiet=as_json) as show:
        if backup is not None:
            manifest = read_manifest(backup)
            problems, path, said = problems_of(backup, manifest, show), backup, what_is_in(manifest)
        else:
            places = places_of(load_settings(workspace.resolve(), os.environ))
            whole = check(places.log, places.state, lambda step: show(step, 0, 0))
            newest = f", the newest of {to_iso(whole.newest_at)}" if whole.events else ""
            said = f"{whole.events:,} events{newest}; {whole.position:,} decided, {whole.profiles:,} people"
            problems, path = whole.problems, places.data
    verified = Verified(str(path), not problems, said, problems)
    if as_json:
        print_json(verified)
    elif problems:
        for problem in problems:
            click.echo(problem)
        click.echo(f"\n{path} is not whole. Keep a copy of it as it is, then restore a backup: triggerfish restore")
    else:
        click.echo(f"{path} is whole: {said}")
    ctx.exit(BROKEN if problems else FINE)
