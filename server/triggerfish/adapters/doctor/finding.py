"""What the doctor says about one thing."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

State = Literal["fine", "warning", "error", "unknown"]


class Finding(Struct, frozen=True):
    """`about` is what was looked at, `sentence` what was seen; of what is not fine, why that matters and what to do.

    "unknown" could not be looked at, which is nobody's fault.
    """

    about: str
    state: State
    sentence: str
    why: str = ""
    remedy: str = ""


def fine(about: str, sentence: str) -> Finding:
    return Finding(about, "fine", sentence)


def warning(about: str, sentence: str, *, why: str, remedy: str) -> Finding:
    return Finding(about, "warning", sentence, why, remedy)


def error(about: str, sentence: str, *, why: str, remedy: str) -> Finding:
    return Finding(about, "error", sentence, why, remedy)


def unknown(about: str, sentence: str, *, remedy: str = "") -> Finding:
    return Finding(about, "unknown", sentence, "", remedy)
