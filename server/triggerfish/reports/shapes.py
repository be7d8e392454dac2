"""What a mail that reports on other mail says."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from triggerfish.reports.status import Cause

Kind = Literal["bounced", "delayed", "delivered", "complained", "unsubscribed", "replied", "other"]
"""bounced: it was given up. delayed: it is still tried. delivered: it lies in the mailbox. complained: the person
called it spam. unsubscribed: their mailbox provider says that they want no more. replied: a machine
answered (a vacation notice). other: nothing of these.
"""

Form = Literal["dsn", "feedback", "bounce", "plain", "unreadable"]
"""dsn: RFC 3464. feedback: RFC 5965. bounce: a bounce that follows no standard. plain: any other mail. unreadable: it
was not looked into, because of its size or shape.
"""


class Report(Struct, frozen=True):
    """What is said of one recipient. `recipient` is the address as the report has it, which anybody may have written.

    `status` is that of RFC 3463 ("5.1.1"), or empty. `detail` is the server's own words, on one line.
    """

    kind: Kind
    recipient: str = ""
    status: str = ""
    cause: Cause = "unclear"
    is_permanent: bool = False
    detail: str = ""


class Mail(Struct, frozen=True):
    """One mail, read. `reports` has one for each recipient that it is about, and at least one.

    `addresses` are those that may be return paths of ours: to which the report came, and the sender of the message that
    it is about. `links` are the tokens of unsubscribe links, and `message_id` the id, of that message. `feedback_type`
    is that of RFC 5965.
    """

    form: Form
    reports: tuple[Report, ...]
    addresses: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    message_id: str = ""
    sender: str = ""
    subject: str = ""
    feedback_type: str = ""


Outcome = Literal["heard", "noted", "unmatched"]


class MailHeard(Struct, frozen=True):
    """What was made of a mail.

    heard: it proves which message it is about, and `events` are on disk. noted: there is nothing to do about it (a
    delay, a vacation notice). unmatched: nothing proves what it is about, or it is no report; `reason` says so. `by` is
    what proves it: "return path", "link" or "signature".
    """

    outcome: Outcome
    kind: Kind
    by: str = ""
    send_id: str = ""
    recipient: str = ""
    status: str = ""
    is_permanent: bool = False
    events: int = 0
    reason: str = ""
