"""MJML with Liquid in it, compiled once by PyPI `mjml`, with all Liquid put back untouched.

MJML's compiler never sees Liquid nor the HTML inside of components: each such stretch is a placeholder while it works.
It would turn `{% if a > b %}` into `&gt;`, move loops out of tables and drop tags that stand bare between sections.
"""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from mjml import mjml_to_html

from triggerfish.adapters.mjml_components import MARK, components
from triggerfish.adapters.mjml_defaults import classes_of, defaults_of
from triggerfish.adapters.mjml_reader import LIQUID, Attribute, Complaint, Element, Tag, quoted
from triggerfish.adapters.mjml_selectors import Setting, inline_styles, set_attributes
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
    swap = _Swap(source, root, wrap_image)
    try:
        compiled = _compile(swap.document(language, title, preview))
    except Exception as error:  # the compiler raises whatever its helpers raise
        return Compiled(
            Woven([]), [Complaint("TF317", root.start, f"MJML cannot compile this: {error or type(error).__name__}")]
        )
    woven, complaints = swap.put_back(compiled)
    complaints += swap.defaults.unknown_classes(root)
    for change in (swap.set_attributes, swap.inline_styles):
        woven, more = change(woven)
        complaints += more
    return Compiled(woven, complaints)


@functools.lru_cache(maxsize=256)
def _compile(document: str) -> str:
    """MJML as HTML without the indentation (a third of the bytes). Cached by content, so that a reload is quick."""
    written = mjml_to_html(document, keep_comments=False, custom_components=list(components().values())).html
    body = re.search(rf'{re.escape(MARK)}(?P<attributes>.*?) "font-family:[^"]*"-->', written)
    if body:
        written = written.replace(body[0], "", 1).replace("<body ", f"<body {body['attributes'].strip()} ", 1)
    return re.sub(r"\n\s*", "\n", written.replace("<body  ", "<body ", 1))


class _Held(NamedTuple):
    pieces: list[Piece]
    at: int
    kind: str
    must_appear: bool


