"""`triggerfish restore`: put a backup's data in place."""

from __future__ import annotations

import os
from pathlib import Path

import click
from msgspec import Struct

from triggerfish.adapters.backup.format import SETTINGS, Manifest, Places
from triggerfish.adapters.backup.restoring import restore
from triggerfish.cli import json_option, print_json
from triggerfish.cli.backup import what_is_in
from triggerfish.cli.progress import bytes_bar
from triggerfish.clock import WallClock, to_iso
from triggerfish.config import SETTINGS_FILE, load_settings

_OPEN = ("scheduled", "due", "retrying")


class Restored(Struct, frozen=True):
    """What was restored. `aside` is where the data that was there is now, if there was any. Events and messages after
    `missing_after` are not in it. Messages that may leave only once and were due before `sends_from` do not leave;
    that is empty with --resend. `has_settings` says whether the workspace has its triggerfish.toml.
    """

    workspace: str
    manifest: Manifest
    aside: str
    rules_restored: bool
    missing_after: str
    sends_from: str
    has_settings: bool


@click.command("restore")
@click.argument("backup", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("workspace", type=click.Path(file_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="If there is data already, move it aside.")
@click.option("--resend", is_flag=True, help="Let marketing messages leave that may have left since the backup.")
@json_option
def command(backup: Path, workspace: Path, force: bool, resend: bool, as_json: bool) -> None:
    """Put the data of BACKUP into WORKSPACE, which no server may use meanwhile.

    Rules and templates come along where the workspace has none.
    """
    workspace = workspace.resolve()
    now = WallClock().now()
    with bytes_bar("restore", is_quiet=as_json) as show:
        manifest, aside, with_sources = restore(
            backup.resolve(), _places(workspace, backup), now=now, force=force, resend=resend, show=show
        )
    done = Restored(
        workspace=str(workspace),
        manifest=manifest,
        aside=aside,
        rules_restored=with_sources,
        missing_after=manifest.events_until or manifest.made_at,
        sends_from="" if resend else to_iso(now),
        has_settings=(workspace / SETTINGS_FILE).is_file(),
    )
    if as_json:
        print_json(done)
    else:
        _tell(done)


def _places(workspace: Path, backup: Path) -> Places:
    """Where the workspace keeps its data, or will: as its own settings say, else those in the backup."""
    for folder in (workspace, backup):
        if (folder / SETTINGS).is_file():
            settings = load_settings(folder, os.environ)
            return Places(workspace, workspace / settings.store.path)
    return Places(workspace, workspace / "data")


def _tell(done: Restored) -> None:
    manifest = done.manifest
    click.echo(f"restored into {done.workspace}: {what_is_in(manifest)}")
    if done.aside:
        click.echo(f"the data that was there is in {done.aside}; delete it when you miss nothing")
    click.echo(f"missing: whatever came after {done.missing_after}, unless its senders send it again")
    waiting = sum(manifest.sends.get(status, 0) for status in _OPEN)
    if done.sends_from:
        click.echo(
            f"marketing messages that were due before {done.sends_from} may have left since the backup: they become\n"
            f"  uncertain and do not leave ({waiting:,} messages wait in it). See them with\n"
            "  `triggerfish sends --status uncertain`; `triggerfish resolve SEND again` sends one all the same"
        )
    if not done.rules_restored:
        click.echo("the rules and templates that are there stay as they are")
    if not done.has_settings:
        click.echo(f"{SETTINGS_FILE} is missing: put it back, with the keys of before, then start the server")
