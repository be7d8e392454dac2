"""Whether a catalogue's source has changed, without reading it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from triggerfish.adapters.catalog.rows import LARGEST_CATALOG

Stamp = tuple[tuple[int, int, int], ...]


def keep_copy(file: Path, folder: Path) -> None:
    """Put a copy of a catalogue's file into a folder that is not there yet. What cannot be a catalogue is left out:
    whoever reads the file itself says why. Raises OSError.
    """
    if file.is_file() and file.stat().st_size <= LARGEST_CATALOG:
        folder.mkdir()
        shutil.copyfile(file, folder / file.name)


class CatalogWatch:
    """Tells one state of a file from another. A database may change all the time, so a change of it counts `every`
    so many seconds only.
    """

    def __init__(self, path: Path | None, every: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._paths = [path, path.with_name(f"{path.name}-wal")] if path else []
        self._every = every
        self._clock = clock
        self._seen: Stamp = ()
        self._seen_at = -every

    def stamp(self) -> Stamp:
        """What the state was called when it last counted."""
        now = self._clock()
        if now - self._seen_at >= self._every and (found := self._look()) != self._seen:
            self._seen, self._seen_at = found, now
        return self._seen

    def _look(self) -> Stamp:
        found = []
        for path in self._paths:
            try:
                facts = path.stat()
            except OSError:
                found.append((0, 0, 0))
            else:
                found.append((facts.st_ino, facts.st_size, facts.st_mtime_ns))
        return tuple(found)
