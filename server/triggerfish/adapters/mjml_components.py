# mypy: disable-error-code="no-untyped-call,no-untyped-def,misc"
"""MJML's components as npm's MJML 5 writes them: PyPI `mjml`'s, with what that lacks or computes otherwise.

PyPI `mjml` is not annotated, and neither are overrides of its methods. `tests/render/test_mjml_npm.py` compares every
attribute of every component with npm's output; attributes here are those of npm's validator.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar

from mjml.core.registry import register_core_components
from mjml.elements import (
    MjAccordion,
    MjAccordionElement,
    MjAccordionText,
    MjAccordionTitle,
    MjBody,
    MjButton,
    MjCarousel,
    MjColumn,
    MjDivider,
    MjHero,
    MjImage,
    MjSection,
    MjSocial,
    MjSocialElement,
    MjTable,
    MjText,
    MjWrapper,
)
from mjml.elements.head import MjHead
from mjml.elements.mj_social_element import defaultSocialNetworks
from mjml.helpers import borderParser, strip_unit, widthParser

MARK = "<!--triggerfish:body"
"""Where a compiled body begins: mjml.py moves what stands in this comment to the <body>."""

_ICONS = "https://www.mailjet.com/images/theme/v1/icons/ico-social/"
_X = {
    "share-url": "https://twitter.com/intent/tweet?url=[[URL]]",
    "background-color": "#000000",
    "src": f"{_ICONS}twitter-x.png",
}
_NETWORKS = {**defaultSocialNetworks, "x": _X, "x-noshare": {**_X, "share-url": "[[URL]]"}}
_FONTS = {
    name: f"https://fonts.googleapis.com/css?family={name.replace(' ', '+')}:{weights}"
    for name, weights in {
        "Open Sans": "300,400,500,700",
        "Droid Sans": "300,400,500,700",
        "Lato": "300,400,500,700",
        "Roboto": "300,400,500,700",
        "Ubuntu": "300,400,500,700",
    }.items()
}
_SIDES = ("top", "right", "bottom", "left")


def leading_integer(text: object) -> int:
    """The whole number that a text begins with, or 0: what parseInt makes of it."""
    return int(strip_unit(str(text).strip()))


class _Lenient:
    """Asks for attributes as npm's components do: one that a component does not have is None, and no error."""

    attrs: dict[str, Any]
    context: Any
    extra: ClassVar[Mapping[str, str]] = {}
    """Attributes that npm's component takes, besides those of PyPI's."""

    @classmethod
    def allowed_attrs(cls):
        return {**super().allowed_attrs(), **cls.extra}

    def get_attr(self, name: str, *, missing_ok: bool = True) -> Any:
        return self.attrs.get(name)

    getAttribute = get_attr  # noqa: N815 - the name that PyPI's components call

    def getShorthandAttrValue(self, attribute: str, direction: str, attr_with_direction: bool = True) -> int:  # noqa: N802
        own = self.get_attr(f"{attribute}-{direction}") if attr_with_direction else None
        if own:
            return leading_integer(own)
        values = str(self.get_attr(attribute) or "0").split()[:4]
        place = {1: (0, 0, 0, 0), 2: (0, 1, 0, 1), 3: (0, 1, 2, 1), 4: (0, 1, 2, 3)}[max(1, len(values))]
        return leading_integer(values[place[_SIDES.index(direction)]] if values else 0)


class Head(_Lenient, MjHead):
    """Fonts may have the names of those that MJML knows."""

    def handler(self):
        declared = {
            child["attributes"].get("name", ""): child["attributes"].get("href", "")
            for child in self.props["children"]
            if child["tagName"] == "mj-font"
        }
        self.context["add"]("fonts", {**_FONTS, **declared})
        self.props["children"] = [child for child in self.props["children"] if child["tagName"] != "mj-font"]
        return super().handler()


