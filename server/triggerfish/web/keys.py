"""Who may come in: write keys for events, the admin key for reads. Both are compared in constant time."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from triggerfish.errors import Refused
from triggerfish.walk import FrontDoor


def is_write_key(front: FrontDoor, key: str) -> bool:
    given = key.encode(errors="replace")
    # Every key is compared, so that the time tells nothing about which one came near.
    return sum(hmac.compare_digest(given, known.encode()) for known in front.write_keys) > 0


def check_write_key(front: FrontDoor, key: str | None, field: str) -> None:
    """Raises Refused (TF110) unless `key` is one of the write keys; `field` is where it was looked for."""
    if not key or not is_write_key(front, key):
        raise Refused(
            "this write key is not known" if key else "the write key is missing",
            code="TF110",
            field=field,
            expected='the write key as the user of HTTP Basic auth (password empty), or as "writeKey" in the body',
            hint="the keys are in triggerfish.toml under [keys] write",
        )


def write_key_in_header(authorization: bytes) -> str:
    """The write key of an Authorization header (`Basic base64("key:")`, RFC 7617). Raises Refused (TF110)."""
    scheme, _, credentials = authorization.partition(b" ")
    try:
        if scheme.lower() != b"basic":
            raise ValueError(scheme)
        return base64.b64decode(credentials, validate=True).decode().partition(":")[0]
    except (binascii.Error, ValueError):
        raise Refused(
            "the Authorization header is not HTTP Basic auth",
            code="TF110",
            field="Authorization",
            expected='Basic and the base64 of "<write key>:"',
        ) from None


def admin_only(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """A Litestar guard: `Authorization: Bearer <admin key>`, else Refused (TF114)."""
    front: FrontDoor = connection.app.state["front"]
    scheme, _space, key = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(key.strip().encode(), front.admin_key.encode()):
        raise Refused(
            "this needs the admin key",
            code="TF114",
            field="Authorization",
            expected="Bearer <admin key>",
            hint="the key is in triggerfish.toml under [keys] admin",
        )
