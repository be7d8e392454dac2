"""The channels that the settings name, and how fast they send."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from triggerfish.clock import Clock, Instant, from_datetime
from triggerfish.config import Settings
from triggerfish.config.settings import ChannelPace
from triggerfish.errors import SettingsWrong
from triggerfish.lanes import OTHER, PROVIDERS, Pace, WarmUp
from triggerfish.plugin.guard import GuardedChannel
from triggerfish.plugin.manager import Plugins


def channels_of(
    settings: Settings, plugins: Plugins, clock: Clock, *, is_demo: bool = False
) -> dict[str, GuardedChannel]:
    """The channels that the settings name, by name, the main one first; not opened yet.

    Raises SettingsWrong when there is none of a name, or when a demo would send to real people.
    """
    channels = plugins.channels(dict(settings.plugins), clock)
    delivery = settings.delivery
    if delivery.fallback == delivery.channel:
        sentence = f'the channel "{delivery.channel}" cannot be its own fallback'
        raise SettingsWrong(sentence, code="TF661", hint="name another channel under [delivery] fallback, or none")
    for name in delivery.all_channels:
        if name not in channels:
            sentence = f'no plugin provides the channel "{name}"'
            raise SettingsWrong(sentence, code="TF408", hint="see: triggerfish plugins")
        if is_demo and not channels[name].features.is_safe_for_demo:
            raise SettingsWrong(
                f'a demo does not send over "{name}": its messages would go to real people',
                code="TF409",
                hint='set channel = "outbox" under [delivery]',
            )
    return {name: channels[name] for name in delivery.all_channels}


def channel_of(settings: Settings, plugins: Plugins, clock: Clock, *, is_demo: bool = False) -> GuardedChannel:
    """The main one of the channels that the settings name, not opened yet. Raises as `channels_of` does."""
    return channels_of(settings, plugins, clock, is_demo=is_demo)[settings.delivery.channel]


def paces_of(settings: Settings, channels: Mapping[str, GuardedChannel]) -> dict[str, Pace]:
    """How fast each channel sends: as the settings say, and no faster than it can. Raises SettingsWrong."""
    paces = {}
    for name, channel in channels.items():
        said = settings.delivery.channels.get(name, ChannelPace())
        for provider in said.providers.keys() - PROVIDERS.keys() - {OTHER}:
            sentence = f'[delivery.channels.{name}] names the mailbox provider "{provider}", which nobody knows'
            raise SettingsWrong(sentence, code="TF660", hint=f"there are {', '.join(PROVIDERS)} and {OTHER}")
        warm_up = None
        if said.warm_up_from:
            since = _day(said.warm_up_from, f"[delivery.channels.{name}] warm_up_from")
            warm_up = WarmUp(since, said.warm_up_first_day, said.warm_up_factor, said.warm_up_until)
        rates = [rate for rate in (said.per_second, channel.features.per_second) if rate]
        paces[name] = Pace(min(rates, default=None), said.providers, warm_up)
    return paces


def _day(text: str, where: str) -> Instant:
    try:
        return from_datetime(datetime.fromisoformat(text).replace(tzinfo=UTC))
    except ValueError:
        raise SettingsWrong(
            f'{where}: there is no day "{text}"', code="TF662", hint='write it like "2026-01-31"'
        ) from None
