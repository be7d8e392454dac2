"""The workload that everything is measured with: the same at every run, for both rule engines, and no flood."""

from pathlib import Path

import pytest
from benchmarks import floor, reference
from benchmarks.following import Followed
from benchmarks.reference_goals import ALIKE, check
from benchmarks.reference_people import stream
from benchmarks.reference_rules import rule_files

SMALL = reference.Size(profiles=150, events=300)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reference")


@pytest.fixture(scope="module")
def runs(shelf: Path) -> dict[str, Followed]:
    return {engine: reference.run(SMALL, engine, shelf, shelf=shelf) for engine in ("durable", "compiled")}


def test_both_rule_engines_come_to_the_same_end(runs: dict[str, Followed]) -> None:
    assert runs["durable"].digest == runs["compiled"].digest
    check(runs, SMALL)


def test_the_workload_is_the_same_at_every_run(runs: dict[str, Followed], tmp_path: Path) -> None:
    again = reference.run(SMALL, "compiled", tmp_path, shelf=tmp_path)
    assert again.digest == runs["compiled"].digest
    assert again.rows == runs["compiled"].rows


def test_the_floor_fires_the_rules_that_the_server_fires(runs: dict[str, Followed], shelf: Path) -> None:
    path = shelf / "floor.sqlite3"
    floor.convert(reference.state_of(SMALL, shelf), path, reference.rulebook_of(SMALL))
    found = floor.follow(reference.log_of(SMALL, shelf), path, SMALL.rules, SMALL.segments)
    fired = runs["compiled"].rows["moments: decision"]
    assert found.events == SMALL.events
    assert abs(found.fired - fired) <= ALIKE * fired + 1


def test_a_rulebook_has_as_many_rules_and_segments_as_asked_for() -> None:
    for rules, segments in ((10, 50), (200, 50), (210, 60)):
        rulebook = reference.rulebook_of(reference.Size(rules=rules, segments=segments))
        assert sum(len(ruleset.rules) for ruleset in rulebook.rulesets) == rules
        assert len(rulebook.segments.segments) == segments


def test_more_rules_leave_the_first_ones_as_they_are() -> None:
    few, many = rule_files(200, 50), rule_files(400, 50)
    assert {name: many[name] for name in few} == few


def test_segments_that_are_no_whole_trees_are_refused() -> None:
    with pytest.raises(ValueError, match="55 segments"):
        rule_files(200, 55)


def test_some_people_come_much_more_often_than_others() -> None:
    events = list(stream(4_000, 1_000, 0))
    visits: dict[str | None, int] = {}
    for event in events:
        visits[event.user_id] = visits.get(event.user_id, 0) + 1
    assert max(visits.values()) > 10 * len(events) / 1_000
    assert len({event.message_id for event in events}) == len(events)
    assert sorted(events, key=lambda event: event.timestamp) == events
