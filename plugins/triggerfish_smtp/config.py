"""The table [plugins.smtp]."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from msgspec import Meta

from triggerfish import PluginConfig

Security = Literal["starttls", "tls", "none"]

_PORTS: dict[Security, int] = {"starttls": 587, "tls": 465, "none": 25}
_OneLine = Annotated[str, Meta(pattern=r"\A[^\x00-\x1f\x7f]*\Z", max_length=500)]
_Host = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9._:-]+\Z", max_length=253)]
_Greeting = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9.:\[\]-]*\Z", max_length=255)]
_Domain = Annotated[str, Meta(pattern=r"\A([A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*)?\Z", max_length=253)]
_Mailbox = Annotated[str, Meta(pattern=r"\A([^\s<>@\x00-\x1f\x7f]+@[^\s<>@\x00-\x1f\x7f]+)?\Z", max_length=254)]


class SmtpConfig(PluginConfig, frozen=True, kw_only=True):
    """How to reach the server, and how much to ask of it.

    `security`: "starttls" (port 587 unless said), "tls" from the first byte (465), or "none" (25), which is for this
    machine or a network of your own; a password is never sent without TLS except to this machine. Certificates are
    checked against the system's authorities, or those in `ca_file` (PEM). `ehlo` is the name that we greet with.
    Bounces go to `envelope_from`, or with `verp` to an address of each message's own; empty: to the sender. With the
    `dkim_` settings messages are signed; files are below the workspace. `timeout_seconds` is for each answer of the
    server, `connections` the most that are used at once.
    """

    host: _Host
    port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    security: Security = "starttls"
    username: _OneLine = ""
    password: _OneLine = ""
    ca_file: _OneLine = ""
    ehlo: _Greeting = ""
    envelope_from: _Mailbox = ""
    verp: _OneLine = ""
    dkim_domain: _Domain = ""
    dkim_selector: _Domain = ""
    dkim_key_file: _OneLine = ""
    dkim_second_selector: _Domain = ""
    dkim_second_key_file: _OneLine = ""
    timeout_seconds: Annotated[float, Meta(ge=0.1, le=600)] = 30.0
    connections: Annotated[int, Meta(ge=1, le=50)] = 4
    messages_per_connection: Annotated[int, Meta(ge=1, le=100_000)] = 100
    per_second: Annotated[float, Meta(gt=0)] | None = None

    def __post_init__(self) -> None:
        if bool(self.username) != bool(self.password):
            raise ValueError("username and password go together; set both or neither")
        if self.username and self.security == "none" and not is_loopback(self.host):
            raise ValueError('a password is not sent without TLS; set security to "starttls" or "tls"')
        if self.envelope_from and self.verp:
            raise ValueError("verp makes a return path for each message; leave envelope_from out")
        given = [self.dkim_domain, self.dkim_selector, self.dkim_key_file]
        if any(given) and not all(given):
            raise ValueError("dkim_domain, dkim_selector and dkim_key_file go together; set all three or none")
        second = [self.dkim_second_selector, self.dkim_second_key_file]
        if any(second) and not (all(second) and all(given)):
            raise ValueError("dkim_second_selector and dkim_second_key_file go together, beside a first key")

    @property
    def dkim_keys(self) -> list[tuple[str, str, str]]:
        """Of each key its selector, the setting that names its file, and the file."""
        keys = [
            (self.dkim_selector, "dkim_key_file", self.dkim_key_file),
            (self.dkim_second_selector, "dkim_second_key_file", self.dkim_second_key_file),
        ]
        return [key for key in keys if key[0]]

    @property
    def effective_port(self) -> int:
        return self.port or _PORTS[self.security]


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine, by its name or number (no lookup: a name server could say anything)."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
