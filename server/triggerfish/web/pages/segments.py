"""Segments: the tree with its numbers, and who is in each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Request, Response, get
from litestar.params import FromPath

from triggerfish.errors import NotFound
from triggerfish.reads import SegmentOutline, SegmentView
from triggerfish.web.given import TheDesk
from triggerfish.web.pages.paper import page, with_query
from triggerfish.web.pages.people import names_of
from triggerfish.web.profiles import find_segment
from triggerfish.web.questions import Text, takes

MEMBERS = 50


def outlines(tree: Sequence[SegmentOutline]) -> dict[str, SegmentOutline]:
    """Every segment of the tree by its name."""
    found = {}
    for each in tree:
        found[each.name] = each
        found |= outlines(each.children)
    return found


def parent_of(name: str, tree: Sequence[SegmentView]) -> str:
    """The name of the segment that this one is directly within, or an empty text."""
    for each in tree:
        if any(child.name == name for child in each.children):
            return each.name
        if found := parent_of(name, each.children):
            return found
    return ""


@get("/segments", guards=[takes()], sync_to_thread=True, include_in_schema=False)
def segments(request: Request[Any, Any, Any], desk: TheDesk) -> Response[str]:
    reads = desk.reads
    known = outlines(reads.rulebook().segments)
    people = reads.status().profiles
    return page(request, desk, "segments.html", tree=reads.segments(), outlines=known, people=people)


@get("/segments/{name:str}", guards=[takes("after")], sync_to_thread=True, include_in_schema=False)
def segment(request: Request[Any, Any, Any], name: FromPath[str], desk: TheDesk, after: Text = None) -> Response[str]:
    reads = desk.reads
    tree = reads.segments()
    found = find_segment(tree, name)
    if found is None:
        raise NotFound(f'there is no segment "{name}"')
    members = reads.members(name, MEMBERS, after)
    return page(
        request,
        desk,
        "segment.html",
        segment=found,
        known=outlines(reads.rulebook().segments).get(name),
        parent=parent_of(name, tree),
        people=reads.status().profiles,
        members=members,
        names=names_of(reads, {each.profile for each in members}),
        next=with_query(request.url.path, after=members[-1].profile) if len(members) == MEMBERS else "",
        is_later=after is not None,
    )


routes = [segments, segment]
