"""`triggerfish suppress`: put addresses and domains on the suppression list, take them off, or write it out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, urlencode

import click

from triggerfish.cli import json_option, print_json, workspace_option
from triggerfish.cli.instructing import tell, when
from triggerfish.cli.stored import open_reads
from triggerfish.config import Settings, load_settings
from triggerfish.errors import Refused
from triggerfish.instructions import Allow, Suppress
from triggerfish.reads import LONGEST_PAGE, SuppressionView
from triggerfish.suppressing import MOST_LINES, Line, csv_of, lines_of_csv, reason_of, suppress_of

LARGEST_FILE = 64 * 1024 * 1024


@click.command()
@click.argument("addresses", metavar="[ADDRESS|@DOMAIN]...", nargs=-1)
@click.option("--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A CSV file of them.")
@click.option("--purpose", default="", help="Only messages of this purpose; without it, everything.")
@click.option(
    "--reason",
    default="manual",
    show_default=True,
    type=click.Choice(["manual", "unsubscribe", "complaint", "hard bounce"]),
    help="Why, where a file does not say. A hard bounce stops everything, the others marketing.",
)
@click.option("--note", default="", help="More about it, for people.")
@click.option("--remove", is_flag=True, help="Take them off the list.")
@click.option("--list", "lists", is_flag=True, help="Write the list as CSV, and change nothing.")
@workspace_option
@json_option
def command(
    addresses: tuple[str, ...], file: Path | None, purpose: str, reason: str, note: str, remove: bool, lists: bool,
    workspace: Path, as_json: bool,
) -> None:  # fmt: skip
    """Send nothing more to these addresses, or domains, whoever they belong to."""
    settings = load_settings(workspace.resolve(), os.environ)
    if lists:
        _write_out(settings, as_json=as_json)
        return
    lines = [Line(address, purpose, reason, note) for address in addresses] + _lines_of(file, purpose, reason, note)
    wanted = [suppress_of(line, place) for place, line in enumerate(lines)]
    if not wanted:
        raise click.UsageError("name addresses or domains, or a --file with them; or --list")
    is_running = _take_off(settings, wanted) if remove else _put_on(settings, wanted)
    if as_json:
        print_json({"suppressions": len(wanted), "is_carried_out": is_running})
    else:
        lines_said = "1 line" if len(wanted) == 1 else f"{len(wanted):,} lines"
        click.echo(f"{lines_said} {'off' if remove else 'on'} the suppression list{when(is_running)}.")


def _lines_of(file: Path | None, purpose: str, reason: str, note: str) -> list[Line]:
    """The lines of a CSV file; what a line does not say is as the options say."""
    if file is None:
        return []
    if file.stat().st_size > LARGEST_FILE:
        raise Refused(f"{file} is larger than {LARGEST_FILE // 1024**2} MB", code="TF684", hint="split it")
    lines = lines_of_csv(file.read_text(encoding="utf-8-sig", errors="replace"))
    return [_completed(line, purpose, reason, note) for line in lines]


def _completed(line: Line, purpose: str, reason: str, note: str) -> Line:
    """Of a file's reasons those count that are ours; what a provider wrote there in its own words becomes the note."""
    is_said = line.reason != Line("").reason and reason_of(line.reason) is not None
    words = "" if reason_of(line.reason) is not None else line.reason
    return Line(line.address, line.purpose or purpose, line.reason if is_said else reason, line.note or words or note)


def _put_on(settings: Settings, wanted: Sequence[Suppress]) -> bool:
    is_running = False
    for start in range(0, len(wanted), MOST_LINES):
        part = wanted[start : start + MOST_LINES]
        body = [Line(each.address, each.purpose, each.reason, each.note) for each in part]
        is_running = tell(settings, part, "POST", "/v1/suppressions", body)
    return is_running


def _take_off(settings: Settings, wanted: Sequence[Suppress]) -> bool:
    is_running = False
    for each in wanted:
        query = f"?{urlencode({'purpose': each.purpose})}" if each.purpose else ""
        path = f"/v1/suppressions/{quote(each.address)}{query}"
        is_running = tell(settings, Allow(each.address, each.purpose), "DELETE", path, None)
    return is_running


def _write_out(settings: Settings, *, as_json: bool) -> None:
    found: list[SuppressionView] = []
    with open_reads(settings) as reads:
        while part := reads.suppressions(LONGEST_PAGE, f"{found[-1].address} {found[-1].purpose}" if found else None):
            found += part
    if as_json:
        print_json(found)
    else:
        rows = [[each.address, each.purpose, each.reason, each.note, each.by, each.at] for each in found]
        click.echo(csv_of(rows), nl=False)
