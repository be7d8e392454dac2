"""Request bodies for the fast path: bounded in size on the wire and inflated, and in the time they take to arrive."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from random import randint

import msgspec
from litestar.types import Receive

from triggerfish.errors import Busy, Refused
from triggerfish.ingest import refuse_size

BODY_SECONDS = 20.0
"""How long a body may take to arrive."""

MOST_ARRIVING = 64 * 1024 * 1024
"""Bytes of bodies that may be half here at a time, of all requests together. One that comes whole is never counted."""

FEW_ARRIVING = 8 * 1024 * 1024
"""With so many, no other body is begun: all of them share the processor, and the more there are, the later each ends.
uvicorn hands over parts of some 64 KB, so what has been begun fits into MOST_ARRIVING.
"""

NO_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that are not the JSON that is wanted: its form, its letters, its depth."""

_GZIP = 16 + zlib.MAX_WBITS
_MOST_MEMBERS = 16


async def read_body(inward: Receive, headers: Mapping[bytes, bytes], limit: int) -> bytes:
    """The body, inflated if it says `Content-Encoding: gzip`, of at most `limit` bytes either way.

    Raises Refused: TF105 too large, TF111 not gzip, TF112 another encoding, TF113 too slow or broken off; Busy when
    FEW_ARRIVING are half here already.
    """
    encoding = headers.get(b"content-encoding", b"identity").strip().lower()
    if encoding not in (b"gzip", b"identity", b""):
        raise Refused(
            f"the body is encoded as {encoding.decode('latin-1')!r}",
            code="TF112",
            field="Content-Encoding",
            expected="gzip, or none",
        )
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > limit:
        refuse_size(limit, "")
    # What is whole at once needs no clock; until there is anything, the server's own runs (serve.py).
    body, is_whole = await _next(inward)
    if len(body) > limit:
        refuse_size(limit, "")
    if not is_whole:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _gather(inward, body, limit)
        except TimeoutError:
            raise Refused(
                "the body did not arrive in time", code="TF113", expected=f"all of it within {BODY_SECONDS:.0f} s"
            ) from None
    return inflate(body, limit) if encoding == b"gzip" else body


class _Arriving:
    """The bytes of bodies that are half here."""

    bytes = 0


async def _next(inward: Receive) -> tuple[bytes, bool]:
    """The next part of a body, and whether it is the last one."""
    message = await inward()
    if message["type"] != "http.request":
        raise Refused("the connection ended before the body", code="TF113")
    return message["body"], not message["more_body"]


async def _gather(inward: Receive, part: bytes, limit: int) -> bytes:
    """A body that comes in parts, of which `part` is the first."""
    parts: list[bytes] = []
    held = 0
    is_last = False
    most = FEW_ARRIVING
    try:
        while not is_last:
            if _Arriving.bytes + len(part) > most:
                after = randint(1, 3)  # noqa: S311  (nobody gains by guessing it)
                raise Busy("too much is half here already", retry_after_seconds=after)
            most = MOST_ARRIVING
            held += len(part)
            _Arriving.bytes += len(part)
            parts.append(part)
            part, is_last = await _next(inward)
            if held + len(part) > limit:
                refuse_size(limit, "")
        return b"".join([*parts, part])
    finally:
        _Arriving.bytes -= held


def inflate(packed: bytes, limit: int) -> bytes:
    """gzip undone (RFC 1952, several members too), never holding more than `limit` bytes and a little.

    Raises Refused: TF105 when it would be larger, TF111 when it is no whole gzip stream.
    """
    parts: list[bytes] = []
    size = 0
    try:
        for _ in range(_MOST_MEMBERS):
            member = zlib.decompressobj(_GZIP)
            part = member.decompress(packed, limit + 1 - size)
            size += len(part)
            if size > limit:
                refuse_size(limit, "")
            if not member.eof:
                raise zlib.error("it ends too early")
            parts.append(part)
            packed = member.unused_data
            if not packed:
                return b"".join(parts)
        raise zlib.error(f"it has more than {_MOST_MEMBERS} members")
    except zlib.error as error:
        raise Refused(
            f"the body is not gzip: {error}", code="TF111", expected="gzip, as Content-Encoding says"
        ) from None
