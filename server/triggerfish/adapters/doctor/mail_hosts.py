"""MX: whether anybody takes what comes back."""

from __future__ import annotations

from triggerfish.adapters.doctor.finding import Finding, error, fine, unknown, warning
from triggerfish.adapters.doctor.names import Names, Unanswered


def check_mail_hosts(names: Names, domain: str) -> list[Finding]:
    """The hosts that take mail for a return path's domain (RFC 5321, section 5)."""
    about = f"MX of {domain}"
    why = "bounces go nowhere, so nobody learns of dead addresses; some receivers refuse mail that cannot be answered"
    try:
        hosts = names.mail_hosts(domain)
        if hosts == ["."]:
            return [
                error(
                    about,
                    "the domain says that it takes no mail (RFC 7505)",
                    why=why,
                    remedy="let bounces go to a domain that takes mail (verp, envelope_from)",
                )
            ]
        if not hosts and names.addresses(domain):
            return [
                warning(
                    about,
                    "there is no MX record; mail goes to the domain's own address",
                    why="not every sender of bounces does that",
                    remedy=f"publish an MX record for {domain}",
                )
            ]
        if not hosts:
            return [error(about, "there is no MX record", why=why, remedy=f"publish an MX record for {domain}")]
        dead = [host for host in hosts if not names.addresses(host)]
    except Unanswered as unanswered:
        return [unknown(about, f"could not be looked up: {unanswered}")]
    if len(dead) == len(hosts):
        return [error(about, f"{', '.join(dead)} has no address", why=why, remedy="correct the MX record")]
    if dead:
        return [
            warning(
                about,
                f"{', '.join(dead)} has no address",
                why="some of the bounces come late",
                remedy="take it out of the MX records, or give it an address",
            )
        ]
    return [fine(about, ", ".join(hosts))]
