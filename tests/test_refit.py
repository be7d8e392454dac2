"""A changed rulebook is fitted to the people who are there: counts from the log, segments worked out, in silence."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from triggerfish import refit, walk
from triggerfish.activity import Activity
from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.adapters.memory import MemoryEventLog
from triggerfish.adapters.memory_store import MemoryStateStore
from triggerfish.adapters.sqlite.migrate import migrate
from triggerfish.adapters.sqlite.state import SqliteStateStore
from triggerfish.clock import DAY, HOUR
from triggerfish.config import starter_path
from triggerfish.engine import Outcome, StateStore
from triggerfish.ingest import Event
from triggerfish.plugin.testing import START, SetClock
from triggerfish.profile import Claim, Profile
from triggerfish.rulefile.compile import load_rulebook

BEFORE = """
segments:
  - name: buyers
    when: count(bought) >= 1
"""
AFTER = """
segments:
  - name: buyers
    when: count(bought) >= 2
    segments:
      - name: spenders
        when: sum(bought.total, "30d") > 20 and did(looked)
ruleset: welcome
rules:
  - name: hello
    on: segment.entered
    then:
      - set: {greeted: true}
"""


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StateStore]:
    migrate(tmp_path / "state.sqlite3", starter_path("migrations") / "state.py")
    made: StateStore = MemoryStateStore() if request.param == "memory" else SqliteStateStore(tmp_path / "state.sqlite3")
    yield made
    made.close()


@pytest.fixture
def house(store: StateStore) -> Callable[[str], walk.House]:
    """A worker's house on one log, store and clock, whatever the rules are."""
    log, clock = MemoryEventLog(), SetClock()

    def made(rules: str) -> walk.House:
        rulebook, _ = load_rulebook({"rules/all.yaml": rules}, templates={}, matcher=CompiledMatcher)
        return walk.House(
            log=log,
            store=store,
            clock=clock,
            rulebook=rulebook,
            templates={},
            channel=None,  # type: ignore[arg-type]  # nothing is sent here
            links=None,  # type: ignore[arg-type]
            dice=lambda: 0.5,
            batch_events=3,
        )

    return made


def bought(user: str, number: int, total: float, days_ago: float = 1) -> tuple[Event, int]:
    at = START - int(days_ago * DAY)
    event = Event(
        kind="track",
        name="bought",
        message_id=f"{user}-{number}",
        timestamp=at,
        user_id=user,
        properties={"total": total},
    )
    return event, START


def looked(user: str) -> tuple[Event, int]:
    return Event(kind="track", name="looked", message_id=f"{user}-look", timestamp=START, user_id=user), START


async def play(house: walk.House, events: Sequence[tuple[Event, int]]) -> None:
    await house.log.append(list(events))
    walk.fit(house)
    while walk.follow(house):
        pass


def person(house: walk.House, user: str) -> Profile:
    claim = Claim("user", user)
    loaded = house.store.load([claim], [])
    return loaded.profiles[loaded.owners[claim]]


HISTORY = [
    bought("ana", 1, 15),
    bought("ana", 2, 10),
    looked("ana"),
    bought("bob", 1, 50),
    bought("cem", 1, 30, days_ago=40),
    bought("cem", 2, 5),
    looked("cem"),
]


async def test_new_counts_are_filled_from_the_log_before_the_rules_go_live(house: Callable[[str], walk.House]) -> None:
    await play(house(BEFORE), HISTORY)
    after = house(AFTER)
    assert walk.fit(after)
    assert set(person(after, "ana").memberships) == {"buyers", "spenders"}
    assert set(person(after, "bob").memberships) == set()
    assert set(person(after, "cem").memberships) == {"buyers"}


async def test_every_part_of_the_log_and_of_the_people_is_a_sign_of_life(
    house: Callable[[str], walk.House], monkeypatch: pytest.MonkeyPatch
) -> None:
    await play(house(BEFORE), HISTORY)
    monkeypatch.setattr(walk, "FIT_BATCH", 1)
    signs: list[None] = []
    walk.fit(house(AFTER), lambda: signs.append(None))
    assert len(signs) >= len(HISTORY) + len({event.user_id for event, _ in HISTORY})


async def test_people_are_as_if_the_new_rulebook_had_always_been_there(house: Callable[[str], walk.House]) -> None:
    await play(house(BEFORE), HISTORY)
    after = house(AFTER)
    walk.fit(after)
    fitted = {user: person(after, user) for user in ("ana", "bob", "cem")}
    for user, profile in fitted.items():
        counted = {activity.key: activity for activity in after.rulebook.activities}
        assert set(profile.activity) >= {key for key, each in counted.items() if each.event == "bought"}, user
    await play(after, [bought("bob", 2, 1), looked("bob")])
    assert set(person(after, "bob").memberships) == {"buyers", "spenders"}


async def test_nobody_gets_anything_because_the_rules_changed(house: Callable[[str], walk.House]) -> None:
    await play(house(BEFORE), HISTORY)
    after = house(AFTER)
    walk.fit(after)
    while walk.follow(after):
        pass
    assert person(after, "ana").trait("greeted") is None


async def test_an_event_that_was_sent_twice_is_filled_once(house: Callable[[str], walk.House]) -> None:
    await play(house(BEFORE), [*HISTORY, bought("bob", 1, 50)])
    after = house(AFTER)
    walk.fit(after)
    assert "buyers" not in person(after, "bob").memberships


async def test_fitting_that_was_broken_off_begins_anew_with_the_same_result(house: Callable[[str], walk.House]) -> None:
    await play(house(BEFORE), HISTORY)
    after = house(AFTER)
    for _ in range(2):
        walk.fit(after)
        after.store.note_fitted(frozenset())  # as if the worker had died before it noted that it was done
    walk.fit(after)
    total = next(each for each in after.rulebook.activities if each.field == ("total",))
    assert len(person(after, "ana").activity[total.key].times) == 2  # type: ignore[union-attr]


