"""What the supervisor tells a process when it starts it (one JSON argument), and what the process reports back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from triggerfish.clock import Instant

THROUGH = b"through\n"
"""The worker's word that it got on: the first thing that it decided did not kill it, as it may have the one before."""


class Orders(Struct, frozen=True, kw_only=True):
    """`bell`, `control`, `listen` and `board` are inherited file descriptors. `control` is a socket: the process sends
    one Report over it, the worker then waits for "go"; its end is the end of the supervisor.

    `sources` is the folder that holds the rules and templates to load. `demo_since` is set in a demo: when it began.
    `crashes` counts how often workers died in a row before this one. `is_tested` says that the sources' tests passed.
    """

    workspace: Path
    sources: Path
    bell: int
    control: int
    public_url: str
    listen: int = -1
    board: int = -1
    demo_since: Instant | None = None
    crashes: int = 0
    is_tested: bool = False


class Report(Struct, frozen=True, kw_only=True):
    """A process is ready, or cannot be: `problems` are those of the rulebook, as `triggerfish check --json` gives them,
    `error` anything else. `rulebook` describes what was loaded (reads.py has its shape).
    """

    is_ready: bool
    error: str = ""
    problems: list[dict[str, Any]] = []
    rulebook: dict[str, Any] = {}


def encode(message: Orders | Report) -> bytes:
    return msgspec.json.encode(message, enc_hook=str)


def read_orders(text: str) -> Orders:
    return msgspec.json.decode(text, type=Orders, dec_hook=lambda kind, value: kind(value))


def read_report(line: bytes) -> Report:
    return msgspec.json.decode(line, type=Report)
