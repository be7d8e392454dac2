"""MJML with Liquid in it, compiled once by PyPI `mjml`, with all Liquid put back untouched.

MJML's compiler never sees Liquid nor the HTML inside of components: each such stretch is a placeholder while it works.
It would turn `{% if a > b %}` into `&gt;`, move loops out of tables and drop tags that stand bare between sections.
"""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Callable
from typing import NamedTuple

from mjml import mjml_to_html

from triggerfish.adapters.mjml_reader import LIQUID, Attribute, Complaint, Element, Tag
from triggerfish.adapters.sources import NOWHERE, Piece, Woven


class Compiled(NamedTuple):
    """HTML with the Liquid back in its place, and what went wrong."""

    html: Woven
    complaints: list[Complaint]


def compile_mjml(
    source: Woven,
    root: Element,
    *,
    language: str,
    title: str,
    preview: str,
    wrap_image: Callable[[str], tuple[str, str]],
) -> Compiled:
    """The template as HTML. `title` and `preview` are Liquid for heads without <mj-title> and <mj-preview>.

    `wrap_image` gives what to put before and after the address of a background.
    """
    body = _Swap(source, wrap_image)
    try:
        compiled = _compile(body.document(root, language, title, preview))
    except Exception as error:  # the compiler raises whatever its helpers raise
        return Compiled(
            Woven([]), [Complaint("TF317", root.start, f"MJML cannot compile this: {error or type(error).__name__}")]
        )
    return body.put_back(compiled)


@functools.lru_cache(maxsize=256)
def _compile(document: str) -> str:
    """MJML as HTML without the indentation (a third of the bytes). Cached by content, so that a reload is quick."""
    return re.sub(r"\n\s*", "\n", mjml_to_html(document, keep_comments=False).html)


class _Held(NamedTuple):
    pieces: list[Piece]
    at: int
    kind: str
    must_appear: bool


class _Swap:
    """Takes Liquid and content out, and puts it back."""

    def __init__(self, source: Woven, wrap_image: Callable[[str], tuple[str, str]]) -> None:
        self.source = source
        self.wrap_image = wrap_image
        self.held: list[_Held] = []
        self.prefix = "tfq"
        while self.prefix in source.text:
            self.prefix += "q"

    def document(self, root: Element, language: str, title: str, preview: str) -> str:
        attributes = dict(self._attribute(attribute, "mjml") for attribute in root.attributes)
        attributes.setdefault("lang", html.escape(language))
        head = next((child for child in root.children if isinstance(child, Element) and child.name == "mj-head"), None)
        names = {child.name for child in head.children if isinstance(child, Element)} if head else set()
        inner = "".join(self._element(child, "mj-head") for child in head.children) if head else ""
        if "mj-title" not in names:
            inner += f"<mj-title>{self._hold([(title, NOWHERE)], root.start, 'head')}</mj-title>"
        if "mj-preview" not in names and preview:
            inner += f"<mj-preview>{self._hold([(preview, NOWHERE)], root.start, 'head')}</mj-preview>"
        body = next(child for child in root.children if isinstance(child, Element) and child.name == "mj-body")
        written = "".join(f' {name}="{value}"' for name, value in attributes.items())
        return f"<mjml{written}><mj-head>{inner}</mj-head>{self._element(body, 'mjml')}</mjml>"

    def _hold(self, pieces: list[Piece], at: int, kind: str, *, must_appear: bool = True) -> str:
        self.held.append(_Held(pieces, at, kind, must_appear))
        return f"{self.prefix}{len(self.held) - 1}z"

    def _element(self, node: Element | Tag, parent: str) -> str:
        if isinstance(node, Tag):
            return f"<mj-raw>{self._hold(self.source.cut(node.start, node.end), node.start, 'tag')}</mj-raw>"
        pairs = [self._attribute(attribute, parent) for attribute in node.attributes]
        attributes = "".join(f' {name}="{value}"' for name, value in pairs)
        if node.content is None:
            inner = "".join(self._element(child, node.name) for child in node.children)
        elif self.source.text[slice(*node.content)].strip():
            kind = "head" if parent == "mj-head" else "content"
            inner = self._hold(self.source.cut(*node.content), node.content[0], kind)
        else:
            inner = ""
        return f"<{node.name}{attributes}>{inner}</{node.name}>"

    def _attribute(self, attribute: Attribute, parent: str) -> tuple[str, str]:
        value = attribute.value
        if not LIQUID.search(value) and not re.search(r"[&\"<>]", value):
            return attribute.name, value
        pieces: list[Piece] = []
        at = attribute.start
        for found in LIQUID.finditer(self.source.text, attribute.start, attribute.end):
            pieces += [(text.replace('"', "&quot;"), origin) for text, origin in self.source.cut(at, found.start())]
            pieces += self.source.cut(found.start(), found.end())
            at = found.end()
        pieces += [(text.replace('"', "&quot;"), origin) for text, origin in self.source.cut(at, attribute.end)]
        if attribute.name == "background-url" and LIQUID.search(value):
            before, after = self.wrap_image(value)
            pieces = [(before, NOWHERE), *pieces, (after, NOWHERE)]
        return attribute.name, self._hold(pieces, attribute.start, "attribute", must_appear=parent != "mj-attributes")

    def put_back(self, compiled: str) -> Compiled:
        pieces: list[Piece] = []
        at, newest, seen = 0, -1, dict.fromkeys(range(len(self.held)), 0)
        complaints: list[Complaint] = []
        for found in re.finditer(rf"{self.prefix}(\d+)z", compiled):
            number = int(found[1])
            held = self.held[number]
            pieces.append((compiled[at : found.start()], NOWHERE))
            pieces.extend(held.pieces)
            at = found.end()
            seen[number] += 1
            if held.kind in ("tag", "content"):
                if number < newest:
                    complaints.append(Complaint("TF317", held.at, "MJML moves this elsewhere"))
                newest = number
        pieces.append((compiled[at:], NOWHERE))
        for number, count in seen.items():
            held = self.held[number]
            if not count and held.must_appear:
                complaints.append(Complaint("TF317", held.at, "MJML drops what stands here"))
            elif count > 1 and held.kind in ("tag", "content"):
                complaints.append(
                    Complaint("TF317", held.at, "MJML writes this more than once, so Liquid cannot stand here")
                )
        return Compiled(Woven(pieces), complaints)
