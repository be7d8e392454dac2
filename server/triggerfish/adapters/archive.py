"""Rulebooks of any version that is kept, loaded when somebody asks why.

The api process decides nothing of what comes in, and it never loads durable_rules: here the rules run as generated
Python, which is held equal to it (tests/contracts/matcher.py). Loading is bounded: one rulebook at a time, in a thread
of its own, from files whose size and number are bounded; who asks waits for it so long and no longer; the
newest few stay loaded. Of templates only their class and purpose are read: nothing of them is compiled.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from msgspec import Struct

from triggerfish.adapters.frontmatter import EMAIL_KEYS, read_front
from triggerfish.adapters.workfile import read_file
from triggerfish.errors import Busy
from triggerfish.render import Class
from triggerfish.rules import Rulebook

KEPT = 4
"""Rulebooks that stay loaded."""
QUEUED = 8
"""Versions that may wait to be loaded."""


_ALSO = re.compile(r"\{[{%][^}]*\balso\b")
"""Where a template reads the messages that became part of its own; good enough for one that was live."""


class Facts(Struct, frozen=True):
    """What a rulebook needs to know of a template; of `variables` only whether `also` is among them."""

    class_: Class = "marketing"
    purpose: str = ""
    variables: frozenset[str] = frozenset()


def read_facts(folder: Path) -> dict[str, Facts]:
    """The class and purpose of each template below a folder; one whose front matter is broken is left out."""
    found: dict[str, Facts] = {}
    for path in sorted(folder.glob("*/email.mjml")):
        file = read_file(path, path.name, [])
        marks = None if file is None else read_front(file, EMAIL_KEYS, {"subject"}, []).marks
        if marks is not None:
            is_marketing = marks.data.get("class", "marketing") == "marketing"
            purpose = str(marks.data.get("purpose", ""))
            shows_others = file is not None and _ALSO.search(file.text) is not None
            variables = frozenset({"also"}) if shows_others else frozenset[str]()
            found[path.parent.name] = Facts("marketing" if is_marketing else "transactional", purpose, variables)
    return found


class Archive:
    """`load` gives the rulebook of a version, or None when it is not kept; it is called in a thread of its own."""

    def __init__(self, load: Callable[[str], Rulebook | None], *, patience_seconds: float = 10.0) -> None:
        self._load = load
        self._patience = patience_seconds
        self._loader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="triggerfish-archive")
        self._lock, self._turn = Lock(), Lock()
        self._loaded: OrderedDict[str, Future[Rulebook | None]] = OrderedDict()

    def rulebook(self, version: str) -> Rulebook | None:
        """The rulebook of this version; None when it is not kept, or cannot be used as its files are.

        Raises Busy when it is not loaded yet after the archive's patience, or when too many wait; it goes on loading.
        """
        with self._lock:
            future = self._loaded.get(version)
            if future is None:
                if sum(1 for each in self._loaded.values() if not each.done()) >= QUEUED:
                    raise Busy("too many rulebooks are being read", retry_after_seconds=10)
                future = self._loaded[version] = self._loader.submit(self._load, version)
            self._loaded.move_to_end(version)
            done = [name for name, each in self._loaded.items() if each.done() and name != version]
            for name in done[: max(0, len(self._loaded) - KEPT)]:
                del self._loaded[name]
        try:
            return future.result(self._patience)
        except TimeoutError:
            raise Busy("the rulebook is still being read; ask again in a moment", retry_after_seconds=5) from None
        except Exception:
            # It may be another one next time (a plugin that is there again); now it is as if it were not kept.
            with self._lock:
                self._loaded.pop(version, None)
            raise

    @contextmanager
    def turn(self) -> Iterator[None]:
        """For deciding something again with these: one at a time, so that whoever asks leaves the processor to others.

        Raises Busy when others take longer than the archive's patience.
        """
        if not self._turn.acquire(timeout=self._patience):
            raise Busy("others are asking why just now", retry_after_seconds=5)
        try:
            yield
        finally:
            self._turn.release()

    def close(self) -> None:
        """What is being read is not waited for."""
        self._loader.shutdown(wait=False, cancel_futures=True)
