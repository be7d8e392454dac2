"""The floor of the worker: a loop written by hand that does what the reference workload asks for, and nothing else.

It reads the log, decodes events and people (msgspec), adds each event to the same counters, asks the conditions of the
same segments and rules as plain Python functions, looks at caps and waits, and writes the same people, moves, decisions
and messages with raw sqlite3, 2,000 events in a transaction. It has to fire exactly the rules that the server fires.

What it leaves out is what makes a server of it: events that are late or come twice, people who turn out to be one,
changes by time alone (re-checks, waits that end), reasons and explanations, what rules come to, consent, anything that
is not in these rules.
"""

from __future__ import annotations

import sqlite3
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import yaml
from msgspec import Struct

from benchmarks.floor_conditions import DAY, NAN, function
from benchmarks.following import BATCH
from benchmarks.reference_rules import EVENTS, rule_files
from triggerfish.activity import Tally, Window
from triggerfish.ingest import Event
from triggerfish.profile import Profile
from triggerfish.rules import Rulebook
from triggerfish.traces import Distinct, Followed, Score

KEPT = 20_000


class Person(Struct, array_like=True):
    """A person, with a counter for each of the activity functions. An instant that is not known is NaN."""

    id: str
    traits: dict[str, Any]
    hours_east: int
    members: dict[str, int]
    paged_at: float = NAN
    score: float = 0.0
    score_at: float = 0.0
    viewed_at: float = NAN
    viewed_24h: list[int] = []
    viewed_7d: list[int] = []
    categories_7d: dict[str, int] = {}
    is_paired: bool = False
    added_at: float = NAN
    added_7d: list[int] = []
    prices_1d: list[tuple[int, float]] = []
    searches_1d: list[int] = []
    checkouts_1d: list[int] = []
    refunds_30d: list[int] = []
    bought: int = 0
    bought_at: float = NAN
    bought_90d: list[int] = []
    bought_big_30d: list[int] = []
    total: float = 0.0
    totals: int = 0
    total_last: float = NAN
    total_max: float = NAN
    total_365d: float = 0.0
    waits: list[tuple[int, str, str]] = []
    sent: list[int] = []
    seen: bytes = b""


class Listener(NamedTuple):
    """A rule: its name, its condition, minutes to wait (0: none), whether it sends, and the trait that it sets."""

    ruleset: str
    rule: str
    holds: Callable[..., bool]
    wait: int
    sends: bool
    trait: str
    value: str
    cancels: str


class Plan(NamedTuple):
    """Rule sets by event (is it `first`?, its rules), segments (name, parent, condition), events that end waits."""

    listeners: dict[str, list[tuple[bool, list[Listener]]]]
    segments: list[tuple[str, str | None, Callable[..., bool]]]
    enders: frozenset[str]


class Floor(NamedTuple):
    """Seconds of processor time, events, rules that fired, and moves between segments."""

    cpu: float
    events: int
    fired: int
    moves: int


# --- what rules say ---------------------------------------------------------------------------------------------------

NAMES = {short: name for short, (name, _) in EVENTS.items()}


def plan_of(rules: int, segments: int) -> Plan:
    """The rule files, read by hand."""
    functions = {"since": _since, "total": _total, "different": _different}
    listeners: dict[str, list[tuple[bool, list[Listener]]]] = {}
    asked: list[tuple[str, str | None, Callable[..., bool]]] = []
    files = [yaml.safe_load(text) for text in rule_files(rules, segments).values()]
    for file in sorted(files, key=lambda file: -file.get("priority", 0)):
        for segment in file.get("segments", ()):
            _plant(segment, None, asked, functions)
        by_event: dict[str, list[Listener]] = {}
        for rule in sorted(file.get("rules", ()), key=lambda rule: -rule["priority"]):
            on = rule[True]  # YAML 1.1 takes the word "on" for a boolean
            by_event.setdefault(NAMES.get(on, on), []).append(_listener(file["ruleset"], rule, functions))
        for on, rules_of in by_event.items():
            listeners.setdefault(on, []).append((file["mode"] == "first", rules_of))
    enders = frozenset(NAMES[short] for short in ("purchase", "refund"))
    return Plan(listeners, asked, enders)


