from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from contracts.state_store import ANA, StateStoreContract, outcome, profile, send
from triggerfish.adapters.memory_store import MemoryStateStore
from triggerfish.adapters.sqlite.migrate import migrate
from triggerfish.adapters.sqlite.state import SqliteStateStore
from triggerfish.config.starter import starter_path
from triggerfish.engine import Membership, Moment, Withdrawal
from triggerfish.errors import SettingsWrong, Unavailable, WorkspaceTaken
from triggerfish.profile import Claim
from worlds import NOON


class TestMemoryStateStore(StateStoreContract):
    @pytest.fixture
    def store(self) -> MemoryStateStore:
        return MemoryStateStore()


class TestSqliteStateStore(StateStoreContract):
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "state.db"
        migrate(path, starter_path("migrations") / "state.py")
        return path

    @pytest.fixture
    def store(self, path: Path):
        with closing(SqliteStateStore(path)) as store:
            yield store

    @pytest.mark.parametrize("whose", ["ana", "bo"], ids=["before", "after"])
    def test_a_message_stopped_in_the_batch_of_a_merge_is_whose_it_was_then(self, store, path: Path, whose: str):
        store.commit(outcome(profile("ana"), profile("bo"), sends=[send("a")]), 1, NOON)
        moment = Moment(whose, NOON + 1, "send", {"send": "a", "status": "skipped", "rule": "set / rule"})
        stopped = Withdrawal("a", whose, "a purchase happened", NOON + 1, 0)
        store.commit(outcome(profile("bo"), merged={"ana": "bo"}, withdrawals=[stopped], moments=[moment]), 2, NOON + 1)
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("SELECT profile, status FROM sends").fetchall() == [(whose, "skipped")]

    def test_all_is_there_after_a_restart(self, path: Path):
        with closing(SqliteStateStore(path)) as store:
            given = outcome(profile("ana", wake_at=NOON + 1), owners={ANA: "ana"}, sends=[send("one")])
            store.commit(given, 3, NOON)
            store.attempt(4)
        with closing(SqliteStateStore(path)) as store:
            assert store.position() == (3, NOON)
            assert store.load([ANA], []).profiles == {"ana": profile("ana", wake_at=NOON + 1)}
            assert store.agenda(NOON + 1, 9) == [(NOON + 1, "ana")]
            assert [due.id for due in store.to_send(NOON, 9)] == ["one"]
            assert store.attempt(4) == 2

    def test_a_commit_that_fails_changes_neither_file_nor_memory(self, store: SqliteStateStore):
        ana = profile("ana")
        store.commit(outcome(ana, owners={ANA: "ana"}, sends=[send("one", "scheduled")]), 1, NOON)
        broken = outcome(
            profile("ana", suppressed="changed"),
            owners={Claim("user", "new"): "ana"},
            memberships=[Membership("active", "ana", NOON)],
            sends=[send("one")],
            moments=[None],
        )
        with pytest.raises(AttributeError):
            store.commit(broken, 2, NOON + 9)
        assert store.position() == (1, NOON)
        assert store.load([ANA, Claim("user", "new")], []).profiles == {"ana": ana}
        assert store.load([Claim("user", "new")], []).owners == {}
        assert store.to_send(NOON, 9) == []
        store.commit(outcome(profile("ana", suppressed="changed")), 2, NOON)
        assert store.load([ANA], []).profiles["ana"].suppressed == "changed"

    def test_a_full_disk_undoes_the_whole_batch_and_the_next_one_goes_through(self, path: Path):
        with closing(SqliteStateStore(path)) as store:
            pages = store._db.execute("PRAGMA page_count").fetchone()[0]
            store._db.execute(f"PRAGMA max_page_count = {pages + 8}")
            many = outcome(*(profile(f"p{number}", suppressed="x" * 500) for number in range(300)))
            with pytest.raises(Unavailable, match="the disk is full"):
                store.commit(many, 1, NOON)
            assert store.trouble == "the disk is full"
            assert store.position() == (0, 0), "the connection is a fresh one, without that limit"
            assert store.load([], ["p1"]).profiles == {}
            store.commit(many, 1, NOON)
            assert store.trouble == ""
            assert len(store.load([], ["p1", "p299"]).profiles) == 2

    def test_a_wal_that_somebody_takes_away_stops_what_is_decided_and_loses_nothing(self, path: Path):
        with closing(SqliteStateStore(path)) as store:
            store.commit(outcome(profile("ana")), 1, NOON)
            path.with_name(f"{path.name}-wal").unlink()
            path.with_name(f"{path.name}-shm").unlink()
            for _ in range(2):
                with pytest.raises(Unavailable, match="another program has deleted or replaced its -wal file"):
                    store.commit(outcome(profile("bo")), 2, NOON)
            assert "-wal" in store.trouble
        with closing(SqliteStateStore(path)) as again:
            assert again.position() == (1, NOON)
            assert again.load([], ["ana", "bo"]).profiles.keys() == {"ana"}
            again.commit(outcome(profile("bo")), 2, NOON)

    def test_a_second_worker_cannot_decide_the_same_events(self, path: Path):
        with closing(SqliteStateStore(path)) as first, closing(SqliteStateStore(path)) as second:
            first.commit(outcome(profile("ana")), 5, NOON)
            with pytest.raises(WorkspaceTaken) as caught:
                second.commit(outcome(profile("bo")), 5, NOON)
            assert caught.value.code == "TF413"
            assert first.load([], ["ana", "bo"]).profiles.keys() == {"ana"}

    def test_the_log_position_never_goes_back(self, store: SqliteStateStore):
        store.commit(outcome(), 5, NOON)
        with pytest.raises(WorkspaceTaken):
            store.commit(outcome(), 4, NOON)
        assert store.position() == (5, NOON)

    def test_only_so_many_profiles_are_kept_in_memory(self, path: Path):
        with closing(SqliteStateStore(path, cache_limit=10)) as store:
            people = [profile(f"p{number}") for number in range(40)]
            store.commit(outcome(*people), 1, NOON)
            assert len(store._hot) == 10
            assert store.load([], [each.id for each in people]).profiles == {each.id: each for each in people}
            assert len(store._hot) == 10

    def test_of_large_profiles_fewer_are_kept_in_memory(self, path: Path):
        with closing(SqliteStateStore(path)) as store:
            large = [profile(f"p{number}", time_zone="x" * 3_000_000) for number in range(9)]
            store.commit(outcome(*large), 1, NOON)
            assert len(store._hot) == 5
            store.load([], [each.id for each in large])
            store.commit(outcome(profile("p8"), profile("p3")), 2, NOON)
            assert len(store._hot) == 5
            assert store._hot.size < 10_000_000

    def test_marks_are_on_disk_when_mark_returns_and_commits_are_not_waited_for(self, path: Path):
        with closing(SqliteStateStore(path)) as store:
            store.commit(outcome(sends=[send("one")]), 1, NOON)
            assert store._db.execute("PRAGMA synchronous").fetchone() == (1,)
            store.mark([send("one", "sending")], [])
            assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)

    @pytest.mark.faults
    def test_a_worker_killed_in_a_commit_leaves_the_batch_whole_or_untouched(self, path: Path):
        script = """
import sys
from pathlib import Path
from contracts.state_store import outcome, profile
from triggerfish.adapters.sqlite.state import SqliteStateStore
store = SqliteStateStore(Path(sys.argv[1]))
position = store.position()[0]
first = position + 1
while True:
    position += 1
    store.commit(outcome(*(profile(f"p{n}", suppressed=str(position)) for n in range(50))), position, position)
    if position == first:
        print("on", flush=True)
"""
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
        for wait in (0.02, 0.05, 0.011, 0.033, 0.07):
            child = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, env=environment)
            with child:
                assert child.stdout is not None
                child.stdout.readline()
                try:
                    child.wait(wait)
                except subprocess.TimeoutExpired:
                    child.send_signal(signal.SIGKILL)
            with closing(SqliteStateStore(path)) as store:
                position, until = store.position()
                assert position == until > 0
                profiles = store.load([], [f"p{n}" for n in range(50)]).profiles.values()
                assert {each.suppressed for each in profiles} == {str(position)}
                assert len(profiles) == 50

    def test_a_file_that_is_no_state_is_refused(self, tmp_path: Path):
        other = tmp_path / "notes.txt"
        other.write_text("no database, but long enough to look at " * 100)
        for path in (other, tmp_path / "missing.db"):
            with pytest.raises(SettingsWrong) as caught:
                SqliteStateStore(path)
            assert caught.value.code == "TF412"
