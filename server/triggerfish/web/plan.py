"""The tracking plan over HTTP: what breaks it, what is put aside for it, and how that comes back."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Request, get, post
from msgspec import Meta, Struct

from triggerfish.clock import to_iso
from triggerfish.errors import Refused
from triggerfish.quarantine import Counted, Fix, Quarantined, Released, is_storable, judge_by
from triggerfish.web.bodies import NO_JSON
from triggerfish.web.given import TheDesk
from triggerfish.web.keys import admin_only
from triggerfish.web.questions import Limit, Number, Text, takes

T = TypeVar("T", bound=Struct)


class WhyAside(Struct, frozen=True):
    """One way in which an event breaks the plan; `field` is empty for the event as a whole."""

    field: str
    what: str
    sentence: str
    expected: str = ""


class QuarantinedView(Struct, frozen=True):
    """An event that waits in the quarantine. `why` is what kept it from passing when it was last looked at."""

    id: int
    at: str
    why: list[WhyAside]
    event: dict[str, Any]


class ExampleView(Struct, frozen=True):
    """`value` is what may be shown of it: nothing of what is personal. The newest comes first."""

    value: str
    message_id: str
    at: str


class ViolationView(Struct, frozen=True):
    """How often events broke the plan in one way, and what became of them: refused, put aside or taken with a note."""

    event: str
    field: str
    what: str
    refused: int
    quarantined: int
    warned: int
    first_at: str
    last_at: str
    examples: list[ExampleView]


class Replay(Struct, frozen=True, forbid_unknown_fields=True):
    """What to replay: the events of one name, or all; and what to mend before."""

    event: Annotated[str, Meta(max_length=512)] | None = None
    fix: Fix = Fix()


class Discard(Struct, frozen=True, forbid_unknown_fields=True):
    """What to delete for good: the events of one name, or all."""

    event: Annotated[str, Meta(max_length=512)] | None = None


def view_of(held: Quarantined) -> QuarantinedView:
    """A quarantined event as it is shown."""
    why = [WhyAside(each.field, each.what, each.sentence, each.expected) for each in held.violations]
    return QuarantinedView(held.id, to_iso(held.at), why, msgspec.to_builtins(held.event))


def count_view(one: Counted) -> ViolationView:
    """A count as it is shown."""
    examples = [ExampleView(each.value, each.message_id, to_iso(each.at)) for each in reversed(one.examples)]
    return ViolationView(
        one.event, one.field, one.what, one.refused, one.quarantined, one.warned, to_iso(one.first_at),
        to_iso(one.last_at), examples,
    )  # fmt: skip


@get("/v1/quarantine", guards=[admin_only, takes("limit", "before", "event")], sync_to_thread=True)
def quarantine(desk: TheDesk, limit: Limit = 100, before: Number = None, event: Text = None) -> list[QuarantinedView]:
    """Events that the tracking plan put aside, newest first. `before` is the `id` of the last one."""
    return [view_of(held) for held in desk.quarantine.listed(limit, before=before, event=event)]


@get("/v1/violations", guards=[admin_only, takes()], sync_to_thread=True)
def violations(desk: TheDesk) -> list[ViolationView]:
    """In which ways events broke the tracking plan, the most frequent first."""
    return [count_view(one) for one in desk.quarantine.violations()]


@post("/v1/quarantine/replay", guards=[admin_only, takes()], status_code=200)
async def replay(request: Request[Any, Any, Any], desk: TheDesk) -> Released:
    """Look at quarantined events again, mended, by the present plan; those that pass go into the log as they would have
    then, with their own message ids and times.
    """
    asked = await _read(request, Replay)
    if not is_storable(asked.fix):
        raise Refused("a number of the fix is too large", code="TF102", field="fix.set", expected="at most 64 bits")
    judge = judge_by(desk.front.checks(), asked.fix)
    clock = desk.front.clock

    def release() -> Released:
        return desk.quarantine.release(
            judge, lambda event: clock.receipt_of(event.timestamp, clock.wall()), event=asked.event
        )

    released = await asyncio.to_thread(release)
    if released.released:
        desk.front.ring()
    return released


@post("/v1/quarantine/discard", guards=[admin_only, takes()], status_code=200)
async def discard(request: Request[Any, Any, Any], desk: TheDesk) -> dict[str, int]:
    """Delete quarantined events for good."""
    asked = await _read(request, Discard)
    return {"discarded": await asyncio.to_thread(desk.quarantine.discard, event=asked.event)}


async def _read(request: Request[Any, Any, Any], form: type[T]) -> T:
    body = await request.body()
    try:
        return msgspec.json.decode(body or b"{}", type=form)
    except NO_JSON as error:
        raise Refused(f"the body cannot be used: {error}", code="TF101", expected="a JSON object") from error


routes = [quarantine, violations, replay, discard]
