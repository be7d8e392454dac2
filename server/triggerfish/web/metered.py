"""How long requests take, by route and status, for all but the tracking paths: those count for themselves (events.py),
because there every microsecond is felt.
"""

from __future__ import annotations

import time
from typing import Any, cast

from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from triggerfish import meters
from triggerfish.web.events import TRACKING


class Metered:
    """An ASGI application around another one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Any:
        """Give a coroutine to await: the tracking paths' own, so that they pay nothing for this."""
        kind: str = scope["type"]
        if kind != "http" or scope["path"] in TRACKING:
            return self._app(scope, receive, send)
        return self._measured(cast(Any, scope), receive, send)

    async def _measured(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        status = 500

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            # Litestar says which of its routes it was; a path that fits none is a stranger's, and no label.
            route = scope.get("path_template") or "none"
            if route not in TRACKING:
                meters.HTTP_REQUESTS.observe(time.perf_counter() - began, route, str(status))
