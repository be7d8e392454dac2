"""`triggerfish rollback`: put back the rules and templates of a version that was live, or list those that are kept."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import click
from msgspec import Struct

from triggerfish.adapters.source_files import SourcesUnfit, read_sources, replace_sources, version_of
from triggerfish.adapters.versions import KeptVersions, Live, live_at
from triggerfish.cli import BROKEN, json_option, print_json, workspace_option
from triggerfish.clock import WallClock, to_iso
from triggerfish.config import Settings, load_settings
from triggerfish.errors import NotFound, TriggerfishError
from triggerfish.versions import Version, before, find, views

PATIENCE_SECONDS = 60.0
PATHS_SHOWN = 8


class RollbackRefused(TriggerfishError):
    """The files that are here would be lost."""

    code = "TF637"


class RolledBack(Struct, frozen=True):
    """What a rollback did. `replaced` is the version that the files of before are kept as; empty when they could not
    be. `server` is what the running server made of it: live, broken, or "" when none runs or it has not said so yet.
    """

    version: str
    replaced: str
    written: list[str]
    deleted: list[str]
    server: str


@click.command("rollback")
@click.argument("version", required=False)
@workspace_option
@json_option
@click.option("--list", "lists", is_flag=True, help="List the versions that are kept, and change nothing.")
@click.option("--force", is_flag=True, help="Go on even if the files that are here cannot be kept first.")
@click.pass_context
def command(ctx: click.Context, version: str | None, workspace: Path, as_json: bool, lists: bool, force: bool) -> None:
    """Put back the rules and templates of VERSION; without it, of the one before the files that are here.

    The first letters of a version's name are enough. What is replaced is kept as a version, too. A running server
    takes the files by itself: checked and tested, as ever.
    """
    settings = load_settings(workspace.resolve(), os.environ)
    kept = KeptVersions(settings.versions_path)
    if lists:
        show_list(kept.all(), live_at(settings.rulebook_path), as_json=as_json)
        return
    done = roll_back(settings, kept, version, force=force)
    if as_json:
        print_json(done)
    else:
        tell(done)
    if done.server == "broken":
        ctx.exit(BROKEN)


def roll_back(settings: Settings, kept: KeptVersions, name: str | None, *, force: bool = False) -> RolledBack:
    """Put a version's files back, and see what a running server makes of them.

    Raises NotFound (TF636) when there is no such version, RollbackRefused (TF637) when the files that are here cannot
    be kept first, and SourcesUnfit (TF635).
    """
    with kept.hold():
        wanted = _wanted(settings, kept, name, live_at(settings.rulebook_path))
        contents = kept.read(wanted)
        replaced = _keep_present(settings, kept, force=force)
        try:
            written, deleted = replace_sources(settings.workspace, contents)
        except OSError as error:
            raise RollbackRefused(
                f"the files could not all be put back: {error}",
                hint=f"mend that, then run it again: triggerfish rollback {wanted.version}",
            ) from error
    is_news = bool(written or deleted)
    server = _see(settings, wanted.version) if is_news and _is_served(settings) else ""
    return RolledBack(wanted.version, replaced, written, deleted, server)


def _wanted(settings: Settings, kept: KeptVersions, name: str | None, live: Live) -> Version:
    versions = kept.all()
    if name is not None:
        return find(versions, name)
    try:
        present = version_of(read_sources(settings.workspace))
    except SourcesUnfit:
        present = ""
    if any(each.version == present and each.first_at for each in versions):
        one = before(versions, present)
    else:
        # Files that never were live come after the version that is.
        one = next((each for each in versions if each.version == live.version), None)
    if one is None:
        sentence = "no version of the rulebook from before this one is kept"
        raise NotFound(sentence, code="TF636", hint="see: triggerfish rollback --list")
    return one


def _keep_present(settings: Settings, kept: KeptVersions, *, force: bool) -> str:
    """Keep the files that are here, unless they are. Returns their version, or "" when that cannot be and is forced."""
    try:
        contents = read_sources(settings.workspace)
        version = version_of(contents)
        if contents and kept.known(version) is None:
            kept.keep(contents, "replaced", to_iso(WallClock().now()), forget=False)
    except (SourcesUnfit, OSError) as error:
        if force:
            return ""
        sentence = error.sentence if isinstance(error, SourcesUnfit) else str(error)
        raise RollbackRefused(
            f"the files that are here cannot be kept, so they would be lost: {sentence}",
            hint="copy them to another place, then say --force",
        ) from error
    return version


# --- the server ---------------------------------------------------------------------------------------------------


def _is_served(settings: Settings) -> bool:
    """Whether a server runs on this workspace, as far as its lock file says."""
    with contextlib.suppress(OSError, ValueError):
        pid = int((settings.data_path / "serve.lock").read_text().partition(" ")[0])
        os.kill(pid, 0)
        return True
    return False


def _see(settings: Settings, version: str) -> str:
    """Wait for the server's word on the files: live, broken, or "" when it does not come."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        now = live_at(settings.rulebook_path)
        if now.state == "live" and now.version == version:
            return "live"
        if now.state == "broken" and now.refused == version:
            return "broken"
        time.sleep(0.1)
    return ""


# --- what people read -----------------------------------------------------------------------------------------------


def tell(done: RolledBack) -> None:
    if not done.written and not done.deleted:
        click.echo(f"the rules and templates are those of version {done.version} already; nothing was changed")
        return
    click.echo(f"the rules and templates are those of version {done.version} again")
    for verb, paths in (("put back", done.written), ("deleted", done.deleted)):
        for path in paths[:PATHS_SHOWN]:
            click.echo(f"  {verb}  {path}")
        if len(paths) > PATHS_SHOWN:
            click.echo(f"  {verb}  {len(paths) - PATHS_SHOWN} more")
    if done.replaced:
        click.echo(f"what was here is kept: triggerfish rollback {done.replaced}")
    click.echo(
        {
            "live": "the server has taken them: they are live",
            "broken": "the server cannot use them as they are now: triggerfish check and triggerfish test say why",
            "": "a server takes them as soon as it runs; triggerfish check looks at them now",
        }[done.server]
    )


def show_list(versions: list[Version], live: Live, *, as_json: bool) -> None:
    """The versions, the one that was live last first."""
    known = views(versions, live.version)
    if as_json:
        print_json(known)
        return
    if not known:
        click.echo("no version of the rulebook is kept: none was ever live here")
    for each in known:
        changes = f"  {_several(each.changed)}" if each.changed else ""
        click.echo(f"{each.version}  {each.loaded_at[:19].replace('T', ' ')}  {each.state:<8}  {each.by:<8}{changes}")


def _several(paths: list[str]) -> str:
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
