"""Put the figures of benchmarks/last.json into docs/performance.md and README.md, and draw them: `python -m
benchmarks.page`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks import pictures
from benchmarks.measuring import Summary, goal, number, table
from benchmarks.streams import ROOT

LAST = Path(__file__).parent / "last.json"
IMAGES = ROOT / "docs" / "img"
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"

SHOWN = {
    "front-door": ("singly, 128 connections", "in batches of 100, 16 connections"),
    "reference": ("reference workload, durable rules", "reference workload, compiled rules"),
    "whole-path": ("singly: the highest rate with flat lag", "in batches of 100: the highest rate with flat lag"),
    "latency": ("500 events/s: from the answer to the decision, half within",),
    "sending": ("all of it: mails a second and core",),
}
"""What the README shows."""


class Told(msgspec.Struct):
    """What `python -m benchmarks` wrote."""

    machine: dict[str, object]
    repeats: dict[str, int]
    spins: dict[str, list[float]]
    figures: dict[str, list[Summary]]
    begun: dict[str, str] = {}


def read() -> Told:
    return msgspec.json.decode(LAST.read_bytes(), type=Told)


def about(told: Told) -> str:
    """Where and when it was, and how quiet."""
    of = told.machine
    load = ", ".join(str(each) for each in of["load_average"])  # type: ignore[attr-defined]
    slowest = max((each for spins in told.spins.values() for each in spins), default=1.0)
    disturbed = [name for name, found in told.figures.items() if any(each.is_disturbed for each in found)]
    noise = f"a fixed piece of work took up to {slowest:.0%} of its least time between measurements"
    marked = f"; marked with ~: {', '.join(disturbed)}" if disturbed else "; nothing is marked as disturbed"
    return (
        f"{of['date']}, {of['cpu']}, {of['cores']} cores, {of['memory_gb']} GB, {of['system']}, Python {of['python']}. "
        f"Load at the start {load}; {noise}{marked}.\n"
    )


def figures(told: Told) -> str:
    """The part of docs/performance.md between the marks."""
    lines = [about(told), "![Each goal, and what was reached](img/bench-goals.svg)\n"]
    lines += ["![Events a second against rules, segments, profiles and pending sends](img/bench-curves.svg)\n"]
    lines += ["### The goals\n", _goals(told)]
    for name, summaries in told.figures.items():
        times = told.repeats.get(name, 1)
        how = f"{'Once' if times == 1 else f'{times} runs'}, begun {told.begun[name]}"
        lines.append(f"### {name}\n\n{how}.\n\n{table(summaries)}\n")
    return "\n" + "\n".join(lines) + "\n"


def _goals(told: Told) -> str:
    lines = ["| of | what | figure | goal |", "| --- | --- | --: | --- |"]
    for name, summaries in told.figures.items():
        for each in summaries:
            if each.goal is not None:
                figure = f"{number(each.median)} {each.unit}{' ~' if each.is_disturbed else ''}"
                lines.append(f"| {name} | {each.what.strip()} | {figure} | {goal(each)} |")
    return "\n".join(lines) + "\n"


def short(told: Told) -> str:
    """The part of the README between the marks."""
    lines = ["", "| what | measured | floor in the same run |", "| --- | --: | --: |"]
    is_marked = False
    for name, wanted in SHOWN.items():
        found = {each.what: each for each in told.figures.get(name, ())}
        for what in wanted:
            if what in found:
                each = found[what]
                floor = "" if each.floor is None else number(each.floor)
                mark = " ~" if each.is_disturbed else ""
                is_marked = is_marked or each.is_disturbed
                lines.append(f"| {name}: {what} | {number(each.median)}{mark} {each.unit} | {floor} |")
    of = told.machine
    lines += [
        "",
        f"On {of['cores']} cores ({of['cpu']}), {str(of['date'])[:10]}; [what was measured](docs/performance.md).",
    ]
    if is_marked:
        lines[-1] += " At ~ something else had the machine: alone it is more."
    return "\n".join([*lines, "", ""])


def between(path: Path, text: str) -> str:
    """The file with this text between its marks."""
    page = path.read_text(encoding="utf-8")
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no place for figures: {BEGIN.strip()} … {END.strip()}")
    return before + BEGIN + text + END + after


def pages(told: Told) -> Sequence[tuple[Path, str]]:
    """Every file that shows figures, as it should be."""
    return [
        (ROOT / "docs" / "performance.md", between(ROOT / "docs" / "performance.md", figures(told))),
        (ROOT / "README.md", between(ROOT / "README.md", short(told))),
        (IMAGES / "bench-curves.svg", pictures.curves(told.figures)),
        (IMAGES / "bench-goals.svg", pictures.goals(told.figures)),
    ]


def main() -> None:
    for path, text in pages(read()):
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
