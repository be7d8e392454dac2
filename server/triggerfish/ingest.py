"""Room 1. Ingest: raw request bodies become Events: right shape, an identity, a sane time.

The shapes are the Segment spec's (track, identify, page, screen, group, alias, batch, import).
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from triggerfish.clock import Instant

Kind = Literal["track", "identify", "page", "screen", "group", "alias", "feedback"]
"""`feedback` comes from our own links, pixels and channels (room 10), never from a write key."""


class Event(Struct, frozen=True, omit_defaults=True, gc=False):
    """Something that a person did, as the log keeps it (JSON).

    `name` is what rules call it: a track call's event, else the kind ("page", "identify", …).
    `timestamp` is event time, corrected by sentAt as the Segment spec says and never after the instant of receipt.
    At least one of user_id, anonymous_id, profile_id is set. Empty text is no identity.
    """

    kind: Kind
    name: str
    message_id: str
    timestamp: Instant
    user_id: str | None = None
    anonymous_id: str | None = None
    previous_id: str | None = None
    group_id: str | None = None
    profile_id: str | None = None
    properties: dict[str, Any] = {}
    traits: dict[str, Any] = {}
    context: dict[str, Any] = {}
    integrations: dict[str, Any] = {}
