"""How errors look over HTTP: RFC 9457 problem details, and the one table from error code to status."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from triggerfish import meters
from triggerfish.errors import Busy, Refused, RulebookBroken, TriggerfishError

_log = logging.getLogger("triggerfish.web")

MEDIA_TYPE = "application/problem+json"

STATUS: dict[str, int] = {
    "TF100": 400,  # refused for a reason without a code of its own
    "TF101": 400,  # not JSON
    "TF102": 400,  # a wrong type
    "TF103": 400,  # no identity
    "TF104": 400,  # a timestamp that makes no sense
    "TF105": 413,  # too large
    "TF106": 400,  # too deep
    "TF107": 400,  # an unknown type of call
    "TF108": 400,  # a required field is missing
    "TF109": 400,  # text that cannot be kept: too long, or with NUL in it
    "TF110": 401,  # no key, or a wrong one
    "TF111": 400,  # a body that does not inflate
    "TF112": 415,  # an encoding that we do not read
    "TF113": 408,  # the body came too slowly
    "TF114": 401,  # no admin key, or a wrong one
    "TF115": 401,  # a webhook that its provider has not signed
    "TF116": 403,  # a form that another site sent
    "TF117": 400,  # a property of another type than the rulebook expects
    "TF118": 400,  # an event that breaks the tracking plan in another way
    "TF119": 400,  # it is to be put aside, and the quarantine is full
    "TF120": 429,  # busy
    "TF121": 503,  # the disk refuses
    "TF122": 503,  # the name server does not answer
    "TF123": 503,  # a part of the server is not fit for work
    "TF130": 404,  # no such thing
    "TF131": 405,  # no such method here
    "TF663": 409,  # a send whose outcome is known
    "TF664": 400,  # a body that says nothing of holds or outcomes
    "TF681": 400,  # a consent that says nothing
    "TF682": 400,  # a consent to a purpose that is not declared
    "TF683": 403,  # a write key that would confirm a consent
    "TF684": 400,  # no line for the suppression list
    "TF200": 422,  # the rulebook has problems
}
"""The HTTP status of each error code that can reach a door; a code that is not here is a fault of ours: 500."""

Problem = dict[str, Any]


def status_of(error: TriggerfishError) -> int:
    return STATUS.get(error.code, 500)


def problem_of(error: TriggerfishError) -> Problem:
    """The problem details of an error: `type`, `title`, `status`, `detail`, `code`, and what it knows besides."""
    status = status_of(error)
    problem = _problem(status, error.sentence)
    problem["code"] = error.code
    if error.hint:
        problem["hint"] = error.hint
    if isinstance(error, Refused):
        if error.field:
            problem["field"] = error.field
        if error.expected:
            problem["expected"] = error.expected
    if isinstance(error, RulebookBroken):
        problem["problems"] = [one.render() for one in error.problems]
    return problem


def headers_of(error: TriggerfishError) -> dict[str, str]:
    """The headers that an error's answer needs: when to come back, how to sign in."""
    if isinstance(error, Busy):
        return {"Retry-After": str(error.retry_after_seconds)}
    status = status_of(error)
    if status == 503:
        return {"Retry-After": "5"}
    if status == 401 and error.code != "TF115":
        scheme = "Bearer" if error.code == "TF114" else "Basic"
        return {"WWW-Authenticate": f'{scheme} realm="Triggerfish"'}
    return {}


def problem_body(error: TriggerfishError) -> bytes:
    meters.HTTP_REFUSED.add(1, error.code)
    return msgspec.json.encode(problem_of(error))


def problem_response(error: TriggerfishError) -> Response[bytes]:
    """An error as a Litestar response."""
    if status_of(error) >= 500:
        _log.error("answered %s: %s", status_of(error), error)
    return Response(problem_body(error), status_code=status_of(error), media_type=MEDIA_TYPE, headers=headers_of(error))


def _problem(status: int, detail: str) -> Problem:
    return {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}


def _own(_: Request[Any, Any, Any], error: TriggerfishError) -> Response[bytes]:
    return problem_response(error)


def _of_litestar(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Litestar's own refusals: an unknown path, a wrong method, a parameter of the wrong type."""
    status = error.status_code
    if status == 404:
        problem = _problem(status, f"there is nothing at {request.scope['path']}") | {"code": "TF130"}
    elif status == 405:
        problem = _problem(status, f"{request.scope['path']} does not take {request.scope['method']}")
        problem["code"] = "TF131"
    else:
        problem = _problem(status, error.detail if status < 500 else "the server failed") | {"code": "TF100"}
        if status >= 500:
            _log.error("answered %s", status, exc_info=error)
    meters.HTTP_REFUSED.add(1, problem["code"])
    if error.extra and status < 500:
        problem["errors"] = error.extra
    body = msgspec.json.encode(problem, enc_hook=str)
    return Response(body, status_code=status, media_type=MEDIA_TYPE, headers=error.headers or {})


def fault_body(error: Exception) -> bytes:
    """Anything else is a fault of ours: its details go into our log, not to the sender."""
    _log.error("answered 500", exc_info=error)
    meters.HTTP_REFUSED.add(1, "TF000")
    return msgspec.json.encode(_problem(500, "the server failed; its log says more") | {"code": "TF000"})


def _unknown(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    return Response(fault_body(error), status_code=500, media_type=MEDIA_TYPE)


exception_handlers: ExceptionHandlersMap = {
    TriggerfishError: _own,
    HTTPException: _of_litestar,
    Exception: _unknown,
}
