"""Return paths that name their send (VERP): where a bounce goes says which message it is about, and proves it.

`bounces+{token}@mail.shop.example` becomes one address for each message. A token is base32 (RFC 4648, section 6, no
padding, lower case, since servers on the way may change the case of an address) of

    form (1 byte: how the send id is written) | send id | mac (12)

The mac is HMAC-SHA256 (RFC 2104) over what stands before it, cut to 96 bits. Anybody can send mail to such an address,
but only who has got the message can know one, so a report that comes there is about a message of ours.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from base64 import b32decode, b32encode
from collections.abc import Sequence
from functools import lru_cache

from triggerfish.errors import Refused
from triggerfish.render import mail_address

PLACE = "{token}"
"""Where the token goes in a pattern."""

_MAC = 12
_HEX, _TEXT = 0, 1
_HEX_ID = re.compile(r"(?:[0-9a-f]{2})+")
# The shortest holds an id of one byte. What a forwarder puts around the local part (SRS, BATV) is not base32, or is
# cut off from the token by a mark.
_TOKEN = re.compile(r"(?<![a-z0-9])[a-z2-7]{23,103}(?![a-z0-9])")
_LONGEST = 320


class Verp:
    """Makes and reads return paths. `secret` signs; addresses made with one of `retired` are still understood.

    Without a secret it reads nothing, and makes nothing.
    """

    def __init__(self, secret: str = "", retired: Sequence[str] = ()) -> None:
        self._keys = [key_of(each) for each in (secret, *retired) if each]

    def __repr__(self) -> str:
        return f"Verp({len(self._keys)} keys)"

    def address(self, pattern: str, send_id: str) -> str:
        """The return path of one send. Raises ValueError without a secret, Refused as `address` does."""
        if not self._keys:
            raise ValueError("return paths cannot be made without a secret")
        return address(pattern, send_id, self._keys[0])

    def read(self, text: str) -> str | None:
        """The send id that an address names, or None when it is none of ours."""
        return read(text, self._keys)


def key_of(secret: str) -> bytes:
    """The key for return paths, so that the secret of the settings is never used for two purposes."""
    return hmac.digest(secret.encode(), b"triggerfish return paths 1", hashlib.sha256)


def address(pattern: str, send_id: str, key: bytes) -> str:
    """The return path of one send: `pattern` with its token.

    Raises ValueError for a pattern that `fault_of` finds a fault with, Refused (TF326) when the part before the @ would
    be longer than 64 characters (RFC 5321, 4.5.3.1.1): with our own send ids a pattern has 27 to spare.
    """
    if fault := fault_of(pattern):
        raise ValueError(fault)
    return mail_address(pattern.replace(PLACE, token(send_id, key)))


def token(send_id: str, key: bytes) -> str:
    """Lower-case base32, of 37 characters for a send id of ours."""
    is_hex = _HEX_ID.fullmatch(send_id)
    body = bytes((_HEX,)) + bytes.fromhex(send_id) if is_hex else bytes((_TEXT,)) + send_id.encode()
    return b32encode(body + _mac(key, body)).decode().rstrip("=").lower()


def read(text: str, keys: Sequence[bytes]) -> str | None:
    """The send id that an address (`local@domain`) names, or None when no key made it.

    Case means nothing. Addresses that forwarders wrapped (SRS, BATV) are understood, too. Macs are compared in constant
    time, and each that could fit is tried with every key.
    """
    local = text.rpartition("@")[0].lower()
    if len(text) > _LONGEST or not local.isascii():
        return None
    for found in _TOKEN.findall(local):
        raw = _from_base32(found)
        if raw is None or len(raw) < 1 + 1 + _MAC:
            continue
        body, mac = raw[:-_MAC], raw[-_MAC:]
        # No short cut: how long it takes says nothing about which key it was.
        if sum([hmac.compare_digest(_mac(key, body), mac) for key in keys]):
            return body[1:].hex() if body[0] == _HEX else body[1:].decode()
    return None


@lru_cache(maxsize=64)
def fault_of(pattern: str) -> str:
    """What is wrong with a pattern for return paths, in words; empty when nothing is."""
    local, _, domain = pattern.rpartition("@")
    before, place, after = local.partition(PLACE)
    if not place or PLACE in after or PLACE in domain:
        return f"it has {PLACE} once, before the @"
    if before[-1:].isalnum() or after[:1].isalnum():
        return f"a mark such as + or - cuts {PLACE} off from letters and digits"
    try:
        mail_address(f"{before}{'a' * 37}{after}@{domain}")
    except Refused as refused:
        return f"with its token {refused.sentence}"
    return ""


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, body, hashlib.sha256)[:_MAC]


def _from_base32(text: str) -> bytes | None:
    try:
        raw = b32decode(text.upper() + "=" * (-len(text) % 8))
    except binascii.Error:
        return None
    # The decoder skips loose bits; one token has one spelling.
    return raw if b32encode(raw).decode().rstrip("=").lower() == text else None
