"""Memory of a server's processes once it has followed the demo's half year and sent its mails.

RSS counts what processes share in each of them; PSS shares it out. Both are the kernel's own (smaps_rollup).
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.engine import expected_of_the_shop
from benchmarks.measuring import Figure, Wrong
from benchmarks.streams import DEMO
from benchmarks.workspaces import COMMAND, make_workspace, serving


def kept(pid: int) -> dict[str, float]:
    """Megabytes by kind."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) / 1_024 for line in lines if line.endswith(" kB")}
    return {"RSS": found["Rss"], "PSS": found["Pss"]}


def measure(quick: bool, folder: Path) -> list[Figure]:
    """The same, quick or not: half a year is played at once."""
    workspace = make_workspace(folder)
    with serving(workspace, "--demo") as server:
        at_start = {what: kept(server.child(what)) for what in ("api", "worker")}
        replay = [*COMMAND, "replay", str(DEMO / "ecom.csv.gz"), "--mapping", str(DEMO / "ecom.mapping.yaml")]
        done = subprocess.run(
            [*replay, "--to", server.url, "--workspace", str(workspace)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Wrong(f"the replay failed: {done.stderr}")
        compared = subprocess.run(
            [sys.executable, str(DEMO / "compare.py"), server.url, server.admin_key],
            input=json.dumps(expected_of_the_shop()), capture_output=True, text=True, check=False,
        )  # fmt: skip
        if compared.returncode:
            raise Wrong(f"the demo came to other figures:\n{compared.stdout}{compared.stderr}")
        after = {what: kept(server.child(what)) for what in ("api", "worker")}
    return [
        Figure(
            f"{what}: {kind} after the demo; the floor is at its start", "MB", after[what][kind], at_start[what][kind]
        )
        for what in ("api", "worker")
        for kind in ("RSS", "PSS")
    ]
