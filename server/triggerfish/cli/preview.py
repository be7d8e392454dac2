"""`triggerfish preview`: one template as the mail that a person would get, as HTML, plain text and pictures.

It composes as the live send does (walk.compose), with the workspace's own templates.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import click
from msgspec import Struct

from triggerfish import walk
from triggerfish.adapters.composed import SAMPLE_AT, PlainLinks
from triggerfish.cli import json_option, print_json, workspace_option
from triggerfish.cli.pictures import SIZES, find_browser, take_picture
from triggerfish.cli.stored import open_reads
from triggerfish.clock import WallClock
from triggerfish.compose import Workshop, load_workshop
from triggerfish.config import Settings, load_settings
from triggerfish.errors import NotFound
from triggerfish.ingest import Event
from triggerfish.profile import Profile, Trait
from triggerfish.render import Message, Template
from triggerfish.schedule import Due

SAMPLE = "sample"


class Preview(Struct, frozen=True):
    """What was written, and the message's own words."""

    template: str
    person: str
    subject: str
    to: str
    files: list[str]
    notes: list[str]


@click.command()
@click.argument("template")
@workspace_option
@click.option(
    "--profile", "person", default=SAMPLE, show_default=True,
    help="Compose for this person (any identity), as they are stored; or for the template's sample person.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Write into this folder.  [default: data/preview]"
)
@click.option("--text", "as_text", is_flag=True, help="Print the plain text instead of writing files.")
@json_option
def command(template: str, workspace: Path, person: str, out: Path | None, as_text: bool, as_json: bool) -> None:
    """Write TEMPLATE as a person would get it: HTML, plain text, and pictures when Chromium is installed."""
    settings = load_settings(workspace.resolve(), os.environ)
    message = compose_preview(settings, template, person)
    if as_text:
        if as_json:
            print_json({"template": template, "subject": message.subject, "text": message.text})
        else:
            click.echo(f"To: {message.to.email}\nSubject: {message.subject}\n\n{message.text}")
        return
    preview = write_preview(message, template, person, out or settings.data_path / "preview")
    if as_json:
        print_json(preview)
        return
    click.echo(f"To:      {preview.to}\nSubject: {preview.subject}")
    for line in (*preview.files, *preview.notes):
        click.echo(f"  {line}")


def compose_preview(settings: Settings, name: str, person: str = SAMPLE) -> Message:
    """The message of template `name` for a stored person, or for the template's sample person.

    Raises NotFound, RulebookBroken, and MissingData or Refused when the message cannot be composed for this person.
    """
    workshop = load_workshop(settings)
    template = workshop.templates.get(name)
    if template is None:
        near = difflib.get_close_matches(name[:80], workshop.templates, n=1)
        hint = f'did you mean "{near[0]}"?' if near else f"there are {', '.join(sorted(workshop.templates))}"
        raise NotFound(f'there is no template "{name}"', hint=hint)
    if person == SAMPLE:
        return _compose(workshop, template, *_sample(template), now=SAMPLE_AT)
    with open_reads(settings) as reads:
        profile = reads.stored(person)
        trigger = None
        for send in reads.sends(profile=profile.id, template=name, limit=1):
            found = reads.send(send.id)
            trigger = _event(found.event or "", found.properties)
    return _compose(workshop, template, profile, trigger or _sample(template)[1], now=WallClock().now())


def _compose(workshop: Workshop, template: Template, profile: Profile, trigger: Event, now: int) -> Message:
    due = Due(
        id="preview", profile=profile.id, ruleset="", rule="", template=template.name, class_=template.class_,
        purpose=template.purpose, trigger=trigger,
    )  # fmt: skip
    return walk.compose(workshop.rulebook, template, profile, due, PlainLinks(), now)


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


def write_preview(message: Message, template: str, person: str, out: Path) -> Preview:
    """Write `<template>.html`, `<template>.txt` and, when there is a browser, pictures of both widths."""
    out.mkdir(parents=True, exist_ok=True)
    html, text = out / f"{template}.html", out / f"{template}.txt"
    html.write_text(message.html, encoding="utf-8")
    text.write_text(message.text, encoding="utf-8")
    files, notes = [html, text], []
    browser = find_browser()
    if browser is None:
        notes.append("no pictures: Chromium is not installed")
    for name, width in SIZES.items() if browser else ():
        picture = out / f"{template}-{name}.png"
        problem = take_picture(browser or "", html, picture, width)
        if problem:
            notes.append(f"no picture of {name} width: {problem}")
        else:
            files.append(picture)
    to = f"{message.to.name} <{message.to.email}>" if message.to.name else message.to.email
    return Preview(template, person, message.subject, to, [str(file) for file in files], notes)
