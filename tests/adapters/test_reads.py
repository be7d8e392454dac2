"""Reads over a state that the store wrote, with the events in a log."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from triggerfish import measure
from triggerfish.adapters.memory import MemoryEventLog
from triggerfish.adapters.sqlite.migrate import migrate
from triggerfish.adapters.sqlite.reads import SqliteReads
from triggerfish.adapters.sqlite.state import SqliteStateStore
from triggerfish.clock import HOUR, MINUTE, to_iso
from triggerfish.config.starter import starter_path
from triggerfish.engine import Moment
from triggerfish.errors import NotFound, SettingsWrong
from triggerfish.ingest import Event
from triggerfish.rates import events_by_minute
from triggerfish.reads import (
    LONGEST_PAGE,
    DecisionLine,
    EventLine,
    MergeLine,
    RulebookOutline,
    SegmentLine,
    SendLine,
    describe,
    outline,
    primary_segment,
)
from triggerfish.schedule import Due
from worlds import NOON, World, feedback, identify, rulebook, track

BOOK = """
    segments:
      - name: shoppers
        description: Whoever did anything.
        segments:
          - {name: buyers, priority: 5, when: count(Order) >= 1}
          - {name: active, priority: 5, when: 'count(View, "1h") >= 1'}
      - {name: vip, priority: 9, when: sum(Order.total) > 100}
    ruleset: all
    rules:
      - {name: viewed, on: View, wait: 30 minutes, unless: Order, then: [{send: offer}]}
      - name: bought
        on: Order
        when: event.total > 10
        then: [{send: receipt}, {set: {buyer: true}}, {emit: Thanked}]
