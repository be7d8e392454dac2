"""What a status code (RFC 3463, as extended by RFC 5248, 7293 and 7505) says about an address.

Only "address" means that there is nobody to write to. A full mailbox is emptied, a refusal by policy is between the
servers and no fault of the person, and what is unclear is not held against anybody.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

Cause = Literal["address", "full", "blocked", "message", "route", "unclear"]
"""address: no such mailbox, or it is closed. full: it is full. blocked: a policy refused us or what we sent. message:
this message is too large or of the wrong kind. route: servers and networks between us. unclear: nothing that helps.
"""

CAUSES: Mapping[str, Cause] = {
    "1.0": "unclear",
    "1.1": "address",
    "1.2": "address",
    "1.3": "address",
    "1.4": "address",
    "1.6": "address",
    "1.7": "blocked",
    "1.8": "blocked",
    "1.9": "route",
    "1.10": "address",
    "2.0": "unclear",
    "2.1": "address",
    "2.2": "full",
    "2.3": "message",
    "2.4": "route",
    "3": "route",
    "3.0": "unclear",
    "3.4": "message",
    "4": "route",
    "4.0": "unclear",
    "4.1": "unclear",
    "4.4": "unclear",
    "5": "route",
    "5.0": "unclear",
    "6": "message",
    "7": "blocked",
    "7.17": "address",
    "7.18": "address",
}
"""By subject and detail, or by subject alone; what is not here is unclear. 5.1.10 is a null MX, 5.7.17 and 5.7.18 say
that the mailbox or the domain has another owner now.
"""

_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)")
# In running text only after a reply code or a "#", as servers write it: an IP address or a version looks alike.
_IN_TEXT = re.compile(r"(?:(?<!\d)[245]\d\d[ -]|#)#?([245]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)")
_REPLY = re.compile(r"(?<![\d.])([45])[0-5]\d(?=[ -])")

_WHO = r"(?:user|recipient|account|mailbox|address|addressee|destination|person)"
_WORDS: Mapping[Cause, tuple[str, ...]] = {
    "full": (
        r"over ?quota",
        r"quota (?:is )?exceeded",
        r"(?:exceed\w*|reached) .{0,30}quota|quota violation",
        r"\b(?:mailbox|inbox|account|user|disk)\b.{0,40}\bfull\b",
        r"out of (?:disk )?space",
        r"insufficient .{0,20}storage",
        r"storage .{0,20}exceeded",
    ),
    "blocked": (
        r"\bspam",
        r"\bunsolicited",
        r"(?:black|block|grey)-?list",
        r"\b(?:blocked|banned|denied|reputation|policy|dmarc|dkim|spf|dnsbl|rbl|virus)\b",
        r"rate limit",
        r"\brelaying\b|\bto relay\b",
    ),
    "message": (
        r"\b(?:message|size|mail)\b.{0,30}\b(?:too (?:large|big|long)|exceeds)\b",
        r"\bexceed\w* .{0,30}\bsize\b",
    ),
    "address": (
        rf"\b{_WHO} (?:is )?(?:unknown|invalid|inactive)\b",
        rf"\b(?:unknown|invalid|no such|non-?existent|bad destination) (?:\w+ )?(?:{_WHO}|domain|host)\b",
        r"\b(?:does not|doesn't|do not|don't|did not|didn't) exist\b",
        r"\b(?:does not|doesn't) have an? (?:\S+ )?account\b",
        r"\bno mailbox here\b",
        rf"\bnot (?:a )?(?:valid|known|listed) {_WHO}\b",
        rf"\b{_WHO}\b.{{0,40}}\b(?:not (?:found|known|listed)|is disabled)\b",
        rf"\b{_WHO}\b.{{0,40}}\b(?:has been|was|is) (?:disabled|deactivated|closed|deleted|terminated|discontinued)\b",
        r"\bno longer (?:valid|exists?|available|active|in use|on this|works|with)\b",
        r"\bunroutea?ble\b",
        r"\b(?:host|domain)(?: name)? not found\b",
        r"\bname or service not known\b|\bnxdomain\b",
        r"\bnot our customer\b",
        r"\bname is not recogni[sz]ed\b",
    ),
}
"""In this order: what a person can mend, or we, goes before what nobody can."""
_SAYS = {cause: re.compile("|".join(words)) for cause, words in _WORDS.items()}


def find_status(text: str) -> str:
    """The status code in a Status field, without the comment that some servers add; empty when there is none."""
    found = _STATUS.search(text[:200])
    return found[0] if found else ""


def status_in(text: str) -> str:
    """The status code in a server's reply or in a text for people; empty when there is none."""
    found = _IN_TEXT.search(text)
    return found[1] if found else ""


def best_status(status: str, reply: str) -> str:
    """Of the status field and the code in the server's own reply the one that says more; where they differ, the one
    that is less final. Empty when there is none.
    """
    codes = [code for code in (status_in(reply), status) if code]
    clear = [code for code in codes if cause_by_code(code) != "unclear"]
    return (
        min(clear, key=lambda code: (cause_by_code(code) == "address", code[0] == "5")) if clear else "".join(codes[:1])
    )


def cause_by_code(status: str) -> Cause:
    """What the code alone says."""
    _, _, rest = status.partition(".")
    return CAUSES.get(rest) or CAUSES.get(rest.partition(".")[0], "unclear")


def cause_of(status: str, words: str) -> Cause:
    """What a status says, and where it says nothing in particular, the words that came with it."""
    cause = cause_by_code(status)
    if cause != "unclear":
        return cause
    folded = " ".join(words.lower().split())
    return next((cause for cause, pattern in _SAYS.items() if pattern.search(folded)), "unclear")


def is_final(status: str, words: str) -> bool:
    """Whether it is said to be of no use to try again (5.x.x, or a reply of 5xx); without any code it is."""
    if status:
        return status.startswith("5")
    replies = {found[1] for found in _REPLY.finditer(words)}
    return "4" not in replies


def says_nobody(reply: str) -> bool:
    """Whether a server's own reply says that there is nobody at the address, and for good."""
    status = status_in(reply)
    return is_final(status, reply) and cause_of(status, reply) == "address"
