"""Room 8. Render: a due send, the profile as it is now and a template make a Message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from msgspec import Struct

Class = Literal["marketing", "transactional"]


class Address(Struct, frozen=True):
    """A mailbox: `Ana Lima <ana@example.com>`. Neither part holds a control character."""

    email: str
    name: str = ""


class Message(Struct, frozen=True, kw_only=True):
    """A composed message, ready for a channel. `send_id` is its idempotency key.

    Header values hold no control characters. `headers` are extra ones (List-Unsubscribe, …), in order.
    """

    send_id: str
    to: Address
    sender: Address
    reply_to: Address | None = None
    subject: str
    html: str
    text: str
    headers: Mapping[str, str] = {}
    class_: Class = "marketing"
    template: str = ""
    profile_id: str = ""


class Links(Protocol):
    """Makes the tracked addresses of one send (measure.py signs them; compose.py binds them to the public address)."""

    def click(self, url: str) -> str: ...
    def open_pixel(self) -> str: ...
    def unsubscribe(self) -> str: ...


class Template(Protocol):
    """A compiled template: `adapters/templates.py` makes them from `templates/<name>/`."""

    name: str
    class_: Class

    def compose(self, *, send_id: str, data: Mapping[str, Any], to: Address, links: Links) -> Message:
        """Raises MissingData when a value without a fallback is missing."""
        ...
