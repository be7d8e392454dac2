"""DKIM signatures (RFC 6376; Ed25519 by RFC 8463) over whole messages of ours: headers in their relaxed form, which
bears what relays do to them, the body as it is (c=relaxed/simple), for `to_mime` writes nothing that relays touch:
short lines in ASCII, none with a blank at its end.

dkimpy is what the tests verify them with. It does not make them: it calculates RSA in Python, and finds headers and
blanks line by line, which takes 19 ms for a mail of 40 KB; here OpenSSL's 0.6 ms are most of it.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from msgspec import Struct

SIGNED = (
    "from", "to", "cc", "subject", "date", "message-id", "reply-to", "mime-version", "content-type",
    "list-unsubscribe", "list-unsubscribe-post", "list-id", "feedback-id", "auto-submitted",
)  # fmt: skip
"""The headers that a signature covers; of those that are not there, the ones of SEALED only."""

SEALED = frozenset(SIGNED[:9])
"""Signed once more than there are (RFC 6376, 5.4.2): a second Subject that somebody adds breaks the signature."""

SHORTEST_RSA = 1024
"""Bits. Receivers take no shorter key (RFC 8301); below 2048 is weak."""
GOOD_RSA = 2048

_PADDING, _HASH = PKCS1v15(), SHA256()
_LONGEST_PEM = 65_536


class BadKey(Exception):
    """A key file that cannot sign; the text says why, and shows nothing of it."""


class Key(Struct, frozen=True):
    """A private key, and the selector below which its public half stands in DNS."""

    selector: str
    private: RSAPrivateKey | Ed25519PrivateKey

    @property
    def algorithm(self) -> Literal["rsa-sha256", "ed25519-sha256"]:
        return "rsa-sha256" if isinstance(self.private, RSAPrivateKey) else "ed25519-sha256"

    @property
    def bits(self) -> int:
        return self.private.key_size if isinstance(self.private, RSAPrivateKey) else 256

    def record(self) -> str:
        """What to publish as TXT at `<selector>._domainkey.<domain>`."""
        if isinstance(self.private, RSAPrivateKey):
            raw = self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            return f"v=DKIM1; k=rsa; p={b64encode(raw).decode()}"
        raw = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return f"v=DKIM1; k=ed25519; p={b64encode(raw).decode()}"

    def sign(self, data: bytes) -> bytes:
        if isinstance(self.private, RSAPrivateKey):
            return self.private.sign(data, _PADDING, _HASH)
        # RFC 8463, 3: what is signed is the SHA-256 of the headers.
        return self.private.sign(hashlib.sha256(data).digest())


def read_key(file: Path, selector: str) -> Key:
    """A key of a PEM file: RSA of 1024 bits or more, or Ed25519, without a password. Raises BadKey."""
    try:
        with file.open("rb") as opened:
            pem = opened.read(_LONGEST_PEM + 1)
    except OSError as error:
        raise BadKey(f"it cannot be read: {error.strerror or error}") from error
    if len(pem) > _LONGEST_PEM:
        raise BadKey("it is too long to be a key")
    try:
        private = load_pem_private_key(pem, None)
    except TypeError as error:
        raise BadKey("it is locked with a password; write it without one, readable by the server only") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadKey("it holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)") from error
    if not isinstance(private, RSAPrivateKey | Ed25519PrivateKey):
        raise BadKey("it holds a key that DKIM does not know; take RSA of 2048 bits, or Ed25519")
    if isinstance(private, RSAPrivateKey) and private.key_size < SHORTEST_RSA:
        raise BadKey(
            f"its RSA key has {private.key_size} bits; receivers want {SHORTEST_RSA} at least, take {GOOD_RSA}"
        )
    return Key(selector, private)


def signed(content: bytes, domain: str, keys: Sequence[Key], at: int) -> bytes:
    """`content` with a DKIM-Signature on top for each key. `at` is the time in seconds since 1970.

    `content` is RFC 5322 with CRLF line ends, as `to_mime` writes it: 7 bits, each header at most once.
    """
    start = content.index(b"\r\n\r\n")
    headers = relaxed_headers(content[:start])
    digest = b64encode(simple_body_hash(content, start + 4)).decode()
    names: list[str] = []
    for name in SIGNED:
        names += [name] * ((name in headers) + (name in SEALED))
    covered = b"".join(headers[name] for name in SIGNED if name in headers)
    signatures = []
    for key in keys:
        value = (
            f"v=1; a={key.algorithm}; c=relaxed/simple; d={domain}; s={key.selector};\r\n t={at};\r\n h="
            + _folded(tuple(names))
            + f";\r\n bh={digest};\r\n b="
        )
        own = f"dkim-signature:{value}".replace("\r\n", "").encode("ascii")
        written = b64encode(key.sign(covered + own)).decode()
        lines = "\r\n ".join(written[start : start + 72] for start in range(0, len(written), 72))
        signatures.append(f"DKIM-Signature: {value}{lines}\r\n".encode("ascii"))
    return b"".join((*signatures, content))


def relaxed_headers(head: bytes) -> dict[str, bytes]:
    """The headers by name in the form of RFC 6376, 3.4.2, each with its CRLF."""
    found = {}
    for line in head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ").split(b"\r\n"):
        name, _, value = line.partition(b":")
        label = name.strip().lower()
        found[label.decode("ascii")] = b"%s:%s\r\n" % (label, b" ".join(value.split()))
    return found


def simple_body_hash(content: bytes, start: int) -> bytes:
    """SHA-256 of the body, which begins at `start`, in the form of RFC 6376, 3.4.3: as it is, but for empty lines at
    its end. No copy of it is made.
    """
    end = len(content)
    while end > start and content.endswith(b"\r\n", start, end):
        end -= 2
    found = hashlib.sha256(memoryview(content)[start:end])
    found.update(b"\r\n")
    return found.digest()


@lru_cache(maxsize=64)
def _folded(names: tuple[str, ...]) -> str:
    """Header names with colons between, on lines of bearable length; blanks may stand after a colon."""
    lines, line = [], ""
    for name in names:
        if line and len(line) + 1 + len(name) > 70:
            lines.append(line + ":")
            line = name
        else:
            line += (":" if line else "") + name
    return "\r\n ".join((*lines, line))
