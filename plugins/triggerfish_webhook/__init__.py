"""The action `webhook`: each call of a rule becomes one signed POST to the operator's address.

The request is that of Standard Webhooks 1.0 (standardwebhooks.com): `webhook-id` is the call's id and stays the same
however often it is tried, `webhook-timestamp` is in seconds, and `webhook-signature` is `v1,` and the base64 of
HMAC-SHA256 over `id.timestamp.body` under the secret. The body is JSON:
`{"type": <the event's name>, "timestamp": <RFC 3339>, "data": {"profile": <id>, "traits": {…}, "values": {…}}}`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx
import msgspec

from triggerfish import Action, Call, Features, PluginConfig, PluginContext, Receipt, hookimpl

_PREFIX = "whsec_"
_SHORTEST_KEY = 24
_LATER = frozenset({408, 425, 429, 503})


class Webhook(Action):
    """One address, in `[plugins.webhook]`. Redirects are not followed: the answer of the address itself counts."""

    name = "webhook"
    features = Features(batch_size=20)
    deadline_seconds = 30.0

    class Config(PluginConfig, frozen=True):
        """`url` is where to, `secret` the key of the signatures: `whsec_` and at least 24 bytes in base64."""

        url: str
        secret: str
        timeout_seconds: float = 10.0

        def __post_init__(self) -> None:
            parts = urlsplit(self.url)
            if parts.scheme not in ("https", "http") or not parts.hostname or parts.username:
                raise ValueError("url is an address such as https://crm.example.org/hooks")
            if not 0 < self.timeout_seconds <= 25:
                raise ValueError("timeout_seconds is more than 0 and at most 25")
            key_of(self.secret)

    config: Config

    async def open(self, context: PluginContext) -> None:
        self._clock = context.clock
        self._key = key_of(self.config.secret)
        self._http = httpx.AsyncClient(
            timeout=self.config.timeout_seconds, follow_redirects=False, headers={"user-agent": "Triggerfish"}
        )

    async def close(self) -> None:
        if hasattr(self, "_http"):
            await self._http.aclose()

    async def run(self, calls: Sequence[Call]) -> list[Receipt]:
        return list(await asyncio.gather(*(self._post(call) for call in calls)))

    async def _post(self, call: Call) -> Receipt:
        now = self._clock.now() // 1_000
        body = msgspec.json.encode(
            {
                "type": call.event,
                "timestamp": datetime.fromtimestamp(now, UTC).isoformat().replace("+00:00", "Z"),
                "data": {"profile": call.profile_id, "traits": call.traits, "values": call.values},
            }
        )
        headers = {
            "content-type": "application/json",
            "webhook-id": call.send_id,
            "webhook-timestamp": str(now),
            "webhook-signature": sign(self._key, call.send_id, now, body),
        }
        try:
            async with self._http.stream("POST", self.config.url, content=body, headers=headers) as answer:
                # What it says is not read: however long it is, only its status counts.
                return _receipt(call, answer)
        except httpx.ConnectError as error:
            return Receipt(call.send_id, "retry", detail=f"the address cannot be reached: {type(error).__name__}")
        except httpx.HTTPError as error:
            return Receipt(call.send_id, "unknown", detail=f"no answer: {type(error).__name__}")


def _receipt(call: Call, answer: httpx.Response) -> Receipt:
    code = answer.status_code
    detail = f"the address answered {code}"
    if 200 <= code < 300:
        return Receipt(call.send_id, "accepted", detail=detail)
    if code in _LATER:
        asked = answer.headers.get("retry-after", "")
        seconds = float(asked) if asked.isdecimal() and len(asked) < 10 else None
        return Receipt(call.send_id, "retry", detail=detail, retry_after_seconds=seconds)
    return Receipt(call.send_id, "unknown" if code >= 500 else "refused", detail=detail)


def key_of(secret: str) -> bytes:
    """The key in a secret. Raises ValueError, which never shows it."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(_PREFIX) or len(key) < _SHORTEST_KEY:
        sentence = f"the secret is {_PREFIX} and at least {_SHORTEST_KEY} bytes in base64"
        raise ValueError(sentence)
    return key


def sign(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


@hookimpl
def register_actions() -> Sequence[type[Action]]:
    return [Webhook]
