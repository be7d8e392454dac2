"""What an activity function counts: `purchase`, `purchase.total`, `purchase[total > 50]`, within a window or not."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from msgspec import Struct

from triggerfish.activity import Activity
from triggerfish.clock import parse_duration, say_duration


class Selector(Struct, frozen=True):
    """`event` is the event's own name; `keeps` the compiled filter and `keeps_text` how it was written."""

    event: str
    field: tuple[str, ...] | None = None
    keeps: Callable[[dict[str, Any]], bool] | None = None
    keeps_text: str = ""


def activity_of(selector: Selector, window: object) -> Activity:
    """The activity to remember for a selector. Its key follows from what it says, so that equal ones share their state.

    Raises ValueError with a sentence for a marketer when the window is no length of time.
    """
    if window is not None and not isinstance(window, str):
        raise ValueError('a window is written as text, like "30d"')
    length = None if window is None else parse_duration(window)
    text = f'"{selector.event}"'
    if selector.keeps_text:
        text += f"[{selector.keeps_text}]"
    if selector.field:
        text += "." + ".".join(selector.field)
    if length is not None:
        text += f" within {say_duration(length)} ({length} ms)"
    key = blake2b(text.encode(), digest_size=6).hexdigest()
    return Activity(key, text, selector.event, selector.field, length, selector.keeps)
