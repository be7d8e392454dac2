"""Rooms 8 and 9 as the corridor goes through them (walk.py): who is next in line, whether they may still go, what was
said to them, and what became of it. Nothing is awaited here: what is decided here is marked before anything else can
happen in this process, which is the one that commits opt-outs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct

from triggerfish import blast, decisions, deliver, handing
from triggerfish.clock import DAY, HOUR, MINUTE, Instant
from triggerfish.deliver import Features, Receipt, Verdict, step
from triggerfish.engine import Moment
from triggerfish.errors import MissingData, Refused
from triggerfish.feeds import Fed, Wants, wants
from triggerfish.headers import with_headers
from triggerfish.instructions import Given, Held, Suppress, Suppression
from triggerfish.lanes import Lane, lane_of, read_lane
from triggerfish.people import Loaded
from triggerfish.profile import Profile, Sent
from triggerfish.render import Links, Message, Template, recipient, template_data
from triggerfish.reports import says_nobody
from triggerfish.rules import Rulebook
from triggerfish.schedule import Due, Status
from triggerfish.unheard import with_newest_words

if TYPE_CHECKING:
    from triggerfish.walk import House

log = logging.getLogger("triggerfish.walk")


class Way(NamedTuple):
    """A channel and a class of messages: the lanes that one loop of the worker serves."""

    channel: str
    class_: str


def ways(house: House) -> list[Way]:
    """Every way out; the transactional one of each channel first."""
    return [Way(name, class_) for name in house.ways_out() for class_ in ("transactional", "marketing")]


def lanes_of(house: House, way: Way) -> dict[str, Instant]:
    """The lanes that this way serves, with their earliest instants; those of rules that are held left out."""
    holds = {(held.ruleset, held.rule) for held in house.store.holds()}
    known = house.ways_out()
    served = {}
    for text, first in house.store.lanes().items():
        lane = read_lane(text)
        if lane is not None and lane.held and _is_held(lane.held, holds):
            continue
        # A lane of a channel that is gone, or of a server that knew no lanes, is the main channel's.
        channel = lane.channel if lane is not None and lane.channel in known else house.channel.name
        if (channel, "marketing" if lane is None else lane.class_) == way:
            served[text] = first
    return served


def _is_held(full_name: str, holds: set[tuple[str, str]]) -> bool:
    ruleset, _, rule = full_name.partition(" / ")
    return (ruleset, rule) in holds or (ruleset, "") in holds


def next_in_line(house: House, way: Way, now: Instant) -> list[Due]:
    """The messages whose turn it is on this way, as many as may leave at once."""
    channel = house.ways_out()[way.channel]
    limits = [
        channel.features.batch_size,
        house.pacing.channel_room(way.channel, way.class_, now),
        _warm(house, way, now),
    ]
    limit = min(each for each in limits if each is not None)
    wanted: dict[str, int | None] = {}
    for text, first in lanes_of(house, way).items():
        room = house.pacing.room(read_lane(text) or Lane(*way), now)
        if first <= now and room != 0:
            wanted[text] = room
    return house.store.to_send(now, limit, wanted) if wanted and limit > 0 else []


def _warm(house: House, way: Way, now: Instant) -> int | None:
    """How many messages may leave today over a channel that is warming up: transactional ones count, and never wait."""
    warm_up = house.pacing.warm_up(way.channel)
    most = None if warm_up is None or way.class_ == "transactional" else warm_up.most(now)
    return None if most is None else max(0, most - house.store.handed_on(way.channel, now // DAY))


def next_turn(house: House, way: Way) -> Instant | None:
    """When something is next to be done on this way; None while nothing waits."""
    now = house.clock.now()
    turns = [
        max(first, house.pacing.free_at(read_lane(text) or Lane(*way), now))
        for text, first in lanes_of(house, way).items()
    ]
    if not turns:
        return None
    free_at = house.ways_out()[way.channel].free_at()
    if house.fallback not in ("", way.channel) and house.ways_out()[way.channel].is_resting():
        free_at = min(free_at, now + max(1_000, house.fallback_after))
    if _warm(house, way, now) == 0:
        free_at = max(free_at, (now // DAY + 1) * DAY)
    return max(min(turns), free_at)


def feeds_of(house: House, sends: Sequence[Due]) -> dict[str, Wants]:
    """What has to be fetched before these messages can be composed, by send; those without feeds are left out."""
    with_feeds = [due for due in sends if (template := house.templates.get(due.template)) and template.feeds]
    if not with_feeds:
        return {}
    loaded = house.store.load([], sorted({due.profile for due in with_feeds}))
    found = {}
    for due in with_feeds:
        profile, at = loaded.profiles.get(due.profile), house.clock.done_at(due.due_at)
        if profile is not None:
            found[due.id] = wants(house.templates[due.template], data_of(house.rulebook, profile, due, at))
    return found


class Look(Struct):
    """What a last look at a batch came to: the messages that leave, with their texts; `changed` are all whose row is to
    be written, `told` those of them whose change is a line of somebody's timeline.
    """

    messages: dict[str, Message]
    leaving: dict[str, Due]
    changed: list[Due]
    told: list[Due]


def look(house: House, way: Way, sends: Sequence[Due], fed: Mapping[str, Fed]) -> Look:
    """Look at each message once more, and compose those that leave. They are "sending" then, in memory. `fed` has what
    their feeds gave; one whose feeds were not fetched yet stays where it is.
    """
    now = house.clock.now()
    found = Look({}, {}, [], [])
    loaded = with_newest_words(house, house.store.load([], sorted({due.profile for due in sends})))
    holds = house.store.holds()
    listed = house.store.suppressed({address for each in loaded.profiles.values() if (address := _address(each))})
    handed = _handed(house, loaded, min((house.clock.done_at(due.due_at) for due in sends), default=now))
    allowed = _Allowed(house)
    for due in sends:
        profile = loaded.profiles.get(due.profile)
        template = house.templates.get(due.template)
        if is_lost_in_time(house, due):
            doubt(due)
            found.changed.append(due)
            found.told.append(due)
            continue
        if profile is not None and template is not None and template.feeds and due.id not in fed:
            continue
        address = "" if profile is None else _address(profile)
        held = handing.held_by(due, holds) or allowed.alarmed(due)
        lane = lane_of(way.channel, due.class_, address)
        if held is not None:
            _move(found, due, Lane(*way, held=f"{due.ruleset} / {due.rule}"), _held(held))
            continue
        is_elsewhere, due.lane = str(lane) != due.lane, str(lane)
        must_wait = is_elsewhere and ((lane.channel, lane.class_) != way or house.pacing.room(lane, now) == 0)
        if must_wait or not allowed.one_more(due):
            found.changed += [due] if is_elsewhere else []
            continue
        at = house.clock.done_at(due.due_at)
        sent = handed.setdefault(due.profile, [])
        message = _let_go(house, found, due, profile, listed.get(address, ()), sent, fed.get(due.id, _NOTHING_FED), at)
        if message is not None:
            _hand(house, found, due, message, way.channel, at)
            sent.append(handing.leaving(due, house.rulebook, at))
            house.pacing.spend(way.channel, lane.provider, now)
    return found


def is_lost_in_time(house: House, due: Due) -> bool:
    """Whether a message that may leave only once was due before the data was restored: of what left between the backup
    and then, the data knows nothing.
    """
    return due.class_ == "marketing" and due.due_at <= house.restored_at


def doubt(due: Due) -> None:
    """It may have left. For caps it has; `triggerfish resolve` settles it."""
    due.handed_at = due.due_at
    step(due, "uncertain", "the data was restored from a backup after this was due: it may have left before")


def _address(profile: Profile) -> str:
    email = profile.trait("email")
    return email if isinstance(email, str) else ""


def _handed(house: House, loaded: Loaded, now: Instant) -> dict[str, list[Sent]]:
    """What was handed over for these people as far back as caps look: under the ids, too, that they had before."""
    reach = handing.caps_reach(house.rulebook)
    if not reach:
        return {}
    names = {each.id: [each.id, *(merge.profile for merge in each.merges)] for each in loaded.profiles.values()}
    known = house.store.handed_over({name for of in names.values() for name in of}, now - reach)
    return {profile: [sent for name in of for sent in known.get(name, ())] for profile, of in names.items()}


def _held(held: Held) -> str:
    return f"held: {held.reason}" if held.reason else f"held by {held.by or 'hand'}"


def _move(found: Look, due: Due, lane: Lane, reason: str) -> None:
    """Let a message stand in another lane."""
    if due.lane != str(lane):
        step(due, due.status, reason)
        due.lane = str(lane)
        found.changed.append(due)
        found.told.append(due)


def _hand(house: House, found: Look, due: Due, message: Message, channel: str, at: Instant) -> None:
    due.attempt += 1
    step(due, "sending", f"attempt {due.attempt} over {channel}")
    due.channel, due.address, due.handed_at = channel, message.to.email, at
    found.messages[due.id] = message
    found.leaving[due.id] = due
    found.changed.append(due)
    found.told.append(due)


def _let_go(
    house: House,
    found: Look,
    due: Due,
    profile: Profile | None,
    listed: Iterable[Suppression],
    handed: Sequence[Sent],
    fed: Fed,
    at: Instant,
) -> Message | None:
    """The text of a message that may leave; else what becomes of it is noted."""
    template = house.templates.get(due.template)
    status: Status = "failed"
    until: Instant | None = None
    if profile is None or template is None:
        reason = "the profile is gone" if profile is None else f'the template "{due.template}" is gone'
    else:
        verdict = handing.weigh(due, profile, rulebook=house.rulebook, listed=listed, handed=handed, now=at)
        reason = verdict.reason
        if verdict.what == "go":
            try:
                links = house.links(due, profile, at)
                return compose(house.rulebook, template, profile, due, links, at, fed.values)
            except (MissingData, Refused) as error:
                reason = "; ".join([str(error), *fed.errors.values()])
                if error.code == "TF328" and at - (due.since or due.due_at) < FEED_PATIENCE:
                    status, until = due.status, at + FEED_REST
            except Exception as error:
                # A plugin's filter may raise anything; one message that cannot be composed must not stop the others.
                log.exception("send %s could not be composed", due.id)
                reason = f"it could not be composed: {type(error).__name__}"
        elif verdict.what == "hold":
            status, until = due.status, verdict.until
        else:
            status = "skipped"
    step(due, status, reason, until)
    found.changed.append(due)
    found.told.append(due)
    return None


FEED_REST, FEED_PATIENCE = MINUTE, HOUR
"""A message that cannot be without a feed asks for it again after each rest, and is given up in the end."""
_NOTHING_FED = Fed({}, {})


class _Allowed:
    """How many messages of each rule the guard lets through; it is asked once a batch and rule."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._left: dict[tuple[str, str], int | None] = {}
        self._alarms: dict[tuple[str, str], Held] = {}

    def alarmed(self, due: Due) -> Held | None:
        """Why the rule is held from now on."""
        key = (due.ruleset, due.rule)
        guard = self._house.guard
        if guard is not None and due.class_ == "marketing" and key not in self._left:
            self._left[key] = self._look(guard, due)
        return self._alarms.get(key)

    def one_more(self, due: Due) -> bool:
        """Whether one more of this rule may go; the rest waits where it is until the guard is asked again."""
        key = (due.ruleset, due.rule)
        left = self._left.get(key)
        if left is None:
            return True
        self._left[key] = left - 1
        return left > 0

    def _look(self, guard: blast.Guard, due: Due) -> int | None:
        store, at = self._house.store, self._house.clock.done_at(due.due_at)
        traffic = store.traffic(due.ruleset, due.rule, at)
        cause = blast.ill_received(guard, traffic)
        left: int | None = None
        limit = blast.limit(guard, traffic)
        if cause is None and limit is not None:
            coming = traffic.this_hour + store.waiting(due.ruleset, due.rule, due.due_at, limit + 1)
            if coming > limit:
                coming = traffic.this_hour + store.waiting(due.ruleset, due.rule, due.due_at, _ALL)
                left = blast.canary(guard, coming) - traffic.this_hour
                cause = blast.too_much(guard, traffic, coming) if left <= 0 else None
        if cause is not None:
            held = Held(due.ruleset, due.rule, cause.reason, "guard", at)
            store.alarm(held, cause)
            self._alarms[due.ruleset, due.rule] = held
            log.warning("%s / %s is held: %s; see `triggerfish holds`", due.ruleset, due.rule, cause.reason)
        return left


