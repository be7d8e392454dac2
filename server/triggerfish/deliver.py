"""Room 9. Deliver: a batch of Messages goes to a channel and comes back as Receipts.

What a receipt means for its send is decided here, purely: `settle` for an answer, also for one that was `lost`
with the worker. Talking to the channel is plugin/guard.py's part, writing it down the store's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct

from triggerfish import schedule
from triggerfish.clock import DAY, HOUR, SECOND, Instant, Millis
from triggerfish.render import Class, Message
from triggerfish.schedule import Due

Status = Literal["accepted", "refused", "retry", "unknown"]
"""What became of one message at the channel.

accepted: the provider has taken it. refused: it never will (bad address, rejected content). retry: not now; try again
(after `retry_after_seconds` if set). unknown: we cannot tell whether it was taken (a time-out after the hand-over).
"""


class Receipt(Struct, frozen=True):
    """The channel's answer for one message. `detail` is for people: the provider's own words, no secrets."""

    send_id: str
    status: Status
    provider_id: str = ""
    detail: str = ""
    retry_after_seconds: float | None = None


class Features(Struct, frozen=True):
    """What a channel can do. `is_idempotent`: sending the same send_id twice delivers once.
    `is_safe_for_demo`: it delivers to nobody outside this machine. `per_second`: the most messages a second that it
    takes on average; None is no limit. `can_look_up`: it can say whether the provider has a message (Channel.look_up).
    """

    is_idempotent: bool = False
    is_safe_for_demo: bool = False
    batch_size: int = 100
    per_second: float | None = None
    can_look_up: bool = False


class Channel(Protocol):
    """A way out for messages. Plugins provide them (plugin/channel.py has the class that they subclass)."""

    name: str
    features: Features

    async def send(self, batch: Sequence[Message]) -> Sequence[Receipt]:
        """One receipt per message, in any order. At most `features.batch_size` messages."""
        ...


STEPS: Mapping[schedule.Status, frozenset[schedule.Status]] = {
    "scheduled": frozenset({"scheduled", "due", "skipped"}),
    "due": frozenset({"due", "sending", "skipped", "failed", "uncertain"}),
    "sending": frozenset({"sent", "retrying", "failed", "uncertain"}),
    "retrying": frozenset({"retrying", "sending", "skipped", "failed", "uncertain"}),
    "uncertain": frozenset({"sent", "failed", "due"}),
    "sent": frozenset(),
    "skipped": frozenset(),
    "failed": frozenset(),
}
"""The state machine of a send: what may follow on what. "uncertain" is left when somebody settles it, or when feedback
shows that it arrived; to be due or to be tried again is followed by the same when it is put off, and by "uncertain"
in data that was restored from a backup: it may have left in between.
"""

OPEN: frozenset[schedule.Status] = frozenset({"due", "retrying"})
"""What waits to be handed over."""


def step(due: Due, status: schedule.Status, reason: str, due_at: Instant | None = None) -> None:
    """Take a send (a working copy) to its next status. Raises ValueError for a step that there is not."""
    if status not in STEPS[due.status]:
        raise ValueError(f"send {due.id}: {due.status} is not followed by {status}")
    due.status, due.reason = status, reason
    due.due_at = due.due_at if due_at is None else due_at


State = Literal["sent", "failed", "retry", "uncertain"]


class Call(Struct, frozen=True):
    """What a rule asks a plugin's action to do. `send_id` is its id and idempotency key, `values` what the rule gives,
    `traits` the person's, `event` the name of the event that it answers.
    """

    send_id: str
    action: str
    profile_id: str
    values: dict[str, Any]
    traits: dict[str, Any]
    event: str = ""


class Verdict(Struct, frozen=True):
    """What becomes of a send after an attempt. `at` is when to try again, set for "retry" only. `reason` is for people;
    it is empty for "sent".
    """

    state: State
    reason: str = ""
    at: Instant | None = None


class Patience(Struct, frozen=True):
    """How long to go on trying. Before attempt n + 1 a send waits a random part of `first * factor**(n - 1)`, at most
    `longest`: "full jitter" (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).

    As it stands, the seven waits are at most 30 s, 2 min, 8 min, 32 min, 2 h 8 min, 8 h 32 min and 12 h: about 12 hours
    on average, one day at most, unless the provider asks for longer.
    """

    attempts: int = 8
    first: Millis = 30 * SECOND
    factor: int = 4
    longest: Millis = 12 * HOUR
    shortest: Millis = 1 * SECOND
    longest_asked: Millis = 1 * DAY


def settle(
    receipt: Receipt,
    *,
    class_: Class,
    features: Features,
    attempt: int,
    now: Instant,
    dice: float,
    patience: Patience = Patience(),  # noqa: B008  (frozen)
) -> Verdict:
    """What `receipt`, the answer to attempt number `attempt` (1 is the first), means for its send.

    `dice` is a random number in [0, 1). Transactional messages go out at least once, marketing messages at most once:
    an "unknown" marketing send is tried again only where the channel delivers the same send id once.
    """
    if receipt.status == "accepted":
        return Verdict("sent")
    if receipt.status == "refused":
        return Verdict("failed", _because("the channel refused it", receipt.detail))
    if receipt.status == "unknown" and class_ == "marketing" and not features.is_idempotent:
        return Verdict("uncertain", _because("it may have been delivered, so it is not sent again", receipt.detail))
    if attempt >= patience.attempts:
        tried = f"gave up after {attempt} attempts"
        return Verdict("uncertain" if receipt.status == "unknown" else "failed", _because(tried, receipt.detail))
    wait = _wait(attempt, dice, receipt.retry_after_seconds, patience)
    return Verdict("retry", _because(f"attempt {attempt} did not get through", receipt.detail), now + wait)


def lost(send_id: str) -> Receipt:
    """For a send that was with the channel when the worker died: the answer is lost, so it is unknown."""
    return Receipt(send_id, "unknown", detail="the worker stopped before the channel had answered")


def looked_up(receipt: Receipt, is_there: bool | None) -> Receipt:
    """An unknown outcome, after the channel was asked whether the provider has the message; None: it cannot tell."""
    if receipt.status != "unknown" or is_there is None:
        return receipt
    if is_there:
        return Receipt(receipt.send_id, "accepted", receipt.provider_id, "the provider has it")
    return Receipt(receipt.send_id, "retry", detail=f"the provider does not have it ({receipt.detail})")


def _wait(attempt: int, dice: float, asked_seconds: float | None, patience: Patience) -> Millis:
    ceiling = min(patience.longest, patience.first * patience.factor ** min(attempt - 1, 32))
    wait = max(patience.shortest, int(ceiling * dice))
    # A NaN or a negative number compares false and is ignored.
    if asked_seconds is not None and asked_seconds > 0:
        wait = max(wait, int(min(asked_seconds * SECOND, patience.longest_asked)))
    return wait


def _because(what: str, detail: str) -> str:
    return f"{what}: {detail}" if detail else what


class Bucket(Struct, frozen=True):
    """A token bucket that may go into debt: a batch goes out whole once the bucket is not empty, and what it took too
    much is waited for before the next one. `level` is in messages, as of the instant `at`.
    """

    level: float
    at: Instant


def full_bucket(per_second: float, now: Instant) -> Bucket:
    """A bucket as it is at start: one second's worth, at least one message."""
    return Bucket(max(1.0, per_second), now)


def spend(bucket: Bucket, per_second: float, count: int, now: Instant) -> Bucket:
    """The bucket after `count` messages went out at `now`."""
    return Bucket(level(bucket, per_second, now) - count, max(now, bucket.at))


def free_at(bucket: Bucket, per_second: float, now: Instant) -> Instant:
    """The first instant, `now` or later, at which the next batch may go out: when a whole message is in the bucket."""
    missing = 1.0 - level(bucket, per_second, now)
    return now if missing <= 0 else now + int(missing / per_second * SECOND) + 1


def level(bucket: Bucket, per_second: float, now: Instant) -> float:
    earned = max(0, now - bucket.at) / SECOND * per_second
    return min(max(1.0, per_second), bucket.level + earned)
