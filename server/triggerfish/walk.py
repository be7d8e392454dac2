"""The corridor: an event's way through the rooms, in a straight line.

    receive   1 ingest, 2 log                                      HTTP -> the log has it on disk
    fit       3 and 4 again, for everybody, after a change of the rules
    follow    3 profile, 4 segments, 5 rules, 6 decisions, 7 schedule   the log -> the store
    send      8 render, 9 deliver                                  the agenda -> a channel
    call      9 deliver                                            the agenda -> a plugin's action
    hear      10 measure, and back in at 2                         an open, a click, an unsubscribe -> the log
    agree     1 ingest, 2 log                                      a consent, with its proof -> the log
    instruct  back in at 2                                         what an operator decides -> the log

One call per room, in order. All input and output of the pipeline is awaited here, through the rooms' ports; the rooms
are pure.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol
from uuid import uuid4

import msgspec

from triggerfish import deliver, engine, ingest, leave, measure, meters, refit
from triggerfish.blast import Guard
from triggerfish.clock import MINUTE, Clock, Instant, Millis
from triggerfish.deliver import Call, Features, Receipt, Verdict
from triggerfish.engine import Arrival, Moment, Outcome, StateStore
from triggerfish.errors import Refused, Unavailable
from triggerfish.feeds import Fed, Feeds, NoFeeds, feed
from triggerfish.ingest import Event
from triggerfish.instructions import Instruction, to_event
from triggerfish.lanes import Pacing
from triggerfish.leave import Way
from triggerfish.leave import compose as compose
from triggerfish.leave import data_of as data_of
from triggerfish.log import EventLog, Position, Unreadable
from triggerfish.plan import Checks, Plan
from triggerfish.profile import Profile, claims_of, previous_claims
from triggerfish.quarantine import Aside, counted
from triggerfish.render import Links, Message, Template
from triggerfish.rules import Rulebook
from triggerfish.schedule import Due
from triggerfish.underway import Underway

log = logging.getLogger("triggerfish.walk")

FIT_BATCH = 1_000
"""Profiles, or events of the log, that are fitted to a changed rulebook at a time."""
DISK_REST_SECONDS = 1.0
"""While the disk does not take what became of messages, it is tried again after so long."""


def random_id() -> str:
    """A message id for an event whose sender gave none."""
    return uuid4().hex


_NO_CHECKS = Checks(Plan())


@dataclass(frozen=True, kw_only=True)
class FrontDoor:
    """What the api process needs to let events in.

    `ring` is the doorbell: it tells the worker that the log has news, returns at once and never raises.
    `public_url` is where browsers reach us (`https://events.example.org`); empty means: as the request says.
    `checks` gives those of the live rulebook's tracking plan.
    """

    log: EventLog
    clock: Clock
    ring: Callable[[], None]
    write_keys: frozenset[str] = field(repr=False)
    admin_key: str = field(repr=False)
    public_url: str = ""
    new_message_id: Callable[[], str] = random_id
    checks: Callable[[], Checks] = lambda: _NO_CHECKS


async def receive(front: FrontDoor, body: bytes, call: str, received_at: Instant, *, gpc: bool = False) -> int:
    """Let the events of one request in, and return how many they are once they are safely on disk: in the log, or those
    that the tracking plan puts aside, in the quarantine.

    `body` is JSON, already inflated; `call` the last part of the path (`track`, `batch`, `t`, …); `received_at` the
    machine's time at which the request arrived (`front.clock.wall()`); `gpc` says that the browser sent a Global
    Privacy Control signal.
    Raises Refused (then nothing of the request is stored), Busy and Unavailable (then the sender should send again).
    """
    front.log.check_room()
    events = ingest.accept(body, call, received_at, new_message_id=front.new_message_id)
    if gpc:
        events = [msgspec.structs.replace(each, context=each.context | {"gpc": True}) for each in events]
    sifted = front.checks().sift(events, is_batch=ingest.is_batch(call))
    if sifted.refusal is not None:
        front.log.note(counted(sifted.violations, received_at))
        raise sifted.refusal
    appending = front.log.append(
        [(event, front.clock.receipt_of(event.timestamp, received_at)) for event in sifted.taken],
        [Aside(event, received_at, violations) for event, violations in sifted.aside],
    )
    let_in, violations = len(events), sifted.violations
    # Decoded, events are many times as large as on the wire: they are let go while the log waits for the disk.
    del events, sifted
    await appending
    front.log.note(counted(violations, received_at))
    front.ring()
    return let_in


class OpenChannel(deliver.Channel, Protocol):
    """A channel that says when it takes its next batch (plugin/guard.py)."""

    def free_at(self) -> Instant: ...
    def is_resting(self) -> bool: ...
    async def look_up(self, send_ids: Sequence[str]) -> Mapping[str, bool]: ...


class OpenAction(Protocol):
    """A plugin's action, as OpenChannel is a channel."""

    @property
    def name(self) -> str: ...
    @property
    def features(self) -> Features: ...
    def free_at(self) -> Instant: ...
    async def send(self, batch: Sequence[Call]) -> list[Receipt]: ...


