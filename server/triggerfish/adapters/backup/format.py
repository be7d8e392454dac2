"""What a backup looks like: a folder `triggerfish-20260131T030000Z` with log and state as they were, the rules and
templates, the versions of the rulebook that are kept, and a manifest with the checksum of each file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from triggerfish.adapters.sqlite.checking import check
from triggerfish.adapters.sqlite.trouble import cause_of
from triggerfish.clock import Instant, to_iso
from triggerfish.errors import TriggerfishError

MANIFEST = "manifest.json"
FORMAT = 1
LOG, STATE, RULEBOOKS, SOURCES, SETTINGS = "log.sqlite3", "state.sqlite3", "rulebooks", "workspace", "triggerfish.toml"
_NAME = re.compile(r"triggerfish-\d{8}T\d{6}Z(-\d+)?")
_AT_ONCE = 1024 * 1024

Show = Callable[[str, int, int], None]
"""Gets what is being done, and of how many bytes how many are done."""


class BackupFailed(TriggerfishError):
    """A backup could not be written; nothing of it is left."""

    code = "TF450"


class BackupBroken(TriggerfishError):
    """A backup is not as it was written, or is none."""

    code = "TF451"


class DataInTheWay(TriggerfishError):
    """There is data where a backup is to be restored."""

    code = "TF452"


class RestoreBroken(TriggerfishError):
    """Data was being restored, and that was broken off."""

    code = "TF453"


class Filed(Struct, frozen=True):
    """A file of a backup."""

    bytes: int
    sha256: str


class Manifest(Struct, frozen=True, kw_only=True):
    """What a backup holds. `made_at` is the instant of the state; events of the log go on to `events_until`."""

    format: int
    triggerfish: str
    made_at: str
    events: int
    events_until: str
    decided: int
    people: int
    sends: dict[str, int]
    files: dict[str, Filed]


class Places(Struct, frozen=True):
    """Where a workspace has what a backup takes."""

    workspace: Path
    data: Path

    @property
    def log(self) -> Path:
        return self.data / LOG

    @property
    def state(self) -> Path:
        return self.data / STATE


def quietly(what: str, done: int, total: int) -> None: ...


def files_of(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != folder / MANIFEST:
            yield path.relative_to(folder).as_posix(), path


def digest_of(path: Path, show: Show) -> str:
    digest, done, size = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while some := file.read(_AT_ONCE):
            digest.update(some)
            done += len(some)
            show("checksums", done, size)
    return digest.hexdigest()


def free_name(folder: Path, now: Instant, what: str = "triggerfish") -> Path:
    stamp = re.sub(r"[-:]|\.\d+", "", to_iso(now))
    names = (folder / f"{what}-{stamp}{f'-{number}' if number > 1 else ''}" for number in range(1, 1_000))
    return next(path for path in names if not path.exists())


def said(error: Exception) -> str:
    cause = cause_of(error)
    if cause is not None:
        return cause[0]
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def remedy(error: Exception) -> str:
    cause = cause_of(error)
    return cause[1] if cause else "see that the folder is there, belongs to this user, and has room"


def read_manifest(backup: Path) -> Manifest:
    """Raises BackupBroken (TF451)."""
    try:
        manifest = msgspec.json.decode((backup / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError as error:
        raise BackupBroken(
            f"{backup} is no backup: there is no {MANIFEST} in it",
            hint="name the folder of one backup, such as /backup/triggerfish-20260131T030000Z",
        ) from error
    except (OSError, msgspec.DecodeError) as error:
        raise BackupBroken(f"{backup / MANIFEST} cannot be read: {error}", hint="take another backup") from error
    if manifest.format > FORMAT:
        raise BackupBroken(f"{backup} was written by a newer Triggerfish ({manifest.triggerfish})", hint="use that one")
    return manifest


def problems_of(backup: Path, manifest: Manifest, show: Show = quietly) -> list[str]:
    """What is wrong with a backup: files that are not as they were written, and what `check` finds."""
    there = dict(files_of(backup))
    problems = [f"{name} is missing" for name in manifest.files if name not in there]
    problems += [f"{name} was not part of it" for name in there if name not in manifest.files]
    for name, filed in manifest.files.items():
        if name in there and (there[name].stat().st_size, digest_of(there[name], show)) != (filed.bytes, filed.sha256):
            problems.append(f"{name} is not as it was written: its checksum differs")
    return problems or check(backup / LOG, backup / STATE, lambda step: show(step, 0, 0)).problems


def all_in(folder: Path) -> list[Path]:
    """The whole backups of a folder, the oldest first."""
    found = [path for path in folder.glob("triggerfish-*") if _NAME.fullmatch(path.name)]
    return sorted((path for path in found if (path / MANIFEST).is_file()), key=lambda path: path.name)
