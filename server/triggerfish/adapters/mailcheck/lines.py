"""TF353 to TF356: the subject and the preheader, as the sample person would see them in the inbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

LONGEST_SUBJECT = 70
"""Characters that mail programs on a desktop show; phones show about 40."""
SHORTEST_PREHEADER, LONGEST_PREHEADER = 20, 140
"""Characters. Below, the line is as good as empty; above, no mail program shows the rest."""

_SHORTEST_REPEATED = 12
"""Letters of a subject that a preheader may not begin with; "Ana" may well begin both."""


class LineComplaint(NamedTuple):
    """A warning about the line of a key: "subject" or "preheader"."""

    key: str
    code: str
    sentence: str
    hint: str


def inspect_lines(subject: str, preheader: str) -> Iterator[LineComplaint]:
    """What is amiss with the two lines, both as they are sent. An empty subject is no matter of taste: see TF303."""
    if len(subject) > LONGEST_SUBJECT:
        yield LineComplaint(
            "subject", "TF353", f"with the sample, the subject has {len(subject)} characters",
            f"desktops show about {LONGEST_SUBJECT}, phones about 40: put what matters first",
        )  # fmt: skip
    letters = [letter for letter in subject if letter.isalpha() and letter.lower() != letter.upper()]
    if len(letters) > 3 and all(letter.isupper() for letter in letters):
        yield LineComplaint(
            "subject", "TF354", "the subject is all capitals", "it reads as shouting, to people and to spam filters"
        )
    if not preheader:
        yield LineComplaint(
            "subject", "TF355", "there is no preheader",
            "add preheader: the line that mail programs show after the subject",
        )  # fmt: skip
    elif not SHORTEST_PREHEADER <= len(preheader) <= LONGEST_PREHEADER:
        yield LineComplaint(
            "preheader", "TF355", f"with the sample, the preheader has {len(preheader)} characters",
            f"{SHORTEST_PREHEADER} to {LONGEST_PREHEADER} are of use",
        )  # fmt: skip
    said, again = _bare(subject), _bare(preheader)
    if said and (said == again or (len(said) >= _SHORTEST_REPEATED and again.startswith(said))):
        yield LineComplaint(
            "preheader", "TF356", "the preheader says again what the subject says", "say what the subject leaves open"
        )


def _bare(line: str) -> str:
    return "".join(letter for letter in line.casefold() if letter.isalnum())
