"""DKIM (RFC 6376): whether what is published lets receivers check what is signed."""

from __future__ import annotations

from base64 import b64decode

from triggerfish.adapters.doctor.finding import Finding, error, fine, unknown, warning
from triggerfish.adapters.doctor.names import Names, Unanswered


def check_dkim(names: Names, name: str, expected: str) -> list[Finding]:
    """The record at `name` (`selector._domainkey.domain`); `expected` is the record of the key that signs."""
    about = f"DKIM {name}"
    publish = f'publish as TXT at {name}: "{expected}"'
    why = "receivers cannot check the signature, which is as bad as none"
    try:
        records = names.texts(name)
    except Unanswered as unanswered:
        return [unknown(about, f"could not be looked up: {unanswered}")]
    if not records:
        return [error(about, "there is no record", why=why, remedy=publish)]
    if len(records) > 1:
        return [
            error(
                about,
                f"there are {len(records)} records, of which there may be one",
                why=why,
                remedy="leave one: " + publish,
            )
        ]
    published, wanted = tags_of(records[0]), tags_of(expected)
    fault = _fault(published, wanted)
    if fault:
        return [error(about, fault, why=why, remedy=publish)]
    if "y" in published.get("t", "").split(":"):
        return [
            warning(
                about,
                "the record says that it is a test (t=y)",
                why="receivers may pass over the signature",
                remedy="take t=y out of the record",
            )
        ]
    return [fine(about, f"the published {wanted.get('k', 'rsa')} key is the one that signs")]


def _fault(published: dict[str, str], wanted: dict[str, str]) -> str:
    """What keeps receivers from using the record; empty when nothing does."""
    if published.get("v", "DKIM1") != "DKIM1":
        return f"the record begins with v={published['v']}, which is no DKIM"
    if published.get("p") == "":
        return "the key is revoked: p= is empty"
    if published.get("k", "rsa") != wanted.get("k", "rsa"):
        return (
            f"the published key is of the kind {published.get('k', 'rsa')}, the one that signs {wanted.get('k', 'rsa')}"
        )
    if "sha256" not in published.get("h", "sha256").split(":"):
        return f"the record allows {published['h']} only, and signatures are made with sha256"
    if not {"*", "email"} & set(published.get("s", "*").split(":")):
        return f"the record is for {published['s']}, not for email"
    try:
        if b64decode(published["p"], validate=True) == b64decode(wanted["p"]):
            return ""
    except KeyError:
        return "the record has no key: p= is missing"
    except ValueError:
        return "its key is no base64; a piece of it may be missing"
    return "another key is published than the one that signs"


def tags_of(record: str) -> dict[str, str]:
    """`v=DKIM1; k=rsa; p=…` by name (RFC 6376, 3.2), without blanks."""
    tags = {}
    for part in record.split(";"):
        name, mark, value = part.partition("=")
        if mark:
            tags[name.strip().lower()] = "".join(value.split())
    return tags
