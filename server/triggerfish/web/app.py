"""The web application: a composition of route lists. Each web module exposes its handlers as `routes`.

A handler that asks for `front: Front` (see given.py) gets it; an ASGI handler finds it in
`scope["litestar_app"].state`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from typing import Any, cast

from litestar import Litestar
from litestar.config.app import AppConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.openapi import OpenAPIConfig
from litestar.types import (
    ControllerRouterHandler,
    HTTPScope,
    LifeSpanReceive,
    LifeSpanScope,
    LifeSpanSend,
    Receive,
    Scope,
    Send,
)

from triggerfish.walk import FrontDoor
from triggerfish.web import events, health
from triggerfish.web.openapi import DescriptionPlugin
from triggerfish.web.problems import exception_handlers
from triggerfish.web.ready import Examiner

LARGEST_BODY = 2 * 1024 * 1024
"""Bytes that an ordinary handler reads at most; the ingest paths have smaller limits of their own."""

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]


class Application(Litestar):
    """Litestar, with a door of their own for the tracking paths: finding a route there takes it longer than deciding
    what to say of an event.
    """

    async def __call__(
        self, scope: Scope | LifeSpanScope, receive: Receive | LifeSpanReceive, send: Send | LifeSpanSend
    ) -> None:
        if scope["type"] == ScopeType.HTTP and cast(HTTPScope, scope)["path"] in events.TRACKING:
            await events.let_in(self.state["front"], cast(HTTPScope, scope), cast(Receive, receive), cast(Send, send))
        else:
            await super().__call__(scope, receive, send)


def build_app(
    front: FrontDoor,
    routes: Sequence[ControllerRouterHandler] = (),
    *,
    dependencies: Mapping[str, Any] | None = None,
    lifespan: Sequence[Lifespan] = (),
    on_app_init: Sequence[Callable[[AppConfig], AppConfig]] = (),
) -> Application:
    """The ingest paths and `routes` as one application.

    `dependencies` are handed to handlers that name them as parameters, next to `front`.
    """
    given: dict[str, Any] = {"front": front, "examiner": Examiner(front), **(dependencies or {})}
    return Application(
        route_handlers=[*events.routes, *health.routes, *routes],
        state=State(dict(given)),
        dependencies={name: Provide(_always(value), sync_to_thread=False) for name, value in given.items()},
        exception_handlers=exception_handlers,
        lifespan=list(lifespan),
        on_app_init=list(on_app_init),
        request_max_body_size=LARGEST_BODY,
        openapi_config=OpenAPIConfig(
            title="Triggerfish",
            version=version("triggerfish"),
            path="/schema",
            # The other plugins load their scripts from a CDN.
            render_plugins=[DescriptionPlugin(path=["/", "/openapi.json"])],
        ),
        logging_config=None,
    )


def _always(value: Any) -> Callable[[], Any]:
    def give() -> Any:
        return value

    return give
