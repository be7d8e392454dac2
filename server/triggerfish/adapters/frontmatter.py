"""Front matter: the YAML between two lines of `---` at the beginning of an email, a block or a layout."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

from triggerfish.adapters.workfile import ReadFile, no_file, read_form
from triggerfish.rulefile.marks import Marks
from triggerfish.rulefile.problems import Problem

VARIANT_KEYS = frozenset({"subject", "preheader", "from", "reply_to", "layout", "inputs"})
"""What the front matter of email.de.mjml may hold: what differs from language to language."""
EMAIL_KEYS = VARIANT_KEYS | {"class", "purpose", "language", "description", "feeds"}  # fmt: skip
"""What the front matter of email.mjml may hold."""

_OPENING = re.compile(r"---[ \t]*\n")
_CLOSING = re.compile(r"^---[ \t]*$\n?", re.MULTILINE)


class Front(NamedTuple):
    """A file's front matter, None when there is none or it cannot be used, and where the rest of the text begins."""

    marks: Marks | None
    body_at: int


def read_front(
    file: ReadFile,
    known: Collection[str],
    required: Collection[str],
    problems: list[Problem],
    *,
    elsewhere: Collection[str] = (),
) -> Front:  # fmt: skip
    """The front matter of a file. Problems (TF302 and YAML's own) have their place in the whole file.

    Without `required` keys a file may go without front matter.
    """
    opening = _OPENING.match(file.text)
    if opening is None:
        if required:
            keys = ", ".join(f"{key}: …" for key in sorted(required))
            sentence = "this file does not begin with its settings"
            hint = f'its first lines are "---", then {keys}, then "---"'
            problems.append(no_file(file.label, "TF302", sentence, hint=hint))
        return Front(None, 0)
    closing = _CLOSING.search(file.text, opening.end())
    if closing is None:
        problems.append(
            Problem(
                path=file.label, line=1, column=1, code="TF302", sentence="the settings that begin here never end",
                hint='put a line "---" after them', source="---", width=3,
            )
        )  # fmt: skip
        return Front(None, len(file.text))
    # The opening line stays: it begins a YAML document, and each line keeps its number.
    form = read_form(ReadFile(file.text[: closing.start()], file.label), known, required, problems, elsewhere=elsewhere)
    return Front(form, closing.end())