_ALL = 1_000_000_000


def divert(house: House, way: Way, now: Instant) -> list[Due]:
    """The channel of this way rests after failures: those messages that have waited long enough stand in the lanes of
    the fallback from now on. Not those that the channel may have.
    """
    if house.fallback in ("", way.channel) or not house.ways_out()[way.channel].is_resting():
        return []
    wanted: dict[str, int | None] = {text: None for text, first in lanes_of(house, way).items() if first <= now}
    sends = house.store.to_send(now, house.ways_out()[house.fallback].features.batch_size, wanted)
    moved = [due for due in sends if _may_divert(house, due, now)]
    for due in moved:
        reason = f'goes over "{house.fallback}": "{way.channel}" rests after failures'
        step(due, due.status, reason, now)
        due.lane = str(_onto(house.fallback, due))
    return moved


def _may_divert(house: House, due: Due, now: Instant) -> bool:
    return not due.is_tied and now - (due.since or due.due_at) >= house.fallback_after


def _onto(channel: str, due: Due) -> Lane:
    lane = read_lane(due.lane)
    return Lane(channel, due.class_, *([lane.provider] if lane is not None and not lane.held else []))


def compose(
    rulebook: Rulebook,
    template: Template,
    profile: Profile,
    due: Due,
    links: Links,
    now: Instant,
    feeds: Mapping[str, Any],
) -> Message:
    """The message of one send; `feeds` is what those of the template gave. Raises MissingData when the template needs
    what this person does not have, Refused when their address is none. `preview` and the live send both come this way.
    """
    data = data_of(rulebook, profile, due, now) | {"feeds": feeds}
    message = template.compose(send_id=due.id, data=data, to=recipient(data["traits"]), links=links)
    return with_headers(message, ruleset=due.ruleset, rule=due.rule, purpose=due.purpose)


