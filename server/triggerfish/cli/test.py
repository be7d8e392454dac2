"""`triggerfish test`: the workspace's rule tests, on a virtual clock and the production engine."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from msgspec import Struct
from msgspec.structs import replace

from triggerfish.cli import BROKEN, FINE, json_option, print_error, print_json, workspace_option
from triggerfish.cli.mutation_report import Progress, mutation_as_plain, mutation_lines, processors
from triggerfish.cli.trial_report import Dots, coverage_lines, failures, last_line
from triggerfish.cli.trying import Bench, open_bench
from triggerfish.errors import SettingsWrong, TriggerfishError
from triggerfish.rulefile.coverage import Coverage, cover
from triggerfish.rulefile.mutation import MutationReport
from triggerfish.rulefile.problems import Problem
from triggerfish.rulefile.trial import Result, Results, choose


class Asked(Struct, frozen=True):
    """What the command line asks for."""

    name: str = ""
    lists_cover: bool = False
    cover_min: float = 0
    mutates: bool = False
    jobs: int = 1
    junit: Path | None = None
    as_json: bool = False


class Ran(Struct, frozen=True):
    """One run of the tests, and what is to be said of it. `problems` are those of the test files; `mutation` is there
    when it was asked for and the tests passed.
    """

    bench: Bench
    results: Results
    coverage: Coverage
    problems: tuple[Problem, ...]
    mutation: MutationReport | None = None

    @property
    def has_failed(self) -> bool:
        survived = self.mutation is not None and bool(self.mutation.survivors)
        return bool(self.problems or self.results.failed or survived)


@click.command()
@workspace_option
@click.option("--run", "name", default="", metavar="NAME", help="Only tests with this in their name; * and ? fit any.")
@click.option("--cover", "lists_cover", is_flag=True, help="List what no test reached.")
@click.option("--cover-min", type=click.FloatRange(0, 100), default=0, help="Fail below this coverage, in percent.")
@click.option("--mutate", "mutates", is_flag=True, help="Change the rules a little, and list what no test notices.")
@click.option("--jobs", type=click.IntRange(1, 64), default=processors, help="Processes that try mutants.  [all cores]")
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), help="Write the results as JUnit XML, too.")
@click.option("--watch", "is_watching", is_flag=True, help="Run again whenever rules, templates or tests change.")
@json_option
@click.pass_context
def command(ctx: click.Context, /, workspace: Path, is_watching: bool, **asked: Any) -> None:
    """Run the tests beside the rules: rules/*.test.yaml.

    Exit code 0: all is well. 1: a test failed or cannot be read, the coverage is too low, or a mutant survived.
    """
    wanted = Asked(**asked)
    if wanted.mutates and wanted.name:
        raise click.UsageError("--mutate needs all tests: leave --run out")
    if not is_watching:
        ctx.exit(run(workspace, wanted))
    watch(workspace, lambda: run(workspace, wanted), as_json=wanted.as_json)


def run(workspace: Path, asked: Asked) -> int:
    """Run the tests once, and tell; the exit code."""
    began = time.perf_counter()
    bench = open_bench(workspace)
    dots = Dots(lambda text: click.echo(text, nl=False))
    ran = run_once(bench, asked.name, (lambda result: None) if asked.as_json else dots)
    if asked.mutates and not ran.has_failed:
        ran = mutated(ran, asked)
    if asked.junit is not None:
        write_results(asked.junit, ran)
    if asked.as_json:
        print_json(as_plain(ran))
    else:
        dots.end()
        tell(ran, asked)
        seconds = time.perf_counter() - began
        click.echo(last_line(ran.results, len(ran.problems), seconds))
    is_short = not asked.name and ran.coverage.percent < asked.cover_min
    return BROKEN if ran.has_failed or is_short else FINE


def run_once(bench: Bench, name: str, told: Callable[[Result], None]) -> Ran:
    """Run the tests whose name fits. Raises SettingsWrong (TF619) when there is none of that name."""
    results = bench.run(choose(name), told)
    if name and not results.results and not results.problems:
        raise SettingsWrong(f'no test is called "{name}"', code="TF619", hint="a part of the name is enough")
    problems = tuple(sorted([*bench.problems, *results.problems]))
    return Ran(bench, results, cover(bench.workshop.rulebook, bench.rules, results.recorder), problems)


def mutated(ran: Ran, asked: Asked) -> Ran:
    """Try every mutant against the tests, which all pass."""
    with Progress(is_shown=not asked.as_json) as progress:
        report = ran.bench.mutate(ran.results, jobs=asked.jobs, told=progress)
    return replace(ran, mutation=report, problems=tuple(sorted([*ran.problems, *report.problems])))


def tell(ran: Ran, asked: Asked) -> None:
    """Everything for people, between the dots and the last line."""
    for problem in ran.problems:
        click.echo(problem.render() + "\n")
    for line in failures(ran.results.results):
        click.echo(line)
    if not ran.bench.tests:
        click.echo("There are no tests yet: they stand in rules/*.test.yaml, beside the rules (docs/testing.md).")
    if not asked.name:
        for line in coverage_lines(ran.coverage, is_listed=asked.lists_cover):
            click.echo(line)
        if ran.coverage.percent < asked.cover_min:
            click.echo(f"the coverage is below {asked.cover_min:g} %")
    if ran.mutation is not None:
        for line in mutation_lines(ran.mutation):
            click.echo(line)
    elif asked.mutates:
        click.echo("no mutants were made: they can be told by tests that pass only")


def as_plain(ran: Ran) -> dict[str, Any]:
    """Everything for programs."""
    missed = ran.coverage.missed
    return {
        "passed": len(ran.results.results) - len(ran.results.failed),
        "failed": len(ran.results.failed),
        "seconds": round(ran.results.seconds, 3),
        "problems": ran.problems,
        "tests": [
            {
                "name": result.name,
                "file": result.file,
                "line": result.line,
                "passed": result.has_passed,
                "seconds": round(result.seconds, 4),
                "failures": result.failures,
            }
            for result in ran.results.results
        ],
        "coverage": {
            "percent": round(ran.coverage.percent, 2),
            "items": len(ran.coverage.items),
            "missed": missed,
        },
        "mutation": None if ran.mutation is None else mutation_as_plain(ran.mutation),
    }


def write_results(path: Path, ran: Ran) -> None:
    """Write JUnit XML. Raises SettingsWrong (TF619) when it cannot be written."""
    from triggerfish.cli.junit import write_junit

    try:
        write_junit(path, ran.results.results, ran.problems)
    except OSError as error:
        sentence = f"{path} cannot be written: {error.strerror or error}"
        raise SettingsWrong(sentence, code="TF619", hint="name a file in a folder that exists") from error


def watch(workspace: Path, again: Callable[[], int], *, as_json: bool) -> None:
    """Run now, and again whenever a file of rules/ or templates/ changes; until Ctrl-C."""
    from watchfiles import watch as changes

    folders = [workspace / name for name in ("rules", "templates") if (workspace / name).is_dir()]
    _try(again, as_json=as_json)
    for _ in changes(*folders, raise_interrupt=False):
        click.echo("")
        _try(again, as_json=as_json)


def _try(again: Callable[[], int], *, as_json: bool) -> None:
    """Run once; a rulebook that is broken just now is told, and waited for."""
    try:
        again()
    except TriggerfishError as error:
        print_error(error, as_json=as_json)
