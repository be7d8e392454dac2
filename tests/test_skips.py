"""conftest.py: a skip is told with its reason on a developer's machine, and is a failure in CI."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py").read_text(encoding="utf-8")
SUITE = """
import pytest

def test_that_runs():
    assert True

@pytest.mark.skip(reason="no tuna today")
def test_that_is_marked():
    assert False

def test_that_gives_up():
    pytest.skip("the tide is out")

@pytest.mark.{marker}
def test_that_needs_something():
    assert True
"""


def run(folder: Path, *, ci: str = "", path: str | None = None) -> str:
    """What pytest prints on the suite in this folder."""
    (folder / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (folder / "pytest.ini").write_text(
        "[pytest]\nmarkers =\n    node: x\n    browser: x\naddopts = -ra\n", encoding="utf-8"
    )
    path = os.environ["PATH"] if path is None else path
    environ = os.environ | {"CI": ci, "PATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(folder)]
    return subprocess.run(
        command, env=environ, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    ).stdout


def put(folder: Path, *, marker: str = "node") -> None:
    (folder / "test_sea.py").write_text(SUITE.format(marker=marker), encoding="utf-8")


def test_a_developer_may_skip_and_reads_why(tmp_path: Path) -> None:
    put(tmp_path)
    (tmp_path / "test_whole_file.py").write_text(
        "import pytest\npytest.importorskip('no_such_module')\n", encoding="utf-8"
    )
    told = run(tmp_path)
    assert "1 passed, 4 skipped" in told.splitlines()[-1]
    for reason in ("no tuna today", "the tide is out", "no_such_module", "`make node` installs them"):
        assert reason in told


def test_in_ci_every_skip_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    put(tmp_path)
    (tmp_path / "node" / "node_modules").mkdir(parents=True)
    told = run(tmp_path, ci="true")
    # One is skipped while it is set up, which pytest counts as an error.
    assert "1 failed, 2 passed, 1 error" in told.splitlines()[-1]
    for reason in ("no tuna today", "the tide is out"):
        assert f"may not be skipped in CI: Skipped: {reason}" in told


def test_in_ci_a_file_that_skips_itself_stops_the_run(tmp_path: Path) -> None:
    (tmp_path / "test_whole_file.py").write_text(
        "import pytest\npytest.importorskip('no_such_module')\n", encoding="utf-8"
    )
    told = run(tmp_path, ci="true")
    assert "test_whole_file.py may not be skipped in CI" in told
    assert "1 error" in told.splitlines()[-1]


@pytest.mark.parametrize("marker", ["node", "browser"])
def test_a_machine_without_node_is_told_so(tmp_path: Path, marker: str) -> None:
    put(tmp_path, marker=marker)
    assert "Node.js is not installed" in run(tmp_path, path="")


def test_an_old_node_is_told_so(tmp_path: Path) -> None:
    old = tmp_path / "bin" / "node"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho v18.20.4\n", encoding="utf-8")
    old.chmod(0o755)
    put(tmp_path)
    assert "need Node.js 20 or newer, this is v18.20.4" in run(tmp_path, path=str(old.parent))
