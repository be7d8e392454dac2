"""The doorbell: a pipe through which the api process tells the worker that the log has news. The supervisor holds both
ends, so that it outlives either process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os


class Bell:
    """The ringing end. A full pipe means that the bell is ringing already."""

    def __init__(self, write_end: int) -> None:
        self._write_end = write_end
        os.set_blocking(write_end, False)

    def ring(self) -> None:
        # BlockingIOError: it rings already. BrokenPipeError: nobody is there; who comes next reads the log anyway.
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(self._write_end, b"!")


class Ear:
    """The hearing end: `news` is set whenever the bell has rung. Made within the running loop that it serves."""

    def __init__(self, read_end: int, news: asyncio.Event) -> None:
        self._read_end = read_end
        self._news = news
        os.set_blocking(read_end, False)
        asyncio.get_running_loop().add_reader(read_end, self._heard)

    def _heard(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._read_end, 65_536)
        self._news.set()
