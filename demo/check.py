"""What `make demo-check` does: play both data sets through a server of their own, unshifted so that every day gives the
same, and hold its figures against those that check_ecom.py and check_cdnow.py work out from the raw files.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from serving import replay, serving

from triggerfish.config import load_settings

HERE = Path(__file__).parent
REPOSITORY = HERE.parent
SETS = {"ecom": "ecom.csv.gz", "cdnow": "cdnow.txt.gz"}


def check(name: str) -> bool:
    """Play one data set and compare. The outbox keeps few mails: it is their number that counts."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"triggerfish-{name}-") as folder:
        workspace = Path(folder)
        for part in ("rules", "templates"):
            shutil.copytree(REPOSITORY / part, workspace / part)
        settings = (REPOSITORY / "triggerfish.toml").read_text() + "\n[plugins.outbox]\nkeep = 200\n"
        (workspace / "triggerfish.toml").write_text(settings)
        admin = load_settings(workspace, os.environ).keys.admin.reveal()
        with serving(workspace, "--port", "0") as (url, _):
            replay(HERE / SETS[name], HERE / f"{name}.mapping.yaml", url, workspace)
            expected = subprocess.run(
                [sys.executable, str(HERE / f"check_{name}.py")], stdout=subprocess.PIPE, check=True
            ).stdout
            compared = subprocess.run(
                [sys.executable, str(HERE / "compare.py"), url, admin], input=expected, check=False
            )
    print(f"{name}: {time.monotonic() - began:.0f} s\n", flush=True)
    return compared.returncode == 0


def main() -> int:
    results = [check(name) for name in sys.argv[1:] or SETS]
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
