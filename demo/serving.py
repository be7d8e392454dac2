"""Start `triggerfish serve --demo` on a workspace, as a person would, and stop it at the end."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

TRIGGERFISH = (sys.executable, "-m", "triggerfish.cli")
ADDRESS = "Triggerfish is listening on "


@contextlib.contextmanager
def serving(workspace: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address that it printed, and the process. Exits with its words when it does not start."""
    command = [*TRIGGERFISH, "serve", "--demo", "--workspace", str(workspace), *options]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        line = server.stdout.readline()
        if not line.startswith(ADDRESS):
            raise SystemExit(server.wait() or 1)
        yield line.removeprefix(ADDRESS).strip(), server
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=60)


def replay(file: Path, mapping: Path, url: str, workspace: Path, *options: str) -> None:
    """Replay a file into the server. Exits with the command's code when that fails."""
    command = [*TRIGGERFISH, "replay", str(file), "--mapping", str(mapping), "--to", url, "--workspace", str(workspace)]
    code = subprocess.run([*command, *options], check=False).returncode
    if code:
        raise SystemExit(code)
