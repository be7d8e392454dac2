"""`triggerfish replay`: a file of events streams into a running server through its public HTTP API."""

from __future__ import annotations

import itertools
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import click
from msgspec import Struct

from triggerfish.cli import json_option, print_json, workspace_option
from triggerfish.cli.progress import events_bar
from triggerfish.cli.replay.calls import calls_of
from triggerfish.cli.replay.mapping import Mapping, load_mapping
from triggerfish.cli.replay.rows import Row, Rows
from triggerfish.cli.replay.sending import Sender, batches_of, paced
from triggerfish.clock import Instant, WallClock, to_iso
from triggerfish.config import SETTINGS_FILE, Settings, load_settings
from triggerfish.errors import Refused

_SPEED = re.compile(r"(\d+(?:\.\d+)?)x?")


class Survey(Struct, frozen=True):
    """What a file holds: its rows, and when the first and the last of them happened (0 when there are none)."""

    rows: int
    first: Instant
    last: Instant


class Replayed(Struct, frozen=True):
    """What a replay sent. `events` are the rows; `people` were identified besides; times are those that were sent."""

    events: int
    people: int
    batches: int
    repeats: int
    bytes: int
    seconds: float
    first: str | None
    last: str | None


def survey(rows: Rows, mapping: Mapping, limit: int | None = None) -> Survey:
    """Read everything once, before anything is sent: a row that makes no event is found now. Raises Refused."""
    count, first, last = 0, 0, 0

    def counted() -> itertools.islice[Row]:
        return itertools.islice(rows, limit)

    for row in counted():
        first = first if count else row.at
        count, last = count + 1, row.at
    for _ in calls_of(counted(), mapping):
        pass
    return Survey(count, first, last)


def replay(
    file: Path,
    mapping: Mapping,
    url: str,
    key: str,
    *,
    speed: float | None = None,
    ends_at: Instant | None = None,
    limit: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    sender: Sender | None = None,
) -> Replayed:
    """Send a file's events in order of time and say what was sent.

    `speed` is how many times faster than it happened (None: as fast as the server takes it); with `ends_at`, all times
    are moved so that the last event happens then. `on_progress` gets the calls sent and how many there are in all.
    Raises Refused (TF441, TF442: the file; TF443: the server refused) and Unavailable (TF444: it is not there).
    """
    started = time.monotonic()
    with Rows(file, mapping) as rows, sender or Sender(url, key) as out:
        found = survey(rows, mapping, limit)
        shift = 0 if ends_at is None else ends_at - found.last
        calls = calls_of(itertools.islice(rows, limit), mapping, shift)
        for batch in batches_of(calls) if speed is None else paced(calls, speed, time.sleep, time.monotonic):
            out.send(batch)
            on_progress(out.sent.calls - out.sent.people, found.rows)
        sent = out.sent
    return Replayed(
        events=sent.calls - sent.people,
        people=sent.people,
        batches=sent.batches,
        repeats=sent.repeats,
        bytes=sent.bytes,
        seconds=round(time.monotonic() - started, 3),
        first=to_iso(found.first + shift) if found.rows else None,
        last=to_iso(found.last + shift) if found.rows else None,
    )


def parse_speed(text: str) -> float | None:
    """`3600x` or `3600` as a number, `max` as None. Raises Refused."""
    if text == "max":
        return None
    found = _SPEED.fullmatch(text)
    if found is None or float(found[1]) <= 0:
        raise Refused(f'"{text}" is no speed', code="TF445", expected='"3600x": an hour in a second, or "max"')
    return float(found[1])


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--mapping",
    "mapping_path",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The YAML file that says how rows become events.",
)
@click.option("--to", "url", help="The server's address.  [default: as triggerfish.toml says]")
@click.option(
    "--key",
    envvar="TRIGGERFISH_WRITE_KEY",
    show_envvar=True,
    help="A write key of the server.  [default: the first in triggerfish.toml]",
)
@click.option(
    "--speed", default="max", show_default=True, help='How much faster than it happened, like "3600x"; or "max".'
)
@click.option("--shift-to-now", is_flag=True, help="Move all times so that the last event happens now.")
@click.option("--limit", type=click.IntRange(min=1), help="Send the first rows only, this many.")
@workspace_option
@json_option
def command(
    file: Path,
    mapping_path: Path,
    url: str | None,
    key: str | None,
    speed: str,
    shift_to_now: bool,
    limit: int | None,
    workspace: Path,
    as_json: bool,
) -> None:
    """Stream FILE (CSV, JSON lines or blank-separated; .gz too) into a running server.

    The events go through the public HTTP API in order of time. Sent again, the same rows make the same messageIds.
    """
    pace = parse_speed(speed)
    mapping = load_mapping(mapping_path)
    if url is None or key is None:
        settings = load_settings(workspace, os.environ)
        url = url or address_of(settings)
        key = key or settings.keys.write[0].reveal()
    ends_at = WallClock().now() if shift_to_now else None
    with events_bar("Replaying", is_quiet=as_json) as show:

        def on_progress(done: int, total: int) -> None:
            show("Replaying", done, total)

        replayed = replay(file, mapping, url, key, speed=pace, ends_at=ends_at, limit=limit, on_progress=on_progress)
    if as_json:
        print_json(replayed)
    else:
        click.echo(summary(replayed))


def summary(replayed: Replayed) -> str:
    """What was sent, in one line."""
    span = f", {replayed.first} to {replayed.last}" if replayed.first else ""
    people = "one person" if replayed.people == 1 else f"{replayed.people:,} people"
    repeats = f", {replayed.repeats} requests sent again" if replayed.repeats else ""
    return (
        f"Sent {replayed.events:,} events of {people} in {replayed.batches:,} requests and "
        f"{replayed.seconds:.1f} s{repeats}{span}."
    )


def address_of(settings: Settings) -> str:
    """Where the server of this workspace listens. Raises Refused when it chooses a port itself."""
    server = settings.server
    if server.port == 0:
        raise Refused(
            f"{SETTINGS_FILE} lets the server choose its port", code="TF445", hint="say where it listens with --to"
        )
    host = f"[{server.host}]" if ":" in server.host else server.host
    return f"http://{host}:{server.port}"
