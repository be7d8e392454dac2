"""The first page: how the whole is doing. Its figures are worked out at most once in two seconds, however many look."""

from __future__ import annotations

import time
from collections.abc import Mapping
from threading import Lock
from typing import Annotated, Any, Literal

from litestar import Request, Response, get
from litestar.params import QueryParameter

from triggerfish.compose import Desk
from triggerfish.rates import events_by_minute
from triggerfish.web.given import TheDesk
from triggerfish.web.pages import words
from triggerfish.web.pages.paper import page
from triggerfish.web.pages.people import names_of, templates_of
from triggerfish.web.plan import count_view
from triggerfish.web.questions import takes
from triggerfish.web.status import rulebook_state

REFRESH_SECONDS = 5
KEEP_SECONDS = 2.0
KEEP_TIMES = 10
"""Where there are so many sends that the figures take long, they are kept that many times as long."""
NEWEST = 14
VIOLATIONS = 5


class Overview:
    """The figures of the first page, kept for a moment: they need a look at every send."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._until = 0.0
        self._facts: Mapping[str, Any] = {}

    def of(self, desk: Desk) -> Mapping[str, Any]:
        with self._lock:
            began = time.monotonic()
            if began >= self._until:
                self._facts = _figures(desk)
                now = time.monotonic()
                self._until = now + max(KEEP_SECONDS, KEEP_TIMES * (now - began))
            return self._facts


def _figures(desk: Desk) -> Mapping[str, Any]:
    reads = desk.reads
    recent = reads.recent(NEWEST)
    templates = templates_of(reads, recent)
    figures = reads.status()
    minutes = events_by_minute(desk.front.log, desk.front.clock.now())
    return {
        "figures": figures,
        "results": reads.results(),
        "recent": [words.tell(line, templates) for line in recent],
        "names": names_of(reads, {line.profile for line in recent}),
        "stopped": [each for each in reads.health() if each.has_stopped],
        "violations": [count_view(one) for one in desk.quarantine.violations()[:VIOLATIONS]],
        "quarantined": desk.quarantine.size(),
        "letters": reads.dead_letters(5) if figures.dead_letters else [],
        "minutes": minutes,
        "peak": max(*minutes, 1),
    }


@get("/", guards=[takes("refresh")], sync_to_thread=True, include_in_schema=False)
def overview(
    request: Request[Any, Any, Any],
    desk: TheDesk,
    refresh: Annotated[Literal["on", "off"], QueryParameter()] = "on",
) -> Response[str]:
    state = request.app.state
    kept: Overview = state.setdefault("overview", Overview())
    seconds = REFRESH_SECONDS if refresh == "on" else 0
    rules = rulebook_state(desk.settings.rulebook_path)
    return page(request, desk, "status.html", refresh_seconds=seconds, rules=rules, **kept.of(desk))


routes = [overview]
