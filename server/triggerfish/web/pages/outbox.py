"""The outbox: the messages that the channel keeps, as they would look in a mail program.

A message's HTML is shown in a frame of its own that runs nothing, sends nothing and loads pictures from https only.
"""

from __future__ import annotations

import re
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any

from litestar import Request, Response, get
from litestar.params import FromPath

from triggerfish.errors import NotFound
from triggerfish.web.given import TheDesk
from triggerfish.web.pages.paper import HEADERS, page
from triggerfish.web.questions import takes

MESSAGES = 50
LARGEST_MESSAGE = 5 * 1024 * 1024

_FRAME_HEADERS = HEADERS | {
    # Without allow-scripts and allow-same-origin. Popups, so that a link opens a tab of its own.
    "Content-Security-Policy": (
        "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
        "img-src https: data:; font-src https:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
    ),
}
_PIXEL = re.compile(r"""<img\b[^>]*\bsrc=["'][^"']*/t/o/[A-Za-z0-9_-]+\.gif["'][^>]*>""")
_LINK = re.compile(r"<a\b(?![^>]*\btarget=)", re.IGNORECASE)
_SHOWN = ("From", "To", "Reply-To", "Date")


@get("/outbox", guards=[takes()], include_in_schema=False)
async def outbox(request: Request[Any, Any, Any], desk: TheDesk) -> Response[str]:
    kept = await desk.channel.kept(MESSAGES)
    wall = desk.front.clock.wall()
    return page(request, desk, "outbox.html", kept=kept, channel=desk.channel.name, wall=wall)


@get("/outbox/{send_id:str}", guards=[takes()], include_in_schema=False)
async def message(request: Request[Any, Any, Any], send_id: FromPath[str], desk: TheDesk) -> Response[str]:
    mail = await _read(desk, send_id)
    headers = [(name, str(value)) for name, value in mail.items()]
    return page(
        request,
        desk,
        "message.html",
        send_id=send_id,
        subject=str(mail["subject"] or ""),
        shown=[(name, str(mail[name])) for name in _SHOWN if mail[name]],
        headers=headers,
        text=_part(mail, "plain"),
    )


@get("/outbox/{send_id:str}/html", guards=[takes()], include_in_schema=False)
async def message_html(send_id: FromPath[str], desk: TheDesk) -> Response[str]:
    """The message's HTML part, without the pixel that counts opens, its links opening tabs of their own."""
    html = _PIXEL.sub("", _part(await _read(desk, send_id), "html"))
    html = _LINK.sub('<a target="_blank" rel="noopener noreferrer"', html)
    return Response(html, media_type="text/html", headers=_FRAME_HEADERS)


async def _read(desk: TheDesk, send_id: str) -> EmailMessage:
    """The kept message. Raises NotFound."""
    raw = await desk.channel.read_kept(send_id)
    if raw is None:
        raise NotFound(
            f'the channel "{desk.channel.name}" keeps no message "{send_id}"',
            hint="it may have been among the oldest, which go; or it was not sent",
        )
    return BytesParser(policy=policy.default).parsebytes(raw[:LARGEST_MESSAGE])


def _part(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body(preferencelist=(kind,))
    content = part.get_content() if part is not None else ""
    return content.replace("\r\n", "\n") if isinstance(content, str) else ""


routes = [outbox, message, message_html]
