"""A mail's bytes -> what it reports. Anybody may have written them, so whatever they are it takes bounded time and
memory, and raises nothing.

Reports that follow RFC 3464 or RFC 5965 are read here. Bounces that follow no standard are found by flufl.bounce, which
mailing lists have run on for decades; it knows who bounced, and reports/status.py reads why.
"""

from __future__ import annotations

import email
import re
from collections.abc import Iterator, Sequence
from email.message import Message
from email.utils import getaddresses
from itertools import islice

from flufl.bounce import all_failures

from triggerfish.reports.shapes import Form, Mail, Report
from triggerfish.reports.standard import clean, feedback_reports, first_block, recipient_reports, written
from triggerfish.reports.status import cause_of, is_final, status_in

LARGEST_REPORT = 1024 * 1024
"""Bytes of a mail that are taken in. What says something stands at its beginning; all of it is there for signatures."""

_READ = 256 * 1024
_GUESSED = 64 * 1024
_LONGEST_LINE = 998
_MOST_PARTS = 60
_MOST_MARKS = 3_000
_MOST_BLANK_LINES = 2_000
_MOST_ADDRESSES = 200
_MOST_LINKS = 8
_MOST_RECIPIENTS = 100

_NESTING = re.compile(rb"(?i)content-type:\s*(?:multipart|message)/")
_MARK = re.compile(rb"(?:\n|\r)--")
_BLANK_LINE = re.compile(rb"(?:\r\n|\r|\n){2}")
_CAME_TO = (
    "To", "Cc", "Delivered-To", "X-Original-To", "X-Delivered-To", "Envelope-To", "X-Envelope-To", "X-Forwarded-To",
    "X-Failed-Recipients", "Original-Recipient", "Resent-To", "Apparently-To",
)  # fmt: skip
_SENT_BY = ("Return-Path", "X-Return-Path", "Errors-To", "Sender")
_ADDRESS = re.compile(r"[^\s<>@\"(),:;\[\]]{1,200}@[A-Za-z0-9.-]{1,253}")
_UNSUBSCRIBE = re.compile(r"/t/u/([A-Za-z0-9_-]{20,4096})(?![A-Za-z0-9_-])")
_MESSAGE_ID = re.compile(r"(?im)^[ \t>]*message-id:[ \t]*<([^<>\s]{1,500})>")
_RETURNED = re.compile(
    r"(?im)^[> \t]*(?:(?:received|return-path|message-id|x-[a-z-]+): |-+.{0,60}\b(?:original|copy|returned|transcript"
    r" of unsent)\b)"
)
_VACATION = re.compile(
    r"(?i)\bout of (?:the )?office\b|^\s*auto(?:matic|mated)?[ -]?(?:reply|response|answer)|\bvacation\b|abwesenheit"
)
_DAEMON = re.compile(r"(?i)^(?:mailer-daemon|postmaster|mail-?daemon|mdaemon)\b")


def read_mail(raw: bytes, came_to: Sequence[str] = ()) -> Mail:
    """What the mail `raw` (RFC 5322) reports; of a large one the beginning is read. `came_to` are addresses
    that it was delivered to, as far as the mail server says.
    """
    raw = _beginning(raw)
    if len(_NESTING.findall(raw)) > _MOST_PARTS or len(_MARK.findall(raw)) > _MOST_MARKS:
        return Mail("unreadable", (Report("other", detail="it has too many parts"),), tuple(came_to[:_MOST_ADDRESSES]))
    mail = email.message_from_bytes(raw)
    parts = list(mail.walk())
    text = _text(parts)
    original, original_text = _original(parts)
    form: Form
    feedback_type = ""
    if reports := _standard(parts, _until_returned(text)):
        form = "dsn"
    elif (part := _first(parts, "message/feedback-report")) is not None:
        fields = first_block(part)
        feedback_type = written(fields, "Feedback-Type").lower()
        form, reports = "feedback", feedback_reports(fields)
        original_text += f"\nReturn-Path: {written(fields, 'Original-Mail-From')}"
    elif reports := _guessed(raw, _until_returned(text)):
        form = "bounce"
    else:
        form, reports = "plain", [Report("replied" if _is_answer(mail) else "other")]
    returned = original_text or text
    return Mail(
        form=form,
        reports=tuple(reports[:_MOST_RECIPIENTS]),
        addresses=tuple(_addresses(mail, original, returned, came_to)),
        links=tuple(dict.fromkeys(_UNSUBSCRIBE.findall(_unfolded(returned))))[:_MOST_LINKS],
        message_id=_message_id(original, returned),
        sender=next(iter(_senders(mail)), "")[:320],
        subject=written(mail, "Subject"),
        feedback_type=feedback_type[:40],
    )


def _beginning(raw: bytes) -> bytes:
    """As much of a mail as is read: each blank line may be one more block of fields."""
    raw = raw[:_READ]
    last = next(islice(_BLANK_LINE.finditer(raw), _MOST_BLANK_LINES, None), None)
    return raw[: last.start()] if last else raw


