"""When something recurs by the calendar: every local time exactly once, through every change of the clocks."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggerfish.clock import DAY, HOUR, MINUTE, from_datetime, to_iso
from triggerfish.timetable import Anniversary, day_of, parse_timetable

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"]


def instant(text: str) -> int:
    return from_datetime(datetime.fromisoformat(text).astimezone(UTC))


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("monday 09:00", "2026-11-22T12:00+00:00", "2026-11-23T08:00:00.000Z"),
        ("monday 09:00", "2026-11-23T09:00+01:00", "2026-11-30T08:00:00.000Z"),
        ("every day 09:00", "2026-11-23T08:59:59+01:00", "2026-11-23T08:00:00.000Z"),
        ("09:00", "2026-11-23T08:59:59+01:00", "2026-11-23T08:00:00.000Z"),
        ("weekday 18:30", "2026-11-27T18:30+01:00", "2026-11-30T17:30:00.000Z"),
        ("every weekend 10:00", "2026-11-23T00:00+01:00", "2026-11-28T09:00:00.000Z"),
        ("monday, thursday 07:05", "2026-11-23T07:05+01:00", "2026-11-26T06:05:00.000Z"),
        ("month day 1 08:00", "2026-11-22T12:00+01:00", "2026-12-01T07:00:00.000Z"),
        ("month day 31 08:00", "2026-11-22T12:00+01:00", "2026-11-30T07:00:00.000Z"),
        ("month last day 08:00", "2027-02-27T12:00+01:00", "2027-02-28T07:00:00.000Z"),
        # The clocks go forward from 02:00 to 03:00, and back from 03:00 to 02:00.
        ("sunday 02:30", "2027-03-27T12:00+01:00", "2027-03-28T01:00:00.000Z"),
        ("sunday 02:30", "2026-10-24T12:00+02:00", "2026-10-25T00:30:00.000Z"),
        ("sunday 02:30", "2026-10-25T02:30+02:00", "2026-11-01T01:30:00.000Z"),
    ],
)
def test_a_timetable_tells_its_next_instant(text: str, after: str, expected: str) -> None:
    assert to_iso(parse_timetable(text).next(instant(after), BERLIN)) == expected


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "time of day"),
        ("monday", "time of day"),
        ("monday 9:00", "time of day"),
        ("monday 24:00", "time of day"),
        ("moonday 09:00", "moonday"),
        ("month 09:00", "day of the month"),
        ("month day 0 09:00", "day of the month"),
        ("month day 32 09:00", "day of the month"),
        ("1st 09:00", "1st"),
    ],
)
def test_what_is_no_timetable_is_refused_with_what_is_wrong(text: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        parse_timetable(text)


@given(
    st.sampled_from(["every day", "monday", "weekday", "month day 31", "month last day", "month day 29"]),
    st.integers(0, 1_439),
    st.sampled_from(ZONES),
    st.integers(0, 4 * 366),
)
def test_next_never_skips_and_never_repeats(days: str, minute: int, zone_name: str, day: int) -> None:
    """From any instant on, stepping from one to the next comes to exactly the days on which it is."""
    zone = ZoneInfo(zone_name)
    timetable = parse_timetable(f"{days} {minute // 60:02d}:{minute % 60:02d}")
    at = from_datetime(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day))
    for _ in range(5):
        following = timetable.next(at, zone)
        assert following > at
        assert timetable.next(following - 1, zone) == following, "asked just before, it is the same one"
        assert timetable.next((at + following) // 2, zone) == following, "and from anywhere between"
        at = following


@pytest.mark.parametrize(
    ("anniversary", "value", "after", "expected"),
    [
        (Anniversary("b", 540), "1990-12-24", "2026-11-22T12:00+01:00", "2026-12-24T08:00:00.000Z"),
        (Anniversary("b", 540, -3 * DAY), "1990-12-24", "2026-11-22T12:00+01:00", "2026-12-21T08:00:00.000Z"),
        (Anniversary("b", 540, -3 * DAY), "1990-01-02", "2026-11-22T12:00+01:00", "2026-12-30T08:00:00.000Z"),
        (Anniversary("b", 540, -3 * DAY), "1990-01-02", "2026-12-30T09:00+01:00", "2027-12-30T08:00:00.000Z"),
        (Anniversary("b", 540, 30 * DAY), "1990-12-24", "2026-12-25T12:00+01:00", "2027-01-23T08:00:00.000Z"),
        (Anniversary("b", 540), "1992-02-29", "2026-11-22T12:00+01:00", "2027-02-28T08:00:00.000Z"),
        (Anniversary("b", 540), "1992-02-29T10:00:00Z", "2027-11-22T12:00+01:00", "2028-02-29T08:00:00.000Z"),
        (Anniversary("b", 540, repeat="monthly"), "2026-01-31", "2026-11-22T12:00+01:00", "2026-11-30T08:00:00.000Z"),
        (Anniversary("b", 540, repeat="monthly"), "2030-01-31", "2026-11-22T12:00+01:00", "2030-01-31T08:00:00.000Z"),
        (Anniversary("b", 540), "2030-05-05", "2026-11-22T12:00+01:00", "2030-05-05T07:00:00.000Z"),
        (Anniversary("b", 540, repeat="once"), "2026-12-01", "2026-11-22T12:00+01:00", "2026-12-01T08:00:00.000Z"),
        (Anniversary("b", 540, repeat="once"), "2026-12-01", "2026-12-01T09:00+01:00", None),
        (Anniversary("b", 540), "soon", "2026-11-22T12:00+01:00", None),
        (Anniversary("b", 540), "1990-02-30", "2026-11-22T12:00+01:00", None),
        (Anniversary("b", 540), None, "2026-11-22T12:00+01:00", None),
        (Anniversary("b", 540), True, "2026-11-22T12:00+01:00", None),
        (Anniversary("b", 540, repeat="once"), "9999-12-31", "2026-11-22T12:00+01:00", "9999-12-31T08:00:00.000Z"),
        (Anniversary("b", 540, 5 * DAY, repeat="once"), "9999-12-31", "2026-11-22T12:00+01:00", None),
    ],
)
def test_a_date_tells_its_next_instant(
    anniversary: Anniversary, value: object, after: str, expected: str | None
) -> None:
    at = anniversary.next(value, instant(after), BERLIN)
    assert (None if at is None else to_iso(at)) == expected


@given(
    st.dates(min_value=datetime(1950, 1, 1).date(), max_value=datetime(2035, 1, 1).date()),  # noqa: DTZ001
    st.integers(-400, 400),
    st.sampled_from(["yearly", "monthly"]),
    st.sampled_from(ZONES),
)
def test_a_date_recurs_without_a_gap(day, shift: int, repeat, zone_name: str) -> None:
    zone = ZoneInfo(zone_name)
    anniversary = Anniversary("b", 540, shift * DAY, repeat)
    at = from_datetime(datetime(2036, 6, 1, tzinfo=UTC))
    longest = (366 if repeat == "yearly" else 31) * DAY + 2 * HOUR
    for _ in range(4):
        following = anniversary.next(day.isoformat(), at, zone)
        assert following is not None
        assert at < following <= at + longest
        assert anniversary.next(day.isoformat(), following - 1, zone) == following
        at = following


def test_a_number_is_milliseconds_and_its_day_is_the_persons() -> None:
    late = instant("2026-11-22T23:30+01:00") + 40 * MINUTE
    assert str(day_of(late, BERLIN)) == "2026-11-23"
    assert str(day_of(late, NEW_YORK)) == "2026-11-22"
    assert day_of(-1, BERLIN) is None
    assert day_of(float("nan"), BERLIN) is None
    assert day_of(10**30, BERLIN) is None
