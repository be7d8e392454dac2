"""MJML with Liquid in it, read as a tree, with everything that MJML would swallow in silence as a complaint."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from msgspec import Struct

from triggerfish.adapters.mjml_components import components as compiled_components
from triggerfish.adapters.sources import Piece, Woven
from triggerfish.rulefile.problems import nearest

LIQUID = re.compile(
    r"\{%-?\s*(?P<whole>raw|comment|doc)\b.*?\{%-?\s*end(?P=whole)\s*-?%\}|\{\{.*?\}\}|\{%-?\s*(?P<tag>\w+|\#).*?%\}",
    re.DOTALL,
)
"""One piece of Liquid: an output, a tag, or a whole raw, comment or doc block (python-liquid's lexer sees the same)."""

MASK = "\ue000"

MARKUP = re.compile(
    r"<!--.*?-->|<(?P<end>/?)(?P<name>[a-zA-Z][\w:-]*)(?P<rest>(?:[^<>\"']|\"[^\"]*\"|'[^']*')*)>", re.DOTALL
)
ATTRIBUTE = re.compile(
    r"(?P<name>[^\s=/\"'<>]+)(?:\s*=\s*(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<bare>[^\s\"'>]+)))?"
)

_COMPONENT = re.compile(r"<(mj-[\w-]+)")

BLOCKS = frozenset({"if", "unless", "case", "for", "capture", "with", "ifchanged"})
DIVIDERS = frozenset({"else", "elsif", "when"})

_LEAVES = ("mj-text", "mj-button", "mj-image", "mj-divider", "mj-spacer", "mj-table", "mj-raw", "mj-social",
           "mj-navbar", "mj-accordion", "mj-carousel")  # fmt: skip
_CHILDREN: Mapping[str, tuple[str, ...]] = {
    "": ("mjml",),
    "mjml": ("mj-head", "mj-body"),
    "mj-head": (
        "mj-attributes",
        "mj-breakpoint",
        "mj-font",
        "mj-preview",
        "mj-style",
        "mj-title",
        "mj-raw",
        "mj-html-attributes",
    ),
    "mj-html-attributes": ("mj-selector",),
    "mj-selector": ("mj-html-attribute",),
    "mj-body": ("mj-section", "mj-wrapper", "mj-hero", "mj-raw"),
    "mj-wrapper": ("mj-section", "mj-hero", "mj-raw"),
    "mj-section": ("mj-column", "mj-group", "mj-raw"),
    "mj-group": ("mj-column", "mj-raw"),
    "mj-column": _LEAVES,
    "mj-hero": _LEAVES,
    "mj-social": ("mj-social-element", "mj-raw"),
    "mj-navbar": ("mj-navbar-link", "mj-raw"),
    "mj-accordion": ("mj-accordion-element", "mj-raw"),
    "mj-accordion-element": ("mj-accordion-title", "mj-accordion-text", "mj-raw"),
    "mj-carousel": ("mj-carousel-image",),
}
_CONTENT = frozenset({"mj-text", "mj-button", "mj-table", "mj-raw", "mj-title", "mj-preview", "mj-style",
                      "mj-social-element", "mj-navbar-link", "mj-accordion-title", "mj-accordion-text",
                      "mj-html-attribute"})  # fmt: skip
_NO_TAGS = ("", "mjml", "mj-head", "mj-carousel", "mj-html-attributes", "mj-selector")
_TAGS_MAY_STAND_IN = frozenset(name for name in _CHILDREN if name not in _NO_TAGS)
_ALSO_TAKEN = {"mj-body": {"width"}, "mj-raw": {"position"}, "mj-hero": {"css-class"}, "mj-class": {"name"},
               "mjml": {"lang", "dir", "owa"}, "mj-group": {"css-class"}, "mj-style": {"inline"},
               "mj-selector": {"path"}, "mj-html-attribute": {"name"}}  # fmt: skip
_EVERYWHERE = frozenset({"css-class", "mj-class"})


class Attribute(Struct):
    """`name="value"`; `start` and `end` bound the value in the text."""

    name: str
    value: str
    start: int
    end: int
    at: int


class Tag(Struct):
    """A Liquid tag that stands bare between elements."""

    start: int
    end: int


class Element(Struct):
    """An element with its children, or with opaque content (start, end)."""

    name: str
    start: int
    attributes: list[Attribute] = []
    children: list[Element | Tag] = []
    content: tuple[int, int] | None = None

    def get(self, name: str) -> Attribute | None:
        return next((found for found in self.attributes if found.name == name), None)

    def walk(self) -> Iterator[Element]:
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.walk()


class Complaint(NamedTuple):
    """A problem at an offset of the text."""

    code: str
    at: int
    sentence: str
    hint: str = ""
    width: int = 1
    is_warning: bool = False


@functools.cache
def components() -> Mapping[str, Mapping[str, str]]:
    """The components that the compiler knows, each with its attributes and their kinds ("unit(px)")."""
    known: dict[str, dict[str, str]] = {}
    for name, component in compiled_components().items():
        allowed = {**dict.fromkeys(component.default_attrs(), ""), **(component.allowed_attrs() or {})}
        allowed |= dict.fromkeys(_ALSO_TAKEN.get(name, ()), "")
        known[name] = {attribute: kind or "" for attribute, kind in allowed.items()}
    return known | {name: dict.fromkeys(_ALSO_TAKEN[name], "") for name in ("mj-selector", "mj-html-attribute")}


def mask(text: str) -> str:
    """The text with each piece of Liquid blotted out, character by character, so that places stay."""
    return LIQUID.sub(lambda found: MASK * len(found[0]), text)


def quoted(source: Woven, start: int, end: int) -> list[Piece]:
    """A stretch of a text as it can stand between double quotes; Liquid in it stays as it is."""
    pieces: list[Piece] = []
    at = start
    for found in LIQUID.finditer(source.text, start, end):
        pieces += [(text.replace('"', "&quot;"), origin) for text, origin in source.cut(at, found.start())]
        pieces += source.cut(found.start(), found.end())
        at = found.end()
    return [*pieces, *((text.replace('"', "&quot;"), origin) for text, origin in source.cut(at, end))]


def unclosed_tag(text: str) -> tuple[str, int] | None:
    """The innermost Liquid tag that is opened and never closed, and where."""
    open_tags: list[tuple[str, int]] = []
    for found in LIQUID.finditer(text):
        tag = found["tag"] or ""
        if tag in BLOCKS:
            open_tags.append((tag, found.start()))
        elif tag.startswith("end") and open_tags and open_tags[-1][0] == tag[3:]:
            open_tags.pop()
    return open_tags[-1] if open_tags else None


def read_mjml(text: str) -> tuple[Element | None, list[Complaint]]:
    """The text as a tree, and everything that is wrong with it. Without an <mjml> element the tree is None."""
    reader = _Reader(text)
    reader.read()
    root = next((child for child in reader.root.children if isinstance(child, Element)), None)
    is_sound = all(complaint.is_warning for complaint in reader.complaints)
    if root and is_sound:
        bodies = [child for child in root.children if isinstance(child, Element) and child.name == "mj-body"]
        if len(bodies) != 1:
            reader.complain("TF310", root.start, "an email needs exactly one <mj-body>", width=5)
    elif not root and is_sound:
        reader.complain("TF310", 0, "this is no MJML: it has no <mjml> element", "start with <mjml><mj-body>")
    return root, reader.complaints


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.masked = mask(text)
        self.root = Element("", 0)
        self.stack = [self.root]
        self.open_tags: list[tuple[str, Element, int]] = []
        self.complaints: list[Complaint] = []

    def complain(
        self, code: str, at: int, sentence: str, hint: str = "", width: int = 1, *, is_warning: bool = False
    ) -> None:
        self.complaints.append(Complaint(code, at, sentence, hint, width, is_warning))

    def read(self) -> None:
        at, comment = 0, self.masked.rfind("<!--")
        if comment > self.masked.rfind("-->"):
            self.complain("TF310", comment, "this comment is never closed", "add -->", 4)
            return
        while found := MARKUP.search(self.masked, at):
            self._gap(at, found.start())
            at = found.end()
            if found[0].startswith("<!--"):
                continue
            name = found["name"].lower()
            if found["end"]:
                self._close(name, found)
            else:
                at = self._open(name, found)
            if len(self.complaints) > 50 or len(self.stack) > 30:
                self.complain("TF310", found.start(), "there is too much wrong here to go on")
                return
        self._gap(at, len(self.text))
        for element in self.stack[1:]:
            self.complain(
                "TF310",
                element.start,
                f"<{element.name}> is never closed",
                f"add </{element.name}>",
                len(element.name) + 1,
            )

    def _open(self, name: str, found: re.Match[str]) -> int:
        """Take a start tag; returns where to go on."""
        start, parent = found.start(), self.stack[-1]
        element = Element(name, start, self._attributes(name, found))
        self._check_place(element, parent)
        parent.children.append(element)
        if found["rest"].endswith("/"):
            element.content = (found.end(), found.end()) if name in _CONTENT else None
            return found.end()
        if name not in _CONTENT:
            self.stack.append(element)
            return found.end()
        closing = re.compile(rf"</{re.escape(name)}\s*>", re.IGNORECASE).search(self.masked, found.end())
        if not closing:
            self.complain("TF310", start, f"<{name}> is never closed", f"add </{name}>", len(name) + 1)
            return len(self.text)
        element.content = (found.end(), closing.start())
        inner = _COMPONENT.search(self.masked, found.end(), closing.start()) if name != "mj-raw" else None
        if inner:
            sentence = f"<{name}> holds text, so <{inner[1].lower()}> cannot stand in it"
            self.complain("TF310", inner.start(), sentence, f"is a </{name}> missing before it?", len(inner[0]))
        self._check_balance(found.end(), closing.start())
        return closing.end()

    def _close(self, name: str, found: re.Match[str]) -> None:
        element = self.stack[-1]
        if element.name == name:
            self.stack.pop()
        elif any(open_one.name == name for open_one in self.stack):
            self.complain(
                "TF310",
                found.start(),
                f"</{name}> comes before <{element.name}> is closed",
                f"close </{element.name}> first",
                len(found[0]),
            )
            while self.stack.pop().name != name:
                pass
        else:
            self.complain("TF310", found.start(), f"</{name}> closes nothing", width=len(found[0]))

    def _check_place(self, element: Element, parent: Element) -> None:
        name, width = element.name, len(element.name) + 1
        if parent.name in ("mj-attributes", "mj-class"):
            if name not in components() and name not in ("mj-all", "mj-class"):
                self.complain(
                    "TF311", element.start, f"MJML has no component <{name}>", nearest(name, components()), width
                )
        elif parent.name not in _CHILDREN and parent.name in components():
            self.complain(
                "TF313", element.start, f"<{parent.name}> holds nothing, so <{name}> cannot stand in it", width=width
            )
        elif name not in components() and name != "mjml":
            hint = nearest(name, components()) or "HTML belongs into <mj-text>, <mj-table> or <mj-raw>"
            self.complain("TF311", element.start, f"MJML has no component <{name}>", hint, width)
        elif name in _LEAVES and parent.name in ("mj-body", "mj-wrapper"):
            sentence = f"<{name}> stands outside of a column, so mail programs differ in how wide they draw it"
            hint = f"put it into <mj-section><mj-column><{name}>"
            self.complain("TF313", element.start, sentence, hint, width, is_warning=True)
        elif name not in (allowed := _CHILDREN.get(parent.name, ())):
            where = f"in <{parent.name}>" if parent.name else "at the top"
            self.complain(
                "TF313", element.start, f"<{name}> cannot stand {where}", f"there can be {', '.join(allowed)}", width
            )

    def _attributes(self, name: str, found: re.Match[str]) -> list[Attribute]:
        start, attributes = found.start("rest"), []
        rest = found["rest"]
        for part in ATTRIBUTE.finditer(rest.removesuffix("/")):
            at = start + part.start()
            if MASK in part["name"]:
                self.complain(
                    "TF314",
                    at,
                    "Liquid cannot stand between attributes",
                    'put it into a value: color="{{ … }}"',
                    len(part["name"]),
                )
                continue
            group = next((g for g in ("double", "single", "bare") if part[g] is not None), None)
            begin, end = (start + part.start(group), start + part.end(group)) if group else (at, at)
            attribute = Attribute(part["name"].lower(), self.text[begin:end], begin, end, at)
            attributes.append(attribute)
            if name in components() or name in _ALSO_TAKEN or name == "mj-all":
                self._check_attribute(name, attribute, MASK in self.masked[begin:end])
        return attributes

    def _check_attribute(self, element: str, attribute: Attribute, has_liquid: bool) -> None:
        name, width = attribute.name, len(attribute.name)
        known = components().get(element, {})
        if element in ("mj-all", "mj-class"):
            known = {key: kind for kinds in components().values() for key, kind in kinds.items()}
        if name not in known and name not in _EVERYWHERE and name not in _ALSO_TAKEN.get(element, ()):
            if element not in ("mj-all", "mj-class") and any(name in kinds for kinds in components().values()):
                # Other compilers let it pass, so emails from elsewhere may have it.
                sentence = f'"{name}" does nothing on <{element}>'
                self.complain("TF312", attribute.at, sentence, "take it away", width, is_warning=True)
            else:
                self.complain(
                    "TF312", attribute.at, f'<{element}> has no attribute "{name}"', nearest(name, known), width
                )
        elif has_liquid:
            kind = known.get(name, "")
            is_computed = (
                kind.startswith(("unit", "enum", "boolean", "integer"))
                or "border" in name
                or name in ("width", "mj-class", "name")
            )
            if is_computed and name != "border-color":
                self.complain(
                    "TF314",
                    attribute.start,
                    f'"{name}" must be a plain value: MJML computes with it when the template is loaded',
                    "put two versions into {% if %} … {% else %} … {% endif %}",
                    attribute.end - attribute.start,
                )
            self._check_balance(attribute.start, attribute.end)

    def _gap(self, start: int, end: int) -> None:
        """What stands between elements: blanks and Liquid tags; anything else would vanish."""
        if self.masked[start:end].isspace() or start == end:
            return
        if self.stack[-1].name not in _CHILDREN and self.stack[-1].name not in components():
            return  # the element is unknown, and said to be
        parent, at = self.stack[-1], start
        for found in LIQUID.finditer(self.text, start, end):
            self._check_no_text(at, found.start())
            at = found.end()
            if found["whole"] in ("comment", "doc") or found["tag"] == "#":
                continue
            if found["tag"] is None:
                self.complain(
                    "TF313", found.start(), "this stands outside of a component", "put it into <mj-text>", len(found[0])
                )
            elif parent.name not in _TAGS_MAY_STAND_IN or (parent.name == "mj-attributes"):
                place = f"in <{parent.name}>" if parent.name else "outside of <mjml>"
                hint = (
                    "a block there takes no values" if found["tag"] in ("with", "endwith") else "put it into <mj-body>"
                )
                self.complain("TF315", found.start(), f"a Liquid tag cannot stand {place}", hint, len(found[0]))
            else:
                self._pair(found["tag"], parent, found.start())
                parent.children.append(Tag(found.start(), found.end()))
        self._check_no_text(at, end)

    def _check_no_text(self, start: int, end: int) -> None:
        text = self.text[start:end]
        if text.strip():
            at = start + len(text) - len(text.lstrip())
            shown = text.strip().split("\n")[0]
            self.complain(
                "TF313",
                at,
                "this text stands outside of a component, where MJML drops it",
                "put it into <mj-text>",
                len(shown),
            )

    def _pair(self, tag: str, parent: Element, at: int) -> None:
        """Liquid that opens in one element must close in the same one, or the HTML around it breaks."""
        if tag in BLOCKS:
            self.open_tags.append((tag, parent, at))
        elif tag in DIVIDERS or tag.startswith("end"):
            opened = self.open_tags[-1] if self.open_tags else None
            if opened and opened[1] is not parent:
                self.complain("TF315", at, f"{{% {tag} %}} stands in another element than its {{% {opened[0]} %}}",
                              f"both belong directly into <{opened[1].name}>")  # fmt: skip
            if opened and tag.startswith("end"):
                self.open_tags.pop()

    def _check_balance(self, start: int, end: int) -> None:
        """Liquid inside of one component's content, or one attribute, closes there."""
        open_tags: list[tuple[str, int]] = []
        for found in LIQUID.finditer(self.text, start, end):
            tag = found["tag"] or ""
            if tag in BLOCKS:
                open_tags.append((tag, found.start()))
            elif tag.startswith("end") or tag in DIVIDERS:
                if not open_tags:
                    self.complain(
                        "TF315",
                        found.start(),
                        f"{{% {tag} %}} has its beginning in another component",
                        "a component's text must hold both",
                        len(found[0]),
                    )
                elif tag.startswith("end"):
                    open_tags.pop()
        for tag, at in open_tags:
            self.complain(
                "TF315", at, f"{{% {tag} %}} is not closed in the component where it begins", f"add {{% end{tag} %}}"
            )
