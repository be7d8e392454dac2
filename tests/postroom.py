"""A small post room for tests of sending: a house in memory with channels that misbehave on demand, a clock to set, and
templates that say hello.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from triggerfish import leave, walk
from triggerfish.adapters.memory import MemoryEventLog
from triggerfish.adapters.memory_store import MemoryStateStore
from triggerfish.blast import Guard
from triggerfish.clock import MINUTE, Instant
from triggerfish.deliver import Features
from triggerfish.engine import Outcome, StateStore
from triggerfish.feeds import Feeds, NoFeeds
from triggerfish.instructions import Given, Instruction
from triggerfish.lanes import Pace, Pacing, lane_of
from triggerfish.plugin.channel import Channel
from triggerfish.plugin.guard import GuardedChannel
from triggerfish.plugin.testing import MemoryOutbox, SetClock, make_message
from triggerfish.profile import Identity, Profile, Trait
from triggerfish.render import Address, FeedSpec, Message
from triggerfish.schedule import Due
from worlds import NOON, rulebook


class Hello:
    """A template that anybody can get."""

    name, class_, purpose, variables = "hello", "marketing", "marketing", frozenset[str]()
    sample: Mapping[str, Any] = {}
    feeds: Mapping[str, FeedSpec] = {}

    def compose(self, *, send_id: str, data: Mapping[str, Any], to: Address, links: Any) -> Message:
        return make_message(send_id, to=to.email)


class Plain(MemoryOutbox):
    """A channel as most are: the same send twice is delivered twice."""

    name = "plain"
    features = Features(batch_size=10)


class Post:
    """The house, and what people ask of it. `delivered` are the sends that channels took, in order."""

    def __init__(
        self,
        *channels: Channel,
        policy: str = "",
        store: StateStore | None = None,
        paces: Mapping[str, Pace] | None = None,
        guard: Guard | None = None,
        fallback: str = "",
        fallback_after: int = MINUTE,
        feeds: Feeds | None = None,
        template: Any = None,
    ) -> None:
        self.clock = SetClock(NOON)
        self.store = store or MemoryStateStore()
        self.channels = list(channels) or [Plain()]
        guarded = [GuardedChannel(each, plugin="tests", clock=self.clock) for each in self.channels]
        self.house = walk.House(
            log=MemoryEventLog(), store=self.store, clock=self.clock,
            rulebook=rulebook(policy) if policy else rulebook(), templates={"hello": template or Hello()},
            channel=guarded[0],
            channels={each.name: each for each in guarded[1:]}, links=lambda *_: None, dice=lambda: 0.5,  # type: ignore
            pacing=Pacing(paces or {}, NOON), guard=guard, fallback=fallback, fallback_after=fallback_after,
            feeds=feeds or NoFeeds(),
        )  # fmt: skip
        self._position = 0

    def commit(self, profiles: Sequence[Profile] = (), sends: Sequence[Due] = (), *told: Instruction) -> None:
        """What a batch of the engine came to."""
        self._position += 1
        given = [Given(each, self.clock.at, "admin key") for each in told]
        outcome = Outcome({each.id: each for each in profiles}, {}, {}, [], list(sends), [], instructions=given)
        self.store.commit(outcome, self._position, self.clock.at)

    def tell(self, *told: Instruction) -> None:
        self.commit((), (), *told)

    def due(self, *names: str, at: Instant | None = None, email: str = "", **more: Any) -> None:
        """Messages of these names are due, each to a person of its own unless `profile` says whose they are."""
        at = self.clock.at if at is None else at
        people, sends = [], []
        for name in names:
            who = more.get("profile", f"p-{name}")
            address = email or f"{who}@example.com"
            people.append(person(who, address))
            facts: dict[str, Any] = {"profile": who, "ruleset": "set", "rule": "rule"} | more
            due = Due(id=name, template="hello", status="due", due_at=at, since=at, **facts)
            sends.append(replace(due, lane=str(lane_of(due.channel or self.house.channel.name, due.class_, address))))
        self.commit(people, sends)

    async def send(self) -> int:
        """One batch on each way."""
        return await walk.send(self.house)

    async def run(self) -> None:
        """Send until there is nothing to do now."""
        while await self.send():
            pass

    async def over(self, class_: str, channel: str = "") -> int:
        return await walk.send_over(self.house, leave.Way(channel or self.house.channel.name, class_))

    def of(self, name: str) -> Due:
        assert isinstance(self.store, MemoryStateStore)
        return self.store.sends[name]

    def status(self, *names: str) -> list[str]:
        return [self.of(name).status for name in names]

    def story(self, name: str) -> list[tuple[str, str]]:
        """Every change of a send, as (status, reason)."""
        assert isinstance(self.store, MemoryStateStore)
        told = [each.body for each in self.store.moments if each.body.get("send") == name]
        return [(body["status"], body.get("reason", "")) for body in told]

    def delivered(self, channel: int = 0) -> list[str]:
        made = self.channels[channel]
        assert isinstance(made, MemoryOutbox)
        return list(made.delivered)


def person(name: str, email: str = "", **more: Any) -> Profile:
    traits = {"email": Trait(email, NOON)} if email else {}
    return Profile(name, NOON, NOON, [Identity("user", name, NOON)], traits, **more)
