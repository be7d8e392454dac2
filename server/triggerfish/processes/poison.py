"""Poison: an event that makes `decide` fail, or kills the worker, must not stop all that come after it.

After a failure the batch is taken apart: events are decided one by one. One that fails by itself goes to the dead
letters with its cause. When the worker died (a segfault, say), nothing was caught; so the next worker notes on disk
which event it is about to decide, one by one, until it is past the batch; one noted twice before is not tried again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from triggerfish import walk

log = logging.getLogger("triggerfish.worker")

TRIES = 2


class Taster:
    """Follows the log, carefully after a failure. `crashes` is how often workers died at it before this one; `through`
    is called once when it is past what may have killed them.
    """

    def __init__(self, house: walk.House, crashes: int, through: Callable[[], None]) -> None:
        self._house = house
        self._through = through
        self._careful = house.batch_events if crashes else 0
        self._notes = crashes > 0

    def follow(self) -> int:
        """As `walk.follow`: 0 when there is nothing to do."""
        if not self._careful:
            try:
                return walk.follow(self._house)
            except Exception:
                log.exception("a batch could not be decided; its events are taken one by one")
                self._careful = self._house.batch_events
        return self._taste()

    def _taste(self) -> int:
        store = self._house.store
        position, _ = store.position()
        coming = self._house.log.read(position, 1)
        if not coming:
            # Only the agenda is left: it is decided as a whole.
            done = walk.follow(self._house)
            self._relax()
            return done
        entry = coming[0]
        cause = ""
        if self._notes and store.attempt(entry.position) > TRIES:
            cause = f"the worker died {TRIES} times when it decided this event"
        else:
            try:
                done = walk.follow(self._house, limit=1)
                if store.position()[0] >= entry.position:
                    self._careful -= 1
                    if not self._careful:
                        self._relax()
                return done
            except Exception as error:
                log.exception("event %d cannot be decided", entry.position)
                cause = f"{type(error).__name__}: {error}"
        store.bury(entry.position, cause, self._house.clock.now())
        log.error("event %d was put aside: %s", entry.position, cause)
        return 1

    def _relax(self) -> None:
        self._careful = 0
        if self._notes:
            self._notes = False
            self._through()