def data_of(rulebook: Rulebook, profile: Profile, due: Due, now: Instant) -> dict[str, Any]:
    """What the template of a send sees of its person, without its feeds."""
    traits = {name: trait.value for name, trait in profile.traits.items() if trait.value is not None}
    return template_data(
        traits,
        {} if due.trigger is None else due.trigger.properties,
        sent_at=now,
        profile_id=profile.id,
        segments=list(profile.memberships),
        segment=rulebook.segments.primary(profile.memberships),
        locale=profile.locale,
        also=[
            {"ruleset": part.ruleset, "rule": part.rule, "template": part.template, "event": part.event}
            for part in due.also
            if not decisions.refusal_to(profile, due.class_, part.purpose, rulebook.policy)
        ],
    )


def settle(
    house: House, due: Due, receipt: Receipt, features: Features, *, is_recalled: bool = False
) -> Verdict:  # fmt: skip
    """What an answer means for a send (in memory), which gets its next status. One that was called back and did not
    leave is looked at again at once, which says why.
    """
    now = house.clock.now()
    verdict = deliver.settle(
        receipt, class_=due.class_, features=features, attempt=due.attempt, now=now, dice=house.dice()
    )
    reason, at = verdict.reason, verdict.at
    if verdict.state == "sent":
        due.sent_at = house.clock.done_at(due.due_at)
    elif verdict.state == "retry" and not due.call:
        due.is_tied = due.is_tied or (receipt.status == "unknown" and due.class_ == "marketing")
        if is_recalled:
            reason, at = "called back before it was handed on", now
        elif house.fallback not in ("", due.channel) and _may_divert(house, due, now):
            due.lane, at = str(_onto(house.fallback, due)), now
            reason = f'{reason}; goes over "{house.fallback}"'
    step(due, _STATUS[verdict.state], reason, at)
    return verdict


def bounces(house: House, handed: Mapping[str, Due], receipts: Iterable[Receipt]) -> list[Given]:
    """Addresses that nothing is to be sent to any more: the server that took the mail, or did not, said that there is
    nobody.
    """
    found = []
    for receipt in receipts:
        due = handed[receipt.send_id]
        if receipt.status == "refused" and due.address and says_nobody(receipt.detail):
            suppress = Suppress(due.address, reason="hard bounce", note=receipt.detail)
            found.append(Given(suppress, house.clock.done_at(due.due_at), due.channel))
    return found


_STATUS: Mapping[str, Status] = {"sent": "sent", "failed": "failed", "retry": "retrying", "uncertain": "uncertain"}


def moment(house: House, due: Due) -> Moment:
    """The line of a person's timeline that says how far a message is."""
    body = {"send": due.id, "rule": f"{due.ruleset} / {due.rule}", "template": due.template, "status": due.status}
    reason = {"reason": due.reason} if due.reason else {}
    return Moment(due.profile, house.clock.done_at(due.due_at), "send", body | reason)
