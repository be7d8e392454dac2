"""How the worker comes to its rulebook: with what the last load found out, and without looking for cycles meanwhile."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from triggerfish.adapters.load_cache import LoadCache
from triggerfish.compose import Workshop, load_workshop
from triggerfish.config import Settings
from triggerfish.processes.memory import at_most
from triggerfish.reads import describe
from triggerfish.rulefile.recall import Recall


class Loading:
    """Loads what the rules and templates below `sources` make, and tests it unless it was."""

    def __init__(self, settings: Settings, sources: Path) -> None:
        self._settings = settings
        self._sources = sources
        self._cache = LoadCache(settings.load_cache_path)
        self._recall: Recall | None = None

    def load(self, *, is_tested: bool) -> Workshop:
        """Raises RulebookBroken, PluginFailed and, beyond `[rules] load_mb`, MemoryError."""
        with at_most(self._settings.rules.load_mb), _keeping():
            self._recall = Recall(self._cache.read())
            workshop = load_workshop(self._settings, self._sources, recall=self._recall)
            if self._settings.rules.test_on_reload and not is_tested:
                # What plays tests is large; at most starts there are none to play.
                from triggerfish.processes.proving import prove

                prove(workshop, self._sources)
        return workshop

    def describe(self, workshop: Workshop) -> dict[str, Any]:
        """The rulebook's outline (reads.describe), which says each rule in words."""
        if self._recall is None:
            return describe(workshop.rulebook)
        settings, plugins = self._settings, workshop.plugins
        rest = (
            settings.delivery.channel, sorted(settings.delivery.all_channels), sorted(plugins.functions),
            sorted(plugins.action_names(settings.plugins)),
        )  # fmt: skip
        made: dict[str, Any] = self._recall.whole(
            f"outline of {workshop.rulebook.version} {rest}", lambda: describe(workshop.rulebook)
        )
        return made

    def keep(self) -> None:
        """Leave what was found out for the next load, unless it knows all that."""
        if self._recall is not None and self._recall.has_news:
            self._cache.write(self._recall.encode())
        self._recall = None


@contextlib.contextmanager
def _keeping() -> Iterator[None]:
    """Nearly all that a load makes stays, in millions of objects: to look through them again and again for what might
    go took a quarter of the time.
    """
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
