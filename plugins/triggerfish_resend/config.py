"""The table [plugins.resend]."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta

from triggerfish import PluginConfig

_PREFIX = "whsec_"
_SHORTEST_KEY = 24


class ResendConfig(PluginConfig, frozen=True, kw_only=True):
    """`api_key` is Resend's key with the right to send; `webhook_secret` the signing secret of the webhook that points
    to `/v1/hooks/resend` (empty: webhooks are refused). `per_second` is the account's limit of requests, `connections`
    how many are under way at once.
    """

    api_key: Annotated[str, Meta(pattern=r"\A[\x21-\x7e]{8,200}\Z")]
    webhook_secret: str = ""
    url: str = "https://api.resend.com"
    timeout_seconds: Annotated[float, Meta(gt=0, le=25)] = 10.0
    connections: Annotated[int, Meta(ge=1, le=50)] = 10
    per_second: Annotated[float, Meta(gt=0)] | None = 10.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.username or self.url.endswith("/"):
            raise ValueError("url is an address such as https://api.resend.com")
        if self.webhook_secret:
            key_of(self.webhook_secret)


def key_of(secret: str) -> bytes:
    """The key in a webhook's secret. Raises ValueError, which never shows it."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(_PREFIX) or len(key) < _SHORTEST_KEY:
        sentence = f"webhook_secret is {_PREFIX} and at least {_SHORTEST_KEY} bytes in base64, as Resend shows it"
        raise ValueError(sentence)
    return key
