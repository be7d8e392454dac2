"""Disks that fill up and fail on command, under real processes."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path


class BrokenDisk:
    """A library that makes writes and syncs fail (broken_disk.c), compiled for this test: it needs no rights at all. A
    server that is started with `env` obeys it.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        library = folder / "broken_disk.so"
        source = Path(__file__).with_name("broken_disk.c")
        compiler = shutil.which("cc") or shutil.which("gcc")
        assert compiler, "durable_rules needs a C compiler, and so does this"
        subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], check=True)
        self._control = folder / "faults"
        self.env: Mapping[str, str] = {"LD_PRELOAD": str(library), "TRIGGERFISH_FAULTS": str(self._control)}

    @contextlib.contextmanager
    def broken(self, *faults: str) -> Iterator[None]:
        """Within this, calls fail: each fault is like "write ENOSPC log.sqlite3" (broken_disk.c)."""
        fresh = self._control.with_suffix(".new")
        fresh.write_text("\n".join(faults) + "\n")
        fresh.replace(self._control)
        try:
            yield
        finally:
            self._control.unlink()


class SmallDisk:
    """A file system of a few megabytes in memory, where this user may mount one."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self._ballast = folder / "ballast"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "triggerfish-tests", folder], capture_output=True
        )
        self.is_mounted = done.returncode == 0

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Within this, no byte is left."""
        with self._ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4_096))
        try:
            yield
        finally:
            self._ballast.unlink()

    def close(self) -> None:
        if self.is_mounted:
            subprocess.run(["umount", "--lazy", self.folder], check=True)


def seconds_of(pid: int) -> float:
    """The processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
