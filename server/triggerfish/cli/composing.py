"""One message as `preview` shows it and `send-test` sends it: composed by the code of the live send (walk.compose)."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click
import msgspec
from msgspec import Struct

from triggerfish import walk
from triggerfish.adapters.composed import SAMPLE_AT, PlainLinks
from triggerfish.adapters.http_feeds import HttpFeeds
from triggerfish.cli.stored import open_reads
from triggerfish.clock import WallClock
from triggerfish.compose import load_workshop
from triggerfish.config import Settings
from triggerfish.errors import NotFound
from triggerfish.feeds import Wants, feed, wants
from triggerfish.ingest import Event
from triggerfish.languages import tag_of
from triggerfish.profile import Profile, Trait
from triggerfish.render import Message, Template
from triggerfish.schedule import Due

SAMPLE = "sample"

F = TypeVar("F", bound=Callable[..., Any])


class Wish(Struct, frozen=True):
    """Whom a message is composed for: `person` by any identity, or "sample"; `event` the properties of the event that
    it answers, in place of the person's last or the sample's; `language` in place of theirs.
    """

    person: str = SAMPLE
    event: dict[str, Any] | None = None
    language: str = ""


def wish_options(command: F) -> F:
    """`--profile`, `--event` and `--language`: passed as `person`, `event` and `language`, which make a Wish."""
    for option in (
        click.option("--language", default="", callback=_language, help="Compose in this language, such as de."),
        click.option("--event", callback=_event_of, help="The event's properties as JSON, for any that it had."),
        click.option(
            "--profile", "person", default=SAMPLE, show_default=True,
            help="Compose for this person (any identity), as they are stored; or for the template's sample person.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def _language(_: click.Context, __: click.Parameter, value: str) -> str:
    if value and not tag_of(value):
        raise click.BadParameter(f'"{value}" is no language; write de or pt-BR')
    return tag_of(value)


def _event_of(_: click.Context, __: click.Parameter, value: str | None) -> dict[str, Any] | None:
    if value is None:
        return None
    try:
        return msgspec.json.decode(value, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise click.BadParameter(f'this is no JSON object like {{"total": 49.9}}: {error}') from error


def compose_one(settings: Settings, name: str, wish: Wish) -> Message:
    """The message of template `name`. Its links track nothing, and nobody can unsubscribe by them.

    Raises NotFound, RulebookBroken, and MissingData or Refused when the message cannot be composed for this person.
    """
    workshop = load_workshop(settings)
    template = workshop.templates.get(name)
    if template is None:
        near = difflib.get_close_matches(name[:80], workshop.templates, n=1)
        hint = f'did you mean "{near[0]}"?' if near else f"there are {', '.join(sorted(workshop.templates))}"
        raise NotFound(f'there is no template "{name}"', hint=hint)
    is_sample = wish.person == SAMPLE
    profile, trigger = _sample(template) if is_sample else _stored(settings, template, wish.person)
    now = SAMPLE_AT if is_sample else WallClock().now()
    if wish.event is not None:
        trigger = _event(trigger.name, wish.event)
    if wish.language:
        spoken = {**profile.traits, "language": Trait(wish.language, now)}
        profile = msgspec.structs.replace(profile, traits=spoken)
    due = Due(
        id="preview", profile=profile.id, ruleset="", rule="", template=template.name, class_=template.class_,
        purpose=template.purpose, trigger=trigger,
    )  # fmt: skip
    wanted = {} if is_sample else wants(template, walk.data_of(workshop.rulebook, profile, due, now))
    feeds = asyncio.run(_fetch(settings, wanted)) if wanted else template.sample["feeds"]
    return walk.compose(workshop.rulebook, template, profile, due, PlainLinks(), now, feeds)


async def _fetch(settings: Settings, wanted: Wants) -> Mapping[str, Any]:
    """What feeds give now, as for the live send."""
    feeds = HttpFeeds(WallClock(), settings.feeds.trusted_hosts)
    try:
        return (await feed(feeds, {"": wanted}))[""].values
    finally:
        await feeds.close()


def _stored(settings: Settings, template: Template, person: str) -> tuple[Profile, Event]:
    """A stored person, and the event that brought them their last message of this template, or else the sample's."""
    with open_reads(settings) as reads:
        profile = reads.stored(person)
        for send in reads.sends(profile=profile.id, template=template.name, limit=1):
            found = reads.send(send.id)
            return profile, _event(found.event or "", found.properties)
    return profile, _sample(template)[1]


def _sample(template: Template) -> tuple[Profile, Event]:
    """The template's sample person, and the event that the message answers."""
    sample = template.sample
    traits = {"email": "sample@example.com", **sample["traits"]}
    profile = Profile(
        id=SAMPLE,
        created_at=SAMPLE_AT,
        updated_at=SAMPLE_AT,
        traits={name: Trait(value, SAMPLE_AT) for name, value in traits.items()},
        memberships=dict.fromkeys(sample["segments"], SAMPLE_AT),
    )
    return profile, _event(SAMPLE, sample["event"])


def _event(name: str, properties: dict[str, object]) -> Event:
    return Event(kind="track", name=name, message_id="preview", timestamp=SAMPLE_AT, properties=properties)
