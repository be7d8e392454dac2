"""Poison: an event that makes `decide` fail, or kills the worker, must not stop all that come after it. Nor must a
person whose time has come.

After a failure the batch is taken apart: what is due on the agenda is decided person by person, events one by one. An
event that fails by itself goes to the dead letters with its cause; a person is struck from the agenda until something
happens to them again. When the worker died (a segfault, say), or hung and was ended (watchdog.py), nothing was caught;
so the next worker notes on disk what it is about to decide until it is past the batch; what was noted three times
before is not tried again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from triggerfish import walk
from triggerfish.engine import Moment
from triggerfish.errors import Unavailable
from triggerfish.log import Unreadable

log = logging.getLogger("triggerfish.worker")

TRIES = 3
"""Two would not tell poison from bad luck: whoever kills workers again and again meets one event twice now and then."""


class Taster:
    """Follows the log, carefully after a failure. `crashes` is how often workers died at it before this one; `through`
    is called once when the first careful step is done: a crash later is another one, and no loop.
    """

    def __init__(self, house: walk.House, crashes: int, through: Callable[[], None]) -> None:
        self._house = house
        self._one_by_one = replace(house, agenda_batch=1)
        self._through = through
        self._batch = house.batch_events + house.agenda_batch
        self._careful = self._batch if crashes else 0
        self._notes = crashes > 0

    def follow(self, limit: int | None = None) -> int:
        """As `walk.follow`: 0 when there is nothing to do. Raises Unavailable while the disk refuses."""
        if not self._careful:
            try:
                return walk.follow(self._house, limit=limit)
            except Unavailable:
                # The disk's fault, and no event's: whoever follows waits until it works again.
                raise
            except Exception:
                log.exception("a batch could not be decided; it is taken one by one")
                self._careful = self._batch
        done = self._taste()
        if self._notes and self._careful == self._batch:
            self._through()
        self._careful = self._careful - 1 if done else 0
        self._notes = self._notes and self._careful > 0
        return done

    def _taste(self) -> int:
        """One person of the agenda, or else one event."""
        return self._taste_agenda() or self._taste_event()

    def _taste_agenda(self) -> int:
        store = self._house.store
        position, until = store.position()
        try:
            coming = self._house.log.read(position, 1)
            next_at = coming[0].received_at if coming else self._house.clock.now()
        except Unreadable as damaged:
            next_at = damaged.received_at
        now = max(until, next_at)
        due = store.agenda(now, 1)
        if not due:
            return 0
        cause = self._try(position, limit=0)
        if cause:
            at, profile = due[0]
            body = {"outcome": "stopped", "event": "time", "reason": f"it could not be decided: {cause}"}
            store.strike(Moment(profile, max(until, at), "decision", body))
            log.error("profile %s was taken off the agenda: %s", profile, _kind(cause))
        return 1

    def _taste_event(self) -> int:
        store = self._house.store
        position, _ = store.position()
        try:
            coming = self._house.log.read(position, 1)
        except Unreadable as damaged:
            store.bury(damaged.position, damaged.sentence, self._house.clock.now())
            log.error("event %d was put aside: %s", damaged.position, damaged.sentence)
            return 1
        if not coming:
            return 0
        cause = self._try(coming[0].position, limit=1)
        if cause:
            store.bury(coming[0].position, cause, self._house.clock.now())
            log.error("event %d was put aside: %s", coming[0].position, _kind(cause))
        return 1

    def _try(self, position: int, *, limit: int) -> str:
        """Decide one thing; why that cannot be done, or nothing."""
        if self._notes and self._house.store.attempt(position) > TRIES:
            return f"the worker died or hung {TRIES} times when it decided this"
        try:
            walk.follow(self._one_by_one, limit=limit)
        except Unavailable:
            raise
        except Exception as error:
            log.exception("what was to be decided at position %d of the log cannot be decided", position)
            return f"{type(error).__name__}: {error}"
        return ""


def _kind(cause: str) -> str:
    """A cause without an exception's own text, which may be personal: the dead letter has it."""
    return cause.partition(":")[0]
