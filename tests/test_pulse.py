"""The worker's pulse: a sign of life whatever the event loop is at, and in which room the time goes."""

import gc
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

import pytest

from triggerfish import meters
from triggerfish.adapters import board
from triggerfish.adapters.board import Board, new_board
from triggerfish.processes import pulse
from triggerfish.processes.pulse import ROOMS, Pulse, room_of, time_collections

SERVER = "/opt/site/triggerfish"


def standing_in(*places: str) -> FrameType:
    """A frame whose call stack goes through these files, the innermost last; a place may name its function."""
    inner: Callable[[], FrameType] = sys._getframe
    for place in reversed(places):
        path, _, name = place.partition(":")
        name = name or "somewhere"
        scope: dict[str, object] = {"inner": inner}
        exec(compile(f"def {name}():\n    return inner()", path, "exec"), scope)  # noqa: S102
        inner = scope[name]  # type: ignore[assignment]
    return inner()


@pytest.mark.parametrize(
    ("places", "room"),
    [
        ([f"{SERVER}/walk.py", f"{SERVER}/engine/run.py", f"{SERVER}/profile.py"], "profile"),
        ([f"{SERVER}/engine/run.py", f"{SERVER}/segments.py", f"{SERVER}/conditions.py"], "segments"),
        ([f"{SERVER}/engine/run.py", f"{SERVER}/adapters/compiled.py", "<the rules>"], "rules"),
        ([f"{SERVER}/engine/run.py", f"{SERVER}/clock.py"], "engine"),
        ([f"{SERVER}/walk.py", f"{SERVER}/adapters/sqlite/log.py", "/lib/msgspec.py"], "read"),
        ([f"{SERVER}/walk.py", f"{SERVER}/adapters/sqlite/state.py:load"], "load"),
        ([f"{SERVER}/adapters/sqlite/state.py:commit", f"{SERVER}/adapters/sqlite/outgoing.py:put"], "commit"),
        ([f"{SERVER}/walk.py", f"{SERVER}/adapters/sqlite/state.py:to_send"], "store"),
        ([f"{SERVER}/leave.py", f"{SERVER}/adapters/composed.py", "/lib/liquid/x.py"], "render"),
        ([f"{SERVER}/plugin/guard.py", "/opt/site/triggerfish_smtp/channel.py"], "deliver"),
        (["/lib/asyncio/tasks.py"], "other"),
        ([f"{SERVER}/processes/worker.py", "/lib/python3.11/selectors.py"], None),
    ],
)
def test_the_room_is_where_the_code_stands(places, room):
    # The frame of sys._getframe's caller is the innermost of these.
    assert room_of(standing_in(*places)) == room
    assert room is None or room in ROOMS


@pytest.fixture
def end(monkeypatch):
    monkeypatch.setattr(pulse, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(pulse, "BEAT_SECONDS", 0.05)
    return new_board()


def test_it_beats_while_the_loop_is_at_one_long_thing(end):
    watch = Board(end)
    heart = Pulse(Board(end))
    heart.start()
    try:
        heart.is_at("working")
        first = watch.beats()["worker"]
        # No event loop turns here at all.
        deadline = time.monotonic() + 10
        while watch.beats()["worker"].beaten < first.beaten + 0.2 and time.monotonic() < deadline:
            sum(range(1_000))
        last = watch.beats()["worker"]
        assert (last.state, last.since, last.turned) == ("working", first.since, first.turned)
        assert last.beaten > first.beaten + 0.15
        heart.turn()
        assert last.turned < time.monotonic()
    finally:
        heart.stop()
    assert board.PLACES == ("supervisor", "worker")


def test_the_time_at_work_is_shared_out_among_the_rooms_and_the_idle_is_not(end):
    def total():
        return sum(cell[0] for _, cell in meters.WORKER_ROOMS.shown())

    ended = threading.Event()
    scope: dict[str, object] = {"ended": ended}
    exec(compile("def work():\n    while not ended.is_set(): sum(range(500))", f"{SERVER}/rules.py", "exec"), scope)  # noqa: S102
    worker = threading.Thread(target=scope["work"])  # type: ignore[arg-type]
    worker.start()
    before = dict(meters.WORKER_ROOMS.shown()).get(("rules",), [0.0])[0]
    heart = Pulse(None, thread=worker)
    heart.start()
    began = time.monotonic()
    time.sleep(0.5)
    ended.set()
    worker.join()
    heart.stop()
    took = time.monotonic() - began
    spent = dict(meters.WORKER_ROOMS.shown())["rules",][0] - before
    assert 0.1 < spent <= took + 0.1
    assert total() >= spent


def test_looking_for_garbage_is_timed():
    known = len(gc.callbacks)
    time_collections("tests")
    try:
        gc.collect(2)
    finally:
        del gc.callbacks[known:]
    assert dict(meters.GC_RUNS.shown())["tests", "2"] == [1.0]
    assert dict(meters.GC_SECONDS.shown())[("tests",)][0] > 0
