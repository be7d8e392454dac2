"""Where messages stand in line, and how fast a line moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggerfish.clock import DAY, SECOND
from triggerfish.deliver import OPEN, STEPS, step
from triggerfish.lanes import Lane, Pace, Pacing, WarmUp, lane_of, provider_of, read_lane
from triggerfish.schedule import Due
from worlds import NOON


@pytest.mark.parametrize(
    ("address", "provider"),
    [
        ("a@gmail.com", "google"),
        ("A@GMAIL.COM", "google"),
        ("a@googlemail.com", "google"),
        ("a@hotmail.co.uk", "microsoft"),
        ("a@outlook.de", "microsoft"),
        ("a@yahoo.co.jp", "yahoo"),
        ("a@icloud.com", "apple"),
        ("a@gmx.net", "gmx"),
        ("a@web.de", "gmx"),
        ("a@me.com", "apple"),
        ("a@me.example", "other"),
        ("a@live.shop.example", "other"),
        ("a@gmail.com.evil.example", "other"),
        ("a@shop.example", "other"),
        ("gmail.com", "google"),
        ("", "other"),
        ("@", "other"),
    ],
)
def test_the_provider_is_known_by_the_domain(address, provider):
    assert provider_of(address) == provider


@given(st.text(max_size=60))
def test_any_text_has_a_provider(text):
    assert provider_of(text)


@given(
    st.sampled_from(["smtp", "out-box", "ses_2"]),
    st.sampled_from(["marketing", "transactional"]),
    st.sampled_from(["google", "other", "mail-ru"]),
    st.text(st.characters(blacklist_characters="\0"), max_size=40),
)
def test_a_lane_is_read_back_as_it_was_written(channel, class_, provider, rule):
    held = Lane(channel, class_, "held", rule) if rule else Lane(channel, class_, provider)
    assert read_lane(str(held)) == held


@pytest.mark.parametrize("text", ["", "smtp", "smtp marketing", "smtp marketing google more"])
def test_what_is_no_lane_is_none(text):
    assert read_lane(text) is None


def test_a_person_without_an_address_stands_in_a_lane_too():
    assert str(lane_of("smtp", "marketing", None)) == "smtp marketing other"


@given(
    st.floats(0.1, 50),
    st.lists(
        st.tuples(st.integers(0, 3_000), st.sampled_from(["marketing", "transactional"]), st.integers(1, 30)),
        max_size=40,
    ),
)
def test_no_more_leaves_than_the_pace_allows(rate, turns):
    """At any time: a second's worth at the start, the rate, and a second's credit for transactional mail."""
    pacing, now, sent = Pacing({"smtp": Pace(per_second=rate)}, NOON), NOON, 0
    for passed, class_, wanted in turns:
        now += passed
        room = pacing.channel_room("smtp", class_, now)
        assert room is not None
        for _ in range(min(room, wanted)):
            pacing.spend("smtp", "other", now)
            sent += 1
        if class_ == "marketing":
            assert room <= max(1.0, rate)
    assert sent <= rate * (now - NOON) / SECOND + 2 * max(1.0, rate) + 1


def test_marketing_never_makes_transactional_mail_wait():
    pacing = Pacing({"smtp": Pace(per_second=2.0, providers={"google": 1.0})}, NOON)
    lane = Lane("smtp", "marketing", "google")
    while pacing.room(lane, NOON):
        pacing.spend("smtp", "google", NOON)
    assert pacing.free_at(lane, NOON) == NOON + SECOND + 1
    assert pacing.room(Lane("smtp", "transactional", "google"), NOON) == 1
    assert pacing.room(Lane("smtp", "marketing", "yahoo"), NOON) == 1
    assert pacing.room(Lane("other", "marketing", "google"), NOON) is None


def test_a_lane_moves_at_the_instant_that_it_says():
    pacing = Pacing({"smtp": Pace(per_second=0.3)}, NOON)
    lane = Lane("smtp", "marketing")
    pacing.spend("smtp", "other", NOON)
    free = pacing.free_at(lane, NOON)
    assert pacing.room(lane, free) == 1
    assert pacing.room(lane, free - 2) == 0


def test_a_warm_up_grows_day_by_day_and_ends():
    warm = WarmUp(since=NOON, first_day=200, factor=1.5, until=1_000)
    assert [warm.most(NOON + day * DAY) for day in range(6)] == [200, 300, 450, 675, None, None]
    assert warm.most(NOON + 3_000 * DAY) is None
    assert warm.most(NOON - DAY) == 200
    midnight = (NOON // DAY + 1) * DAY
    assert (warm.most(midnight - 1), warm.most(midnight)) == (200, 300), "days are UTC"


STATUSES = tuple(STEPS)


@given(st.lists(st.sampled_from(STATUSES), max_size=12))
def test_a_send_takes_the_steps_that_there_are_and_no_other(wanted):
    due = Due(id="a", profile="p", ruleset="s", rule="r", template="t")
    for status in wanted:
        before = due.status
        if status in STEPS[before]:
            step(due, status, "because", NOON)
            assert (due.status, due.reason, due.due_at) == (status, "because", NOON)
        else:
            with pytest.raises(ValueError, match=f"{before} is not followed by {status}"):
                step(due, status, "because")
            assert due.status == before


def test_every_status_is_reached_and_what_is_settled_stays_so():
    reached, more = {"scheduled"}, {"scheduled"}
    while more:
        more = {after for status in more for after in STEPS[status]} - reached
        reached |= more
    assert reached == set(STEPS)
    assert not STEPS["sent"] | STEPS["skipped"] | STEPS["failed"]
    assert {before for before, after in STEPS.items() if "sending" in after} == {"due", "retrying"}
    # In data that was restored from a backup, what waited may have left in between.
    assert {before for before, after in STEPS.items() if "uncertain" in after} == {"sending", *OPEN}
