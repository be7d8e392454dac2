"""Delivery reports: what mail servers and mailbox providers write back about our messages, read from mail.

`read_mail` reads (RFC 3464 and RFC 5965, and by flufl.bounce the bounces that follow no standard), `judge` says which
message a report is about and what proves it. Both are pure. docs/bounces.md explains them.
"""

from triggerfish.reports.judging import Judged, Proof, judge
from triggerfish.reports.reading import LARGEST_REPORT, read_mail
from triggerfish.reports.shapes import Kind, Mail, MailHeard, Outcome, Report
from triggerfish.reports.status import Cause, cause_of, says_nobody

__all__ = [
    "LARGEST_REPORT", "Cause", "Judged", "Kind", "Mail", "MailHeard", "Outcome", "Proof", "Report",
    "cause_of", "judge", "read_mail", "says_nobody",
]  # fmt: skip
