"""What a workspace's settings say: its keys, and the address that links in mails start with."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from triggerfish.adapters.doctor.finding import Finding, error, fine, warning

GOOD_KEY = 32
"""Characters that a key should have: with 16 hexadecimal digits or more, nobody guesses it."""


def check_keys(*, write: Sequence[str], admin: str, secret: str, are_demo: bool) -> list[Finding]:
    """The keys of `[keys]`. No finding shows any of one."""
    if are_demo:
        return [
            warning(
                "the keys",
                "they are the demo's, known to everybody",
                why="whoever reaches the server can read all people and forge links",
                remedy="triggerfish new makes keys of your own; put them under [keys]",
            )
        ]
    findings = []
    for name, key in (("admin", admin), ("secret", secret)):
        if len(key) < GOOD_KEY:
            findings.append(
                warning(
                    f"the key {name}",
                    f"it has {len(key)} characters",
                    why="a short key can be guessed",
                    remedy=f"take {GOOD_KEY} random characters (openssl rand -hex 24)",
                )
            )
    why = "who learns one of them has the others, too; write keys stand in browsers' pages"
    if len({*write, admin, secret}) < len(write) + 2:
        findings.append(
            error("the keys", "one text is used for two of them", why=why, remedy="give each a text of its own")
        )
    return findings or [fine("the keys", "each is its own, and long enough")]


def check_public_url(url: str) -> list[Finding]:
    """`[server] public_url`, empty when it is not set."""
    about = "public_url"
    remedy = 'set public_url = "https://…" under [server] to an address that people reach'
    if not url:
        return [
            error(
                about,
                "it is not set, so links in mails lead to this machine",
                why="nobody can click, or unsubscribe",
                remedy=remedy,
            )
        ]
    parts = urlsplit(url)
    if _is_local(parts.hostname or ""):
        return [
            error(
                about,
                f"{url} is this machine or its network",
                why="nobody else can click, or unsubscribe",
                remedy=remedy,
            )
        ]
    if parts.scheme != "https":
        why = "mail programs want https for one-click unsubscribing (RFC 8058), and others on the way can read along"
        return [error(about, f"{url} is not https", why=why, remedy=remedy)]
    return [fine(about, url)]


def _is_local(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or "." not in host
