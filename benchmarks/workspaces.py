"""Real servers to measure: `triggerfish serve` on a workspace of its own, with the starter's rules and templates."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.measuring import Wrong
from benchmarks.streams import ROOT
from triggerfish.config import load_settings

COMMAND = (sys.executable, "-m", "triggerfish.cli")
LISTENING = "Triggerfish is listening on "


class Server(NamedTuple):
    """A server that runs: its address, its workspace, and the id of the process that was started."""

    url: str
    workspace: Path
    pid: int

    @property
    def admin_key(self) -> str:
        return load_settings(self.workspace, os.environ).keys.admin.reveal()

    @property
    def write_key(self) -> str:
        return next(iter(load_settings(self.workspace, os.environ).keys.write)).reveal()

    def child(self, what: str) -> int:
        """The process id of the "api" or the "worker"."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        for pid in children:
            if f"triggerfish.processes.{what}".encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                return int(pid)
        raise Wrong(f"the server has no {what} process")


def make_workspace(folder: Path) -> Path:
    """The starter workspace, with an outbox that keeps few mails."""
    workspace = folder / "workspace"
    for part in ("rules", "templates"):
        shutil.copytree(ROOT / part, workspace / part)
    settings = (ROOT / "triggerfish.toml").read_text() + "\n[plugins.outbox]\nkeep = 200\n"
    (workspace / "triggerfish.toml").write_text(settings)
    return workspace


@contextlib.contextmanager
def serving(workspace: Path, *options: str) -> Iterator[Server]:
    """The server, until the end; it must start, and end well."""
    command = [*COMMAND, "serve", "--workspace", str(workspace), "--port", "0", *options]
    log = workspace.with_name(f"{workspace.name}.log")
    # As an installation has them, modules are compiled.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with log.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=env)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line.startswith(LISTENING):
            raise Wrong(f"the server did not start: {log.read_text()}")
        yield Server(line.removeprefix(LISTENING).strip(), workspace, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=60)
        process.stdout.close()
    if code:
        raise Wrong(f"the server ended with {code}: {log.read_text()}")
