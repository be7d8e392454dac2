"""What an activity function counts: `purchase`, `purchase.total`, `purchase[total > 50]`, within a window or not."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from msgspec import Struct

from triggerfish.activity import Activity, Kind, Pick
from triggerfish.clock import Millis, say_duration


class Selector(Struct, frozen=True):
    """`event` is the event's own name; `keeps` the compiled filter and `keeps_text` how it was written. `where` says
    what the names in it are defined as.
    """

    event: str
    field: tuple[str, ...] | None = None
    keeps: Callable[[dict[str, Any]], bool] | None = None
    keeps_text: str = ""
    where: str = ""

    def say(self) -> str:
        """As a rule file writes it."""
        text = f'"{self.event}"'
        if self.keeps_text:
            text += f"[{self.keeps_text}]"
        if self.field:
            text += "." + ".".join(self.field)
        return text


def activity_of(
    selector: Selector,
    window: Millis | None = None,
    *,
    kind: Kind = "count",
    span: Millis = 0,
    then: Selector | None = None,
) -> Activity:
    """The activity to remember for a selector. Its key follows from what it says: equal ones share their state."""
    text, where = selector.say(), selector.where
    match kind:
        case "distinct":
            text += ", different ones"
        case "score":
            text += f" with a half-life of {_exactly(span)}"
        case "followed" | "unfollowed" if then is not None:
            text += f" {'' if kind == 'followed' else 'not '}followed by {then.say()} in {_exactly(span)}"
            where += then.where
    if window is not None:
        text += f" within {_exactly(window)}"
    key = blake2b((text + where).encode(errors="surrogatepass"), digest_size=6).hexdigest()
    pick = None if then is None else Pick(then.event, then.keeps)
    return Activity(key, text, selector.event, selector.field, window, selector.keeps, kind, span, pick)


def _exactly(length: Millis) -> str:
    return f"{say_duration(length)} ({length} ms)"
