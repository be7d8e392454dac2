"""What the author of a source builds on: webhooks in, at `POST /v1/hooks/{name}`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from msgspec import Struct

from triggerfish.clock import Instant
from triggerfish.measure import Hit
from triggerfish.plugin.settings import PluginConfig


class Incoming(Struct, frozen=True):
    """A request at a webhook. `headers` have lower-case names; `body` is as sent, decompressed."""

    headers: Mapping[str, str]
    body: bytes
    received_at: Instant


class Source(ABC):
    """Reads a provider's webhooks. Both methods are pure and quick: no I/O, no clock.

    A channel and a source of one name share the table `[plugins.<name>]`, and so the Config.
    """

    name: str = ""
    Config: ClassVar[type[PluginConfig]] = PluginConfig

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def verify(self, request: Incoming) -> bool:
        """Whether the provider signed this request (compare with `hmac.compare_digest`). If not: 401."""

    @abstractmethod
    def read(self, request: Incoming) -> Sequence[Hit | Mapping[str, Any]]:
        """What the request tells: Hits for what became of our sends, and calls in the shape of Segment's batch items
        (`{"type": "track", "event": …, "userId": …}`) for anything else; they are checked as a client's are.

        Raises ValueError, with a sentence, for a body that makes no sense (400).
        """
