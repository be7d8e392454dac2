"""The watchdog: whether the worker hangs. A process that lives and does nothing, and will not by itself, is as good as
dead; the supervisor ends it then, and starts it again as after any other death.

A worker gives a sign of life whenever its event loop comes round, and while it fits people to changed rules after every
part of them. A wait for a disk that refuses is one, too, as long as its pulse beats: to begin anew would not mend it.
"""

from __future__ import annotations

from collections.abc import Mapping

from triggerfish.meters import Beat

LOOK_SECONDS = 2.0
"""How often it is looked."""
BEGIN_SECONDS = 30.0
"""How long a fresh worker may take to its first sign, if it may not be silent for as long anyway."""
_ASLEEP_SECONDS = 3 * LOOK_SECONDS
"""Who looks so late was stopped itself, and the worker with it, perhaps."""


class Watchdog:
    """Ends a worker's silence after `silence_seconds`. To be asked every LOOK_SECONDS."""

    def __init__(self, silence_seconds: float) -> None:
        self._silence = silence_seconds
        self._looked = self._awake = float("-inf")

    def look(self, beats: Mapping[str, Beat], now: float) -> str:
        """Why the worker has to be ended, or nothing. `now` is on the machine's monotonic clock, as beats are."""
        if now - self._looked > _ASLEEP_SECONDS:
            self._awake = now
        self._looked = now
        told, own = beats.get("supervisor"), beats.get("worker")
        if told is None or told.state != "serving":
            return ""
        last, most, at = told.since, max(self._silence, BEGIN_SECONDS), "beginning"
        if own is not None and own.beaten >= told.since:
            last, most, at = (own.beaten if own.why else own.turned), self._silence, own.state
        silent = now - max(last, told.since, self._awake)
        return f"no sign of life for {silent:.0f} s; the last one said: {at}" if silent > most else ""
