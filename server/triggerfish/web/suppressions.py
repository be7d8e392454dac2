"""The suppression list over HTTP: who gets nothing, or no marketing, whoever the address belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Request, delete, get, post
from litestar.params import FromPath

from triggerfish import walk
from triggerfish.errors import Refused
from triggerfish.instructions import Allow, Suppress
from triggerfish.reads import SuppressionView
from triggerfish.suppressing import MOST_LINES, Line, lines_of_csv, suppress_of
from triggerfish.web.bodies import NO_JSON
from triggerfish.web.given import TheDesk
from triggerfish.web.keys import admin_only
from triggerfish.web.questions import Limit, Text, takes

BY = "admin key"


@get("/v1/suppressions", guards=[admin_only, takes("limit", "after", "address")], sync_to_thread=True)
def suppressions(desk: TheDesk, limit: Limit = 100, after: Text = None, address: Text = None) -> list[SuppressionView]:
    """The list by address; `after` is the last line's `address`, with a blank and its `purpose` if it has one.
    `address` asks for one, with its domain.
    """
    return desk.reads.suppressions(limit, after, address)


@post("/v1/suppressions", guards=[admin_only, takes()], status_code=200)
async def suppress(request: Request[Any, Any, Any], desk: TheDesk) -> dict[str, int]:
    """Put addresses or domains on the list: one, an array, or CSV; all of them or none."""
    body = await request.body()
    lines: Sequence[Line]
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == "text/csv":
        lines = lines_of_csv(body.decode("utf-8-sig", errors="replace"))
    else:
        lines = _lines_of_json(body)
    if len(lines) > MOST_LINES:
        raise Refused(f"these are {len(lines)} lines", code="TF684", expected=f"at most {MOST_LINES} in one request")
    wanted: list[Suppress] = [suppress_of(line, place) for place, line in enumerate(lines)]
    await walk.instruct(desk.front, wanted, by=BY)
    return {"suppressions": len(wanted)}


@delete("/v1/suppressions/{address:path}", guards=[admin_only, takes("purpose")], status_code=200)
async def allow(address: FromPath[str], desk: TheDesk, purpose: Text = None) -> dict[str, int]:
    """Take an address or a domain off the list again, for one purpose or wholly."""
    # An address may have a slash in it, so it is all that comes after the first.
    line = suppress_of(Line(address=address.removeprefix("/"), purpose=purpose or ""), 0)
    await walk.instruct(desk.front, [Allow(line.address, line.purpose)], by=BY)
    return {"suppressions": 1}


routes = [suppressions, suppress, allow]


def _lines_of_json(body: bytes) -> Sequence[Line]:
    try:
        given = msgspec.json.decode(body, type=Line | list[Line])
    except NO_JSON as error:
        raise Refused(
            f"the body cannot be used: {error}", code="TF684",
            expected='{"address": "ana@example.com", "reason": "manual"}, or an array of such',
        ) from None  # fmt: skip
    return given if isinstance(given, list) else [given]
