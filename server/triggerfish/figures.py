"""Figures: what conditions ask of a person's activity within a window: how many, how much, and in which order.

Each takes a View and the activity that remembers it, and gives a plain value; None is "missing". What takes a line (a
count, what is asked of all of a person's events) is written into the condition itself (rulefile/calls.py).
"""

from __future__ import annotations

from typing import Any, Literal

from triggerfish.activity import Activity, Window
from triggerfish.conditions import View
from triggerfish.traces import Distinct, Followed, Score, Unfollowed


def count(view: View, activity: Activity) -> int:
    state = view.activity.get(activity.key)
    return state.count_since(view.now - (activity.window or 0)) if type(state) is Window else 0


def figures(view: View, activity: Activity, what: Literal["sum", "avg", "min", "max"]) -> float | None:
    """Sum, mean, least or greatest of the numbers; sum of none is 0, the others are missing."""
    state = view.activity.get(activity.key)
    if type(state) is not Window:
        return 0.0 if what == "sum" else None
    after = view.now - (activity.window or 0)
    past = [bucket for bucket in state.buckets if bucket.newest > after] if state.buckets else ()
    exact = state.numbers_since(after)
    # Only what is asked for: some hundred numbers at every event add up.
    if what == "min":
        return min([*(bucket.low for bucket in past if bucket.low is not None), *exact], default=None)
    if what == "max":
        return max([*(bucket.high for bucket in past if bucket.high is not None), *exact], default=None)
    total = sum(exact, sum([bucket.sum for bucket in past], 0.0))
    if what == "sum":
        return total
    numbers = sum([bucket.numbers for bucket in past]) + len(exact)
    return total / numbers if numbers else None


def last(view: View, activity: Activity) -> Any:
    """The newest event's value, or None."""
    state = view.activity.get(activity.key)
    newest = state.newest() if type(state) is Window else None
    return newest[1] if newest and newest[0] > view.now - (activity.window or 0) else None


def first(view: View, activity: Activity) -> Any:
    """The oldest event's value, or None."""
    state = view.activity.get(activity.key)
    if type(state) is not Window:
        return None
    return next((value for _, _, value in state.since(view.now - (activity.window or 0))), None)


def score(view: View, activity: Activity) -> float:
    """The decayed count or sum as of now; 0 when there was nothing."""
    state = view.activity.get(activity.key)
    return state.value_at(view.now) if type(state) is Score else 0.0


def distinct(view: View, activity: Activity) -> int:
    """How many different values."""
    state = view.activity.get(activity.key)
    if type(state) is not Distinct:
        return 0
    return state.count_since(None if activity.window is None else view.now - activity.window)


def sequence(view: View, activity: Activity) -> bool:
    """Whether one event followed another in time, or whether it did not."""
    state = view.activity.get(activity.key)
    if type(state) is Followed or type(state) is Unfollowed:
        return state.holds(view.now, activity.window)
    return False


def trend(view: View, short: Activity, long: Activity) -> float | None:
    """The rate within the short window over the rate within the long one; None when there is nothing in the long one.

    It is of the sum of a property if the activities are about one, else of the number of events.
    """
    if short.field is None:
        recent: float | None = count(view, short)
        usual: float | None = count(view, long)
    else:
        recent, usual = figures(view, short, "sum"), figures(view, long, "sum")
    if recent is None or usual is None or usual <= 0:
        return None
    return recent * (long.window or 1) / (usual * (short.window or 1))
