"""Feeds: what a template shows of somebody else's server, fetched while a message is composed. The walk fetches, before
room 8 composes: rendering itself does no I/O.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from msgspec import Struct

from triggerfish.clock import Millis


class Wanted(Struct, frozen=True):
    """An address to fetch: how long it may take, how long its answer is good for, and how many bytes it may have."""

    url: str
    timeout: Millis
    lifetime: Millis
    largest: int


class Fetched(Struct, frozen=True):
    """What came: the JSON's value; or in plain words why nothing did."""

    value: Any = None
    error: str = ""


class Feeds(Protocol):
    """Where feeds come from."""

    async def fetch(self, wanted: Collection[Wanted]) -> Mapping[str, Fetched]:
        """An answer for each address, in good time; never raises for what a server does."""
        ...
