"""What an operator decides about messages: hold a rule, release it, settle a send whose outcome nobody knows."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import msgspec
from litestar import Request, delete, get, post
from litestar.params import FromPath
from msgspec import Struct

from triggerfish import walk
from triggerfish.compose import Desk
from triggerfish.errors import NotFound, Refused
from triggerfish.health import HoldView
from triggerfish.instructions import Hold, Release, Resolve
from triggerfish.reads import Reads
from triggerfish.web.bodies import NO_JSON
from triggerfish.web.given import TheDesk
from triggerfish.web.keys import admin_only
from triggerfish.web.questions import takes

BY = "admin key"
T = TypeVar("T", bound=Struct)


class HoldForm(Struct, frozen=True, forbid_unknown_fields=True):
    """Hold a rule, or without `rule` a rule set."""

    ruleset: str
    rule: str = ""
    reason: str = ""


class Outcome(Struct, frozen=True, forbid_unknown_fields=True):
    """What became of a send, as somebody says who looked; "again": send it again."""

    outcome: Literal["sent", "failed", "again"]


@get("/v1/holds", guards=[admin_only, takes()], sync_to_thread=True)
def holds(desk: TheDesk) -> list[HoldView]:
    """The rules and rule sets whose messages are held, with how many wait."""
    return desk.reads.holds()


@post("/v1/holds", guards=[admin_only, takes()], status_code=200)
async def hold(request: Request[Any, Any, Any], desk: TheDesk) -> HoldForm:
    """Hold the messages of a rule or a rule set until it is released."""
    form = decode(await request.body(), HoldForm, '{"ruleset": "carts", "rule": "reminder", "reason": "wrong price"}')
    check_rule(desk.reads, form.ruleset, form.rule)
    await walk.instruct(desk.front, [Hold(form.ruleset, form.rule, form.reason[:300])], by=BY)
    return form


@delete("/v1/holds/{ruleset:str}", guards=[admin_only, takes()], status_code=200)
async def release_ruleset(ruleset: FromPath[str], desk: TheDesk) -> HoldForm:
    """Let the messages of a rule set leave again."""
    return await _release(desk, ruleset, "")


@delete("/v1/holds/{ruleset:str}/{rule:str}", guards=[admin_only, takes()], status_code=200)
async def release_rule(ruleset: FromPath[str], rule: FromPath[str], desk: TheDesk) -> HoldForm:
    """Let the messages of a rule leave again."""
    return await _release(desk, ruleset, rule)


async def _release(desk: Desk, ruleset: str, rule: str) -> HoldForm:
    check_held(desk.reads, ruleset, rule)
    await walk.instruct(desk.front, [Release(ruleset, rule)], by=BY)
    return HoldForm(ruleset, rule)


@post("/v1/sends/{send_id:str}/resolve", guards=[admin_only, takes()], status_code=200)
async def resolve(request: Request[Any, Any, Any], send_id: FromPath[str], desk: TheDesk) -> Outcome:
    """Settle a send that is `uncertain`."""
    said = decode(await request.body(), Outcome, '{"outcome": "sent"}, "failed" or "again"')
    check_uncertain(desk.reads, send_id)
    await walk.instruct(desk.front, [Resolve(send_id, said.outcome)], by=BY)
    return said


def check_uncertain(reads: Reads, send_id: str) -> None:
    """Raises Refused (TF663) when the outcome of a send is known, NotFound when there is none."""
    status = reads.send(send_id).status
    if status != "uncertain":
        raise Refused(f"the send is {status}, not uncertain: there is nothing to settle", code="TF663")


def check_rule(reads: Reads, ruleset: str, rule: str) -> None:
    """Raises NotFound when the live rulebook has no such rule, or rule set."""
    known = {each.name: {inner.name for inner in each.rules} for each in reads.rulebook().rulesets}
    if ruleset not in known or (rule and rule not in known[ruleset]):
        raise NotFound(f'there is no rule "{rule}" in a rule set "{ruleset}"' if rule else f'no rule set "{ruleset}"')


def check_held(reads: Reads, ruleset: str, rule: str) -> None:
    """Raises NotFound when this rule, or this rule set as a whole, is not held."""
    if not any((each.ruleset, each.rule) == (ruleset, rule) for each in reads.holds()):
        raise NotFound(f'"{full_name(ruleset, rule)}" is not held', hint="see: triggerfish holds")


def full_name(ruleset: str, rule: str) -> str:
    return f"{ruleset} / {rule}" if rule else ruleset


def decode(body: bytes, form: type[T], expected: str) -> T:
    """Raises Refused (TF664)."""
    try:
        return msgspec.json.decode(body, type=form)
    except NO_JSON as error:
        raise Refused(f"the body cannot be used: {error}", code="TF664", expected=expected) from None


routes = [holds, hold, release_ruleset, release_rule, resolve]
