"""Layouts: whole MJML documents in templates/layouts/ with `{% content %}` where an email's sections come."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from triggerfish.adapters.inputs import Shared
from triggerfish.adapters.mjml_reader import LIQUID, Complaint
from triggerfish.adapters.notes import Notes
from triggerfish.adapters.sources import Woven

FOLDER = "layouts"
_WHOLE = re.compile(r"\s*(?:<!--.*?-->\s*)*(?P<root><mjml\b)", re.DOTALL)


def name_of(label: str) -> str:
    """What front matter calls the layout of a file: "shop" for templates/layouts/shop.mjml."""
    return PurePosixPath(label).stem


def is_whole(body: Woven) -> bool:
    """Whether this is a whole MJML document and needs no layout."""
    return _WHOLE.match(body.text) is not None


def in_layout(layout: Shared, body: Woven, notes: Notes) -> Woven | None:
    """The layout with the email's sections in their place; None and a problem (TF334) where that cannot be."""
    name = name_of(layout.file.label)
    if found := _WHOLE.match(body.text):
        sentence = f'with the layout "{name}", an email is sections only'
        hint = "take out <mjml>, <mj-head> and <mj-body>: the layout has them"
        notes.add([Complaint("TF334", found.start("root"), sentence, hint, 5)], body.origin)
        return None
    start = notes.sources.add(layout.file.label, layout.file.text) + layout.body_at
    frame = Woven([(layout.file.text[layout.body_at :], start)])
    tags = [found for found in LIQUID.finditer(frame.text) if found["tag"] == "content"]
    if len(tags) != 1:
        at = tags[1].start() if tags else 0
        sentence = "a layout has one {% content %}" if tags else "this layout has no {% content %}"
        hint = "it stands where the email's sections come, in <mj-body>"
        notes.add([Complaint("TF334", at, sentence, hint, len(tags[1][0]) if tags else 1)], frame.origin)
        return None
    return frame.edited([(tags[0].start(), tags[0].end(), body.pieces)])
