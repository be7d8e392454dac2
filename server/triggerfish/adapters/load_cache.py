"""What one load of the rulebook leaves for the next, in a file beside the data.

It is trusted as far as the database is: whoever may write into the data folder may change either. It holds no code. A
file that is damaged, of another Triggerfish or Python, or that somebody else could have written, is as good as none.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import sys
from functools import cache
from hashlib import blake2b
from pathlib import Path

import msgspec

log = logging.getLogger("triggerfish.load")

SIZE_LIMIT = 64 * 1024 * 1024
_MAGIC = b"triggerfish load cache 1\n"
_DIGEST_SIZE = 32


class LoadCache:
    """The file at `path`. There is one, replaced whole, so that it never grows beyond one rulebook."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> bytes:
        """What was written last; empty when there is nothing that can be used."""
        try:
            with os.fdopen(os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
                facts = os.fstat(stream.fileno())
                is_ours = stat.S_ISREG(facts.st_mode) and facts.st_uid == os.geteuid() and not facts.st_mode & 0o022
                content = stream.read(SIZE_LIMIT + 1) if is_ours else b""
        except OSError:
            return b""
        start = len(_MAGIC) + _DIGEST_SIZE
        body = content[start:]
        return body if len(content) <= SIZE_LIMIT and content[:start] == _MAGIC + _digest(body) else b""

    def write(self, body: bytes) -> None:
        """Keep this for the next load; in one piece or, beyond SIZE_LIMIT, not at all. When the disk refuses, the next
        load takes longer, and the log says why.
        """
        fresh = self._path.with_name(f"{self._path.name}.new")
        try:
            if len(_MAGIC) + _DIGEST_SIZE + len(body) > SIZE_LIMIT:
                self._path.unlink(missing_ok=True)
                return
            with contextlib.suppress(FileNotFoundError):
                fresh.unlink()
            # Not synced: of a file that a power cut left in pieces, the digest tells.
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.write(_MAGIC + _digest(body) + body)
            fresh.replace(self._path)
        except OSError as error:
            log.warning("%s cannot be written, so the next load takes longer: %s", self._path, error.strerror or error)


def _digest(body: bytes) -> bytes:
    return blake2b(body, key=_maker(), digest_size=_DIGEST_SIZE).digest()


@cache
def _maker() -> bytes:
    """A digest of all that decides what is found out of a rule file: Python, msgspec, and our own code."""
    maker = blake2b(f"{sys.version} {msgspec.__version__}".encode(), digest_size=32)
    root = Path(__file__).resolve().parents[1]
    for path in sorted([*root.glob("*.py"), *root.glob("rulefile/*.py")]):
        maker.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return maker.digest()
