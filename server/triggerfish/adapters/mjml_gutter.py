"""The `gutter` of a section (MJML 5.4): room between its columns, taken from their widths.

On a desktop it stands beside columns; on a phone, where they are stacked, between one and the next. Outlook gets
pixels.
"""

from __future__ import annotations

import math
from typing import Any

from mjml.helpers import strip_unit, widthParser
from msgspec import Struct

from triggerfish.adapters.mjml_base import plain, rounded


class Gutter(Struct, frozen=True):
    """The room beside one column. `width` and `unit` are the section's attribute, `room` the section's inner width in
    pixels; the column is number `index` of `count` from 0.
    """

    width: float
    unit: str
    room: float
    index: int
    count: int
    is_rtl: bool
    is_in_group: bool

    def in_unit(self, unit: str) -> float:
        if unit == self.unit:
            return self.width
        return self.width / self.room * 100 if unit == "%" else self.room * self.width / 100

    def narrowed(self, width: float, unit: str) -> float:
        """A column's width without its part of the gutters. Pixels that are left over go to the first columns."""
        left = max(0.0, round(width - self.in_unit(unit) * (self.count - 1) / self.count, 6))
        if unit != "px":
            return left
        over = max(0, min(self.count, rounded(self.count * (left - math.floor(left)))))
        return math.floor(left) + (1 if self.index < over else 0)

    def desktop(self, unit: str) -> str:
        """The padding beside the column."""
        whole = self.in_unit(unit)
        leading = trailing = whole / 2
        if unit == "px":
            leading, trailing = math.ceil(rounded(whole) / 2), rounded(whole) // 2
        before, after = (0 if self.index == 0 else trailing), (0 if self.index == self.count - 1 else leading)
        if self.is_rtl:
            before, after = (
                0 if self.index == self.count - 1 else leading,
                0 if self.index == 0 else trailing,
            )
        return _padding(0, after, 0, before, unit)

    def phone(self) -> str:
        """The padding above and below the column."""
        half = self.in_unit("%") / 2
        above, below = (0 if self.index == 0 else half), (0 if self.index == self.count - 1 else half)
        return _padding(above, 0, below, 0, "%")

    def class_name(self, unit: str) -> str:
        """The name by which the media query finds the column."""
        whole = self.in_unit(unit)
        number = str(rounded(whole)) if unit == "px" else plain(whole)
        size = f"{'per' if unit == '%' else unit}-{number.replace('.', '-')}"
        return f"mj-column-gutter-{self.count}-{self.index + 1}-{size}{'-rtl' if self.is_rtl else ''}"


def gutter_of(column: Any) -> Gutter | None:
    """The gutter beside a column, when its section has one."""
    wanted = column.context.get("gutter")
    if not wanted:
        return None
    width, unit = strip_unit(wanted), widthParser(wanted).unit
    room = float(strip_unit(str(column.context["containerWidth"])))
    is_rtl = column.context.get("direction") == "rtl"
    return Gutter(
        float(width), unit, room, column.props["index"], column.props["sibling"], is_rtl,
        bool(column.context.get("isInGroup")),
    )  # fmt: skip


def _padding(top: float, right: float, bottom: float, left: float, unit: str) -> str:
    sides = (top, right, bottom, left)
    return " ".join(f"{rounded(side) if unit == 'px' else plain(side)}{unit}" for side in sides)
