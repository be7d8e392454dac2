"""SPF (RFC 7208): who may send mail with return paths of a domain."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from triggerfish.adapters.doctor.finding import Finding, error, fine, unknown, warning
from triggerfish.adapters.doctor.names import Names, Unanswered

MOST_LOOKUPS = 10
"""RFC 7208, 4.6.4: what needs more is in error for receivers."""
MOST_VOID = 2

_RESULTS = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}
_WITH_LOOKUP = ("include", "a", "mx", "ptr", "exists", "redirect")
_KNOWN = (*_WITH_LOOKUP, "all", "ip4", "ip6", "exp")


class _Broken(Exception):
    """The record cannot be used: receivers say permerror. The text says why."""


@dataclass
class _Reading:
    """One evaluation: counts what it costs, and notes what it cannot follow."""

    names: Names
    address: ipaddress.IPv4Address | ipaddress.IPv6Address | None
    lookups: int = 0
    void: int = 0
    end: str = ""
    uses_ptr: bool = False
    macros: list[str] = field(default_factory=list)

    def evaluate(self, domain: str, depth: int = 0) -> str:
        """check_host() for the address: "pass", "fail", "softfail", "neutral", or "none". Every part is read, also
        after one that matches, so that a mistake behind it is found. Raises _Broken and Unanswered.
        """
        records = records_of(self.names, domain)
        if len(records) > 1:
            raise _Broken(f"{domain} has {len(records)} SPF records, of which there may be one")
        if not records:
            if depth:
                raise _Broken(f"it includes {domain}, which has no SPF record")
            return "none"
        result, redirect, has_all = "", "", False
        for term in records[0].split()[1:]:
            sign, body = (term[0], term[1:]) if term[0] in _RESULTS else ("+", term)
            name, mark, value = _parts(body)
            if name not in _KNOWN:
                if mark == "=":
                    continue  # a modifier that we need not know (RFC 7208, 6)
                raise _Broken(f'{domain} has "{term}", which is no SPF')
            if name == "redirect":
                redirect = value
                continue
            matches = self._matches(name, value, domain, depth)
            if name == "all":
                has_all = True
                if depth == 0:
                    self.end = self.end or f"{sign}all"
            if matches and not result:
                result = _RESULTS[sign]
        if redirect and not has_all:
            self._count()
            return result or self._redirected(redirect, domain, depth)
        return result or "neutral"

    def _redirected(self, target: str, domain: str, depth: int) -> str:
        if "%" in target:
            self.macros.append(target)
            return "neutral"
        found = self.evaluate(target, depth)
        if found == "none":
            raise _Broken(f"{domain} redirects to {target}, which has no SPF record")
        return found

    def _matches(self, name: str, value: str, domain: str, depth: int) -> bool:
        if name in _WITH_LOOKUP:
            self._count()
        if name in ("ip4", "ip6"):
            return self._is_in(value, domain)
        if name == "all":
            return True
        if "%" in value:
            self.macros.append(value)
            return False
        if name == "include":
            if depth > MOST_LOOKUPS:
                raise _Broken(f"{domain} leads in a circle")
            return self.evaluate(value, depth + 1) == "pass"
        if name == "ptr":
            self.uses_ptr = True
            return False
        if name == "exists":
            return bool(self._found(self.names.addresses(value)))
        target, _, bits = (value or domain).partition("/")
        hosts = [target or domain] if name == "a" else self._found(self.names.mail_hosts(target or domain))[:10]
        found = [address for host in hosts for address in self._found(self.names.addresses(host))]
        bits = bits.partition("/")[0]
        blocks = [f"{address}/{bits}" if bits and ":" not in address else address for address in found]
        return any(self._is_in(block, domain) for block in blocks)

    def _count(self) -> None:
        self.lookups += 1
        if self.lookups > 5 * MOST_LOOKUPS:
            raise _Broken(f"it needs more than {5 * MOST_LOOKUPS} lookups, of which {MOST_LOOKUPS} are allowed")

    def _found(self, records: list[str]) -> list[str]:
        self.void += not records
        return records

    def _is_in(self, network: str, domain: str) -> bool:
        try:
            block = ipaddress.ip_network(network, strict=False)
        except ValueError:
            raise _Broken(f'{domain} has "{network}", which is no address') from None
        return self.address is not None and self.address.version == block.version and self.address in block


def records_of(names: Names, domain: str) -> list[str]:
    """The SPF records of a domain. Raises Unanswered."""
    return [text for text in names.texts(domain) if text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")]


def check_spf(names: Names, domain: str, sending_ip: str = "") -> list[Finding]:
    """What receivers make of the SPF record of a return path's domain. Raises ValueError for what is no IP address."""
    about = f"SPF of {domain}"
    reading = _Reading(names, ipaddress.ip_address(sending_ip) if sending_ip else None)
    try:
        records = records_of(names, domain)
        if not records:
            return [
                error(
                    about,
                    "there is no SPF record",
                    why="mailbox providers refuse bulk mail without one",
                    remedy=f'publish as TXT at {domain}: "v=spf1 include:<your provider> -all", '
                    "or ip4:<your server> in its place",
                )
            ]
        result = reading.evaluate(domain)
    except Unanswered as unanswered:
        return [unknown(about, f"could not be looked up: {unanswered}")]
    except _Broken as broken:
        return [
            error(
                about,
                str(broken),
                why="receivers take no part of a record that they cannot read to its end",
                remedy=f"correct the TXT record of {domain}",
            )
        ]
    findings = _of_limits(about, reading) + _of_end(about, reading, domain)
    if sending_ip:
        findings += _of_sender(about, result, sending_ip, domain, has_macros=bool(reading.macros))
    for macro in reading.macros:
        findings.append(unknown(about, f'"{macro}" depends on the message and was not followed'))
    if any(finding.state in ("error", "warning") for finding in findings):
        return findings
    return [fine(about, f'"{records[0]}", {reading.lookups} of {MOST_LOOKUPS} lookups'), *findings]


