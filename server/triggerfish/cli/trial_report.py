"""How results of rule tests look on a terminal: dots, failures with what happened, coverage, a last line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from triggerfish.rulefile.coverage import Coverage, Item
from triggerfish.rulefile.problems import Problem, printable
from triggerfish.rulefile.trial import Failure, Result, Results

WIDTH = 78


class Dots:
    """Prints a line a file, and a dot or an F a test, as the results come."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._file = ""

    def __call__(self, result: Result) -> None:
        if result.file != self._file:
            self._write(("\n" if self._file else "") + f"{result.file} ")
            self._file = result.file
        self._write("." if result.has_passed else "F")

    def end(self) -> None:
        """End the last line."""
        if self._file:
            self._write("\n")


def failures(results: Sequence[Result]) -> Iterator[str]:
    """Lines for each test that failed: every expectation that was not met, and the timeline that explains it."""
    failed = [result for result in results if not result.has_passed]
    if failed:
        yield ""
        yield " FAILURES ".center(WIDTH, "=")
    for result in failed:
        yield f" {printable(result.name)} ".center(WIDTH, "_")
        for failure in result.failures:
            yield from _failure(result, failure)
        yield "  what happened until then (local time, and how long after the start):"
        for line in result.failures[-1].timeline or ("nothing",):
            yield f"    {printable(line)}"
        yield ""


def _failure(result: Result, failure: Failure) -> Iterator[str]:
    shown = Problem(
        path=result.file, line=failure.line, column=failure.column, code=failure.key,
        sentence=f"at {failure.when}", source=failure.source, width=failure.width, skipped=failure.skipped,
    )  # fmt: skip
    yield shown.render()
    yield f"  expected: {printable(failure.expected)}"
    yield f"  actual:   {printable(failure.actual)}"
    yield ""


def coverage_lines(coverage: Coverage, *, is_listed: bool) -> Iterator[str]:
    """How much was reached; and, if they are to be listed, each thing that was not."""
    missed = coverage.missed
    if is_listed and missed:
        yield " NOT REACHED ".center(WIDTH, "=")
        for item in missed:
            yield not_reached(item)
            yield ""
    reached = len(coverage.items) - len(missed)
    tail = "" if not missed else f"; {len(missed)} not reached" + ("" if is_listed else " (--cover lists them)")
    yield f"coverage {floored(coverage.percent)} %: {reached} of {len(coverage.items)}{tail}"


def floored(percent: float) -> str:
    """Never more than it is: 99.96 is 99.9, and 100 is 100."""
    return "100" if percent >= 100 else f"{int(percent * 10) / 10:.1f}"


def not_reached(item: Item) -> str:
    """An item as a problem is shown."""
    return Problem(
        path=item.path, line=item.line, column=item.column, code=item.kind, sentence=item.missing, within=item.within,
        source=item.source, width=item.width,
    ).render()  # fmt: skip


def last_line(results: Results, problems: int, seconds: float) -> str:
    """`1 failed, 12 passed in 0.21 s`."""
    failed = len(results.failed)
    passed = len(results.results) - failed
    parts = [f"{failed} failed"] * bool(failed) + [f"{passed} passed"]
    parts += [f"{problems} problem{'s' if problems != 1 else ''} in test files"] * bool(problems)
    return f" {', '.join(parts)} in {seconds:.2f} s ".center(WIDTH, "=")
