"""What cannot be decided is put aside with its cause, and all the rest goes on: one event, one person's agenda, and
whatever kills the process that touches it.
"""

from __future__ import annotations

import dataclasses
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from running import Running, identify, serving, track, wait_until, write_rules, write_workspace
from triggerfish import walk
from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.adapters.memory import MemoryEventLog
from triggerfish.adapters.memory_store import MemoryStateStore
from triggerfish.adapters.sqlite.log import SqliteEventLog
from triggerfish.adapters.sqlite.migrate import migrate
from triggerfish.config import starter_path
from triggerfish.log import Unreadable
from triggerfish.processes.poison import TRIES, Taster
from triggerfish.profile import Trait
from triggerfish.rulefile.compile import load_rulebook
from worlds import NOON, TEMPLATES
from worlds import track as tracked

RULES = """
    segments:
      - name: everybody
        when: count(Step) >= 1
    ruleset: shop
    rules:
      - name: tasted
        on: [Step, Poison]
        when: taste(event.flavour)
        then:
          - set: {steps: {value: count(Step)}}
      - name: later
        on: Later
        when: taste(traits.flavour)
        wait: 1 second
        then:
          - set: {waited: true}
"""


class Died(BaseException):
    """Stands for the end of a process: nothing catches it."""


def taste(flavour: Any) -> bool:
    if flavour == "bitter":
        raise ValueError("too bitter")
    if flavour == "deadly":
        raise Died
    return True


class Shop:
    """A worker's house in memory. The clock stands where the test puts it."""

    def __init__(self, batch_events: int = 500) -> None:
        rulebook, _ = load_rulebook(
            {"rules/shop.yaml": RULES}, templates=TEMPLATES, matcher=CompiledMatcher, functions={"taste": taste}
        )
        self.log = MemoryEventLog()
        self.store = MemoryStateStore()
        self.instant = NOON
        self.throughs = 0
        self.crashes = 0
        self.house = walk.House(
            log=self.log,
            store=self.store,
            clock=self,  # type: ignore[arg-type]
            rulebook=rulebook,
            templates={},
            channel=None,  # type: ignore[arg-type]
            links=lambda *_: pytest.fail("nothing is composed here"),
            dice=lambda: 0.5,
            batch_events=batch_events,
        )

    def now(self) -> int:
        return self.instant

    async def take(self, *flavours: str, name: str = "Step") -> None:
        """Let one person after another do something of this flavour."""
        for flavour in flavours:
            number = self.log.head()[0]
            event = tracked(name, self.instant, user=f"p{number}", properties={"flavour": flavour})
            await self.log.append([(event, self.instant)])

    def follow(self) -> None:
        """One worker follows until nothing is left."""
        taster = Taster(self.house, self.crashes, self._through)
        while taster.follow():
            pass

    def _through(self) -> None:
        self.throughs += 1

    def live(self) -> int:
        """One worker after another, as the supervisor starts them; how many died."""
        while True:
            try:
                self.follow()
                return self.crashes
            except Died:
                self.crashes += 1
                assert self.crashes < 20, "no end of dying"

    def stepped(self) -> list[str]:
        """Who got on: the users whose step was counted."""
        return sorted(
            (each.identities[0].value for each in self.store.profiles.values() if "steps" in each.traits),
            key=lambda user: int(user[1:]),
        )


async def test_an_event_that_cannot_be_decided_goes_to_the_dead_letters_with_its_cause():
    shop = Shop()
    await shop.take("sweet", "bitter", "sweet", "sweet")
    shop.follow()
    assert shop.store.dead_letters == {2: (NOON, "ValueError: too bitter")}
    assert shop.stepped() == ["p0", "p2", "p3"]
    assert shop.store.position()[0] == 4
    assert shop.throughs == 0, "nothing died, so nobody is told"


