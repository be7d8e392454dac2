"""The board on which processes show their signs of life."""

import mmap
import os
import subprocess
import sys
import threading
import time

import msgspec
import pytest

from triggerfish.adapters.board import Board, new_board
from triggerfish.meters import Beat


def beat(pid: int, **more) -> Beat:
    return Beat(pid=pid, state="working", since=1.0, beaten=2.0, turned=3.0, **more)


@pytest.fixture
def end():
    descriptor = new_board()
    yield descriptor
    os.close(descriptor)


def test_what_one_shows_the_others_see(end):
    ours, theirs = Board(end), Board(end)
    assert ours.beats() == {}
    shown = beat(7, meters={"x_total": [(("a", "b"), [1.5])]}, why="so")
    theirs.show("worker", shown)
    theirs.show("supervisor", beat(8))
    assert ours.beats() == {"worker": shown, "supervisor": beat(8)}
    theirs.show("worker", beat(9))
    assert ours.beats()["worker"] == beat(9)


def test_another_process_that_inherits_it_sees_it(end):
    code = (
        "import sys; from triggerfish.adapters.board import Board; from triggerfish.meters import Beat;"
        "Board(int(sys.argv[1])).show('worker', Beat(pid=42, state='x', since=0, beaten=0, turned=0))"
    )
    subprocess.run([sys.executable, "-c", code, str(end)], pass_fds=[end], check=True)
    assert Board(end).beats()["worker"].pid == 42


def test_what_is_too_large_is_shown_without_its_figures(end):
    board = Board(end)
    board.show("worker", beat(7, meters={"x_total": [((str(number),), [1.0]) for number in range(50_000)]}))
    assert board.beats()["worker"] == beat(7)


def test_a_writer_killed_in_the_middle_leaves_the_sign_before(end):
    board = Board(end)
    for number in range(1, 4):
        board.show("worker", beat(number))
    with mmap.mmap(end, 0) as memory:
        newest = memory.find(msgspec.msgpack.encode(beat(3)))
        memory[newest + 5] ^= 0xFF
    assert board.beats() == {"worker": beat(2)}


def test_who_reads_while_another_writes_sees_a_whole_beat(end):
    ours, theirs = Board(end), Board(end)
    known = [beat(number, why="x" * (number * 5_000)) for number in range(8)]
    ended = threading.Event()

    def write():
        while not ended.is_set():
            for each in known:
                theirs.show("worker", each)

    theirs.show("worker", known[0])
    thread = threading.Thread(target=write)
    thread.start()
    seen, until = [], time.monotonic() + 60
    try:
        while len(seen) < 300 and time.monotonic() < until:
            if "worker" in (read := ours.beats()):
                seen.append(read["worker"])
    finally:
        ended.set()
        thread.join()
    assert len(seen) == 300
    assert all(each in known for each in seen)
