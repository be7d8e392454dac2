"""How a page is made: its template, what every page shows, and the headers that keep foreign content harmless."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Request, Response
from litestar.exceptions import HTTPException

from triggerfish.compose import Desk
from triggerfish.errors import TriggerfishError
from triggerfish.web.pages import words
from triggerfish.web.pages.access import is_open, safe_path
from triggerfish.web.problems import headers_of, status_of

HERE = Path(__file__).parent
STYLE = (HERE / "assets" / "style.css").read_bytes()
LOGO = (HERE / "assets" / "triggerfish.svg").read_bytes()
STYLE_MARK = hashlib.sha256(STYLE).hexdigest()[:12]
"""In the style sheet's address, so that browsers may keep it for ever."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    # With "no-referrer" browsers would send forms with the origin "null".
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
    "Cross-Origin-Opener-Policy": "same-origin",
}

AnyRequest = Request[Any, Any, Any]

_environment = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters |= words.FILTERS
_environment.globals |= {"style_mark": STYLE_MARK, "logo": LOGO.decode()}


def page(
    request: AnyRequest, desk: Desk, template: str, *, status: int = 200, refresh_seconds: int = 0, **facts: Any
) -> Response[str]:
    """The page of `templates/<template>`. Whatever `facts` hold is escaped where it is shown."""
    html = _environment.get_template(template).render(
        desk=desk,
        now=desk.front.clock.now(),
        is_open=is_open(desk.settings, request),
        here=request.scope["path"],
        is_signing_in=template == "login.html",
        refresh_seconds=refresh_seconds,
        **facts,
    )
    return Response(html, status_code=status, media_type="text/html", headers=HEADERS)


def with_query(path: str, **given: Any) -> str:
    """The path with those query parameters that have a value."""
    query = urlencode({name: value for name, value in given.items() if value not in (None, "")})
    return f"{path}?{query}" if query else path


def error_page(request: AnyRequest, error: TriggerfishError) -> Response[str]:
    """An error of ours as a page; where the key is missing, the page to sign in."""
    desk: Desk = request.app.state["desk"]
    status = status_of(error)
    if error.code == "TF114":
        path, query = request.scope["path"], request.url.query
        is_form = path == "/login"
        onward = "/" if is_form else safe_path(path + (f"?{query}" if query else ""))
        sentence = error.sentence if is_form else ""
        return page(request, desk, "login.html", status=status, sentence=sentence, onward=onward)
    answer = page(request, desk, "error.html", status=status, error=error, heading=_heading(status))
    answer.headers.update(headers_of(error))
    return answer


def http_error_page(request: AnyRequest, error: HTTPException) -> Response[str]:
    """Litestar's refusals (a parameter of the wrong type) as a page."""
    desk: Desk = request.app.state["desk"]
    status = error.status_code
    said = TriggerfishError(error.detail if status < 500 else "the server failed", code="TF100")
    return page(request, desk, "error.html", status=status, error=said, heading=_heading(status))


def _heading(status: int) -> str:
    return _HEADINGS.get(status, "That did not work")


_HEADINGS = {400: "That cannot be asked", 403: "Not from here", 404: "There is nothing here", 503: "Not just now"}
