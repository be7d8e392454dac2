"""Mail that reports on our messages, from a pipe of the mail server (`triggerfish bounce`).

A write key is enough: a report proves by itself which message it is about, and nobody can do more here than by sending
mail to the address where reports come in.
"""

from __future__ import annotations

from typing import Any

from litestar import Request, post

from triggerfish import mailroom
from triggerfish.reports import LARGEST_REPORT, MailHeard
from triggerfish.web.bodies import read_body
from triggerfish.web.given import TheDesk
from triggerfish.web.keys import check_write_key, write_key_in_header
from triggerfish.web.questions import Text, takes


@post("/v1/reports", guards=[takes("to")], status_code=200)
async def take_report(
    request: Request[Any, Any, Any],
    desk: TheDesk,
    to: Text = None,
) -> MailHeard:
    """One mail (RFC 5322), as it is: 200 once what it proves is on disk, and says what was made of it. `to` is the
    address that it was delivered to, if it is known.
    """
    headers = dict(request.scope["headers"])
    authorization = headers.get(b"authorization", b"")
    key = write_key_in_header(authorization) if authorization else None
    check_write_key(desk.front, key, "Authorization")
    body = await read_body(request.receive, headers, LARGEST_REPORT)
    return await mailroom.take(desk.mailroom, body, (to,) if to else ())


routes = [take_report]
