"""Rows out of files: CSV, JSON lines, or columns between blanks; packed with gzip or not; in order of time.

Memory stays bounded: rows are read one by one, and what must be sorted is sorted in parts on disk.
"""

from __future__ import annotations

import csv
import gzip
import heapq
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, cast

import msgspec
from msgspec import Struct

from triggerfish.cli.replay.mapping import Mapping, check_columns
from triggerfish.clock import Instant, to_iso
from triggerfish.errors import Refused

LINE_LIMIT = 1024 * 1024
PART_ROWS = 100_000
"""Rows that are sorted in memory at once."""

_GZIP = b"\x1f\x8b"


class Row(Struct, frozen=True, array_like=True, gc=False):
    """A row: when it happened, where it stands among the rows of its file (from 1), and its cells by column."""

    at: Instant
    number: int
    cells: dict[str, Any]


_ROW = msgspec.msgpack.Decoder(Row)
_PACK = msgspec.msgpack.Encoder()


class Rows:
    """The rows of a file in order of time, as often as they are asked for. Close it: sorted parts lie on disk.

    Raises Refused (TF441) for what cannot be read, with its row, and (TF442) for a row that is out of order in a file
    that the mapping does not call unsorted.
    """

    def __init__(self, path: Path, mapping: Mapping) -> None:
        self.path = path
        self.mapping = mapping
        self._files = ExitStack()
        self._parts: list[IO[bytes] | list[Row]] | None = None

    def __enter__(self) -> Rows:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def __iter__(self) -> Iterator[Row]:
        if not self.mapping.sort:
            return self._checked()
        if self._parts is None:
            self._parts = self._sorted_parts()
        if len(self._parts) == 1 and isinstance(self._parts[0], list):
            return iter(self._parts[0])
        return heapq.merge(*(_rows_of(part) for part in self._parts), key=_order)

    def _checked(self) -> Iterator[Row]:
        newest = 0
        for row in read_rows(self.path, self.mapping):
            if row.at < newest:
                raise Refused(
                    f"row {row.number} of {self.path} is of {to_iso(row.at)}, earlier than the row before it",
                    code="TF442",
                    hint='write "sort: true" into the mapping, and the rows are put in order',
                )
            newest = row.at
            yield row

    def _sorted_parts(self) -> list[IO[bytes] | list[Row]]:
        parts: list[IO[bytes] | list[Row]] = []
        part: list[Row] = []
        for row in read_rows(self.path, self.mapping):
            part.append(row)
            if len(part) == PART_ROWS:
                parts.append(self._spilled(part))
                part = []
        part.sort(key=_order)
        return [*parts, part] if part or not parts else parts

    def _spilled(self, part: list[Row]) -> IO[bytes]:
        file: IO[bytes] = self._files.enter_context(tempfile.TemporaryFile(prefix="triggerfish-replay-"))  # noqa: SIM115
        for row in sorted(part, key=_order):
            raw = _PACK.encode(row)
            file.write(len(raw).to_bytes(4, "big") + raw)
        return file


def _order(row: Row) -> tuple[Instant, int]:
    return row.at, row.number


def _rows_of(part: IO[bytes] | list[Row]) -> Iterator[Row]:
    if isinstance(part, list):
        yield from part
        return
    # Several runs may read the same file in turn, so each keeps its own place.
    at = 0
    while True:
        part.seek(at)
        raw = part.read(256 * 1024)
        start = 0
        while len(raw) - start >= 4:
            end = start + 4 + int.from_bytes(raw[start : start + 4], "big")
            if end > len(raw):
                break
            yield _ROW.decode(raw[start + 4 : end])
            start = end
        if start:
            at += start
        elif raw:
            length = int.from_bytes(raw[:4], "big")
            part.seek(at + 4)
            yield _ROW.decode(part.read(length))
            at += 4 + length
        else:
            return


def read_rows(path: Path, mapping: Mapping) -> Iterator[Row]:
    """The rows in the order of the file, with their times. Raises Refused (TF441)."""
    before: tuple[Any, Instant] | None = None
    together = 0
    with ExitStack() as files:
        try:
            lines = _lines(files.enter_context(_opened(path)), path)
            for number, cells in enumerate(_cells(lines, mapping, str(path)), 1):
                cells["row"] = number
                try:
                    at = mapping.time.read(cells)
                except (ValueError, OverflowError) as error:
                    raise Refused(f"row {number} of {path}: {error}", code="TF441", field="time") from error
                if mapping.time.apart:
                    person = mapping.user.fill(cells)
                    together = together + 1 if before == (person, at) else 0
                    before = (person, at)
                yield Row(at + together * mapping.time.apart, number, cells)
        except (OSError, EOFError) as error:
            raise Refused(f"{path} cannot be read: {error}", code="TF441") from error


def _opened(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        is_packed = file.read(2) == _GZIP
    return cast(IO[bytes], gzip.open(path)) if is_packed else path.open("rb")


def _lines(file: IO[bytes], path: Path) -> Iterator[str]:
    number = 0
    while raw := file.readline(LINE_LIMIT + 1):
        number += 1
        if len(raw) > LINE_LIMIT:
            raise Refused(f"line {number} of {path} is longer than {LINE_LIMIT // 1024} KB", code="TF441")
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise Refused(f"line {number} of {path} is not UTF-8", code="TF441") from error
        yield text


def _cells(lines: Iterator[str], mapping: Mapping, path: str) -> Iterator[dict[str, Any]]:
    if mapping.format == "jsonl":
        yield from _json_cells(lines, path)
        return
    table = csv.reader(lines, strict=True) if mapping.format == "csv" else (line.split() for line in lines)
    columns: Sequence[str] = mapping.columns
    if columns:
        check_columns(mapping, list(columns), path)
    number = 0
    try:
        for values in table:
            if not values:
                continue
            if not columns:
                columns = [name.strip() for name in values]
                check_columns(mapping, list(columns), path)
                continue
            number += 1
            if len(values) != len(columns):
                raise Refused(f"row {number} of {path} has {len(values)} cells, not {len(columns)}", code="TF441")
            yield dict(zip(columns, values, strict=True))
    except csv.Error as error:
        raise Refused(f"row {number + 1} of {path} is no CSV: {error}", code="TF441") from error


def _json_cells(lines: Iterator[str], path: str) -> Iterator[dict[str, Any]]:
    decoder = msgspec.json.Decoder(dict[str, Any])
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield _flat(decoder.decode(line), "")
        except (msgspec.DecodeError, RecursionError) as error:
            raise Refused(f"line {number} of {path} is no JSON object: {error}", code="TF441") from error


def _flat(table: dict[str, Any], before: str) -> dict[str, Any]:
    """Nested objects' values by path as well: `{"a": {"b": 1}}` has the columns `a` and `a.b`."""
    cells: dict[str, Any] = {}
    for name, value in table.items():
        cells[before + name] = value
        if isinstance(value, dict):
            cells |= _flat(value, f"{before}{name}.")
    return cells
