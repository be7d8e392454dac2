"""DMARC (RFC 7489, with the tree walk of its successor): whether SPF and DKIM speak for the sender's address."""

from __future__ import annotations

from collections.abc import Iterable

from triggerfish.adapters.doctor.dkim import tags_of
from triggerfish.adapters.doctor.finding import Finding, error, fine, unknown, warning
from triggerfish.adapters.doctor.names import Names, Unanswered

_POLICIES = ("none", "quarantine", "reject")
_MOST_LABELS = 8


def check_dmarc(names: Names, domain: str, *, envelope: str, signing: Iterable[str]) -> list[Finding]:
    """The policy for mail from `domain`, sent with return paths of `envelope`, signed by the domains of `signing`."""
    about = f"DMARC of {domain}"
    try:
        found = _walk(names, domain)
    except Unanswered as unanswered:
        return [unknown(about, f"could not be looked up: {unanswered}")]
    if not found:
        return [
            error(
                about,
                "there is no DMARC record",
                why="Gmail and Yahoo refuse bulk mail without one",
                remedy=f'publish as TXT at _dmarc.{domain}: "v=DMARC1; p=none; rua=mailto:dmarc@{domain}", '
                "read the reports, and go on to p=quarantine",
            )
        ]
    holder, records = found[0]
    if len(records) > 1:
        return [
            error(
                about,
                f"_dmarc.{holder} has {len(records)} records, of which there may be one",
                why="receivers then take none",
                remedy="leave one of them",
            )
        ]
    tags = tags_of(records[0])
    policy = (tags.get("sp") if holder != domain else None) or tags.get("p", "")
    if policy.lower() not in _POLICIES:
        return [
            error(
                about,
                f"p={policy or '(nothing)'} is no policy",
                why="receivers ignore the record",
                remedy=f"set p= to one of {', '.join(_POLICIES)} at _dmarc.{holder}",
            )
        ]
    reports = "" if "rua" in tags else "; nobody gets the reports (rua=)"
    findings = _of_alignment(domain, found[-1][0], tags, envelope, list(signing))
    if policy.lower() == "none":
        return [
            *findings,
            warning(
                about,
                f"p=none at _dmarc.{holder}{reports}",
                why="others can send in your name, and nothing happens to their mail",
                remedy="when the reports show that all your mail passes, set p=quarantine or p=reject",
            ),
        ]
    return [*findings, fine(about, f"p={policy} at _dmarc.{holder}{reports}")]


def _walk(names: Names, domain: str) -> list[tuple[str, list[str]]]:
    """The names from `domain` upwards that have a DMARC record, the nearest first; the last is the organisation's."""
    labels = domain.split(".")[-_MOST_LABELS:]
    found = []
    for at in range(len(labels) - 1):
        name = ".".join(labels[at:])
        records = [text for text in names.texts(f"_dmarc.{name}") if text.replace(" ", "").startswith("v=DMARC1")]
        if records and tags_of(records[0]).get("psd") != "y":
            found.append((name, records))
    return found


def _of_alignment(
    domain: str, organisation: str, tags: dict[str, str], envelope: str, signing: list[str]
) -> list[Finding]:
    """Whether the domain that SPF or DKIM speaks for is the one that people see."""
    about = f"alignment with {domain}"
    by_spf = is_aligned(domain, envelope, organisation, is_strict=tags.get("aspf") == "s")
    by_dkim = [one for one in signing if is_aligned(domain, one, organisation, is_strict=tags.get("adkim") == "s")]
    if by_dkim:
        return [fine(about, f"DKIM signs as {by_dkim[0]}" + (f", and bounces go to {envelope}" if by_spf else ""))]
    if by_spf:
        return [
            warning(
                about,
                f"only SPF is: bounces go to {envelope}",
                why="forwarded mail fails SPF, and then DMARC",
                remedy=f"sign as {domain} (dkim_domain), unless the server behind the channel does",
            )
        ]
    return [
        error(
            about,
            f"bounces go to {envelope}, and {f'{signing[0]} signs' if signing else 'nobody signs here'}",
            why="neither SPF nor DKIM speaks for the sender's address, so DMARC fails",
            remedy=f"sign as {domain} (dkim_domain), or let bounces go to a name below it",
        )
    ]


def is_aligned(domain: str, other: str, organisation: str, *, is_strict: bool) -> bool:
    """RFC 7489, 3.1: the same domain, or unless strict, one of the same organisation."""
    if is_strict or domain == other:
        return domain == other
    return all(one == organisation or one.endswith(f".{organisation}") for one in (domain, other))