def _plant(segment: dict[str, Any], parent: str | None, into: list[Any], functions: dict[str, Any]) -> None:
    into.append((segment["name"], parent, function([segment["when"]], functions)))
    for child in segment.get("segments", ()):
        _plant(child, segment["name"], into, functions)


def _listener(ruleset: str, rule: dict[str, Any], functions: dict[str, Any]) -> Listener:
    action = rule["then"][0]
    [(trait, value)] = action.get("set", {"": ""}).items()
    kind = value if isinstance(value, str) else next(iter(value.values()))
    unless = NAMES.get(rule.get("unless", ""), "")
    wait = int(rule.get("wait", "0 minutes").split()[0])
    holds = function(rule["when"]["all"], functions)
    return Listener(ruleset, rule["name"], holds, wait, "send" in action, trait, kind, unless)


def _since(times: list[int], after: int) -> int:
    return len(times) - bisect_right(times, after)


def _total(values: list[tuple[int, float]], after: int) -> float:
    return sum(value for at, value in values if at > after)


def _different(seen: dict[str, int], after: int) -> int:
    return sum(at > after for at in seen.values())


# --- people -----------------------------------------------------------------------------------------------------------


_TABLES = """
    CREATE TABLE people (id TEXT PRIMARY KEY, wake_at INTEGER, person BLOB NOT NULL);
    CREATE INDEX agenda ON people (wake_at, id) WHERE wake_at IS NOT NULL;
    CREATE TABLE owners (name TEXT PRIMARY KEY, person TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE members (segment TEXT, person TEXT, since INTEGER, PRIMARY KEY (segment, person)) WITHOUT ROWID;
    CREATE TABLE moments (id INTEGER PRIMARY KEY, person TEXT, at INTEGER, kind TEXT, position INTEGER, body TEXT);
    CREATE INDEX moments_of ON moments (person);
    CREATE TABLE sends (id INTEGER PRIMARY KEY, person TEXT, ruleset TEXT, rule TEXT, status TEXT, due_at INTEGER);
    CREATE TABLE progress (position INTEGER NOT NULL);
    INSERT INTO progress VALUES (0);
"""


def convert(state_path: Path, path: Path, rulebook: Rulebook) -> None:
    """Put everybody of a reference state into a file of the floor's own, in its own shape."""
    db = sqlite3.connect(path)
    db.executescript(_TABLES)
    db.execute("ATTACH ? AS state", (str(state_path),))
    keys = {(each.event, each.field, each.window, each.kind): each.key for each in rulebook.activities}
    decode = msgspec.msgpack.Decoder(Profile).decode
    rows = db.execute("SELECT wake_at, profile FROM state.profiles")
    while some := rows.fetchmany(5_000):
        people = [(wake_at, _person(decode(blob), keys)) for wake_at, blob in some]
        db.executemany("INSERT INTO people VALUES (?, ?, ?)", [(p.id, at, _PACK(p)) for at, p in people])
        db.executemany(
            "INSERT INTO members VALUES (?, ?, ?)",
            sorted((segment, p.id, since) for _, p in people for segment, since in p.members.items()),
        )
    db.execute("INSERT INTO owners SELECT value, profile FROM state.identities WHERE kind = 'user' ORDER BY value")
    db.commit()
    db.execute("PRAGMA journal_mode = WAL")
    db.close()


