"""The channel `resend`: one request for each message, with the send id as Idempotency-Key.

Resend's batch call has one key for the whole batch, and a batch that is tried again after a crash may hold other
messages; with a key for each, whatever happens is delivered once (Resend keeps keys for 24 hours).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

import httpx
import msgspec

from triggerfish import (
    Address,
    Channel,
    Features,
    Message,
    NotHandedOver,
    PluginContext,
    Receipt,
    Refused,
    Status,
    mail_address,
    safe_header_value,
)
from triggerfish_resend.config import ResendConfig

_LATER = frozenset({408, 425, 429})
# Trouble with the account that the operator can mend: no message is given up for it.
_OUR_FAULT = frozenset({401, 403})
_TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")
_LONGEST_DETAIL = 300
_LARGEST_ANSWER = 64 * 1024
_PLAIN_NAME = re.compile(r"[A-Za-z0-9 !#$%&'*+/=?^_`{|}~.-]*")


class _Answer(msgspec.Struct):
    """What we read of Resend's answers, good and bad."""

    id: str = ""
    name: str = ""
    message: str = ""


class Resend(Channel):
    """Mail through Resend."""

    name = "resend"
    Config = ResendConfig
    deadline_seconds = 60.0
    config: ResendConfig

    def __init__(self, config: ResendConfig) -> None:
        super().__init__(config)
        self.features = Features(is_idempotent=True, batch_size=50, per_second=config.per_second)

    async def open(self, context: PluginContext) -> None:
        self._http = httpx.AsyncClient(
            base_url=self.config.url,
            timeout=self.config.timeout_seconds,
            limits=httpx.Limits(max_connections=self.config.connections),
            follow_redirects=False,
            headers={"authorization": f"Bearer {self.config.api_key}", "user-agent": "Triggerfish"},
        )
        self._places = asyncio.Semaphore(self.config.connections)

    async def close(self) -> None:
        if hasattr(self, "_http"):
            await self._http.aclose()

    async def send(self, batch: Sequence[Message]) -> list[Receipt]:
        receipts = list(await asyncio.gather(*(self._post(message) for message in batch)))
        if all(receipt.status == "retry" and receipt.detail.startswith(_UNREACHED) for receipt in receipts):
            raise NotHandedOver(receipts[0].detail)
        return receipts

    async def _post(self, message: Message) -> Receipt:
        headers = {"idempotency-key": message.send_id, "content-type": "application/json"}
        try:
            body = _body(message)
        except Refused as refused:
            return Receipt(message.send_id, "refused", detail=refused.sentence)
        try:
            async with self._places, self._http.stream("POST", "/emails", content=body, headers=headers) as answer:
                return await _receipt(message, answer)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return Receipt(message.send_id, "retry", detail=f"{_UNREACHED}: {type(error).__name__}")
        except httpx.HTTPError as error:
            return Receipt(message.send_id, "unknown", detail=f"no answer: {type(error).__name__}")


_UNREACHED = "Resend cannot be reached"


def _body(message: Message) -> bytes:
    """The request's JSON. Raises Refused for addresses and headers that cannot go out."""
    tags = {"send": message.send_id, "profile": message.profile_id, "template": message.template}
    body = {
        "from": _written(message.sender),
        "to": [mail_address(message.to.email)],
        "subject": safe_header_value(message.subject),
        "html": message.html,
        "text": message.text,
        "headers": {name: safe_header_value(value) for name, value in message.headers.items()},
        "tags": [{"name": name, "value": value} for name, value in tags.items() if _TAG.fullmatch(value)],
    }
    if message.reply_to is not None:
        body["reply_to"] = _written(message.reply_to)
    return msgspec.json.encode(body)


def _written(address: Address) -> str:
    email, name = mail_address(address.email), safe_header_value(address.name)
    if not name:
        return email
    if _PLAIN_NAME.fullmatch(name):
        return f"{name} <{email}>"
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{email}>'


async def _receipt(message: Message, answer: httpx.Response) -> Receipt:
    code = answer.status_code
    said = await _read(answer)
    if 200 <= code < 300:
        return Receipt(message.send_id, "accepted", provider_id=said.id[:200])
    what = f"Resend answered {code}" + (f": {said.message or said.name}" if said.message or said.name else "")
    detail = what[:_LONGEST_DETAIL]
    if code == 409:
        # Another request with this key is under way, or its content differs because it was composed anew: the key was
        # used, so the first one got through or is about to (https://resend.com/docs/dashboard/emails/idempotency-keys).
        status: Status = "accepted" if said.name == "invalid_idempotent_request" else "retry"
        return Receipt(message.send_id, status, detail=detail)
    if code in _LATER or code in _OUR_FAULT:
        return Receipt(message.send_id, "retry", detail=detail, retry_after_seconds=_asked(answer))
    return Receipt(message.send_id, "unknown" if code >= 500 else "refused", detail=detail)


async def _read(answer: httpx.Response) -> _Answer:
    """The answer's JSON, as far as it is some."""
    body = b""
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > _LARGEST_ANSWER:
            return _Answer()
    try:
        return msgspec.json.decode(body, type=_Answer, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Answer()


def _asked(answer: httpx.Response) -> float | None:
    """Retry-After in seconds (RFC 9110, 10.2.3); a date is not taken."""
    asked = answer.headers.get("retry-after", "")
    return float(asked) if asked.isdecimal() and len(asked) < 10 else None
