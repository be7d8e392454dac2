"""Resend's webhooks, at `POST /v1/hooks/resend`: what became of a message (https://resend.com/docs/dashboard/webhooks).

Each is signed with Svix' scheme, that of Standard Webhooks: `svix-signature` holds `v1,` and the base64 of HMAC-SHA256
over `svix-id.svix-timestamp.body`, several with a blank between them while a secret is being changed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from triggerfish import Hit, Incoming, Source
from triggerfish_resend.config import ResendConfig, key_of

TOLERANCE_SECONDS = 300
"""How far the provider's clock may be from ours; an older request could be one that somebody kept and sends again."""


class _Bounce(Struct):
    type: str = ""
    message: str = ""
    sub_type: str = msgspec.field(default="", name="subType")
    diagnostic: list[str] = msgspec.field(default_factory=list, name="diagnosticCode")


class _Data(Struct):
    to: list[str] = []
    tags: dict[str, str] = {}
    bounce: _Bounce | None = None


class _Told(Struct):
    type: str
    data: _Data


class ResendWebhooks(Source):
    """Reads Resend's webhooks. Opens and clicks are told by our own links, and counted twice if taken from here too."""

    name = "resend"
    Config = ResendConfig
    config: ResendConfig

    def verify(self, request: Incoming) -> bool:
        if not self.config.webhook_secret:
            return False
        identifier, sent = request.headers.get("svix-id", ""), request.headers.get("svix-timestamp", "")
        if not sent.isdecimal() or len(sent) > 12 or abs(request.received_at // 1000 - int(sent)) > TOLERANCE_SECONDS:
            return False
        signed = f"{identifier}.{sent}.".encode() + request.body
        mac = hmac.new(key_of(self.config.webhook_secret), signed, hashlib.sha256).digest()
        wanted = b"v1," + base64.b64encode(mac)
        given = request.headers.get("svix-signature", "")[:2_000].encode().split(b" ")
        return any(hmac.compare_digest(wanted, each) for each in given)

    def read(self, request: Incoming) -> Sequence[Hit | Mapping[str, Any]]:
        try:
            told = msgspec.json.decode(request.body, type=_Told)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValueError(str(error)) from error
        data = told.data
        send, profile = data.tags.get("send"), data.tags.get("profile")
        if not send or not profile:
            return []  # a message that this server did not send
        recipient = data.to[0] if len(data.to) == 1 else ""
        match told.type:
            case "email.delivered":
                return [Hit("delivered", send, profile, recipient=recipient)]
            case "email.complained":
                return [Hit("complained", send, profile, recipient=recipient)]
            case "email.bounced":
                bounce = data.bounce or _Bounce()
                return [
                    Hit(
                        "bounced",
                        send,
                        profile,
                        detail=" ".join([bounce.message, *bounce.diagnostic[:1]])[:500],
                        recipient=recipient,
                        is_permanent=bounce.type == "Permanent",
                    )
                ]
        return []
