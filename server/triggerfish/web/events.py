"""The front door over HTTP: Segment's tracking API under /v1, and what its browser SDK needs besides.

The tracking paths are one plain ASGI application, `let_in`, because this is the path that must be fast: the application
(app.py) goes there before Litestar looks for a route, and serve.py writes its answers in one go.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Any, cast

from litestar import Request, Response, asgi, route
from litestar.enums import HttpMethod
from litestar.params import FromPath
from litestar.types import (
    ControllerRouterHandler,
    HTTPResponseBodyEvent,
    HTTPResponseStartEvent,
    HTTPScope,
    Receive,
    Scope,
    Send,
)

from triggerfish import ingest, meters, walk
from triggerfish.errors import NotFound, Refused, TriggerfishError
from triggerfish.walk import FrontDoor
from triggerfish.web.bodies import read_body
from triggerfish.web.given import Front
from triggerfish.web.keys import check_write_key, is_write_key, write_key_in_header
from triggerfish.web.problems import MEDIA_TYPE, fault_body, headers_of, problem_body, status_of

CROSS_ORIGIN = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After"}
PREFLIGHT = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Content-Encoding, X-Retry-Count",
    "Access-Control-Max-Age": "86400",
}
"""A page of any site may send events: a write key is public by its nature, and no cookie is read."""

_SUCCESS = b'{"success": true}'


def _start(status: int, body: bytes, media_type: str, headers: dict[str, str]) -> HTTPResponseStartEvent:
    given = headers if status == 204 else {"Content-Type": media_type, "Content-Length": str(len(body)), **headers}
    raw = [(name.lower().encode(), value.encode()) for name, value in given.items()]
    return {"type": "http.response.start", "status": status, "headers": raw}


_STORED_START = _start(200, _SUCCESS, "application/json", CROSS_ORIGIN)
_STORED_BODY: HTTPResponseBodyEvent = {"type": "http.response.body", "body": _SUCCESS, "more_body": False}
_STORED_WHOLE = b"HTTP/1.1 200 OK\r\n%s\r\n%s" % (
    b"".join(b"%s: %s\r\n" % header for header in _STORED_START["headers"]),
    _SUCCESS,
)


Answer = Callable[[bytes], bool]
"""Writes a whole answer, status line and all, or says that it cannot; serve.py puts it into the scope as "answer"."""

TRACKING = {f"/v1/{call}": call for call in sorted(ingest.CALLS)}
"""The tracking paths, each with its call."""


@asgi(list(TRACKING), copy_scope=False)
async def take_events(scope: Scope, receive: Receive, send: Send) -> None:
    """The tracking paths as Litestar knows them, for who writes them with a slash at the end."""
    await let_in(scope["litestar_app"].state["front"], cast(HTTPScope, scope), receive, send)


async def let_in(front: FrontDoor, scope: HTTPScope, receive: Receive, send: Send) -> None:
    """POST /v1/{call}: exactly 200 `{"success": true}` once the events are on disk, else problem+json."""
    began = time.perf_counter()
    call = scope["path"].rstrip("/").rpartition("/")[2]
    try:
        if scope["method"] != "POST":
            if scope["method"] == "OPTIONS":
                await _answer(send, 204, b"", "", PREFLIGHT)
                return
            raise Refused(f"{scope['path']} does not take {scope['method']}", code="TF131", expected="POST")
        arrived_at = front.clock.wall()
        headers = dict(scope["headers"])
        authorization = headers.get(b"authorization")
        if authorization is not None:
            check_write_key(front, write_key_in_header(authorization), "Authorization")
        # What there is no room for need not arrive.
        front.log.check_room()
        body = await read_body(receive, headers, ingest.largest_body(call))
        if authorization is None:
            check_write_key(front, ingest.write_key_in(body), "writeKey")
        stored = await walk.receive(front, body, call, arrived_at, gpc=headers.get(b"sec-gpc") == b"1")
    except TriggerfishError as error:
        extra = headers_of(error) | CROSS_ORIGIN
        if status_of(error) == 405:
            extra["Allow"] = "POST, OPTIONS"
        await _answer(send, status_of(error), problem_body(error), MEDIA_TYPE, extra)
        meters.HTTP_REQUESTS.observe(time.perf_counter() - began, f"/v1/{call}", str(status_of(error)))
    except Exception as error:
        await _answer(send, 500, fault_body(error), MEDIA_TYPE, CROSS_ORIGIN)
        meters.HTTP_REQUESTS.observe(time.perf_counter() - began, f"/v1/{call}", "500")
    else:
        answer = cast(Answer | None, scope.get("answer"))
        if answer is None or not answer(_STORED_WHOLE):
            await send(_STORED_START)
            await send(_STORED_BODY)
        _COUNT[call](time.perf_counter() - began, stored, len(body))


def _counting(call: str) -> Callable[[float, int, int], None]:
    """Notes a request whose events were taken: seconds, events, bytes. Many notes are counted at once: that costs half
    of counting each.
    """
    taken, received = meters.EVENTS_TAKEN.cell(call), meters.EVENTS_BYTES.cell()
    noted: list[float] = []
    counting = Lock()

    def count() -> None:
        with counting:
            rows = noted[:]
            del noted[: len(rows)]
            meters.HTTP_REQUESTS.observe_all(rows[::3], f"/v1/{call}", "200")
            taken[0] += sum(rows[1::3])
            received[0] += sum(rows[2::3])

    def note(seconds: float, events: int, size: int) -> None:
        noted.extend((seconds, events, size))
        if len(noted) >= _MOST_NOTED:
            count()

    meters.NOTED.append(count)
    return note


_MOST_NOTED = 3_000
_COUNT = {call: _counting(call) for call in ingest.CALLS}


async def _answer(send: Send, status: int, body: bytes, media_type: str, headers: dict[str, str]) -> None:
    await send(_start(status, body, media_type, headers))
    await send({"type": "http.response.body", "body": body, "more_body": False})


@route("/v1/projects/{write_key:str}/settings", http_method=[HttpMethod.GET, HttpMethod.OPTIONS])
async def browser_settings(
    request: Request[Any, Any, Any], write_key: FromPath[str], front: Front
) -> Response[dict[str, Any] | None]:
    """What Segment's browser SDK asks for first: to which address to send, and that nothing else is to be loaded."""
    if request.method == HttpMethod.OPTIONS:
        return Response(None, status_code=204, headers=PREFLIGHT)
    if not is_write_key(front, write_key):
        raise NotFound("there is no project with this write key")
    base = front.public_url.rstrip("/") or str(request.base_url).rstrip("/")
    protocol, _, host = base.partition("://")
    segment_io = {
        "apiKey": write_key,
        "apiHost": f"{host}/v1",
        "protocol": protocol,
        "unbundledIntegrations": [],
        "addBundledMetadata": False,
        "maybeBundledConfigIds": {},
    }
    settings = {
        "integrations": {"Segment.io": segment_io},
        "plan": {"track": {"__default": {"enabled": True, "integrations": {}}}, "identify": {}, "group": {}},
        "edgeFunction": {},
        "enabledMiddleware": {},
        "legacyVideoPluginsEnabled": False,
        "metrics": {"sampleRate": 0},
        "remotePlugins": [],
    }
    return Response(settings, headers={**CROSS_ORIGIN, "Cache-Control": "public, max-age=300"})


routes: list[ControllerRouterHandler] = [take_events, browser_settings]
