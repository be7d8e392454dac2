"""Whether the server is fit for work, part by part: the truth for load balancers, supervisors and people.

A part is "ok", "warning" (it works, and somebody should look) or "failed". The server is ready when none has failed.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Mapping
from typing import Literal

from msgspec import Struct

from triggerfish.clock import SECOND
from triggerfish.compose import Desk
from triggerfish.errors import Busy, TriggerfishError, Unavailable
from triggerfish.meters import Beat
from triggerfish.walk import FrontDoor

KEPT_SECONDS = 1.0
"""Whoever asks again within so long gets the same answer, so that asking costs nothing."""
PROBE_SECONDS = 5.0
"""How long the log's disk may take to show that it writes."""
SILENT_SECONDS = 5.0
"""A worker that has not beaten for so long stands still: it beats every second, whatever it is at."""
STUCK_SECONDS = 30.0
"""How long the worker's event loop may take to come round."""
SETTLING_SECONDS = 30.0
"""How long a fresh worker may take from the word to its first beat."""
MB = 1_000_000
LEAST_FREE, BETTER_FREE = 20 * MB, 500 * MB


class Part(Struct, frozen=True):
    """How a part is. `says` is for people; it holds nothing personal and no secret."""

    status: Literal["ok", "warning", "failed"]
    says: str


class Readiness(Struct, frozen=True):
    """How all parts are."""

    status: Literal["ready", "not ready"]
    parts: dict[str, Part]

    def sentence(self) -> str:
        """Why not."""
        return "; ".join(f"{name}: {part.says}" for name, part in self.parts.items() if part.status == "failed")


class Examiner:
    """Looks at all parts, at most once in KEPT_SECONDS. Without a `desk` (an application of the front door alone) only
    at the log. `rulebook` gives its state: live, broken or none.
    """

    def __init__(
        self,
        front: FrontDoor,
        desk: Desk | None = None,
        rulebook: Callable[[], str] = lambda: "live",
        *,
        kept_seconds: float = KEPT_SECONDS,
    ) -> None:
        self._front, self._desk, self._rulebook = front, desk, rulebook
        self._kept_seconds = kept_seconds
        self._looking = asyncio.Lock()
        self._known: Readiness | None = None
        self._at = 0.0

    async def look(self) -> Readiness:
        async with self._looking:
            if self._known is None or time.monotonic() - self._at >= self._kept_seconds:
                parts = {"log": await self._log()}
                if self._desk is not None:
                    parts |= await asyncio.to_thread(self._rest, self._desk)
                is_ready = all(part.status != "failed" for part in parts.values())
                self._known = Readiness("ready" if is_ready else "not ready", parts)
                self._at = time.monotonic()
            return self._known

    async def _log(self) -> Part:
        """It has just written to its disk, or says why it cannot."""
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await self._front.log.append([])
        except TimeoutError:
            return Part("failed", f"the disk has not answered for {PROBE_SECONDS:g} s")
        except (Busy, Unavailable) as error:
            return Part("failed", error.sentence)
        return Part("ok", "events are taken and stored")

    def _rest(self, desk: Desk) -> dict[str, Part]:
        beats = desk.beats()
        parts = {"disk": _disk(desk), "rulebook": _of_rulebook(self._rulebook()), "lag": _lag(desk)}
        if "supervisor" in beats:
            parts["worker"] = worker(beats, time.monotonic())
        return parts


def worker(beats: Mapping[str, Beat], now: float) -> Part:
    """How the worker is, by what the supervisor says of it and by its own signs of life."""
    told, own = beats["supervisor"], beats.get("worker")
    waited = now - told.since
    if told.state == "handing over" and waited <= SETTLING_SECONDS:
        return Part("ok", told.why)
    if told.state != "serving":
        return Part("failed", told.why or "it is being started")
    if own is None or own.beaten < told.since:
        if waited <= SETTLING_SECONDS:
            return Part("ok", "it has just been started")
        return Part("failed", f"it has not begun, {waited:.0f} s after it was told to")
    if now - own.beaten > SILENT_SECONDS:
        silence = f"it has shown no sign of life for {now - own.beaten:.0f} s"
        return Part("failed", f"{silence}; if that lasts, it is ended, and a fresh one goes on where it was")
    if own.state != "working":
        return Part("ok", f"{own.state}, for {now - own.since:.0f} s")
    if now - own.turned > STUCK_SECONDS:
        return Part("failed", f"it has been at one thing for {now - own.turned:.0f} s")
    if own.why:
        return Part("failed", f"it waits, for the state cannot be written: {own.why}")
    return Part("ok", "it decides and sends")


def _disk(desk: Desk) -> Part:
    free = shutil.disk_usage(desk.settings.data_path).free
    said = f"{free // MB:,} MB are free"
    if free >= BETTER_FREE:
        return Part("ok", said)
    advice = "make room: once the disk is full, events are refused and nothing is sent"
    return Part("failed" if free < LEAST_FREE else "warning", f"{said}; {advice}")


def _of_rulebook(state: str) -> Part:
    if state == "none":
        return Part("failed", "none is live yet")
    if state == "broken":
        return Part("warning", "a change cannot be used; the one before stays live (GET /v1/rulebook says why)")
    return Part("ok", "live")


def _lag(desk: Desk) -> Part:
    """How old the oldest event is that waits to be decided."""
    try:
        lag = desk.backlog.lag(desk.front.clock.now())
    except TriggerfishError as error:
        return Part("failed", error.sentence)
    age, most = lag.age / SECOND, desk.settings.limits.ready_lag_seconds
    said = f"{lag.events:,} events wait to be decided"
    if lag.events:
        said += f", the oldest for {age:.0f} s"
    return Part("failed" if age > most else "ok", said)
