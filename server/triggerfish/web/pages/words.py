"""What pages say of instants, people and the lines of a timeline, in plain words. Pure; nothing here makes HTML."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from msgspec import Struct

from triggerfish.clock import DAY, HOUR, MINUTE, SECOND, Instant, from_datetime, to_iso
from triggerfish.reads import DecisionLine, EventLine, MergeLine, ProfileView, SegmentLine, SendLine, TimelineLine
from triggerfish.render import full_name, one_line, shorten
from triggerfish.why import RuleStory, WhyView, is_missing

FACTS_SHOWN = 4
LONGEST_FACT = 60
LONGEST_DETAIL = 20_000

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Told(Struct, frozen=True):
    """A line of a timeline as it is shown. `before` and `after` are the sentence around `what`, which may be a link."""

    line: TimelineLine
    mark: str
    before: str
    what: str
    after: str = ""
    link: str = ""
    facts: list[tuple[str, str]] = []
    detail: str = ""
    because: Mapping[str, Any] | None = None
    status: str = ""


_OWN_NAMES = {
    "identify": "was identified",
    "page": "viewed a page",
    "screen": "opened a screen",
    "group": "joined a group",
    "alias": "got another name",
}
_HEARD = {
    "Email Delivered": "got",
    "Email Opened": "opened",
    "Email Link Clicked": "clicked a link in",
    "Unsubscribed": "unsubscribed through",
    "Email Bounced": "could not be reached with",
    "Email Marked as Spam": "complained about",
}


def tell(line: TimelineLine, templates: Mapping[str, str]) -> Told:
    """A line of a timeline in a sentence. `templates` are the templates' names of sends, as far as they are known."""
    match line:
        case EventLine() if line.send:
            verb = _HEARD.get(line.event, f"{line.event}:")
            known = templates.get(line.send)
            before, what = (f"{verb} the message", known) if known else (verb, "a message")
            return Told(line, "heard", before, what, link=f"/sends/{line.send}", detail=_detail(line))
        case EventLine() if line.by:
            return Told(line, "event", f"rule {line.by} let it happen:", line.event, detail=_detail(line))
        case EventLine():
            facts = facts_of(line.properties or line.traits)
            own = _OWN_NAMES.get(line.event)
            before, what = ("", own) if own else ("did", line.event)
            return Told(line, "event", before, what, facts=facts, detail=_detail(line))
        case SegmentLine():
            return Told(line, line.change, line.change, line.segment, link=f"/segments/{line.segment}")
        case DecisionLine():
            return _decision(line)
        case SendLine():
            link = f"/sends/{line.send}"
            return Told(line, "send", "message", line.template or "?", line.reason, link, status=line.status)
        case MergeLine():
            return Told(line, "merge", "became one with", line.merged, f", because of {line.because}")


def _decision(line: DecisionLine) -> Told:
    woken = f" on {line.event}" if line.event else ""
    match line.outcome:
        case "acted":
            after = f" fired{woken}"
        case "waiting":
            after = f" woke{woken} and waits {line.reason}"
        case "skipped":
            after = f" did nothing{woken}: {line.reason}"
        case _:
            told = line.reason or line.way
            after = f" {line.outcome}{woken}" + (f": {told}" if told else "")
    return Told(line, line.outcome, "rule", line.rule or "chain", after, because=line.because)


def by_day(lines: Sequence[TimelineLine], templates: Mapping[str, str]) -> list[tuple[str, list[Told]]]:
    """The lines under the days on which they happened, in their order."""
    days = groupby(lines, lambda line: line.at[:10])
    return [(say_day(at), [tell(line, templates) for line in group]) for at, group in days]


def templates_in(why: WhyView) -> dict[str, str]:
    """The templates' names of all sends that the stories tell of."""
    occasions = (occasion for story in why.rules for occasion in story.occasions)
    return {message.send: message.template for occasion in occasions for message in occasion.messages}


def facts_of(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The first few plain values, shortened."""
    plain = [(name, value) for name, value in values.items() if isinstance(value, str | int | float)]
    return [(name, shorten(one_line(say_value(value)), LONGEST_FACT)) for name, value in plain[:FACTS_SHOWN]]


def say_value(value: Any) -> str:
    """A value as people write it: true, 3.5, text; anything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.10g}"
    return json.dumps(value, ensure_ascii=False)


def _detail(line: EventLine) -> str:
    """All that came with an event, as JSON, bounded."""
    data = {"properties": line.properties, "traits": line.traits, "context": line.context}
    known = {name: value for name, value in data.items() if value}
    if not known:
        return ""
    text = json.dumps(known, indent=2, ensure_ascii=False)
    return text if len(text) <= LONGEST_DETAIL else text[:LONGEST_DETAIL] + "\n…"


# --- times ------------------------------------------------------------------------------------------------------------


def _read(iso: str) -> datetime:
    return datetime.fromisoformat(iso)


def say_day(iso: str) -> str:
    """`Sunday, 22 November 2026`."""
    at = _read(iso)
    return f"{at:%A}, {at.day} {at:%B %Y}"


def say_time(iso: str) -> str:
    """`2026-11-22 04:00:05`, in UTC."""
    return iso[:19].replace("T", " ")


def say_clock(iso: str) -> str:
    return iso[11:19]


def plain_times(text: str) -> str:
    """A text in which instants are written as `say_time` does."""
    return _INSTANT.sub(lambda found: say_time(found[0]), text)


def say_ago(iso: str, now: Instant) -> str:
    """`3 min ago`, `in 2 h`, `5 days ago`."""
    at = _read(iso)
    away = now - from_datetime(at if at.tzinfo else at.replace(tzinfo=UTC))
    length = abs(away)
    if length < 10 * SECOND:
        return "now"
    for unit, word in ((DAY, "day"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s")):
        if length >= unit * (2 if unit == DAY else 1):
            count = length // unit
            said = f"{count} {word}" + ("s" if word == "day" and count > 1 else "")
            return f"{said} ago" if away > 0 else f"in {said}"
    return "now"


# --- people and figures -----------------------------------------------------------------------------------------------


def name_of(profile: ProfileView) -> str:
    """What to call a person: their name, else email, else userId, else what there is."""
    names = {identity.kind: identity.value for identity in reversed(profile.identities)}
    email = profile.traits.get("email")
    found = full_name(profile.traits) or (email if isinstance(email, str) else "") or names.get("email")
    return shorten(one_line(found or names.get("user") or names.get("anonymous") or profile.id), 80)


def say_outcomes(story: RuleStory) -> str:
    """What a rule's messages to one person came to: `2 sent, 1 skipped`; else what the rule did."""
    counts = Counter[str](message.status for occasion in story.occasions for message in occasion.messages)
    counts = counts or Counter(occasion.outcome for occasion in story.occasions)
    return ", ".join(f"{count} {status}" for status, count in counts.most_common())


def say_count(number: int) -> str:
    """`31,706`."""
    return f"{number:,}"


def say_share(part: int, whole: int) -> str:
    """`12%`; `<1%` for little, and nothing of nothing."""
    if not whole or not part:
        return "0%"
    share = 100 * part / whole
    return f"{share:.0f}%" if share >= 1 else "<1%"


FILTERS: dict[str, Callable[..., Any]] = {
    "ago": say_ago,
    "clock": say_clock,
    "count": say_count,
    "day": say_day,
    "is_missing": is_missing,
    "iso": to_iso,
    "outcomes": say_outcomes,
    "plain_times": plain_times,
    "share": say_share,
    "time": say_time,
    "value": say_value,
}
