"""GET /readyz tells the truth, part by part."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import msgspec
import pytest

from shop import connect
from triggerfish.adapters.sqlite.backlog import Lag
from triggerfish.errors import Busy, Unavailable
from triggerfish.meters import Beat
from triggerfish.web import ready
from triggerfish.web.ready import Examiner, worker


def beat(state: str = "working", **more: object) -> Beat:
    return Beat(**{"pid": 1, "state": state, "since": 0.0, "beaten": 99.9, "turned": 99.5} | more)


@pytest.mark.parametrize(
    ("supervisor", "own", "status", "says"),
    [
        (beat("serving"), beat(), "ok", "it decides and sends"),
        (beat("serving"), beat("fitting people to changed rules", since=40, turned=40), "ok", "for 60 s"),
        (beat("serving"), beat(why="the disk is full"), "failed", "the state cannot be written: the disk is full"),
        (beat("serving"), beat(beaten=90), "failed", "no sign of life for 10 s; if that lasts, it is ended"),
        (beat("serving"), beat(turned=50), "failed", "at one thing for 50 s"),
        (beat("serving", since=95), None, "ok", "just been started"),
        (beat("serving", since=95), beat(beaten=94), "ok", "just been started"),
        (beat("serving", since=50), beat(beaten=49), "failed", "has not begun"),
        (beat("serving", since=50), None, "failed", "has not begun"),
        (beat("restarting", why="it ended with signal SIGKILL"), beat(), "failed", "signal SIGKILL"),
        (beat("handing over", since=99, why="a fresh worker takes over"), beat(), "ok", "takes over"),
        (beat("handing over", since=50, why="a fresh worker takes over"), beat(), "failed", "takes over"),
        (beat("starting"), None, "failed", "being started"),
    ],
)
def test_the_worker_is_judged_by_its_signs_of_life(supervisor, own, status, says):
    part = worker({"supervisor": supervisor} | ({} if own is None else {"worker": own}), now=100.0)
    assert part.status == status
    assert says in part.says


async def test_all_parts_are_told_and_each_can_be_asked_alone(shop):
    beats = {"supervisor": beat("restarting", why="it ended with signal SIGKILL"), "worker": beat()}
    async with connect(replace(shop, beats=lambda: beats)) as client:
        whole = await client.get("/readyz")
        one, other = await client.get("/readyz/worker"), await client.get("/readyz/log")
        unknown = await client.get("/readyz/moon")
    assert (whole.status_code, whole.json()["code"]) == (503, "TF123")
    assert set(whole.json()["parts"]) == {"log", "disk", "rulebook", "lag", "worker"}
    assert whole.json()["detail"] == "worker: it ended with signal SIGKILL"
    assert whole.headers["cache-control"] == "no-store"
    assert (one.status_code, other.status_code, unknown.status_code) == (503, 200, 404)
    assert other.json() == {
        "status": "ready",
        "parts": {"log": {"status": "ok", "says": "events are taken and stored"}},
    }


async def test_everything_well_is_ready(shop):
    beats = {"supervisor": beat("serving", since=0.0), "worker": beat(beaten=1e12, turned=1e12)}
    async with connect(replace(shop, beats=lambda: beats)) as client:
        answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready"), answer.text


async def look(desk, state="live"):
    told = await Examiner(desk.front, desk, lambda: state, kept_seconds=0).look()
    return told.status, {name: part.status for name, part in told.parts.items()}


async def test_a_broken_rulebook_is_a_warning_and_none_a_failure(shop):
    assert (await look(shop, "broken"))[0] == "ready"
    assert (await look(shop, "broken"))[1]["rulebook"] == "warning"
    assert (await look(shop, "none"))[0] == "not ready"


async def test_events_that_wait_too_long_are_told(shop):
    limits = msgspec.structs.replace(shop.settings.limits, ready_lag_seconds=5)
    settings = msgspec.structs.replace(shop.settings, limits=limits)
    for age, status in ((4_000, "ok"), (6_000, "failed")):
        lag = SimpleNamespace(lag=lambda now, age=age: Lag(3, age))
        assert (await look(replace(shop, settings=settings, backlog=lag)))[1]["lag"] == status

    def unreadable(now):
        raise Unavailable("the state cannot be used just now: the disk fails")

    desk = replace(shop, backlog=SimpleNamespace(lag=unreadable))
    told = await Examiner(desk.front, desk, kept_seconds=0).look()
    assert told.sentence() == "lag: the state cannot be used just now: the disk fails"


@pytest.mark.parametrize(("free", "status"), [(10**10, "ok"), (10**8, "warning"), (10**7, "failed")])
async def test_a_disk_without_room_is_told(shop, monkeypatch, free, status):
    monkeypatch.setattr(ready.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    assert (await look(shop))[1]["disk"] == status


@pytest.mark.parametrize("error", [Busy("20000 events wait for the disk already"), Unavailable("the disk is full")])
async def test_a_log_that_takes_nothing_is_told(shop, error):
    async def append(arrivals, aside=()):
        raise error

    front = replace(shop.front, log=SimpleNamespace(append=append))
    told = await Examiner(front).look()
    assert (told.status, told.sentence()) == ("not ready", f"log: {error.sentence}")


async def test_a_disk_that_hangs_is_told(shop, monkeypatch):
    monkeypatch.setattr(ready, "PROBE_SECONDS", 0.05)

    async def append(arrivals, aside=()):
        await asyncio.sleep(60)

    front = replace(shop.front, log=SimpleNamespace(append=append))
    assert "has not answered" in (await Examiner(front).look()).sentence()


async def test_whoever_asks_again_at_once_costs_nothing(shop):
    asked = []

    async def append(arrivals, aside=()):
        asked.append(arrivals)

    examiner = Examiner(replace(shop.front, log=SimpleNamespace(append=append)), kept_seconds=60)
    first, *rest = await asyncio.gather(*(examiner.look() for _ in range(50)))
    assert len(asked) == 1
    assert all(each is first for each in rest)
