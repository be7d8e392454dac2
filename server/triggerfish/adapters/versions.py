"""Versions of the rulebook on disk: `data/rulebooks/<version>/` holds the rules and templates as they were, and
meta.json what is known of them (versions.Version).
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from triggerfish.adapters.source_files import SourcesUnfit, digests, read_sources, version_of, write_sources
from triggerfish.versions import Cause, Version, line, surplus

log = logging.getLogger("triggerfish.versions")

META = "meta.json"
PATIENCE_SECONDS = 5.0
_NAME = re.compile(r"[0-9a-f]{12}")
_PIN = re.compile(r"(?m)\bin_flight[\"']?\s*:\s*[\"']?pin\b")
_SHARED = re.compile(rb"(?m)^[\"']?(define|events|segments|traits)[\"']?\s*:")
"""What rule sets of other files can name."""
PINNED_LIMIT = 30
_DECODER = msgspec.json.Decoder(Version)


class Live(Struct, frozen=True):
    """What the supervisor noted of the rulebook last, as far as it matters here. When the state is "broken", `refused`
    is the version that could not go live.
    """

    state: str = "none"
    version: str = ""
    refused: str = ""


_LIVE = msgspec.json.Decoder(Live)


def live_at(path: Path) -> Live:
    """What is noted at `path` (Settings.rulebook_path)."""
    try:
        return _LIVE.decode(path.read_bytes())
    except FileNotFoundError:
        return Live()


class KeptVersions:
    """The versions kept below `folder`, which is made when the first one is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[Version]:
        """What is kept, the one that was live last first."""
        found = []
        for path in self.folder.glob(f"*/{META}"):
            if _NAME.fullmatch(path.parent.name):
                try:
                    found.append(_DECODER.decode(path.read_bytes()))
                except (OSError, msgspec.DecodeError) as error:
                    log.warning("%s is passed over: %s", path, error)
        return sorted(found, key=lambda each: (each.loaded_at, each.version), reverse=True)

    def known(self, version: str) -> Version | None:
        return next((each for each in self.all() if each.version == version), None)

    def path(self, version: str) -> Path:
        """Where the files of a version are."""
        return self.folder / version

    def keep(self, contents: Mapping[str, bytes], by: Cause, at: str, *, forget: bool = True) -> Version:
        """Keep these files, which are live as of `at`, or which a rollback is about to replace. Forgets what is too
        much. Raises OSError.
        """
        name = version_of(contents)
        known = self.known(name)
        is_live = by != "replaced"
        first_at = known.first_at if known else ""
        version = Version(
            version=name,
            loaded_at=at,
            # What was live before and comes back was not written anew, however it came back.
            by="rollback" if by == "reload" and first_at else by,
            first_at=first_at or (at if is_live else ""),
            files=digests(contents),
            size=sum(map(len, contents.values())),
            is_pinned=any(_PIN.search(content.decode(errors="replace")) for content in _rules(contents).values()),
        )
        if known is None:
            fresh = self.folder / f".{name}.new"
            shutil.rmtree(fresh, ignore_errors=True)
            write_sources(fresh, contents)
            (fresh / META).write_bytes(msgspec.json.format(msgspec.json.encode(version), indent=2))
            shutil.rmtree(self.path(name), ignore_errors=True)
            fresh.replace(self.path(name))
        elif is_live:
            fresh = self.path(name) / f".{META}.tmp"
            fresh.write_bytes(msgspec.json.format(msgspec.json.encode(version), indent=2))
            fresh.replace(self.path(name) / META)
        if forget:
            for each in surplus(self.all(), name):
                shutil.rmtree(self.path(each.version), ignore_errors=True)
        return version

    def read(self, version: Version) -> dict[str, bytes]:
        """The files of a version. Raises SourcesUnfit (TF635)."""
        return read_sources(self.path(version.version))

    def pinned(self) -> list[dict[str, str]]:
        """What it takes to compile the journeys that people are pinned to, of each version that has others, the newest
        first: path -> text. PINNED_LIMIT versions at most.
        """
        found: dict[str, dict[str, str]] = {}
        for each in reversed(line(self.all())):
            if each.is_pinned and len(found) < PINNED_LIMIT:
                try:
                    contents = _of_journeys(_rules(self.read(each)))
                except SourcesUnfit as unfit:
                    log.warning("version %s is passed over: %s", each.version, unfit.sentence)
                else:
                    texts = {label: content.decode(errors="replace") for label, content in contents.items()}
                    found.setdefault(version_of(contents), texts)
        return list(found.values())

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Keep others from changing versions and, with them, the workspace's files. After PATIENCE_SECONDS we go on
        regardless: whoever holds it may have been stopped half-way.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.folder / ".lock").open("a") as file:
            until = time.monotonic() + PATIENCE_SECONDS
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        log.warning("%s is held by another process for long; going on without it", self.folder)
                        break
                    time.sleep(0.02)
            yield


def _rules(contents: Mapping[str, bytes]) -> dict[str, bytes]:
    """The rule files and the lists beside them; no tests."""
    return {
        label: content
        for label, content in contents.items()
        if label.startswith("rules/")
        and label.endswith((".yaml", ".yml", ".txt"))
        and not label.endswith((".test.yaml", ".test.yml"))
    }


def _of_journeys(contents: Mapping[str, bytes]) -> dict[str, bytes]:
    """Those of the rule files that pinned journeys are made of: their own, and what those can name."""
    return {
        label: content
        for label, content in contents.items()
        if label.endswith(".txt") or _SHARED.search(content) or _PIN.search(content.decode(errors="replace"))
    }
