"""Who may look at the pages: whoever has signed in with the admin key. With the demo's keys, on this machine only, the
pages are open, and say so.

Signing in sets a cookie that holds an instant and its HMAC under a key derived from the admin key, never the key
itself. It is HttpOnly and SameSite=Strict; a new admin key ends all sessions.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from typing import Any
from urllib.parse import urlsplit

from litestar import Request, Response, post
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.handlers import BaseRouteHandler

from triggerfish.clock import HOUR, SECOND, Instant
from triggerfish.compose import Desk
from triggerfish.config import DEMO_ADMIN_KEY, Settings, is_loopback
from triggerfish.errors import Refused
from triggerfish.web.given import TheDesk

COOKIE = "triggerfish_pages"
SESSION = 12 * HOUR
_WRONG_KEY_SECONDS = 0.3
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")

Connection = ASGIConnection[Any, Any, Any, Any]


def signed_in_only(connection: Connection, _: BaseRouteHandler) -> None:
    """A Litestar guard: Refused (TF114) unless the pages are open to this request, or it is signed in."""
    desk: Desk = connection.app.state["desk"]
    if is_open(desk.settings, connection) or has_session(desk, connection.cookies.get(COOKIE, "")):
        return
    scheme, _space, key = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and _is_admin_key(desk, key.strip()):
        return
    raise Refused("these pages need the admin key", code="TF114", hint="it is in triggerfish.toml under [keys] admin")


def is_open(settings: Settings, connection: Connection) -> bool:
    """True for a request from this very machine while the demo's admin key, known to everybody, is in use.

    The name that was asked for counts as well: a foreign site whose name leads to 127.0.0.1 must not read the pages.
    """
    if settings.keys.admin != DEMO_ADMIN_KEY or not is_loopback(settings.server.host):
        return False
    if any(name in connection.headers for name in _FORWARDED):
        return False
    asked = urlsplit(f"//{connection.headers.get('host', '')}").hostname or ""
    client = connection.client.host if connection.client else ""
    return is_loopback(asked) and is_loopback(client)


def session_for(desk: Desk, until: Instant) -> str:
    """The cookie's value for a session that ends at `until`."""
    return f"{until}.{_mac(desk, str(until))}"


def has_session(desk: Desk, cookie: str) -> bool:
    until, _, mac = cookie.partition(".")
    if not (until.isascii() and until.isdigit() and len(until) < 16):
        return False
    is_ours = hmac.compare_digest(mac.encode(), _mac(desk, until).encode())
    return is_ours and desk.front.clock.wall() < int(until)


def _mac(desk: Desk, text: str) -> str:
    key = hmac.digest(desk.front.admin_key.encode(), b"triggerfish pages 1", hashlib.sha256)
    return hmac.digest(key, text.encode(), hashlib.sha256).hex()


def _is_admin_key(desk: Desk, key: str) -> bool:
    return hmac.compare_digest(key.encode(errors="replace"), desk.front.admin_key.encode())


def check_origin(request: Request[Any, Any, Any], public_url: str) -> None:
    """Raises Refused (TF116) unless a page of this server sent the form. Browsers say so in every POST."""
    origin = urlsplit(request.headers.get("origin", "")).netloc
    if not origin or origin not in (request.headers.get("host", ""), urlsplit(public_url).netloc):
        raise Refused(
            "this form was not sent by a page of this server",
            code="TF116",
            field="Origin",
            hint="open the page itself, and send its form",
        )


def safe_path(text: str) -> str:
    """The path to go on to after signing in: one of ours, or the first page."""
    is_ours = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable() and "\\" not in text
    return text if is_ours and len(text) < 2_000 else "/"


@post("/login", status_code=303, include_in_schema=False)
async def sign_in(request: Request[Any, Any, Any], desk: TheDesk) -> Response[None]:
    """The form of the sign-in page. A wrong key shows it again."""
    check_origin(request, desk.public_url)
    form = await request.form()
    if not _is_admin_key(desk, str(form.get("key", "")).strip()):
        await asyncio.sleep(_WRONG_KEY_SECONDS)
        raise Refused("this is not the admin key", code="TF114", hint="it is in triggerfish.toml under [keys] admin")
    until = desk.front.clock.wall() + SESSION
    is_secure = request.url.scheme == "https" or desk.public_url.startswith("https:")
    cookie = _cookie(session_for(desk, until), SESSION // SECOND, is_secure=is_secure)
    return Response(None, status_code=303, headers={"Location": safe_path(str(form.get("next", "")))}, cookies=[cookie])


@post("/logout", status_code=303, include_in_schema=False)
async def sign_out(request: Request[Any, Any, Any], desk: TheDesk) -> Response[None]:
    check_origin(request, desk.public_url)
    return Response(None, status_code=303, headers={"Location": "/"}, cookies=[_cookie("", 0, is_secure=False)])


def _cookie(value: str, seconds: int, *, is_secure: bool) -> Cookie:
    return Cookie(
        key=COOKIE, value=value, max_age=seconds, path="/", httponly=True, samesite="strict", secure=is_secure
    )
