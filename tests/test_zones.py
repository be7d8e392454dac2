from __future__ import annotations

import zoneinfo
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from triggerfish.clock import HOUR, from_datetime, to_datetime
from triggerfish.zones import WEEKDAYS, Local, Zones, instant_of, next_daily

DAYS = [date(2026, 1, 1) + timedelta(days=number) for number in range((date(2031, 1, 1) - date(2026, 1, 1)).days)]
TIMES = {"00:00": 0, "02:30": 150, "09:00": 540, "23:30": 1_410}


@cache
def all_zones() -> list[str]:
    """One name for each set of rules: most of the 600 names are links to others."""
    by_rules: dict[bytes, str] = {}
    for name in sorted(zoneinfo.available_timezones()):
        paths = [Path(folder) / name for folder in zoneinfo.TZPATH]
        found = next((path for path in paths if path.is_file()), None)
        rules = found.read_bytes() if found else files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()
        by_rules.setdefault(rules, name)
    return list(by_rules.values())


def wall(instant: int, zone: ZoneInfo) -> datetime:
    return to_datetime(instant).astimezone(zone).replace(tzinfo=None)


@cache
def runs_about_changes(name: str) -> list[list[date]]:
    """The days about each change of a zone's clocks, and the first of all."""
    zone = ZoneInfo(name)
    offsets = [datetime.combine(day, datetime.min.time(), UTC).astimezone(zone).utcoffset() for day in DAYS]
    runs = [DAYS[:3]]
    runs += [DAYS[max(0, at - 3) : at + 3] for at in range(1, len(DAYS)) if offsets[at] != offsets[at - 1]]
    return runs


def walk(name: str, days: list[date], minute: int) -> tuple[int, int]:
    """Follow a daily time through a run of days; gives how often it was skipped and how often it came twice."""
    zone = ZoneInfo(name)
    skipped = repeated = 0
    before = instant_of(days[0] - timedelta(days=1), minute, zone)
    fired = []
    for day in days:
        before = next_daily(before, minute, zone)
        fired.append(before)
        expected = datetime.combine(day, datetime.min.time()) + timedelta(minutes=minute)
        actual = wall(before, zone)
        if actual != expected:
            skipped += 1
            assert wall(before - 1, zone) < expected < actual, f"{name}: {day} fired at {actual}"
        elif expected in (wall(before - HOUR, zone), wall(before + HOUR, zone)):
            repeated += 1
            assert wall(before + HOUR, zone) == expected, f"{name}: the second {expected} was taken"
    if minute != TIMES["23:30"]:  # the change may skip it, and the next day begin with it
        assert [wall(instant, zone).date() for instant in fired] == days, name
    return skipped, repeated


@pytest.mark.parametrize("time", TIMES)
def test_a_daily_time_fires_once_on_every_local_day_about_changes_of_the_clocks(time):
    walks = [walk(name, run, TIMES[time]) for name in all_zones() for run in runs_about_changes(name)]
    assert len(walks) > 1_000
    if time in ("00:00", "02:30", "23:30"):
        assert sum(skipped for skipped, _ in walks) > 0
        assert sum(repeated for _, repeated in walks) > 0


@pytest.mark.long
@pytest.mark.parametrize("time", TIMES)
def test_a_daily_time_fires_once_on_every_local_day_in_every_zone(time):
    assert all(walk(name, DAYS, TIMES[time]) for name in all_zones())


def test_every_zone_is_walked_under_one_of_its_names():
    assert len(all_zones()) > 250
    assert {"Africa/Cairo", "America/Godthab", "America/Havana", "Asia/Kathmandu"} <= set(all_zones())
    assert len(runs_about_changes("Europe/Berlin")) == 1 + 10


@pytest.mark.parametrize(
    ("name", "day", "minute", "at"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 150, "2026-03-29T01:00:00+00:00"),  # 02:30 is skipped: 03:00
        ("Europe/Berlin", date(2026, 10, 25), 150, "2026-10-25T00:30:00+00:00"),  # 02:30 comes twice: the first
        ("Africa/Cairo", date(2026, 4, 24), 0, "2026-04-23T22:00:00+00:00"),  # 00:00 is skipped: 01:00
        ("America/Havana", date(2026, 11, 1), 30, "2026-11-01T04:30:00+00:00"),  # 00:30 comes twice: the first
        ("Australia/Lord_Howe", date(2026, 10, 4), 135, "2026-10-03T15:30:00+00:00"),  # half an hour is skipped
        ("Asia/Kathmandu", date(2026, 6, 1), 540, "2026-06-01T03:15:00+00:00"),
        ("UTC", date(2026, 6, 1), 0, "2026-06-01T00:00:00+00:00"),
    ],
)
def test_gaps_mean_the_change_and_overlaps_the_first(name, day, minute, at):
    assert instant_of(day, minute, ZoneInfo(name)) == from_datetime(datetime.fromisoformat(at))


def test_a_time_skipped_at_the_end_of_a_day_fires_as_the_next_begins():
    zone = ZoneInfo("America/Nuuk")
    change = from_datetime(datetime(2026, 3, 29, 1, tzinfo=UTC))
    assert instant_of(date(2026, 3, 28), 1_410, zone) == change
    assert wall(change, zone) == datetime.combine(date(2026, 3, 29), datetime.min.time())
    assert next_daily(change, 1_410, zone) == instant_of(date(2026, 3, 29), 1_410, zone)


def test_next_daily_is_later_than_the_instant_given():
    zone = ZoneInfo("Europe/Berlin")
    nine = instant_of(date(2026, 6, 1), 540, zone)
    assert next_daily(nine - 1, 540, zone) == nine
    assert next_daily(nine, 540, zone) == nine + 24 * HOUR


def test_a_zone_nobody_knows_means_the_default():
    zones = Zones("Asia/Tokyo")
    for name in ("", "nowhere", "../../etc/passwd", "/etc/passwd", "a" * 5_000, "Europe/Berlin\0", "Europe"):
        assert zones.of(name).key == "Asia/Tokyo"
    assert zones.of("Europe/Berlin").key == "Europe/Berlin"


def test_made_up_zones_do_not_fill_memory():
    zones = Zones()
    for number in range(2_000):
        zones.of(f"made/up{number}")
    assert len(zones._known) <= 1_001


def test_a_local_clock_reads_as_people_do():
    local = Local(from_datetime(datetime(2027, 1, 15, 8, 5, tzinfo=UTC)), ZoneInfo("Europe/Berlin"))
    assert (local.hour, local.weekday, local.date) == (9, "friday", "2027-01-15")
    assert WEEKDAYS[0] == "monday"


@pytest.mark.parametrize(
    "name", ["Europe/Berlin", "Australia/Lord_Howe", "Africa/Cairo", "America/Nuuk", "Asia/Kathmandu"]
)
def test_the_hour_and_the_day_turn_when_the_clock_says_they_can(name):
    zone = ZoneInfo(name)
    start = from_datetime(datetime(2026, 1, 1, tzinfo=UTC))
    for step in range(0, 365 * 24 * HOUR, 7 * HOUR + 1_234_567):
        local = Local(start + step, zone)
        assert Local(local.next_hour() - 1, zone).hour == local.hour
        assert Local(local.next_day() - 1, zone).date == local.date
        assert Local(local.next_day(), zone).date != local.date
        assert local.now < local.next_hour() <= local.now + HOUR