class _Swap:
    """Takes Liquid and content out, and puts it back."""

    def __init__(self, source: Woven, root: Element, wrap_image: Callable[[str], tuple[str, str]]) -> None:
        self.source = source
        self.root = root
        self.head = next((child for child in _children(root) if child.name == "mj-head"), None)
        self.defaults = defaults_of(self.head)
        self.wrap_image = wrap_image
        self.held: list[_Held] = []
        self.prefix = "tfq"
        while self.prefix in source.text:
            self.prefix += "q"

    def document(self, language: str, title: str, preview: str) -> str:
        """The template without Liquid, its components' attributes written out."""
        attributes = dict(self._attribute(attribute) for attribute in self.root.attributes)
        attributes.setdefault("lang", html.escape(language))
        names = {child.name for child in self._in_head()}
        inner = "".join(self._element(child, "mj-head") for child in self._in_head() if self._is_compiled(child))
        everywhere = self._written(self.defaults.everywhere, must_appear=False)
        if everywhere:
            inner += f"<mj-attributes><mj-all{everywhere}></mj-all></mj-attributes>"
        if "mj-title" not in names and title:
            inner += f"<mj-title>{self._hold([(title, NOWHERE)], self.root.start, 'head')}</mj-title>"
        if "mj-preview" not in names and preview:
            inner += f"<mj-preview>{self._hold([(preview, NOWHERE)], self.root.start, 'head')}</mj-preview>"
        body = "".join(self._element(child, "mjml") for child in _children(self.root) if child.name == "mj-body")
        written = "".join(f' {name}="{value}"' for name, value in attributes.items())
        return f"<mjml{written}><mj-head>{inner}</mj-head>{body}</mjml>"

    def _in_head(self) -> list[Element]:
        return _children(self.head) if self.head else []

    def _is_compiled(self, child: Element) -> bool:
        """Whether the compiler sees a part of the head; the others are ours."""
        return not (child.name in ("mj-attributes", "mj-html-attributes") or _is_inlined(child) or _is_first(child))

    def set_attributes(self, compiled: Woven) -> tuple[Woven, list[Complaint]]:
        """What <mj-html-attributes> says, done to the finished HTML."""
        selectors = [each for part in self._in_head() if part.name == "mj-html-attributes" for each in part.walk()]
        settings = []
        for selector in (each for each in selectors if each.name == "mj-selector"):
            path = selector.get("path")
            for child in (each for each in selector.walk() if path and each.name == "mj-html-attribute"):
                name = child.get("name")
                if path and name and child.content:
                    start, end = child.content
                    text = self.source.text[start:end]
                    start, end = start + len(text) - len(text.lstrip()), end - len(text) + len(text.rstrip())
                    settings.append(
                        Setting(path.value, path.start, name.value, quoted(self.source, start, max(start, end)))
                    )
        return set_attributes(compiled, settings) if settings else (compiled, [])

    def inline_styles(self, compiled: Woven) -> tuple[Woven, list[Complaint]]:
        """What <mj-style inline="inline"> says, done to the finished HTML."""
        bounds = [part.content for part in self._in_head() if _is_inlined(part) and part.content]
        sheets = [(Woven(self.source.cut(*each)), each[0]) for each in bounds]
        return inline_styles(compiled, sheets) if sheets else (compiled, [])

    def _hold(self, pieces: list[Piece], at: int, kind: str, *, must_appear: bool = True) -> str:
        self.held.append(_Held(pieces, at, kind, must_appear))
        return f"{self.prefix}{len(self.held) - 1}z"

    def _element(self, node: Element | Tag, parent: str, classes: str = "") -> str:
        """An element without its Liquid. `classes` is the mj-class that holds around it."""
        if isinstance(node, Tag):
            return f"<mj-raw>{self._hold(self.source.cut(node.start, node.end), node.start, 'tag')}</mj-raw>"
        own = {each.name for each in node.attributes}
        if parent == "mj-head":
            attributes = "".join(f' {name}="{value}"' for name, value in map(self._attribute, node.attributes))
        else:
            given = self.defaults.of(node, classes)
            attributes = self._written({name: given[name] for name in given if name in own})
            attributes += self._written({name: given[name] for name in given if name not in own}, must_appear=False)
        if node.name == "mj-body":
            attributes += f' fonts="{self._fonts()}"'
        if node.content is None:
            around = classes_of(node) or classes
            inner = "".join(self._element(child, node.name, around) for child in node.children)
        elif self.source.text[slice(*node.content)].strip():
            kind = "head" if parent == "mj-head" else "content"
            inner = self._hold(self.source.cut(*node.content), node.content[0], kind)
        else:
            inner = ""
        return f"<{node.name}{attributes}>{inner}</{node.name}>"

    def _fonts(self) -> str:
        """The fonts that texts and inlined styles ask for, which the compiler does not see."""
        found = re.findall(r"font-family\s*:\s*([^;}<>]{1,200})", self.source.text)
        return re.sub(r"[^\w ,-]", "", ", ".join(dict.fromkeys(found)))

    def _written(self, given: Mapping[str, Sequence[Attribute]], *, must_appear: bool = True) -> str:
        """Attributes as they stand in a tag, those of one name joined."""
        return "".join(
            f' {name}="{" ".join(self._attribute(each, must_appear=must_appear)[1] for each in attributes)}"'
            for name, attributes in given.items()
        )

    def _attribute(self, attribute: Attribute, *, must_appear: bool = True) -> tuple[str, str]:
        value = attribute.value
        if not LIQUID.search(value) and not re.search(r"[&\"<>]", value):
            return attribute.name, value
        pieces = quoted(self.source, attribute.start, attribute.end)
        if attribute.name == "background-url" and LIQUID.search(value):
            before, after = self.wrap_image(value)
            pieces = [(before, NOWHERE), *pieces, (after, NOWHERE)]
        return attribute.name, self._hold(pieces, attribute.start, "attribute", must_appear=must_appear)

    def put_back(self, compiled: str) -> tuple[Woven, list[Complaint]]:
        """The finished HTML with the Liquid in it, and what was lost or moved."""
        pieces: list[Piece] = []
        for part in self._in_head():
            if _is_first(part) and part.content:
                pieces += self.source.cut(*part.content)
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
        return Woven(pieces), complaints


def _children(element: Element) -> list[Element]:
    return [child for child in element.children if isinstance(child, Element)]


def _is_inlined(element: Element) -> bool:
    inline = element.get("inline")
    return element.name == "mj-style" and inline is not None and inline.value == "inline"


def _is_first(element: Element) -> bool:
    """Whether this stands before everything else, such as a comment for a mail program."""
    position = element.get("position")
    return element.name == "mj-raw" and position is not None and position.value == "file-start"
