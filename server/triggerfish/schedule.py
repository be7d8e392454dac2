"""Room 7. Schedule: what is to leave, and when. The agenda holds, for each profile, the instant at which it next needs
attention: the earliest of its waits, of its held messages, and of the instant at which a segment can change with time
alone (`Profile.wake_at`). One row a profile is enough, because everything that waits is in the profile itself.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Literal

from msgspec import Struct

from triggerfish.clock import Instant
from triggerfish.ingest import Event
from triggerfish.profile import Profile, Wait
from triggerfish.rules import Rule

WAIT_LIMIT = 100
"""Waits that one person may have; a further one is refused, with that reason."""

Status = Literal["scheduled", "due", "sending", "sent", "retrying", "skipped", "failed", "uncertain"]


class Merged(Struct, frozen=True, gc=False):
    """A message that lost to another one and became part of it: its rule, its template, purpose and event."""

    ruleset: str
    rule: str
    template: str
    event: dict[str, Any]
    purpose: str = "marketing"


class Due(Struct, kw_only=True, omit_defaults=True, gc=False):
    """A message to one person: what it is, how far it is, and why. The row behind `GET /v1/sends`.

    With `call` it is no message: the plugin's action of that name is to be carried out with `data`.

    `priority` says which of two that are due at one instant leaves first (the higher); `lane` with which others it
    stands in line (lanes.py); `address` whom it was handed over for, `handed_at` when that was last. `since` is when it
    became due, however often it was put off. One that `is_tied` may be with its channel: no other one gets it. `also`
    are messages that became part of this one.

    scheduled -> due -> sending -> sent; or skipped, failed, uncertain, each with a reason; retrying -> sending again
    (deliver.STEPS has every step).
    """

    id: str
    profile: str
    ruleset: str
    rule: str
    template: str
    class_: Literal["marketing", "transactional"] = "marketing"
    purpose: str = "marketing"
    channel: str = ""
    status: Status = "scheduled"
    reason: str = ""
    due_at: Instant = 0
    sent_at: Instant | None = None
    attempt: int = 0
    trigger: Event | None = None
    call: str = ""
    data: dict[str, Any] = {}
    priority: int = 0
    lane: str = ""
    address: str = ""
    also: list[Merged] = []
    since: Instant = 0
    handed_at: Instant | None = None
    is_tied: bool = False


def send_id(profile: Profile, rule: Rule, label: str, trigger: Event) -> str:
    """The id and idempotency key of a send: the same decision, made again, has the same id. `label` is its step's."""
    parts = (profile.id, rule.ruleset, rule.name, label, trigger.message_id)
    return blake2b("\0".join(parts).encode(), digest_size=10, person=b"send").hexdigest()


def waits_of(profile: Profile, rule: Rule, whole_set: bool) -> list[Wait]:
    """The person's waits in this rule, or in its whole rule set."""
    return [
        wait
        for wait in profile.waits
        if wait.ruleset == rule.ruleset and (whole_set or wait.rule == rule.name) and not wait.step
    ]


def share_of(profile: Profile, experiment: str) -> float:
    """A number in [0, 1) by which an experiment assigns this person: the same every time, and even over people.

    The first 8 bytes of BLAKE2b (personalised with "split") of `experiment`, a NUL and the profile's id, as a
    big-endian number, in units of 2^-64 (rounded down to 53 bits, so that it never becomes 1).
    """
    digest = blake2b(f"{experiment}\0{profile.id}".encode(), digest_size=8, person=b"split").digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53
