"""How the results of mutation look: survivors as lines of a diff, what is listed as equivalent, a line of counts."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from triggerfish.cli.trial_report import WIDTH
from triggerfish.rulefile.mutation import MutationReport, Verdict
from triggerfish.rulefile.problems import printable


def processors() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Progress:
    """A bar on a terminal; nothing where nobody looks."""

    def __init__(self, *, is_shown: bool) -> None:
        columns = (TextColumn("trying mutants"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        is_seen = is_shown and sys.stdout.isatty()
        # No thread of its own: processes are forked while it is shown.
        self._bar = Bar(*columns, transient=True, auto_refresh=False, disable=not is_seen)
        self._task = self._bar.add_task("mutants", total=None)

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def __call__(self, done: int, total: int) -> None:
        self._bar.update(self._task, completed=done, total=total, refresh=True)


def mutation_lines(report: MutationReport) -> Iterator[str]:
    """Every survivor with what to do about it; then those listed; then the counts."""
    if report.survivors:
        yield " SURVIVORS ".center(WIDTH, "=")
    for verdict in report.survivors:
        yield from _survivor(verdict)
    for verdict in report.equivalents:
        mutant = verdict.mutant
        yield printable(f"equivalent  {mutant.path}:{mutant.line}  {mutant.old}  ->  {mutant.became}")
        yield printable(f"            {verdict.why}")
    yield counts(report)


def _survivor(verdict: Verdict) -> Iterator[str]:
    mutant = verdict.mutant
    why = "no test reaches this place" if verdict.fate == "unreached" else "no test notices this change"
    yield printable(f"{mutant.path}:{mutant.line}  {mutant.kind}: {why}")
    yield printable(f"  -   {mutant.old}")
    yield printable(f"  +   {mutant.became}")
    if mutant.within:
        yield printable(f"       in {mutant.within}")
    yield ""


def counts(report: MutationReport) -> str:
    """`262 mutants: 250 killed, 9 survived, 3 equivalent`."""
    parts = [f"{report.count('killed')} killed", f"{len(report.survivors)} survived"]
    parts += [f"{len(report.equivalents)} equivalent"] * bool(report.equivalents)
    parts += [f"{report.count('refused')} not sound"] * bool(report.count("refused"))
    return f"{len(report.verdicts)} mutants: {', '.join(parts)}"


def mutation_as_plain(report: MutationReport) -> dict[str, Any]:
    """Everything for programs."""
    return {
        "mutants": len(report.verdicts),
        "killed": report.count("killed"),
        "not_sound": report.count("refused"),
        "survivors": [_plain(verdict) for verdict in report.survivors],
        "equivalents": [_plain(verdict) | {"why": verdict.why} for verdict in report.equivalents],
    }


def _plain(verdict: Verdict) -> dict[str, Any]:
    mutant = verdict.mutant
    return {
        "file": mutant.path,
        "line": mutant.line,
        "kind": mutant.kind,
        "within": mutant.within,
        "old": mutant.old,
        "becomes": mutant.became,
        "is_reached": verdict.fate == "survived",
    }
