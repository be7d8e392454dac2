"""What the author of a source builds on: webhooks in (`Source`, at `POST /v1/hooks/{name}`) and streams in
(`StreamSource`, which listens by itself).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol, TypeVar

from msgspec import Struct

from triggerfish.clock import Instant
from triggerfish.measure import Hit
from triggerfish.plugin.channel import PluginContext
from triggerfish.plugin.settings import PluginConfig
from triggerfish.plugin.threads import in_thread
from triggerfish.reports import MailHeard

T = TypeVar("T")


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


class Door(Protocol):
    """Where a stream tells what it heard. Each call returns when everything is on disk: acknowledge it at its origin
    then, and not before. As long as the server is too busy or its disk refuses, a call waits.
    """

    @property
    def context(self) -> PluginContext: ...

    async def tell(self, told: Sequence[Hit | Mapping[str, Any]], *, nonce: str) -> int:
        """Let in Hits and calls, as `Source.read` returns them: all or nothing. Returns how many events are on disk.

        `nonce` names what they came in (a message's id at its origin, say): told again, it changes nothing.
        Raises Refused for what makes no sense; to tell it again is of no use.
        """
        ...

    async def tell_mail(self, raw: bytes, came_to: Sequence[str] = ()) -> MailHeard:
        """Let in what a mail (RFC 5322) reports on our messages, if it proves which one it is about. `came_to` are the
        addresses that it was delivered to, as far as they are known besides its header.
        """
        ...


class StreamSource(ABC):
    """Listens by itself, in the web process: to a mailbox, a queue, a log.

    `run` goes on until it is cancelled. When it raises or returns, it is started again after a while, so let it raise
    what it cannot mend. A stream may hear the same twice, so it needs a `nonce` for what it tells.
    """

    name: str = ""
    Config: ClassVar[type[PluginConfig]] = PluginConfig

    def __init__(self, config: Any) -> None:
        """`config` is a `Config`. No I/O here: that is for `run`."""
        self.config = config

    @abstractmethod
    async def run(self, door: Door) -> None:
        """Connect, and tell what comes. Never block in here: `in_thread` is for calls that do."""

    async def in_thread(self, call: Callable[..., T], *args: Any) -> T:
        """`call(*args)` in a thread of its own. Cancelled, it leaves the thread alone: make its call end, too (close
        its connection).
        """
        return await in_thread(f"stream {self.name}", call, *args)
