"""A catalogue's source to Products: CSV, JSON lines or a query of an SQLite database. All within bounds, all problems
at their lines.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from triggerfish.adapters.catalog.lines import csv_rows, json_rows
from triggerfish.adapters.catalog.products import Products, key_of
from triggerfish.adapters.catalog.query import query_rows
from triggerfish.adapters.catalog.rows import LARGEST_CATALOG, LARGEST_ROW, MOST_COLUMNS, MOST_PRODUCTS, Row, Unfit
from triggerfish.rulefile.problems import Problem

MOST_TOLD = 20
"""Problems of one catalogue; a file with more is broken in one way, over and over."""


class CatalogSource(Struct, frozen=True):
    """Where products come from: a file, or a query of a database. `label` is what problems call it."""

    path: Path
    label: str
    key: str = "id"
    query: str = ""


def read_catalog(source: CatalogSource) -> tuple[Products, list[Problem]]:
    """The products, and what is wrong with their source: TF338 as a whole, TF339 at a line."""
    products = Products()
    problems: list[Problem] = []
    try:
        _fill(products, source, problems)
    except Unfit as unfit:
        problems.append(_problem(source, unfit.line, unfit.sentence, unfit.hint, unfit.source))
    return products, problems


def _fill(products: Products, source: CatalogSource, problems: list[Problem]) -> None:
    size = 0
    lines: dict[str, int] = {}
    for line, product in _rows(source):
        key = key_of(product.get(source.key))
        if key.strip() == "":
            problems.append(_problem(source, line, f'there is no "{source.key}" here', _key_hint(source, product)))
        elif key in products:
            hint = f"it is already in line {lines[key]}" if not source.query else "each product once, please"
            problems.append(_problem(source, line, f'the {source.key} "{key[:60]}" is here again', hint))
        else:
            try:
                taken = products.add(key, product)
            except ValueError as error:
                problems.append(_problem(source, line, str(error), "numbers have at most 18 digits"))
                continue
            lines[key] = line
            size += taken
            if taken > LARGEST_ROW:
                raise Unfit(f"a product of more than {LARGEST_ROW // 1024} KB", line=line)
            if len(products) > MOST_PRODUCTS or size > LARGEST_CATALOG:
                bound = f"{MOST_PRODUCTS:,} products, and {LARGEST_CATALOG // 1024**2} MB"
                raise Unfit("the catalogue is too large", hint=f"it may have {bound}")
            if len(products.columns) > MOST_COLUMNS:
                raise Unfit(f"there are more than {MOST_COLUMNS} columns", line=line)
        if len(problems) >= MOST_TOLD:
            return


def _rows(source: CatalogSource) -> Iterator[Row]:
    if source.query:
        yield from query_rows(source.path, source.query, source.key)
        return
    read = {".csv": csv_rows, ".tsv": csv_rows, ".jsonl": json_rows, ".ndjson": json_rows}.get(
        source.path.suffix.lower()
    )
    if read is None:
        raise Unfit("a catalogue is a .csv or .jsonl file", hint="name one under [catalog] in triggerfish.toml")
    try:
        with source.path.open("rb") as stream:
            if not stream.seekable() or stream.seek(0, io.SEEK_END) > LARGEST_CATALOG:
                raise Unfit(f"the catalogue is larger than {LARGEST_CATALOG // 1024**2} MB")
            yield from read(stream, source.key)
    except FileNotFoundError:
        raise Unfit("there is no such file", hint="[catalog] in triggerfish.toml names it") from None
    except OSError as error:
        raise Unfit(f"the catalogue cannot be read: {error.strerror}") from None


def _key_hint(source: CatalogSource, product: Mapping[str, Any]) -> str:
    names = ", ".join(list(product)[:8])
    return f'the column "{source.key}" names each product; this one has {names}' if names else "the line is empty"


def _problem(source: CatalogSource, line: int, sentence: str, hint: str, text: str = "") -> Problem:
    # A query's rows have numbers, but stand in no line of the file.
    at = 0 if source.query else line
    where = f" (row {line:,})" if source.query and line else ""
    return Problem(
        path=source.label, line=at, column=1 if at else 0, code="TF339" if line else "TF338",
        sentence=f"{sentence}{where}", hint=hint, source=text[:160],
    )  # fmt: skip
