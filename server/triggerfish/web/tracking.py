"""The addresses in messages: open pixel, links, unsubscribing (RFC 8058). What is heard goes in at the front door.

Anybody may call these; what a call may do is in its signed token and nowhere else. A redirect goes to the address that
was signed, so there is no open redirect. Looking at a page never unsubscribes: mail scanners follow every link.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Literal
from urllib.parse import quote

from litestar import HttpMethod, Response, post, route
from litestar.params import FromPath

from triggerfish import walk
from triggerfish.clock import DAY
from triggerfish.errors import TriggerfishError
from triggerfish.measure import Hit, is_web_address
from triggerfish.web.given import Front
from triggerfish.web.leaf import PRIVATE, button, leaf, lost, say, sorry
from triggerfish.web.leaf_words import WORDS
from triggerfish.web.visits import AnyRequest, TheVisits, Visits

LARGEST_FORM = 64 * 1024
"""Bytes of a form on one of these pages."""

log = logging.getLogger("triggerfish.web")

_PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
# RFC 3986's reserved and unreserved characters, and the percent sign of what is escaped already.
_URL_CHARACTERS = "%:/?#[]@!$&'()*+,;=-._~"
_GET = [HttpMethod.GET, HttpMethod.HEAD]
CONFIRM_WITHIN = 30 * DAY


@route("/t/o/{name:str}", http_method=_GET, include_in_schema=False)
async def opened(request: AnyRequest, name: FromPath[str], front: Front, visits: TheVisits) -> Response[bytes]:
    """The pixel. It is a picture even for a token that is not ours, so that no mail shows a broken one."""
    hit = visits.read(name.removesuffix(".gif"), "opened")
    if hit is not None:
        await _note(front, visits, "opened", hit, request)
    return Response(_PIXEL, status_code=200 if hit else 404, media_type="image/gif", headers=PRIVATE)


@route("/t/c/{token:str}", http_method=_GET, include_in_schema=False)
async def clicked(request: AnyRequest, token: FromPath[str], front: Front, visits: TheVisits) -> Response[Any]:
    hit = visits.read(token, "clicked")
    if hit is None or not is_web_address(hit.url):
        return lost(visits.speaks(request, None))
    await _note(front, visits, "clicked", hit, request)
    location = quote(hit.url, safe=_URL_CHARACTERS)
    return Response(None, status_code=302, headers=PRIVATE | {"Location": location})


@route("/t/u/{token:str}", http_method=_GET, include_in_schema=False)
async def ask_to_unsubscribe(request: AnyRequest, token: FromPath[str], visits: TheVisits) -> Response[str]:
    return await _ask(request, visits, visits.read(token, "unsubscribed"), "unsubscribe")


@post("/t/u/{token:str}", status_code=200, include_in_schema=False, request_max_body_size=LARGEST_FORM)
async def unsubscribed(
    request: AnyRequest, token: FromPath[str], front: Front, visits: TheVisits
) -> Response[str]:  # fmt: skip
    """The page's button and RFC 8058's one click alike; the body says nothing that the token does not say."""
    return await _do(request, front, visits, visits.read(token, "unsubscribed"), "unsubscribe")


@route("/t/s/{token:str}", http_method=_GET, include_in_schema=False)
async def ask_to_confirm(request: AnyRequest, token: FromPath[str], front: Front, visits: TheVisits) -> Response[str]:
    hit = visits.read(token, "confirmed")
    return await _too_old(request, front, visits, hit) or await _ask(request, visits, hit, "confirm")


@post("/t/s/{token:str}", status_code=200, include_in_schema=False, request_max_body_size=LARGEST_FORM)
async def confirmed(request: AnyRequest, token: FromPath[str], front: Front, visits: TheVisits) -> Response[str]:
    """The button by which somebody who reads the mailbox says yes (double opt-in)."""
    hit = visits.read(token, "confirmed")
    return await _too_old(request, front, visits, hit) or await _do(request, front, visits, hit, "confirm")


routes = [opened, clicked, ask_to_unsubscribe, unsubscribed, ask_to_confirm, confirmed]

_SHOWN = '<input type="hidden" name="shown" value="page">'
_DONE: dict[str, str] = {"unsubscribe": "unsubscribed", "confirm": "confirmed"}


async def spoken(request: AnyRequest, visits: Visits, hit: Hit | None) -> str:
    """The language of a page for the person of a link."""
    profile = None if hit is None else await asyncio.to_thread(visits.person, hit.profile_id)
    return visits.speaks(request, profile)


async def _ask(
    request: AnyRequest, visits: Visits, hit: Hit | None, what: Literal["unsubscribe", "confirm"]
) -> Response[str]:
    """The page with the button; looking at it changes nothing."""
    language = await spoken(request, visits, hit)
    if hit is None:
        return lost(language)
    text = say(language, f"{what}_text", title=visits.title(hit.purpose, language))
    form = f'<form method="post">{_SHOWN}{button(language, f"{what}_button")}</form>'
    return leaf(language, f"{what}_title", f"<p>{text}</p>{form}{_choice(visits, hit, language)}")


async def _do(
    request: AnyRequest,
    front: walk.FrontDoor,
    visits: Visits,
    hit: Hit | None,
    what: Literal["unsubscribe", "confirm"],
) -> Response[str]:
    """The button was pressed: what the person read is part of the proof. A mail program's own button shows nothing."""
    language = await spoken(request, visits, hit)
    if hit is None:
        return lost(language)
    title = visits.title(hit.purpose, language)
    words = WORDS[language]
    shown = f"{words[f'{what}_text'].format(title=title)} [{words[f'{what}_button']}]"
    is_shown = b"shown=page" in await request.body()
    if not await store(front, hit, request, {"text": shown} if is_shown else {}):
        return sorry(language, _SHOWN if is_shown else "")
    done = _DONE[what]
    text = say(language, f"{done}_text", title=title)
    return leaf(language, f"{done}_title", f"<p>{text}</p>{_choice(visits, hit, language)}")