@dataclass(frozen=True, kw_only=True)
class House:
    """What the worker needs to follow the log and to send.

    `batch_events` bounds the events decided together, `agenda_batch` the profiles whose time has come. `links` makes
    the tracked addresses of one send that is composed for a person now. `actions` are plugins', by name. `dice`
    gives numbers in [0, 1). `tell_decision` and `tell_receipt` let plugins listen; they never raise.

    Messages leave over `channel`, unless they stand in a lane of another one (`channels`, by name); those that it
    certainly did not take for `fallback_after` go over the one that `fallback` names. `pacing` holds lanes back,
    `guard` rules. What is `underway` can be called back. `feeds` fetches what templates show of other servers. What was
    due until `restored_at` may have left already.
    """

    log: EventLog
    store: StateStore
    clock: Clock
    rulebook: Rulebook
    templates: Mapping[str, Template]
    channel: OpenChannel
    links: Callable[[Due, Profile, Instant], Links]
    dice: Callable[[], float]
    actions: Mapping[str, OpenAction] = field(default_factory=dict)
    batch_events: int = 500
    agenda_batch: int = 1_000
    tell_decision: Callable[[Moment], None] = lambda moment: None
    tell_receipt: Callable[[str, Message, Receipt, Verdict], None] = lambda channel, message, receipt, verdict: None
    channels: Mapping[str, OpenChannel] = field(default_factory=dict)
    fallback: str = ""
    fallback_after: Millis = MINUTE
    pacing: Pacing = field(default_factory=lambda: Pacing({}, 0))
    feeds: Feeds = field(default_factory=NoFeeds)
    underway: Underway = field(default_factory=Underway)
    restored_at: Instant = 0
    guard: Guard | None = None

    def ways_out(self) -> Mapping[str, OpenChannel]:
        """Every channel by its name, the main one first."""
        return {self.channel.name: self.channel} | dict(self.channels)


