"""TF357, TF358: text that is hard to read on its ground, in light and in dark mode.

WCAG 2.2, success criterion 1.4.3 (https://www.w3.org/TR/WCAG22/#contrast-minimum): 4.5 to 1; of large text, 3 to 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from triggerfish.adapters.mailcheck import cascade, dark
from triggerfish.adapters.mailcheck.colours import Colour, contrast, readable
from triggerfish.adapters.mailcheck.mail import Mail
from triggerfish.adapters.mjml_reader import Complaint

NEEDED, NEEDED_IF_LARGE = 4.5, 3.0
_LARGE, _LARGE_IF_BOLD = 24.0, 18.66
_BLANKS = re.compile(r"(?:&#?\w{1,31};|(?!\ue000)[\W_])*+")
"""What shows no letter: blanks, marks, entities such as `&nbsp;`."""


def check(mail: Mail, notes: list[str]) -> Iterator[Complaint]:
    """One warning for each pair of colours, at the first text that has it. Texts on pictures, or in colours that only
    a send knows, are counted.
    """
    modes = [("TF357", "", False)]
    if dark.is_declared(mail):
        modes.append(("TF358", " in dark mode", True))
    for code, where, is_dark in modes:
        unknown = 0
        seen: set[tuple[str, str, bool]] = set()
        for node, look in cascade.looks(mail.markup, mail.rules, mail.filled, is_dark=is_dark).items():
            if look.is_hidden or look.size == 0:
                continue
            for text in node.texts:
                blanks = _BLANKS.match(mail.markup.visible, text.start, text.end)
                start = blanks.end() if blanks else text.start
                if start >= text.end:
                    continue
                unknown += look.on_picture or look.ink is None or look.ground is None
                if look.ink is None or look.ground is None:
                    continue
                ink = look.ink.over(look.ground)
                is_large = look.size >= (_LARGE_IF_BOLD if look.is_bold else _LARGE)
                needed = NEEDED_IF_LARGE if is_large else NEEDED
                pair = (ink.hex, look.ground.hex, look.on_picture)
                if pair not in seen and contrast(ink, look.ground) < needed:
                    seen.add(pair)
                    width = len(mail.markup.visible[start : text.end].split("\n")[0].rstrip())
                    yield mail.in_html(code, start, *_said(ink, look.ground, needed, where, look.on_picture), width)
        if unknown:
            noun = "1 text lies" if unknown == 1 else f"{unknown} texts lie"
            notes.append(
                f"contrast{where}: {noun} on a picture or a colour that only a send knows: look at the preview"
            )


def _said(ink: Colour, ground: Colour, needed: float, where: str, on_picture: bool) -> tuple[str, str]:
    ratio = int(contrast(ink, ground) * 10) / 10  # never rounded up to what is needed
    where += " where its picture is not shown" if on_picture else ""
    sentence = f"this text is hard to read{where}: {ink.hex} on {ground.hex} has a contrast of {ratio:g} to 1"
    enough = readable(ink, ground, needed)
    hint = f"{needed:g} to 1 is needed: {enough.hex} has it"
    if on_picture:
        hint = f"{needed:g} to 1 is needed: give it a background-color like the picture's"
    elif contrast(enough, ground) < needed:
        hint = f"{needed:g} to 1 is needed, and no colour has it on this ground"
    return sentence, hint