class Body(_Lenient, MjBody):
    """Class and id belong to the <body>; `fonts` (ours) names what the texts use, for MJML to load it."""

    extra: ClassVar = {"id": "string", "width": "unit(px)"}

    def get_styles(self):
        return {"div": {"word-spacing": "normal", "background-color": self.get_attr("background-color")}}

    def render(self):
        outer = self.html_attrs(id=self.get_attr("id"), class_=self.get_attr("css-class"))
        self.attrs["css-class"] = None
        fonts = f'"font-family:{self.get_attr("fonts") or ""}"'
        return f"{MARK} {outer} {fonts}-->{super().render()}"


class Button(_Lenient, MjButton):
    extra: ClassVar = {"title": "string"}

    def html_attrs(self, **attrs: Any) -> str:
        if attrs.get("style") == "content":
            attrs["title"] = self.get_attr("title")
        return str(super().html_attrs(**attrs))


class Column(_Lenient, MjColumn):
    """Round corners need borders that do not collapse; an inner border takes its width from the content."""

    def get_styles(self):
        styles = super().get_styles()
        inner = self.get_attr("inner-border-radius")
        outer = self.get_attr("border-radius")
        if inner or (outer and not self.hasGutter()):
            styles["table"]["border-collapse"] = "separate"
        if outer and self.hasGutter():
            styles["gutter"]["border-collapse"] = "separate"
        return styles

    def getShorthandAttrValue(self, attribute: str, direction: str, attr_with_direction: bool = True) -> int:  # noqa: N802
        if attribute != "inner-border":
            return int(super().getShorthandAttrValue(attribute, direction, attr_with_direction))
        return borderParser(self.get_attr(f"{attribute}-{direction}") or self.get_attr(attribute) or "0")


class Divider(_Lenient, MjDivider):
    def get_styles(self):
        margin = {"left": "0px", "right": "0px 0px 0px auto"}.get(self.get_attr("align"), "0px auto")
        return {name: {**style, "margin": margin} for name, style in super().get_styles().items()}

    def getOutlookWidth(self) -> str:  # noqa: N802
        width, unit = widthParser(self.get_attr("width"))
        if unit == "px":
            return str(self.get_attr("width"))
        sides = self.getShorthandAttrValue("padding", "left") + self.getShorthandAttrValue("padding", "right")
        room = leading_integer(self.context["containerWidth"]) - sides
        return f"{room * width / 100:g}px" if unit == "%" else f"{room}px"

    def html_attrs(self, **attrs: Any) -> str:
        if attrs.get("style") == "outlook":
            attrs["align"] = self.get_attr("align")
        return str(super().html_attrs(**attrs))


class Image(_Lenient, MjImage):
    extra: ClassVar = {"sizes": "string"}

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        if self.attrs.get("fluid-on-mobile") == "false":
            self.attrs["fluid-on-mobile"] = None

    def get_styles(self):
        styles = super().get_styles()
        styles["img"] |= {f"border-{side}": self.get_attr(f"border-{side}") for side in _SIDES}
        return styles

    def html_attrs(self, **attrs: Any) -> str:
        if attrs.get("style") == "img":
            attrs["sizes"] = self.get_attr("sizes")
        return str(super().html_attrs(**attrs))


class Section(_Lenient, MjSection):
    """Round corners are cut at the cell and the frame; in a wrapper with a gap, a section stands apart."""

    def get_styles(self):
        styles = super().get_styles()
        radius = self.get_attr("border-radius")
        if radius:
            for name in ("table", "tableFullwidth"):
                styles[name].pop("border-radius", None)
                styles[name]["border-collapse"] = "separate"
            if self.isFullWidth():
                styles["tableFullwidth"]["border-radius"] = radius
            styles["td"]["border-radius"] = radius
            styles["div"]["overflow"] = "hidden"
        styles["div"]["margin-top"] = self._gap()
        return styles

    def _gap(self) -> str | None:
        """The distance to the section before it, that the wrapper asks for."""
        return self.context.get("gap") if self.props.get("index") else None

    def getChildContext(self):  # noqa: N802
        return {**super().getChildContext(), "gap": self.get_attr("gap")}

    def html_attrs(self, **attrs: Any) -> str:
        if "bgcolor" in attrs and self._gap():
            attrs["style"] = {**attrs["style"], "padding-top": self._gap()}
        return str(super().html_attrs(**attrs))


