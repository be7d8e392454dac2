"""What the author of an action builds on: what a rule's `call` does outside, such as a note in a CRM.

An action is handed calls in batches as a channel is handed messages, and answers with receipts; the same guard stands
around it. A call is carried out at least once: one whose answer is lost is handed over again under the same id.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, cast

from triggerfish.deliver import Call, Features, Receipt
from triggerfish.plugin.channel import Channel, PluginContext
from triggerfish.plugin.settings import PluginConfig
from triggerfish.render import Message


class Action(ABC):
    """Something that a rule can call by its `name`. `deadline_seconds` is how long one `run` may take."""

    name: str = ""
    Config: ClassVar[type[PluginConfig]] = PluginConfig
    features: Features = Features()
    deadline_seconds: float = 30.0

    def __init__(self, config: Any) -> None:
        """`config` is a `Config`. No I/O here: that is for `open`."""
        self.config = config

    async def open(self, context: PluginContext) -> None:  # noqa: B027 - optional
        """Get ready. An exception stops the start of the server, with its text."""

    async def close(self) -> None:  # noqa: B027 - optional
        """Let go of what is held."""

    @abstractmethod
    async def run(self, calls: Sequence[Call]) -> list[Receipt]:
        """One receipt per call, in any order. `calls` holds 1 to `features.batch_size` of them.

        Raises NotHandedOver when nothing of the batch was done.
        """


class ActionChannel(Channel):
    """An action as the guard knows channels: the two differ only in what a batch holds."""

    def __init__(self, action: Action) -> None:
        super().__init__(action.config)
        self.name = action.name
        self.features = action.features
        self.deadline_seconds = action.deadline_seconds
        self._action = action

    async def open(self, context: PluginContext) -> None:
        await self._action.open(context)

    async def close(self) -> None:
        await self._action.close()

    async def send(self, batch: Sequence[Message | Call]) -> list[Receipt]:
        return await self._action.run(cast(Sequence[Call], batch))
