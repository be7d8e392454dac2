"""A bound on what this process may take of memory, for as long as it does what others have written."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def at_most(megabytes: int) -> Iterator[None]:
    """Let the process take so much more than it has now; beyond it there is MemoryError, or an extension's crash.

    The bound is on private data (RLIMIT_DATA), as far as the system keeps it: Linux does.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = _data_bytes() + megabytes * 1024**2
    ceilings = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min([wanted, *ceilings]), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _data_bytes() -> int:
    """Private data that this process has now; 0 where the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[5]
    except OSError:
        return 0
    return int(pages) * resource.getpagesize()
