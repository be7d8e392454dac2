"""The last figures as pictures (SVG): events a second as one size goes up, and each goal beside what was reached.

Written by hand, so that they need nothing but a text file: lines on logarithmic axes, and bars.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from html import escape

from benchmarks.measuring import Summary, number

WIDTH, HEIGHT, MARGIN = 360, 230, 46
COLOURS = ("#0f4c5c", "#e36414", "#5f0f40")
_STYLE = (
    "<style>text{font:12px system-ui,sans-serif;fill:#222}.small{font-size:10.5px;fill:#555}.title{font-weight:600}"
    ".grid{stroke:#ddd}.axis{stroke:#888}</style>"
)
_SIZED = re.compile(r"([\d,]+) (rules|segments|profiles|pending), (.*)")

Points = Sequence[tuple[float, float]]


def curves(figures: Mapping[str, Sequence[Summary]]) -> str:
    """Small charts: one for each size that was varied."""
    by_size: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for each in (*figures.get("curves", ()), *figures.get("pending", ())):
        found = _SIZED.fullmatch(each.what)
        if found is not None:
            size, what, line = found.groups()
            points = by_size.setdefault(what, {}).setdefault(line, [])
            points.append((float(size.replace(",", "")), each.median))
    charts = []
    tall = HEIGHT + 24 + 14 * max((len(lines) for lines in by_size.values()), default=0)
    for place, (what, lines) in enumerate(by_size.items()):
        up = "µs of CPU each" if what == "pending" else "events/s a core"
        title = f"{up} against {'pending sends' if what == 'pending' else what}"
        x, y = place % 2 * WIDTH, place // 2 * tall
        charts.append(f'<g transform="translate({x} {y})">{_chart(title, lines)}</g>')
    return _svg(2 * WIDTH, -(-len(charts) // 2) * tall, "".join(charts))


def _chart(title: str, lines: Mapping[str, Points]) -> str:
    every = [point for points in lines.values() for point in points]
    low_x, high_x = _decades([x for x, _ in every])
    low_y, high_y = _decades([y for _, y in every])

    def place(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - low_x) / (high_x - low_x)
        up = (math.log10(y) - low_y) / (high_y - low_y)
        return MARGIN + across * (WIDTH - MARGIN - 20), HEIGHT - 26 - up * (HEIGHT - 56)

    parts = [f'<text class="title" x="{MARGIN}" y="18">{escape(title)}</text>']
    for power in range(low_y, high_y + 1):
        x, y = place(10**low_x, 10**power)
        parts.append(f'<line class="grid" x1="{x:.0f}" x2="{WIDTH - 20}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="small" x="{x - 5:.0f}" y="{y + 4:.1f}" text-anchor="end">{_power(power)}</text>')
    for power in range(low_x, high_x + 1):
        x, y = place(10**power, 10**low_y)
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{y:.0f}" y2="{y + 4:.0f}"/>')
        parts.append(f'<text class="small" x="{x:.1f}" y="{y + 17:.0f}" text-anchor="middle">{_power(power)}</text>')
    for at, (name, points) in enumerate(lines.items()):
        colour = COLOURS[at % len(COLOURS)] if at < 3 else "#9a8c98"
        spots = [place(x, y) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in spots]
        across, down = MARGIN, HEIGHT + 8 + at * 14
        parts.append(f'<rect x="{across}" y="{down}" width="10" height="3" fill="{colour}"/>')
        parts.append(f'<text class="small" x="{across + 15}" y="{down + 5}">{escape(name)}</text>')
    return "".join(parts)


def _decades(values: Sequence[float]) -> tuple[int, int]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _power(power: int) -> str:
    return {3: "1k", 4: "10k", 5: "100k", 6: "1M"}.get(power) or f"{10.0**power:g}"


def goals(figures: Mapping[str, Sequence[Summary]]) -> str:
    """Each goal: how many times over it was reached. What is to stay below a bound counts the other way round."""
    rows = [(name, each) for name, found in figures.items() for each in found if each.goal]
    width, left, height = 2 * WIDTH, 330, 24
    parts = ['<text class="title" x="8" y="18">goals: 1 is just reached</text>']
    low, high = -1.0, 1.0

    def across(ratio: float) -> float:
        return left + (max(low, min(high, math.log10(max(ratio, 1e-9)))) - low) / (high - low) * (width - left - 90)

    one = across(1)
    for ratio in (0.1, 0.3, 1, 3, 10):
        x = across(ratio)
        parts.append(f'<line class="{"axis" if ratio == 1 else "grid"}" x1="{x:.1f}" x2="{x:.1f}" y1="30" ')
        parts.append(f'y2="{36 + height * len(rows)}"/><text class="small" x="{x:.1f}" y="26" ')
        parts.append(f'text-anchor="middle">{ratio:g}</text>')
    for place, (name, each) in enumerate(rows):
        assert each.goal is not None
        ratio = each.goal / max(each.median, 1e-9) if each.is_bound else each.median / each.goal
        y, x = 36 + height * place, across(ratio)
        colour = COLOURS[0] if each.is_met else COLOURS[1]
        label = f"{name}: {each.what.strip()}"
        label = label if len(label) <= 58 else f"{label[:57]}…"
        parts.append(f'<text class="small" x="{left - 8}" y="{y + 15}" text-anchor="end">{escape(label)}</text>')
        parts.append(
            f'<rect x="{min(one, x):.1f}" y="{y + 5}" width="{abs(x - one):.1f}" height="13" fill="{colour}"/>'
        )
        told = f"{number(each.median)} {each.unit.split(' ')[0]}"
        parts.append(f'<text class="small" x="{max(one, x) + 6:.1f}" y="{y + 15}">{escape(told)}</text>')
    return _svg(width, 44 + height * len(rows), "".join(parts))


def _svg(width: int, height: int, inner: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f'{_STYLE}<rect width="100%" height="100%" fill="#fff"/>{inner}</svg>\n'
    )
