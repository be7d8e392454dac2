"""MX: whether anybody takes what comes back. PTR: whether the server that sends has a name."""

from __future__ import annotations

import ipaddress

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


def check_reverse(names: Names, sending_ip: str) -> list[Finding]:
    """Whether the server that sends has a name that leads back to it."""
    about = f"the name of {sending_ip}"
    why = "Gmail and others take no mail from an address without a name that leads back to it"
    try:
        found = names.names_of(sending_ip)
        wanted = ipaddress.ip_address(sending_ip)
        sound = [name for name in found if wanted in map(ipaddress.ip_address, names.addresses(name))]
    except Unanswered as unanswered:
        return [unknown(about, f"could not be looked up: {unanswered}")]
    if not found:
        return [error(about, "there is no PTR record", why=why, remedy="ask whoever gave you the address for one")]
    if not sound:
        remedy = f"let {found[0]} have the address {sending_ip}, or ask for another name"
        return [error(about, f"{', '.join(found)} does not lead back to it", why=why, remedy=remedy)]
    return [fine(about, ", ".join(sound))]
