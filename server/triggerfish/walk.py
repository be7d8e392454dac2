"""The corridor: an event's way through the rooms, in a straight line.

    receive   1 ingest, 2 log                                      HTTP -> the log has it on disk
    follow    3 profile, 4 segments, 5 rules, 6 decisions, 7 schedule   the log -> the store
    send      8 render, 9 deliver                                  the agenda -> a channel
    hear      10 measure, and back in at 2                         an open, a click, an unsubscribe -> the log

One call per room, in order. All input and output of the pipeline is awaited here, through the rooms' ports; the rooms
are pure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

from triggerfish import ingest, measure
from triggerfish.clock import Clock, Instant
from triggerfish.log import EventLog


def random_id() -> str:
    """A message id for an event whose sender gave none."""
    return uuid4().hex


@dataclass(frozen=True, kw_only=True)
class FrontDoor:
    """What the api process needs to let events in.

    `ring` is the doorbell: it tells the worker that the log has news, returns at once and never raises.
    `public_url` is where browsers reach us (`https://events.example.org`); empty means: as the request says.
    """

    log: EventLog
    clock: Clock
    ring: Callable[[], None]
    write_keys: frozenset[str] = field(repr=False)
    admin_key: str = field(repr=False)
    public_url: str = ""
    new_message_id: Callable[[], str] = random_id


async def receive(front: FrontDoor, body: bytes, call: str, received_at: Instant) -> int:
    """Let the events of one request in, and return how many they are once they are safely on disk.

    `body` is JSON, already inflated; `call` the last part of the path (`track`, `batch`, `t`, …); `received_at` the
    machine's time at which the request arrived (`front.clock.wall()`).
    Raises Refused (then nothing of the request is stored), Busy and Unavailable (then the sender should send again).
    """
    events = ingest.accept(body, call, received_at, new_message_id=front.new_message_id)
    await front.log.append([(event, front.clock.receipt_of(event.timestamp, received_at)) for event in events])
    front.ring()
    return len(events)


async def hear(front: FrontDoor, hit: measure.Hit, *, user_agent: str = "") -> None:
    """Let in what became of a send, and return once it is safely on disk.

    Raises Busy and Unavailable; then nothing is stored.
    """
    now = front.clock.now()
    event = measure.to_event(hit, now, nonce=front.new_message_id(), user_agent=user_agent)
    await front.log.append([(event, front.clock.receipt_of(now, front.clock.wall()))])
    front.ring()
