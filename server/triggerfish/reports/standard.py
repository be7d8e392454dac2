"""The parts of a mail that programs write for programs: delivery status (RFC 3464, and RFC 6533 for addresses beyond
ASCII) and feedback reports (RFC 5965).
"""

from __future__ import annotations

import email
import re
from collections.abc import Mapping
from email.message import Message

from triggerfish.reports.shapes import Kind, Report
from triggerfish.reports.status import best_status, cause_of, find_status, is_final

LONGEST_DETAIL = 500

_ACTIONS: tuple[tuple[str, Kind], ...] = (
    ("fail", "bounced"),
    ("error", "bounced"),  # OpenSMTPD's
    ("delay", "delayed"),
    ("delivered", "delivered"),
    # "relayed" and "expanded": taken over by something that will not report, so nobody knows.
    ("", "other"),
)
_FEEDBACK: Mapping[str, Kind] = {
    "abuse": "complained",
    "fraud": "complained",
    "opt-out": "unsubscribed",
    "opt-out-list": "unsubscribed",
}
"""The types of RFC 5965 (and opt-out of its drafts). The others are about viruses, DMARC (RFC 6591), or say that it is
no spam (RFC 6430).
"""
_MOST_BLOCKS = 200
_MAILBOX = re.compile(r"[^\s<>@]{1,200}@[^\s<>@,;]{1,253}")


def recipient_reports(part: Message, text: str) -> list[Report]:
    """A delivery status, one report for each recipient. `text` is what the mail says to people: when there is only one
    recipient, it may tell why where the status does not.
    """
    blocks = [
        block
        for block in _blocks(part)[:_MOST_BLOCKS]
        if any(block.get(name) for name in ("Final-Recipient", "Original-Recipient", "Action"))
    ]
    is_one = len({_recipient(block) for block in blocks}) == 1
    return list(dict.fromkeys(_report(block, text if is_one else "") for block in blocks))


def _report(block: Message, text: str) -> Report:
    said = written(block, "Diagnostic-Code")
    reply = said.partition(";")[2].strip() if re.match(r"[\w-]{1,30}\s*;", said) else said
    status = best_status(find_status(written(block, "Status")), reply)
    action = written(block, "Action").lower() or ("failed" if status[:1] == "5" else "")
    kind = next(kind for word, kind in _ACTIONS if action.startswith(word))
    cause = cause_of(status, reply)
    if cause == "unclear":
        cause = cause_of(status, text)
    is_permanent = kind == "bounced" and cause == "address" and is_final(status, reply)
    return Report(kind, _recipient(block), status, cause, is_permanent, clean(reply or text))


def feedback_reports(fields: Message) -> list[Report]:
    """A feedback report's one report."""
    kind = _FEEDBACK.get(written(fields, "Feedback-Type").lower(), "other")
    return [Report(kind, _mailbox(written(fields, "Original-Rcpt-To")), detail=clean(written(fields, "User-Agent")))]


def first_block(part: Message) -> Message:
    """The fields of a part that consists of fields."""
    blocks = _blocks(part)
    return blocks[0] if blocks else Message()


def written(message: Message, name: str, most: int = 2_000) -> str:
    """A header as text on one line; empty when it is not there."""
    return clean(str(message.get(name, "")), most)


def clean(text: str, most: int = LONGEST_DETAIL) -> str:
    """Text from outside, fit for a log line and a page: one line, bounded."""
    line = " ".join(text[: most * 4].split())
    return "".join(c if c.isprintable() else "\ufffd" for c in line)[:most]


def _blocks(part: Message) -> list[Message]:
    """The blocks of fields in a part, however the parser took it."""
    payload = part.get_payload()
    if isinstance(payload, str):
        # Some servers pack it in base64, which RFC 2046 forbids.
        raw = part.get_payload(decode=True)
        return _split(raw.decode("utf-8", "replace") if isinstance(raw, bytes) else payload)
    blocks: list[Message] = []
    for block in payload:
        if isinstance(block, Message):
            rest = block.get_payload()
            blocks += [block, *(_split(rest) if isinstance(rest, str) and rest.strip() else ())]
    return blocks


def _split(text: str) -> list[Message]:
    pieces = re.split(r"(?:\r?\n){2,}", text[: 256 * 1024], maxsplit=_MOST_BLOCKS)
    return [email.message_from_string(piece.lstrip()) for piece in pieces[:_MOST_BLOCKS] if piece.strip()]


def _recipient(block: Message) -> str:
    """Whom we wrote to, if it says so, else where that led."""
    for name in ("Original-Recipient", "Final-Recipient"):
        if found := _mailbox(written(block, name)):
            return found
    return ""


def _mailbox(text: str) -> str:
    """The address in a field (`rfc822; ana@example.com`, with or without its type and brackets)."""
    found = _MAILBOX.search(text.rpartition(";")[2])
    return found[0] if found else ""
