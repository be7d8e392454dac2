"""`triggerfish plan infer`: a first tracking plan, from what the log holds."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from triggerfish.adapters.sqlite.log import SqliteEventLog
from triggerfish.cli import json_option, print_json, workspace_option
from triggerfish.cli.plan.observe import Observed
from triggerfish.cli.plan.writing import Known, events_text, traits_text
from triggerfish.config import Settings, load_settings
from triggerfish.errors import Refused, SettingsWrong
from triggerfish.log import EventLog
from triggerfish.plan import Plan, PlannedEvent
from triggerfish.rulefile.check import check_files
from triggerfish.rulefile.folder import read_folder
from triggerfish.rulefile.reading import SIZE_LIMIT

READ = 5_000
"""Events of the log that are read at a time."""
EVENTS, TRAITS = "events.yaml", "traits.yaml"
_OF_A_PLAN = {"events", "traits", "plan", "description"}


class Inferred(Struct, frozen=True):
    """What was written: the files, from how many events, and the plan itself."""

    files: list[str]
    events: int
    left_out: int
    plan: Plan


@click.command()
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Write into this folder.  [default: rules]"
)
@click.option("--force", is_flag=True, help="Replace files that are there; the old ones are kept as *.before.")
@click.option("--print", "prints", is_flag=True, help="Print the plan and write nothing.")
@workspace_option
@json_option
def infer(out: Path | None, force: bool, prints: bool, workspace: Path, as_json: bool) -> None:
    """Write a first tracking plan (events.yaml and traits.yaml) from the stored events.

    Types, what is always there, the values where there are few, and a guess at what is personal. Short names that the
    rule files have are kept. What it writes warns only: look through it before you let it refuse anything.
    """
    settings = load_settings(workspace.resolve(), os.environ)
    folder = settings.rules_path if out is None else out
    known = known_names(settings.rules_path, folder)
    if not prints:
        check_free(folder, force=force)
    with open_log(settings) as log:
        observed = observe(log, is_quiet=as_json)
    texts = {EVENTS: events_text(observed, known), TRAITS: traits_text(observed, known)}
    texts = {name: text for name, text in texts.items() if text}
    for name, text in texts.items():
        if len(text.encode()) > SIZE_LIMIT:
            raise Refused(
                f"{name} would be larger than a rule file may be", code="TF609", hint="write the plan by hand"
            )
    written = [] if prints else write(folder, texts)
    if as_json:
        print_json(Inferred(written, observed.total, observed.left_out, plan_of(observed)))
        return
    if prints:
        click.echo("\n".join(texts.values()), nl=False)
    for path in written:
        click.echo(f"wrote {path}")
    if observed.left_out:
        click.echo(f"{observed.left_out:,} events of rarer names were left out", err=True)
    if written:
        click.echo(f"from {observed.total:,} events; look through it, then: triggerfish check")


@contextlib.contextmanager
def open_log(settings: Settings) -> Iterator[EventLog]:
    """The workspace's log, for reading. Raises SettingsWrong (TF412) when there is none."""
    if not settings.log_path.is_file():
        raise SettingsWrong(
            f"nothing is stored in {settings.workspace} yet: there is no {settings.log_path.name}",
            code="TF412",
            hint="start the server (triggerfish serve) and send it events, or name another --workspace",
        )
    with contextlib.closing(SqliteEventLog(settings.log_path)) as log:
        yield log


def observe(log: EventLog, *, is_quiet: bool = True) -> Observed:
    """Look at every stored event, in bounded memory."""
    observed = Observed()
    console = Console(stderr=True)
    columns = (TextColumn("Reading"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=is_quiet or not console.is_terminal) as bar:
        task = bar.add_task("", total=log.head()[0])
        position = 0
        while entries := log.read(position, READ):
            for entry in entries:
                observed.add(entry.event, entry.received_at)
            position = entries[-1].position
            bar.update(task, completed=position)
    return observed


def plan_of(observed: Observed) -> Plan:
    """What was observed, as a plan that warns."""
    events = {
        name: PlannedEvent({each: one.field(each, seen.calls) for each, one in seen.fields.items()}, "warn")
        for name, seen in observed.events.items()
    }
    traits = {name: seen.field(name, observed.traits.calls) for name, seen in observed.traits.fields.items()}
    return Plan(events, traits, "warn")


def known_names(rules: Path, folder: Path) -> Known:
    """What the rule files say already: in the files that are to be written anew, and in all others."""
    texts, _ = read_folder(rules) if rules.is_dir() else ({}, [])
    ours = {f"{rules.name}/{name}" for name in (EVENTS, TRAITS)} if folder.resolve() == rules.resolve() else set()
    known = Known()
    for form, marks in check_files(texts).files:
        if marks.path in ours:
            known.events |= form.events
            known.traits |= form.traits
            known.plan = form.plan or known.plan
        else:
            known.taken |= {
                short: event if isinstance(event, str) else event.name for short, event in form.events.items()
            }
            known.taken_traits |= form.traits.keys()
            known.has_plan_elsewhere = known.has_plan_elsewhere or form.plan is not None
    return known


def check_free(folder: Path, *, force: bool) -> None:
    """Raises Refused (TF609) when a file is there and is not to be replaced, or holds more than a plan."""
    for name in (EVENTS, TRAITS):
        path = folder / name
        if not path.exists():
            continue
        if not force:
            raise Refused(
                f"{path} is there already",
                code="TF609",
                hint="--force replaces it and keeps the old one; --print writes nothing; --out names another folder",
            )
        files = check_files({name: path.read_text(encoding="utf-8")}).files
        more = set(files[0][1].data) - _OF_A_PLAN if files else {"mistakes"}
        if more:
            raise Refused(
                f"{path} holds more than a plan ({', '.join(sorted(more))}), and is not replaced",
                code="TF609",
                hint="move the rest to another file, or name another folder with --out",
            )


def write(folder: Path, texts: Mapping[str, str]) -> list[str]:
    """Write the files; those that are there become *.before. Each is there whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in texts.items():
        path = folder / name
        fresh = path.with_name(f".{name}.new")
        fresh.write_text(text, encoding="utf-8")
        if path.exists():
            path.replace(path.with_name(f"{name}.before"))
        fresh.replace(path)
        written.append(str(path))
    return written
