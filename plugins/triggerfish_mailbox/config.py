"""The table [plugins.mailbox]."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from msgspec import Meta

from triggerfish import PluginConfig

Security = Literal["tls", "starttls", "none"]

_PORTS: dict[Security, int] = {"tls": 993, "starttls": 143, "none": 143}
_OneLine = Annotated[str, Meta(pattern=r"\A[^\x00-\x1f\x7f]*\Z", max_length=500)]
_Needed = Annotated[str, Meta(pattern=r"\A[^\x00-\x1f\x7f]+\Z", max_length=500)]
_Host = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9._:-]+\Z", max_length=253)]


class MailboxConfig(PluginConfig, frozen=True, kw_only=True):
    """How to reach the mailbox, and what to do with its mails.

    `security`: "tls" from the first byte (port 993 unless said), "starttls" (143), or "none" (143), which is for this
    machine only. Certificates are checked against the system's authorities, or those in `ca_file` (PEM). Mails in
    `folder` are read; those that are understood go to `processed`, the others to `unmatched`; empty: they stay where
    they are, marked as seen. `timeout_seconds` is for each answer of the server.
    """

    host: _Host
    username: _Needed
    password: _Needed
    port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    security: Security = "tls"
    ca_file: _OneLine = ""
    folder: _Needed = "INBOX"
    processed: _OneLine = "Processed"
    unmatched: _OneLine = "Unmatched"
    timeout_seconds: Annotated[float, Meta(ge=1, le=600)] = 30.0

    def __post_init__(self) -> None:
        if self.security == "none" and not _is_loopback(self.host):
            raise ValueError('a password is not sent without TLS; set security to "tls" or "starttls"')
        if self.folder in (self.processed, self.unmatched):
            raise ValueError("folder, processed and unmatched are different folders")

    @property
    def effective_port(self) -> int:
        return self.port or _PORTS[self.security]


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
