"""Feeds: what a template shows of somebody else's server, fetched while a message is composed. The walk fetches, before
room 8 composes: rendering itself does no I/O.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from msgspec import Struct

from triggerfish.clock import Millis
from triggerfish.errors import MissingData
from triggerfish.render import Template


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


Wants = Mapping[str, Wanted]
"""What one message wants, by the feed's name in its template."""


class Fed(Struct, frozen=True):
    """What one message's feeds gave, by name; and of those that gave nothing, why."""

    values: Mapping[str, Any]
    errors: Mapping[str, str]


def wants(template: Template, data: Mapping[str, Any]) -> Wants:
    """What a template wants to be fetched for this person (render.template_data). Of a person for whom an address
    cannot be made, nothing is: composing says why.
    """
    try:
        urls = template.feed_urls(data)
    except MissingData:
        return {}
    specs = template.feeds
    return {
        name: Wanted(url, specs[name].timeout, specs[name].lifetime, specs[name].largest) for name, url in urls.items()
    }


async def feed(feeds: Feeds, wanted: Mapping[str, Wants]) -> dict[str, Fed]:
    """Fetch what these messages (by id) want, each address once."""
    every = {each.url: each for of_one in wanted.values() for each in of_one.values()}
    fetched = await feeds.fetch(list(every.values())) if every else {}
    fed = {}
    for message, of_one in wanted.items():
        found = {name: fetched[each.url] for name, each in of_one.items()}
        fed[message] = Fed(
            {name: each.value for name, each in found.items() if not each.error},
            {name: each.error for name, each in found.items() if each.error},
        )
    return fed


class Feeds(Protocol):
    """Where feeds come from."""

    async def fetch(self, wanted: Collection[Wanted]) -> Mapping[str, Fetched]:
        """An answer for each address, in good time; never raises for what a server does."""
        ...


class NoFeeds:
    """Where nothing is fetched."""

    async def fetch(self, wanted: Collection[Wanted]) -> Mapping[str, Fetched]:
        return {each.url: Fetched(error="feeds are not fetched here") for each in wanted}
