"""Links in compiled HTML: found once, when a template is loaded, and wrapped in tags that track them per person."""

from __future__ import annotations

import html
import re

from triggerfish.adapters.liquid import IMAGE_TAG, LINK_TAG
from triggerfish.adapters.mjml_reader import MASK, Complaint, mask
from triggerfish.adapters.sources import NOWHERE, Piece, Woven

_TAG = re.compile(r"<(?P<name>a|area|img|form|v:[\w-]+)\b(?P<rest>(?:[^<>\"']|\"[^\"]*\"|'[^']*')*)>", re.IGNORECASE)
_ADDRESS = re.compile(
    r"(?<![\w:-])(?P<name>href|src)\s*=\s*(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<bare>[^\s\"'>]+))",
    re.IGNORECASE,
)
_GOOD_LINK = re.compile(r"(https?|mailto|tel|sms):\S+|#\S*", re.IGNORECASE)
_GOOD_IMAGE = re.compile(r"(https?|cid):\S+|data:image/\S+", re.IGNORECASE)
_UNSUBSCRIBE = re.compile(rf"\{{% {LINK_TAG} %\}}(?:(?!\{{% end{LINK_TAG}).)*\bunsubscribe_url\b", re.DOTALL)
_PIXEL = (
    '<img src="{{ open_pixel_url }}" alt="" width="1" height="1" border="0" '
    'style="display:block;width:1px;height:1px;border:0;" />'
)


def wrap_image(value: str) -> tuple[str, str]:
    """What to put before and after the address of a background image."""
    return f"{{% {IMAGE_TAG} %}}", f"{{% end{IMAGE_TAG} %}}"


def track_links(source: Woven) -> tuple[Woven, list[Complaint]]:
    """The HTML with the address of every link and picture wrapped; and the addresses that can never work."""
    masked = mask(source.text)
    edits: list[tuple[int, int, list[Piece]]] = []
    complaints: list[Complaint] = []
    for tag in _TAG.finditer(masked):
        is_image = tag["name"].lower() == "img"
        if tag["name"].lower() == "form":
            complaints.append(
                Complaint("TF318", tag.start(), "a form does not work in mail", "link to a page with the form")
            )
            continue
        for found in _ADDRESS.finditer(tag["rest"]):
            if is_image is not (found["name"].lower() == "src"):
                continue
            group = next(name for name in ("double", "single", "bare") if found[name] is not None)
            start, end = tag.start("rest") + found.start(group), tag.start("rest") + found.end(group)
            value = source.text[start:end]
            if (
                not is_image
                and tag["name"].lower().startswith("v:")
                and MASK not in found[group]
                and value.startswith("#")
            ):
                continue
            if MASK not in found[group]:
                good = _GOOD_IMAGE if is_image else _GOOD_LINK
                if not good.fullmatch(html.unescape(value).strip()):
                    what = "picture" if is_image else "link"
                    complaints.append(Complaint("TF318", start, f'"{value[:60]}" is no whole address for a {what}',
                                                "it starts with https://", max(1, len(value))))  # fmt: skip
                    continue
                if is_image:
                    continue
            elif value.strip() == "{{ open_pixel_url }}":
                continue
            quote = '"' if group == "bare" else ""
            name = IMAGE_TAG if is_image else LINK_TAG
            edits.append((start, start, [(f"{quote}{{% {name} %}}", NOWHERE)]))
            edits.append((end, end, [(f"{{% end{name} %}}{quote}", NOWHERE)]))
    return source.edited(edits), complaints


def find_unsubscribe_link(text: str) -> bool:
    """Whether a wrapped link leads to `unsubscribe_url`."""
    return _UNSUBSCRIBE.search(text) is not None


def add_pixel(source: Woven) -> Woven:
    """The HTML with the open pixel before </body>."""
    at = mask(source.text).rfind("</body>")
    return source.edited([(at, at, [(_PIXEL, NOWHERE)])]) if at >= 0 else source
