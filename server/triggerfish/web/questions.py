"""Query parameters, strictly: one that a path does not know is refused, not ignored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter

from triggerfish.errors import Refused

MOST_ROWS = 500

Limit: TypeAlias = Annotated[int, QueryParameter(ge=1, le=MOST_ROWS, description="How many rows at most.")]
Text: TypeAlias = Annotated[str | None, QueryParameter(max_length=256)]
Number: TypeAlias = Annotated[int | None, QueryParameter(ge=1, le=2**63 - 1)]

Guard = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], None]


def takes(*names: str) -> Guard:
    """A guard that refuses (TF100) query parameters other than `names`, and one that is given twice."""

    def check(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        given = [name for name, _value in connection.query_params.multi_items()]
        for name in given:
            if name not in names:
                known = ", ".join(names) or "no query parameter"
                raise Refused(f'there is no query parameter "{name[:80]}" here', field=name[:80], expected=known)
            if given.count(name) > 1:
                raise Refused(f'the query parameter "{name}" is there twice', field=name, expected="it once")

    return check