async def test_every_bad_event_is_put_aside_by_itself():
    shop = Shop(batch_events=3)
    flavours = ["bitter" if number % 4 == 1 else "sweet" for number in range(40)]
    await shop.take(*flavours)
    shop.follow()
    assert sorted(shop.store.dead_letters) == [number + 1 for number in range(40) if number % 4 == 1]
    assert shop.stepped() == [f"p{number}" for number in range(40) if number % 4 != 1]


async def test_an_event_that_kills_the_worker_again_and_again_is_not_tried_any_more():
    shop = Shop()
    await shop.take("sweet", "sweet", "deadly", "sweet")
    assert shop.live() == 1 + TRIES
    assert shop.store.dead_letters == {3: (NOON, f"the worker died or hung {TRIES} times when it decided this")}
    assert shop.stepped() == ["p0", "p1", "p3"]


async def test_a_worker_says_that_it_got_on_once_it_has_decided_one_thing():
    shop = Shop()
    await shop.take("sweet", "sweet")
    shop.crashes = 1
    shop.follow()
    assert shop.throughs == 1


async def test_a_worker_with_nothing_to_do_after_a_crash_is_through_too():
    shop = Shop()
    shop.crashes = 1
    shop.follow()
    assert shop.throughs == 1


@pytest.mark.parametrize(("flavour", "dead"), [("bitter", 0), ("deadly", 1 + TRIES)])
async def test_a_person_whose_time_cannot_be_decided_is_struck_from_the_agenda_and_nobody_else(flavour, dead):
    shop = Shop()
    await shop.take("sweet", "sweet", "sweet", name="Later")
    shop.follow()
    person = next(each for each in shop.store.profiles.values() if each.identities[0].value == "p1")
    person.traits["flavour"] = Trait(flavour, NOON)
    shop.instant += 5_000
    await shop.take("sweet")
    assert shop.live() == dead

    waited = sorted(each.identities[0].value for each in shop.store.profiles.values() if "waited" in each.traits)
    assert waited == ["p0", "p2"]
    assert shop.stepped() == ["p3"], "the events that came after are decided, and not blamed"
    assert shop.store.dead_letters == {}
    assert shop.store.next_due() is None
    told = [moment for moment in shop.store.moments if moment.body.get("outcome") == "stopped"]
    assert [moment.profile for moment in told] == [person.id]
    assert told[0].body["reason"].startswith("it could not be decided: ")


# --- an installed plugin of somebody else's that kills the worker

PLUGIN = """
import os, signal
from triggerfish import hookimpl

def taste(flavour):
    if flavour == "bitter":
        raise ValueError("too bitter")
    if flavour == "deadly":
        os.kill(os.getpid(), signal.SIGSEGV)
    return True

@hookimpl
def register_functions():
    return {"taste": taste}

def sour(value):
    if value == "Bad":
        raise OSError("no lemons")
    return value

@hookimpl
def register_filters():
    return {"sour": sour}
"""


@pytest.fixture
def site(tmp_path) -> Path:
    """A folder of packages with a plugin that was installed there: a module, and what pip writes beside it."""
    folder = tmp_path / "site"
    info = folder / "tasting-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "tasting.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tasting\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[triggerfish]\ntasting = tasting\n")
    return folder


@pytest.fixture
def server(tmp_path, site) -> Iterator[Running]:
    workspace = write_workspace(tmp_path / "shop", {"shop.yaml": RULES}, hello="marketing")
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))
    with serving(workspace, env={"PYTHONPATH": path}) as running:
        yield running


