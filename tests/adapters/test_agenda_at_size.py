"""However many wait, each query goes straight to what it asks for: by an index, without a sort or a scan."""

import re
import sqlite3

import pytest
from benchmarks import agenda

from triggerfish.adapters.sqlite import outgoing, traffic
from triggerfish.adapters.sqlite.migrate import migrate
from triggerfish.config import starter_path

QUERIES = {
    "the next people": ("SELECT wake_at, id FROM profiles WHERE wake_at <= 5 ORDER BY wake_at, id LIMIT 9", ()),
    "the next instant": ("SELECT min(wake_at) FROM profiles WHERE wake_at IS NOT NULL", ()),
    "the lanes": (outgoing._LANES, ()),
    "one lane": (outgoing._IN_LANE, ("smtp marketing other", 5, 9)),
    "the calls": (outgoing._CALLS, ()),
    "what was handed over": (outgoing._HANDED.format("?, ?"), ("p", "q", 5)),
    "what waits of a rule": (traffic._WAITING, ("set", "rule", 1, 9, 9)),
}


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    path = tmp_path_factory.mktemp("agenda") / "state.sqlite3"
    migrate(path, starter_path("migrations") / "state.py")
    opened = sqlite3.connect(path)
    yield opened
    opened.close()


@pytest.mark.parametrize("name", QUERIES)
def test_an_index_answers_it(db, name):
    query, values = QUERIES[name]
    plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query}", values)]
    tables = [step for step in plan if re.search(r"\b(sends|profiles)\b", step)]
    assert tables
    assert all(re.search(r"USING (COVERING )?INDEX", step) for step in tables), plan
    assert not [step for step in plan if "TEMP B-TREE" in step], plan


def test_what_is_due_leaves_in_order_from_lanes_and_agenda_of_some_size(tmp_path):
    """The measurement checks the order all along, and raises where it is wrong."""
    found = agenda.play(tmp_path / "state.sqlite3", 2_000)
    assert [what for what, _ in found.items()] == [
        "arm a wait", "end a wait", "look again at a wait that is over", "hand over a message", "memory, at its peak",
    ]  # fmt: skip
    assert all(cost > 0 for cost, _ in found.values())
