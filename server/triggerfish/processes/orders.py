"""What the supervisor tells a process when it starts it: one JSON argument."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from triggerfish.clock import Instant


class Orders(Struct, frozen=True):
    """File descriptors are inherited. `demo_since` is set in a demo: when it began. `crashes` counts how often the worker
    died since it last came through.
    """

    workspace: Path
    bell: int
    lifeline: int
    public_url: str
    listen: int = -1
    demo_since: Instant | None = None
    crashes: int = 0


def encode(orders: Orders) -> str:
    return msgspec.json.encode(orders, enc_hook=str).decode()


def decode(text: str) -> Orders:
    return msgspec.json.decode(text, type=Orders, dec_hook=lambda kind, value: kind(value))
