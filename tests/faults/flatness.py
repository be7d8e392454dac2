"""Whether something stays as it is: the trend of a series of measurements, whatever single ones say."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

MOST_POINTS = 300


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """The trend in units a second: the median of the slopes of all pairs of points (Theil 1950, Sen 1968). Up to 29 %
    of the points may be anything. 0.0 of fewer than two.
    """
    step = max(1, len(times) // MOST_POINTS)
    points = list(zip(times, values, strict=True))[::step]
    slopes = [
        (later - value) / (after - at)
        for place, (at, value) in enumerate(points)
        for after, later in points[place + 1 :]
        if after > at
    ]
    return statistics.median(slopes) if slopes else 0.0


def growth(times: Sequence[float], values: Sequence[float]) -> float:
    """How much the trend makes of it from the first point to the last, in the series' unit."""
    return slope(times, values) * (times[-1] - times[0]) if times else 0.0
