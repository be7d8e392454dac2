"""Sends: every message that a rule decided about, and what became of it."""

from __future__ import annotations

import json
from typing import Any, get_args

from litestar import Request, Response, get
from litestar.params import FromPath

from triggerfish.errors import Refused
from triggerfish.schedule import Status
from triggerfish.web.given import TheDesk
from triggerfish.web.pages.paper import page, with_query
from triggerfish.web.pages.people import names_of
from triggerfish.web.pages.words import LONGEST_DETAIL, by_day
from triggerfish.web.questions import Text, takes

ROWS = 50
STATUSES: tuple[Status, ...] = get_args(Status)


@get(
    "/sends",
    guards=[takes("status", "template", "rule", "profile", "before")],
    sync_to_thread=True,
    include_in_schema=False,
)
def sends(
    request: Request[Any, Any, Any],
    desk: TheDesk,
    status: Text = None,
    template: Text = None,
    rule: Text = None,
    profile: Text = None,
    before: Text = None,
) -> Response[str]:
    """An empty field of the form is one that nothing was chosen in."""
    wanted = next((each for each in STATUSES if each == status), None)
    if status and wanted is None:
        raise Refused(f'there is no status "{status}"', field="status", expected=", ".join(STATUSES))
    chosen = {"status": status, "template": template, "rule": rule, "profile": (profile or "").strip()}
    found = desk.reads.sends(
        profile=chosen["profile"] or None,
        status=wanted,
        template=template or None,
        rule=rule or None,
        limit=ROWS,
        before=before,
    )
    rules = [(ruleset.name, each) for ruleset in desk.reads.rulebook().rulesets for each in ruleset.rules]
    templates = {str(action["send"]) for _, each in rules for action in each.then if "send" in action}
    senders = [f"{ruleset} / {each.name}" for ruleset, each in rules if any("send" in action for action in each.then)]
    choices = [
        ("status", "Status", STATUSES),
        ("template", "Template", _with(sorted(templates), template)),
        ("rule", "Rule", _with(senders, rule)),
    ]
    return page(
        request,
        desk,
        "sends.html",
        sends=found,
        names=names_of(desk.reads, {each.profile for each in found}),
        chosen=chosen,
        choices=choices,
        next=with_query("/sends", **chosen, before=found[-1].id) if len(found) == ROWS else "",
    )


def _with(options: list[str], chosen: str | None) -> list[str]:
    """The options, and what is chosen even when the rulebook does not know it any more."""
    return options if not chosen or chosen in options else [*options, chosen]


@get("/sends/{send_id:str}", guards=[takes()], sync_to_thread=True, include_in_schema=False)
def send(request: Request[Any, Any, Any], send_id: FromPath[str], desk: TheDesk) -> Response[str]:
    found = desk.reads.send(send_id)
    return page(
        request,
        desk,
        "send.html",
        send=found,
        name=names_of(desk.reads, {found.profile})[found.profile],
        days=by_day(found.history, {found.id: found.template}),
        properties=json.dumps(found.properties, indent=2, ensure_ascii=False)[:LONGEST_DETAIL],
    )


routes = [sends, send]
