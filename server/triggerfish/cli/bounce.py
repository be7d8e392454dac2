"""`triggerfish bounce`: a bounce or a complaint, from a pipe of the mail server, into the running server.

Its exit codes are those that mail servers understand (sysexits.h): at 75 they keep the mail, and try again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import click
import httpx
import msgspec

from triggerfish.cli import FINE, json_option, print_error, print_json, workspace_option
from triggerfish.cli.plan.aside import server_address
from triggerfish.cli.replay import address_of
from triggerfish.config import load_settings
from triggerfish.errors import TriggerfishError, Unavailable
from triggerfish.reports import LARGEST_REPORT, MailHeard

TRY_AGAIN = 75
"""EX_TEMPFAIL."""
NOT_NOW = "TF446"

KEY_VARIABLE = "TRIGGERFISH_WRITE_KEY"
RECIPIENTS = ("ORIGINAL_RECIPIENT", "RECIPIENT")
"""Where mail servers put the address that a mail was delivered to: Postfix both, Exim and qmail the second."""

_SECONDS = 60.0
_LONGEST_LINE = 64 * 1024
_LONGEST_ADDRESS = 256


@click.command("bounce")
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--mbox", is_flag=True, help="FILE holds many mails, each below a line that begins with From.")
@click.option("--to", help="The address that it was delivered to.  [default: as the mail server says]")
@click.option("--server", help="The server's address.  [default: as triggerfish.toml says]")
@workspace_option
@json_option
@click.pass_context
def command(
    ctx: click.Context, file: BinaryIO, mbox: bool, to: str | None, server: str | None, workspace: Path, as_json: bool
) -> None:
    """Hand a mail that reports on mails of yours (FILE, or the standard input) to the running server.

    Exit code 0: it was taken, whatever it says. 75: the server cannot take it now; the mail server should try again.

    The write key comes from triggerfish.toml, or from TRIGGERFISH_WRITE_KEY; with that and --server, no workspace is
    needed.
    """
    try:
        url, key = server_and_key(workspace, server, os.environ.get(KEY_VARIABLE))
        told = []
        for raw in mails(file) if mbox else [one_mail(file)]:
            heard = hand_over(url, key, raw, to or recipient(os.environ))
            told.append(heard)
            if not as_json:
                click.echo(say(heard))
    except TriggerfishError as error:
        print_error(error, as_json=as_json)
        ctx.exit(TRY_AGAIN)
    if as_json:
        print_json(told if mbox else told[0])
    ctx.exit(FINE)


def server_and_key(workspace: Path, server: str | None, key: str | None) -> tuple[str, str]:
    """Where to, and with which write key. Raises SettingsWrong and Refused."""
    if server and key:
        return server.rstrip("/"), key
    settings = load_settings(workspace.resolve(), os.environ)
    url = server or server_address(settings) or address_of(settings)
    return url.rstrip("/"), key or settings.keys.write[0].reveal()


def hand_over(url: str, key: str, raw: bytes, to: str) -> MailHeard:
    """What the server makes of a mail. Raises Unavailable when it takes none just now, for whatever reason: it is for
    the mail server to keep it until somebody has seen to that.
    """
    try:
        with httpx.Client(timeout=_SECONDS, trust_env=False) as client:
            answer = client.post(
                f"{url}/v1/reports",
                content=raw,
                params={"to": to} if to and len(to) <= _LONGEST_ADDRESS else {},
                headers={"Content-Type": "message/rfc822"},
                auth=(key, ""),
            )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unavailable(
            f"the server at {url} cannot be reached: {error}",
            code=NOT_NOW,
            hint="is it running? see triggerfish serve",
        ) from error
    if answer.status_code != 200:
        raise Unavailable(f"the server at {url} answered {answer.status_code}: {answer.text[:300]}", code=NOT_NOW)
    try:
        return msgspec.json.decode(answer.content, type=MailHeard)
    except msgspec.DecodeError as error:
        raise Unavailable(f"what answers at {url} is no Triggerfish server: {error}", code=NOT_NOW) from error


def recipient(environ: Mapping[str, str]) -> str:
    """The address that the mail server names in the environment; empty when it names none."""
    return next((environ[name] for name in RECIPIENTS if environ.get(name)), "")


def one_mail(file: BinaryIO) -> bytes:
    """A mail, of a large one the first bytes. All of it is taken in, so that the mail server does not stumble."""
    raw = file.read(LARGEST_REPORT)
    while file.read(_LONGEST_LINE):
        pass
    # The line that mail servers put in front for programs that write mailboxes.
    return raw.partition(b"\n")[2] if raw.startswith((b"From ", b">From ")) else raw


def mails(file: BinaryIO) -> Iterator[bytes]:
    """The mails of an mbox file (RFC 4155), of large ones the first bytes."""
    lines: list[bytes] = []
    size = 0
    is_after_blank = True
    while line := file.readline(_LONGEST_LINE):
        if is_after_blank and line.startswith(b"From "):
            if lines:
                yield b"".join(lines)[:LARGEST_REPORT]
            lines, size = [], 0
        elif size < LARGEST_REPORT:
            lines.append(line[1:] if line.startswith(b">From ") else line)
            size += len(line)
        is_after_blank = not line.strip()
    if lines:
        yield b"".join(lines)[:LARGEST_REPORT]


def say(heard: MailHeard) -> str:
    """What was made of a mail, on one line."""
    about = f" about {heard.send_id}" if heard.send_id else ""
    for_good = ", for good" if heard.is_permanent else ""
    because = f": {heard.reason}" if heard.reason else f", proved by its {heard.by}" if heard.by else ""
    return f"{heard.outcome}: {heard.kind}{for_good}{about}{because}"
