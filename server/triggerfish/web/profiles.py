"""People, segments and sends as JSON. `identity` is a profile id, userId, anonymousId or email, or one with its kind
before it (`email:ana@example.com`).
"""

from __future__ import annotations

from litestar import get
from litestar.params import FromPath, FromQuery

from triggerfish.clock import within
from triggerfish.compose import Desk
from triggerfish.errors import NotFound
from triggerfish.reads import MemberView, ProfileView, SegmentView, SendDetails, SendView, TimelineLine
from triggerfish.schedule import Status
from triggerfish.web.given import TheDesk
from triggerfish.web.keys import admin_only
from triggerfish.web.questions import Limit, Number, Text, takes
from triggerfish.why import WhyView
from triggerfish.whynot import tell_why_not

WHY_SECONDS = 5.0


@get("/v1/profiles/{identity:str}", guards=[admin_only, takes()], sync_to_thread=True)
def profile(identity: FromPath[str], desk: TheDesk) -> ProfileView:
    """Who a person is: names, traits, segments."""
    return desk.reads.profile(identity)


@get("/v1/profiles/{identity:str}/timeline", guards=[admin_only, takes("limit", "before")], sync_to_thread=True)
def timeline(identity: FromPath[str], desk: TheDesk, limit: Limit = 100, before: Number = None) -> list[TimelineLine]:
    """What happened to a person and what was decided, newest first. `before` is the `id` of the last line read."""
    return desk.reads.timeline(identity, limit, before)


@get("/v1/profiles/{identity:str}/why", guards=[admin_only, takes("template", "rule")], sync_to_thread=True)
def why(identity: FromPath[str], desk: TheDesk, template: Text = None, rule: Text = None) -> WhyView:
    """Why a person did or did not get messages: every decision with the values that its condition saw and, decided
    again, every time that nothing came of a rule's event, with the nearest miss.
    """
    return ask_why(desk, identity, template=template or "", rule=rule or "")


def ask_why(
    desk: Desk, identity: str, *, template: str = "", rule: str = "", seconds: float = WHY_SECONDS
) -> WhyView:  # fmt: skip
    """What the API and the person's page tell. Deciding a past again takes this process at most so long."""
    with desk.archive.turn():
        return tell_why_not(
            desk.reads,
            desk.front.log,
            desk.archive.rulebook,
            identity,
            now=desk.front.clock.now(),
            template=template,
            rule=rule,
            is_late=within(seconds),
        )


@get("/v1/segments", guards=[admin_only, takes()], sync_to_thread=True)
def segments(desk: TheDesk) -> list[SegmentView]:
    """The tree of segments with their numbers of members."""
    return desk.reads.segments()


@get("/v1/segments/{name:str}", guards=[admin_only, takes()], sync_to_thread=True)
def segment(name: FromPath[str], desk: TheDesk) -> SegmentView:
    """One segment, with those within it."""
    found = find_segment(desk.reads.segments(), name)
    if found is None:
        raise NotFound(f'there is no segment "{name}"')
    return found


@get("/v1/segments/{name:str}/members", guards=[admin_only, takes("limit", "after")], sync_to_thread=True)
def members(name: FromPath[str], desk: TheDesk, limit: Limit = 100, after: Text = None) -> list[MemberView]:
    """Who is in a segment, by profile id. `after` is the last one read."""
    return desk.reads.members(name, limit, after)


@get(
    "/v1/sends",
    guards=[admin_only, takes("profile", "status", "template", "rule", "limit", "before")],
    sync_to_thread=True,
)
def sends(
    desk: TheDesk,
    profile: Text = None,
    status: FromQuery[Status | None] = None,
    template: Text = None,
    rule: Text = None,
    limit: Limit = 100,
    before: Text = None,
) -> list[SendView]:
    """Messages, the newest decision first. `before` is the `id` of the last one read; `rule` is a rule's name, or
    `rule set / rule`.
    """
    return desk.reads.sends(profile=profile, status=status, template=template, rule=rule, limit=limit, before=before)


@get("/v1/sends/{send_id:str}", guards=[admin_only, takes()], sync_to_thread=True)
def send(send_id: FromPath[str], desk: TheDesk) -> SendDetails:
    """One message: the event that it answers, and every change of its status."""
    return desk.reads.send(send_id)


def find_segment(tree: list[SegmentView], name: str) -> SegmentView | None:
    """The segment of this name anywhere in the tree."""
    for each in tree:
        found = each if each.name == name else find_segment(each.children, name)
        if found is not None:
            return found
    return None


routes = [profile, timeline, why, segments, segment, members, sends, send]
