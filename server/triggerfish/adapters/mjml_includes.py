"""`<mj-include path="../blocks/header.mjml" />`: MJML's own way to name a block, as emails from elsewhere have it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import NamedTuple

from triggerfish.adapters.mjml_reader import ATTRIBUTE, Complaint, mask

_INCLUDE = re.compile(
    r"<!--.*?-->|<mj-include\b(?P<rest>(?:[^<>\"']|\"[^\"]*\"|'[^']*')*?)/?>(?:\s*</mj-include\s*>)?",
    re.DOTALL | re.IGNORECASE,
)
_HERE = "here"


class Include(NamedTuple):
    """One include: where it stands, the block that it names ("blocks/header.mjml") and where its path stands; or what
    is wrong with it.
    """

    start: int
    end: int
    block: str
    path_at: int
    complaint: Complaint | None


def includes(text: str, folder: str, *, is_block: bool) -> Iterator[Include]:
    """The includes of a template's text, or a block's. `folder` is that of the blocks.

    A path is looked for from the file's own folder, or from the folder of all templates.
    """
    for found in _INCLUDE.finditer(mask(text)):
        if found["rest"] is None:
            continue
        given = {each["name"].lower(): each for each in ATTRIBUTE.finditer(found["rest"])}
        path, at = "", found.start()
        for group in ("double", "single", "bare"):
            if "path" in given and given["path"][group] is not None:
                path, at = given["path"][group], found.start("rest") + given["path"].start(group)
        block, complaint = _block_of(path, folder, folder if is_block else _HERE), None
        kind = given["type"].group().partition("=")[2].strip("\"' ") if "type" in given else "mjml"
        if kind != "mjml":
            hint = "put <mj-style> or <mj-raw> with its text into a block"
            complaint = Complaint(
                "TF316", found.start(), f"files of type {kind} cannot be included", hint, len("<mj-include")
            )
        elif not block:
            hint = f'move the file to templates/{folder}/ and write path="../{folder}/name.mjml"'
            complaint = Complaint("TF316", at, f'"{path}" is no block', hint, max(1, len(path)))
        yield Include(found.start(), found.end(), block, at, complaint)


def _block_of(path: str, folder: str, base: str) -> str:
    """The block's name, or an empty text when the path leads elsewhere."""
    for candidate in (posixpath.normpath(posixpath.join(base, path)), posixpath.normpath(path)):
        if re.fullmatch(rf"{re.escape(folder)}/[^/\\\"]+\.mjml", candidate):
            return candidate
    return ""
