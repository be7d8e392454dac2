"""Reports to try things with, as mail servers and providers write them."""

from __future__ import annotations

from textwrap import dedent


def mail(text: str) -> bytes:
    """A mail as it is on the wire."""
    return dedent(text).lstrip().replace("\n", "\r\n").encode()


def bounce(
    *,
    to: str = "bounces@shop.example",
    status: str = "5.1.1",
    action: str = "failed",
    recipient: str = "ana@example.com",
    said: str = "550 5.1.1 no such user here",
    returned: str = "",
) -> bytes:
    """RFC 3464. `returned` is the header of the message that came back."""
    return mail(f"""
From: Mail Delivery System <MAILER-DAEMON@mx.example.com>
To: {to}
Subject: Undelivered Mail Returned to Sender
Date: Sun, 22 Nov 2026 09:00:00 +0000
Message-ID: <bounce-1@mx.example.com>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b1"

--b1
Content-Type: text/plain; charset=utf-8

I am sorry to have to inform you that your message could not be delivered.

--b1
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com

Final-Recipient: rfc822; {recipient}
Action: {action}
Status: {status}
Diagnostic-Code: smtp; {said}

--b1
Content-Type: text/rfc822-headers

{returned or "Subject: Hello"}

--b1--
""")


def complaint(
    *, kind: str = "abuse", fields: str = "", returned: str = "", sender: str = "fbl@provider.example"
) -> bytes:
    """RFC 5965."""
    return mail(f"""
From: <{sender}>
To: <abuse@shop.example>
Subject: FW: Your cart is waiting
Date: Sun, 22 Nov 2026 09:00:00 +0000
Message-ID: <complaint-1@provider.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b1"

--b1
Content-Type: text/plain; charset="US-ASCII"

This is an email abuse report for an email message.

--b1
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: SomeGenerator/1.0
Version: 1
{fields or "Original-Rcpt-To: <ana@example.com>"}

--b1
Content-Type: message/rfc822
Content-Disposition: inline

From: The Shop <shop@shop.example>
To: <ana@example.com>
Subject: Your cart is waiting
{returned or "Message-ID: <s1@shop.example>"}

Hello Ana

--b1--
""")
