"""What a catalogue is read as: rows with their lines, within bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

MOST_PRODUCTS = 200_000
MOST_COLUMNS = 100
LARGEST_ROW = 32 * 1024
LARGEST_CATALOG = 128 * 1024 * 1024


class Row(NamedTuple):
    """A product and the line that it stands in (a query's row: its number)."""

    line: int
    product: Mapping[str, Any]


class Unfit(Exception):
    """The catalogue cannot be read further. `line` 0: as a whole."""

    def __init__(self, sentence: str, *, hint: str = "", line: int = 0, source: str = "") -> None:
        super().__init__(sentence)
        self.sentence, self.hint, self.line, self.source = sentence, hint, line, source
