from __future__ import annotations

import asyncio
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from contracts.event_log import NOON, EventLogContract, event, ids
from triggerfish.adapters.memory import MemoryEventLog
from triggerfish.adapters.sqlite import log as sqlite_log
from triggerfish.adapters.sqlite.log import SqliteEventLog
from triggerfish.adapters.sqlite.migrate import migrate
from triggerfish.errors import Busy, SettingsWrong, Unavailable

SCRIPT = Path(__file__).parents[2] / "migrations" / "log.py"


@pytest.fixture
def path(tmp_path):
    migrate(tmp_path / "log.sqlite", SCRIPT)
    return tmp_path / "log.sqlite"


class TestMemoryEventLog(EventLogContract):
    @pytest.fixture
    def log(self):
        return MemoryEventLog()


class TestSqliteEventLog(EventLogContract):
    @pytest.fixture
    def log(self, path):
        log = SqliteEventLog(path)
        yield log
        log.close()


@pytest.fixture
def log(path):
    log = SqliteEventLog(path)
    yield log
    log.close()


async def test_positions_go_on_after_the_log_was_closed_and_opened(path):
    for number in (1, 2, 3):
        log = SqliteEventLog(path)
        await log.append([(event(number), NOON + number)])
        log.close()
    log = SqliteEventLog(path)
    assert [(entry.position, entry.event.message_id) for entry in log.read(0, 9)] == [(1, "m1"), (2, "m2"), (3, "m3")]
    assert log.head() == (3, NOON + 3)
    log.close()


async def test_an_instant_from_before_the_log_was_opened_is_raised_too(path):
    first = SqliteEventLog(path)
    await first.append([(event(1), NOON)])
    first.close()
    second = SqliteEventLog(path)
    await second.append([(event(2), NOON - 1_000)])
    assert [entry.received_at for entry in second.read(0, 9)] == [NOON, NOON]
    second.close()


async def test_every_commit_is_flushed_and_the_journal_is_a_wal(log, path):
    await log.append([(event(1), NOON)])
    assert sqlite3.connect(path).execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert log._reader.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


async def test_waiting_appends_share_a_commit(path):
    log = SqliteEventLog(path)
    await log.append([])
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")  # so that all of them have to wait
    before = _commits(path)
    waiting = asyncio.gather(*(log.append([(event(number), NOON)]) for number in range(40)))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    holder.execute("ROLLBACK")
    await waiting
    assert len(log.read(0, 100)) == 40
    assert _commits(path) - before <= 3
    log.close()
    holder.close()


def _commits(path: Path) -> int:
    """How many frames in the WAL end a commit (https://sqlite.org/fileformat2.html#walformat)."""
    wal = path.with_name(path.name + "-wal").read_bytes()
    page = int.from_bytes(wal[8:12], "big")
    frames = range(32, len(wal), 24 + page)
    return sum(1 for at in frames if int.from_bytes(wal[at + 4 : at + 8], "big"))


async def test_more_than_the_queue_holds_is_busy_and_is_not_stored(path):
    log = SqliteEventLog(path, queue_events=4)
    await log.append([])
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    first = asyncio.ensure_future(log.append([(event(number), NOON) for number in range(4)]))
    await asyncio.sleep(0.05)
    with pytest.raises(Busy) as busy:
        await log.append([(event(90), NOON), (event(91), NOON)])
    with pytest.raises(Busy):
        log.check_room()
    assert busy.value.retry_after_seconds >= 1
    holder.execute("ROLLBACK")
    await first
    log.check_room()
    await log.append([(event(5), NOON)])
    assert ids(log.read(0, 100)) == ["m0", "m1", "m2", "m3", "m5"]
    log.close()
    holder.close()


async def test_behind_what_has_waited_too_long_no_more_is_let_in_unless_it_is_little(path, monkeypatch):
    log = SqliteEventLog(path, queue_events=48)
    await log.append([])
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    first = [asyncio.ensure_future(log.append([(event(number), NOON)])) for number in range(2)]
    await asyncio.sleep(0.05)
    monkeypatch.setattr(sqlite_log, "PATIENCE_SECONDS", 0.02)
    log.check_room()  # two are little
    third = asyncio.ensure_future(log.append([(event(2), NOON)]))
    await asyncio.sleep(0.01)
    with pytest.raises(Busy) as busy:
        await log.append([(event(3), NOON)])
    assert 1 <= busy.value.retry_after_seconds <= 3
    holder.execute("ROLLBACK")
    await asyncio.gather(*first, third)
    log.check_room()
    assert ids(log.read(0, 100)) == ["m0", "m1", "m2"]
    log.close()
    holder.close()


async def test_the_queue_is_bounded_in_bytes_too(path):
    log = SqliteEventLog(path, queue_bytes=1_000)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    first = asyncio.ensure_future(log.append([(event(1, properties={"text": "x" * 1_000}), NOON)]))
    await asyncio.sleep(0.05)
    with pytest.raises(Busy):
        await log.append([(event(2), NOON)])
    holder.execute("ROLLBACK")
    await first
    log.close()
    holder.close()


async def test_one_append_larger_than_the_queue_goes_through(path):
    log = SqliteEventLog(path, queue_events=5)
    await log.append([(event(number), NOON) for number in range(20)])
    assert log.head()[0] == 20
    log.close()


