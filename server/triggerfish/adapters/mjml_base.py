# mypy: disable-error-code="no-untyped-call,no-untyped-def,misc"
"""What our versions of MJML's components share: attributes, sizes and colours as npm's MJML takes them."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from mjml.helpers import strip_unit

_SHORT_COLOUR = re.compile(r"#[0-9a-fA-F]{3}")
SIDES = ("top", "right", "bottom", "left")


def leading_integer(text: object) -> int:
    """The whole number that a text begins with, or 0: what parseInt makes of it."""
    return int(strip_unit(str(text).strip()))


def plain(number: float) -> str:
    """A number with at most six digits after the point, and none that say nothing."""
    return f"{number:.6f}".rstrip("0").rstrip(".")


def rounded(number: float) -> int:
    """The nearest whole number, halves upwards: what Math.round makes of it."""
    return math.floor(number + 0.5)


def name_of(*parts: object) -> str:
    """A name made of what it names, not of chance: the same template compiles to the same HTML."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


class Lenient:
    """Asks for attributes as npm's components do: one that a component does not have is None, and no error."""

    attrs: dict[str, Any]
    context: Any
    extra: ClassVar[Mapping[str, str]] = {}
    """Attributes that npm's component takes, besides those of PyPI's."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        for name, kind in self.allowed_attrs().items():
            if kind == "color" and _SHORT_COLOUR.fullmatch(self.attrs.get(name) or ""):  # Outlook knows no #abc
                self.attrs[name] = "#" + "".join(digit * 2 for digit in self.attrs[name][1:])

    @classmethod
    def allowed_attrs(cls):
        return {**super().allowed_attrs(), **cls.extra}

    def getChildContext(self):  # noqa: N802
        context = super().getChildContext()
        width = str(context.get("containerWidth", ""))
        return {**context, "containerWidth": width.removesuffix(".0px") + "px"} if width.endswith(".0px") else context

    def getBoxWidths(self) -> dict[str, int]:  # noqa: N802
        sides = [self.getShorthandAttrValue("padding", side) for side in ("right", "left")]
        borders = [self.getShorthandBorderValue(side) for side in ("right", "left")]  # type: ignore[attr-defined]
        width = leading_integer(self.context["containerWidth"])
        box = width - sum(sides) - sum(borders)
        return {"totalWidth": width, "borders": sum(borders), "paddings": sum(sides), "box": box}

    def get_attr(self, name: str, *, missing_ok: bool = True) -> Any:
        return self.attrs.get(name)

    getAttribute = get_attr  # noqa: N815 - the name that PyPI's components call

    def getShorthandAttrValue(self, attribute: str, direction: str, attr_with_direction: bool = True) -> int:  # noqa: N802
        own = self.get_attr(f"{attribute}-{direction}") if attr_with_direction else None
        if own:
            return leading_integer(own)
        values = str(self.get_attr(attribute) or "0").split()[:4]
        place = {1: (0, 0, 0, 0), 2: (0, 1, 0, 1), 3: (0, 1, 2, 1), 4: (0, 1, 2, 3)}[max(1, len(values))]
        return leading_integer(values[place[SIDES.index(direction)]] if values else 0)
