"""Files of a git revision, read from the repository's objects: nothing is checked out, and no hook or filter runs.

Only plumbing is called (rev-parse, ls-tree, cat-file), with what comes from outside never in the place of an option.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from triggerfish.errors import NotFound, Refused

LARGEST_FILE_BYTES = 2 * 1024 * 1024
MOST_FILES = 20_000
MOST_BYTES = 64 * 1024 * 1024
_SECONDS = 60
_REGULAR = {"100644", "100755"}
"""Modes of ordinary files; links and submodules are left out."""


def commit_of(folder: Path, revision: str) -> str:
    """The commit that a revision (`HEAD~1`, `main`, a tag) names in the repository around `folder`, as its full id.

    Raises NotFound (TF622) when there is no repository or no such revision.
    """
    wanted = f"{revision}^{{commit}}"
    done = _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", wanted)
    commit = done.stdout.decode(errors="replace").strip()
    if done.returncode or not commit.isalnum():
        inside = _git(folder, "rev-parse", "--is-inside-work-tree").returncode == 0
        raise NotFound(
            f'"{revision}" is no folder and no git revision',
            code="TF622",
            hint='name a folder that is there, or a revision such as "HEAD~1"'
            if inside
            else f"{folder} is in no git repository, so only folders can be named",
        )
    return commit


def copy_commit(folder: Path, commit: str, parts: Sequence[str], into: Path) -> None:
    """Write the ordinary files below `parts` (names of folders in `folder`), as they are in a commit, to `into`.

    Raises Refused (TF623) when they are too many or too large, or when git fails.
    """
    listed = _checked(_git(folder, "ls-tree", "-r", "-z", "-l", commit, "--", *parts))
    wanted: list[tuple[str, PurePosixPath]] = []
    total = 0
    for line in filter(None, listed.split(b"\0")):
        about, _, name = line.partition(b"\t")
        mode, kind, blob, size = about.decode().split()
        path = PurePosixPath(os.fsdecode(name))
        if mode not in _REGULAR or kind != "blob" or int(size) > LARGEST_FILE_BYTES:
            continue
        if path.is_absolute() or ".." in path.parts or path.parts[0] not in parts:
            raise Refused(f"commit {commit[:12]} has a file with a name that leads elsewhere: {path}", code="TF623")
        total += int(size)
        wanted.append((blob, path))
    if len(wanted) > MOST_FILES or total > MOST_BYTES:
        raise Refused(
            f"commit {commit[:12]} has {len(wanted):,} files with {total // 2**20:,} MB in {' and '.join(parts)}",
            code="TF623",
            expected=f"at most {MOST_FILES:,} files with {MOST_BYTES // 2**20} MB",
        )
    content = _checked(_git(folder, "cat-file", "--batch", given="".join(f"{blob}\n" for blob, _ in wanted).encode()))
    at = 0
    for _, path in wanted:
        end = content.index(b"\n", at)
        length = int(content[at:end].split()[2])
        target = into.joinpath(*path.parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content[end + 1 : end + 1 + length])
        at = end + 2 + length


def _checked(done: subprocess.CompletedProcess[bytes]) -> bytes:
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise Refused(f"git failed: {said[-1] if said else f'exit code {done.returncode}'}", code="TF623")
    return done.stdout


def _git(folder: Path, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("git")
    if program is None:
        raise Refused("git is not installed, so no revision can be read", code="TF623", hint="name folders instead")
    environment = os.environ | {
        "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C",
    }  # fmt: skip
    command = [program, "--no-pager", "-C", str(folder), *arguments]
    try:
        return subprocess.run(  # noqa: S603  (no shell; what comes from outside stands behind --end-of-options or --)
            command, input=given, capture_output=True, timeout=_SECONDS, check=False, env=environment
        )
    except subprocess.TimeoutExpired as error:
        raise Refused(f"git did not answer within {_SECONDS} seconds", code="TF623") from error
