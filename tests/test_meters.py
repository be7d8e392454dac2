"""What processes count: cheaply, in bounds, and by names that Prometheus' conventions ask for."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggerfish import meters
from triggerfish.meters import METERS, MOST_SERIES, Counter, Gauge, Histogram, add_up

UNITS = ("_total", "_seconds", "_bytes", "_events", "_size", "_resting", "_calls", "_threads")


@pytest.fixture
def fresh(monkeypatch):
    """No meters but those that the test makes."""
    monkeypatch.setattr(meters, "METERS", {})
    monkeypatch.setattr(meters, "NOTED", [])


def test_names_follow_prometheus_conventions():
    for name, meter in METERS.items():
        assert re.fullmatch(r"triggerfish(_[a-z]+)+", name)
        assert name.endswith("_total") == (meter.kind == "counter"), name
        assert name.endswith(UNITS), name
        assert meter.says.endswith((".", "fit.")) or ":" in meter.says
        assert not {"profile", "user", "person", "message", "send", "email"} & set(meter.labels)


def test_a_counter_counts_by_its_labels(fresh):
    counter = Counter("x_total", "Xs.", "kind")
    counter.add(1, "a")
    counter.cell("a")[0] += 2.5
    counter.add(1, "b")
    assert meters.take() == {"x_total": [(("a",), [3.5]), (("b",), [1.0])]}


def test_a_histogram_keeps_bounds_and_sum(fresh):
    histogram = Histogram("x_seconds", "Xs.", bounds=(0.1, 1.0))
    histogram.observe_all([7.0, 0.1, 1.0, 0.5])
    histogram.observe(0.05)
    histogram.observe_all([])
    assert meters.take() == {"x_seconds": [((), [2.0, 2.0, 1.0, pytest.approx(8.65)])]}


def test_labels_cannot_grow_without_end(fresh):
    counter = Counter("x_total", "Xs.", "of", "kind")
    for number in range(MOST_SERIES + 50):
        counter.add(1, str(number), "a")
    shown = dict(counter.shown())
    assert len(shown) == MOST_SERIES + 1
    assert shown["other", "other"] == [50.0]


def test_a_gauge_forgets_what_is_not_there_any_more(fresh):
    gauge = Gauge("x_size", "Xs.", "of")
    gauge.set(1, "a")
    gauge.replace({("b",): 2})
    assert gauge.shown() == [(("b",), [2])]


def test_what_several_processes_count_is_added_up():
    one = {"x_total": [(("a",), [1.0]), (("b",), [2.0])], "y_seconds": [((), [1.0, 0.0, 0.5])]}
    two = {"x_total": [(("b",), [3.0])], "y_seconds": [((), [0.0, 2.0, 9.5])]}
    assert add_up([one, two]) == {
        "x_total": [(("a",), [1.0]), (("b",), [5.0])],
        "y_seconds": [((), [1.0, 2.0, 10.0])],
    }
    assert one["y_seconds"] == [((), [1.0, 0.0, 0.5])], "what was given is left as it is"


@given(st.lists(st.floats(0, 20), max_size=60))
def test_many_at_once_are_counted_as_one_by_one(values):
    one, many = (Histogram.__new__(Histogram) for _ in range(2))
    for histogram in (one, many):
        histogram._cells, histogram.bounds = {}, meters.SECONDS
    for value in values:
        one.observe(value)
    if values:
        many.observe_all(list(values))
    assert one.shown() == [(labels, pytest.approx(cell)) for labels, cell in many.shown()]
