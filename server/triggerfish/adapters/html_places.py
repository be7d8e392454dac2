"""Where in compiled HTML a value of Liquid stands. Escaping makes a value safe in text and in quoted attributes; in CSS
it needs a check of its own, and between the attributes of a tag nothing helps.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Literal, NamedTuple

from triggerfish.adapters.liquid import IMAGE_TAG, STYLE_TAG, STYLE_URL_TAG
from triggerfish.adapters.mjml_reader import LIQUID, MASK, Complaint, mask
from triggerfish.adapters.sources import NOWHERE, Piece, Woven

Kind = Literal["style", "loose"]

_TOKEN = re.compile(
    r"<!--\[if[^\]]*\]>(?:<!-->|-->)?|(?:<!--)?<!\[endif\]-->"  # what only Outlook reads is HTML like the rest
    r"|<!--.*?(?:-->|\Z)"
    rf"|<(?P<end>/?)(?P<name>[a-zA-Z{MASK}][\w:{MASK}-]*)(?P<rest>(?:[^<>\"']|\"[^\"]*\"|'[^']*')*)>",
    re.DOTALL,
)
_QUOTED = re.compile(r"(?P<name>[^\s=\"'<>/]+)\s*=\s*(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)')")
_PICTURE = re.compile(rf"\{{% {IMAGE_TAG} %\}}.*?\{{% end{IMAGE_TAG} %\}}", re.DOTALL)
_CODE = ("style", "script")


class _Span(NamedTuple):
    start: int
    end: int
    kind: Kind


def guard_values(html: Woven) -> tuple[Woven, list[Complaint]]:
    """The HTML with each value in CSS wrapped in a tag that checks it; and values where none can stand (TF319)."""
    spans = list(_spans(mask(html.text)))
    starts = [span.start for span in spans]
    pictures = [found.span() for found in _PICTURE.finditer(html.text)]
    edits: list[tuple[int, int, list[Piece]]] = []
    complaints: list[Complaint] = []
    for found in LIQUID.finditer(html.text):
        if not (found[0].startswith("{{") or found["tag"] == "echo"):
            continue
        # Of spans that hold each other, the inner one begins last.
        at = bisect_right(starts, found.start()) - 1
        span = next((each for each in reversed(spans[: at + 1]) if found.start() < each.end), None)
        if span is None:
            continue
        if span.kind == "style":
            is_url = any(start < found.start() < end for start, end in pictures)
            tag = STYLE_URL_TAG if is_url else STYLE_TAG
            edits.append((found.start(), found.start(), [(f"{{% {tag} %}}", NOWHERE)]))
            edits.append((found.end(), found.end(), [(f"{{% end{tag} %}}", NOWHERE)]))
        else:
            sentence = "a value cannot stand here: it could become any attribute, or code"
            hint = 'put it into the text, or into an attribute with quotes around it: alt="{{ … }}"'
            complaints.append(Complaint("TF319", found.start(), sentence, hint, len(found[0])))
    return html.edited(edits), complaints


def _spans(masked: str) -> Iterator[_Span]:
    """The stretches that are not text nor a plain quoted attribute, in order."""
    at = 0
    while found := _TOKEN.search(masked, at):
        at = found.end()
        if found["name"] is None:
            continue
        if MASK in found[0]:
            yield from _in_tag(found)
        name = found["name"].lower()
        if name in _CODE and not found["end"]:
            closing = re.compile(rf"</{name}\b", re.IGNORECASE).search(masked, at)
            end = closing.start() if closing else len(masked)
            yield _Span(at, end, "style" if name == "style" else "loose")
            at = end


def _in_tag(tag: re.Match[str]) -> Iterator[_Span]:
    at = tag.start()
    for found in _QUOTED.finditer(tag["rest"]):
        group = "double" if found["double"] is not None else "single"
        start, end = tag.start("rest") + found.start(group), tag.start("rest") + found.end(group)
        yield _Span(at, start, "loose")
        name = found["name"].lower()
        if name == "style" or name.startswith("on"):
            yield _Span(start, end, "style" if name == "style" else "loose")
        at = end
    yield _Span(at, tag.end(), "loose")
