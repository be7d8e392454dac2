"""Mail through an SMTP server (RFC 5321): your own relay, or a provider's.

Built on the standard library's smtplib in a few threads rather than on aiosmtplib: what matters here is to know for
each message whether the final dot had left when something broke, and smtplib lets us take the transaction step by step;
a handful of threads that wait for sockets cost nothing beside mail servers that answer in tens of milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence

from triggerfish import Channel, hookimpl
from triggerfish_smtp.channel import Smtp


@hookimpl
def register_channels() -> Sequence[type[Channel]]:
    return [Smtp]
