"""What people decide on the pages: release a held rule, settle a send whose outcome nobody knows. Each is a form of one
button, and as the log has it when the page comes back; the worker carries it out a moment later.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec
from litestar import Request, Response, post
from litestar.params import FromPath

from triggerfish import walk
from triggerfish.instructions import Release, Resolve
from triggerfish.web.given import TheDesk
from triggerfish.web.holds import Outcome, check_held, check_uncertain, decode
from triggerfish.web.pages.access import check_origin

BY = "page"


@post("/sends/{send_id:str}/resolve", status_code=303, include_in_schema=False)
async def resolve(request: Request[Any, Any, Any], send_id: FromPath[str], desk: TheDesk) -> Response[None]:
    check_origin(request, desk.public_url)
    form = await request.form()
    said = decode(msgspec.json.encode({"outcome": str(form.get("outcome", ""))}), Outcome, "sent, failed or again")
    check_uncertain(desk.reads, send_id)
    await walk.instruct(desk.front, [Resolve(send_id, said.outcome)], by=BY)
    return Response(None, status_code=303, headers={"Location": f"/sends/{quote(send_id, safe='')}"})


@post("/rulebook/release", status_code=303, include_in_schema=False)
async def release(request: Request[Any, Any, Any], desk: TheDesk) -> Response[None]:
    check_origin(request, desk.public_url)
    form = await request.form()
    ruleset, rule = str(form.get("ruleset", "")), str(form.get("rule", ""))
    check_held(desk.reads, ruleset, rule)
    await walk.instruct(desk.front, [Release(ruleset, rule)], by=BY)
    return Response(None, status_code=303, headers={"Location": "/rulebook#held"})


routes = [resolve, release]