"""


class Shop:
    """A world whose state is in SQLite and whose events are in a log, and the reads over both."""

    def __init__(self, folder: Path) -> None:
        path = folder / "state.db"
        migrate(path, starter_path("migrations") / "state.py")
        self.store = SqliteStateStore(path)
        self.world = World(BOOK, store=self.store)
        self.log = MemoryEventLog()
        self.outline_path = folder / "rulebook.json"
        self.outline_path.write_bytes(msgspec.json.encode({"state": "live"} | describe(self.world.rulebook)))
        self.reads = SqliteReads(path, self.log, self.outline_path)

    def take(self, *events: Event) -> None:
        asyncio.run(self.log.append([(event, event.timestamp) for event in events]))
        self.world.take(*events)

    def id_of(self, value: str, kind: str = "user") -> str:
        return self.world.id_of(value, kind)

    def deliver(self, now: int) -> list[Due]:
        sends = [replace(due, status="sent", sent_at=now, channel="outbox") for due in self.store.to_send(now, 99)]
        body = {"status": "sent"}
        self.store.mark(sends, [Moment(due.profile, now, "send", {"send": due.id} | body) for due in sends])
        return sends


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    with closing(shop.store), closing(shop.reads):
        yield shop


def test_a_profile_is_found_by_any_of_its_names(shop: Shop):
    shop.take(identify(NOON, user="ana", anon="browser", email="Ana@Example.com", city="Köln"))
    shop.take(track("View", NOON + 1), track("Order", NOON + 2, properties={"total": 5}))
    seen = [
        shop.reads.profile(name)
        for name in ("ana", "browser", "ana@example.com", " ANA@example.com", shop.id_of("ana"))
    ]
    assert all(each == seen[0] for each in seen)
    assert msgspec.to_builtins(seen[0]) == {
        "id": shop.id_of("ana"),
        "identities": [
            {"kind": "user", "value": "ana"},
            {"kind": "anonymous", "value": "browser"},
            {"kind": "email", "value": "ana@example.com"},
        ],
        "traits": {"email": "Ana@Example.com", "city": "Köln"},
        "segments": ["shoppers", "buyers", "active"],
        "segment": "buyers",
        "updated_at": to_iso(NOON + 2),
        "consent": {},
        "suppressed": "",
    }


def test_a_removed_trait_is_not_shown(shop: Shop):
    shop.take(identify(NOON, city="Köln"), identify(NOON + 1, city=None))
    assert shop.reads.profile("ana").traits == {}


def test_nobody_is_not_found(shop: Shop):
    for question in (lambda: shop.reads.profile("nobody"), lambda: shop.reads.timeline("nobody", 10)):
        with pytest.raises(NotFound, match="nobody is known"):
            question()


def test_a_merged_profiles_id_leads_to_the_one_that_took_it_in(shop: Shop):
    shop.take(track("View", NOON, user=None, anon="x"))
    shop.take(track("View", NOON + 1, user=None, anon="y"))
    first, second = shop.id_of("x", "anonymous"), shop.id_of("y", "anonymous")
    shop.take(identify(NOON + 2, anon="x"))
    shop.take(identify(NOON + 3, anon="y"))
    assert shop.reads.profile(first).id == shop.reads.profile(second).id == shop.id_of("ana")


def test_the_timeline_tells_everything_newest_first(shop: Shop):
    shop.take(identify(NOON, email="ana@example.com"), track("View", NOON + 1, properties={"sku": "A-1"}))
    shop.take(track("Order", NOON + MINUTE, properties={"total": 20}))
    shop.deliver(NOON + 2 * MINUTE)
    lines = shop.reads.timeline("ana", 100)
    assert [line.id for line in lines] == sorted((line.id for line in lines), reverse=True)
    assert isinstance(lines[0], SendLine)
    assert lines[0].status == "sent"
    events = [line for line in lines if isinstance(line, EventLine)]
    assert [(line.event, line.by) for line in events] == [
        ("Thanked", "all / bought"), ("Order", None), ("View", None), ("identify", None),
    ]  # fmt: skip
    view = events[2]
    assert (view.properties, view.happened_at, view.at) == ({"sku": "A-1"}, to_iso(NOON + 1), to_iso(NOON + 1))
    assert events[3].traits == {"email": "ana@example.com"}
    moves = [(line.segment, line.change) for line in lines if isinstance(line, SegmentLine)]
    assert moves == [("buyers", "entered"), ("active", "entered"), ("shoppers", "entered")]
    decisions = [line for line in lines if isinstance(line, DecisionLine)]
    assert [(line.rule, line.outcome) for line in decisions] == [("all / bought", "acted"), ("all / viewed", "waiting")]
    assert decisions[0].because == {"condition": "event.total > 10", "holds": True, "value": 20}
    assert decisions[0].rulebook == shop.world.rulebook.version
    skipped = next(line for line in lines if isinstance(line, SendLine) and line.status == "skipped")
    assert skipped.reason == "Order happened meanwhile"


def test_a_timeline_is_read_page_by_page_without_gap_or_repeat(shop: Shop):
    shop.take(*(track("View", NOON + number, user=None, anon="x") for number in range(5)))
    shop.take(*(track("View", NOON + 10 + number) for number in range(5)))
    shop.take(identify(NOON + 20, anon="x"))
    whole = shop.reads.timeline("ana", 1_000)
    pages, before = [], None
    while page := shop.reads.timeline("ana", 3, before):
        assert len(page) <= 3
        pages += page
        before = page[-1].id
    assert pages == whole
    assert len({line.profile for line in whole}) == 2
    merge = next(line for line in whole if isinstance(line, MergeLine))
    assert merge.because == "identify with anonymous x"
    assert len(shop.reads.timeline("ana", 10**9)) < LONGEST_PAGE


def test_a_timeline_goes_on_when_the_log_has_forgotten_the_event(shop: Shop):
    shop.world.take(track("View", NOON, properties={"sku": "A-1"}))
    lines = shop.reads.timeline("ana", 100)
    event = next(line for line in lines if isinstance(line, EventLine))
    assert (event.event, event.properties, event.happened_at) == ("View", {}, None)


def test_sends_have_the_agreed_shape(shop: Shop):
    shop.take(identify(NOON, email="a@b.example"), track("Order", NOON, properties={"total": 20}))
    shop.deliver(NOON + 1)
    (send,) = shop.reads.sends(profile="ana")
    assert msgspec.to_builtins(send) == {
        "id": send.id, "profile": shop.id_of("ana"), "ruleset": "all", "rule": "bought", "template": "receipt",
        "channel": "outbox", "status": "sent", "reason": "", "due_at": to_iso(NOON), "sent_at": to_iso(NOON + 1),
    }  # fmt: skip


def test_sends_are_filtered_and_read_page_by_page(shop: Shop):
    for number in range(6):
        user = f"u{number % 2}"
        shop.take(identify(NOON + number, user=user, email=f"{user}@example.com"))
        shop.take(track("Order", NOON + number, user=user, properties={"total": 20}))
        shop.take(track("View", NOON + number, user=user))
    shop.deliver(NOON + 10)
    everything = shop.reads.sends()
    assert len(everything) == 12
    assert {send.template for send in shop.reads.sends(template="offer")} == {"offer"}
    assert [send.status for send in shop.reads.sends(status="sent")] == ["sent"] * 6
    assert {send.profile for send in shop.reads.sends(profile="u1")} == {shop.id_of("u1")}
    assert len(shop.reads.sends(profile="u1", status="sent", template="receipt")) == 3
    assert shop.reads.sends(profile="nobody") == []
    pages, before = [], None
    while page := shop.reads.sends(limit=5, before=before):
        pages += page
        before = page[-1].id
    assert pages == everything
    with pytest.raises(NotFound):
        shop.reads.sends(before="nothing")


def test_sends_of_one_rule_are_named_with_or_without_its_rule_set(shop: Shop):
    shop.take(identify(NOON, email="a@b.example"), track("Order", NOON, properties={"total": 20}), track("View", NOON))
    assert [send.rule for send in shop.reads.sends(rule="bought")] == ["bought"]
    assert [send.rule for send in shop.reads.sends(rule="all / viewed")] == ["viewed"]
    assert shop.reads.sends(rule="other / viewed") == []


def test_one_send_tells_its_event_and_its_history(shop: Shop):
    shop.take(identify(NOON, email="a@b.example"), track("Order", NOON, properties={"total": 20}))
    (due,) = shop.deliver(NOON + 1)
    shop.take(feedback("Email Opened", NOON + 2, due.profile, send_id=due.id))
    told = shop.reads.send(due.id)
    assert (told.status, told.event, told.properties, told.class_) == ("sent", "Order", {"total": 20}, "transactional")
    assert [getattr(line, "status", None) or line.event for line in told.history] == ["Email Opened", "sent", "due"]
    with pytest.raises(NotFound, match='no send "nothing"'):
        shop.reads.send("nothing")


def test_why_messages_did_not_leave_is_summed_up_by_reason(shop: Shop):
    shop.take(*(track("Order", NOON, user=f"u{number}", properties={"total": 20}) for number in range(3)))
    (row,) = [row for row in shop.reads.results() if row.rule == "bought"]
    assert msgspec.to_builtins(row.reasons) == [{"status": "skipped", "reason": "no email address", "count": 3}]


def test_a_timeline_can_be_of_some_kinds_only_and_of_everybody(shop: Shop):
    shop.take(track("View", NOON), track("View", NOON + 1, user="bo"), track("Order", NOON + 2))
    assert {type(line) for line in shop.reads.timeline("ana", 9, kinds=["event"])} == {EventLine}
    assert [line.id for line in shop.reads.timeline("ana", 1, kinds=["event", "segment"])] == [
        next(line.id for line in shop.reads.timeline("ana", 99) if isinstance(line, EventLine | SegmentLine))
    ]
    everybody = shop.reads.recent(99)
    assert {line.profile for line in everybody} == {shop.id_of("ana"), shop.id_of("bo")}
    assert everybody == shop.reads.recent(5) + everybody[5:]


def test_what_happened_is_counted_by_name(shop: Shop):
    shop.take(track("View", NOON), track("View", NOON + 1), track("Order", NOON + 2))
    counted = {each.event: (each.count, each.last_at) for each in shop.reads.happened("ana")}
    assert counted["View"] == (2, to_iso(NOON + 1))
    assert counted["segment.entered"] == (3, to_iso(NOON + 2))


def test_a_kind_before_a_colon_asks_for_that_kind_only(shop: Shop):
    shop.take(track("View", NOON, user="x"), track("View", NOON, user=None, anon="y"), track("View", NOON, user="z:1"))
    assert shop.reads.profile("user:x").id == shop.id_of("x")
    assert shop.reads.profile("anonymous:y").id == shop.id_of("y", "anonymous")
    assert shop.reads.profile("z:1").id == shop.id_of("z:1")
    with pytest.raises(NotFound):
        shop.reads.profile("anonymous:x")


def test_sends_of_merged_profiles_are_found_under_the_one_that_is_left(shop: Shop):
    shop.take(identify(NOON, user=None, anon="x", email="a@b.example"))
    shop.take(track("Order", NOON + 1, user=None, anon="x", properties={"total": 20}))
    shop.deliver(NOON + 2)
    shop.take(identify(NOON + 3, user="ana"))
    shop.take(identify(NOON + 4, user="ana", anon="x"))
    assert [send.template for send in shop.reads.sends(profile="ana")] == ["receipt"]


def test_segments_are_a_tree_with_counts(shop: Shop):
    shop.take(track("View", NOON), track("Order", NOON, user="bo", properties={"total": 200}))
    assert msgspec.to_builtins(shop.reads.segments()) == [
        {"name": "shoppers", "count": 2, "priority": 0, "children": [
            {"name": "buyers", "count": 1, "priority": 5, "children": []},
            {"name": "active", "count": 1, "priority": 5, "children": []},
        ]},
        {"name": "vip", "count": 1, "priority": 9, "children": []},
    ]  # fmt: skip
    shop.world.wait_until(NOON + 2 * HOUR)
    assert shop.reads.segments()[0].children[1].count == 0


def test_a_merged_profile_is_no_member_any_more(shop: Shop):
    shop.take(track("Order", NOON, user=None, anon="x", properties={"total": 200}))
    shop.take(track("View", NOON))
    shop.take(identify(NOON + 1, anon="x"))
    everybody = {name: [each.profile for each in shop.reads.members(name, 9)] for name in ("shoppers", "buyers", "vip")}
    assert everybody == {name: [shop.id_of("ana")] for name in everybody}
    assert [tree.count for tree in shop.reads.segments()] == [1, 1]


def test_a_new_rulebook_shows_as_soon_as_its_description_is_written(shop: Shop):
    other = rulebook("segments: [{name: only}]")
    fresh = shop.outline_path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(describe(other)))
    fresh.replace(shop.outline_path)
    assert [segment.name for segment in shop.reads.segments()] == ["only"]
    shop.outline_path.unlink()
    assert [segment.name for segment in shop.reads.segments()] == ["only"]


def test_members_are_listed_page_by_page(shop: Shop):
    shop.take(*(track("View", NOON + number, user=f"u{number}") for number in range(7)))
    ids = sorted(shop.id_of(f"u{number}") for number in range(7))
    first = shop.reads.members("active", 4)
    assert [member.profile for member in first] == ids[:4]
    assert [member.profile for member in shop.reads.members("active", 4, after=ids[3])] == ids[4:]
    assert shop.reads.members("active", 1)[0].since == to_iso(
        shop.world.who(_name_of(shop, ids[0])).memberships["active"]
    )
    assert shop.reads.members("vip", 4) == []
    with pytest.raises(NotFound, match='no segment "unheard of"'):
        shop.reads.members("unheard of", 4)


def _name_of(shop: Shop, profile_id: str) -> str:
    return next(held.value for held in shop.reads.profile(profile_id).identities)


def test_the_status_counts_what_there_is(shop: Shop):
    shop.take(identify(NOON, email="a@b.example"), track("Order", NOON, properties={"total": 20}))
    shop.take(track("View", NOON + 1, user="bo"))
    asyncio.run(shop.log.append([(track("View", NOON + 2), NOON + 2)] * 2))
    shop.store.bury(4, "it cannot be decided", NOON + 3)
    status = shop.reads.status()
    assert (status.events, status.lag, status.profiles, status.dead_letters) == (5, 1, 2, 1)
    assert status.sends == {"due": 1, "scheduled": 1}
    assert status.decided_until == to_iso(NOON + 1)


def test_dead_letters_come_newest_first_with_what_the_log_has(shop: Shop):
    asyncio.run(shop.log.append([(track("View", NOON), NOON)]))
    shop.store.bury(1, "first", NOON)
    shop.store.bury(2, "second", NOON + 1)
    second, first = shop.reads.dead_letters(10)
    assert (second.position, second.cause, second.event) == (2, "second", None)
    assert (first.cause, first.at, first.event["name"]) == ("first", to_iso(NOON), "View")
    assert shop.reads.dead_letters(10, before=2) == [first]
    assert shop.reads.dead_letters(1) == [second]


def test_results_are_what_measure_counts(shop: Shop):
    """The same as `measure.tally` over the same sends and feedback."""
    for number in range(4):
        user = f"u{number}"
        shop.take(identify(NOON, user=user, email=f"{user}@example.com"))
        shop.take(track("Order", NOON + 1, user=user, properties={"total": 20}), track("View", NOON + 2, user=user))
    sent = shop.deliver(NOON + 3)
    shop.world.wait_until(NOON + HOUR)
    heard = [
        (sent[0], "Email Opened"), (sent[0], "Email Opened"), (sent[0], "Email Link Clicked"),
        (sent[1], "Email Link Clicked"), (sent[2], "Unsubscribed"), (sent[2], "Email Opened"),
    ]  # fmt: skip
    machines = [(sent[2], "Email Link Clicked"), (sent[3], "Email Opened"), (sent[0], "Email Opened")]
    for place, (due, name) in enumerate(heard):
        shop.take(feedback(name, NOON + 2 * HOUR + place, due.profile, send_id=due.id))
    for place, (due, name) in enumerate(machines):
        shop.take(feedback(name, NOON + 4 * HOUR + place, due.profile, send_id=due.id, human=0.1, machine="a program"))
    shop.take(feedback("Email Opened", NOON + 3 * HOUR, sent[0].profile, send_id="another server's"))
    rows = {(row.ruleset, row.rule): row for row in shop.reads.results()}
    expected = measure.tally(
        [(due.id, (due.ruleset, due.rule)) for due in sent],
        [(due.id, name, place < len(heard)) for place, (due, name) in enumerate([*heard, *machines])],
    )
    assert rows["all", "bought"].results == expected["all", "bought"]
    assert rows["all", "bought"].results == measure.Results(
        sent=4, opened=3, clicked=2, unsubscribed=1, opened_by_any=4, clicked_by_any=3
    )
    assert rows["all", "bought"].sends == {"sent": 4}
    assert rows["all", "viewed"].sends == {"due": 4}
    assert rows["all", "viewed"].results == measure.Results()


def test_reads_cannot_write(shop: Shop):
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        shop.reads._db.execute("DELETE FROM profiles")


def test_an_open_read_holds_up_no_commit(shop: Shop):
    shop.take(track("View", NOON))
    with shop.reads._snapshot():
        assert shop.reads._all("SELECT count(*) FROM profiles") == [(1,)]
        shop.take(track("View", NOON + 1, user="bo"))
        assert shop.reads._all("SELECT count(*) FROM profiles") == [(1,)]
    assert shop.reads.status().profiles == 2


def test_reads_work_while_no_worker_has_the_file_open(tmp_path: Path):
    path = tmp_path / "state.db"
    migrate(path, starter_path("migrations") / "state.py")
    with closing(SqliteReads(path, MemoryEventLog(), tmp_path / "none.json")) as reads:
        assert reads.status().profiles == 0
        assert reads.segments() == []
        with closing(SqliteStateStore(path)) as store:
            World(BOOK, store=store).take(track("View", NOON))
        assert reads.status().profiles == 1


def test_a_file_that_is_no_state_is_refused(tmp_path: Path):
    with pytest.raises(SettingsWrong) as caught:
        SqliteReads(tmp_path / "missing.db", MemoryEventLog(), tmp_path / "none.json")
    assert caught.value.code == "TF412"


def test_the_outline_tells_the_rulebook_and_survives_json():
    book = rulebook(BOOK)
    told = outline(book)
    assert msgspec.convert(describe(book), RulebookOutline) == told
    assert [segment.name for segment in told.segments] == ["shoppers", "vip"]
    assert [child.when for child in told.segments[0].children] == ["count(Order) >= 1", 'count(View, "1h") >= 1']
    viewed, bought = told.rulesets[0].rules
    assert (viewed.on, viewed.wait, viewed.unless, viewed.then) == (
        ["View"],
        "30 minutes",
        ["Order"],
        [{"send": "offer"}],
    )
    assert (bought.when, bought.then) == (
        "event.total > 10",
        [{"send": "receipt"}, {"set": ["buyer"]}, {"emit": "Thanked"}],
    )


def test_the_primary_segment_is_the_same_as_the_engines():
    book = rulebook(BOOK)
    for names in ({"shoppers"}, {"shoppers", "active"}, {"shoppers", "active", "buyers"}, {"vip", "buyers"}, set()):
        assert primary_segment(outline(book), list(names)) == book.segments.primary(dict.fromkeys(names, NOON))


def test_events_by_minute_counts_what_the_log_took():
    log = MemoryEventLog()
    assert events_by_minute(log, NOON, 3) == [0, 0, 0]
    at = [NOON - HOUR, NOON - 3 * MINUTE, NOON - 3 * MINUTE + 1, NOON - MINUTE, NOON - MINUTE + 1, NOON, NOON + 1]
    asyncio.run(log.append([(track("View", each), each) for each in at]))
    assert events_by_minute(log, NOON, 3) == [1, 1, 2]
    assert events_by_minute(log, NOON + HOUR, 3) == [0, 0, 0]
    assert sum(events_by_minute(log, NOON + 1, 61)) == len(at)
