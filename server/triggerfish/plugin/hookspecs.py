"""The hooks, one line each: a table of contents. Hooks register objects at start-up; the objects act.

docs/plugins.md describes them; a test compares the signatures. Predictors get their hook (`register_predictors`)
together with the code that calls it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import click

    from triggerfish.deliver import Receipt, Verdict
    from triggerfish.plugin.action import Action
    from triggerfish.plugin.channel import Channel, PluginContext
    from triggerfish.plugin.source import Source, StreamSource
    from triggerfish.render import Message

GROUP = "triggerfish"
"""The entry-point group, and pluggy's project name."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def register_channels() -> Sequence[type[Channel]]:  # type: ignore[empty-body]
    """Channels: ways out for messages."""


@hookspec
def register_sources() -> Sequence[type[Source | StreamSource]]:  # type: ignore[empty-body]
    """Sources: webhooks in, at `POST /v1/hooks/{name}`, and streams, which listen by themselves."""


@hookspec
def register_actions() -> Sequence[type[Action]]:  # type: ignore[empty-body]
    """Actions: what rules can `call`."""


@hookspec
def register_functions() -> Mapping[str, Callable[..., Any]]:  # type: ignore[empty-body]
    """Functions for conditions, by name: pure, quick, of plain values (text, numbers, booleans, lists, None)."""


@hookspec
def register_filters() -> Mapping[str, Callable[..., Any]]:  # type: ignore[empty-body]
    """Filters for templates, by name: the first argument is the value that is filtered."""


@hookspec
def register_commands() -> Sequence[click.Command]:  # type: ignore[empty-body]
    """Commands for `triggerfish`."""


@hookspec
def on_start(context: PluginContext) -> None:
    """The worker starts; nothing has been decided yet."""


@hookspec
def on_stop() -> None:
    """The worker stops."""


@hookspec
def on_decision(profile_id: str, ruleset: str, rule: str, outcome: str, reason: str) -> None:
    """A decision is on disk. Called in the worker, one after the other: return at once."""


@hookspec
def on_receipt(channel: str, message: Message, receipt: Receipt, verdict: Verdict) -> None:
    """A channel has answered, and the verdict is on disk. Called in the worker: return at once."""
