"""The files that a rulebook is made of: what lies in a workspace's rules/ and templates/. Read whole, within bounds,
whoever wrote them; named by their content; put back in place of others.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import Path

from triggerfish.errors import TriggerfishError
from triggerfish.rulefile.problems import Problem

FOLDERS = ("rules", "templates")
FILE_LIMIT = 5_000
BYTES_LIMIT = 32 * 1024 * 1024
DEPTH_LIMIT = 16
_HINT = "rules/ and templates/ are for rule files and templates alone"


class SourcesUnfit(TriggerfishError):
    """The rules and templates cannot be taken as they are: too many, too large, not readable, or not here."""

    code = "TF635"

    def problem(self) -> Problem:
        """As a problem of the workspace as a whole."""
        return Problem(
            path="rules and templates", line=0, column=0, code=self.code, sentence=self.sentence, hint=self.hint
        )


def is_source(name: str) -> bool:
    """Whether a file or folder of this name counts: not what is hidden, and not what editors put down for a moment."""
    return not name.startswith((".", "#")) and not name.endswith(("~", ".swp", ".tmp"))


def source_files(root: Path, *, is_strict: bool = True) -> dict[str, Path]:
    """The files of a workspace, or of a copy of one: path below `root`, with slashes -> where it is. In order of path.

    Links to folders are not followed, but for rules/ and templates/ themselves. Raises SourcesUnfit beyond FILE_LIMIT
    and DEPTH_LIMIT and, unless `is_strict` is False, for a link to a file elsewhere.
    """
    found: dict[str, Path] = {}
    for folder in FOLDERS:
        home = (root / folder).resolve()
        for path in _walk(root / folder, DEPTH_LIMIT):
            label = path.relative_to(root).as_posix()
            if is_strict and path.is_symlink() and not path.resolve().is_relative_to(home):
                raise SourcesUnfit(f"{label} is a link to a file elsewhere", hint=f"put the file itself into {folder}/")
            found[label] = path
            if len(found) > FILE_LIMIT:
                raise SourcesUnfit(f"there are more than {FILE_LIMIT:,} files in rules/ and templates/", hint=_HINT)
    return dict(sorted(found.items()))


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise SourcesUnfit(f"{folder} cannot be read: {error.strerror}", hint="look at its permissions") from error
    for entry in entries:
        if not is_source(entry.name):
            continue
        if entry.is_dir(follow_symlinks=False):
            if depth == 0:
                raise SourcesUnfit(f"{entry.path} lies more than {DEPTH_LIMIT} folders deep", hint=_HINT)
            yield from _walk(Path(entry.path), depth - 1)
        elif not (entry.is_symlink() and entry.is_dir()):
            yield Path(entry.path)


def read_sources(root: Path) -> dict[str, bytes]:
    """The content of all of them. Raises SourcesUnfit, beyond BYTES_LIMIT too; then no more than that was read."""
    contents: dict[str, bytes] = {}
    left = BYTES_LIMIT
    for label, path in source_files(root).items():
        try:
            # Not to wait for whoever might write into a pipe.
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
                if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                    raise SourcesUnfit(f"{label} is no ordinary file", hint="delete it")
                content = stream.read(left + 1)
        except FileNotFoundError as error:
            raise SourcesUnfit(f"{label} is a link that leads nowhere, or was just deleted") from error
        except OSError as error:
            sentence = f"{label} cannot be read: {error.strerror}"
            raise SourcesUnfit(sentence, hint="look at its permissions") from error
        left -= len(content)
        if left < 0:
            limit = BYTES_LIMIT // 1024**2
            raise SourcesUnfit(f"rules/ and templates/ hold more than {limit} MB", hint=_HINT)
        contents[label] = content
    return contents


def digests(contents: Mapping[str, bytes]) -> dict[str, str]:
    """A digest of each file's content, for telling one from another."""
    return {label: blake2b(content, digest_size=12).hexdigest() for label, content in contents.items()}


def version_of(contents: Mapping[str, bytes]) -> str:
    """A short name for exactly this content."""
    whole = blake2b(digest_size=6)
    for label, digest in sorted(digests(contents).items()):
        whole.update(f"{label}\0{digest}\0".encode(errors="surrogatepass"))
    return whole.hexdigest()


Stamp = frozenset[tuple[str, int, int, int]]


def stamp(root: Path) -> Stamp | str:
    """What tells one state of the files from another, without reading them: path, inode, size, time. When they cannot
    be taken as they are, the reason.
    """
    found = set()
    try:
        files = source_files(root)
    except SourcesUnfit as unfit:
        return unfit.sentence
    for label, path in files.items():
        # A file may vanish while we look.
        with contextlib.suppress(OSError):
            facts = path.stat()
            found.add((label, facts.st_ino, facts.st_size, facts.st_mtime_ns))
    return frozenset(found)


def write_sources(root: Path, contents: Mapping[str, bytes]) -> None:
    """Write all of them below a folder that has none of them yet."""
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for label, content in contents.items():
        path = root / label
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def replace_sources(root: Path, contents: Mapping[str, bytes]) -> tuple[list[str], list[str]]:
    """Make the files below `root` these: write what differs, each file at once, then delete what is too much.

    Returns the paths that were written and those that were deleted. What is the same stays untouched. Raises OSError.
    """
    present = source_files(root, is_strict=False)
    written: list[str] = []
    for label, content in contents.items():
        path = root / label
        if _is_plain(path) and path.read_bytes() == content:
            continue
        _make_way(path.parent, root)
        fresh = path.with_name(f".{path.name}.tmp")
        with fresh.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if _is_plain(path):
            fresh.chmod(stat.S_IMODE(path.stat().st_mode))
        fresh.replace(path)
        written.append(label)
    deleted = [label for label in present if label not in contents]
    for label in deleted:
        # A folder may have taken its place already.
        if not _is_folder(root / label):
            (root / label).unlink(missing_ok=True)
        _tidy((root / label).parent, root)
    return written, deleted


def _make_way(folder: Path, root: Path) -> None:
    """Make the folder, in place of links and files that go by its name, or by that of one above it."""
    above = [each for each in (folder, *folder.parents) if each.parent not in (root, *root.parents)]
    for each in above:
        if each.is_symlink() or each.is_file():
            each.unlink()
    folder.mkdir(parents=True, exist_ok=True)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _tidy(folder: Path, root: Path) -> None:
    """Delete folders that became empty."""
    while folder.parent not in (root, folder):
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent
