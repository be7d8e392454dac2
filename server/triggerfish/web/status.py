"""How the whole is doing, as JSON and for Prometheus."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Literal

import msgspec
from litestar import Request, Response, get
from msgspec import Struct

from triggerfish.compose import Desk
from triggerfish.health import RuleHealth
from triggerfish.reads import DeadLetterView, RuleView, StatusView
from triggerfish.rulefile.problems import Problem
from triggerfish.versions import VersionView, views
from triggerfish.web.given import TheDesk, TheExaminer
from triggerfish.web.keys import admin_only
from triggerfish.web.metrics import exposition
from triggerfish.web.questions import Limit, Number, takes


class ProblemView(Struct, frozen=True):
    """A problem of a rule file or template; `text` is how `triggerfish check` prints it, caret and all."""

    code: str
    path: str
    line: int
    column: int
    sentence: str
    hint: str
    is_warning: bool
    text: str


class RulebookView(Struct, frozen=True):
    """Which rulebook is live, and since when. "broken": the files have changed and cannot be used as they are, for the
    `problems` (or the `error`); the rulebook that is live is the one of before. "none": nothing was ever live. `rules`
    are those that are live, each with its health.
    """

    state: Literal["live", "broken", "none"]
    version: str = ""
    loaded_at: str = ""
    error: str = ""
    problems: list[ProblemView] = []
    rules: list[RuleHealth] = []


class _Noted(Struct):
    """What the supervisor notes of the rulebook, as far as it is shown here."""

    state: Literal["live", "broken"] = "live"
    version: str = ""
    loaded_at: str = ""
    error: str = ""
    problems: list[Problem] = []


def rulebook_state(path: Path) -> RulebookView:
    """What the supervisor noted at `path`."""
    try:
        noted = msgspec.json.decode(path.read_bytes(), type=_Noted)
    except FileNotFoundError:
        return RulebookView("none")
    problems = [
        ProblemView(
            each.code, each.path, each.line, each.column, each.sentence, each.hint, each.is_warning, each.render()
        )
        for each in noted.problems
    ]
    return RulebookView(noted.state, noted.version, noted.loaded_at, noted.error, problems)


@get("/v1/rulebook", guards=[admin_only, takes()], sync_to_thread=True)
def rulebook(desk: TheDesk) -> RulebookView:
    """The state of the rulebook, with the problems of a change that could not go live, and how each rule is doing."""
    return msgspec.structs.replace(rulebook_state(desk.settings.rulebook_path), rules=desk.reads.health())


@get("/v1/rulebook/versions", guards=[admin_only, takes()], sync_to_thread=True)
def rulebook_versions(desk: TheDesk) -> list[VersionView]:
    """The versions of the rulebook that are kept, the one that was live last first."""
    return kept_versions(desk)


def kept_versions(desk: Desk) -> list[VersionView]:
    return views(desk.versions.all(), rulebook_state(desk.settings.rulebook_path).version)


@get("/v1/status", guards=[admin_only, takes()], sync_to_thread=True)
def status(desk: TheDesk) -> StatusView:
    """Events, lag, people, sends by status."""
    return desk.reads.status()


@get("/v1/results", guards=[admin_only, takes()], sync_to_thread=True)
def results(desk: TheDesk) -> list[RuleView]:
    """What each rule's messages came to."""
    return desk.reads.results()


@get("/v1/dead-letters", guards=[admin_only, takes("limit", "before")], sync_to_thread=True)
def dead_letters(desk: TheDesk, limit: Limit = 100, before: Number = None) -> list[DeadLetterView]:
    """Events that could not be decided and were put aside, newest first. `before` is the `position` of the last one."""
    return desk.reads.dead_letters(limit, before)


@get("/metrics", guards=[admin_only, takes()], include_in_schema=False)
async def metrics(request: Request[Any, Any, Any], desk: TheDesk, examiner: TheExaminer) -> Response[bytes]:
    """The same figures, and all that the processes count, in Prometheus' text format or in OpenMetrics."""
    told = await examiner.look()
    rules = rulebook_state(desk.settings.rulebook_path)
    body, media_type = await asyncio.to_thread(
        exposition,
        desk,
        accept=request.headers.get("accept", ""),
        is_live=(rules.version, rules.state == "live"),
        ready={name: part.status != "failed" for name, part in told.parts.items()},
    )
    return Response(body, media_type=media_type)


routes = [rulebook, rulebook_versions, status, results, dead_letters, metrics]
