"""Instants of tests: written from the start, from the line before, before the start, or as local time."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggerfish.clock import DAY, HOUR, MINUTE
from triggerfish.rulefile.trial_time import local_instant, parse_instant, say_instant, say_offset

BERLIN = ZoneInfo("Europe/Berlin")
START = 1_767_600_000_000
"""2026-01-05 09:00 in Berlin, a Monday."""


@pytest.mark.parametrize(
    ("text", "after_start"),
    [
        ("0m", 0),
        ("0", 0),
        ("0 days", 0),
        ("30m", 30 * MINUTE),
        ("2d 1h", 2 * DAY + HOUR),
        ("+10m", HOUR + 10 * MINUTE),
        ("+0m", HOUR),
        ("-40 days", -40 * DAY),
        ("- 1h", -HOUR),
        ("2026-01-05 09:30", 30 * MINUTE),
        ("2026-01-05T09:30:01", 30 * MINUTE + 1_000),
        ("2026-01-04 09:00", -DAY),
    ],
)
def test_each_way_of_writing_means_its_instant(text: str, after_start: int) -> None:
    assert parse_instant(text, START, START + HOUR, BERLIN) - START == after_start


@pytest.mark.parametrize(
    "text",
    ["", "soon", "+", "1", "10", "12:00", "2026-13-01 09:00", "2026-01-05 24:00", "2026-01-05 9:00", "1h +2h", "- -1h"],
)
def test_anything_else_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        parse_instant(text, START, START, BERLIN)


def test_local_times_follow_the_clocks() -> None:
    before, after = local_instant("2026-03-28 09:00", BERLIN), local_instant("2026-03-29 09:00", BERLIN)
    assert before is not None
    assert after is not None
    assert after - before == 23 * HOUR
    assert local_instant("2026-03-29 02:30", BERLIN) == local_instant("2026-03-29 03:00", BERLIN)


@given(st.integers(min_value=-3_650 * DAY, max_value=3_650 * DAY))
def test_what_is_said_of_an_offset_means_that_offset(offset: int) -> None:
    assert parse_instant(say_offset(offset), START, START, BERLIN) - START == offset


def test_an_instant_is_said_as_weekday_local_time_and_offset() -> None:
    assert say_instant(START + 30 * MINUTE, START, BERLIN) == "mon 2026-01-05 09:30, 30m"
    assert say_instant(START + 1_500, START, BERLIN) == "mon 2026-01-05 09:00:01.500, 1s 500ms"
