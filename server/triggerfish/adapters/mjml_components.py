# mypy: disable-error-code="no-untyped-call,no-untyped-def,misc"
"""MJML's components as npm's MJML 5 writes them: PyPI `mjml`'s, with what that lacks or computes otherwise.

PyPI `mjml` is not annotated, and neither are overrides of its methods. `tests/render/test_mjml_npm.py` compares every
attribute of every component with npm's output; attributes here are those of npm's validator.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, ClassVar

from mjml.core.registry import register_core_components
from mjml.elements import (
    MjBody,
    MjButton,
    MjColumn,
    MjDivider,
    MjGroup,
    MjHero,
    MjImage,
    MjSection,
    MjTable,
    MjText,
    MjWrapper,
)
from mjml.elements.head import MjHead
from mjml.helpers import borderParser, strip_unit, widthParser

from triggerfish.adapters.mjml_base import SIDES, Lenient, leading_integer, plain, rounded
from triggerfish.adapters.mjml_gutter import gutter_of
from triggerfish.adapters.mjml_widgets import (
    Accordion,
    AccordionElement,
    AccordionText,
    AccordionTitle,
    Carousel,
    Navbar,
    Social,
    SocialElement,
)

MARK = "<!--triggerfish:body"
"""Where a compiled body begins: mjml.py moves what stands in this comment to the <body>."""

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


class Head(Lenient, MjHead):
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


class Body(Lenient, MjBody):
    """Class and id belong to the <body>; `fonts` (ours) names what the texts use, for MJML to load it."""

    extra: ClassVar = {"id": "string", "width": "unit(px)", "background-color": "color"}

    def get_styles(self):
        return {"div": {"word-spacing": "normal", "background-color": self.get_attr("background-color")}}

    def render(self):
        outer = self.html_attrs(id=self.get_attr("id"), class_=self.get_attr("css-class"))
        self.attrs["css-class"] = None
        fonts = f'"font-family:{self.get_attr("fonts") or ""}"'
        return f"{MARK} {outer} {fonts}-->{super().render()}"


class Button(Lenient, MjButton):
    extra: ClassVar = {"title": "string"}

    def html_attrs(self, **attrs: Any) -> str:
        if attrs.get("style") == "content":
            attrs["title"] = self.get_attr("title")
        return str(super().html_attrs(**attrs))


class Column(Lenient, MjColumn):
    """Round corners need borders that do not collapse; an inner border takes its width from the content."""

    def get_styles(self):
        styles = super().get_styles()
        inner = self.get_attr("inner-border-radius")
        outer = self.get_attr("border-radius")
        if inner or (outer and not self.hasGutter()):
            styles["table"]["border-collapse"] = "separate"
        if outer and self.hasGutter():
            styles["gutter"]["border-collapse"] = "separate"
        gutter = gutter_of(self)
        if gutter:
            _, unit = self.getParsedWidth()
            styles["div"]["padding"] = gutter.desktop(unit) if gutter.is_in_group else gutter.phone()
            styles["tdOutlook"]["padding"] = gutter.desktop("px")
        return styles

    def getColumnClass(self) -> str:  # noqa: N802
        gutter = gutter_of(self)
        if gutter is None:
            return str(super().getColumnClass())
        width, unit = self.getParsedWidth()
        size = plain(gutter.narrowed(width, unit))
        name, beside = f"mj-column-{'per' if unit == '%' else 'px'}-{size.replace('.', '-')}", gutter.class_name(unit)
        self.context["addMediaQuery"](name, parsedWidth=size, unit=unit)
        if not gutter.is_in_group:
            self.context["globalData"]["mediaQueries"][beside] = f"{{ padding: {gutter.desktop(unit)} !important; }}"
        return f"{name} {beside}"

    def html_attrs(self, **attrs: Any) -> str:
        if "border" in attrs and "style" not in attrs and self.get_attr("border-radius"):
            attrs["style"] = {"border-collapse": "separate"}
        return str(super().html_attrs(**attrs))

    def getWidthAsPixel(self) -> str:  # noqa: N802
        return f"{rounded(float(super().getWidthAsPixel().removesuffix('px')))}px"

    def getMobileWidth(self) -> str:  # noqa: N802
        width, whole = str(self.get_attr("width") or ""), leading_integer(self.context["containerWidth"])
        gutter = gutter_of(self)
        if gutter and gutter.is_in_group:
            own, unit = self.getParsedWidth()
            narrow = gutter.narrowed(own, unit)
            return f"{plain(narrow if unit == '%' else narrow / whole * 100)}%"
        if self.get_attr("mobileWidth") != "mobileWidth" or not width or width.endswith("%") or not whole:
            return str(super().getMobileWidth())
        return f"{plain(strip_unit(width) / whole * 100)}%"

    def getShorthandAttrValue(self, attribute: str, direction: str, attr_with_direction: bool = True) -> int:  # noqa: N802
        if attribute != "inner-border":
            return int(super().getShorthandAttrValue(attribute, direction, attr_with_direction))
        return borderParser(self.get_attr(f"{attribute}-{direction}") or self.get_attr(attribute) or "0")


class Divider(Lenient, MjDivider):
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


class Group(Lenient, MjGroup):
    extra: ClassVar = {
        "background-color": "color",
        "direction": "enum(ltr,rtl)",
        "vertical-align": "enum(top,bottom,middle)",
        "width": "unit(px,%)",
    }

    def getChildContext(self):  # noqa: N802
        return {**super().getChildContext(), "isInGroup": True, "direction": self.get_attr("direction")}


class Image(Lenient, MjImage):
    extra: ClassVar = {"sizes": "string"}

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        if self.attrs.get("fluid-on-mobile") == "false":
            self.attrs["fluid-on-mobile"] = None

    def get_styles(self):
        styles = super().get_styles()
        styles["img"] |= {f"border-{side}": self.get_attr(f"border-{side}") for side in SIDES}
        return styles

    def html_attrs(self, **attrs: Any) -> str:
        if attrs.get("style") == "img":
            attrs["sizes"] = self.get_attr("sizes")
        elif "href" in attrs:
            attrs["title"] = self.get_attr("title")
        return str(super().html_attrs(**attrs))


class Section(Lenient, MjSection):
    """Round corners are cut at the cell and the frame; in a wrapper with a gap, a section stands apart."""

    extra: ClassVar = {"gutter": "unit(px,%)"}

    def get_styles(self):
        styles = super().get_styles()
        radius = self.get_attr("border-radius")
        if radius:
            for name in ("table", "tableFullwidth"):
                styles[name].pop("border-radius", None)
                styles[name]["border-collapse"] = "separate"
                if name == "tableFullwidth":
                    styles[name].pop("border-collapse")
            styles["td"]["border-radius"] = radius
            styles["div"]["overflow"] = "hidden"
        styles["div"]["margin-top"] = self._gap()
        return styles

    def _gap(self) -> str | None:
        """The distance to the section before it, that the wrapper asks for."""
        return self.context.get("gap") if self.props.get("index") else None

    def _calc_origin_pos_value(self, is_x: bool, bg_pos: str) -> str:
        return f"{float(super()._calc_origin_pos_value(is_x, bg_pos)):g}"

    def getChildContext(self):  # noqa: N802
        own = {name: self.get_attr(name) for name in ("gap", "gutter", "direction")}
        return {**super().getChildContext(), **own}

    def html_attrs(self, **attrs: Any) -> str:
        if "bgcolor" in attrs and self._gap():
            attrs["style"] = {**attrs["style"], "padding-top": self._gap()}
        return str(super().html_attrs(**attrs))


class Wrapper(Section, MjWrapper):
    extra: ClassVar = {"gap": "unit(px)", "gutter": "unit(px,%)"}


class Hero(Lenient, MjHero):
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


class Table(Lenient, MjTable):
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


class Text(Lenient, MjText):
    """Only Outlook needs a table for a text of a given height."""

    def render(self):
        height = self.get_attr("height")
        text = self._render_content()
        if not height:
            return text
        cell = f'<td height="{height}" style="vertical-align:top;height:{height};">'
        table = f'<table role="presentation" border="0" cellpadding="0" cellspacing="0"><tr>{cell}'
        return f"<!--[if mso | IE]>{table}<![endif]-->{text}<!--[if mso | IE]></td></tr></table><![endif]-->"


_FIXED = {component.component_name: component for component in (
    Head, Body, Button, Column, Divider, Image, Section, Wrapper, Hero, Social, SocialElement, Table, Text, Accordion,
    AccordionElement, AccordionText, AccordionTitle, Carousel, Group, Navbar,
)}  # fmt: skip


@functools.cache
def components() -> Mapping[str, type[Any]]:
    """All components by name, as they are registered with `mjml_to_html(custom_components=…)`."""
    return {
        name: _FIXED.get(name) or type(name, (Lenient, component), {})
        for name, component in register_core_components().items()
    }
