# mypy: disable-error-code="no-untyped-call,no-untyped-def,misc"
"""MJML's components that are made of several: social links, accordions, carousels, navigation bars."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from mjml.elements import (
    MjAccordion,
    MjAccordionElement,
    MjAccordionText,
    MjAccordionTitle,
    MjCarousel,
    MjNavbar,
    MjSocial,
    MjSocialElement,
)
from mjml.elements.mj_social_element import defaultSocialNetworks

from triggerfish.adapters.mjml_base import SIDES, Lenient, name_of

_ICONS = "https://www.mailjet.com/images/theme/v1/icons/ico-social/"
_X = {
    "share-url": "https://twitter.com/intent/tweet?url=[[URL]]",
    "background-color": "#000000",
    "src": f"{_ICONS}twitter-x.png",
}
_NETWORKS = {**defaultSocialNetworks, "x": _X, "x-noshare": {**_X, "share-url": "[[URL]]"}}


class Social(Lenient, MjSocial):
    extra: ClassVar = {"border": "string"}

    def getSocialElementAttributes(self):  # noqa: N802
        given = super().getSocialElementAttributes()
        return given | ({"border": self.get_attr("border")} if self.get_attr("border") else {})


class SocialElement(Lenient, MjSocialElement):
    """The icon left or right of its text, with border and paddings of its own."""

    extra: ClassVar = {"border": "string", "icon-position": "enum(left,right)"}

    @classmethod
    def default_attrs(cls):
        return {**super().default_attrs(), "border": "0", "icon-position": "left"}

    def get_styles(self):
        styles = super().get_styles()
        styles["td"] |= {f"padding-{side}": self.get_attr(f"padding-{side}") for side in SIDES}
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


class Accordion(Lenient, MjAccordion):
    def headStyle(self, breakpoint: str) -> str:  # noqa: A002, N802
        """The checkbox is found by class and type, so that a client without :checked shows everything."""
        styles = str(super().headStyle(breakpoint))
        inner, _, thunderbird = styles.partition(".moz-text-html")
        inner = inner.replace("\n                input.mj-accordion-checkbox", "\n .mj-accordion-checkbox")
        inner = inner.replace(".mj-accordion-checkbox,", '.mj-accordion-checkbox[type="checkbox"],')
        inner = inner.replace(".mj-accordion-checkbox +", '.mj-accordion-checkbox[type="checkbox"] +')
        return f"{inner}.moz-text-html{thunderbird}"


class AccordionElement(Lenient, MjAccordionElement):
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


class AccordionText(_OwnFont, Lenient, MjAccordionText):
    pass


class AccordionTitle(_OwnFont, Lenient, MjAccordionTitle):
    extra: ClassVar = {"font-weight": "string"}

    def get_styles(self):
        styles = super().get_styles()
        styles["td"]["font-weight"] = self.get_attr("font-weight")
        return styles


class Carousel(Lenient, MjCarousel):
    """Its "supported" thumbnails show only where the carousel works."""

    extra: ClassVar = {"thumbnails": "enum(visible,hidden,supported)"}

    @property
    def carouselId(self) -> str:  # noqa: N802
        if not self._carousel_id:
            place = len(self.context["globalData"]["componentsHeadStyle"])
            self._carousel_id = name_of(place, [child["attributes"] for child in self.props["children"]])
        return self._carousel_id

    def generateThumbnails(self):  # noqa: N802
        if self.get_attr("thumbnails") != "supported":
            return super().generateThumbnails()
        self.attrs["thumbnails"] = "visible"
        return super().generateThumbnails().replace("display:inline-block;", "display:none;")

    def render(self):
        return _repaired(super().render())


class Navbar(Lenient, MjNavbar):
    def renderHamburger(self) -> str:  # noqa: N802
        written = _repaired(super().renderHamburger())
        chance = re.search(r'id="([0-9a-f]{16})"', written)
        links = [child["attributes"] for child in self.props["children"]]
        return written.replace(chance[1], name_of(self.props.get("index"), links)) if chance else written


def _repaired(written: str) -> str:
    """The comment that hides things from Outlook, closed."""
    return written.replace("<!--[if !mso><!-->", "<!--[if !mso]><!-->")