def _choice(visits: Visits, hit: Hit, language: str) -> str:
    """The way on to the preference page, for whoever has the message that this link stood in."""
    url = visits.signer.links_of(hit, "").preferences()
    return f'<p><a href="{url}">{say(language, "preferences_link")}</a></p>'


async def _too_old(
    request: AnyRequest, front: walk.FrontDoor, visits: Visits, hit: Hit | None
) -> Response[str] | None:  # fmt: skip
    if hit is None or front.clock.now() - hit.sent_at <= CONFIRM_WITHIN:
        return None
    language = await spoken(request, visits, hit)
    return leaf(language, "old_title", f"<p>{say(language, 'old_text')}</p>", status=410)


async def store(front: walk.FrontDoor, hit: Hit, request: AnyRequest, extra: dict[str, Any]) -> bool:
    """Let a wish in; False when it could not be stored, and the person is to be asked to try again."""
    try:
        await walk.hear(front, hit, user_agent=request.headers.get("user-agent", ""), extra=extra)
    except (TriggerfishError, OSError):
        log.exception("a wish (%s) could not be stored; the person was asked to try again", hit.kind)
        return False
    return True


async def _note(
    front: walk.FrontDoor, visits: Visits, kind: Literal["opened", "clicked"], hit: Hit, request: AnyRequest
) -> None:
    """Let the hit in, unless nobody looks yet: HEAD requests and prefetching. Who opens or clicks is served even when
    the log cannot take it.
    """
    purpose = request.headers.get("sec-purpose", request.headers.get("purpose", ""))
    if request.method == HttpMethod.HEAD or "prefetch" in purpose:
        return
    user_agent = request.headers.get("user-agent", "")
    guessed = visits.guessed(kind, hit, front.clock.now(), user_agent)
    try:
        await walk.hear(front, hit, user_agent=user_agent, extra=guessed)
    except (TriggerfishError, OSError) as error:
        log.warning("an event %r of send %s was not recorded: %s", hit.kind, hit.send_id, error)
