"""Room 9, its last look: may this message still be handed over, now that it is its turn? Time has passed since its rule
decided: a retry, a full lane, a worker that stood still. So everything that may have changed since is asked again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from triggerfish import decisions
from triggerfish.clock import DAY, Instant, say_duration
from triggerfish.decisions import GO, Verdict
from triggerfish.instructions import Held, Suppression
from triggerfish.profile import Profile, Sent
from triggerfish.rules import Rulebook
from triggerfish.schedule import Due
from triggerfish.windows import shut as shut_at
from triggerfish.zones import Local

STALE = 3 * DAY
"""Marketing that could not leave for so long is not wanted any more. One that was tried is tried on as ever."""


def weigh(
    due: Due,
    profile: Profile,
    *,
    rulebook: Rulebook,
    listed: Iterable[Suppression],
    handed: Sequence[Sent],
    now: Instant,
) -> Verdict:
    """Whether a message may be handed over now. `listed` are the lines of the suppression list that concern its
    address, `handed` the messages that were really handed over for this person, as far back as caps reach.

    What would break a cap waits until that is free again, if that is soon enough (STALE).
    """
    refusal = decisions.refusal_to(profile, due.class_, due.purpose, rulebook.policy)
    refusal = refusal or decisions.refusal_of_list(listed, profile, due.class_, due.purpose)
    if refusal:
        return Verdict("skip", refusal)
    if due.class_ == "transactional":
        return GO
    since = due.since or due.due_at
    if now - since > STALE and not due.attempt:
        return Verdict("skip", f"it could not leave for more than {say_duration(STALE)}")
    closed = shut_at(rulebook.policy, Local(now, rulebook.zones.of(profile.time_zone)))
    if closed is not None:
        return Verdict("hold", closed.reason, closed.until)
    capped = decisions.reached(
        rulebook.policy.caps, [grouped(each, rulebook) for each in handed], leaving(due, rulebook, now)
    )
    if capped is None:
        return GO
    return Verdict("skip" if capped.until - since > STALE else "hold", capped.reason, capped.until)


def leaving(due: Due, rulebook: Rulebook, now: Instant) -> Sent:
    """A message as it counts for caps when it is handed over at `now`."""
    is_marketing = due.class_ == "marketing"
    return grouped(Sent(now, due.ruleset, due.rule, is_marketing, due.purpose, due.channel, due.id), rulebook)


def grouped(sent: Sent, rulebook: Rulebook) -> Sent:
    """With the group that its rule is in now: the store keeps none."""
    rule = rulebook.rule(sent.ruleset, sent.rule)
    return sent if rule is None or rule.group == sent.group else replace(sent, group=rule.group)


def caps_reach(rulebook: Rulebook) -> int:
    """How far back caps look, in milliseconds; 0 when there are none."""
    return max((cap.within for cap in rulebook.policy.caps), default=0)


def held_by(due: Due, holds: Iterable[Held]) -> Held | None:
    """What holds the messages of this one's rule, or of its whole rule set."""
    return next((held for held in holds if held.ruleset == due.ruleset and held.rule in ("", due.rule)), None)