def _of_limits(about: str, reading: _Reading) -> list[Finding]:
    found = []
    if reading.lookups > MOST_LOOKUPS:
        found.append(
            error(
                about,
                f"it needs {reading.lookups} lookups, of which {MOST_LOOKUPS} are allowed",
                why="receivers stop there and take the record for broken (RFC 7208, 4.6.4)",
                remedy="leave out what no longer sends for you, or name its addresses as ip4 and ip6",
            )
        )
    if reading.void > MOST_VOID:
        found.append(
            warning(
                about,
                f"{reading.void} of its lookups find nothing",
                why="receivers may stop at the third (RFC 7208, 4.6.4)",
                remedy="leave out the names that are gone",
            )
        )
    if reading.uses_ptr:
        found.append(
            warning(
                about,
                "it uses ptr",
                why="it is slow, and receivers may ignore it (RFC 7208, 5.5)",
                remedy="name the servers as ip4, ip6, a or include",
            )
        )
    return found


def _of_end(about: str, reading: _Reading, domain: str) -> list[Finding]:
    why = "anybody may send in the name of the domain"
    if reading.end == "+all":
        return [error(about, "it ends with +all, which lets everybody in", why=why, remedy="end it with -all or ~all")]
    if reading.end in ("", "?all") and not (reading.macros and not reading.end):
        said = "it has no end" if not reading.end else "it ends with ?all"
        return [
            warning(
                about,
                f"{said}, so that it refuses nobody",
                why=why,
                remedy=f"end the record of {domain} with -all or ~all",
            )
        ]
    return []


def _of_sender(about: str, result: str, sending_ip: str, domain: str, *, has_macros: bool) -> list[Finding]:
    if result == "pass":
        return [fine(about, f"{sending_ip} may send for {domain}")]
    if has_macros:
        return []
    kind = f"ip{ipaddress.ip_address(sending_ip).version}"
    return [
        error(
            about,
            f"{sending_ip} may not send for {domain}: {result}",
            why="mail from there fails SPF",
            remedy=f"add {kind}:{sending_ip} before the end of the record",
        )
    ]


def _parts(term: str) -> tuple[str, str, str]:
    """A term's name, the mark behind it, and what follows: "a/24" has the value "/24"."""
    for at, letter in enumerate(term):
        if letter in ":=/":
            return term[:at].lower(), letter, term[at if letter == "/" else at + 1 :]
    return term.lower(), "", ""
