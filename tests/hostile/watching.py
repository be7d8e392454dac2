"""What a process holds, and how far it grew."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread


def memory_of(pid: int) -> int:
    """Bytes of memory that a process holds (RSS)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(pid)


def files_of(pid: int) -> int:
    """How many files and sockets a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


class Watch:
    """Looks at a process every tenth of a second; `grown` is by how many bytes it grew at most."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = Event()
        self._before = self._most = memory_of(pid)
        self._thread = Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def grown(self) -> int:
        return self._most - self._before

    def _look(self) -> None:
        while not self._over.wait(0.1):
            self._most = max(self._most, memory_of(self._pid))


def faults_in(said: str) -> list[str]:
    """The lines of a server's log that tell of an exception that nobody expected."""
    return [line for line in said.splitlines() if '"trace":' in line or "Traceback" in line or "answered 500" in line]