async def test_an_unchanged_rulebook_is_fitted_already(house: Callable[[str], walk.House]) -> None:
    await play(house(BEFORE), HISTORY)
    assert not walk.fit(house(BEFORE))
    assert walk.fit(house(AFTER))
    assert not walk.fit(house(AFTER))


async def test_what_time_changed_before_the_fitting_still_happens(house: Callable[[str], walk.House]) -> None:
    leaving = AFTER.replace("on: segment.entered", "on: segment.left")
    await play(house(BEFORE), HISTORY)
    after = house(leaving)
    after.clock.at += 29 * DAY + HOUR  # type: ignore[attr-defined]  # the server was off for a month
    walk.fit(after)
    while walk.follow(after):
        pass
    assert person(after, "ana").trait("greeted") is True


async def test_what_is_fitted_follows_time_from_then_on(house: Callable[[str], walk.House]) -> None:
    await play(house(BEFORE), HISTORY)
    after = house(AFTER)
    walk.fit(after)
    after.clock.at += 29 * DAY + HOUR  # type: ignore[attr-defined]
    while walk.follow(after):
        pass
    assert set(person(after, "ana").memberships) == {"buyers"}


async def test_people_too_many_to_hold_at_once_are_filled_share_by_share(
    house: Callable[[str], walk.House], monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = [bought(f"p{number}", each, 15) for number in range(40) for each in range(number % 4)]
    await play(house(BEFORE), [*HISTORY, *crowd, *crowd[:20]])
    whole, shared = house(AFTER), house(AFTER)
    walk.fit(whole)
    expected = {each.id: each for each in whole.store.everybody("", 1_000)}
    whole.store.note_fitted(frozenset())
    readings = []
    monkeypatch.setattr(refit.Traces, "__init__", _counting(readings))
    assert walk.fit(shared)
    assert {each.id: each for each in shared.store.everybody("", 1_000)} == expected
    assert readings[0].shares >= 4


def _counting(made: list[refit.Traces]) -> Callable[..., None]:
    """`Traces.__init__` with a small limit, which notes what it makes."""
    begin = refit.Traces.__init__

    def begin_small(self: refit.Traces, activities: Sequence[Activity]) -> None:
        begin(self, activities, limit=20)
        made.append(self)

    return begin_small


async def test_a_new_count_that_no_segment_reads_moves_nobody_and_is_filled(house: Callable[[str], walk.House]) -> None:
    await play(house(BEFORE), HISTORY)
    before = {each.id: each for each in house(BEFORE).store.everybody("", 100)}
    counting = house(
        BEFORE + "ruleset: r\nrules: [{name: n, on: looked, when: count(looked) >= 1, then: [set: {x: 1}]}]\n"
    )
    assert walk.fit(counting)
    after = {each.id: each for each in counting.store.everybody("", 100)}
    changed = {each for each in after if after[each] != before[each]}
    assert changed == {person(counting, user).id for user in ("ana", "cem")}
    assert not walk.fit(counting)


async def test_a_fitting_that_was_broken_off_is_undone_should_the_rules_be_as_before(
    house: Callable[[str], walk.House], monkeypatch: pytest.MonkeyPatch
) -> None:
    await play(house(BEFORE), HISTORY)
    before = {each.id: each.memberships.keys() for each in house(BEFORE).store.everybody("", 100)}
    after = house(AFTER)
    monkeypatch.setattr(walk, "FIT_BATCH", 2)
    write, written = after.store.refit, []

    def refit_once(outcome: Outcome) -> None:
        if written:
            raise KeyboardInterrupt
        written.append(write(outcome))

    with monkeypatch.context() as patched:
        patched.setattr(after.store, "refit", refit_once)
        with pytest.raises(KeyboardInterrupt):
            walk.fit(after)
    assert before != {each.id: each.memberships.keys() for each in after.store.everybody("", 100)}
    assert walk.fit(house(BEFORE))
    assert before == {each.id: each.memberships.keys() for each in after.store.everybody("", 100)}


async def test_what_was_not_counted_for_a_while_is_filled_when_it_is_asked_for_again(
    house: Callable[[str], walk.House],
) -> None:
    await play(house(BEFORE), HISTORY)
    await play(house("segments: [{name: lookers, when: did(looked)}]\n"), [bought("dan", 1, 5)])
    again = house(BEFORE)
    walk.fit(again)
    assert set(person(again, "dan").memberships) == {"buyers"}


async def test_only_what_an_edit_concerns_is_looked_at(house: Callable[[str], walk.House]) -> None:
    book = house(AFTER).rulebook
    edited = house(AFTER.replace("> 20", "> 30").replace("welcome", "hello")).rulebook
    assert refit.gap(edited, book.fitting).segments == {"spenders"}
    assert refit.gap(house(BEFORE).rulebook, book.fitting).segments == {"buyers"}
    assert not refit.gap(book, book.fitting).settles


async def test_segments_that_are_gone_lose_their_members_though_fitting_was_broken_off(
    house: Callable[[str], walk.House], monkeypatch: pytest.MonkeyPatch
) -> None:
    await play(house(AFTER), HISTORY)
    without = house("ruleset: r\nrules: [{name: n, on: looked, then: [set: {x: 1}]}]\n")

    def die(outcome: Outcome) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(without.store, "refit", die)
        with pytest.raises(KeyboardInterrupt):
            walk.fit(without)
    assert walk.fit(without)
    assert not any(each.memberships for each in without.store.everybody("", 100))