async def test_an_event_whose_bits_flipped_is_put_aside_and_all_others_are_decided(tmp_path: Path):
    path = tmp_path / "log.sqlite3"
    migrate(path, starter_path("migrations") / "log.py")
    shop = Shop()
    with closing(SqliteEventLog(path)) as log:
        await log.append([(tracked("Step", NOON + number, user=f"p{number}"), NOON + number) for number in range(6)])
        for position in (1, 4):
            with closing(sqlite3.connect(path)) as db, db:
                db.execute("UPDATE events SET event = x'7bff' WHERE position = ?", (position,))
        shop.house = dataclasses.replace(shop.house, log=log)
        with pytest.raises(Unreadable, match="position 1 of the log cannot be read"):
            log.read(0, 100)
        assert [entry.position for entry in log.read(1, 100)] == [2, 3]
        assert [entry.position for entry in log.at([3, 4, 5])] == [3, 5]
        taster = Taster(shop.house, 0, lambda: None)
        while taster.follow():
            pass
        assert shop.store.position()[0] == 6
        assert set(shop.store.dead_letters) == {1, 4}
        assert len(shop.store.profiles) == 4
        shop.store.note_fitted(frozenset())
        assert walk.fit(shop.house), "also by a reading of all that was"


@pytest.mark.faults
def test_events_that_raise_or_crash_in_a_plugin_are_put_aside_by_a_real_server(server):
    flavours = ["sweet"] * 30
    flavours[7], flavours[19] = "deadly", "bitter"
    server.take(*[track(f"p{number}", "Step", properties={"flavour": each}) for number, each in enumerate(flavours)])
    status = server.quiet()
    assert status["dead_letters"] == 2
    bitter, deadly = server.get("/v1/dead-letters")
    assert (bitter["position"], bitter["cause"]) == (20, "ValueError: too bitter")
    assert (deadly["position"], deadly["cause"]) == (8, f"the worker died or hung {TRIES} times when it decided this")
    assert deadly["event"]["user_id"] == "p7"
    assert status["profiles"] == 28
    assert all(server.profile(f"p{number}")["traits"] == {"steps": 1} for number in range(30) if number not in (7, 19))
    assert "signal SIGSEGV" in server.said()

    server.take(track("p7", "Step", properties={"flavour": "sweet"}))
    assert server.profile("p7")["traits"] == {"steps": 1}


@pytest.mark.faults
def test_a_person_whose_time_kills_the_worker_holds_nobody_up(server):
    server.take(track("p0", "Later"), track("p1", "Later"), identify("p1", flavour="deadly"), track("p2", "Later"))
    for person in ("p0", "p2"):
        wait_until(lambda person=person: server.profile(person)["traits"].get("waited"), f"the wait of {person}")

    def stopped() -> list[dict[str, Any]]:
        return [line for line in server.timeline("p1") if line.get("outcome") == "stopped"]

    line = wait_until(stopped, "the word that it stopped")[0]
    assert line["reason"] == f"it could not be decided: the worker died or hung {TRIES} times when it decided this"
    server.take(track("p3", "Step", properties={"flavour": "sweet"}))
    server.quiet()
    assert server.profile("p3")["traits"] == {"steps": 1}
    assert server.get("/v1/dead-letters") == []


@pytest.mark.faults
def test_a_message_that_a_filter_cannot_compose_fails_with_its_cause_and_the_others_leave(server):
    body = server.workspace / "templates" / "hello" / "email.mjml"
    body.write_text(body.read_text().replace('default: "there"', 'default: "there" | sour'))
    greeting = "ruleset: greeting\nrules:\n  - name: hello\n    on: Hello Wanted\n    then: [send: hello]\n"
    write_rules(server.workspace, "greeting.yaml", greeting)
    wait_until(lambda: "greeting" in {each["ruleset"] for each in server.get("/v1/rulebook")["rules"]}, "the new rule")
    people = {"p0": "Ana", "p1": "Bad", "p2": "Cleo"}
    for person, name in people.items():
        server.take(identify(person, email=f"{person}@example.org", firstName=name), track(person, "Hello Wanted"))
    assert server.sent("hello", "p0")["reason"] == ""
    assert server.sent("hello", "p2")["reason"] == ""
    assert server.sent("hello", "p1", "failed")["reason"] == "it could not be composed: OSError"
    assert "signal" not in server.said()
