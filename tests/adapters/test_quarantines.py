"""The quarantine beside the log: an event is in one of the two, never in both and never in none."""

import asyncio
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from triggerfish.adapters.sqlite import quarantine as stored
from triggerfish.adapters.sqlite.log import SqliteEventLog
from triggerfish.adapters.sqlite.migrate import migrate
from triggerfish.adapters.sqlite.quarantine import SqliteQuarantine
from triggerfish.errors import Refused
from triggerfish.ingest import Event
from triggerfish.plan import Violation
from triggerfish.quarantine import QUARANTINE_LIMIT, Aside, Quarantined, counted

SCRIPT = Path(__file__).parents[2] / "migrations" / "log.py"
NOON = 1_800_000_000_000
WHY = (Violation("ping", "properties.total", "type", "quarantine", "a number", "text", '"12"'),)


def event(number: int, name: str = "ping") -> Event:
    return Event("track", name, f"m{number}", NOON + number, "ana", properties={"total": "12", "n": number})


def aside(number: int, name: str = "ping") -> Aside:
    return Aside(event(number, name), NOON + number, WHY)


def through(held: Quarantined) -> tuple[Event | None, Any]:
    return held.event, ()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    migrate(tmp_path / "log.sqlite", SCRIPT)
    return tmp_path / "log.sqlite"


@pytest.fixture
def log(path: Path) -> Any:
    log = SqliteEventLog(path)
    yield log
    log.close()


@pytest.fixture
def held(path: Path) -> Any:
    held = SqliteQuarantine(path)
    yield held
    held.close()


def ids(log: SqliteEventLog) -> list[str]:
    return [entry.event.message_id for entry in log.read(0, 100_000)]


async def test_what_is_put_aside_is_kept_whole_and_is_not_in_the_log(
    log: SqliteEventLog, held: SqliteQuarantine
) -> None:
    await log.append([(event(1), NOON)], [aside(2), aside(3, "pong")])
    assert ids(log) == ["m1"]
    assert [(each.event, each.at, tuple(each.violations)) for each in held.listed(10)] == [
        (event(3, "pong"), NOON + 3, WHY),
        (event(2), NOON + 2, WHY),
    ]
    assert [each.event.message_id for each in held.listed(10, event="ping")] == ["m2"]
    newest = held.listed(1)
    assert [each.event.message_id for each in held.listed(9, before=newest[0].id)] == ["m2"]
    assert held.size() == 2


async def test_a_release_appends_with_the_same_ids_and_empties_the_quarantine(
    log: SqliteEventLog, held: SqliteQuarantine
) -> None:
    await log.append([(event(1), NOON + 500)], [aside(number) for number in range(2, 7)])
    done = held.release(through, lambda each: each.timestamp)
    assert (done.released, done.kept, held.size()) == (5, 0, 0)
    assert ids(log) == ["m1", "m2", "m3", "m4", "m5", "m6"]
    # The instant of receipt never decreases.
    assert {entry.received_at for entry in log.read(0, 9)} == {NOON + 500}
    await log.append([(event(7), NOON)])
    assert log.head() == (7, NOON + 500)


async def test_what_the_judge_keeps_stays_with_the_newest_reason(log: SqliteEventLog, held: SqliteQuarantine) -> None:
    await log.append([], [aside(number) for number in range(4)])
    why = [Violation("ping", "properties.n", "missing", "quarantine")]
    done = held.release(
        lambda each: (None, why) if each.event.properties["n"] % 2 else (each.event, ()), lambda _: NOON
    )
    assert (done.released, done.kept, done.reasons) == (2, 2, {'"n" of "ping" is missing': 2})
    assert [(each.event.message_id, each.violations[0].what) for each in held.listed(9)] == [
        ("m3", "missing"),
        ("m1", "missing"),
    ]


async def test_only_events_of_one_name_are_released_or_deleted(log: SqliteEventLog, held: SqliteQuarantine) -> None:
    await log.append([], [aside(1), aside(2, "pong"), aside(3, "pung")])
    assert held.release(through, lambda _: NOON, event="pong").released == 1
    assert ids(log) == ["m2"]
    assert held.discard(event="ping") == 1
    assert [each.event.name for each in held.listed(9)] == ["pung"]
    assert (held.discard(), held.size()) == (1, 0)


