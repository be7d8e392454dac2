"""A new key for DKIM, and the record that lets receivers check what it signs."""

from __future__ import annotations

import os
from base64 import b64encode
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

RSA_BITS = 2_048
"""Longer ones are no better for what a signature protects, cost much more time, and do not fit into one DNS answer."""
_LONGEST_STRING = 255


def write_new_key(file: Path, *, is_ed25519: bool = False) -> str:
    """Write a private key (PEM) that only its owner can read, and return its record. Never replaces a file.

    Raises OSError, FileExistsError among them.
    """
    private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
    if is_ed25519:
        private = ed25519.Ed25519PrivateKey.generate()
        public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    else:
        private = rsa.generate_private_key(65537, RSA_BITS)
        public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(pem)
    return f"v=DKIM1; k={'ed25519' if is_ed25519 else 'rsa'}; p={b64encode(public).decode()}"


def zone_line(name: str, record: str) -> str:
    """The record as a line of a zone file: strings of at most 255 characters (RFC 6376, 3.6.2.2)."""
    strings = [record[at : at + _LONGEST_STRING] for at in range(0, len(record), _LONGEST_STRING)]
    return f"{name}. IN TXT " + " ".join(f'"{string}"' for string in strings)
