"""`triggerfish sends`: messages and what became of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

import click

from triggerfish.cli import json_option, print_json, workspace_option
from triggerfish.cli.stored import open_reads
from triggerfish.config import load_settings
from triggerfish.reads import SendView
from triggerfish.schedule import Status

STATUSES: tuple[Status, ...] = get_args(Status)


@click.command()
@click.option("--status", type=click.Choice(STATUSES), help="Only those of this status.")
@click.option("--rule", help='Only those of this rule: its name, or "rule set / rule".')
@click.option("--template", help="Only those of this template.")
@click.option("--person", help="Only those of this person (any identity).")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="How many at most.")
@workspace_option
@json_option
def command(
    status: Status | None,
    rule: str | None,
    template: str | None,
    person: str | None,
    limit: int,
    workspace: Path,
    as_json: bool,
) -> None:
    """List messages, the newest decision first, each with what became of it and why.

    It works on the workspace's files: whether the server runs makes no difference.
    """
    with open_reads(load_settings(workspace.resolve(), os.environ)) as reads:
        found = reads.sends(profile=person, status=status, template=template, rule=rule, limit=limit)
    if as_json:
        print_json(found)
        return
    for line in tell(found):
        click.echo(line)


def tell(sends: Sequence[SendView]) -> Iterator[str]:
    """The messages as lines for a terminal."""
    if not sends:
        yield "There are none like that."
    for each in sends:
        at = (each.sent_at or each.due_at)[:16].replace("T", " ")
        over = f" over {each.channel}" if each.channel else ""
        of = f"{each.ruleset} / {each.rule}"
        yield f"{each.id}  {at}  {each.status:9}  {each.template}  to {each.profile}{over}  ({of})"
        if each.reason:
            yield f"  {each.reason}"
    if any(each.status == "uncertain" for each in sends):
        yield "Settle an uncertain one once you know: triggerfish resolve SEND sent|failed|again"
