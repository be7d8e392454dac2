"""Calls that block, each in a thread of its own that keeps nobody from ending."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class NoThread(Exception):
    """None could be started."""


async def in_thread(name: str, call: Callable[..., T], *args: Any, ended: Callable[[], None] = lambda: None) -> T:
    """`call(*args)` in a thread called `name`; `ended` is called in the loop when the thread is done, even if nobody
    waits for it any more.

    A thread cannot be interrupted, and so goes on when this is cancelled. Raises NoThread when none can be started.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def give_back(result: T | None, error: Exception | None) -> None:
        ended()
        if answer.cancelled():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result: T | None = None
        error: Exception | None = None
        try:
            result = call(*args)
        except StopIteration:
            error = RuntimeError("StopIteration")  # a Future refuses it
        except Exception as raised:
            error = raised
        except BaseException as raised:
            # SystemExit in a plugin's thread must not end the server.
            error = RuntimeError(f"{type(raised).__name__}: {raised}")
        # The loop is closed when the server stopped without waiting for this thread; then nobody listens.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(give_back, result, error)

    # A daemon, unlike a ThreadPoolExecutor's: a thread that hangs must not keep the process from ending.
    try:
        threading.Thread(target=run, name=name, daemon=True).start()
    except RuntimeError as refused:
        raise NoThread(str(refused)) from refused
    return await answer
