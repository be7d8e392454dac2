"""What breaks the tracking plan, what is put aside for it, and how that comes back.

It works on the workspace's files, and through the server where one runs: only that can tell its worker of new events.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import httpx
import msgspec

from triggerfish.adapters.sqlite.quarantine import SqliteQuarantine
from triggerfish.cli import BROKEN, json_option, print_json, workspace_option
from triggerfish.clock import WallClock
from triggerfish.compose import load_workshop, prepare
from triggerfish.config import Settings, load_settings
from triggerfish.errors import Refused, SettingsWrong
from triggerfish.plan import TYPES, Checks
from triggerfish.quarantine import Fix, Released, is_storable, judge_by
from triggerfish.rulefile.problems import printable
from triggerfish.web.plan import Discard, QuarantinedView, Replay, ViolationView, count_view, view_of

T = TypeVar("T")
Pairs = tuple[str, ...]

event_option = click.option("--event", help="Only events of this name.")


@click.command()
@workspace_option
@json_option
def violations(workspace: Path, as_json: bool) -> None:
    """In which ways events broke the tracking plan, the most frequent first, with examples."""
    with open_quarantine(load_settings(workspace.resolve(), os.environ)) as held:
        found = [count_view(one) for one in held.violations()]
        size = held.size()
    if as_json:
        print_json(found)
        return
    for line in tell_violations(found, size):
        click.echo(line)


@click.command()
@event_option
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many at most.")
@workspace_option
@json_option
def quarantine(event: str | None, limit: int, workspace: Path, as_json: bool) -> None:
    """The events that the tracking plan put aside, newest first; --json shows them whole."""
    with open_quarantine(load_settings(workspace.resolve(), os.environ)) as held:
        found = [view_of(each) for each in held.listed(limit, event=event)]
        size = held.size()
    if as_json:
        print_json(found)
        return
    for line in tell_quarantine(found, size):
        click.echo(line)


@click.command()
@event_option
@click.option("--drop", multiple=True, metavar="FIELD", help="Leave a field out.")
@click.option("--rename", multiple=True, metavar="OLD=NEW", help="Give a field another name.")
@click.option(
    "--set", "changes", multiple=True, metavar="FIELD=TYPE|VALUE",
    help='Convert a field to text, number, boolean or list; or set it to a value, as JSON: currency="EUR".',
)  # fmt: skip
@click.option("--name", default="", metavar="EVENT", help="Give the events another name.")
@workspace_option
@json_option
@click.pass_context
def replay(
    ctx: click.Context,
    event: str | None,
    drop: Pairs,
    rename: Pairs,
    changes: Pairs,
    name: str,
    workspace: Path,
    as_json: bool,
) -> None:
    """Look at what was put aside again, by the present plan and perhaps mended.

    What passes goes into the log, with its own message ids and times, in the transaction that takes it out of the
    quarantine. FIELD is a property's name, or "traits." and a trait's. Exit code 1: some events stay.
    """
    asked = Replay(event, fix_of(drop, rename, changes, name))
    released = replay_stored(load_settings(workspace.resolve(), os.environ), asked)
    if as_json:
        print_json(released)
    else:
        for line in tell_released(released):
            click.echo(line)
    if released.kept:
        ctx.exit(BROKEN)


@click.command()
@event_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@workspace_option
@json_option
def discard(event: str | None, yes: bool, workspace: Path, as_json: bool) -> None:
    """Delete quarantined events for good."""
    what = f'the events "{event}" in the quarantine' if event else "all events in the quarantine"
    if not yes:
        click.confirm(f"Delete {what} for good?", abort=True, err=True)
    settings = load_settings(workspace.resolve(), os.environ)
    answer = ask_server(settings, "discard", Discard(event), dict[str, int])
    if answer is None:
        with open_quarantine(settings) as held:
            answer = {"discarded": held.discard(event=event)}
    if as_json:
        print_json(answer)
    else:
        click.echo(f"Deleted {_events(answer['discarded'])}.")


def replay_stored(settings: Settings, asked: Replay) -> Released:
    """Replay through the running server, else on the files, by the plan of the rule files as they are.

    Raises RulebookBroken when those cannot be used, and Refused (TF609) when the server says no.
    """
    answer = ask_server(settings, "replay", asked, Released)
    if answer is not None:
        return answer
    checks = Checks(load_workshop(settings).rulebook.plan)
    clock = WallClock()
    with open_quarantine(settings) as held:
        return held.release(
            judge_by(checks, asked.fix),
            lambda event: clock.receipt_of(event.timestamp, clock.wall()),
            event=asked.event,
        )


def fix_of(drop: Sequence[str], rename: Sequence[str], changes: Sequence[str], name: str = "") -> Fix:
    """The options as a Fix. Raises Refused (TF609) for one that cannot be read."""
    convert: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for field, what in (_pair(each, "--set", "--set total=number") for each in changes):
        if what in TYPES:
            convert[field] = what
            continue
        try:
            values[field] = msgspec.json.decode(what)
        except msgspec.DecodeError as error:
            raise Refused(
                f'--set {field}: "{what}" is neither a type nor JSON',
                code="TF609",
                expected=f"one of {', '.join(TYPES)}, or a value as JSON",
                hint=f"text is written in double quotes: --set '{field}=\"{what}\"'",
            ) from error
    renamed = dict(_pair(each, "--rename", "--rename ttl=total") for each in rename)
    fix = Fix(tuple(drop), renamed, convert, values, name)
    if not is_storable(fix):
        raise Refused("a number after --set is too large", code="TF609", expected="at most 64 bits")
    return fix


def _pair(text: str, option: str, example: str) -> tuple[str, str]:
    field, equals, what = text.partition("=")
    if not equals or not field.strip() or not what.strip():
        raise Refused(f'{option} "{text}" is no pair', code="TF609", expected=f"as in  {example}")
    return field.strip(), what.strip()


@contextlib.contextmanager
def open_quarantine(settings: Settings) -> Iterator[SqliteQuarantine]:
    """The workspace's quarantine. Raises SettingsWrong (TF412) when nothing was ever stored."""
    if not settings.log_path.is_file():
        raise SettingsWrong(
            f"nothing is stored in {settings.workspace} yet: there is no {settings.log_path.name}",
            code="TF412",
            hint="start the server (triggerfish serve) and send it events, or name another --workspace",
        )
    if server_address(settings) is None:
        # A log of before this version has no quarantine yet; a server that runs has seen to that.
        prepare(settings)
    with contextlib.closing(SqliteQuarantine(settings.log_path)) as held:
        yield held


