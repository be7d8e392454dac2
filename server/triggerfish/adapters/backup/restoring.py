"""Putting a backup in place. Between the backup and the restoring, messages left of which it knows nothing: so a note
of when it was restored is left beside the data, and what was due until then is not handed over again (leave.py).
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from triggerfish.adapters.backup.format import (
    LOG,
    RULEBOOKS,
    SETTINGS,
    SOURCES,
    STATE,
    BackupBroken,
    BackupFailed,
    DataInTheWay,
    Manifest,
    Places,
    RestoreBroken,
    Show,
    digest_of,
    files_of,
    free_name,
    problems_of,
    quietly,
    read_manifest,
    remedy,
    said,
)  # fmt: skip
from triggerfish.adapters.sqlite.copying import sync
from triggerfish.clock import Instant
from triggerfish.errors import WorkspaceTaken

RESTORED = "restored.json"
UNDER_WAY = "restoring"
"""While this file is there, the data is neither what it was nor what it will be."""


class Restored(Struct, frozen=True):
    """Beside restored data: the instant of restoring, in milliseconds, and when the backup was made."""

    at: Instant
    made_at: str


def restored_at(data: Path) -> Instant:
    """When this data was restored; 0 when it never was, or when everything is to leave again."""
    try:
        return msgspec.json.decode((data / RESTORED).read_bytes(), type=Restored).at
    except FileNotFoundError:
        return 0


def check_restored(data: Path) -> None:
    """Raises RestoreBroken (TF453) when a restore was broken off half-way."""
    if (data / UNDER_WAY).exists():
        raise RestoreBroken(
            f"{data} was being restored, and that was broken off: log and state are not whole",
            hint="restore again with --force, which moves aside what is there; what was there before is in before-…",
        )


def restore(
    backup: Path,
    places: Places,
    *,
    now: Instant,
    force: bool = False,
    resend: bool = False,
    show: Show = quietly,
) -> tuple[Manifest, str, bool]:
    """Put a backup's data in place. Returns its manifest, the folder to which `force` has moved the data that was there
    (or ""), and whether rules and templates were put in place, too: where there are none.

    Killed at any moment, it leaves what was there, a workspace that the server refuses to serve (TF453), or the
    restored one. Raises
    BackupBroken (TF451), DataInTheWay (TF452), WorkspaceTaken (TF410), BackupFailed (TF450).
    """
    manifest = read_manifest(backup)
    problems = problems_of(backup, manifest, show)
    if problems:
        raise BackupBroken(f"{backup} is not whole: {problems[0]}", hint="restore another one; nothing was changed")
    in_the_way = [path for path in _parts(places) if path.exists()]
    if in_the_way and not force:
        raise DataInTheWay(
            f"there is data already: {', '.join(map(str, in_the_way))}",
            hint="say --force to move it aside, or restore into another workspace",
        )
    try:
        places.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _unserved(places.data):
            fresh, under_way = places.data / ".restoring", places.data / UNDER_WAY
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(mode=0o700)
            _copy_checked(backup, fresh, manifest, show)
            under_way.touch()
            sync(places.data)
            aside = _move_aside(places, now) if in_the_way else ""
            (places.data / RESTORED).unlink(missing_ok=True)
            if not resend:
                _write_restored(places.data, Restored(now, manifest.made_at))
            _put(fresh / RULEBOOKS, places.data / RULEBOOKS)
            (fresh / STATE).rename(places.state)
            (fresh / LOG).rename(places.log)
            sync(places.data)
            with_sources = not any((places.workspace / name).exists() for name in ("rules", "templates"))
            if with_sources:
                _put_sources(fresh / SOURCES, places.workspace)
            if (fresh / SETTINGS).exists() and not (places.workspace / SETTINGS).exists():
                (places.workspace / SETTINGS).touch(mode=0o600)
                shutil.copyfile(fresh / SETTINGS, places.workspace / SETTINGS)
            shutil.rmtree(fresh)
            under_way.unlink()
    except OSError as error:
        raise BackupFailed(f"the backup could not be restored: {said(error)}", hint=remedy(error)) from error
    return manifest, aside, with_sources


@contextlib.contextmanager
def _unserved(data: Path) -> Iterator[None]:
    """Hold the locks that a server and its worker hold: the worker may outlive a server that was killed, for a moment.
    Raises WorkspaceTaken (TF410).
    """
    with contextlib.ExitStack() as stack:
        for name in ("serve.lock", "worker.lock"):
            lock = stack.enter_context((data / name).open("a+"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise WorkspaceTaken("a server runs on this workspace", hint="stop it first") from None
        yield


def _copy_checked(backup: Path, fresh: Path, manifest: Manifest, show: Show) -> None:
    for name, filed in manifest.files.items():
        target = fresh / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(backup / name, target)
        if digest_of(target, show) != filed.sha256:
            raise BackupBroken(f"{name} could not be read twice in the same way", hint="the disk may be failing")
        sync(target)


def _parts(places: Places) -> list[Path]:
    """All that may be there of log and state. A -wal that was left behind would be played into what is restored."""
    return [path.with_name(path.name + end) for path in (places.log, places.state) for end in ("", "-wal", "-shm")]


def _move_aside(places: Places, now: Instant) -> str:
    """What was there, into a folder of its own."""
    aside = free_name(places.data, now, "before")
    aside.mkdir(mode=0o700)
    for part in _parts(places):
        if part.exists():
            part.rename(aside / part.name)
    sync(places.data)
    return str(aside)


def _write_restored(data: Path, restored: Restored) -> None:
    path = data / RESTORED
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(restored))
    sync(fresh)
    fresh.rename(path)
    sync(data)


def _put(source: Path, target: Path) -> None:
    """Files of a folder, beside those that are there."""
    for name, path in list(files_of(source)):
        place = target / name
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            path.rename(place)


def _put_sources(source: Path, workspace: Path) -> None:
    for path in sorted(source.iterdir()) if source.is_dir() else ():
        shutil.copytree(path, workspace / path.name)
