"""The live rulebook's outline, from the file in which the supervisor keeps it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from triggerfish.reads import RulebookOutline

_OUTLINE = msgspec.json.Decoder(RulebookOutline)


class OutlineFile:
    """Gives the outline in the JSON file `path`, which is replaced whole when it changes. Empty until there is one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._outline = RulebookOutline()

    def __call__(self) -> RulebookOutline:
        try:
            stat = self._path.stat()
            if (stat.st_ino, stat.st_mtime_ns) != self._seen:
                self._outline = _OUTLINE.decode(self._path.read_bytes())
                self._seen = (stat.st_ino, stat.st_mtime_ns)
        except FileNotFoundError:
            return self._outline
        return self._outline