def _person(profile: Profile, keys: dict[Any, str]) -> Person:
    person = Person(
        id=profile.id,
        traits={name: trait.value for name, trait in profile.traits.items()},
        hours_east=0 if profile.time_zone == "Europe/London" else 1,
        members=profile.memberships,
        seen=profile.seen,
    )

    def state(event: str, field: str = "", days: int = 0, kind: str = "count") -> Any:
        key = keys[event, (field,) if field else None, days * DAY or None, kind]
        return profile.activity.get(key)

    def times(event: str, days: int) -> list[int]:
        found = state(event, "", days)
        return found.times if isinstance(found, Window) else []

    if isinstance(page := state("page"), Tally):
        person.paged_at = page.last_at or NAN
    if isinstance(score := state("page", kind="score"), Score):
        person.score, person.score_at = score.value, score.at or 0
    if isinstance(viewed := state("Product Viewed"), Tally):
        person.viewed_at = viewed.last_at or NAN
    person.viewed_24h, person.viewed_7d = times("Product Viewed", 1), times("Product Viewed", 7)
    if isinstance(different := state("Product Viewed", "category", 7, "distinct"), Distinct):
        person.categories_7d = {str(digest): at for digest, at in different.seen.items()}
    if isinstance(pair := state("Product Viewed", kind="followed"), Followed):
        person.is_paired = pair.paired_at is not None
    if isinstance(added := state("Product Added"), Tally):
        person.added_at = added.last_at or NAN
    person.added_7d = times("Product Added", 7)
    if isinstance(prices := state("Product Added", "price", 1), Window):
        person.prices_1d = list(zip(prices.times, prices.values, strict=True))
    person.searches_1d, person.checkouts_1d = times("Products Searched", 1), times("Checkout Started", 1)
    person.refunds_30d, person.bought_90d = times("Order Refunded", 30), times("Order Completed", 90)
    person.bought_big_30d = times("Order Completed", 30)
    if isinstance(bought := state("Order Completed"), Tally):
        person.bought, person.bought_at = bought.count, bought.last_at or NAN
    if isinstance(totals := state("Order Completed", "total"), Tally):
        person.total, person.totals, person.total_365d = totals.sum, totals.numbers, totals.sum
        person.total_last, person.total_max = totals.last, totals.high or NAN
    return person


def _count(p: Person, name: str, e: dict[str, Any], at: int) -> None:
    """Add an event to the counters that it concerns."""
    if name == "Product Viewed":
        p.viewed_at = at
        _add(p.viewed_24h, at, DAY)
        _add(p.viewed_7d, at, 7 * DAY)
        p.categories_7d[e["category"]] = at
    elif name == "page":
        p.paged_at = at
        p.score, p.score_at = p.score * 2.0 ** ((p.score_at - at) / (7 * DAY)) + 1.0, at
    elif name == "Products Searched":
        _add(p.searches_1d, at, DAY)
    elif name == "Product Added":
        p.is_paired = p.is_paired or at - p.viewed_at <= 3_600_000
        p.added_at = at
        _add(p.added_7d, at, 7 * DAY)
        p.prices_1d.append((at, e["price"]))
        while p.prices_1d[0][0] <= at - DAY:
            del p.prices_1d[0]
    elif name == "Checkout Started":
        _add(p.checkouts_1d, at, DAY)
    elif name == "Order Refunded":
        _add(p.refunds_30d, at, 30 * DAY)
    elif name == "Order Completed":
        total = e["total"]
        p.bought += 1
        p.bought_at = at
        _add(p.bought_90d, at, 90 * DAY)
        if total > 50:
            _add(p.bought_big_30d, at, 30 * DAY)
        p.total, p.totals, p.total_last = p.total + total, p.totals + 1, total
        p.total_365d += total
        p.total_max = total if p.total_max != p.total_max else max(p.total_max, total)


def _add(times: list[int], at: int, window: int) -> None:
    times.append(at)
    while times[0] <= at - window:
        del times[0]


# --- the loop ---------------------------------------------------------------------------------------------------------

_EVENT = msgspec.json.Decoder(Event)
_PERSON = msgspec.msgpack.Decoder(Person)
_PACK = msgspec.msgpack.Encoder().encode
_JSON = msgspec.json.Encoder().encode

_READ = "SELECT position, received_at, event FROM events WHERE position > ? ORDER BY position LIMIT ?"
_OWNER = "SELECT person FROM owners WHERE name = ?"
_PUT = """
    INSERT INTO people VALUES (?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET wake_at = excluded.wake_at, person = excluded.person
"""


