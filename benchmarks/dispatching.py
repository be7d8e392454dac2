"""A thousand messages come due each second, of as many as wait: how long after its instant is each handed over?

A real server over a state in which people wait (agenda.py), one more each millisecond from some seconds on, and the
others for tomorrow. Mails are transactional, of a few hundred bytes, and go by SMTP to a server on this machine that
only counts (sink.py). From the store: when each message came due, and when it was handed over.
"""

from __future__ import annotations

import sqlite3
import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

from msgspec.structs import replace

from benchmarks.agenda import Facts, commit, waiting
from benchmarks.measuring import Figure, Wrong, fresh_process
from benchmarks.sending import sink
from benchmarks.streams import ROOT
from benchmarks.workspaces import serving
from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.adapters.sqlite.migrate import migrate
from triggerfish.adapters.sqlite.state import SqliteStateStore
from triggerfish.clock import DAY, Instant, WallClock
from triggerfish.profile import Profile
from triggerfish.rulefile.compile import load_rulebook
from triggerfish.rules import Rulebook

RULES = """
events: {Bought: Bought}
ruleset: carts
rules:
  - {name: reminder, on: Added, wait: 30 minutes, unless: Bought, class: transactional, then: [{send: reminder}]}
"""
TEMPLATE = """---
description: A short note.
subject: Your cart
class: transactional
---
<mjml><mj-body><mj-section><mj-column>
<mj-text>Something waits in your cart.</mj-text>
</mj-column></mj-section></mj-body></mjml>
"""
A_SECOND = 1_000


def measure(quick: bool, folder: Path) -> list[Figure]:
    people, seconds = (20_000, 5) if quick else (1_000_000, 15)
    workspace = make_workspace(folder)
    state = workspace / "data" / "state.sqlite3"
    fresh_process(fill, state, people)
    with sink() as (port, taken):
        settings = (ROOT / "triggerfish.toml").read_text().replace('channel = "outbox"', 'channel = "smtp"')
        plugin = f'\n[plugins.smtp]\nhost = "127.0.0.1"\nport = {port}\nsecurity = "none"\n'
        (workspace / "triggerfish.toml").write_text(settings + plugin)
        began = time.monotonic()
        with serving(workspace):
            spare = 5 + round(2 * (time.monotonic() - began))
        first = fresh_process(set_off, state, seconds * A_SECOND, spare)
        with serving(workspace):
            if WallClock().now() > first:
                raise Wrong("the server was not ready when the first message came due")
            until = first / 1_000 + seconds + 60
            while time.time() < until and len(late := lateness(state, first)) < seconds * A_SECOND:
                time.sleep(1.0 if time.time() < first / 1_000 + seconds else 0.2)
    if len(late) != seconds * A_SECOND or taken[0] != len(late):
        raise Wrong(f"of {seconds * A_SECOND} messages {len(late)} were handed over, and {taken[0]} taken")
    label = f"{A_SECOND:,} a second come due, of {people:,}: handed over within, 99 in 100"
    return [
        Figure(label, "ms", statistics.quantiles(late, n=100)[98], goal=1_000, is_bound=True),
        Figure("  half of them", "ms", statistics.median(late)),
        Figure("  the last of them", "ms", max(late)),
    ]


def lateness(state: Path, first: Instant) -> list[int]:
    """Milliseconds between the instant at which each message came due and that at which it was handed over."""
    with closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as db:
        rows = db.execute("SELECT profile, handed_at FROM sends WHERE handed_at IS NOT NULL").fetchall()
    return [handed_at - first - int(profile[1:]) for profile, handed_at in rows]


def make_workspace(folder: Path) -> Path:
    workspace = folder / "workspace"
    (workspace / "rules").mkdir(parents=True)
    (workspace / "templates" / "reminder").mkdir(parents=True)
    (workspace / "data").mkdir()
    (workspace / "rules" / "carts.yaml").write_text(RULES)
    (workspace / "templates" / "reminder" / "email.mjml").write_text(TEMPLATE)
    (workspace / "templates" / "reminder" / "sample.yaml").write_text("traits: {email: ana@example.com}\n")
    return workspace


def _rulebook() -> Rulebook:
    facts = {"reminder": Facts(class_="transactional", purpose="transactional")}
    return load_rulebook({"rules/carts.yaml": RULES}, templates=facts, matcher=CompiledMatcher, channel="smtp")[0]


def fill(state: Path, people: int) -> None:
    """People who wait; when, `set_off` says."""
    migrate(state, ROOT / "migrations" / "state.py")
    rulebook = _rulebook()
    with closing(SqliteStateStore(state, cache_limit=0)) as store:
        numbered = enumerate(waiting(rulebook, people))
        while some := list(islice(numbered, 5_000)):
            commit(store, list(_set(some, WallClock().now() + DAY)))
        store.note_fitted(rulebook.fitting)


def set_off(state: Path, count: int, spare: int) -> Instant:
    """Let the first of them come due one after another, beginning in so many seconds: that instant."""
    rulebook = _rulebook()
    first = WallClock().now() + 1_000 * spare + 2 * count
    with closing(SqliteStateStore(state)) as store:
        numbered = enumerate(waiting(rulebook, count))
        while some := list(islice(numbered, 5_000)):
            commit(store, list(_set(some, first)))
    return first


def _set(some: list[tuple[int, Profile]], first: Instant) -> Iterator[Profile]:
    for number, person in some:
        [wait] = person.waits
        person.waits = [replace(wait, due_at=first + number)]
        person.recheck_at = None
        yield person
