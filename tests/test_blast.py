"""The guard: a rule that is about to send far more than it ever did, or that people complain about, is held."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom import Post
from triggerfish.blast import Alarmed, Guard, Traffic, canary, ill_received, limit, too_much
from triggerfish.clock import DAY, HOUR
from triggerfish.engine import Moment, Outcome
from triggerfish.instructions import Release
from triggerfish.plugin.testing import MemoryOutbox
from worlds import NOON

GUARD = Guard(most_at_once=1_000)
OFF = Guard(most_at_once=0, times_ever=0, complaint_rate=0, bounce_rate=0)


class Wide(MemoryOutbox):
    name = "plain"
    features = MemoryOutbox.features.__class__(batch_size=100)


def names(count: int, prefix: str = "m") -> list[str]:
    return [f"{prefix}{number:05}" for number in range(count)]


async def test_more_than_a_number_at_once_waits_after_a_canary_share():
    post = Post(Wide(), guard=GUARD)
    post.due(*names(1_500))
    post.due("other", rule="small")
    await post.run()
    assert len(post.delivered()) == 50 + 1
    [held] = post.store.holds()
    assert (held.ruleset, held.rule, held.by) == ("set", "rule", "guard")
    assert held.reason == "1,500 messages at once; more than 1,000 ask for a look"
    assert post.story("m01499") == [("due", f"held: {held.reason}")]


async def test_the_canary_share_grows_with_what_waits():
    post = Post(Wide(), guard=Guard(most_at_once=1_000, canary=0.1))
    post.due(*names(1_500))
    await post.run()
    assert len(post.delivered()) == 150


async def test_as_many_as_are_allowed_leave_without_a_question():
    post = Post(Wide(), guard=GUARD)
    post.due(*names(1_000))
    await post.run()
    assert (len(post.delivered()), list(post.store.holds())) == (1_000, [])


async def test_what_was_released_leaves_and_is_not_held_again_for_the_same():
    post = Post(Wide(), guard=GUARD)
    post.due(*names(1_500))
    await post.run()
    post.tell(Release("set", "rule"))
    await post.run()
    assert (len(post.delivered()), list(post.store.holds())) == (1_500, [])
    post.clock.at = NOON + DAY
    post.due(*names(2_000, "next"))
    await post.run()
    assert list(post.store.holds()) == [], "no more than five times as many as somebody agreed to"


async def test_far_more_than_ever_waits_though_it_is_no_large_number():
    post = Post(Wide(), guard=GUARD)
    post.due(*names(120))
    await post.run()
    post.clock.at = NOON + DAY
    post.due(*names(601, "next"))
    await post.run()
    assert len(post.delivered()) == 120 + 50
    [held] = post.store.holds()
    assert held.reason == "601 messages at once; its busiest hour had 120, and more than 600 ask for a look"


async def test_what_falls_due_over_a_day_is_no_blast():
    post = Post(Wide(), guard=Guard(most_at_once=100))
    for hour in range(24):
        post.due(*names(60, f"h{hour:02}-"), at=NOON + hour * HOUR)
    post.clock.at = NOON + DAY
    await post.send()
    assert list(post.store.holds()) == []


@pytest.mark.parametrize("guard", [OFF, None], ids=["everything off", "no guard"])
async def test_it_can_be_switched_off(guard):
    post = Post(Wide(), guard=guard)
    post.due(*names(1_500))
    await post.run()
    assert len(post.delivered()) == 1_500


async def test_transactional_mail_is_never_held():
    post = Post(Wide(), guard=GUARD)
    post.due(*names(1_500), class_="transactional")
    await post.run()
    assert len(post.delivered()) == 1_500


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Email Marked as Spam", "3 people complained of 300 sent within a week; more than 0.3% is too many"),
        ("Email Bounced", "16 messages bounced of 300 sent within a week; more than 5% is too many"),
    ],
)
async def test_a_rule_that_people_complain_about_pauses_alone(name, said):
    post = Post(Wide(), guard=GUARD)
    post.due(*names(300))
    await post.run()
    told = [
        Moment(f"p-m{number:05}", post.clock.at, "event", {"event": name, "send": f"m{number:05}"}, 1)
        for number in range(int(said.split()[0]))
    ]
    post.store.commit(Outcome({}, {}, {}, [], [], told), 99, post.clock.at)
    post.due("more", "yet-more")
    post.due("other", rule="other")
    await post.run()
    assert (post.delivered()[300:], post.status("more", "yet-more")) == (["other"], ["due", "due"])
    assert [held.reason for held in post.store.holds()] == [said]
    post.tell(Release("set", "rule"))
    post._position = 100
    post.clock.at += DAY
    await post.run()
    assert post.delivered()[301:] == ["more", "yet-more"], "it is counted anew from there"


@given(st.integers(0, 10**7), st.integers(0, 10**6), st.integers(0, 10**6), st.floats(1, 100), st.integers(1, 10**6))
def test_what_is_within_the_limit_raises_no_alarm_and_what_is_beyond_it_does(coming, busiest, agreed, times, most):
    guard = Guard(most_at_once=most, times_ever=times)
    traffic = Traffic(busiest=busiest, alarms={"size": Alarmed(agreed, NOON)} if agreed else {})
    allowed = limit(guard, traffic)
    assert allowed is not None
    assert allowed >= min(most, 500)
    assert (too_much(guard, traffic, coming) is not None) == (coming > allowed)
    assert canary(guard, coming) >= min(50, coming)


def test_few_messages_tell_no_rate():
    assert ill_received(GUARD, Traffic(complaints=(199, 199), bounces=(199, 199))) is None
    assert ill_received(GUARD, Traffic(complaints=(200, 2))) is None
    alarm = ill_received(GUARD, Traffic(complaints=(200, 3)))
    assert alarm is not None
    assert (alarm.kind, alarm.size) == ("complaints", 3)
