"""Room 6. Hours: at which hour of the day people open and click, and so when a message is best sent.

What counts is the clock hour where the person is. Of opens and clicks with `human` (measure.py), the probability that a
person was at work and no program, each weighs as much; one without it weighs half.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from triggerfish.clock import DAY, HOUR, Instant, Millis
from triggerfish.ingest import Event
from triggerfish.profile import OPENING_LIMIT, Opening, Profile
from triggerfish.zones import Local, Zones

SIGNALS = frozenset({"Email Opened", "Email Link Clicked"})
HALF_LIFE: Millis = 90 * DAY
"""In this time an open of one's own loses half its weight."""
UNSURE = 0.5
LEAST = 0.05
"""What is less likely a person's doing is not kept."""
ENOUGH = 3.0
"""So much must a person's opens weigh, as new, for their own hours to be taken."""
THOUSANDTHS = 1_000
ENOUGH_OF_ALL = 50 * THOUSANDTHS
"""So much must everybody's opens weigh, in thousandths, for their hours to be taken."""
DEFAULT_HOUR = 10

Hours = Sequence[int]
"""What everybody's opens weigh by local hour, 24 of them, in thousandths; or nothing."""


class Rhythm(NamedTuple):
    """What each of the 24 hours of a person's day is worth, and where that is known from."""

    worth: tuple[float, ...]
    source: str


class Best(NamedTuple):
    """The hour to send at, the instant, and where it is known from."""

    hour: int
    at: Instant
    source: str


def note_opening(profile: Profile, event: Event, zones: Zones) -> tuple[int, int] | None:
    """Remember an open or a click in a working copy. Gives its hour, and what is to be added to everybody's hours, in
    thousandths; None for what adds nothing. Several within an hour are one, the likeliest of them.
    """
    if event.kind != "feedback" or event.name not in SIGNALS:
        return None
    told = event.properties.get("human")
    human = min(max(float(told), 0.0), 1.0) if isinstance(told, int | float) else UNSURE
    if human < LEAST:
        return None
    hour = Local(event.timestamp, zones.of(profile.time_zone)).hour
    before = 0.0
    for place, known in enumerate(profile.openings):
        if known.hour == hour and abs(known.at - event.timestamp) < HOUR:
            before = known.human
            if human <= before:
                return None
            del profile.openings[place]
            break
    profile.openings.append(Opening(event.timestamp, hour, human))
    profile.openings.sort(key=lambda opening: opening.at)
    del profile.openings[:-OPENING_LIMIT]
    return hour, round(human * THOUSANDTHS) - round(before * THOUSANDTHS)


def rhythm_of(openings: Sequence[Opening], everybody: Hours, now: Instant) -> Rhythm:
    """A person's own hours if enough is known of them, or else everybody's, or else the default. What is known of an
    hour says half as much of those beside it.
    """
    worth = [0.0] * 24
    if sum(opening.human for opening in openings) >= ENOUGH:
        for opening in openings:
            worth[opening.hour] += opening.human * 2.0 ** (-max(now - opening.at, 0) / HALF_LIFE)
        count = len(openings)
        return Rhythm(_spread(worth), f"from {count} {'open or click' if count == 1 else 'opens and clicks'}")
    if sum(everybody) >= ENOUGH_OF_ALL:
        return Rhythm(_spread([float(each) for each in everybody]), "when most people open")
    worth[DEFAULT_HOUR] = 1.0
    return Rhythm(_spread(worth), "nobody's opens are known yet")


def _spread(worth: Sequence[float]) -> tuple[float, ...]:
    return tuple(worth[hour] + (worth[hour - 1] + worth[(hour + 1) % 24]) / 2 for hour in range(24))


def best(rhythm: Rhythm, local: Local, until: Instant, free_from: Callable[[Local], Instant]) -> Best | None:
    """When the hour that is worth most comes, from `local.now` to `until`; of equal ones the first. `free_from` gives,
    for a local time, the first instant from then on at which the message may leave. None when there is none till then.
    """
    found: Best | None = None
    while local.now < until:
        end = min(local.next_hour(), until)
        if found is None or rhythm.worth[local.hour] > rhythm.worth[found.hour]:
            at = free_from(local)
            if at < end:
                found = Best(local.hour, at, rhythm.source)
        local = Local(end, local.zone)
    return found
