"""The pages show the figures of the last run, and nothing else."""

import pytest
from benchmarks import page
from benchmarks.measuring import Figure, Summary, goal, sum_up, table

pytestmark = pytest.mark.docs


def test_pages_and_pictures_show_the_figures_of_the_last_run() -> None:
    stale = [path.name for path, text in page.pages(page.read()) if path.read_text(encoding="utf-8") != text]
    assert not stale, "run python -m benchmarks.page"


def test_a_goal_that_was_missed_is_marked() -> None:
    [missed, kept] = sum_up([[Figure("a", "events/s", 90.0, goal=100), Figure("b", "ms", 9, goal=10, is_bound=True)]])
    assert (missed.is_met, kept.is_met) == (False, True)
    assert goal(missed) == "at least 100: **missed**"
    assert goal(kept) == "at most 10.0: met"


def test_a_figure_that_was_disturbed_is_marked() -> None:
    shown = table(sum_up([[Figure("a", "events/s", 2_500)]], is_disturbed=True))
    assert "| a | events/s | 2,500 ~ |" in shown


def test_floor_and_peers_are_those_of_the_same_runs() -> None:
    runs = [[Figure("a", "µs", 10.0, 5.0, peers={"other": 7.0})], [Figure("a", "µs", 30.0, 10.0, peers={"other": 9.0})]]
    [found] = sum_up(runs)
    assert isinstance(found, Summary)
    assert (found.median, found.least, found.greatest) == (20.0, 10.0, 30.0)
    assert (found.floor, found.ratio, found.peers) == (7.5, 2.5, {"other": 8.0})
