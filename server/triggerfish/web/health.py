"""Whether the server is alive, and fit for work: for load balancers, supervisors and people. No key is needed."""

from __future__ import annotations

from typing import Any

from litestar import Response, get
from litestar.params import FromPath

from triggerfish.errors import NotFound, Unavailable
from triggerfish.web.given import TheExaminer
from triggerfish.web.problems import MEDIA_TYPE, headers_of, problem_of
from triggerfish.web.ready import Part, Readiness

_FRESH = {"Cache-Control": "no-store"}


@get("/healthz")
async def is_alive() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@get("/readyz")
async def is_ready(examiner: TheExaminer) -> Response[Any]:
    """All parts are fit for work: 200, else 503; the body says how each is."""
    return _answer(await examiner.look())


@get("/readyz/{part:str}")
async def is_part_ready(examiner: TheExaminer, part: FromPath[str]) -> Response[Any]:
    """The same of one part alone. `log` is what a load balancer wants that only brings events."""
    told = await examiner.look()
    if part not in told.parts:
        raise NotFound(f"readiness has no part of this name; there are {', '.join(told.parts)}")
    only = told.parts[part]
    return _answer(Readiness("not ready" if only.status == "failed" else "ready", {part: only}))


def _answer(told: Readiness) -> Response[Any]:
    if told.status == "ready":
        return Response(told, headers=_FRESH)
    # The log's trouble has the code that whoever sends events gets.
    is_log = told.parts.get("log", Part("ok", "")).status == "failed"
    error = Unavailable(told.sentence(), code="TF121" if is_log else "TF123")
    problem = problem_of(error) | {"parts": told.parts}
    return Response(problem, status_code=503, media_type=MEDIA_TYPE, headers=_FRESH | headers_of(error))


routes = [is_alive, is_ready, is_part_ready]
