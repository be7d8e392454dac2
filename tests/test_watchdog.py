"""When the worker counts as hung: by its signs of life alone, and never by somebody else's sleep."""

from __future__ import annotations

import pytest

from triggerfish.meters import Beat
from triggerfish.processes.watchdog import BEGIN_SECONDS, LOOK_SECONDS, Watchdog

SILENCE = 60.0


def beat(state: str = "working", **more: object) -> Beat:
    return Beat(**{"pid": 1, "state": state, "since": 0.0, "beaten": 0.0, "turned": 0.0} | more)


def watched(supervisor: Beat, own: Beat | None, *, seconds: float, silence: float = SILENCE) -> str:
    """What a watchdog says that looked for so long, from 0 on; of a look that says something, the first."""
    watchdog, now = Watchdog(silence), 0.0
    beats = {"supervisor": supervisor} | ({} if own is None else {"worker": own})
    while now <= seconds:
        if why := watchdog.look(beats, now):
            return why
        now += LOOK_SECONDS
    return ""


@pytest.mark.parametrize(
    ("supervisor", "own", "is_hung"),
    [
        (beat("serving"), beat(beaten=98, turned=98), False),
        (beat("serving"), beat(beaten=98, turned=20), True),
        (beat("serving"), beat(beaten=20, turned=20), True),
        (beat("serving"), beat(beaten=98, turned=20, why="the disk is full"), False),
        (beat("serving"), beat(beaten=20, turned=20, why="the disk is full"), True),
        (beat("serving"), beat("fitting people to changed rules", beaten=98, turned=60), False),
        (beat("serving"), beat("fitting people to changed rules", beaten=98, turned=20), True),
        (beat("serving"), None, True),
        (beat("serving", since=50), beat(beaten=49, turned=20), False),
        (beat("restarting"), beat(), False),
        (beat("handing over"), beat(), False),
        (beat("starting"), None, False),
    ],
    ids=[
        "at work", "the loop stands", "the process stands", "the disk refuses", "stopped while the disk refused",
        "fitting", "a fit that stands", "never began", "just started", "restarting", "handing over", "starting",
    ],
)  # fmt: skip
def test_a_worker_is_hung_when_it_shows_no_sign_of_life_for_long(supervisor, own, is_hung):
    assert bool(watched(supervisor, own, seconds=98)) is is_hung


def test_it_says_for_how_long_and_what_the_worker_was_at():
    said = watched(beat("serving"), beat("fitting people to changed rules"), seconds=98)
    assert said == "no sign of life for 62 s; the last one said: fitting people to changed rules"


def test_a_worker_may_take_its_time_to_begin():
    assert watched(beat("serving"), None, seconds=BEGIN_SECONDS, silence=5) == ""
    assert watched(beat("serving"), None, seconds=BEGIN_SECONDS + LOOK_SECONDS, silence=5)


def test_a_machine_that_slept_is_no_worker_that_hangs():
    watchdog = Watchdog(SILENCE)
    beats = {"supervisor": beat("serving"), "worker": beat(beaten=10, turned=10)}
    assert watchdog.look(beats, 10.0) == ""
    assert watchdog.look(beats, 5_000.0) == "", "nobody looked meanwhile"
    looks = [watchdog.look(beats, 5_000.0 + number * LOOK_SECONDS) for number in range(1, 40)]
    assert looks.index(next(filter(None, looks))) == SILENCE / LOOK_SECONDS, (
        "one that stays silent is found all the same"
    )
