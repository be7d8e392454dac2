"""`triggerfish backup`: a backup of a workspace, with its server running or not."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

import click
from msgspec import Struct

from triggerfish.adapters.backup.format import Manifest, Places
from triggerfish.adapters.backup.making import forget_old, make
from triggerfish.cli import json_option, print_json, workspace_option
from triggerfish.cli.progress import bytes_bar
from triggerfish.clock import WallClock
from triggerfish.config import SETTINGS_FILE, Settings, load_settings
from triggerfish.errors import SettingsWrong


class Taken(Struct, frozen=True):
    """A backup that was taken, its size in bytes, and the backups that were deleted for it."""

    path: str
    bytes: int
    manifest: Manifest
    deleted: list[str]


@click.command("backup")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--keep", type=click.IntRange(1, 1_000), help="Delete all but so many of the folder's newest backups.")
@click.option("--with-settings", is_flag=True, help=f"Put {SETTINGS_FILE} into it, too: with the keys that it holds.")
@workspace_option
@json_option
def command(folder: Path, keep: int | None, with_settings: bool, workspace: Path, as_json: bool) -> None:
    """Take a backup into a new folder below FOLDER, while the server goes on.

    Log, state, rules, templates and the versions of the rulebook; checked when it is written.
    """
    settings = load_settings(workspace.resolve(), os.environ)
    with bytes_bar("backup", is_quiet=as_json) as show:
        path, manifest = make(
            places_of(settings),
            folder,
            now=WallClock().now(),
            version=version("triggerfish"),
            with_settings=with_settings,
            show=show,
        )
    deleted = [] if keep is None else forget_old(folder, keep)
    taken = Taken(str(path), sum(each.bytes for each in manifest.files.values()), manifest, deleted)
    if as_json:
        print_json(taken)
        return
    click.echo(f"{taken.path}: {what_is_in(manifest)}; {taken.bytes / 2**20:,.1f} MB, checked")
    if not with_settings:
        click.echo(f"{SETTINGS_FILE} is not in it, because of its keys: keep it where you keep secrets")
    for name in deleted:
        click.echo(f"deleted  {name}")


def places_of(settings: Settings) -> Places:
    """Where a workspace has what a backup takes. Raises SettingsWrong (TF412) when nothing was ever stored in it, or
    when of log and state one is missing.
    """
    places = Places(settings.workspace, settings.data_path)
    missing = [path for path in (places.log, places.state) if not path.is_file()]
    if len(missing) == 1:
        raise SettingsWrong(
            f"{missing[0]} is missing, and the other of log and state is there",
            code="TF412",
            hint="do not start the server; find the file, or restore a backup: triggerfish restore",
        )
    if missing:
        raise SettingsWrong(
            f"nothing is stored in {settings.workspace} yet: there is no {missing[0].name}",
            code="TF412",
            hint="start the server (triggerfish serve) and send it events, or name another --workspace",
        )
    return places


def what_is_in(manifest: Manifest) -> str:
    until = f", the newest of {manifest.events_until}" if manifest.events_until else ""
    return f"{manifest.events:,} events{until}; {manifest.people:,} people, {sum(manifest.sends.values()):,} messages"
