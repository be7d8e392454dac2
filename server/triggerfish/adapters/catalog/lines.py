"""Catalogues in files: CSV with a line of names, and JSON lines."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec

from triggerfish.adapters.catalog.products import distinct
from triggerfish.adapters.catalog.rows import LARGEST_ROW, Row, Unfit

_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,17})(?:\.\d{1,17})?")
_BOOLEANS = {"true": True, "false": False}
_DELIMITERS = ",;\t"


def json_rows(stream: BinaryIO, _key: str) -> Iterator[Row]:
    """One object a line; empty lines are passed over. Raises Unfit."""
    stream.seek(0)
    number = 0
    while line := stream.readline(LARGEST_ROW * 2):
        number += 1
        text = line.decode("utf-8", "replace").removeprefix("\ufeff").strip()
        if len(line) >= LARGEST_ROW * 2:
            raise Unfit(f"a line of more than {LARGEST_ROW * 2 // 1024} KB", line=number)
        if not text:
            continue
        try:
            product = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError) as error:
            hint = 'each line is an object: {"id": "A-1", "name": "Kettle"}'
            raise Unfit(f"this is no JSON: {error}", hint=hint, line=number, source=text) from None
        if not isinstance(product, dict):
            raise Unfit("this is no object", hint="one product a line, in { }", line=number, source=text)
        yield Row(number, product)


def csv_rows(stream: BinaryIO, key: str) -> Iterator[Row]:
    """The rows below the line of names. In a column of numbers alone, or of true and false alone, they become that;
    what is empty is left out. The key stays as it is written. Raises Unfit.
    """
    names, delimiter = _names(stream)
    if key not in names:
        raise Unfit(f'there is no column "{key}"', hint=f"there are {', '.join(names[:12])}", line=1)
    kinds = _kinds(stream, names, delimiter, key)
    for number, cells in _cells(stream, delimiter):
        product: dict[str, Any] = {}
        for name, kind, cell in zip(names, kinds, cells, strict=True):
            text = cell.strip()
            if text:
                product[name] = _BOOLEANS[text.lower()] if kind == "boolean" else text
                if kind == "number":
                    product[name] = float(text) if "." in text else int(text)
        yield Row(number, product)


def _names(stream: BinaryIO) -> tuple[list[str], str]:
    stream.seek(0)
    head = stream.readline(LARGEST_ROW).decode("utf-8-sig", "replace")
    if not head.strip():
        raise Unfit("the first line of the catalogue names its columns", hint="such as id,name,price", line=1)
    delimiter = max(_DELIMITERS, key=head.count)
    names = [name.strip() for name in next(csv.reader([head], delimiter=delimiter))]
    if not distinct(names) or "" in names:
        raise Unfit("each column has a name of its own", line=1, source=head.rstrip("\r\n"))
    return names, delimiter


def _cells(stream: BinaryIO, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    stream.seek(0)
    reader = csv.reader(_texts(stream), delimiter=delimiter, strict=True)
    width = len(next(reader))
    try:
        for cells in reader:
            if cells and len(cells) != width:
                hint = "a value with the separator in it stands in double quotes"
                sentence = f"this row has {len(cells)} values, and there are {width} columns"
                raise Unfit(sentence, hint=hint, line=reader.line_num, source=delimiter.join(cells)[:160])
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise Unfit(f"this is no CSV: {error}", line=reader.line_num) from None


def _texts(stream: BinaryIO) -> Iterator[str]:
    number = 0
    while line := stream.readline(LARGEST_ROW * 2):
        number += 1
        if len(line) >= LARGEST_ROW * 2:
            raise Unfit(f"a line of more than {LARGEST_ROW * 2 // 1024} KB", line=number)
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise Unfit("this is no UTF-8 text", hint="save the file as UTF-8", line=number) from None
        if "\0" in text:
            raise Unfit("this is no text: it has a NUL byte", line=number)
        yield text


def _kinds(stream: BinaryIO, names: list[str], delimiter: str, key: str) -> list[str]:
    """What each column holds: "number", "boolean" or "text"."""
    could_be = [{"number", "boolean"} if name != key else set() for name in names]
    is_empty = [True] * len(names)
    for _, cells in _cells(stream, delimiter):
        for at, cell in enumerate(cells):
            text = cell.strip()
            if text and could_be[at]:
                is_empty[at] = False
                if not _NUMBER.fullmatch(text):
                    could_be[at].discard("number")
                if text.lower() not in _BOOLEANS:
                    could_be[at].discard("boolean")
    return [
        "text" if empty or not kinds else next(iter(kinds)) for kinds, empty in zip(could_be, is_empty, strict=True)
    ]
