"""What a `register_…` hook may return, checked when the plugin is loaded so that nothing fails at the first message."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

from triggerfish.errors import PluginFailed
from triggerfish.plugin.action import Action
from triggerfish.plugin.channel import Channel
from triggerfish.plugin.settings import PluginConfig
from triggerfish.plugin.source import Source, StreamSource

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,49}")
_FUNCTION = re.compile(r"[a-z][a-z0-9_]{0,49}")


def named_things(plugin: str, hook: str, given: object) -> list[tuple[str, Any]]:
    """The objects that a `register_…` hook returned, checked, with their names."""
    if hook in ("register_functions", "register_filters"):
        if not isinstance(given, Mapping):
            raise wrong(plugin, hook, "it has to return a mapping of names to functions")
        for name, function in given.items():
            if not isinstance(name, str) or not _FUNCTION.fullmatch(name) or not callable(function):
                raise wrong(plugin, hook, f"{name!r} is no function with a name like lower_case")
        return list(given.items())
    if not isinstance(given, Iterable):
        raise wrong(plugin, hook, "it has to return a list")
    things = []
    for thing in given:
        if hook == "register_commands":
            if not isinstance(getattr(thing, "name", None), str) or not callable(getattr(thing, "invoke", None)):
                raise wrong(plugin, hook, f"{thing!r} is no click command")
        else:
            _check_class(plugin, hook, thing, _PARENTS[hook])
        things.append((thing.name, thing))
    return things


_Parent = type[Channel] | type[Source] | type[StreamSource] | type[Action]
_PARENTS: Mapping[str, tuple[_Parent, ...]] = {
    "register_channels": (Channel,), "register_sources": (Source, StreamSource), "register_actions": (Action,),
}  # fmt: skip


def _check_class(plugin: str, hook: str, thing: object, parents: tuple[_Parent, ...]) -> None:
    if not (isinstance(thing, type) and issubclass(thing, parents)):
        raise wrong(plugin, hook, f"{thing!r} is no subclass of {' or '.join(each.__name__ for each in parents)}")
    if inspect.isabstract(thing):
        absent = ", ".join(sorted(thing.__abstractmethods__))
        raise wrong(plugin, hook, f"{thing.__name__} lacks {absent}")
    if not _NAME.fullmatch(thing.name):
        raise wrong(plugin, hook, f"{thing.__name__} needs a name of lower-case letters, digits, - and _")
    if not issubclass(thing.Config, PluginConfig):
        raise wrong(plugin, hook, f"{thing.__name__}.Config has to be a subclass of PluginConfig")
    if issubclass(thing, StreamSource) and not inspect.iscoroutinefunction(thing.run):
        raise wrong(plugin, hook, f"{thing.__name__}.run has to be async")
    if issubclass(thing, Channel | Action):
        if issubclass(thing, Channel) and not inspect.iscoroutinefunction(thing.send):
            raise wrong(plugin, hook, f"{thing.__name__}.send has to be async (or make it a BlockingChannel)")
        if issubclass(thing, Action) and not inspect.iscoroutinefunction(thing.run):
            raise wrong(plugin, hook, f"{thing.__name__}.run has to be async")
        pace = thing.features.per_second
        if thing.features.batch_size < 1 or thing.deadline_seconds <= 0 or (pace is not None and pace <= 0):
            raise wrong(plugin, hook, f"{thing.__name__}: batch_size, per_second and deadline_seconds are more than 0")


def wrong(plugin: str, hook: str, what: str) -> PluginFailed:
    """The error for a hook that returned what cannot work."""
    return PluginFailed(f'plugin "{plugin}", hook {hook}: {what}', code="TF503")


def said(error: BaseException) -> str:
    """An exception on one line: its type and its text."""
    text = " ".join(str(error).split())[:500]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
