"""The addresses in messages: open pixel, links, unsubscribing (RFC 8058). What is heard goes in at the front door.

Anybody may call these; what a call may do is in its signed token and nowhere else. A redirect goes to the address that
was signed, so there is no open redirect. Looking at a page never unsubscribes: mail scanners follow every link.
"""

from __future__ import annotations

import hashlib
import logging
from base64 import b64encode
from html import escape
from typing import Any, TypeAlias
from urllib.parse import quote

from litestar import HttpMethod, Request, Response, post, route
from litestar.di import NamedDependency
from litestar.params import FromPath

from triggerfish import walk
from triggerfish.errors import TriggerfishError
from triggerfish.measure import Heard, Hit, Signer, is_web_address
from triggerfish.web.given import Front

log = logging.getLogger("triggerfish.web")

_PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{margin:0;min-height:100vh;display:grid;place-items:center;background:#f4f5f7;color:#1c2430;"
    "font:17px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}"
    "main{max-width:26rem;margin:1.5rem;padding:2.25rem;background:#fff;border-radius:14px;"
    "box-shadow:0 1px 3px #0002,0 12px 32px #0001}"
    "h1{margin:0 0 .75rem;font-size:1.4rem;line-height:1.25}p{margin:0 0 1.25rem}p:last-child{margin:0}"
    "button{font:inherit;font-weight:600;color:#fff;background:#1f4fd8;border:0;border-radius:9px;padding:.7rem 1.4rem;"
    "cursor:pointer}button:hover{background:#173fb0}button:focus-visible{outline:3px solid #86a6ff;outline-offset:2px}"
    "@media (prefers-color-scheme:dark){body{background:#11151c;color:#e7ebf2}main{background:#1b212b;box-shadow:none}}"
)
_STYLE_HASH = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

_PRIVATE = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "X-Content-Type-Options": "nosniff",
}
_PAGE_HEADERS = _PRIVATE | {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
}
# RFC 3986's reserved and unreserved characters, and the percent sign of what is escaped already.
_URL_CHARACTERS = "%:/?#[]@!$&'()*+,;=-._~"

_GET = [HttpMethod.GET, HttpMethod.HEAD]
AnyRequest = Request[Any, Any, Any]
Signed: TypeAlias = NamedDependency[Signer]


@route("/t/o/{name:str}", http_method=_GET, include_in_schema=False)
async def opened(request: AnyRequest, name: FromPath[str], front: Front, signer: Signed) -> Response[bytes]:
    """The pixel. It is a picture even for a token that is not ours, so that no mail shows a broken one."""
    hit = _read(signer, name.removesuffix(".gif"), "opened")
    if hit is not None:
        await _note(front, hit, request)
    return Response(_PIXEL, status_code=200 if hit else 404, media_type="image/gif", headers=_PRIVATE)


@route("/t/c/{token:str}", http_method=_GET, include_in_schema=False)
async def clicked(request: AnyRequest, token: FromPath[str], front: Front, signer: Signed) -> Response[Any]:
    hit = _read(signer, token, "clicked")
    if hit is None or not is_web_address(hit.url):
        return _lost()
    await _note(front, hit, request)
    location = quote(hit.url, safe=_URL_CHARACTERS)
    return Response(None, status_code=302, headers=_PRIVATE | {"Location": location})


@route("/t/u/{token:str}", http_method=_GET, include_in_schema=False)
async def ask_to_unsubscribe(token: FromPath[str], signer: Signed) -> Response[str]:
    hit = _read(signer, token, "unsubscribed")
    if hit is None:
        return _lost()
    return _page(
        200,
        "Unsubscribe?",
        f"<p>Press the button and you will get no more {_emails(hit)} from us.</p>"
        '<form method="post"><button type="submit">Unsubscribe</button></form>',
    )


@post("/t/u/{token:str}", status_code=200, include_in_schema=False)
async def unsubscribed(request: AnyRequest, token: FromPath[str], front: Front, signer: Signed) -> Response[str]:
    """The page's button and RFC 8058's one click alike; the body says nothing that the token does not say."""
    hit = _read(signer, token, "unsubscribed")
    if hit is None:
        return _lost()
    try:
        await walk.hear(front, hit, user_agent=request.headers.get("user-agent", ""))
    except (TriggerfishError, OSError):
        log.exception("an unsubscribe could not be stored; the person was asked to try again")
        sorry = "<p>Your wish could not be stored just now. Please try again in a minute.</p>"
        again = '<form method="post"><button type="submit">Try again</button></form>'
        return _page(503, "Please try again", sorry + again, {"Retry-After": "60"})
    return _page(200, "You are unsubscribed", f"<p>You will get no more {_emails(hit)} from us.</p>")


routes = [opened, clicked, ask_to_unsubscribe, unsubscribed]


def _read(signer: Signer, token: str, kind: Heard) -> Hit | None:
    """The token's hit, if it was made for this address: an open's token opens no unsubscribe page."""
    hit = signer.read_token(token)
    return hit if hit is not None and hit.kind == kind else None


async def _note(front: walk.FrontDoor, hit: Hit, request: AnyRequest) -> None:
    """Let the hit in, unless nobody looks yet: HEAD requests and prefetching. Who opens or clicks is served even when
    the log cannot take it.
    """
    purpose = request.headers.get("sec-purpose", request.headers.get("purpose", ""))
    if request.method == HttpMethod.HEAD or "prefetch" in purpose:
        return
    try:
        await walk.hear(front, hit, user_agent=request.headers.get("user-agent", ""))
    except (TriggerfishError, OSError) as error:
        log.warning("an event %r of send %s was not recorded: %s", hit.kind, hit.send_id, error)


def _emails(hit: Hit) -> str:
    return f"<b>{escape(hit.purpose)}</b> emails" if hit.purpose else "marketing emails"


def _lost() -> Response[str]:
    text = "<p>It may have been cut short on its way. Please use the link in the email itself.</p>"
    return _page(404, "This link does not work", text)


def _page(status: int, title: str, body: str, headers: dict[str, str] | None = None) -> Response[str]:
    """`body` is HTML; whatever comes from outside has been escaped in it."""
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )
    return Response(html, status_code=status, media_type="text/html", headers=_PAGE_HEADERS | (headers or {}))
