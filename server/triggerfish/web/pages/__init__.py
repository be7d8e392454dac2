"""The pages: what people look at, made on the server from templates/, without scripts and without anybody's CDN."""

from __future__ import annotations

from litestar import Response, Router, get
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler, ExceptionHandlersMap

from triggerfish.errors import TriggerfishError
from triggerfish.web.pages import deciding, outbox, overview, people, rulebook, segments, sends
from triggerfish.web.pages.access import sign_in, sign_out, signed_in_only
from triggerfish.web.pages.paper import LOGO, STYLE, STYLE_MARK, error_page, http_error_page

_KEPT = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}


@get(f"/assets/style-{STYLE_MARK}.css", include_in_schema=False)
async def style() -> Response[bytes]:
    return Response(STYLE, media_type="text/css; charset=utf-8", headers=_KEPT)


@get("/assets/triggerfish.svg", include_in_schema=False)
async def logo() -> Response[bytes]:
    headers = _KEPT | {"Cache-Control": "public, max-age=86400", "Content-Security-Policy": "default-src 'none'"}
    return Response(LOGO, media_type="image/svg+xml", headers=headers)


_FAULTS: ExceptionHandlersMap = {TriggerfishError: error_page, HTTPException: http_error_page}

routes: list[ControllerRouterHandler] = [
    style,
    logo,
    Router(
        path="/",
        route_handlers=[
            *overview.routes, *rulebook.routes, *people.routes, *segments.routes, *sends.routes, *outbox.routes,
            *deciding.routes,
        ],
        guards=[signed_in_only],
        exception_handlers=dict(_FAULTS),
        include_in_schema=False,
    ),
    Router(path="/", route_handlers=[sign_in, sign_out], exception_handlers=dict(_FAULTS), include_in_schema=False),
]  # fmt: skip
