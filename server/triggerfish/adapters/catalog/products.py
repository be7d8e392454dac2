"""Products in little memory, found by their key or by a column's value; and the Liquid filters that find them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from liquid.exceptions import FilterArgumentError

MOST_FOUND = 100
"""Products that one filter gives at most."""
USUAL_FOUND = 10

_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder(list[Any]).decode

Product = dict[str, Any]


class Products:
    """Rows by key, each packed; a row is unpacked when a template asks for it. It never changes once it is filled."""

    def __init__(self) -> None:
        self._columns: dict[str, int] = {}
        self._rows: dict[str, bytes] = {}
        self._found_by: dict[str, dict[str, list[str]]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self._columns)

    def add(self, key: str, product: Mapping[str, Any]) -> int:
        """Keep a product; the bytes that it takes. Raises ValueError when a value cannot be kept."""
        values: list[Any] = []
        for name, value in product.items():
            at = self._columns.setdefault(name, len(self._columns))
            values += [None] * (at + 1 - len(values))
            values[at] = value
        try:
            packed = _ENCODE(values)
        except (OverflowError, RecursionError, TypeError, ValueError) as error:
            raise ValueError(f"a value cannot be kept: {error}") from None
        self._rows[key] = packed
        return len(packed) + len(key)

    def find(self, key: object) -> Product | None:
        """The product of this key; None when there is none."""
        packed = self._rows.get(key_of(key))
        if packed is None:
            return None
        # What is blank counts as missing, as everywhere in templates.
        return {
            name: value
            for name, value in zip(self._columns, _DECODE(packed), strict=False)
            if value is not None and value != ""
        }

    def where(self, column: str, value: object, most: int, without: frozenset[str]) -> list[Product]:
        """The first products, in the order of the catalogue, that have this value in this column, or in its list.

        Raises KeyError when there is no such column.
        """
        by_value = self._found_by.get(column)
        if by_value is None:
            by_value = self._found_by[column] = self._index(column)
        found: list[Product] = []
        for key in by_value.get(key_of(value), ()):
            if len(found) >= most:
                break
            product = self.find(key) if key not in without else None
            found += [product] if product else []
        return found

    def _index(self, column: str) -> dict[str, list[str]]:
        at = self._columns[column]
        by_value: dict[str, list[str]] = {}
        for key, packed in self._rows.items():
            values = _DECODE(packed)
            value = values[at] if at < len(values) else None
            for each in value if isinstance(value, list) else (value,):
                if name := key_of(each):
                    by_value.setdefault(name, []).append(key)
        return by_value

    def filters(self) -> dict[str, Callable[..., Any]]:
        """`product` and `products_where`, for Liquid."""
        return {"product": self._product, "products_where": self._products_where}

    def _product(self, key: object) -> Product | list[Product] | None:
        """`{{ id | product }}`: the product, or nothing; for a list of ids, those of them that there are."""
        if isinstance(key, list | tuple):
            found = (self.find(each) for each in key[:MOST_FOUND])
            return [product for product in found if product is not None]
        return self.find(key)

    def _products_where(
        self, value: object, column: object, most: object = USUAL_FOUND, *, without: object = None
    ) -> list[Product]:
        """`{{ "shoes" | products_where: "category", 3, without: event.product_id }}`."""
        if not isinstance(column, str) or column not in self._columns:
            names = ", ".join(self._columns)
            raise FilterArgumentError(f'the catalogue has no column "{str(column)[:60]}"; it has {names}', token=None)
        if not isinstance(most, int) or isinstance(most, bool) or not 0 < most <= MOST_FOUND:
            raise FilterArgumentError(f"products_where gives from 1 to {MOST_FOUND} products", token=None)
        left_out = without if isinstance(without, list | tuple) else (without,)
        return self.where(column, value, most, frozenset(map(key_of, left_out)))


def key_of(value: object) -> str:
    """A key or value as text: events tell ids as texts and as numbers. Empty for what is none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, str | int | float) else ""


def distinct(names: Sequence[str]) -> bool:
    """Whether no two names are the same."""
    return len(set(names)) == len(names)
