"""The mail room: mail that reports on our messages comes in, and what it proves goes through the front door (`walk`).

    read    reports.read_mail     bytes -> what it says
    judge   reports.judge         which message it is about, and what proves that
    find    the store             who got that message, and at which address
    hear    walk.hear_hook        -> the log

Whoever sends the mail can write in it what they like: a report counts for the address that the proven message was
handed over for, never for one that only the report names.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

from triggerfish import walk
from triggerfish.errors import Busy, NotFound, Unavailable
from triggerfish.measure import Heard, Hit, Signer
from triggerfish.reads import SendDetails
from triggerfish.reports import Judged, Kind, Mail, MailHeard, judge, read_mail
from triggerfish.verp import Verp
from triggerfish.walk import FrontDoor

log = logging.getLogger("triggerfish.mailroom")

# It writes a line for each kind of bounce that it looks for, and tracebacks of mails that are broken.
logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL)

_AT_ONCE = 2
"""Mails that are read at the same time; each holds a thread and a few times its size."""
_MOST_WAITING = 50

_HEARD: Mapping[Kind, Heard] = {kind: kind for kind in get_args(Heard) if kind in get_args(Kind)}


@dataclass(frozen=True, kw_only=True)
class MailRoom:
    """What the api process needs to take mail in.

    `find` gives a send, or raises NotFound. `is_trusted` tells whether a mail is signed by somebody whom we believe
    about any message; it raises Unavailable when that cannot be looked up now. `counts` are the outcomes since the
    start.
    """

    front: FrontDoor
    signer: Signer = field(repr=False)
    verp: Verp
    find: Callable[[str], SendDetails]
    is_trusted: Callable[[Mail, bytes], Awaitable[bool]]
    counts: Counter[str] = field(default_factory=Counter)
    hall: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MOST_WAITING))
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))


async def take(room: MailRoom, raw: bytes, came_to: Sequence[str] = (), *, is_last_try: bool = False) -> MailHeard:
    """Let in what a mail reports, and return once it is on disk. A mail that comes again changes nothing.

    Raises Busy and Unavailable; then nothing is stored. At the last try a signature that cannot be looked up is none.
    """
    if room.hall.locked():
        raise Busy(f"{_MOST_WAITING} mails wait to be read", retry_after_seconds=5)
    async with room.hall, room.places:
        heard = await _hear(room, raw, came_to, is_last_try)
    room.counts[heard.outcome] += 1
    if heard.outcome == "unmatched":
        log.info("a mail (%s) was not believed: %s", heard.kind, heard.reason)
    return heard


async def _hear(room: MailRoom, raw: bytes, came_to: Sequence[str], is_last_try: bool) -> MailHeard:
    received_at = room.front.clock.wall()
    try:
        mail = await asyncio.to_thread(read_mail, raw, came_to)
    except Exception:
        # It should not; if it does all the same, one mail must not keep those behind it from being read.
        log.exception("a mail could not be read")
        return MailHeard("unmatched", "other", reason="it could not be read")
    judged = judge(mail, read_path=room.verp.read, read_link=room.signer.read_token)
    if not judged.proof and mail.form == "feedback" and await _is_trusted(room, mail, raw, is_last_try):
        judged = judge(mail, read_path=room.verp.read, read_link=room.signer.read_token, is_trusted=True)
    kind = judged.report.kind
    if not judged.proof:
        if kind in ("delayed", "replied"):
            return MailHeard("noted", kind)
        is_report = mail.form in ("dsn", "feedback", "bounce")
        return MailHeard(
            "unmatched", kind, reason="nothing proves which message it is about" if is_report else "it is no report"
        )
    hit = await _hit(room, judged)
    if isinstance(hit, str):
        return MailHeard("unmatched", kind, judged.proof, judged.send_id, reason=hit)
    if hit is None:
        return MailHeard("noted", kind, judged.proof, judged.send_id)
    nonce = hashlib.sha256(raw).hexdigest()[:24]
    events = await walk.hear_hook(room.front, [hit], received_at, nonce=nonce)
    return MailHeard("heard", kind, judged.proof, hit.send_id, hit.recipient, hit.status, hit.is_permanent, events)


async def _is_trusted(room: MailRoom, mail: Mail, raw: bytes, is_last_try: bool) -> bool:
    try:
        return await room.is_trusted(mail, raw)
    except Unavailable as error:
        if not is_last_try:
            raise
        log.warning("a mail counts as unsigned: %s", error)
        return False


async def _hit(room: MailRoom, judged: Judged) -> Hit | str | None:
    """What is to be heard; None for nothing, and a text says why it cannot be."""
    report = judged.report
    kind = _HEARD.get(report.kind)
    if kind is None:
        return None
    try:
        send = await asyncio.to_thread(room.find, judged.send_id)
    except NotFound:
        return "the message is not known any more"
    return Hit(
        kind,
        judged.send_id,
        send.profile,
        judged.purpose or send.purpose,
        detail=report.detail,
        recipient=send.address,
        status=report.status,
        is_permanent=report.is_permanent,
    )
