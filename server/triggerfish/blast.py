"""Room 9, its watch: does a rule send far more than it ever did, or what people complain about? Then a small share goes
out, the rest waits, and somebody is asked (`triggerfish holds`, `release`). Marketing only: a login code does not wait.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from triggerfish.clock import DAY, Instant, Millis

Kind = Literal["size", "growth", "complaints", "bounces"]

WATCHED: Millis = 7 * DAY
"""Complaints and bounces of so long count."""
LEAST_AT_ONCE = 500
"""Fewer messages at once are no blast, however few there were before."""
LEAST_CANARY = 50
LEAST_SENT = 200
"""Of fewer messages in WATCHED no rate is worked out."""
LEAST_HEARD = 3
"""One complaint, or two, stop nothing."""


class Guard(Struct, frozen=True):
    """Where the guard steps in; 0 switches a part of it off.

    `most_at_once`: messages of one rule that fall due within an hour. `times_ever`: how many times as many as in the
    rule's busiest hour. `canary`: the share that goes out before somebody is asked. The rates are complaints and
    bounces for each message sent, within a week.
    """

    most_at_once: int = 10_000
    times_ever: float = 5.0
    canary: float = 0.02
    complaint_rate: float = 0.003
    bounce_rate: float = 0.05


class Alarmed(Struct, frozen=True):
    """When the guard held a rule last for this kind of reason, and how large it was then."""

    size: int
    at: Instant


class Traffic(Struct, frozen=True):
    """What a rule handed over. `this_hour` and `busiest` (of the hours before) count messages; the rest is of WATCHED,
    or of the time since the rule was held for that kind of reason: (messages, complaints), (messages, bounces).
    """

    this_hour: int = 0
    busiest: int = 0
    complaints: tuple[int, int] = (0, 0)
    bounces: tuple[int, int] = (0, 0)
    alarms: Mapping[str, Alarmed] = {}


class Alarm(Struct, frozen=True):
    """Hold the rule, for this reason. `size` is what it was about."""

    kind: Kind
    size: int
    reason: str


def limit(guard: Guard, traffic: Traffic) -> int | None:
    """How many messages the rule may hand over within this hour, with those that wait now; None: any number.

    Who released the rule has agreed to as much as there was then, and to growth by the same factor from there.
    """
    limits = [_size_limit(guard, traffic), _growth_limit(guard, traffic)]
    known = [each for each in limits if each is not None]
    return min(known, default=None)


def _size_limit(guard: Guard, traffic: Traffic) -> int | None:
    return max(guard.most_at_once, _agreed(guard, traffic, "size")) if guard.most_at_once else None


def _growth_limit(guard: Guard, traffic: Traffic) -> int | None:
    # A rule that never sent has nothing to be compared with: `most_at_once` alone looks after it.
    if not guard.times_ever or not traffic.busiest:
        return None
    grown = max(LEAST_AT_ONCE, int(guard.times_ever * traffic.busiest))
    return max(grown, _agreed(guard, traffic, "growth"), _agreed(guard, traffic, "size"))


def _agreed(guard: Guard, traffic: Traffic, kind: Kind) -> int:
    alarm = traffic.alarms.get(kind)
    return 0 if alarm is None else int(max(1.0, guard.times_ever) * alarm.size)


def canary(guard: Guard, coming: int) -> int:
    """How many of `coming` messages go out before somebody is asked."""
    return max(LEAST_CANARY, math.ceil(guard.canary * coming))


def too_much(guard: Guard, traffic: Traffic, coming: int) -> Alarm | None:
    """Whether `coming` messages, those of this hour and those that wait, are more than the rule may send."""
    size, growth = _size_limit(guard, traffic), _growth_limit(guard, traffic)
    if size is not None and coming > size:
        return Alarm("size", coming, f"{coming:,} messages at once; more than {size:,} ask for a look")
    if growth is not None and coming > growth:
        before = f"its busiest hour had {traffic.busiest:,}, and more than {growth:,} ask for a look"
        return Alarm("growth", coming, f"{coming:,} messages at once; {before}")
    return None


def ill_received(guard: Guard, traffic: Traffic) -> Alarm | None:
    """Whether more people complain, or more messages bounce, than a good sender's do."""
    for kind, rate, (sent, heard) in (
        ("complaints", guard.complaint_rate, traffic.complaints),
        ("bounces", guard.bounce_rate, traffic.bounces),
    ):
        if rate and sent >= LEAST_SENT and heard >= LEAST_HEARD and heard > rate * sent:
            what = "people complained" if kind == "complaints" else "messages bounced"
            of = f"of {sent:,} sent within a week; more than {100 * rate:g}% is too many"
            return Alarm("complaints" if kind == "complaints" else "bounces", heard, f"{heard:,} {what} {of}")
    return None