async def test_a_judge_that_fails_loses_and_doubles_nothing(
    log: SqliteEventLog, held: SqliteQuarantine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "RELEASE_BATCH", 3)
    await log.append([], [aside(number) for number in range(10)])
    seen = []

    def judge(each: Quarantined) -> tuple[Event | None, Any]:
        seen.append(each.id)
        if len(seen) == 5:
            raise RuntimeError("a fault")
        return each.event, ()

    with pytest.raises(RuntimeError):
        held.release(judge, lambda _: NOON)
    assert (ids(log), held.size()) == (["m0", "m1", "m2"], 7)
    assert held.release(through, lambda _: NOON).released == 7
    assert Counter(ids(log)) == Counter(f"m{number}" for number in range(10))


KILLED = """
import os, sys
from pathlib import Path
from triggerfish.adapters.sqlite import quarantine
quarantine.RELEASE_BATCH = 4
seen = []
def judge(held):
    seen.append(held.id)
    if len(seen) == 11:
        os._exit(9)  # as a kill would end it, in the middle of a transaction
    return held.event, ()
quarantine.SqliteQuarantine(Path(sys.argv[1])).release(judge, lambda event: event.timestamp)
"""


async def test_a_release_that_is_killed_loses_and_doubles_nothing(
    path: Path, log: SqliteEventLog, held: SqliteQuarantine
) -> None:
    await log.append([], [aside(number) for number in range(20)])
    killed = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", KILLED, str(path)], check=False)
    assert killed.returncode == 9
    assert (len(ids(log)), held.size()) == (8, 12)
    assert held.release(through, lambda _: NOON).released == 12
    assert Counter(ids(log)) == Counter(f"m{number}" for number in range(20))


async def test_events_come_in_while_others_are_released(log: SqliteEventLog, held: SqliteQuarantine) -> None:
    await log.append([], [aside(number) for number in range(600)])
    releasing = asyncio.create_task(asyncio.to_thread(held.release, through, lambda each: each.timestamp))
    for number in range(1_000, 1_050):
        await log.append([(event(number), NOON)], [aside(number + 1_000)])
    assert (await releasing).released >= 600
    held.release(through, lambda each: each.timestamp)
    expected = [*range(600), *range(1_000, 1_050), *range(2_000, 2_050)]
    assert Counter(ids(log)) == Counter(f"m{number}" for number in expected)


async def test_a_full_quarantine_refuses_the_whole_request_and_no_other(
    log: SqliteEventLog, held: SqliteQuarantine
) -> None:
    await log.append([], [aside(number) for number in range(QUARANTINE_LIMIT - 1)])
    full = log.append([(event(1), NOON)], [aside(2), aside(3)])
    good = log.append([(event(4), NOON)])
    refused, stored_one = await asyncio.gather(full, good, return_exceptions=True)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.field, stored_one) == ("TF119", "properties.total", None)
    assert (ids(log), held.size()) == (["m4"], QUARANTINE_LIMIT - 1)
    await log.append([], [aside(5)])
    assert held.size() == QUARANTINE_LIMIT


async def test_counts_are_written_soon_without_an_event_and_add_up(
    path: Path, log: SqliteEventLog, held: SqliteQuarantine
) -> None:
    for number in range(5):
        log.note(counted([(f"m{number}", WHY[0])], NOON + number))
    await asyncio.to_thread(_wait_for_counts, held)
    log.note(counted([("m9", WHY[0])], NOON + 9))
    log.close()  # writes what it has
    (one,) = held.violations()
    assert (one.key, one.quarantined, one.first_at, one.last_at) == (
        ("ping", "properties.total", "type"),
        6,
        NOON,
        NOON + 9,
    )
    assert [each.message_id for each in one.examples] == ["m9"]


def _wait_for_counts(held: SqliteQuarantine) -> None:
    deadline = time.monotonic() + 10
    while not held.violations() and time.monotonic() < deadline:
        time.sleep(0.05)


acts = st.lists(
    st.tuples(st.just("aside"), st.integers(1, 4)) | st.tuples(st.just("release"), st.integers(1, 3)), max_size=8
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=acts)
def test_whatever_is_released_when_every_event_is_in_one_place(tmp_path: Path, acts: list[tuple[str, int]]) -> None:
    path = tmp_path / f"{time.monotonic_ns()}.sqlite"
    migrate(path, SCRIPT)

    async def run() -> None:
        log, held, total = SqliteEventLog(path), SqliteQuarantine(path), 0
        for verb, number in acts:
            if verb == "aside":
                await log.append([], [aside(total + each) for each in range(number)])
                total += number
            else:
                held.release(lambda each, n=number: (each.event if each.id % n else None, ()), lambda _: NOON)
            there = [*ids(log), *(each.event.message_id for each in held.listed(1_000))]
            assert Counter(there) == Counter(f"m{each}" for each in range(total))
        log.close()
        held.close()

    asyncio.run(run())