def server_address(settings: Settings) -> str | None:
    """Where the workspace's server listens, as its lock file says; None when none runs."""
    with contextlib.suppress(OSError, ValueError):
        pid, _, address = (settings.data_path / "serve.lock").read_text().strip().partition(" ")
        os.kill(int(pid), 0)
        return address or None
    return None


def ask_server(settings: Settings, verb: str, asked: object, form: type[T]) -> T | None:
    """What the running server answers to POST /v1/quarantine/{verb}; None when none runs. Raises Refused (TF609)."""
    address = server_address(settings)
    if address is None:
        return None
    headers = {"Authorization": f"Bearer {settings.keys.admin.reveal()}", "Content-Type": "application/json"}
    try:
        with httpx.Client(timeout=600.0, trust_env=False) as client:
            answer = client.post(f"{address}/v1/quarantine/{verb}", content=msgspec.json.encode(asked), headers=headers)
    except httpx.ConnectError:
        return None
    except httpx.HTTPError as error:
        raise Refused(f"the server at {address} did not answer: {error}", code="TF609", hint="try again") from error
    if answer.status_code != 200:
        sentence = f"the server at {address} answered {answer.status_code}: {answer.text[:300]}"
        raise Refused(sentence, code="TF609", hint="is it the server of this workspace, and of this version?")
    return msgspec.json.decode(answer.content, type=form)


# --- what people read -------------------------------------------------------------------------------------------------


def tell_violations(found: Sequence[ViolationView], size: int) -> Iterator[str]:
    """The counts as lines for a terminal."""
    if not found:
        yield "No event has broken the tracking plan."
        return
    for one in found:
        outcomes = ((one.refused, "refused"), (one.quarantined, "put aside"), (one.warned, "taken with a note"))
        counts = ", ".join(f"{number:,} {word}" for number, word in outcomes if number)
        yield printable(f"{one.event}  {one.field or 'the event'}: {one.what}  {counts}, last at {one.last_at}")
        for example in one.examples:
            value = example.value or one.what
            yield printable(f"    {value}  (message {example.message_id}, {example.at})")
    yield ""
    yield f"{_events(size)} in the quarantine."


def tell_quarantine(found: Sequence[QuarantinedView], size: int) -> Iterator[str]:
    """The events as lines for a terminal."""
    for held in found:
        why = "; ".join(each.sentence for each in held.why)
        yield printable(f"{held.id}  {held.at}  {held.event['name']}  (message {held.event['message_id']})")
        yield printable(f"    {why}")
    more = f", {size - len(found):,} more (--limit)" if size > len(found) and found else ""
    yield f"{_events(size)} in the quarantine{more}."


def tell_released(released: Released) -> Iterator[str]:
    yield f"{_events(released.released)} went into the log, {released.kept:,} stay in the quarantine."
    for sentence, number in released.reasons.items():
        yield printable(f"    {number:,} because {sentence}")


def _events(number: int) -> str:
    return "1 event" if number == 1 else f"{number:,} events"
