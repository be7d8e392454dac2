"""A board on which each process of a server shows its sign of life, for the others to read: shared memory that the
supervisor makes and its children inherit. No disk has a part in it, so that it works when the disk is full; it goes
when the last process does.

Each process has a place of its own with two pages, writes there alone, and always over the older page. So a whole
sign stands there whenever somebody looks, also when the writer is stopped or killed in the middle of the next; a
checksum tells which page is whole.
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
_PAGE_BYTES = 256 * 1024
_PAGES = 2
_BYTES = _PAGE_BYTES * _PAGES * len(PLACES)
_HEAD = struct.Struct("<QII")
"""Which sign it is (counted from 1), the length of its text, the text's checksum."""
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
    os.truncate(descriptor, _BYTES)
    return descriptor


class Board:
    """The board behind `descriptor`, which may be closed afterwards."""

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, _BYTES)

    def show(self, place: str, beat: Beat) -> None:
        """Show a sign of life. One that is too large is shown without what the meters show."""
        text = _ENCODER.encode(beat)
        if len(text) > _PAGE_BYTES - _HEAD.size:
            text = _ENCODER.encode(msgspec.structs.replace(beat, meters={}))
        number = 1 + max(self._head(page)[0] for page in _pages_of(place))
        head = _HEAD.pack(number, len(text), crc32(text))
        start = _pages_of(place)[number % _PAGES]
        self._memory[start + _HEAD.size : start + _HEAD.size + len(text)] = text
        self._memory[start : start + _HEAD.size] = head

    def beats(self) -> Mapping[str, Beat]:
        """The signs of life by place; those of whom nothing was heard are left out."""
        return {place: beat for place in PLACES if (beat := self._read(place)) is not None}

    def _read(self, place: str) -> Beat | None:
        for _ in range(_LOOKS):
            heads = sorted(((self._head(page), page) for page in _pages_of(place)), reverse=True)
            for (number, length, checksum), page in heads:
                text = self._memory[page + _HEAD.size : page + _HEAD.size + min(length, _PAGE_BYTES)]
                if number and crc32(text) == checksum:
                    return _DECODER.decode(text)
            if not any(number for (number, _, _), _ in heads):
                return None
            time.sleep(0.001)
        return None

    def _head(self, page: int) -> tuple[int, int, int]:
        number, length, checksum = _HEAD.unpack(self._memory[page : page + _HEAD.size])
        return number, length, checksum

    def close(self) -> None:
        self._memory.close()


def _pages_of(place: str) -> range:
    """Where the pages of a place begin."""
    first = PLACES.index(place) * _PAGES * _PAGE_BYTES
    return range(first, first + _PAGES * _PAGE_BYTES, _PAGE_BYTES)
