"""TF350 to TF352: pictures that say nothing where they are not shown, and mails that are nothing but pictures.

Many people see a mail without its pictures first, some hear it read aloud.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from triggerfish.adapters.mailcheck.mail import Mail
from triggerfish.adapters.mailcheck.markup import Node, visible
from triggerfish.adapters.mjml_reader import Complaint, Element

FEWEST_WORDS = 10
"""Words outside of the footer, below which a mail with pictures counts as nothing but pictures."""

_WORD = re.compile(r"[^\W\d_]{2,}|\ue000+")
_FOOTER = re.compile(r"unsubscribe_url|company\.")


def check(mail: Mail) -> Iterator[Complaint]:
    """A warning for each picture without words or width, and one for a mail without text."""
    usual = _usual_attributes(mail.root)
    for element in mail.root.walk():
        if element.name in ("mj-image", "mj-carousel-image"):
            yield from _component(mail, element, usual.get(element.name, set()) | usual.get("mj-all", set()))
    for node in mail.markup.nodes:
        if node.name == "img" and node.written:
            yield from _image(mail, node)
    yield from _only_pictures(mail)


def _component(mail: Mail, element: Element, usual: set[str]) -> Iterator[Complaint]:
    alt, href, width = element.get("alt"), element.get("href"), len(element.name) + 1
    if alt is None and "alt" not in usual and not element.get("mj-class"):
        yield mail.in_mjml("TF350", element.start, *_NO_ALT, width)
    elif alt is not None and not alt.value.strip() and href and href.value:
        yield mail.in_mjml("TF350", element.start, *_SILENT_LINK, width)


def _image(mail: Mail, node: Node) -> Iterator[Complaint]:
    alt = node.attributes.get("alt")
    link = next((each for each in node.above() if each.name == "a"), None)
    if alt is None:
        yield mail.in_html("TF350", node.at, *_NO_ALT, 4)
    elif link and not alt.text.strip() and not _says_something(mail, link):
        yield mail.in_html("TF350", node.at, *_SILENT_LINK, 4)
    if "width" not in node.attributes:
        sentence = "this picture has no width attribute, so Outlook shows it as large as its file is"
        yield mail.in_html("TF351", node.at, sentence, 'add width="…" in pixels', 4)


def _says_something(mail: Mail, link: Node) -> bool:
    """Whether a link has words, or a picture that says where it leads."""
    return bool(_WORD.search(mail.words(link))) or any(
        each.name == "img" and each.get("alt").strip() for each in link.inside()
    )


_NO_ALT = (
    "this picture has no alt text, so whoever does not see it learns nothing",
    'add alt="what it shows", or alt="" if it only decorates',
)
_SILENT_LINK = (
    "this picture is a link, and its alt text is empty",
    'say where it leads: alt="…"',
)


def _only_pictures(mail: Mail) -> Iterator[Complaint]:
    """Text below the pictures that is no footer: fewer than ten words are no mail for who cannot see pictures."""
    first, words = None, 0
    for element in mail.root.walk():
        if element.name in ("mj-image", "mj-carousel-image", "mj-hero") and first is None:
            first = element.start
        if element.content is None or element.name in ("mj-style", "mj-title", "mj-preview", "mj-raw"):
            continue
        text = mail.mjml.text[slice(*element.content)]
        if first is None and (found := re.search(r"<img\b", text)):
            first = element.content[0] + found.start()
        if not _FOOTER.search(text):
            words += len(_WORD.findall(re.sub(r"<[^>]*>", " ", visible(text))))
    if first is not None and words < FEWEST_WORDS:
        count = {0: "no word", 1: "one word"}.get(words, f"{words} words")
        sentence = f"this mail has pictures and {count} outside of its footer: without its pictures, nothing is left"
        hint = "write what matters as text; spam filters think ill of mail without any, too"
        yield mail.in_mjml("TF352", first, sentence, hint, 4)


def _usual_attributes(root: Element) -> dict[str, set[str]]:
    """The attributes that <mj-attributes> gives to components."""
    return {
        each.name: {attribute.name for attribute in each.attributes}
        for element in root.walk()
        if element.name == "mj-attributes"
        for each in element.children
        if isinstance(each, Element)
    }
