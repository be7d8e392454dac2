"""Mail through Resend's API (https://resend.com/docs/api-reference), and what its webhooks tell of it."""

from __future__ import annotations

from collections.abc import Sequence

from triggerfish import Channel, Source, hookimpl
from triggerfish_resend.channel import Resend
from triggerfish_resend.webhooks import ResendWebhooks


@hookimpl
def register_channels() -> Sequence[type[Channel]]:
    return [Resend]


@hookimpl
def register_sources() -> Sequence[type[Source]]:
    return [ResendWebhooks]