class Wrapper(Section, MjWrapper):
    extra: ClassVar = {"gap": "unit(px)"}


class Hero(_Lenient, MjHero):
    """A hero without the size of its background, with the paddings of what it holds."""

    def get_styles(self):
        if self.get_attr("mode") != "fluid-height":
            self.attrs["mode"] = "fixed-height"
        known = dict(self.attrs)
        for name in ("background-width", "background-height"):
            self.attrs[name] = str(leading_integer(known.get(name) or 0) or 1)
        styles = super().get_styles()
        self.attrs = known
        width, height = (known.get(f"background-{side}") for side in ("width", "height"))
        if not (width and height):
            styles["td-fluid"]["padding-bottom"] = "0%"
        styles["outlook-image"] |= {"height": height, "width": width or self.context["containerWidth"]}
        styles["outlook-inner-table"]["width"] = self.getChildContext()["containerWidth"]
        styles["inner-div"] |= {name: style for name, style in styles["outlook-inner-td"].items() if style}
        return styles

    def getChildContext(self):  # noqa: N802
        sides = self.getShorthandAttrValue("padding", "left") + self.getShorthandAttrValue("padding", "right")
        width = strip_unit(str(self.context["containerWidth"])) - sides
        return {**self.context, "containerWidth": f"{width:g}px"}

    def html_attrs(self, **attrs: Any) -> str:
        if attrs.get("style") == "outlook-inner-table":
            attrs["width"] = leading_integer(self.getChildContext()["containerWidth"])
        return str(super().html_attrs(**attrs))


class Social(_Lenient, MjSocial):
    extra: ClassVar = {"border": "string"}

    def getSocialElementAttributes(self):  # noqa: N802
        given = super().getSocialElementAttributes()
        return given | ({"border": self.get_attr("border")} if self.get_attr("border") else {})


class SocialElement(_Lenient, MjSocialElement):
    """The icon left or right of its text, with border and paddings of its own."""

    extra: ClassVar = {"border": "string", "icon-position": "enum(left,right)"}

    @classmethod
    def default_attrs(cls):
        return {**super().default_attrs(), "border": "0", "icon-position": "left"}

    def get_styles(self):
        styles = super().get_styles()
        styles["td"] |= {f"padding-{side}": self.get_attr(f"padding-{side}") for side in _SIDES}
        styles["img"]["border"] = self.get_attr("border")
        return styles

    def getSocialAttributes(self):  # noqa: N802
        found = super().getSocialAttributes()
        network = _NETWORKS.get(self.get_attr("name") or "", {})
        for name in ("src", "background-color"):
            found[name] = self.get_attr(name) or network.get(name)
        href = self.get_attr("href")
        if href and network.get("share-url"):
            found["href"] = network["share-url"].replace("[[URL]]", href)
        return found

    def render(self):
        written = super().render()
        if self.get_attr("icon-position") != "right" or not self.getContent():
            return written
        start, text = written.index("<td"), written.rindex("<td")
        end = written.rindex("</td>") + len("</td>")
        return written[:start] + written[text:end] + written[start:text] + written[end:]


class Table(_Lenient, MjTable):
    extra: ClassVar = {"role": "enum(none,presentation)", "width": "unit(px,%,auto)"}

    def get_styles(self):
        styles = super().get_styles()
        if leading_integer(self.get_attr("cellspacing") or 0) > 0:
            styles["table"]["border-collapse"] = "separate"
        return styles

    def getWidth(self):  # noqa: N802
        return "auto" if self.get_attr("width") == "auto" else super().getWidth()

    def html_attrs(self, **attrs: Any) -> str:
        if attrs.get("style") == "table":
            attrs["role"] = self.get_attr("role")
        return str(super().html_attrs(**attrs))


