"""The engine: rooms 3 to 7 as one pure function. It reads no clock, no file, no network and throws no dice.

`decide` takes events in the order of the log together with the profiles that they and the agenda concern, and returns
what is to become of all of them. Rule tests, replays, explanations and the live worker call this one function.

    run.py        a batch: people, time and events in order
    turn.py       one person at one instant: what happens to them, until nothing follows any more
    firing.py     a rule fires: act now, or wait
    journeys.py   a rule with steps: people are inside it for a while
    rounds.py     the arbiter: of what wants to leave at nearly one time, what comes first
    alarms.py     rules that the calendar wakes
    record.py     what is written down
    outcome.py    what comes in and goes out        store.py   the StateStore port
"""

from __future__ import annotations

from collections.abc import Sequence

from triggerfish.clock import Instant
from triggerfish.engine.outcome import Arrival, Membership, Moment, Outcome, Withdrawal, resolve
from triggerfish.engine.run import Run
from triggerfish.engine.store import StateStore
from triggerfish.engine.turn import CHAIN_LIMIT, FOLLOWERS_LIMIT
from triggerfish.people import Loaded
from triggerfish.rules import Rulebook

__all__ = [
    "CHAIN_LIMIT", "FOLLOWERS_LIMIT",
    "Arrival", "Membership", "Moment", "Outcome", "StateStore", "Withdrawal", "decide", "resolve",
]  # fmt: skip


def decide(arrivals: Sequence[Arrival], loaded: Loaded, rulebook: Rulebook, now: Instant) -> Outcome:
    """What follows from these events and from time passing until `now`.

    `loaded` holds every profile that the events name and every one whose `wake_at` is at or before `now`. What is due
    at an instant happens before an event of the same instant.
    """
    run = Run(loaded, rulebook, now)
    for arrival in arrivals:
        run.pass_time(arrival.at)
        run.arrive(arrival)
    run.pass_time(now)
    return run.outcome()
