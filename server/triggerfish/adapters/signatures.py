"""Who signed a mail (DKIM, RFC 6376), as far as it is one of those whom the settings trust."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

import dkim
import dns.exception
from dkim.dnsplug import get_txt
from dkim.util import parse_tag_value

from triggerfish.errors import Unavailable
from triggerfish.reports import LARGEST_REPORT, Mail

log = logging.getLogger("triggerfish.mailroom")

_MOST_SIGNATURES = 10
_SECONDS = 5.0


def _get_txt(name: bytes, timeout: float) -> bytes | None:
    try:
        found: bytes | None = get_txt(name, timeout)
    except (dns.exception.DNSException, UnicodeError):
        # It raises what it expects as DnsTimeoutError; the rest is names that cannot be: a label that is too long, say.
        return None
    return found


Lookup = Callable[[bytes, float], bytes | None]
"""The text at a name in the DNS, or None. Raises dkim.DnsTimeoutError."""


class TrustedSigners:
    """`domains` are those of mailbox providers whose feedback reports are believed about any message. Only they are
    looked up: whoever sends mail cannot make the server ask for other names.
    """

    def __init__(self, domains: Sequence[str], lookup: Lookup = _get_txt) -> None:
        self._domains = tuple(domain.lower() for domain in domains)
        self._lookup = lookup

    async def has_signed(self, mail: Mail, raw: bytes) -> bool:
        """Whether the mail comes from such a domain, or one below it, and is signed by that.

        Raises Unavailable when the name server does not answer.
        """
        domain = self._within(mail.sender.rpartition("@")[2])
        if not domain or len(raw) > LARGEST_REPORT:
            return False
        return await asyncio.to_thread(self._check, raw, domain)

    def _within(self, domain: str) -> str:
        folded = domain.lower().rstrip(".")
        return next((each for each in self._domains if folded == each or folded.endswith(f".{each}")), "")

    def _check(self, raw: bytes, domain: str) -> bool:
        has_timed_out = False

        def lookup(name: bytes, timeout: float = _SECONDS) -> bytes | None:
            nonlocal has_timed_out
            try:
                return self._lookup(name, timeout)
            except dkim.DnsTimeoutError:
                has_timed_out = True
                raise

        try:
            message = dkim.DKIM(raw, logger=_SILENT, minkey=1024, timeout=_SECONDS)
        except dkim.DKIMException:
            return False
        values = [value for name, value in message.headers if name.lower() == b"dkim-signature"]
        for number, value in enumerate(values[:_MOST_SIGNATURES]):
            try:
                tags = parse_tag_value(value)
                # A signature that covers a part of the body only (l=) would let anybody write the rest.
                if b"l" in tags or self._within(tags.get(b"d", b"").decode("ascii", "replace")) != domain:
                    continue
                if message.verify(number, dnsfunc=lookup):
                    return True
            except Exception as error:
                # Whatever it is that the library does not expect in a signature: this is none.
                log.debug("a DKIM signature cannot be checked: %s", error)
        if has_timed_out:
            raise Unavailable(
                "the name server does not answer, so the signature of a report cannot be checked", code="TF122"
            )
        return False


_SILENT = logging.getLogger("triggerfish.dkim")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False
