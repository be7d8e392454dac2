"""Plugins are found by entry point (group `triggerfish`) and loaded one by one, so that one that is broken stops no
other. `load_plugins` makes one set of plugins per app; nothing is loaded at import time.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy
from msgspec import Struct

from triggerfish import meters
from triggerfish.clock import Clock
from triggerfish.deliver import Receipt, Verdict
from triggerfish.errors import PluginFailed, SettingsWrong
from triggerfish.plugin import hookspecs
from triggerfish.plugin.action import Action, ActionChannel
from triggerfish.plugin.channel import Channel, PluginContext
from triggerfish.plugin.guard import GuardedChannel
from triggerfish.plugin.registering import named_things, said, wrong
from triggerfish.plugin.settings import decode_config, needs_nothing
from triggerfish.plugin.source import Source, StreamSource
from triggerfish.plugin.streams import GuardedStream
from triggerfish.render import Message

if TYPE_CHECKING:
    import click

log = logging.getLogger("triggerfish.plugin")

HOOKS = tuple(name for name in vars(hookspecs) if name.startswith(("register_", "on_")))

_MUTED_AFTER = 10


class Plugin(Struct, frozen=True):
    """One installed plugin, as `triggerfish plugins` lists it. `problem` is empty when it works."""

    name: str
    package: str = ""
    version: str = ""
    hooks: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    problem: str = ""


class _Registered(Struct):
    """What plugins registered: name -> (plugin, object)."""

    channels: dict[str, tuple[str, type[Channel]]] = {}
    sources: dict[str, tuple[str, type[Source] | type[StreamSource]]] = {}
    actions: dict[str, tuple[str, type[Action]]] = {}
    functions: dict[str, tuple[str, Callable[..., Any]]] = {}
    filters: dict[str, tuple[str, Callable[..., Any]]] = {}
    commands: dict[str, tuple[str, click.Command]] = {}


class Plugins:
    """The loaded plugins. `plugins` lists all that are installed; `problems` are those of plugins that are not needed:
    they are shown, and the server runs on.
    """

    def __init__(self, named: Collection[str], manager: pluggy.PluginManager) -> None:
        self.plugins: tuple[Plugin, ...] = ()
        self.problems: tuple[PluginFailed, ...] = ()
        self._named = frozenset(named)
        self._manager = manager
        self._registered = _Registered()
        self._failures: dict[tuple[str, str], int] = {}

    @property
    def functions(self) -> dict[str, Callable[..., Any]]:
        """Functions for conditions, by name."""
        return {name: function for name, (_, function) in self._registered.functions.items()}

    @property
    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters for templates, by name."""
        return {name: function for name, (_, function) in self._registered.filters.items()}

    @property
    def commands(self) -> tuple[click.Command, ...]:
        """Commands for `triggerfish`."""
        return tuple(command for _, command in self._registered.commands.values())

    def channels(self, tables: Mapping[str, Mapping[str, Any]], clock: Clock) -> dict[str, GuardedChannel]:
        """The channels that the configuration names, by name, not opened yet. `tables` are the `[plugins.<name>]`.

        Raises SettingsWrong for a table that does not fit the channel's Config, PluginFailed when it cannot be made.
        """
        return {
            name: GuardedChannel(_make(channel, plugin, tables.get(name, {})), plugin=plugin, clock=clock)
            for name, (plugin, channel) in self._registered.channels.items()
            if name in self._named
        }

    def sources(self, tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Source]:
        """The webhooks that have a table, by name. Raises as `channels` does."""
        return {
            name: _make(source, plugin, tables[name])
            for name, (plugin, source) in self._registered.sources.items()
            if name in tables and issubclass(source, Source)
        }

    def streams(self, tables: Mapping[str, Mapping[str, Any]]) -> dict[str, GuardedStream]:
        """The streams that have a table, by name, not running yet. Raises as `channels` does."""
        return {
            name: GuardedStream(_make(stream, plugin, tables[name]), plugin=plugin)
            for name, (plugin, stream) in self._registered.sources.items()
            if name in tables and issubclass(stream, StreamSource)
        }

    def actions(self, tables: Mapping[str, Mapping[str, Any]], clock: Clock) -> dict[str, GuardedChannel]:
        """The actions that have a table, or need none, by name, not opened yet. Raises as `channels` does."""
        return {
            name: GuardedChannel(ActionChannel(_make(action, plugin, tables.get(name, {}))), plugin=plugin, clock=clock)
            for name, (plugin, action) in self._registered.actions.items()
            if name in tables or needs_nothing(action.Config)
        }

    def action_names(self, tables: Collection[str]) -> frozenset[str]:
        """The names of those that `actions` gives, which rules may call. `tables` are the names of the tables."""
        return frozenset(
            name
            for name, (_, action) in self._registered.actions.items()
            if name in tables or needs_nothing(action.Config)
        )

    def start(self, context: PluginContext) -> None:
        """Tell all plugins that the worker starts. Raises PluginFailed when one that is named fails."""
        for plugin, error in self._tell("on_start", context=context):
            if plugin in self._named:
                raise PluginFailed(f'plugin "{plugin}", hook on_start: {said(error)}', code="TF511") from error

    def stop(self) -> None:
        """Tell all plugins that the worker stops. Never raises."""
        self._tell("on_stop")

    def tell_decision(self, *, profile_id: str, ruleset: str, rule: str, outcome: str, reason: str) -> None:
        """Call on_decision. Never raises."""
        self._tell("on_decision", profile_id=profile_id, ruleset=ruleset, rule=rule, outcome=outcome, reason=reason)

    def tell_receipt(self, *, channel: str, message: Message, receipt: Receipt, verdict: Verdict) -> None:
        """Call on_receipt. Never raises."""
        self._tell("on_receipt", channel=channel, message=message, receipt=receipt, verdict=verdict)

    def _tell(self, hook: str, **told: object) -> list[tuple[str, Exception]]:
        """Call every implementation by itself (pluggy would stop at the first that raises); the errors, all logged.
        One that failed ten times in a row is not called any more.
        """
        errors = []
        for implementation in getattr(self._manager.hook, hook).get_hookimpls():
            key = (implementation.plugin_name, hook)
            failures = self._failures.get(key, 0)
            if failures >= _MUTED_AFTER:
                continue
            try:
                implementation.function(*(told[argument] for argument in implementation.argnames))
            except Exception as error:
                errors.append((implementation.plugin_name, error))
                self._failures[key] = failures + 1
                meters.PLUGIN_ERRORS.add(1, implementation.plugin_name, "raised")
                muted = "; it is not called any more" if failures + 1 == _MUTED_AFTER else ""
                log.exception('plugin "%s": hook %s raised%s', *key, muted)
            else:
                if failures:
                    self._failures[key] = 0
        return errors

    def _load(self, found: Iterable[EntryPoint]) -> None:
        listed, problems = [], []
        for entry in sorted(found, key=lambda each: each.name):
            plugin = Plugin(entry.name, entry.dist.name if entry.dist else "", entry.dist.version if entry.dist else "")
            try:
                plugin = self._load_one(entry, plugin)
            except PluginFailed as failed:
                if entry.name in self._named:
                    raise
                log.warning("a plugin is passed over: %s", failed)
                problems.append(failed)
                plugin = Plugin(plugin.name, plugin.package, plugin.version, problem=failed.sentence)
            listed.append(plugin)
        self.plugins, self.problems = tuple(listed), tuple(problems)
        self._check_named()

    def _check_named(self) -> None:
        registered = self._registered
        known = registered.channels.keys() | registered.sources.keys() | registered.actions.keys()
        for name in sorted(self._named - known):
            if any(plugin.name == name for plugin in self.plugins):
                ways = f'no channel, source or action called "{name}"'
                sentence = f'the plugin "{name}" has {ways}, so it takes no settings'
                raise SettingsWrong(sentence, code="TF424", hint=f"remove [plugins.{name}] from triggerfish.toml")
            sentence = f'the configuration names the plugin "{name}", which is not installed'
            near = difflib.get_close_matches(name, known, n=1)
            hint = f'did you mean "{near[0]}"?' if near else f"installed: {', '.join(sorted(known)) or 'none'}"
            if self.problems:
                broken = ", ".join(plugin.name for plugin in self.plugins if plugin.problem)
                hint += f"; installed but broken: {broken}, see the log"
            raise SettingsWrong(sentence, code="TF423", hint=hint)

    def _load_one(self, entry: EntryPoint, plugin: Plugin) -> Plugin:
        who = f'plugin "{entry.name}"'
        try:
            module = entry.load()
        except (Exception, SystemExit) as error:
            raise PluginFailed(
                f"{who} cannot be imported: {said(error)}",
                code="TF501",
                hint=f"it comes from {plugin.package or 'an unknown package'}; update or uninstall that",
            ) from error
        try:
            self._manager.register(module, entry.name)
            self._manager.check_pending()
        except (pluggy.PluginValidationError, ValueError) as error:
            if self._manager.has_plugin(entry.name) and self._manager.get_plugin(entry.name) is module:
                self._manager.unregister(module)
            raise PluginFailed(
                f"{who} does not fit the hooks of this server: {said(error)}",
                code="TF502",
                hint=f"the hooks are {', '.join(HOOKS)}; docs/plugins.md has their arguments",
            ) from error
        hooks = self._manager.get_hookcallers(module) or []
        try:
            new = self._collect(entry.name, hooks)
        except Exception as error:
            self._manager.unregister(module)
            failed = error if isinstance(error, PluginFailed) else None
            sentence = failed.sentence if failed else f"{who} cannot register: {said(error)}"
            raise PluginFailed(sentence, code="TF503", hint="see docs/plugins.md") from error
        for kind in new.__struct_fields__:
            getattr(self._registered, kind).update(getattr(new, kind))
        names = tuple(sorted(hook.name for hook in hooks))
        ways = (tuple(new.channels), tuple(new.sources), tuple(new.actions))
        return Plugin(plugin.name, plugin.package, plugin.version, names, *ways)

    def _collect(self, plugin: str, hooks: Sequence[pluggy.HookCaller]) -> _Registered:
        """What one plugin registers, checked; kept only if all of it is right."""
        new = _Registered()
        for hook in hooks:
            for implementation in hook.get_hookimpls():
                if implementation.plugin_name != plugin:
                    continue
                if implementation.wrapper or implementation.hookwrapper:
                    raise wrong(plugin, hook.name, "wrappers are not supported")
                kind = hook.name.removeprefix("register_")
                if kind == hook.name:
                    continue
                for name, thing in named_things(plugin, hook.name, implementation.function()):
                    taken = getattr(self._registered, kind).get(name) or getattr(new, kind).get(name)
                    if taken:
                        raise wrong(plugin, hook.name, f'"{name}" is registered already, by plugin "{taken[0]}"')
                    getattr(new, kind)[name] = (plugin, thing)
        return new


def load_plugins(named: Collection[str], found: Iterable[EntryPoint] | None = None) -> Plugins:
    """Load every installed plugin (or those `found`). `named` are the plugins that the configuration needs: the names
    of the `[plugins.<name>]` tables, and of the channel.

    Raises PluginFailed when one of these is broken, SettingsWrong when it is not there. Any other plugin that is broken
    becomes a logged warning in `problems`.
    """
    manager = pluggy.PluginManager(hookspecs.GROUP)
    manager.add_hookspecs(hookspecs)
    plugins = Plugins(named, manager)
    plugins._load(entry_points(group=hookspecs.GROUP) if found is None else found)
    return plugins


Made = TypeVar("Made", Channel, Source, StreamSource, Action)


def _make(kind: type[Made], plugin: str, table: Mapping[str, Any]) -> Made:
    config = decode_config(kind.Config, table, kind.name)
    try:
        return kind(config)
    except SettingsWrong:
        raise
    except Exception as error:
        raise PluginFailed(f'plugin "{plugin}": {kind.__name__} cannot be made: {said(error)}', code="TF504") from error