def follow(house: House, *, limit: int | None = None) -> int:
    """Decide what the log and the agenda have next, and commit it: one batch, one transaction.

    Returns how many events and due profiles were taken; 0 means that there is nothing to do now. `limit` takes fewer
    events than usual; with 0 it is only what the agenda has before the next event.
    """
    position, until = house.store.position()
    limit = house.batch_events if limit is None else limit
    now = house.clock.now()  # before reading, so that whatever the log took until then is read
    entries = house.log.read(position, max(limit, 1))
    if entries and (len(entries) >= limit or entries[-1].received_at > now):
        now = entries[-1].received_at
    now = max(until, now)
    due = house.store.agenda(now, house.agenda_batch)
    if len(due) == house.agenda_batch:
        # More is due than one batch takes: stop just before the first instant that may not be whole.
        now = max(until, due[0][0], due[-1][0] - 1)
    arrivals: list[Arrival] = []
    for entry in entries[:limit]:
        at = max(until, entry.received_at)
        if at > now:
            break
        arrivals.append(Arrival(entry.position, at, entry.event))
    if not arrivals and not due:
        return 0
    claims = {claim for arrival in arrivals for claim in (*claims_of(arrival.event), *previous_claims(arrival.event))}
    loaded = house.store.load(list(claims), [profile for at, profile in due if at <= now])
    outcome = engine.decide(arrivals, loaded, house.rulebook, now)
    house.store.commit(outcome, arrivals[-1].position if arrivals else position, now)
    meters.WORKER_EVENTS.add(len(arrivals))
    meters.WORKER_BATCH.observe(len(arrivals) + len(due))
    house.underway.look_again(outcome.profiles, outcome.merged, outcome.instructions, house.rulebook.policy)
    _tell(house, outcome)
    return len(arrivals) + len(due)


def _tell(house: House, outcome: Outcome) -> None:
    for moment in outcome.moments:
        if moment.kind == "decision":
            house.tell_decision(moment)


def fit(house: House, part_done: Callable[[], None] = lambda: None) -> bool:
    """Fit the people to the rulebook, if it asks for something that the one before did not. Returns whether it did.
    `part_done` is called again and again meanwhile.

    It is done as of the instant up to which the agenda is decided: what time has changed since then, happens as ever.
    Should it be broken off, it begins anew next time, with the same result.
    """
    rulebook, store = house.rulebook, house.store
    position, until = store.position()
    fitted = store.fitted()
    if fitted == rulebook.fitting:
        return False
    gap = refit.gap(rulebook, fitted)
    # From here on people are fitted to what both ask for, and nothing else: another rulebook may come in between.
    store.note_fitted((fitted & rulebook.fitting) | refit.UNFINISHED)
    traces, is_more = refit.Traces(gap.activities), bool(gap.activities) or gap.settles
    while is_more:
        if position and gap.activities:
            _read_again(house, traces, position, until, part_done)
        is_last = traces.share + 1 == traces.shares
        _write(house, traces, until, gap if is_last and gap.settles else None, part_done)
        is_more = traces.go_on()
    store.note_fitted(rulebook.fitting)
    return True


def _read_again(
    house: House, traces: refit.Traces, position: Position, now: Instant, part_done: Callable[[], None]
) -> None:
    """Room 3 again for what the new rulebook counts: the whole log, from the beginning."""
    place = 0
    while place < position:
        part_done()
        try:
            entries = house.log.read(place, FIT_BATCH)
        except Unreadable as damaged:
            place = damaged.position
            continue
        if not entries:
            break
        place = entries[-1].position
        counted = [entry for entry in entries if entry.position <= position and entry.event.name in traces.events]
        claims = {claim for entry in counted for claim in claims_of(entry.event)}
        traces.add(counted, house.store.owners_of(list(claims)), now)


def _write(
    house: House, traces: refit.Traces, now: Instant, gap: refit.Gap | None, part_done: Callable[[], None]
) -> None:
    """Everybody once: put in what was counted, and room 4 again if that may have changed."""
    store, after = house.store, ""
    while profiles := store.everybody(after, FIT_BATCH):
        filled = traces.put(profiles)
        store.refit(
            refit.only(list(filled.values()))
            if gap is None
            else refit.settle(profiles, house.rulebook, now, filled, gap)
        )
        after = profiles[-1].id
        part_done()


async def send(house: House) -> int:
    """One batch on each way out, one after another. Returns how many messages were looked at."""
    return sum([await send_over(house, way) for way in leave.ways(house)])


