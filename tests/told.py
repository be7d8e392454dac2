"""A shop of one's own to ask why in: its state is in SQLite, its events in a log, and its rulebooks are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import msgspec

from triggerfish import walk
from triggerfish.adapters.memory import MemoryEventLog
from triggerfish.adapters.sqlite.migrate import migrate
from triggerfish.adapters.sqlite.reads import SqliteReads
from triggerfish.adapters.sqlite.state import SqliteStateStore
from triggerfish.clock import Instant
from triggerfish.config.starter import starter_path
from triggerfish.engine import Moment
from triggerfish.ingest import Event
from triggerfish.reads import describe
from triggerfish.rules import Rulebook
from triggerfish.why import Again, RuleStory, WhyView
from triggerfish.whynot import tell_why_not
from worlds import World, rulebook


class Shop:
    def __init__(self, folder: Path, *texts: str) -> None:
        path = folder / "state.db"
        migrate(path, starter_path("migrations") / "state.py")
        self.store = SqliteStateStore(path)
        self.log = MemoryEventLog()
        self.outline = folder / "rulebook.json"
        self.reads = SqliteReads(path, self.log, self.outline)
        self.kept: dict[str, Rulebook] = {}
        self.world = World(*texts, store=self.store)
        self.change(*texts)

    def close(self) -> None:
        self.reads.close()
        self.store.close()

    def change(self, *texts: str) -> None:
        """Another rulebook goes live: what is new is filled, and everybody's segments are settled."""
        book = rulebook(*texts)
        book.version = f"v{len(self.kept) + 1}"
        self.kept[book.version] = book
        self.world.rulebook = book
        self.outline.write_bytes(msgspec.json.encode({"state": "live"} | describe(book)))
        self.store.begin(book.version)
        walk.fit(SimpleNamespace(rulebook=book, store=self.store, log=self.log))

    def take(self, *events: Event, at: Instant | None = None) -> None:
        for event in events:
            asyncio.run(self.log.append([(event, event.timestamp if at is None else at)]))
        self.world.take(*events, at=at)

    def why(self, person: str = "ana", *, rule: str = "", is_late: Callable[[], bool] = lambda: False) -> WhyView:
        """The answer, with every rulebook that was ever live at hand."""
        return tell_why_not(
            self.reads, self.log, self.kept.get, person,
            now=self.store.position()[1], rule=rule, is_late=is_late,
        )  # fmt: skip

    def again(self, person: str = "ana") -> Again:
        again = self.why(person).again
        assert again is not None
        return again

    def story(self, rule: str, person: str = "ana") -> RuleStory:
        (story,) = self.why(person, rule=rule).rules
        return story

    def note(self, moment: Moment) -> None:
        """Write something down that nobody decided."""
        self.store.mark([], [moment])
