"""DNS, as far as mail needs it. A name without a record has none; a server that does not answer is something else."""

from __future__ import annotations

import ipaddress

import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.TXT import TXT

PATIENCE_SECONDS = 5.0
MOST_QUESTIONS = 200
"""Of one run, so that records that lead from one to the next come to an end."""

_MOST_SILENCES = 2
"""After so many time-outs nobody waits any more: there is no network, most likely."""


class Unanswered(Exception):
    """DNS could not be asked, or its server failed. The text is for people."""


class Names:
    """Looks records up, each once. `nameserver` is an address, with a port if it is not 53 ("127.0.0.1:5353",
    "[::1]:5353"); without it the system's are asked. Raises ValueError when it is no address. `patience_seconds` is for
    each question, 5 unless said.
    """

    def __init__(self, nameserver: str = "", *, patience_seconds: float = 0.0) -> None:
        self._resolver: dns.resolver.Resolver | None = None
        self._why_not = ""
        self._known: dict[tuple[str, str], list[str]] = {}
        self._asked = self._silences = 0
        if nameserver:
            self._resolver = dns.resolver.Resolver(configure=False)
            host, port = _split(nameserver)
            self._resolver.nameservers = [host]
            self._resolver.port = port
        else:
            try:
                self._resolver = dns.resolver.Resolver()
            except dns.resolver.NoResolverConfiguration as error:
                self._why_not = f"this machine has no name server: {error}"
        if self._resolver is not None:
            self._resolver.lifetime = patience_seconds or PATIENCE_SECONDS

    def texts(self, name: str) -> list[str]:
        """TXT records, each in one piece. Raises Unanswered."""
        return self._ask(name, "TXT")

    def mail_hosts(self, name: str) -> list[str]:
        """The hosts of MX records, the preferred first; "." is one that takes no mail (RFC 7505). Raises Unanswered."""
        return self._ask(name, "MX")

    def addresses(self, name: str) -> list[str]:
        """IPv4 and IPv6 addresses. Raises Unanswered."""
        return self._ask(name, "A") + self._ask(name, "AAAA")

    def names_of(self, address: str) -> list[str]:
        """The names of an IP address (PTR). Raises Unanswered."""
        return [name.rstrip(".").lower() for name in self._ask(ipaddress.ip_address(address).reverse_pointer, "PTR")]

    def _ask(self, name: str, kind: str) -> list[str]:
        key = (name.lower().rstrip("."), kind)
        if key not in self._known:
            self._known[key] = self._look_up(*key)
        return self._known[key]

    def _look_up(self, name: str, kind: str) -> list[str]:
        if self._resolver is None:
            raise Unanswered(self._why_not)
        self._asked += 1
        if self._asked > MOST_QUESTIONS:
            raise Unanswered(f"more than {MOST_QUESTIONS} questions")
        try:
            absolute = dns.name.from_text(name)
        except dns.exception.DNSException:
            return []  # no name can be like that, so nothing stands there
        try:
            answer = self._resolver.resolve(absolute, dns.rdatatype.from_text(kind), search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except dns.resolver.LifetimeTimeout as error:
            self._silences += 1
            if self._silences >= _MOST_SILENCES:
                self._resolver, self._why_not = None, "the name server does not answer"
            raise Unanswered(f"{name} {kind}: no answer") from error
        except (dns.exception.DNSException, OSError) as error:
            said = str(error).rstrip(".") or type(error).__name__
            raise Unanswered(f"{name} {kind}: {said}"[:300]) from error
        records = list(answer)
        if kind == "MX":
            hosts = sorted((each.preference, each.exchange.to_text()) for each in records if isinstance(each, MX))
            return [host if host == "." else host.rstrip(".").lower() for _, host in hosts]
        if kind == "TXT":
            return [b"".join(each.strings).decode("utf-8", "replace") for each in records if isinstance(each, TXT)]
        return [each.to_text() for each in records]


def _split(nameserver: str) -> tuple[str, int]:
    """Address and port."""
    host, port = nameserver, "53"
    if nameserver.startswith("["):
        host, _, rest = nameserver[1:].partition("]")
        port = rest.removeprefix(":") if rest else port
    elif nameserver.count(":") == 1:
        host, _, port = nameserver.partition(":")
    number = int(port)
    if not 0 < number < 65_536:
        raise ValueError(f"{port} is no port")
    return str(ipaddress.ip_address(host)), number
