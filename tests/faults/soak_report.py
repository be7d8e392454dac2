"""What a soak saw: as figures, as a table for the screen, and as the one that docs/faults.md shows."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measuring import machine

from faults.flatness import growth, slope
from faults.soaking import Load, Sampler

FROM, TO = "<!-- make soak -->", "<!-- /make soak -->"
"""Between these lines of a document stands the last run."""
COLUMNS = ("first", "median", "most", "last", "growth", "allowed", "an hour")


def series_of(sampler: Sampler, since: float, allowed: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Each series: as it began, at most, and over the time that is judged, from `since` on. `allowed` tells by the end
    of a series' name what the trend may make of it.
    """
    series = {}
    for name, values in sorted(sampler.series.items()):
        times, judged = sampler.window(name, since)
        if judged:
            most = [value for end, value in allowed.items() if name.endswith(end)]
            series[name] = {
                "first": round(values[0], 2),
                "median": round(statistics.median(judged), 2),
                "most": round(max(values), 2),
                "last": round(judged[-1], 2),
                "growth": round(growth(times, judged), 3),
                "allowed": round(max(most), 2) if most else float("inf"),
                "an hour": round(slope(times, judged) * 3600, 2),
                "points": len(judged),
            }
    return series


def report_of(load: Load, top: float, done: dict[str, int], visits: int, sampler: Sampler) -> dict[str, Any]:
    """What happened, but for the series."""
    return {
        "top events/s": round(top), "load events/s": round(load.rate or 0.0), "events": load.events,
        "messages wanted": sum(load.acked.values()), "opens and clicks": visits, "happened": done,
        "refused": dict(load.refused), "unready": sorted(set(sampler.readings)),
    }  # fmt: skip


def table(report: Mapping[str, Any]) -> list[str]:
    """The report for a screen."""
    head = [f"  {name}: {value}" for name, value in report.items() if name != "series"]
    lines = [f"  {'':<24}" + "".join(f"{each:>12}" for each in COLUMNS)]
    for name, row in report["series"].items():
        lines.append(f"  {name:<24}" + "".join(f"{row[each]:>12,.2f}" for each in COLUMNS))
    return head + lines


def document(report: Mapping[str, Any]) -> list[str]:
    """The report for docs/faults.md, with machine and date."""
    here = machine()
    happened = ", ".join(f"{count} {what}" for what, count in report["happened"].items())
    refused = ", ".join(f"{count} × {what}" for what, count in report["refused"].items()) or "nothing"
    rates = f"{report['load events/s']:,} events/s, half of the {report['top events/s']:,} that it took just before"
    lines = [
        f"The soak of {time.strftime('%Y-%m-%d', time.gmtime())}: {here['cores']} cores ({here['cpu']}),",
        f"Python {here['python']}; {report['minutes']:.0f} minutes at {rates};",
        f"{report['events']:,} events, {report['messages wanted']:,} messages,",
        f"{report['opens and clicks']:,} opens and clicks; {happened}; refused, and sent again: {refused}.",
        "Every event was decided once, and no message left twice. Judged are the last minutes,",
        f"{report['judged minutes']:.1f} of them:",
        "",
        "| | median | most, ever | trend over the judged minutes | allowed |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, row in report["series"].items():
        allowed = "" if row["allowed"] == float("inf") else f"{row['allowed']:,.0f}"
        lines.append(f"| {name} | {row['median']:,.1f} | {row['most']:,.1f} | {row['growth']:+,.1f} | {allowed} |")
    return lines


def write_into(path: Path, lines: Sequence[str]) -> None:
    """Put the lines in their place in a document, which has to have one; all the rest of it stays as it is."""
    before, _, rest = path.read_text().partition(FROM)
    _, mark, after = rest.partition(TO)
    assert mark, f"{path} has no place between {FROM} and {TO}"
    fresh = path.with_suffix(".new")
    fresh.write_text(before + "\n".join([FROM, "", *lines, "", TO]) + after)
    fresh.replace(path)