async def send_over(house: House, way: Way) -> int:
    """Compose what is next in line on one way out, and hand it to the channel: one batch. Returns how many messages
    were looked at.

    A message is marked as being sent, on disk, before the channel sees it. Should the worker die before the answer is
    noted, `recover` knows that the answer is lost. Nothing is awaited between the last look and the mark, so that no
    opt-out can be committed in between.
    """
    now = house.clock.now()
    channel = house.ways_out()[way.channel]
    if channel.free_at() > now:
        moved = leave.divert(house, way, now)
        _mark(house, moved, moved)
        return len(moved)
    sends = leave.next_in_line(house, way, now)
    fed: dict[str, Fed] = {}
    if wanted := leave.feeds_of(house, sends):
        fed = await feed(house.feeds, wanted)
        # Much may have been committed while we waited for other servers.
        sends = leave.next_in_line(house, way, house.clock.now())
    looked = leave.look(house, way, sends, fed)
    _mark(house, looked.changed, looked.told)
    if looked.messages:
        with house.underway.through(looked.leaving.values()):
            receipts = await _ask_again(channel, await channel.send(list(looked.messages.values())))
            recalled = house.underway.recalled(looked.leaving)
        for receipt, verdict in await _note_receipts(house, looked.leaving, receipts, channel.features, recalled):
            house.tell_receipt(way.channel, looked.messages[receipt.send_id], receipt, verdict)
    return len(sends)


def _mark(house: House, changed: Sequence[Due], told: Sequence[Due]) -> None:
    if changed:
        house.store.mark(changed, [leave.moment(house, due) for due in told])


async def _ask_again(channel: OpenChannel, receipts: Sequence[Receipt]) -> list[Receipt]:
    """Where nobody knows whether the provider has a message, ask it, if it can be asked."""
    unknown = [receipt.send_id for receipt in receipts if receipt.status == "unknown"]
    if not unknown or not channel.features.can_look_up:
        return list(receipts)
    known = await channel.look_up(unknown)
    return [deliver.looked_up(receipt, known.get(receipt.send_id)) for receipt in receipts]


async def call(house: House) -> int:
    """Let plugins' actions do what rules called them for: one batch of each that has something due. Returns how many
    calls were looked at. As with messages, a call is marked on disk before its action sees it.
    """
    now = house.clock.now()
    looked_at = 0
    for name in house.store.calls_due(now):
        action = house.actions.get(name)
        if action is None:
            calls = house.store.to_call(name, now, FIT_BATCH)
            for due in calls:
                deliver.step(due, "failed", f'no plugin has an action "{name}" any more')
            _mark(house, calls, calls)
            looked_at += len(calls)
        elif action.free_at() <= now:
            looked_at += await _call(house, action, house.store.to_call(name, now, action.features.batch_size))
    return looked_at


async def _call(house: House, action: OpenAction, calls: Sequence[Due]) -> int:
    """Hand these calls to their action."""
    loaded = house.store.load([], sorted({due.profile for due in calls}))
    batch = []
    for due in calls:
        profile = loaded.profiles.get(due.profile)
        traits = {} if profile is None else {name: trait.value for name, trait in profile.traits.items()}
        event = "" if due.trigger is None else due.trigger.name
        batch.append(Call(due.id, due.call, due.profile, due.data, traits, event))
        due.channel, due.attempt = action.name, due.attempt + 1
        deliver.step(due, "sending", f"attempt {due.attempt} over {action.name}")
    _mark(house, calls, calls)
    receipts = await action.send(batch)
    await _note_receipts(house, {due.id: due for due in calls}, receipts, action.features)
    return len(calls)


