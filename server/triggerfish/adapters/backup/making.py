"""Taking a backup while the server runs.

The state is copied first, then the log. The state knows how far in the log it has decided; so what the log has beyond
that is decided after restoring. The other way round the state would have decided events that the log lacks.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sqlite3
from pathlib import Path

import msgspec

from triggerfish.adapters.backup.format import (
    FORMAT,
    LOG,
    MANIFEST,
    RULEBOOKS,
    SETTINGS,
    SOURCES,
    STATE,
    BackupFailed,
    Filed,
    Manifest,
    Places,
    Show,
    all_in,
    digest_of,
    files_of,
    free_name,
    quietly,
    remedy,
    said,
)  # fmt: skip
from triggerfish.adapters.source_files import SourcesUnfit, read_sources, write_sources
from triggerfish.adapters.sqlite.checking import Whole, check
from triggerfish.adapters.sqlite.copying import copy, sync
from triggerfish.clock import Instant, to_iso

_SPARE = 1024 * 1024


def make(
    places: Places,
    folder: Path,
    *,
    now: Instant,
    version: str,
    with_settings: bool = False,
    show: Show = quietly,
) -> tuple[Path, Manifest]:
    """Write a backup into a new folder below `folder`, look whether it is whole, and only then give it its name.

    Raises BackupFailed (TF450): no room, a disk that refuses, data that is damaged.
    """
    part = folder / f".triggerfish-{socket.gethostname()}-{os.getpid()}.part"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _clear_up(folder)
        _see_room(places, folder)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700)
        try:
            copy(places.state, part / STATE, lambda done, total: show("the state", done, total))
            copy(places.log, part / LOG, lambda done, total: show("the log", done, total))
            _copy_rulebooks(places.data / RULEBOOKS, part / RULEBOOKS)
            write_sources(part / SOURCES, read_sources(places.workspace))
            if with_settings:
                shutil.copyfile(places.workspace / SETTINGS, part / SETTINGS)
            whole = check(part / LOG, part / STATE, lambda step: show(step, 0, 0))
            if whole.problems:
                raise BackupFailed(
                    f"the copy is not whole: {whole.problems[0]}",
                    hint="see what is wrong with the data itself: triggerfish verify",
                )
            manifest = _manifest_of(part, whole, now, version, show)
            (part / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
            _sync_all(part)
            final = free_name(folder, now)
            part.rename(final)
            sync(folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    except (OSError, sqlite3.Error, SourcesUnfit) as error:
        raise BackupFailed(f"the backup could not be written: {said(error)}", hint=remedy(error)) from error
    return final, manifest


def forget_old(folder: Path, keep: int) -> list[str]:
    """Delete all but the newest `keep` backups of a folder; their names."""
    gone = all_in(folder)[:-keep]
    for path in gone:
        # Without its manifest it is no backup any more, should this be broken off.
        (path / MANIFEST).unlink()
        shutil.rmtree(path)
    return [path.name for path in gone]


def _clear_up(folder: Path) -> None:
    """Delete what was left of backups that were killed on this machine."""
    for path in folder.glob(f".triggerfish-{socket.gethostname()}-*.part"):
        pid = path.stem.rpartition("-")[2]
        if not (pid.isdecimal() and Path(f"/proc/{pid}").exists()):
            shutil.rmtree(path, ignore_errors=True)


def _see_room(places: Places, folder: Path) -> None:
    """A backup that fills the disk of the data would stop the server."""
    needed = sum(path.stat().st_size for path in places.data.glob("*.sqlite3*"))
    free = shutil.disk_usage(folder).free
    if free < needed + needed // 10 + _SPARE:
        raise BackupFailed(
            f"there is not enough room in {folder}: about {needed // 2**20 + 1:,} MB are needed, {free // 2**20:,} MB "
            "are free",
            hint="make room, keep fewer backups (--keep), or write to another disk",
        )


def _copy_rulebooks(source: Path, target: Path) -> None:
    """The versions of the rulebook, as far as they are not being forgotten just now."""
    for path in sorted(source.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(source).parts):
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(path, place)


def _manifest_of(part: Path, whole: Whole, now: Instant, version: str, show: Show) -> Manifest:
    return Manifest(
        format=FORMAT,
        triggerfish=version,
        made_at=to_iso(now),
        events=whole.events,
        events_until=to_iso(whole.newest_at) if whole.events else "",
        decided=whole.position,
        people=whole.profiles,
        sends=whole.sends,
        files={name: Filed(path.stat().st_size, digest_of(path, show)) for name, path in files_of(part)},
    )


def _sync_all(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        sync(path)
