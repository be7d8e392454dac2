"""Versions of the rulebook: which were live, which came before which, and which are kept no longer. Pure; the files
themselves are the business of adapters/versions.py.

A version is named by the content of its files. Versions stand in a line, in the order in which their content first went
live: going back to one makes no new place in the line, so going back again goes back further.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct

from triggerfish.errors import NotFound

Cause = Literal["start", "reload", "rollback", "replaced"]

KEEP = 50
"""Versions that are kept, counted from the one that was live last."""
KEEP_PINNED = 100
"""How many older ones are kept besides, because journeys of theirs are pinned to them."""
KEEP_BYTES = 512 * 1024 * 1024
"""What all versions take together at most; the live one is kept in any case."""
SHORTEST = 4
"""Letters of a version's name that are enough to name it, if no other begins with them."""


class Version(Struct, frozen=True, kw_only=True):
    """Files that were live, or that a rollback replaced before they ever were (`first_at` is empty then).

    `loaded_at` is when they went live last, or were replaced; `by` what made them so: the server's start, a change of
    the files, or their coming back. Instants are RFC 3339 text in UTC. `files` maps each path below the workspace to a
    digest of its content. `is_pinned` says that a journey among them keeps people to its own version.
    """

    version: str
    loaded_at: str
    by: Cause
    first_at: str = ""
    files: Mapping[str, str] = {}
    size: int = 0
    is_pinned: bool = False


class VersionView(Struct, frozen=True):
    """A kept version as people see it. `state`: it is live, it was and is kept, or it was replaced before it ever was.
    `changed` are the files that the version before it lacks or has otherwise (for a replaced one: the live version).
    """

    version: str
    state: Literal["live", "kept", "replaced"]
    by: Cause
    loaded_at: str
    first_at: str
    files: int
    changed: list[str]


def views(versions: Sequence[Version], live: str) -> list[VersionView]:
    """The versions as people see them, in their order."""
    now = next((each for each in versions if each.version == live), None)
    known = line(versions)
    earlier = {each.version: known[place - 1] if place else None for place, each in enumerate(known)}
    return [
        VersionView(
            version=each.version,
            state="live" if each.version == live else "kept" if each.first_at else "replaced",
            by=each.by,
            loaded_at=each.loaded_at,
            first_at=each.first_at,
            files=len(each.files),
            changed=changed(each, earlier.get(each.version, now)),
        )
        for each in versions
    ]


def line(versions: Sequence[Version]) -> list[Version]:
    """Those that were live, in the order in which they first were."""
    return sorted((each for each in versions if each.first_at), key=lambda each: (each.first_at, each.version))


def before(versions: Sequence[Version], version: str) -> Version | None:
    """The one before this one in the line."""
    known = line(versions)
    places = [place for place, each in enumerate(known) if each.version == version]
    return known[places[0] - 1] if places and places[0] > 0 else None


def find(versions: Sequence[Version], name: str) -> Version:
    """The version of this name, or the only one whose name begins like this. Raises NotFound (TF636)."""
    found = [each for each in versions if each.version.startswith(name)] if len(name) >= SHORTEST else []
    found = [each for each in found if each.version == name] or found
    if len(found) == 1:
        return found[0]
    hint = "see: triggerfish rollback --list"
    if found:
        names = ", ".join(sorted(each.version for each in found))
        raise NotFound(f'"{name}" is short for several versions: {names}', code="TF636", hint="write more of it")
    raise NotFound(f'no version "{name}" of the rulebook is kept', code="TF636", hint=hint)


def changed(version: Version, than: Version | None) -> list[str]:
    """The paths of files that one of the two lacks, or has otherwise."""
    other = {} if than is None else than.files
    paths = {*version.files, *other}
    return sorted(path for path in paths if version.files.get(path) != other.get(path))


def surplus(versions: Sequence[Version], live: str) -> list[Version]:
    """Those that are kept no longer; never the live one."""
    newest = sorted(versions, key=lambda each: (each.version == live, each.loaded_at), reverse=True)
    gone: list[Version] = []
    size = pinned = 0
    for place, each in enumerate(newest):
        size += each.size
        pinned += place >= KEEP and each.is_pinned
        is_old = place >= KEEP and (not each.is_pinned or pinned > KEEP_PINNED)
        if each.version != live and (is_old or size > KEEP_BYTES):
            gone.append(each)
    return gone
