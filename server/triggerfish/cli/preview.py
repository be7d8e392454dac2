"""`triggerfish preview`: one template as the mail that a person would get, as HTML, plain text and pictures.

It composes as the live send does, with the workspace's own templates.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from triggerfish.cli import json_option, print_json, workspace_option
from triggerfish.cli.composing import Wish, compose_one, wish_options
from triggerfish.cli.pictures import SIZES, find_browser, take_picture
from triggerfish.config import load_settings
from triggerfish.render import Address, Message


class Preview(Struct, frozen=True):
    """What was written, and the message's own words. `headers` are those besides the usual ones."""

    template: str
    person: str
    language: str
    sender: str
    to: str
    subject: str
    headers: Mapping[str, str]
    files: list[str]
    notes: list[str]


@click.command()
@click.argument("template")
@workspace_option
@wish_options
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Write into this folder.  [default: data/preview]"
)
@click.option("--text", "as_text", is_flag=True, help="Print the plain text instead of writing files.")
@json_option
def command(
    template: str, workspace: Path, person: str, event: dict[str, Any] | None, language: str, out: Path | None,
    as_text: bool, as_json: bool,
) -> None:  # fmt: skip
    """Write TEMPLATE as a person would get it: HTML, plain text, and pictures when Chromium is installed."""
    settings = load_settings(workspace.resolve(), os.environ)
    message = compose_one(settings, template, Wish(person, event, language))
    if as_text:
        if as_json:
            print_json({"template": template, "subject": message.subject, "text": message.text})
        else:
            click.echo(f"To: {message.to.email}\nSubject: {message.subject}\n\n{message.text}")
        return
    if out is None:
        # Made before the server made it, it must be as closed: what is in it is personal.
        settings.data_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    preview = write_preview(message, template, person, out or settings.data_path / "preview")
    if as_json:
        print_json(preview)
        return
    click.echo(f"From:     {preview.sender}\nTo:       {preview.to}\nSubject:  {preview.subject}")
    if preview.language:
        click.echo(f"Language: {preview.language}")
    for name, value in preview.headers.items():
        click.echo(f"{name}: {value}")
    for line in (*preview.files, *preview.notes):
        click.echo(f"  {line}")


def write_preview(message: Message, template: str, person: str, out: Path) -> Preview:
    """Write `<template>.html`, `<template>.txt` and, when there is a browser, pictures of both widths."""
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
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
    return Preview(
        template, person, message.language, shown(message.sender), shown(message.to), message.subject,
        message.headers, [str(file) for file in files], notes,
    )  # fmt: skip


def shown(address: Address) -> str:
    """A mailbox as people write it."""
    return f"{address.name} <{address.email}>" if address.name else address.email
