"""The worker's pulse: a thread that shows a sign of life once a second, also while the event loop is at one long thing,
and looks ten times a second at what the main thread is doing. From the looks follows how long it is in each room: where
the code stands says that by itself, so nothing has to be measured on an event's way.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import FrameType

from triggerfish import meters
from triggerfish.adapters.board import Board
from triggerfish.meters import Beat

LOOK_SECONDS = 0.1
BEAT_SECONDS = 1.0

_IDLE = ("selectors.py", "asyncio/base_events.py", "asyncio/events.py", "asyncio/runners.py")
_ROOMS: tuple[tuple[str, str], ...] = (
    ("adapters/sqlite/log.py", "read"),
    ("adapters/liquid", "render"), ("adapters/composed.py", "render"), ("adapters/templates.py", "render"),
    ("adapters/plaintext.py", "render"), ("adapters/links.py", "render"), ("triggerfish/render.py", "render"),
    ("triggerfish/mime.py", "render"), ("triggerfish/headers.py", "render"), ("adapters/http_feeds.py", "render"),
    ("triggerfish/profile.py", "profile"), ("triggerfish/people.py", "profile"), ("triggerfish/activity.py", "profile"),
    ("triggerfish/traces.py", "profile"),
    ("triggerfish/segments.py", "segments"),
    ("triggerfish/rules.py", "rules"), ("adapters/durable", "rules"), ("adapters/compiled.py", "rules"),
    ("adapters/stopwatch.py", "rules"),
    ("triggerfish/decisions.py", "decisions"), ("triggerfish/windows.py", "decisions"),
    ("triggerfish/handing.py", "decisions"), ("triggerfish/hours.py", "decisions"),
    ("triggerfish/schedule.py", "schedule"), ("triggerfish/timetable.py", "schedule"),
    ("triggerfish/engine/", "engine"),
    ("triggerfish/plugin/", "deliver"), ("triggerfish/deliver.py", "deliver"), ("triggerfish_", "deliver"),
)  # fmt: skip
"""Which room a file stands for; of the frames of a call, the innermost that stands for one says where it is."""
_STORE = ("adapters/sqlite/", "engine/store.py")
_STEPS = {"load": "load", "commit": "commit", "mark": "commit", "agenda": "read", "position": "read"}
"""The store's parts by the function that the walk called."""
ROOMS = tuple(sorted({*(room for _, room in _ROOMS), *_STEPS.values(), "store", "other"}))


def room_of(frame: FrameType | None) -> str | None:
    """The room that a call stack stands in; None when the process waits for something to do."""
    if frame is not None and frame.f_code.co_filename.endswith(_IDLE):
        return None
    while frame is not None:
        code = frame.f_code
        room = _room_of_file(code.co_filename)
        if room == "store":
            room = _STEPS.get(code.co_name, "")
            if not room and (frame.f_back is None or _room_of_file(frame.f_back.f_code.co_filename) != "store"):
                return "store"
        if room:
            return room
        frame = frame.f_back
    return "other"


_known: dict[str, str] = {}


def _room_of_file(path: str) -> str:
    room = _known.get(path)
    if room is None:
        named = next((room for part, room in _ROOMS if part in path), "")
        room = named or ("store" if any(part in path for part in _STORE) else "")
        _known[path] = room
    return room


def time_collections(process: str) -> None:
    """Let the meters show what looking for garbage takes, from now on."""
    began = 0.0

    def note(phase: str, details: Mapping[str, int]) -> None:
        nonlocal began
        if phase == "start":
            began = time.perf_counter()
        else:
            meters.GC_SECONDS.add(time.perf_counter() - began, process)
            meters.GC_RUNS.add(1, process, str(details["generation"]))

    gc.callbacks.append(note)


def _nothing() -> str:
    return ""


class Pulse:
    """Beats from `start` to `stop`; `thread` is looked at, the one that makes it unless said."""

    def __init__(self, board: Board | None, *, thread: threading.Thread | None = None) -> None:
        self._board = board
        self._watched = (thread or threading.current_thread()).ident or 0
        self._state, self._since = "starting", time.monotonic()
        self._turned, self._why = self._since, _nothing
        self._beating = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="triggerfish-pulse", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def is_at(self, state: str) -> None:
        """Say what the process is at now; shown at once."""
        self._state, self._since = state, time.monotonic()
        self._turned = self._since
        self._beat()

    def turn(self) -> None:
        """Something went on: the event loop came round, or a part of a long thing is done."""
        self._turned = time.monotonic()

    def ask(self, why: Callable[[], str]) -> None:
        """Ask `why` at every beat what keeps the process from its work, if anything does."""
        self._why = why

    def _run(self) -> None:
        looked = beaten = time.monotonic()
        while not self._ended.wait(LOOK_SECONDS):
            now = time.monotonic()
            room = room_of(sys._current_frames().get(self._watched))
            if room is not None:
                meters.WORKER_ROOMS.add(now - looked, room)
            looked = now
            if now - beaten >= BEAT_SECONDS:
                beaten = now
                self._beat()

    def _beat(self) -> None:
        if self._board is None:
            return
        with self._beating:
            beat = Beat(
                pid=os.getpid(),
                state=self._state,
                why=self._why(),
                since=self._since,
                beaten=time.monotonic(),
                turned=self._turned,
                meters=meters.take(),
            )
            self._board.show("worker", beat)
