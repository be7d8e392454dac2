"""The agenda at size: many people who wait, and as many messages that stand in line. What does it cost to let one more
wait, to end a wait, to look again at one that is over, and to hand over what is due? The floor is the same with few, so
the ratio says what size costs. Order is checked all along. `python -m benchmarks.agenda` does it with a million.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random
from typing import Literal, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from benchmarks.measuring import Figure, Wrong, fresh_process, sum_up, table
from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.adapters.sqlite.migrate import migrate
from triggerfish.adapters.sqlite.state import SqliteStateStore
from triggerfish.clock import HOUR, MINUTE, SECOND
from triggerfish.config import starter_path
from triggerfish.engine import Arrival, Outcome, decide
from triggerfish.ingest import Event
from triggerfish.lanes import lane_of
from triggerfish.profile import Claim, Identity, Profile, Trait, Wait, claims_of
from triggerfish.rulefile.compile import load_rulebook
from triggerfish.rules import Rulebook
from triggerfish.schedule import Due, send_id

T = TypeVar("T")

NOON = 1_800_014_400_000
RULES = """
ruleset: carts
rules:
  - {name: reminder, on: Added, wait: 30 minutes, unless: Bought, then: [{send: reminder}]}
"""
BATCH = 500
DOMAINS = ("gmail.com", "outlook.com", "web.de", "shop.example", "icloud.com")


class Facts(Struct):
    class_: Literal["marketing", "transactional"] = "marketing"
    purpose: str = "marketing"
    variables: frozenset[str] = frozenset()


def compare(few: int, many: int, folder: Path) -> list[Figure]:
    floor = fresh_process(play, folder / "few.sqlite3", few)
    found = fresh_process(play, folder / "many.sqlite3", many)
    return [
        Figure(f"{what}, {many:,} in all", unit, found[what][0], floor[what][0]) for what, (_, unit) in found.items()
    ]


def play(path: Path, count: int) -> dict[str, tuple[float, str]]:
    """What each costs with `count` people who wait and as many messages in line, in microseconds; and megabytes."""
    migrate(path, starter_path("migrations") / "state.py")
    rulebook, _ = load_rulebook(
        {"rules/carts.yaml": RULES}, templates={"reminder": Facts()}, matcher=CompiledMatcher, channel="smtp"
    )
    store = SqliteStateStore(path)
    sample = min(5_000, count // 5)
    found: dict[str, tuple[float, str]] = {}
    for people in _batches(waiting(rulebook, count)):
        commit(store, people)
    for batch in _batches(due(count)):
        commit(store, [], batch)
    peak = _peak()
    position = store.position()[0]

    def follow(name: str, numbers: Sequence[int], at: int) -> None:
        nonlocal position
        for start in range(0, len(numbers), BATCH):
            arrivals = []
            for number in numbers[start : start + BATCH]:
                position += 1
                event = Event("track", name, f"{name}-{number}", at, f"u{number}")
                arrivals.append(Arrival(position, at, event))
            claims = [claim for each in arrivals for claim in claims_of(each.event)]
            store.commit(decide(arrivals, store.load(claims, []), rulebook, at), position, at)

    found["arm a wait"] = _timed(lambda: follow("Added", range(count, count + sample), NOON), sample)
    cancelled = Random(7).sample(range(count), sample)
    found["end a wait"] = _timed(lambda: follow("Bought", cancelled, NOON + SECOND), sample)
    found["look again at a wait that is over"] = _timed(lambda: look_again(store, rulebook, sample, position), sample)
    found["hand over a message"] = _timed(lambda: hand_over(store, sample), sample)
    found["memory, at its peak"] = (max(peak, _peak()), "MB")
    store.close()
    return found


def waiting(rulebook: Rulebook, count: int) -> Iterator[Profile]:
    """People who wait; their waits end one after another, from an hour on, in no order of their ids."""
    rule = rulebook.rule("carts", "reminder")
    if rule is None:
        raise Wrong("there is no such rule")
    [(label, _)] = rule.certain_sends
    places = list(range(count))
    Random(1).shuffle(places)
    for number, place in enumerate(places):
        event = Event("track", "Added", f"added-{number}", NOON - MINUTE, f"u{number}")
        profile = Profile(f"p{number:07}", NOON, NOON, [Identity("user", f"u{number}", NOON)])
        profile.traits["email"] = Trait(f"u{number}@{DOMAINS[number % len(DOMAINS)]}", NOON)
        send = send_id(profile, rule, label, event)
        profile.waits.append(Wait(NOON + HOUR + place, "carts", "reminder", event, {label: send}))
        yield profile


def due(count: int) -> Iterator[Due]:
    """Messages that are due, in the lanes of several providers and both classes, in no order."""
    dice = Random(2)
    for number in range(count):
        class_: Literal["marketing", "transactional"] = "transactional" if number % 20 == 0 else "marketing"
        lane = str(lane_of("smtp", class_, f"a@{DOMAINS[number % len(DOMAINS)]}"))
        at = NOON - dice.randrange(HOUR)
        yield Due(
            id=f"s{number:07}", profile=f"p{number:07}", ruleset="carts", rule="other", template="reminder",
            class_=class_, status="due", due_at=at, since=at, priority=dice.randrange(3), lane=lane, channel="smtp",
        )  # fmt: skip


def commit(store: SqliteStateStore, people: Sequence[Profile], sends: Sequence[Due] = ()) -> None:
    owners = {Claim("user", person.identities[0].value): person.id for person in people}
    announced = [
        Due(id=wait.sends[label], profile=person.id, ruleset="carts", rule="reminder", template="reminder",
            status="scheduled", due_at=wait.due_at)
        for person in people for wait in person.waits for label in wait.sends
    ]  # fmt: skip
    outcome = Outcome({each.id: each for each in people}, {}, owners, [], [*announced, *sends], [])
    store.commit(outcome, store.position()[0], 0)


def look_again(store: SqliteStateStore, rulebook: Rulebook, count: int, position: int) -> None:
    """The first waits that are over, batch by batch as the worker takes them."""
    done, last = 0, 0
    while done < count:
        until = NOON + HOUR + 10**9
        agenda = store.agenda(until, BATCH)
        instants = [at for at, _ in agenda]
        if instants != sorted(instants) or instants[0] < last:
            raise Wrong("the agenda is not in order of time")
        last = instants[-1]
        store.commit(decide([], store.load([], [profile for _, profile in agenda]), rulebook, last), position, last)
        done += len(agenda)


def hand_over(store: SqliteStateStore, count: int) -> None:
    """The first messages in line, as a loop of the worker takes and marks them; in order all along."""
    done, last = 0, (0, 0)
    while done < count:
        lanes: dict[str, int | None] = {lane: None for lane in store.lanes() if lane.startswith("smtp marketing")}
        batch = store.to_send(NOON, 100, lanes)
        places = [(each.due_at, -each.priority) for each in batch]
        if places != sorted(places) or places[0] < last:
            raise Wrong("messages do not leave in order of due time and priority")
        last = places[-1]
        store.mark([replace(each, status="sending", handed_at=NOON, attempt=1) for each in batch], [])
        store.mark([replace(each, status="sent", handed_at=NOON, sent_at=NOON, attempt=1) for each in batch], [])
        done += len(batch)


def _batches(items: Iterator[T]) -> Iterator[list[T]]:
    while batch := list(islice(items, 5_000)):
        yield batch


def _timed(call: Callable[[], None], count: int) -> tuple[float, str]:
    started = time.process_time()
    call()
    return 1e6 * (time.process_time() - started) / count, "µs of CPU"


def _peak() -> float:
    """Megabytes. `getrusage` would count what the process that started this one had."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1_024


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="triggerfish-bench-") as name:
        print(table(sum_up([compare(10_000, 1_000_000, Path(name))])))
