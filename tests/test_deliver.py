"""Room 9: what a receipt means for its send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggerfish.clock import DAY, HOUR, SECOND
from triggerfish.deliver import (
    Bucket,
    Features,
    Patience,
    Receipt,
    Verdict,
    free_at,
    full_bucket,
    lost,
    settle,
    spend,
)

NOW = 1_767_225_600_000
PLAIN = Features()
IDEMPOTENT = Features(is_idempotent=True)


def judge(status, *, class_="marketing", features=PLAIN, attempt=1, dice=0.5, asked=None, detail=""):
    receipt = Receipt("s1", status, detail=detail, retry_after_seconds=asked)
    return settle(receipt, class_=class_, features=features, attempt=attempt, now=NOW, dice=dice)


def test_an_accepted_message_is_sent():
    assert judge("accepted") == Verdict("sent")


@pytest.mark.parametrize("class_", ["marketing", "transactional"])
def test_a_refused_message_has_failed_with_the_providers_words(class_):
    verdict = judge("refused", class_=class_, features=IDEMPOTENT, detail="550 no such user")
    assert verdict == Verdict("failed", "the channel refused it: 550 no such user")


@pytest.mark.parametrize(
    ("class_", "features", "state"),
    [
        ("marketing", PLAIN, "uncertain"),
        ("marketing", IDEMPOTENT, "retry"),
        ("transactional", PLAIN, "retry"),
        ("transactional", IDEMPOTENT, "retry"),
    ],
)
def test_an_unknown_outcome_is_tried_again_only_where_twice_is_allowed_or_impossible(class_, features, state):
    assert judge("unknown", class_=class_, features=features).state == state
    answer = lost("s1")
    verdict = settle(answer, class_=class_, features=features, attempt=1, now=NOW, dice=0.5)
    assert verdict.state == state
    assert "the worker stopped" in verdict.reason


def test_attempts_end():
    assert judge("retry", attempt=7).state == "retry"
    assert judge("retry", attempt=8, detail="451 later") == Verdict("failed", "gave up after 8 attempts: 451 later")
    assert judge("unknown", class_="transactional", attempt=8).state == "uncertain"


def test_the_waits_grow_from_seconds_to_half_a_day_and_take_a_day_at_most():
    longest = [judge("retry", attempt=n, dice=0.999999).at - NOW for n in range(1, 8)]
    assert [round(wait / SECOND) for wait in longest] == [30, 120, 480, 1920, 7680, 30720, 43200]
    assert 23 * HOUR < sum(longest) < DAY


def test_a_wait_is_never_shorter_than_a_second():
    assert judge("retry", dice=0.0).at == NOW + SECOND


def test_retry_after_is_honoured_when_it_asks_for_more():
    assert judge("retry", asked=600).at == NOW + 600 * SECOND
    assert judge("retry", asked=1, dice=0.9).at == NOW + 27 * SECOND


@pytest.mark.parametrize("asked", [float("nan"), -5.0, 0.0])
def test_a_retry_after_that_makes_no_sense_is_ignored(asked):
    assert judge("retry", asked=asked).at == NOW + 15 * SECOND


def test_a_provider_cannot_put_a_send_off_for_more_than_a_day():
    assert judge("retry", asked=float("inf")).at == NOW + DAY


@given(
    status=st.sampled_from(["accepted", "refused", "retry", "unknown"]),
    class_=st.sampled_from(["marketing", "transactional"]),
    is_idempotent=st.booleans(),
    attempt=st.integers(1, 100),
    dice=st.floats(0, 1, exclude_max=True),
    asked=st.none() | st.floats(),
)
def test_a_verdict_has_an_instant_exactly_when_it_says_retry(status, class_, is_idempotent, attempt, dice, asked):
    features = Features(is_idempotent=is_idempotent)
    verdict = judge(status, class_=class_, features=features, attempt=attempt, dice=dice, asked=asked)
    assert (verdict.at is not None) == (verdict.state == "retry")
    assert verdict.at is None or NOW + SECOND <= verdict.at <= NOW + DAY
    assert verdict.state != "retry" or attempt < Patience().attempts
    assert bool(verdict.reason) == (verdict.state != "sent")
    # At most once: a marketing send that may have left comes again only where it cannot arrive twice.
    if status == "unknown" and class_ == "marketing" and not is_idempotent:
        assert verdict.state == "uncertain"


def test_a_bucket_lets_a_batch_go_and_then_waits_for_what_it_took_too_much():
    bucket = full_bucket(10, NOW)
    assert free_at(bucket, 10, NOW) == NOW
    bucket = spend(bucket, 10, 100, NOW)
    free = free_at(bucket, 10, NOW)
    assert NOW + 9 * SECOND < free <= NOW + 9 * SECOND + 200
    assert free_at(bucket, 10, free) == free


@given(
    per_second=st.floats(0.1, 1000),
    steps=st.lists(st.tuples(st.integers(1, 200), st.integers(0, 60_000)), min_size=1, max_size=50),
)
def test_a_bucket_keeps_its_rate_whatever_the_batches(per_second, steps):
    bucket, now, gone, largest = full_bucket(per_second, NOW), NOW, 0, 0
    for count, idle in steps:
        now = max(now + idle, free_at(bucket, per_second, now))
        bucket = spend(bucket, per_second, count, now)
        gone, largest = gone + count, max(largest, count)
        earned = max(1.0, per_second) + per_second * (now - NOW) / SECOND
        assert gone <= earned + largest + 1e-6


def test_a_bucket_does_not_mind_a_clock_that_goes_back():
    bucket = spend(Bucket(5, NOW), 10, 1, NOW - 10 * SECOND)
    assert bucket == Bucket(4, NOW)