class Text(_Lenient, MjText):
    """Only Outlook needs a table for a text of a given height."""

    def render(self):
        height = self.get_attr("height")
        text = self._render_content()
        if not height:
            return text
        cell = f'<td height="{height}" style="vertical-align:top;height:{height};">'
        table = f'<table role="presentation" border="0" cellpadding="0" cellspacing="0"><tr>{cell}'
        return f"<!--[if mso | IE]>{table}<![endif]-->{text}<!--[if mso | IE]></td></tr></table><![endif]-->"


class Accordion(_Lenient, MjAccordion):
    def headStyle(self, breakpoint: str) -> str:  # noqa: A002, N802
        """The checkbox is found by class and type, so that a client without :checked shows everything."""
        styles = str(super().headStyle(breakpoint))
        inner, _, thunderbird = styles.partition(".moz-text-html")
        inner = inner.replace("\n                input.mj-accordion-checkbox", "\n .mj-accordion-checkbox")
        inner = inner.replace(".mj-accordion-checkbox,", '.mj-accordion-checkbox[type="checkbox"],')
        inner = inner.replace(".mj-accordion-checkbox +", '.mj-accordion-checkbox[type="checkbox"] +')
        return f"{inner}.moz-text-html{thunderbird}"


class AccordionElement(_Lenient, MjAccordionElement):
    """Its own font is that of what it holds."""

    def getChildContext(self):  # noqa: N802
        own = self.get_attr("font-family")
        return {**super().getChildContext(), **({"elementFontFamily": own} if own else {})}


class _OwnFont:
    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        own = given.get("attributes", {}).get("font-family")
        if own:
            self.props = {**self.props, "rawAttrs": {"font-family": own}}  # type: ignore[has-type]


class AccordionText(_OwnFont, _Lenient, MjAccordionText):
    pass


class AccordionTitle(_OwnFont, _Lenient, MjAccordionTitle):
    extra: ClassVar = {"font-weight": "string"}

    def get_styles(self):
        styles = super().get_styles()
        styles["td"]["font-weight"] = self.get_attr("font-weight")
        return styles


class Carousel(_Lenient, MjCarousel):
    """Named by what it shows, not by chance: the same template compiles to the same HTML. "supported" thumbnails show
    only where the carousel works.
    """

    extra: ClassVar = {"thumbnails": "enum(visible,hidden,supported)"}

    @property
    def carouselId(self) -> str:  # noqa: N802
        if not self._carousel_id:
            place = len(self.context["globalData"]["componentsHeadStyle"])
            shown = repr([place, [child["attributes"] for child in self.props["children"]]])
            self._carousel_id = hashlib.sha256(shown.encode()).hexdigest()[:16]
        return self._carousel_id

    def generateThumbnails(self):  # noqa: N802
        if self.get_attr("thumbnails") != "supported":
            return super().generateThumbnails()
        self.attrs["thumbnails"] = "visible"
        return super().generateThumbnails().replace("display:inline-block;", "display:none;")

    def render(self):
        return super().render().replace("<!--[if !mso><!-->", "<!--[if !mso]><!-->")


_FIXED = {component.component_name: component for component in (
    Head, Body, Button, Column, Divider, Image, Section, Wrapper, Hero, Social, SocialElement, Table, Text, Accordion,
    AccordionElement, AccordionText, AccordionTitle, Carousel,
)}  # fmt: skip


@functools.cache
def components() -> Mapping[str, type[Any]]:
    """All components by name, as they are registered with `mjml_to_html(custom_components=…)`."""
    return {
        name: _FIXED.get(name) or type(name, (_Lenient, component), {})
        for name, component in register_core_components().items()
    }
