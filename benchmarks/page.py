"""Put the figures of benchmarks/last.json into docs/performance.md: `python -m benchmarks.page`."""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchmarks.measuring import Summary, table
from benchmarks.streams import ROOT

PAGE = ROOT / "docs" / "performance.md"
LAST = Path(__file__).parent / "last.json"
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"


class Told(msgspec.Struct):
    """What `python -m benchmarks` wrote."""

    machine: dict[str, object]
    repeats: int
    figures: dict[str, list[Summary]]


def figures(told: Told) -> str:
    about = told.machine
    load = ", ".join(str(each) for each in about["load_average"])  # type: ignore[attr-defined]
    machine = f"{about['cpu']}, {about['cores']} cores, {about['memory_gb']} GB, {about['system']}"
    lines = [
        f"{about['date']}, {machine}, Python {about['python']}; {told.repeats} runs each; load at the start {load}.\n"
    ]
    lines += [f"### {name}\n\n{table(summaries)}\n" for name, summaries in told.figures.items()]
    return "\n" + "\n".join(lines) + "\n"


def main() -> None:
    told = msgspec.json.decode(LAST.read_bytes(), type=Told)
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + BEGIN + figures(told) + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