def _standard(parts: Sequence[Message], text: str) -> list[Report]:
    """RFC 3464: one report for each recipient that a delivery status names."""
    found: list[Report] = []
    for part in parts:
        if part.get_content_type() in ("message/delivery-status", "message/global-delivery-status"):
            found += recipient_reports(part, text)
    return found


def _guessed(raw: bytes, said: str) -> list[Report]:
    """Bounces that follow no standard. A permanent one needs a code or words that say so: in doubt it is not."""
    # Its patterns work line by line, and no line of a mail that keeps to RFC 5322 is longer.
    short = b"\n".join(line[:_LONGEST_LINE] for line in raw[:_GUESSED].splitlines())
    mail = email.message_from_bytes(short)
    if not _senders(mail):
        # One of its detectors stumbles over a mail that is from nobody, and then the others do not get their turn.
        del mail["From"]
        mail["From"] = "MAILER-DAEMON"
    try:
        passing, lasting = all_failures(mail)
    except Exception:
        # It looks at whatever came; what it stumbles over is no bounce that it knows.
        return []
    status, detail = status_in(said), clean(said)
    cause = cause_of(status, said)
    is_permanent = cause == "address" and is_final(status, said)
    return [
        *(Report("bounced", _ascii(each), status, cause, is_permanent, detail) for each in sorted(lasting)),
        *(Report("delayed", _ascii(each), status, cause, False, detail) for each in sorted(passing - lasting)),
    ]


def _senders(mail: Message) -> list[str]:
    """The addresses that it says it is from."""
    try:
        return [found for _, found in getaddresses([written(mail, "From")])]
    except RecursionError:
        # Python reads comments in comments by calling itself.
        return []


def _is_answer(mail: Message) -> bool:
    """Whether a machine answered (RFC 3834), or says that somebody is away."""
    if written(mail, "Auto-Submitted").lower().startswith("auto-replied"):
        return True
    if written(mail, "Precedence").lower() == "auto_reply" or mail.get("X-Autoreply") or mail.get("X-Autorespond"):
        return True
    sender = next(iter(_senders(mail)), "")
    return bool(_VACATION.search(written(mail, "Subject"))) and not _DAEMON.match(sender)


def _until_returned(text: str) -> str:
    """What a bounce says for itself, without what it has of the message that came back."""
    cut = _RETURNED.search(text, 200)
    return text[: cut.start()] if cut else text


def _text(parts: Sequence[Message]) -> str:
    """The first text that is for people."""
    for part in parts:
        if part.get_content_maintype() == "text" and part.get_content_type() != "text/rfc822-headers":
            return _decoded(part, 8_192)
    return ""


def _original(parts: Sequence[Message]) -> tuple[Message | None, str]:
    """The message that is reported on, as far as it came back: its header, and that as text."""
    for part in parts:
        kind = part.get_content_type()
        if kind in ("message/rfc822", "message/global") and isinstance(part.get_payload(), list):
            inner = part.get_payload(0)
            if isinstance(inner, Message):
                return inner, _header_text(inner)
        elif kind in ("text/rfc822-headers", "message/rfc822-headers", "message/global-headers"):
            inner = email.message_from_string(_decoded(part, 64 * 1024).lstrip())
            return inner, _header_text(inner)
    return None, ""


def _header_text(message: Message) -> str:
    lines = [f"{name}: {written(message, name, 4_400)}" for name in dict.fromkeys(message.keys())]
    return "\n".join(lines)[: 64 * 1024]


def _decoded(part: Message, most: int) -> str:
    payload = part.get_payload(decode=True)
    if isinstance(payload, bytes):
        return payload[:most].decode("utf-8", "replace")
    # A part called message/… holds what was read as a message.
    inner = part.get_payload()
    return _header_text(inner[0])[:most] if isinstance(inner, list) and inner and isinstance(inner[0], Message) else ""


def _addresses(mail: Message, original: Message | None, returned: str, came_to: Sequence[str]) -> Iterator[str]:
    """Where a return path of ours may stand, each once, in the order in which they are likely to be one."""
    headers = [written(mail, name, 4_400) for name in _CAME_TO]
    if original is not None:
        headers += [written(original, name) for name in _SENT_BY]
    seen = dict.fromkeys(came_to[:_MOST_ADDRESSES])
    for text in (*headers, returned):
        for found in _ADDRESS.finditer(text):
            seen[found[0]] = None
            if len(seen) >= _MOST_ADDRESSES:
                return iter(seen)
    return iter(seen)


def _message_id(original: Message | None, returned: str) -> str:
    given = "" if original is None else written(original, "Message-ID")
    found = _MESSAGE_ID.search(f"Message-ID: {given}" if given else returned)
    return found[1] if found else ""


def _first(parts: Sequence[Message], kind: str) -> Message | None:
    return next((part for part in parts if part.get_content_type() == kind), None)


def _unfolded(text: str) -> str:
    return re.sub(r"\r?\n[ \t]+", "", text)


def _ascii(address: bytes) -> str:
    return address.decode("ascii", "replace")[:320]
