"""`triggerfish send-test`: one template as a real mail to an address that you name, over the workspace's channel.

Nothing of it is stored: it is no send of the person that it was composed for; its links track nothing and unsubscribe
nobody.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from pathlib import Path
from typing import Any

import click
from msgspec import Struct
from msgspec.structs import replace

from triggerfish.channels import channel_of
from triggerfish.cli import BROKEN, json_option, print_json, workspace_option
from triggerfish.cli.composing import Wish, compose_one, wish_options
from triggerfish.cli.preview import shown
from triggerfish.clock import WallClock
from triggerfish.compose import plugin_context, plugins_of
from triggerfish.config import Settings, load_settings
from triggerfish.deliver import Receipt
from triggerfish.render import LONGEST_SUBJECT, Message, mailbox, shorten

MARK = "[Test] "


class Sent(Struct, frozen=True):
    """What the channel said of it. `status` is accepted, refused, retry (not now) or unknown."""

    template: str
    person: str
    to: str
    subject: str
    channel: str
    status: str
    provider_id: str
    detail: str


@click.command()
@click.argument("template")
@click.option("--to", "address", required=True, help="Who gets it, such as ana@example.com.")
@workspace_option
@wish_options
@click.option("--channel", default="", help="Send over this channel.  [default: that of triggerfish.toml]")
@json_option
@click.pass_context
def command(
    ctx: click.Context, template: str, address: str, workspace: Path, person: str, event: dict[str, Any] | None,
    language: str, channel: str, as_json: bool,
) -> None:  # fmt: skip
    """Send TEMPLATE to one address, as a person would get it, with "[Test]" before the subject."""
    settings = load_settings(workspace.resolve(), os.environ)
    name = channel or settings.delivery.channel
    settings = replace(settings, delivery=replace(settings.delivery, channel=name, fallback="", channels={}))
    message = marked(compose_one(settings, template, Wish(person, event, language)), address)
    receipt = asyncio.run(send_one(settings, message))
    sent = Sent(
        template, person, shown(message.to), message.subject, settings.delivery.channel, receipt.status,
        receipt.provider_id, receipt.detail,
    )  # fmt: skip
    if as_json:
        print_json(sent)
    else:
        click.echo(f"To:      {sent.to}\nSubject: {sent.subject}\nChannel: {sent.channel}")
        said = ", ".join(part for part in (sent.provider_id, sent.detail) if part)
        click.echo(f"  {sent.status}" + (f": {said}" if said else ""))
    if receipt.status != "accepted":
        ctx.exit(BROKEN)


def marked(message: Message, address: str) -> Message:
    """The message for another address, marked as a test, with an id of its own and nobody's profile.

    Raises Refused when the address is none.
    """
    return replace(
        message,
        send_id=secrets.token_hex(10),
        to=mailbox(address),
        subject=shorten(MARK + message.subject, LONGEST_SUBJECT),
        profile_id="",
    )


async def send_one(settings: Settings, message: Message) -> Receipt:
    """The channel's receipt for one message.

    Raises SettingsWrong when there is no such channel, or when a demo would send over it; PluginFailed when it cannot
    be opened.
    """
    clock = WallClock()
    # serve --demo has left this file; a demo's people are made up, but an address may be somebody's.
    is_demo = (settings.data_path / "demo-since").is_file()
    channel = channel_of(settings, plugins_of(settings), clock, is_demo=is_demo)
    await channel.open(plugin_context(settings, settings.server.public_url or "http://localhost", clock))
    try:
        (receipt,) = await channel.send([message])
    finally:
        await channel.close()
    return receipt
