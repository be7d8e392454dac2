"""When tests may be skipped: on a developer's machine for want of Node.js or Chromium, in CI never."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Generator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

NODE_MODULES = Path(__file__).parent / "node" / "node_modules"

# The machine is shared: how long an example takes says nothing about the code.
settings.register_profile("triggerfish", deadline=None)
settings.load_profile("triggerfish")


@cache
def why_no_node() -> str:
    """Empty when the npm clients can be driven."""
    node = shutil.which("node")
    if node is None:
        return "Node.js is not installed"
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < 20:
        return f"the npm clients need Node.js 20 or newer, this is {version}"
    if not NODE_MODULES.is_dir():
        return "tests/node has no packages yet; `make node` installs them"
    return ""


@cache
def why_no_browser() -> str:
    """Empty when headless Chromium can be driven."""
    return why_no_node() or ("" if shutil.which("chromium") else "Chromium is not installed (Debian: chromium)")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, why_not in (("node", why_no_node), ("browser", why_no_browser)):
        if item.get_closest_marker(marker) and (reason := why_not()):
            pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    return _no_skip_in_ci((yield), item.nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    return _no_skip_in_ci((yield), collector.nodeid)


def _no_skip_in_ci(report: Any, name: str) -> Any:
    """A skipped test in CI is a failed one: what CI does not run, it does not know."""
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{name} may not be skipped in CI: {reason}"
    return report
