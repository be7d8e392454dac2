"""The rulebook's page: its state, what is wrong with a change that could not go live, how each rule is doing, and the
versions that are kept.
"""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get

from triggerfish.web.given import TheDesk
from triggerfish.web.pages.paper import page
from triggerfish.web.questions import takes
from triggerfish.web.status import kept_versions, rulebook_state

PATHS_SHOWN = 12


@get("/rulebook", guards=[takes()], sync_to_thread=True, include_in_schema=False)
def rulebook(request: Request[Any, Any, Any], desk: TheDesk) -> Response[str]:
    rules = rulebook_state(desk.settings.rulebook_path)
    return page(
        request,
        desk,
        "rulebook.html",
        rules=rules,
        versions=kept_versions(desk),
        shown=PATHS_SHOWN,
        health=desk.reads.health(),
        holds=desk.reads.holds(),
    )


routes = [rulebook]
