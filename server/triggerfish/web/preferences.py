"""The preference page: what somebody wants to get, for whoever has a message that was sent to them. No JavaScript.

The form says what it showed, as a digest: what changed in the rules meanwhile is shown again before anything is stored.
Only what the person changed is a word of theirs; to leave a box as it was is not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hashlib import blake2b
from html import escape
from urllib.parse import parse_qs

from litestar import HttpMethod, Response, post, route
from litestar.params import FromPath

from triggerfish.consent import EVERYTHING, Purpose, refusal
from triggerfish.measure import Hit
from triggerfish.profile import Profile
from triggerfish.web.given import Front
from triggerfish.web.leaf import button, leaf, lost, say, sorry
from triggerfish.web.leaf_words import WORDS
from triggerfish.web.tracking import LARGEST_FORM, store
from triggerfish.web.visits import AnyRequest, TheVisits, Visits, title_of


@route("/t/p/{token:str}", http_method=[HttpMethod.GET, HttpMethod.HEAD], include_in_schema=False)
async def ask_for_preferences(request: AnyRequest, token: FromPath[str], visits: TheVisits) -> Response[str]:
    hit = visits.read(token, "preferences")
    profile = await _person(visits, hit)
    language = visits.speaks(request, profile)
    if hit is None or profile is None:
        return lost(language)
    return _form(visits.offered(hit), profile, language)


@post("/t/p/{token:str}", status_code=200, include_in_schema=False, request_max_body_size=LARGEST_FORM)
async def choose(request: AnyRequest, token: FromPath[str], front: Front, visits: TheVisits) -> Response[str]:
    hit = visits.read(token, "preferences")
    profile = await _person(visits, hit)
    language = visits.speaks(request, profile)
    if hit is None or profile is None:
        return lost(language)
    asked = _fields(await request.body())
    language = next((each for each in asked.get("language", ()) if each in WORDS), language)
    offered = visits.offered(hit)
    if "everything" in asked:
        chosen = {EVERYTHING: False}
        shown = WORDS[language]["everything"]
    else:
        if asked.get("shown") != [_digest(offered, language)]:
            return _form(offered, profile, language, note="outdated", status=409)
        names = [each.name for each in offered]
        ticked, were = set(asked.get("purpose", ())), set(asked.get("was", ()))
        if names == [EVERYTHING]:
            ticked, were = ({EVERYTHING} if "all" in each else set() for each in (ticked, were))
        chosen = {name: name in ticked for name in names if (name in ticked) != (name in were)}
        shown = "\n".join(_line(each, language, is_ticked=chosen[each.name]) for each in offered if each.name in chosen)
    if chosen and not await store(front, hit, request, {"purposes": chosen, "text": shown}):
        return sorry(language, _hidden(asked))
    return _saved(visits, chosen, language)


routes = [ask_for_preferences, choose]


def _fields(body: bytes) -> dict[str, list[str]]:
    """A form's fields. One that no page of ours has sent has none, and is shown again."""
    try:
        return parse_qs(body.decode(errors="replace"), max_num_fields=1_000)
    except ValueError:
        return {}


async def _person(visits: Visits, hit: Hit | None) -> Profile | None:
    return None if hit is None else await asyncio.to_thread(visits.person, hit.profile_id)


def _form(
    offered: Sequence[Purpose], profile: Profile, language: str, *, note: str = "", status: int = 200
) -> Response[str]:  # fmt: skip
    address = str(profile.trait("email") or "")
    declared = {each.name: each for each in offered}
    boxes, were = [], []
    for place, each in enumerate(offered):
        is_wanted = not refusal(profile.consent, each.name, declared, address)
        value = escape(each.name or "all", quote=True)
        more = each.description(language)
        said = f'<small id="m{place}">{escape(more)}</small>' if more else ""
        told = f' aria-describedby="m{place}"' if more else ""
        boxes.append(
            f'<li><label><input type="checkbox" name="purpose" value="{value}"{" checked" if is_wanted else ""}{told}>'
            f"<span><b>{escape(title_of(each, language))}</b>{said}</span></label></li>"
        )
        if is_wanted:
            were.append(f'<input type="hidden" name="was" value="{value}">')
    everything = profile.consent.get(EVERYTHING)
    is_stopped = everything is not None and not everything.is_given and not were
    notes = [note] if note else []
    notes += ["stopped"] if is_stopped else []
    body = (
        f"<p>{say(language, 'preferences_text', address=masked(address))}</p>"
        + "".join(f'<p class="note" role="status">{say(language, each)}</p>' for each in notes)
        + f'<form method="post"><ul>{"".join(boxes)}</ul>{"".join(were)}'
        f'<input type="hidden" name="language" value="{language}">'
        f'<input type="hidden" name="shown" value="{_digest(offered, language)}">'
        f"{button(language, 'save')}</form>"
    )
    if not is_stopped:
        quiet = button(language, "everything", ' class="quiet"')
        body += (
            f'<hr><form method="post"><p>{say(language, "everything_text")}</p>'
            f'<input type="hidden" name="language" value="{language}">'
            f'<input type="hidden" name="everything" value="1">{quiet}</form>'
        )
    return leaf(language, "preferences_title", body, status=status)


def _saved(visits: Visits, chosen: dict[str, bool], language: str) -> Response[str]:
    titles = [(visits.title(name, language), given) for name, given in chosen.items()]
    lines = [say(language, "gets" if given else "gets_no_more", title=title) for title, given in titles]
    told = "".join(f"<p>{line}</p>" for line in lines) or f"<p>{say(language, 'unchanged')}</p>"
    back = f'<p><a href="">{say(language, "back")}</a></p>'
    return leaf(language, "saved_title", told + back)


def _line(purpose: Purpose, language: str, *, is_ticked: bool) -> str:
    """A box as it was shown and sent, for the proof."""
    more = purpose.description(language)
    return f"[{'x' if is_ticked else ' '}] {title_of(purpose, language)}{f': {more}' if more else ''}"


def _digest(offered: Sequence[Purpose], language: str) -> str:
    """What stands for all that a page shows."""
    text = "\n".join(f"{each.name}\0{_line(each, language, is_ticked=False)}" for each in offered)
    return blake2b(f"{language}\0{text}".encode(), digest_size=8).hexdigest()


def _hidden(asked: dict[str, list[str]]) -> str:
    fields = [(name, value) for name, values in asked.items() for value in values]
    return "".join(
        f'<input type="hidden" name="{escape(name, quote=True)}" value="{escape(value, quote=True)}">'
        for name, value in fields
    )


def masked(address: str) -> str:
    """An address as its owner knows it and others do not learn it: a•••@example.com."""
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}•••@{domain}" if at else "•••"
