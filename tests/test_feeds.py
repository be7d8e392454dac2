"""Feeds on the way out: fetched before a message is composed, together, and without a gap for an opt-out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from postroom import Hello, Plain, Post, person
from triggerfish.clock import HOUR, MINUTE, SECOND
from triggerfish.errors import MissingData
from triggerfish.feeds import Fetched, NoFeeds, Wanted
from triggerfish.plugin.testing import make_message
from triggerfish.profile import Consent
from triggerfish.render import Address, FeedSpec, Message
from worlds import NOON


class Weather(Hello):
    """A template that shows the weather of somebody's town."""

    def __init__(self, *, needs_town: bool = False, **spec: Any) -> None:
        self.feeds: Mapping[str, FeedSpec] = {
            "weather": FeedSpec(name="weather", timeout=2 * SECOND, lifetime=MINUTE, largest=1_000, **spec)
        }
        self.needs_town = needs_town

    def feed_urls(self, data: Mapping[str, Any]) -> Mapping[str, str]:
        if self.needs_town and not data["traits"].get("town"):
            raise MissingData("it needs traits.town")
        return {"weather": f"https://weather.example/{data['traits'].get('town', 'bonn')}"}

    def compose(self, *, send_id: str, data: Mapping[str, Any], to: Address, links: Any) -> Message:
        if "weather" not in data["feeds"]:
            raise MissingData('it needs the feed "weather", which could not be fetched', code="TF328")
        return make_message(send_id, to=to.email, text=f"{data['feeds']['weather']['temp']} degrees")


class Servers:
    """Other people's servers; `down` ones answer nothing. `asked` are the requests, one list for each fetch."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.asked: list[list[str]] = []
        self.down = False
        self.meanwhile = meanwhile

    async def fetch(self, wanted: Collection[Wanted]) -> Mapping[str, Fetched]:
        self.asked.append(sorted(each.url for each in wanted))
        self.meanwhile()
        return {each.url: Fetched(error="it answers 500") if self.down else Fetched({"temp": 21}) for each in wanted}


async def test_what_a_batch_wants_is_fetched_together_each_address_once():
    servers = Servers()
    post = Post(feeds=servers, template=Weather())
    post.due("a", "b", "c")
    await post.run()
    assert servers.asked == [["https://weather.example/bonn"]]
    assert post.status("a", "b", "c") == ["sent"] * 3


async def test_an_opt_out_that_is_committed_while_a_feed_is_fetched_holds():
    def opt_out() -> None:
        post.commit([person("p-a", "p-a@example.com", consent={"": Consent(False, NOON, "unsubscribe link")})])

    servers = Servers(opt_out)
    post = Post(feeds=servers, template=Weather())
    post.due("a", "b")
    await post.run()
    assert post.status("a", "b") == ["skipped", "sent"]


async def test_a_message_that_came_while_feeds_were_fetched_waits_for_its_own():
    def another() -> None:
        if len(servers.asked) == 1:
            post.due("b")

    servers = Servers(another)
    post = Post(feeds=servers, template=Weather())
    post.due("a")
    await post.run()
    assert post.delivered() == ["a", "b"]
    assert len(servers.asked) == 2


async def test_a_message_that_cannot_be_without_a_feed_asks_again_and_is_given_up_in_the_end():
    servers = Servers()
    servers.down = True
    post = Post(feeds=servers, template=Weather())
    post.due("a", "b")
    await post.run()
    assert post.status("a", "b") == ["due", "due"]
    assert post.of("a").due_at == NOON + MINUTE
    assert post.of("a").reason.endswith('it needs the feed "weather", which could not be fetched; it answers 500')
    post.clock.at += HOUR
    await post.run()
    assert post.status("a", "b") == ["failed", "failed"]


async def test_once_the_feed_is_back_the_message_leaves():
    servers = Servers()
    servers.down = True
    post = Post(feeds=servers, template=Weather())
    post.due("a")
    await post.run()
    servers.down = False
    post.clock.at += MINUTE
    await post.run()
    assert post.of("a").status == "sent"


async def test_who_lacks_what_an_address_needs_stops_nobody_else():
    servers = Servers()
    post = Post(feeds=servers, template=Weather(needs_town=True))
    post.due("a")
    await post.run()
    assert servers.asked == []
    assert post.of("a").status == "due"  # as for a feed that cannot be fetched


async def test_templates_without_feeds_fetch_nothing():
    servers = Servers()
    post = Post(Plain(), feeds=servers)
    post.due("a")
    await post.run()
    assert servers.asked == []
    assert post.of("a").status == "sent"


async def test_where_nothing_is_fetched_that_is_said():
    wanted = Wanted("https://weather.example/", SECOND, SECOND, 1)
    assert await NoFeeds().fetch([wanted]) == {wanted.url: Fetched(error="feeds are not fetched here")}
