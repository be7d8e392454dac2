"""Triggerfish as plugins see it: these names are the public surface, nothing else is. docs/plugins.md explains it."""

from triggerfish.clock import Clock, Instant
from triggerfish.deliver import Call, Features, Receipt, Status, Verdict
from triggerfish.errors import PluginFailed, Refused, SettingsWrong, TriggerfishError
from triggerfish.measure import Hit
from triggerfish.mime import to_mime
from triggerfish.plugin.action import Action
from triggerfish.plugin.channel import BlockingChannel, Channel, Inspection, Kept, NotHandedOver, PluginContext
from triggerfish.plugin.hookspecs import hookimpl
from triggerfish.plugin.settings import PluginConfig
from triggerfish.plugin.source import Door, Incoming, Source, StreamSource
from triggerfish.render import Address, Message, mail_address, safe_header_value
from triggerfish.reports import MailHeard

__all__ = [
    "Action",
    "Address",
    "BlockingChannel",
    "Call",
    "Channel",
    "Clock",
    "Door",
    "Features",
    "Hit",
    "Incoming",
    "Inspection",
    "Instant",
    "Kept",
    "MailHeard",
    "Message",
    "NotHandedOver",
    "PluginConfig",
    "PluginContext",
    "PluginFailed",
    "Receipt",
    "Refused",
    "SettingsWrong",
    "Source",
    "Status",
    "StreamSource",
    "TriggerfishError",
    "Verdict",
    "hookimpl",
    "mail_address",
    "safe_header_value",
    "to_mime",
]
