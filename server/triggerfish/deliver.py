"""Room 9. Deliver: a batch of Messages goes to a channel and comes back as Receipts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from msgspec import Struct

from triggerfish.render import Message

Status = Literal["accepted", "refused", "retry", "unknown"]
"""What became of one message at the channel.

accepted: the provider has taken it. refused: it never will (bad address, rejected content). retry: not now; try again
(after `retry_after_seconds` if set). unknown: we cannot tell whether it was taken (a time-out after the hand-over).
"""


class Receipt(Struct, frozen=True):
    """The channel's answer for one message. `detail` is for people: the provider's own words, no secrets."""

    send_id: str
    status: Status
    provider_id: str = ""
    detail: str = ""
    retry_after_seconds: float | None = None


class Features(Struct, frozen=True):
    """What a channel can do. `is_idempotent`: sending the same send_id twice delivers once.
    `is_safe_for_demo`: it delivers to nobody outside this machine.
    """

    is_idempotent: bool = False
    is_safe_for_demo: bool = False
    batch_size: int = 100


class Channel(Protocol):
    """A way out for messages. Plugins provide them (plugin/channel.py has the class that they subclass)."""

    name: str
    features: Features

    async def send(self, batch: Sequence[Message]) -> Sequence[Receipt]:
        """One receipt per message, in any order. At most `features.batch_size` messages."""
        ...
