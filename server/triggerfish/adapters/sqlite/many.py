"""Queries for many values at once: `... WHERE id IN (?,?,?)`, for as many as go into one query."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

_LIMIT = 500
"""Values in one query: enough to make the query's own cost small."""

V = TypeVar("V")


def marks(values: Sequence[object]) -> str:
    """Question marks for so many values."""
    return ",".join("?" * len(values))


def parts(values: Sequence[V]) -> Iterator[Sequence[V]]:
    """The values, as many at a time as go into one query."""
    for start in range(0, len(values), _LIMIT):
        yield values[start : start + _LIMIT]
