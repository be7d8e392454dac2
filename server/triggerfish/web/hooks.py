"""Webhooks in: what providers tell of sends and of people, at `POST /v1/hooks/{source}`.

A source (plugin/source.py) says whether the provider signed the request, and what it tells.
"""

from __future__ import annotations

import logging
from hashlib import sha256
from typing import Any

from litestar import Request, post
from litestar.params import FromPath

from triggerfish import walk
from triggerfish.errors import NotFound, PluginFailed, Refused
from triggerfish.plugin.source import Incoming, Source
from triggerfish.web.bodies import read_body
from triggerfish.web.given import TheDesk

LARGEST_HOOK = 1024 * 1024
"""Bytes of one webhook's body, inflated."""

log = logging.getLogger("triggerfish.web")


@post("/v1/hooks/{source:str}", status_code=200)
async def take_hook(request: Request[Any, Any, Any], source: FromPath[str], desk: TheDesk) -> dict[str, int]:
    """A provider's webhook: 200 once everything in it is on disk. 401 when the provider has not signed it."""
    reader = desk.sources.get(source)
    if reader is None:
        raise NotFound(
            f'no source "{source[:80]}" takes webhooks here',
            hint=f"its plugin has to be installed, with a table [plugins.{source[:80]}] in triggerfish.toml",
        )
    received_at = desk.front.clock.wall()
    headers = dict(request.scope["headers"])
    body = await read_body(request.receive, headers, LARGEST_HOOK)
    incoming = Incoming({_text(name).lower(): _text(value) for name, value in headers.items()}, body, received_at)
    if not _is_signed(reader, incoming):
        raise Refused(
            "the webhook is not signed as its provider signs",
            code="TF115",
            hint=f"compare the signing key at the provider with [plugins.{source}] in triggerfish.toml",
        )
    try:
        told = list(reader.read(incoming))
    except ValueError as error:
        raise Refused(f"the webhook cannot be read: {error}", code="TF101") from error
    except Exception as error:
        log.exception('source "%s": read failed', source)
        # What a plugin says of its own fault is for our log, not for whoever sent the request.
        raise PluginFailed(f'source "{source}": read failed with {type(error).__name__}') from error
    nonce = sha256(source.encode() + b"\0" + body).hexdigest()[:24]
    return {"events": await walk.hear_hook(desk.front, told, received_at, nonce=nonce, source=f"webhook of {source}")}


def _is_signed(reader: Source, incoming: Incoming) -> bool:
    """Anybody may send anything here, so what makes `verify` stumble is a request that was not signed."""
    try:
        return reader.verify(incoming)
    except Exception as error:
        log.warning('source "%s": verify failed: %s', reader.name, error)
        return False


def _text(raw: bytes) -> str:
    return raw.decode("latin-1")


routes = [take_hook]
