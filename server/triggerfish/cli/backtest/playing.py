"""What `backtest` and `diff` have in common: their options, the period that they name, playing with a progress bar."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from msgspec import Struct

from triggerfish.adapters.sqlite.log import SqliteEventLog
from triggerfish.cli.progress import events_bar
from triggerfish.clock import DAY, Instant, WallClock, from_datetime, parse_duration, to_iso
from triggerfish.config import Settings
from triggerfish.errors import NotFound, Refused, SettingsWrong
from triggerfish.processes.backtesting import Backtest, Task, run
from triggerfish.processes.drafts import Draft
from triggerfish.processes.survey import ClockName, Survey
from triggerfish.rulefile.backtest import Period, period_of
from triggerfish.zones import Zones, instant_of

LONGEST_PERIOD = 3_660 * DAY

F = TypeVar("F", bound=Callable[..., Any])


class Wish(Struct, frozen=True):
    """What the options ask for, as they were given."""

    since: str
    until: str
    clock: ClockName
    sample: int
    processes: int | None


class Played(Struct, frozen=True):
    """A backtest, and how long it took."""

    backtest: Backtest
    seconds: float


def period_options(command: F) -> F:
    """`--since`, `--until`, `--clock`, `--sample`, `--processes`; passed under these names."""
    for option in reversed(
        (
            click.option(
                "--since", default="30d", show_default=True,
                help='Where the period begins: a length before its end ("30d"), a day, an instant, or "all".',
            ),
            click.option(
                "--until", default="", show_default="the newest stored event",
                help='Where it ends: a day or an instant, such as 2026-01-31 or 2026-01-31T09:00; or "now".',
            ),
            click.option(
                "--clock", type=click.Choice(["received", "event"]), default="received", show_default=True,
                help="Play events when they were received, or when they happened (for history that was imported).",
            ),
            click.option(
                "--sample", type=click.IntRange(0, 100), default=5, show_default=True,
                help="How many people are named as examples.",
            ),
            click.option(
                "--processes", type=click.IntRange(1, 256), show_default="as many as there are cores",
                help="Processes that play at the same time.",
            ),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def play(settings: Settings, drafts: Sequence[Draft], wish: Wish, time_zone: str, *, is_quiet: bool) -> Played:
    """Play the workspace's log under one draft or two, with a progress bar unless `is_quiet`. Days, and times without a
    zone, are those of `time_zone`.

    Raises SettingsWrong (TF412), NotFound (TF620: nothing is stored), Refused (TF621: no such period) and Unavailable.
    """
    if not settings.log_path.is_file():
        raise SettingsWrong(
            f"nothing is stored in {settings.workspace} yet: there is no {settings.log_path.name}",
            code="TF412",
            hint="start the server (triggerfish serve) and send it events, or name another --workspace",
        )
    began = time.monotonic()
    until = parse_until(wish.until, time_zone)
    with (
        tempfile.TemporaryDirectory(prefix="triggerfish-backtest-") as folder,
        events_bar("Reading", is_quiet=is_quiet) as show,
    ):
        survey = Survey(Path(folder))
        with contextlib.closing(SqliteEventLog(settings.log_path)) as log:
            survey.read(log, wish.clock, until, lambda done, total: show("Reading", done, total))
        if survey.first is None or survey.last is None:
            sentence = "no events are stored" + (f" from before {to_iso(until)}" if until is not None else "")
            raise NotFound(sentence, code="TF620", hint="see: triggerfish replay, or choose another --until")
        period = _period(wish.since, survey.first, survey.last + 1 if until is None else until, time_zone)
        task = Task(
            log_path=settings.log_path,
            drafts=tuple(drafts),
            tables=frozenset(settings.plugins),
            channel=settings.delivery.channel,
            period=period,
            sample=wish.sample,
        )
        found = run(task, survey, lambda done, total: show("Playing", done, total), processes=wish.processes)
    return Played(found, time.monotonic() - began)


def parse_until(text: str, time_zone: str) -> Instant | None:
    """The end of the period; None is that of the log. Raises Refused (TF621)."""
    if not text:
        return None
    return WallClock().now() if text == "now" else _instant(text, time_zone, "--until")


def _period(since: str, first: Instant, until: Instant, time_zone: str) -> Period:
    if since == "all":
        start = first
    else:
        try:
            start = until - parse_duration(since)
        except ValueError:
            start = _instant(since, time_zone, "--since")
    if not 0 <= until - LONGEST_PERIOD <= start < until:
        raise Refused(
            f"the period would be from {since} to {to_iso(until)}",
            code="TF621",
            expected="a beginning before the end, and at most ten years between them",
        )
    return period_of(start, until, time_zone)


def _instant(text: str, time_zone: str, option: str) -> Instant:
    """A day begins at midnight; a time without a zone is local."""
    zone = Zones(time_zone).default
    try:
        if len(text) == len("2026-01-31"):
            return instant_of(date.fromisoformat(text), 0, zone)
        when = datetime.fromisoformat(text)
        return from_datetime(when if when.tzinfo is not None else when.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        expected = '"30d", "2026-01-31", "2026-01-31T09:00"'
        raise Refused(f'"{text}" is no time for {option}', code="TF621", field=option, expected=expected) from None
