"""The people at hand: bounded by number and by size, the longest unused let go of first."""

from hypothesis import given
from hypothesis import strategies as st

from triggerfish.adapters.sqlite.hot import Hot
from triggerfish.profile import Profile


def somebody(number: int) -> Profile:
    return Profile(f"p{number}", 0, 0)


def test_who_was_used_longest_ago_is_let_go_when_there_are_too_many():
    hot = Hot(2)
    hot.keep((somebody(number), 10) for number in (1, 2))
    assert hot.get("p1") is not None
    hot.keep([(somebody(3), 10)])
    assert ["p1" in hot, "p2" in hot, "p3" in hot] == [True, False, True]


def test_few_who_are_large_are_let_go_of_as_well():
    hot = Hot(1_000, size_limit=100)
    hot.keep((somebody(number), 40) for number in (1, 2, 3))
    assert ["p1" in hot, "p2" in hot, "p3" in hot] == [False, True, True]
    hot.keep([(somebody(3), 90)])
    assert (len(hot), hot.size) == (1, 90), "who grew counts as they are now"
    hot.keep([(somebody(4), 101)])
    assert (len(hot), hot.size) == (0, 0), "nobody is larger than the bound"


steps = st.lists(
    st.tuples(st.sampled_from(["keep", "get", "drop"]), st.integers(0, 9), st.integers(1, 60)), max_size=40
)


@given(steps)
def test_its_size_is_that_of_those_at_hand_whatever_happens(steps: list[tuple[str, int, int]]):
    hot, sizes = Hot(5, size_limit=150), {}
    for what, number, size in steps:
        if what == "keep":
            sizes[f"p{number}"] = size
            hot.keep([(somebody(number), size)])
        elif what == "get":
            assert (hot.get(f"p{number}") is not None) == (f"p{number}" in hot)
        else:
            hot.drop(f"p{number}")
        assert hot.size == sum(size for name, size in sizes.items() if name in hot) <= 150
        assert len(hot) <= 5
