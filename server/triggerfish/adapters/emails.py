"""The emails in a template's folder: `email.mjml`, and beside it the same in other languages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from triggerfish.adapters.frontmatter import EMAIL_KEYS, VARIANT_KEYS, read_front
from triggerfish.adapters.liquid_filters import locale_of
from triggerfish.adapters.notes import Notes
from triggerfish.adapters.workfile import ReadFile, no_file, read_file
from triggerfish.languages import tag_of
from triggerfish.rulefile.marks import Marks

BODY = "email.mjml"
MOST_LANGUAGES = 50

_FILE = re.compile(r"email(?:\.(?P<tag>[A-Za-z0-9_-]+))?\.(?P<kind>mjml|txt)")


class Email(NamedTuple):
    """One of a template's emails as its file has it, and the language that the file's name tells."""

    language: str
    file: ReadFile
    marks: Marks | None
    body_at: int


class EmailFiles:
    """The emails of one template: which there are, and in which languages. Problems go to the notes."""

    def __init__(self, path: Path, notes: Notes, language: str) -> None:
        """`language` is that of templates that name none."""
        self.path = path
        self.notes = notes
        self.problems = notes.problems
        self.language = language

    def read(self) -> tuple[Email | None, list[Email]]:
        """email.mjml and those in other languages, as far as their names and front matter can be read."""
        main: Email | None = None
        others: list[Email] = []
        for path in sorted(self.path.glob("email*.*")):
            found, label = _FILE.fullmatch(path.name), f"{self.notes.label}/{path.name}"
            if not found and path.suffix in (".mjml", ".txt"):
                hint = "an email in another language is called like email.de.mjml or email.pt-BR.mjml"
                self.problems.append(no_file(label, "TF300", "this file is not used", hint=hint))
            if found and found["tag"] and self._is_language(found["tag"], label) and found["kind"] == "mjml":
                email = self._email(path, label, VARIANT_KEYS, tag_of(found["tag"]))
                others += [email] if email else []
            elif found and found["kind"] == "txt" and not path.with_suffix(".mjml").exists():
                self.problems.append(no_file(label, "TF300", f"there is no {path.stem}.mjml that this belongs to"))
        main = self._email(self.path / BODY, f"{self.notes.label}/{BODY}", EMAIL_KEYS, "")
        if main is None:
            return None, []
        main = main._replace(language=self._own_language(main.marks))
        others = others[:MOST_LANGUAGES]
        taken = {main.language: main}
        for email in list(others):
            if (other := taken.setdefault(email.language, email)) is not email:
                sentence = f"this is the same language as {Path(other.file.label).name}"
                self.problems.append(no_file(email.file.label, "TF300", sentence, hint="keep one of the two"))
                others.remove(email)
        if main.marks and "preheader" in main.marks.data:
            for email in others:
                if email.marks and "preheader" not in email.marks.data:
                    sentence = "the preheader is missing, which email.mjml has"
                    self.problems.append(email.marks.problem((), "TF302", sentence))
        return main, others

    def _email(self, path: Path, label: str, keys: frozenset[str], language: str) -> Email | None:
        file = read_file(path, label, self.problems)
        if file is None:
            return None
        front = read_front(file, keys, {"subject"}, self.problems, elsewhere=EMAIL_KEYS)
        return Email(language, file, front.marks, front.body_at)

    def _is_language(self, tag: str, label: str) -> bool:
        if _is_known(tag):
            return True
        hint = "write it like email.de.mjml or email.pt-BR.mjml"
        self.problems.append(no_file(label, "TF300", f'"{tag}" is no language', hint=hint))
        return False

    def _own_language(self, marks: Marks | None) -> str:
        language = text_in(marks, "language") or self.language
        if _is_known(language):
            return tag_of(language)
        if marks and "language" in marks.data:
            sentence = f'"{language[:60]}" is no language'
            problem = marks.problem(("language",), "TF303", sentence, hint='write it like "en", "de" or "pt-BR"')
            self.problems.append(problem)
        return "en"


def text_in(marks: Marks | None, key: str) -> str:
    """A value of front matter that is a text; empty when it is none, or not there."""
    found = marks.data.get(key) if marks else None
    return found if isinstance(found, str) else ""


def _is_known(language: str) -> bool:
    """Whether this is a language that prices and days can be written in."""
    try:
        locale_of(tag_of(language))
    except ValueError:
        return False
    return True


def tag_in(label: str) -> str:
    """The language as the file's name writes it: "de" for templates/welcome/email.de.mjml."""
    return Path(label).name.removeprefix("email.").removesuffix(".mjml")
