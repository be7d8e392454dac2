"""Which message of ours a report is about, and what proves it. Mail can be forged by anybody, so what proves nothing
says nothing about a person.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from triggerfish.measure import Hit
from triggerfish.reports.shapes import Kind, Mail, Report

Proof = Literal["", "return path", "link", "signature"]
"""return path: an address of ours that names the message, signed (verp.py). link: the signed unsubscribe link of the
message. signature: the report is DKIM-signed by a mailbox provider that the settings trust. Empty: nothing.
"""

_OURS = re.compile(r"([A-Za-z0-9._-]{1,64})@")
_WEIGHT: tuple[Kind, ...] = ("complained", "unsubscribed", "bounced", "delayed", "delivered", "replied", "other")


class Judged(Struct, frozen=True):
    """What a mail comes to. `report` speaks for all of its reports; `send_id` is empty when nothing proves which
    message it is about, and `profile_id` and `purpose` unless the proof names them.
    """

    report: Report
    proof: Proof = ""
    send_id: str = ""
    profile_id: str = ""
    purpose: str = ""


def judge(
    mail: Mail,
    *,
    read_path: Callable[[str], str | None],
    read_link: Callable[[str], Hit | None],
    is_trusted: bool = False,
) -> Judged:
    """`read_path` tells the send that a return path names (`Verp.read`), `read_link` what a link's token says
    (`Signer.read_token`). `is_trusted`: the mail is signed by somebody whom we believe about any message.
    """
    report = _speaks_for_all(mail.reports)
    for address in mail.addresses:
        if send_id := read_path(address):
            return Judged(report, "return path", send_id)
    for token in mail.links:
        hit = read_link(token)
        if hit is not None and hit.kind == "unsubscribed":
            return Judged(report, "link", hit.send_id, hit.profile_id, hit.purpose)
    if is_trusted and (found := _OURS.match(mail.message_id)):
        return Judged(report, "signature", found[1])
    return Judged(report)


def _speaks_for_all(reports: tuple[Report, ...]) -> Report:
    """We write to one recipient. When there are several, it was a list or a forwarding: as long as one of them got the
    message, or may still get it, the address has not failed for good.
    """
    first = min(reports, key=lambda each: (_WEIGHT.index(each.kind), each.is_permanent))
    some_hope = any(each.kind in ("delivered", "delayed", "other") for each in reports)
    if first.kind == "bounced" and first.is_permanent and some_hope:
        return Report(first.kind, first.recipient, first.status, first.cause, False, first.detail)
    return first
