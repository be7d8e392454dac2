"""Files that marketers write, read with bounds: text in UTF-8, and flat YAML forms with known keys."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from triggerfish.rulefile.marks import Marks
from triggerfish.rulefile.problems import Problem, nearest
from triggerfish.rulefile.reading import read_yaml

LARGEST_FILE_BYTES = 256 * 1024


class ReadFile(NamedTuple):
    """A file's text, and what problems call it ("templates/welcome/email.mjml")."""

    text: str
    label: str


def no_file(label: str, code: str, sentence: str, *, hint: str = "", is_warning: bool = False) -> Problem:
    """A problem with a file or folder as a whole."""
    return Problem(path=label, line=0, column=0, code=code, sentence=sentence, hint=hint, is_warning=is_warning)


def read_file(path: Path, label: str, problems: list[Problem]) -> ReadFile | None:
    """The text of a file, line ends as LF; or None and a problem (TF300, TF301)."""
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_FILE_BYTES + 1)
    except FileNotFoundError:
        problems.append(no_file(label, "TF300", "this file is missing"))
        return None
    except OSError as error:
        problems.append(no_file(label, "TF300", f"this file cannot be read: {error.strerror}"))
        return None
    if len(content) > LARGEST_FILE_BYTES:
        problems.append(no_file(label, "TF301", f"this file is larger than {LARGEST_FILE_BYTES // 1024} KB"))
        return None
    try:
        text = content.decode().removeprefix("\ufeff").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problems.append(no_file(label, "TF301", f"line {line} is no UTF-8 text", hint="save the file as UTF-8"))
        return None
    if "\x00" in text:
        problems.append(no_file(label, "TF301", "this is no text: it has a NUL byte"))
        return None
    return ReadFile(text, label)


def read_form(
    file: ReadFile,
    known: Collection[str],
    required: Collection[str],
    problems: list[Problem],
    *,
    elsewhere: Collection[str] = (),
) -> Marks | None:
    """A YAML mapping with known keys; or None and problems (YAML's own, TF302 for keys). Keys `elsewhere` are those of
    email.mjml, which hold for all languages.
    """
    marks, found = read_yaml(file.text, file.label)
    problems += found
    if found or not marks.is_readable:
        return None
    if not isinstance(marks.data, dict):
        problems.append(marks.problem((), "TF302", f"this file holds keys: {', '.join(sorted(known))}"))
        return None
    for key in marks.data:
        if key not in known:
            hint = nearest(key, known) or f"there are {', '.join(sorted(known))}"
            if key in elsewhere:
                hint = "it stands in email.mjml, and holds for all languages"
            problems.append(marks.problem((key,), "TF302", f'unknown key "{key}"', hint=hint, at_key=True))
    missing = [key for key in required if key not in marks.data]
    problems += [marks.problem((), "TF302", f'the key "{key}" is missing') for key in missing]
    return None if missing or any(key not in known for key in marks.data) else marks
