"""People: find one; then who they are, what happened, and why."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from litestar import Request, Response, get
from litestar.params import FromPath

from triggerfish.errors import NotFound
from triggerfish.reads import EventLine, ProfileView, Reads, TimelineLine
from triggerfish.web.given import TheDesk
from triggerfish.web.pages.paper import HEADERS, page, with_query
from triggerfish.web.pages.words import by_day, name_of, templates_in
from triggerfish.web.profiles import ask_why
from triggerfish.web.questions import Number, Text, takes
from triggerfish.why import RuleStory

LINES = 80
STORIES_OPEN = 1
WHY_SECONDS = 2.0
"""A page is not to be waited for; the API and the command line take longer."""
_LATELY = 12
_LATELY_LINES = 200


def names_of(reads: Reads, profiles: Collection[str]) -> dict[str, str]:
    """What to call these people; a profile that is gone by its id."""
    names = {}
    for profile in profiles:
        try:
            names[profile] = name_of(reads.profile(f"profile:{profile}"))
        except NotFound:
            names[profile] = profile
    return names


def templates_of(reads: Reads, lines: Sequence[TimelineLine]) -> dict[str, str]:
    """The templates' names of the sends that these lines tell of."""
    found = {}
    for line in lines:
        if isinstance(line, EventLine) and line.send and line.send not in found:
            try:
                found[line.send] = reads.send(line.send).template
            except NotFound:
                found[line.send] = ""
    return found


@get("/people", guards=[takes("q")], sync_to_thread=True, include_in_schema=False)
def people(request: Request[Any, Any, Any], desk: TheDesk, q: Text = None) -> Response[Any]:
    """Who was here lately, and a box to find anybody; one who is found is shown at once."""
    wanted = (q or "").strip()
    if wanted:
        try:
            found = desk.reads.profile(wanted)
        except NotFound:
            found = None
        if found is not None:
            return Response(None, status_code=303, headers=HEADERS | {"Location": f"/people/{found.id}"})
    lately: dict[str, ProfileView] = {}
    for line in desk.reads.recent(_LATELY_LINES):
        if len(lately) < _LATELY and line.profile not in lately:
            try:
                lately[line.profile] = desk.reads.profile(f"profile:{line.profile}")
            except NotFound:
                continue  # it has become part of another profile, or was erased
    several = list({each.id: each for each in lately.values()}.values())
    names = {each.id: name_of(each) for each in several}
    status = 404 if wanted else 200
    return page(request, desk, "people.html", status=status, q=wanted, lately=several, names=names)


@get("/people/{identity:str}", guards=[takes("before")], sync_to_thread=True, include_in_schema=False)
def person(
    request: Request[Any, Any, Any], identity: FromPath[str], desk: TheDesk, before: Number = None
) -> Response[str]:
    why = ask_why(desk, identity, seconds=WHY_SECONDS)
    lines = desk.reads.timeline(why.profile.id, LINES, before)
    return page(
        request,
        desk,
        "person.html",
        person=why.profile,
        name=name_of(why.profile),
        why=why,
        stories=[story for story in why.rules if _is_about_messages(story)],
        opened=STORIES_OPEN,
        # In a demo a message is sent when the clock has long moved on, so lines are not noted in order of time.
        days=by_day(sorted(lines, key=lambda line: (line.at, line.id), reverse=True), templates_in(why)),
        next=with_query(f"/people/{why.profile.id}", before=lines[-1].id) if len(lines) == LINES else "",
        is_later=before is not None,
    )


def _is_about_messages(story: RuleStory) -> bool:
    """Rules that only set traits or emit events are in the timeline."""
    return bool(story.sends)


routes = [people, person]
