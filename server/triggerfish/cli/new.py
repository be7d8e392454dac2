"""`triggerfish new`: a workspace of one's own, from the starter, with keys that nobody else has."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from triggerfish.cli import json_option, print_json
from triggerfish.config import SETTINGS_FILE, settings_with_new_keys, starter_path
from triggerfish.errors import SettingsWrong

_IGNORED = "# What the server stores, and files with keys in them.\ndata/\nkeys/\ntriggerfish.toml\n"


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@json_option
def command(path: Path, as_json: bool) -> None:
    """Make a workspace in the folder PATH: settings with random keys, and the starter rules and templates."""
    files = make_workspace(path)
    if as_json:
        print_json({"workspace": str(path.resolve()), "files": files})
        return
    click.echo(f"A workspace is in {path}: {len(files)} files.")
    click.echo(
        f"""
Next:
  cd {path}
  triggerfish check       every rule and template, with every mistake at its place
  triggerfish serve       the server, on the address in {SETTINGS_FILE}
  triggerfish preview welcome

Your keys are in {SETTINGS_FILE}: clients send events with `write`, people look with `admin`.
Put your shop's name and address under [delivery], and its web addresses into templates/brand.yaml."""
    )


def make_workspace(path: Path) -> list[str]:
    """Fill the folder, which must be empty or not exist yet; the paths of the files, relative to it.

    Raises SettingsWrong: TF415 when something is there already, or when it cannot be written.
    """
    try:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise SettingsWrong(
                f"{path} is not empty" if path.is_dir() else f"{path} is a file",
                code="TF415",
                hint="name a folder that does not exist yet; nothing was changed",
            )
        path.mkdir(parents=True, exist_ok=True)
        for kind in ("rules", "templates"):
            shutil.copytree(starter_path(kind), path / kind, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        (path / ".gitignore").write_text(_IGNORED, encoding="utf-8")
        settings = path / SETTINGS_FILE
        # It holds keys: nobody else on this machine needs to read it.
        settings.touch(mode=0o600)
        settings.write_text(settings_with_new_keys(), encoding="utf-8")
    except OSError as error:
        raise SettingsWrong(f"{path} cannot be written: {error.strerror or error}", code="TF415") from error
    return sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())