def follow(log_path: Path, state_path: Path, rules: int, segments: int) -> Floor:
    """Follow the whole log from a state that `convert` has made."""
    log = sqlite3.connect(log_path)
    db = sqlite3.connect(state_path, isolation_level=None, cached_statements=256)
    for pragma in ("synchronous = NORMAL", "cache_size = -65536", "wal_autocheckpoint = 4000"):
        db.execute(f"PRAGMA {pragma}")
    plan = plan_of(rules, segments)
    hot: OrderedDict[str, Person] = OrderedDict()
    events = fired = moves = position = 0
    began = time.process_time()
    while rows := log.execute(_READ, (position, BATCH)).fetchall():
        position = rows[-1][0]
        arrived = [(at, _EVENT.decode(text)) for _, at, text in rows]
        owners = {event.user_id: db.execute(_OWNER, (event.user_id,)).fetchone()[0] for _, event in arrived}
        cold = [owner for owner in owners.values() if owner not in hot]
        marks = ",".join("?" * len(cold))
        for owner, blob in db.execute(f"SELECT id, person FROM people WHERE id IN ({marks})", cold):
            hot[owner] = _PERSON.decode(blob)
        batch = Batch(plan)
        for at, event in arrived:
            batch.happen(hot[owners[event.user_id]], event, at)
        batch.commit(db, position)
        events, fired, moves = events + len(rows), fired + batch.fired, moves + len(batch.left) + len(batch.entered)
        for owner, person in batch.changed.items():
            hot[owner] = person
            hot.move_to_end(owner)
        while len(hot) > KEPT:
            hot.popitem(last=False)
    cpu = time.process_time() - began
    log.close()
    db.close()
    return Floor(cpu, events, fired, moves)


class Batch:
    """Events that are decided together, and what is to be written of them."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.changed: dict[str, Person] = {}
        self.moments: list[tuple[str, int, str, bytes]] = []
        self.left: list[tuple[str, str]] = []
        self.entered: list[tuple[str, str, int]] = []
        self.sends: list[tuple[str, str, str, str, int]] = []
        self.fired = 0

    def happen(self, p: Person, event: Event, at: int) -> None:
        name, e, t = event.name, event.properties, p.traits
        self.changed[p.id] = p
        p.seen = p.seen[-8_184:] + event.message_id[-8:].encode()
        self.moments.append((p.id, at, "event", _JSON({"event": name})))
        if name in self.plan.enders:
            p.waits = [wait for wait in p.waits if wait[2] != name]
        _count(p, name, e, at)
        s, before = {}, p.members
        for segment, parent, holds in self.plan.segments:
            if (parent is None or parent in s) and holds(e, t, s, p, at):
                s[segment] = before.get(segment, at)
        if s.keys() != before.keys():
            self.left += [(segment, p.id) for segment in before if segment not in s]
            self.entered += [(segment, p.id, at) for segment in s if segment not in before]
            p.members = s
        for is_first, listeners in self.plan.listeners.get(name, ()):
            for rule in listeners:
                if rule.holds(e, t, s, p, at):
                    self.fire(p, rule, at)
                    if is_first:
                        break

    def fire(self, p: Person, rule: Listener, at: int) -> None:
        self.fired += 1
        body = {"rule": rule.rule, "ruleset": rule.ruleset}
        self.moments.append((p.id, at, "decision", _JSON(body)))
        if rule.trait:
            p.traits[rule.trait] = p.bought if rule.value == "count(purchase)" else rule.value
        elif rule.wait:
            due = at + rule.wait * 60_000
            p.waits = [wait for wait in p.waits if wait[0] > at]
            if not any(wait[1] == rule.ruleset for wait in p.waits):
                p.waits.append((due, rule.ruleset, rule.cancels))
                self.sends.append((p.id, rule.ruleset, rule.rule, "scheduled", due))
        elif "email" in p.traits and _since(p.sent, at - DAY) < 2 and _since(p.sent, at - 7 * DAY) < 4:
            p.sent.append(at)
            self.sends.append((p.id, rule.ruleset, rule.rule, "due", at))

    def commit(self, db: sqlite3.Connection, position: int) -> None:
        packed = [(p.id, min((wait[0] for wait in p.waits), default=None), _PACK(p)) for p in self.changed.values()]
        moments = [(profile, at, kind, position, body.decode()) for profile, at, kind, body in self.moments]
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE progress SET position = ?", (position,))
        db.executemany(_PUT, packed)
        db.executemany("DELETE FROM members WHERE segment = ? AND person = ?", self.left)
        db.executemany("INSERT OR REPLACE INTO members VALUES (?, ?, ?)", self.entered)
        db.executemany("INSERT INTO sends (person, ruleset, rule, status, due_at) VALUES (?, ?, ?, ?, ?)", self.sends)
        db.executemany("INSERT INTO moments (person, at, kind, position, body) VALUES (?, ?, ?, ?, ?)", moments)
        db.execute("COMMIT")
