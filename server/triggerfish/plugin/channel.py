"""What the author of a channel builds on: subclass `Channel`, or `BlockingChannel` for an SDK that blocks.

A channel declares its `name`, its `Config` and its `features`; the server decodes `[plugins.<name>]` into the Config,
calls `open` once, `send` many times (at once, too) and `close` at the end. The guard stands around each call.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from msgspec import Struct

from triggerfish import meters
from triggerfish.clock import Clock, Instant
from triggerfish.deliver import Features, Receipt
from triggerfish.plugin.settings import PluginConfig
from triggerfish.plugin.threads import NoThread, in_thread
from triggerfish.render import Message
from triggerfish.verp import Verp

T = TypeVar("T")


class NotHandedOver(Exception):
    """Raise it from `send` when the provider has got none of the batch: all of it is then tried again.

    Any other exception leaves it open whether messages went out. The text is shown to people: no secrets.
    """


class PluginContext(Struct, frozen=True):
    """Where a plugin runs. `data` is the folder for what it keeps (`<workspace>/data`), below a name of its own;
    `public_url` is what addresses in messages start with; `clock` is the server's (in a demo not the machine's);
    `verp` makes and reads return paths that name their send. `is_wanted` says whether a message of a batch (by its
    send id) is still to go: who opts out while it waits for its turn gets nothing. Ask right before each.
    """

    workspace: Path
    data: Path
    public_url: str
    clock: Clock
    verp: Verp = Verp()
    is_wanted: Callable[[str], bool] = lambda send_id: True


class Kept(Struct, frozen=True):
    """A message that a channel keeps for people to look at."""

    send_id: str
    kept_at: Instant
    size: int
    to: str = ""
    subject: str = ""


class Inspection(Struct, frozen=True, kw_only=True):
    """What a channel tells `triggerfish doctor` of itself.

    `trouble` says why the provider cannot be reached or does not let us in, `detail` what it looks like otherwise.
    `return_path` is the domain that bounces go to; empty: the sender's. `signatures` are the keys that sign: the name
    in DNS (`selector._domainkey.domain`) and the TXT record that has to be there. `secrets` are files with secrets.
    """

    trouble: str = ""
    detail: str = ""
    return_path: str = ""
    signatures: Mapping[str, str] = {}
    secrets: Sequence[Path] = ()


class Channel(ABC):
    """A way out for messages.

    `deadline_seconds` is how long one `send` may take; after it the batch counts as "unknown".
    """

    name: str = ""
    Config: ClassVar[type[PluginConfig]] = PluginConfig
    features: Features = Features()
    deadline_seconds: float = 60.0

    def __init__(self, config: Any) -> None:
        """`config` is a `Config`. No I/O here: that is for `open`."""
        self.config = config

    async def open(self, context: PluginContext) -> None:  # noqa: B027 - optional
        """Get ready. An exception stops the start of the server, with its text."""

    async def close(self) -> None:  # noqa: B027 - optional
        """Let go of what is held. Also called when `open` failed half-way or never ran."""

    @abstractmethod
    async def send(self, batch: Sequence[Message]) -> list[Receipt]:
        """One receipt per message, in any order. `batch` holds 1 to `features.batch_size` messages.

        Raises NotHandedOver when the provider got nothing of the batch (it could not be reached, say).
        """

    async def look_up(self, send_ids: Sequence[str]) -> Mapping[str, bool]:
        """Whether the provider has these sends: True; False only when it is certain that it never will, though an
        earlier call may still be under way; nothing of those that it cannot tell. Asked only with
        `features.can_look_up`, of sends whose outcome is unknown.
        """
        return {}

    async def inspect(self) -> Inspection:
        """For `triggerfish doctor`, after `open`: try the way to the provider, and send nothing."""
        return Inspection()

    def kept(self, limit: int) -> list[Kept]:
        """The newest messages that the channel keeps, newest first; none for one that delivers. May block."""
        return []

    def read_kept(self, send_id: str) -> bytes | None:
        """A kept message as RFC 5322 bytes, or None. May block."""
        return None


class BlockingChannel(Channel):
    """A channel whose `send_blocking` runs in a thread of its own, at most `threads` at a time.

    A thread cannot be interrupted: after a time-out it goes on and holds its place. When all places are held for
    `patience_seconds`, a batch is given back as not handed over.
    """

    threads: int = 4
    patience_seconds: float = 10.0

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._places: asyncio.Semaphore | None = None
        self._busy = 0

    @abstractmethod
    def send_blocking(self, batch: Sequence[Message]) -> list[Receipt]:
        """As `send`, in a thread."""

    async def send(self, batch: Sequence[Message]) -> list[Receipt]:
        return await self.in_thread(self.send_blocking, batch)

    async def in_thread(self, call: Callable[..., T], *args: Any) -> T:
        """`call(*args)` in a thread of this channel. Raises NotHandedOver when no thread gets free in time."""
        if self._places is None:
            self._places = asyncio.Semaphore(self.threads)
        places = self._places
        try:
            async with asyncio.timeout(self.patience_seconds):
                await places.acquire()
        except TimeoutError:
            raise NotHandedOver(f"all {self.threads} threads of the channel are busy") from None
        self._note_busy(1)

        def ended() -> None:
            places.release()
            self._note_busy(-1)

        try:
            return await in_thread(f"channel {self.name}", call, *args, ended=ended)
        except NoThread as refused:
            ended()
            raise NotHandedOver(f"no thread could be started: {refused}") from refused

    def _note_busy(self, more: int) -> None:
        self._busy += more
        meters.PLUGIN_THREADS.set(self._busy, self.name)
