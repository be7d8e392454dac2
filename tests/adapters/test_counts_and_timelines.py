"""Counts that are kept agree with counting, whatever happens; timelines are the same however lines lie in rows."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace

from contracts.state_store import outcome, profile, send
from triggerfish.adapters.sqlite import timelines
from triggerfish.adapters.sqlite.migrate import migrate
from triggerfish.adapters.sqlite.state import SqliteStateStore
from triggerfish.config.starter import starter_path
from triggerfish.engine import Membership, Moment
from worlds import NOON

PEOPLE = [f"p{number}" for number in range(12)]
SEGMENTS = ["new", "loyal", "gone"]
STATUSES = ["scheduled", "due", "skipped", "retrying"]
HEARD = ["Email Delivered", "Email Opened", "Email Link Clicked", "Email Bounced", "Product Viewed"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "state.db"
    migrate(path, starter_path("migrations") / "state.py")
    return path


def counted(path: Path, kept: str, whole: str) -> tuple[dict[tuple, int], dict[tuple, int]]:
    with closing(sqlite3.connect(path)) as db:
        return tuple({tuple(key): count for *key, count in db.execute(each) if count} for each in (kept, whole))


@pytest.mark.parametrize("seed", range(6))
def test_counts_that_are_kept_agree_with_counting(path: Path, seed: int):
    dice = Random(seed)
    with closing(SqliteStateStore(path, cache_limit=dice.choice([2, 100]))) as store:
        for position in range(1, 40):
            people = dice.sample(PEOPLE, 4)
            changes = [Membership(dice.choice(SEGMENTS), each, dice.choice([None, NOON, NOON + 1])) for each in people]
            sends = [send(each, dice.choice(STATUSES)) for each in dice.sample("abcdefgh", 3)]
            told = {"send": dice.choice("abcdefghi"), "event": dice.choice(HEARD), "is_machine": dice.random() < 0.5}
            merged = {dice.choice(PEOPLE): people[0]} if dice.random() < 0.2 else {}
            merged.pop(people[0], None)
            kept = [each for each in people if each not in merged]
            changes = [each for each in changes if each.profile not in merged]
            store.commit(
                outcome(
                    *(profile(each, memberships=dict.fromkeys(SEGMENTS, NOON)) for each in kept),
                    memberships=changes,
                    sends=sends,
                    merged=merged,
                    moments=[Moment(people[0], NOON, "event", told, position)],
                ),
                position,
                NOON,
            )
            marked = [replace(each, status=dice.choice(["sending", "sent", "uncertain"])) for each in sends]
            store.mark([replace(each, handed_at=NOON) for each in marked if dice.random() < 0.3], [])
    everybody = "SELECT '', count(*) FROM profiles UNION ALL SELECT segment, count(*) FROM memberships GROUP BY 1"
    kept_heads, heads = counted(path, "SELECT segment, count FROM headcounts", everybody)
    assert kept_heads == heads
    assert heads[("",)] > 4
    of_sends = "SELECT ruleset, rule, status, heard, count(*) FROM sends GROUP BY 1, 2, 3, 4"
    kept_sends, sends_there = counted(path, "SELECT * FROM tallies", of_sends)
    assert kept_sends == sends_there
    assert len({heard for *_, heard in sends_there}) > 1


def test_lines_come_in_order_of_their_numbers_however_they_lie_in_rows(path: Path):
    dice = Random(3)
    told: list[tuple[str, str]] = []
    with closing(SqliteStateStore(path)) as store:
        for position in range(1, 12):
            moments = [
                Moment(dice.choice(PEOPLE[:3]), NOON, "event", {"event": f"e{position}.{number}"}, position)
                for number in range(dice.randrange(9))
            ]
            told += [(each.profile, each.body["event"]) for each in moments]
            store.commit(outcome(moments=moments), position, NOON)
    lines = [(number, who, name) for number, (who, name) in enumerate(told, 1)]
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT id, profile, body ->> 'event' FROM moments ORDER BY id").fetchall() == lines
        two = {"p0", "p1"}
        of_two = [line for line in lines if line[1] in two]

        def seen(found) -> list[tuple[int, str, str]]:
            return [(line.number, line.profile, line.body["event"]) for line in found]

        assert seen(timelines.oldest(db, two)) == of_two
        assert seen(timelines.oldest(db, two, 5)) == of_two[:5]
        for limit in (1, 4, 100):
            assert seen(timelines.latest(db, limit)) == lines[::-1][:limit]
            for before in (None, *range(1, len(lines) + 2)):
                earlier = [line for line in of_two if before is None or line[0] < before]
                assert seen(timelines.newest(db, two, limit, before)) == earlier[::-1][:limit]


def test_an_earlier_state_keeps_its_timelines_results_and_counts(tmp_path: Path):
    script = tmp_path / "earlier.py"
    whole = (starter_path("migrations") / "state.py").read_text()
    script.write_text(whole[: whole.index("@migrations()\ndef m016_timelines")])
    path = tmp_path / "state.db"
    migrate(path, script)
    rows = [(1, "ana", NOON, "event", 7, '{"event":"Zoë \\"x\\"","n":1.50}'), (2, "bo", NOON, "merge", 0, "{}")]
    with closing(sqlite3.connect(path)) as db, db:
        db.executemany("INSERT INTO moments VALUES (?, ?, ?, ?, ?, ?)", rows)
        db.execute("INSERT INTO profiles VALUES ('ana', NULL, x'')")
        db.execute("INSERT INTO memberships VALUES ('new', 'ana', 1)")
        columns = (
            "number, id, profile, ruleset, rule, template, class, purpose, channel, status, reason, due_at, attempt"
        )
        sent = (
            f"INSERT INTO sends ({columns}) VALUES (?, ?, 'ana', 's', 'r', 't', 'marketing', '', 'c', 'sent', '', 1, 1)"
        )
        db.executemany(sent, [(1, "a"), (2, "b"), (3, "c")])
        told = [("a", "Email Opened", 0), ("a", "Email Link Clicked", 1), ("b", "Email Delivered", 1)]
        db.executemany("INSERT INTO feedback (send, name, is_human) VALUES (?, ?, ?)", told)
    migrate(path, starter_path("migrations") / "state.py")
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT * FROM moments ORDER BY id").fetchall() == rows
        assert db.execute("SELECT id, heard FROM sends ORDER BY id").fetchall() == [("a", 134), ("b", 1), ("c", 0)]
        assert db.execute("SELECT * FROM headcounts").fetchall() == [("", 1), ("new", 1)]
        tallies = db.execute("SELECT heard, count FROM tallies WHERE status = 'sent' ORDER BY heard").fetchall()
        assert tallies == [(0, 1), (1, 1), (134, 1)]
