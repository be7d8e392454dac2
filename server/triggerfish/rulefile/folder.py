"""A folder of rule files to their texts: with bounds, and with a problem for every file that cannot be one."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

from triggerfish.rulefile.marks import Source
from triggerfish.rulefile.problems import Problem
from triggerfish.rulefile.reading import SIZE_LIMIT, too_large

FILE_LIMIT = 1_000
ENTRY_LIMIT = 20_000
SUFFIXES = (".yaml", ".yml")
LIST_FILE = ".txt"
"""What the names of lists end in: files that definitions name."""
LIST_SIZE_LIMIT = 1024 * 1024
TESTS = (".test.yaml", ".test.yml")


def read_folder(folder: Path) -> tuple[dict[str, str], list[Problem]]:
    """The rule files in and below a folder (`rules/cart.yaml` -> text) in order of path, and what cannot be read.

    Rule files end in .yaml or .yml, lists in .txt. Left out are tests (*.test.yaml) and what begins with a dot.
    Problems name a file by its path from the folder's parent. Links to folders are not followed.
    """
    if not folder.is_dir():
        hint = "a workspace keeps its rule files in rules/"
        return {}, [_whole(folder.name, "TF201", "there is no such folder", hint)]
    return _read_all(folder, _is_meant)


def read_tests(folder: Path) -> tuple[dict[str, str], list[Problem]]:
    """The test files (*.test.yaml) in and below a folder, and what cannot be read, as `read_folder` does it."""
    return _read_all(folder, _is_test) if folder.is_dir() else ({}, [])


def _read_all(folder: Path, is_meant: Callable[[Path], bool]) -> tuple[dict[str, str], list[Problem]]:
    found = sorted(path for path in islice(folder.rglob("*"), ENTRY_LIMIT) if is_meant(path.relative_to(folder)))
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    for path in found[:FILE_LIMIT]:
        label = path.relative_to(folder.parent).as_posix()
        text = _read(path, label, problems)
        if text is not None:
            texts[label] = text
    if len(found) > FILE_LIMIT:
        hint = "one file may hold many segments and events"
        problems.append(_whole(folder.name, "TF202", f"there are more than {FILE_LIMIT:,} rule files", hint))
    return texts, problems


def _is_meant(path: Path) -> bool:
    """Whether the name is a rule file's."""
    name = path.name.lower()
    is_known = name.endswith((*SUFFIXES, LIST_FILE)) and not name.endswith(TESTS)
    return is_known and not any(part[0] == "." for part in path.parts)


def _is_test(path: Path) -> bool:
    """Whether the name is a test file's."""
    return path.name.lower().endswith(TESTS) and not any(part[0] == "." for part in path.parts)


def _read(path: Path, label: str, problems: list[Problem]) -> str | None:
    """A file's text, or None and a problem. Of a file that is too large, no more than the limit is ever read."""
    if path.is_dir():
        return None
    if not path.is_file():
        problems.append(_whole(label, "TF201", "this is no ordinary file", "a link may lead nowhere"))
        return None
    limit = LIST_SIZE_LIMIT if label.endswith(LIST_FILE) else SIZE_LIMIT
    try:
        with path.open("rb") as stream:
            content = stream.read(limit + 1)
    except OSError as error:
        sentence = f"this file cannot be read: {error.strerror}"
        problems.append(_whole(label, "TF201", sentence, "look at its permissions"))
        return None
    if len(content) > limit:
        problems.append(too_large(label) if limit == SIZE_LIMIT else _long_list(label))
        return None
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        problems.append(_no_text(content, error.start, label))
        return None


def _long_list(label: str) -> Problem:
    sentence = f"this list is larger than {LIST_SIZE_LIMIT // 1024:,} KB"
    return _whole(label, "TF202", sentence, "make it a trait, or a segment; notes have no place in rules/ as .txt")


def _no_text(content: bytes, at: int, label: str) -> Problem:
    """A problem at the first byte that is no UTF-8."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return _whole(label, "TF203", "this file is saved as UTF-16", "save it as UTF-8")
    before = content[:at].decode().removeprefix("\ufeff")
    source = Source(label, before + content[at:].decode(errors="replace"))
    sentence = f"this is no UTF-8 text from here on (byte 0x{content[at]:02X})"
    return source.problem(len(before), "TF203", sentence, hint="save the file as UTF-8")


def _whole(label: str, code: str, sentence: str, hint: str = "") -> Problem:
    """A problem of a file or folder as a whole."""
    return Problem(path=label, line=0, column=0, code=code, sentence=sentence, hint=hint)