async def _note_receipts(
    house: House,
    handed: Mapping[str, Due],
    receipts: Sequence[Receipt],
    features: Features,
    recalled: Set[str] = frozenset(),
) -> list[tuple[Receipt, Verdict]]:
    """Settle what was handed over, and write it down: as soon as the disk takes it, for nobody else knows."""
    settled = [
        (each, leave.settle(house, handed[each.send_id], each, features, is_recalled=each.send_id in recalled))
        for each in receipts
    ]
    for receipt, verdict in settled:
        due = handed[receipt.send_id]
        meters.SENDS_SETTLED.add(1, due.channel, due.class_, verdict.state)
    told = [leave.moment(house, due) for due in handed.values()]
    heard = leave.bounces(house, handed, receipts)
    while True:
        try:
            house.store.mark(list(handed.values()), told, heard)
        except Unavailable:
            await asyncio.sleep(DISK_REST_SECONDS)
        else:
            return settled


async def recover(house: House) -> int:
    """At start: settle what had been handed over when the worker died. Returns how many sends that were."""
    lost = house.store.in_flight()
    for name in dict.fromkeys(due.channel for due in lost):
        of_channel = {due.id: due for due in lost if due.channel == name}
        channel = house.ways_out().get(name, house.channel)
        features = house.actions[name].features if name in house.actions else channel.features
        receipts = [deliver.lost(send_id) for send_id, due in of_channel.items()]
        if name in house.ways_out():
            receipts = await _ask_again(channel, receipts)
        await _note_receipts(house, of_channel, receipts, features)
    return len(lost)


async def hear(
    front: FrontDoor, hit: measure.Hit, *, user_agent: str = "", extra: Mapping[str, Any] | None = None
) -> None:
    """Let in what became of a send, with what else is known of it, and return once it is safely on disk.

    Raises Busy and Unavailable; then nothing is stored.
    """
    now = front.clock.now()
    event = measure.to_event(hit, now, nonce=front.new_message_id(), user_agent=user_agent, extra=extra)
    await front.log.append([(event, front.clock.receipt_of(now, front.clock.wall()))])
    front.ring()


async def agree(front: FrontDoor, said: Event, received_at: Instant) -> None:
    """Let in what somebody agreed to or objected to, and return once it is safely on disk. Raises Busy, Unavailable."""
    await front.log.append([(said, front.clock.receipt_of(said.timestamp, received_at))])
    front.ring()


async def instruct(front: FrontDoor, instructions: Sequence[Instruction], *, by: str) -> None:
    """Let in what somebody decided about no person in particular, all of it or nothing, and return once it is safely on
    disk. `by` says who it was. Raises Busy and Unavailable.
    """
    now = front.clock.now()
    receipt = front.clock.receipt_of(now, front.clock.wall())
    events = [to_event(each, by=by, at=now, nonce=front.new_message_id()) for each in instructions]
    await front.log.append([(event, receipt) for event in events])
    front.ring()


async def hear_hook(
    front: FrontDoor,
    told: Sequence[measure.Hit | Mapping[str, Any]],
    received_at: Instant,
    *,
    nonce: str,
    source: str = "",
) -> int:
    """Let in what a webhook told (plugin/source.py), all of it or nothing, and return how many events are on disk.

    `nonce` follows from the request: a webhook that comes again makes the same message ids, and so changes nothing.
    `source` is what a consent that it tells of is said to come from.
    Raises Refused, Busy and Unavailable as `receive` does.
    """
    now = front.clock.now()
    numbers = count()
    events = [
        measure.to_event(each, now, nonce=f"{nonce}.{next(numbers)}", extra=measure.more_of(each, source))
        for each in told
        if isinstance(each, measure.Hit)
    ]
    calls = [each for each in told if not isinstance(each, measure.Hit)]
    if calls:
        try:
            body = msgspec.json.encode({"batch": calls})
        except (TypeError, ValueError) as error:
            raise Refused(f"the source told what is no JSON: {error}", code="TF101") from error
        events += ingest.accept(body, "import", received_at, new_message_id=lambda: f"hook:{nonce}.{next(numbers)}")
    arrivals = [(event, front.clock.receipt_of(event.timestamp, received_at)) for event in events]
    await front.log.append(arrivals)
    front.ring()
    return len(arrivals)
