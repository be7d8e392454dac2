"""A board on which each process of a server shows its sign of life, for the others to read: shared memory that the
supervisor makes and its children inherit. No disk has a part in it, so that it works when the disk is full; it goes
when the last process does.

Each process has a place of its own, and there writes alone. Who reads meets half of a new text now and then; a checksum
tells, and it reads again.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
import time
from collections.abc import Mapping
from zlib import crc32

import msgspec

from triggerfish.meters import Beat

PLACES = ("supervisor", "worker")
"""The api process reads the board and has no place on it."""
_PLACE_BYTES = 256 * 1024
_HEAD = struct.Struct("<II")
_LOOKS = 5
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Beat)


def new_board() -> int:
    """The descriptor of an empty board, to be inherited."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("triggerfish-board")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.truncate(descriptor, _PLACE_BYTES * len(PLACES))
    return descriptor


class Board:
    """The board behind `descriptor`, which may be closed afterwards."""

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, _PLACE_BYTES * len(PLACES))

    def show(self, place: str, beat: Beat) -> None:
        """Show a sign of life. One that is too large is shown without what the meters show."""
        text = _ENCODER.encode(beat)
        if len(text) > _PLACE_BYTES - _HEAD.size:
            text = _ENCODER.encode(msgspec.structs.replace(beat, meters={}))
        start = PLACES.index(place) * _PLACE_BYTES
        self._memory[start + _HEAD.size : start + _HEAD.size + len(text)] = text
        self._memory[start : start + _HEAD.size] = _HEAD.pack(len(text), crc32(text))

    def beats(self) -> Mapping[str, Beat]:
        """The signs of life by place; those of whom nothing was heard are left out."""
        return {place: beat for place in PLACES if (beat := self._read(place)) is not None}

    def _read(self, place: str) -> Beat | None:
        start = PLACES.index(place) * _PLACE_BYTES
        for _ in range(_LOOKS):
            length, checksum = _HEAD.unpack(self._memory[start : start + _HEAD.size])
            text = self._memory[start + _HEAD.size : start + _HEAD.size + min(length, _PLACE_BYTES)]
            if length and crc32(text) == checksum:
                return _DECODER.decode(text)
            if not length:
                return None
            time.sleep(0.001)
        return None

    def close(self) -> None:
        self._memory.close()
