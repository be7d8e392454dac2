"""What a newcomer installs: pinned, hashed, and what pyproject.toml asks for."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = ("requirements.txt", "requirements-dev.txt", "requirements-build.txt", "requirements-bench.txt")


def pins(lock: str) -> dict[str, dict[str, str]]:
    """Package -> pinned version -> the marker under which it is the one."""
    found: dict[str, dict[str, str]] = {}
    for line in (REPOSITORY / lock).read_text(encoding="utf-8").splitlines():
        if pinned := re.match(
            r"(?P<name>[A-Za-z0-9][\w.-]*)==(?P<version>[^\s;\\]+)(?: ; (?P<marker>[^\\]+?))? \\$", line
        ):
            found.setdefault(canonicalize_name(pinned["name"]), {})[pinned["version"]] = pinned["marker"] or ""
    return found


def asked_for(group: str) -> list[str]:
    entries = PROJECT["dependency-groups"][group]
    plain = [entry for entry in entries if isinstance(entry, str)]
    return plain + [name for entry in entries if isinstance(entry, dict) for name in asked_for(entry["include-group"])]


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("requirements.txt", PROJECT["project"]["dependencies"]),
        ("requirements-dev.txt", PROJECT["project"]["dependencies"] + asked_for("dev")),
        ("requirements-bench.txt", asked_for("bench")),
        ("requirements-build.txt", asked_for("build") + PROJECT["build-system"]["requires"]),
    ],
)
def test_each_requirement_is_pinned_at_a_version_that_fits(lock: str, wanted: list[str]) -> None:
    pinned = pins(lock)
    assert len(pinned) >= len(wanted) / 2
    for text in wanted:
        requirement = Requirement(text)
        versions = pinned.get(canonicalize_name(requirement.name), {})
        assert versions, f"{lock} does not pin {text}; run `make lock`"
        assert all(requirement.specifier.contains(version) for version in versions), f"{lock} pins {text} at {versions}"


@pytest.mark.parametrize("lock", LOCKS)
def test_each_pin_has_hashes(lock: str) -> None:
    text = (REPOSITORY / lock).read_text(encoding="utf-8")
    entries = re.split(r"(?m)^(?=[A-Za-z0-9])", text)
    bare = [entry.partition("\n")[0] for entry in entries if "==" in entry and "--hash=sha256:" not in entry]
    assert sum("==" in entry for entry in entries) == sum(len(versions) for versions in pins(lock).values())
    assert not bare


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-build.txt"])
def test_what_runs_is_what_was_tested(lock: str) -> None:
    tested = pins("requirements-dev.txt")
    for name, versions in pins(lock).items():
        assert versions == tested[name], name


def test_an_unfit_python_is_told_which_one_fits(tmp_path: Path) -> None:
    other = tmp_path / "python3.10"
    other.write_text('#!/bin/sh\ncase "$2" in *exit*) exit 1;; *) echo "$3 is Python 3.10";; esac\n', encoding="utf-8")
    other.chmod(0o755)
    environ = {"PATH": "/usr/bin:/bin", "PYTHON": str(other)}
    told = subprocess.run(
        [REPOSITORY / ".ci" / "find-python"], env=environ, capture_output=True, text=True, timeout=30, check=False
    )
    assert told.returncode == 1
    assert told.stdout == ""
    assert "needs Python 3.11 or 3.12" in told.stderr
    assert f"Found: {other} is Python 3.10." in told.stderr


def test_a_missing_compiler_is_named() -> None:
    environ = {"PATH": "/usr/bin:/bin", "PYTHON": str(Path(sys.executable).resolve()), "CC": "no-such-cc -O2"}
    told = subprocess.run(
        [REPOSITORY / ".ci" / "find-python", "--why"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "There is no C compiler (no no-such-cc)" in told.stderr