@pytest.mark.parametrize("how", ["deleted", "replaced"])
async def test_a_wal_that_somebody_takes_away_stops_acknowledgements_and_loses_nothing(path, how):
    log = SqliteEventLog(path)
    await log.append([(event(1), NOON), (event(2), NOON)])
    wal = path.with_name(f"{path.name}-wal")
    wal.unlink()
    path.with_name(f"{path.name}-shm").unlink()
    if how == "replaced":
        wal.write_bytes(b"")
    for number in (3, 4):
        with pytest.raises(Unavailable, match="another program has deleted or replaced its -wal file") as refused:
            await log.append([(event(number), NOON)])
        assert "restart it" in refused.value.hint
    log.close()
    with closing(SqliteEventLog(path)) as again:
        assert ids(again.read(0, 100)) == ["m1", "m2"]
        await again.append([(event(5), NOON)])
        assert ids(again.read(0, 100)) == ["m1", "m2", "m5"]


async def test_a_disk_that_refuses_is_told_and_the_log_goes_on_when_it_can(path, caplog):
    log = SqliteEventLog(path)
    await log.append([(event(1), NOON)])
    largest = max(file.stat().st_size for file in path.parent.iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 8_192, hard))  # the file system says no, as a full one would
    try:
        with pytest.raises(Unavailable, match="the event log cannot be used just now: the disk fails"):
            await log.append([(event(2, properties={"text": "x" * 200_000}), NOON)])
        with pytest.raises(Unavailable):
            await log.append([(event(3, properties={"text": "x" * 200_000}), NOON)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await log.append([(event(4), NOON)])
    assert ids(log.read(0, 100)) == ["m1", "m4"]
    assert caplog.text.count("log.sqlite cannot be used: the disk fails (SQLITE_IOERR_WRITE)") == 1
    assert "can be used again, after 0 s and 2 tries" in caplog.text
    log.close()


async def test_a_closed_log_takes_nothing(path):
    log = SqliteEventLog(path)
    await log.append([(event(1), NOON)])
    log.close()
    with pytest.raises(Unavailable):
        await log.append([(event(2), NOON)])


async def test_closing_waits_for_what_was_appended(path):
    log = SqliteEventLog(path)
    waiting = [asyncio.ensure_future(log.append([(event(number), NOON)])) for number in range(50)]
    await asyncio.sleep(0)
    await asyncio.to_thread(log.close)
    await asyncio.gather(*waiting)
    again = SqliteEventLog(path)
    assert again.head()[0] == 50
    again.close()


async def test_a_sender_that_gave_up_does_not_disturb_the_others(log):
    gone = asyncio.ensure_future(log.append([(event(1), NOON)]))
    await asyncio.sleep(0)
    gone.cancel()
    await log.append([(event(2), NOON)])
    assert "m2" in ids(log.read(0, 9))


_READER = """
import sys, time
from pathlib import Path
from triggerfish.adapters.sqlite.log import SqliteEventLog

log = SqliteEventLog(Path(sys.argv[1]))
print("ready", flush=True)
seen = []
deadline = time.monotonic() + 30
while len(seen) < 600 and time.monotonic() < deadline:
    seen += [entry.position for entry in log.read(seen[-1] if seen else 0, 100)]
print(*seen)
"""


async def test_another_process_reads_while_events_are_appended(log, path):
    command = [sys.executable, "-c", _READER, str(path)]
    reader = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert await reader.stdout.readline() == b"ready\n"
    for start in range(0, 600, 20):
        await asyncio.gather(*(log.append([(event(start + number), NOON)]) for number in range(20)))
    said, _ = await reader.communicate()
    assert [int(position) for position in said.split()] == list(range(1, 601))


_APPENDER = """
import asyncio, sys
from pathlib import Path
from triggerfish.adapters.sqlite.log import SqliteEventLog
from triggerfish.ingest import Event

async def sender(log, who):
    for number in range(100_000):
        message_id = f"{who}-{number}"
        await log.append([(Event("track", "ping", message_id, 1, user_id="ana"), 1)])
        sys.stdout.write(message_id + "\\n")
        sys.stdout.flush()

async def main():
    log = SqliteEventLog(Path(sys.argv[1]))
    await asyncio.gather(*(sender(log, who) for who in range(8)))

asyncio.run(main())
"""


@pytest.mark.faults
def test_what_was_acknowledged_survives_a_kill(path):
    for seconds in (0.4, 0.6, 0.9):
        process = subprocess.Popen([sys.executable, "-c", _APPENDER, str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        first = process.stdout.readline().strip()  # however long it takes to start
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        said, _ = process.communicate()
        acknowledged = [first, *said.splitlines()[:-1]]  # the last line may be cut
        log = SqliteEventLog(path)
        stored = set(ids(log.read(0, 1_000_000)))
        log.close()
        assert len(acknowledged) > 1
        assert stored.issuperset(acknowledged)


def test_a_file_that_is_no_log_is_refused_with_its_name(tmp_path):
    (tmp_path / "other.sqlite").write_bytes(b"this is no database, only text that is long enough" * 10)
    with pytest.raises(SettingsWrong, match=r"other\.sqlite is no event log") as error:
        SqliteEventLog(tmp_path / "other.sqlite")
    assert error.value.code == "TF412"
    with pytest.raises(SettingsWrong):
        SqliteEventLog(tmp_path / "missing.sqlite")
    assert not (tmp_path / "missing.sqlite").exists()


def test_migrating_twice_changes_nothing(tmp_path):
    first = migrate(tmp_path / "log.sqlite", SCRIPT)
    assert first == ["m001_events", "m002_probe", "m003_quarantine"]
    assert migrate(tmp_path / "log.sqlite", SCRIPT) == []


def test_a_file_from_a_newer_version_is_refused(path):
    with sqlite3.connect(path) as connection:
        later = ("triggerfish.log", "m999_later", "")
        connection.execute("INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES (?, ?, ?)", later)
    connection.close()
    with pytest.raises(SettingsWrong, match="m999_later") as error:
        migrate(path, SCRIPT)
    assert error.value.code == "TF411"
    assert path.exists()
