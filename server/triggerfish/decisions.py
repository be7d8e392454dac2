"""Room 6. Decisions: may this message go to this person now? Every "no" and "not yet" has a reason in plain words."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from triggerfish.clock import Instant, say_duration
from triggerfish.profile import Profile, Sent
from triggerfish.rules import Policy, Rule, Send
from triggerfish.zones import Local, Zones, next_daily


class Verdict(Struct, frozen=True):
    """go: let it leave. skip: it never will. hold: ask again at `until`."""

    what: Literal["go", "skip", "hold"]
    reason: str = ""
    until: Instant = 0


GO = Verdict("go")


def weigh(profile: Profile, rule: Rule, send: Send, policy: Policy, zones: Zones, now: Instant) -> Verdict:
    """Whether a rule's message may leave now. Quiet hours come before caps: what is held counts when it is let go."""
    refusal = refusal_to(profile, send.class_, send.purpose)
    if refusal:
        return Verdict("skip", refusal)
    if rule.cooldown:
        latest = max((s.at for s in profile.sent if (s.ruleset, s.rule) == (rule.ruleset, rule.name)), default=None)
        if latest is not None and now - latest < rule.cooldown:
            return Verdict("skip", f"this rule sent less than {say_duration(rule.cooldown)} ago")
    if send.class_ == "transactional":
        return GO
    until = quiet_until(policy, Local(now, zones.of(profile.time_zone)))
    if until is not None:
        return Verdict("hold", "quiet hours", until)
    for cap in policy.caps:
        recent = sum(1 for sent in profile.sent if sent.is_marketing and now - sent.at < cap.within)
        if recent >= cap.sends:
            said = "1 message" if recent == 1 else f"{recent} messages"
            return Verdict("skip", f"had {said} within {say_duration(cap.within)}")
    return GO


def refusal_to(profile: Profile, class_: str, purpose: str) -> str:
    """Why nothing of this class and purpose may go to this person at all; empty when it may.

    Asked when the rule decides and again when the message is handed over.
    """
    email = profile.trait("email")
    if not isinstance(email, str) or "@" not in email:
        return "no email address"
    if profile.suppressed == "hard bounce" or (profile.suppressed and class_ == "marketing"):
        return f"suppressed: {profile.suppressed}"
    if class_ == "marketing":
        for word in ("", purpose):
            consent = profile.consent.get(word)
            if consent is not None and not consent.is_given:
                return f"opted out of {purpose or 'marketing'} ({consent.source})"
    return ""


def quiet_until(policy: Policy, local: Local) -> Instant | None:
    """The end of the quiet hours that this local time lies in, or None."""
    quiet = policy.quiet
    if quiet is None:
        return None
    minute = local.minute_of_day
    after_start, before_end = minute >= quiet.start, minute < quiet.end
    is_over_midnight = quiet.start > quiet.end
    if (after_start or before_end) if is_over_midnight else (after_start and before_end):
        return next_daily(local.now, quiet.end, local.zone)
    return None


def note_sent(profile: Profile, rule: Rule, send: Send, now: Instant, limit: int) -> None:
    """Count a message that was let go; a working copy keeps the newest `limit`."""
    profile.sent.append(Sent(now, rule.ruleset, rule.name, send.class_ == "marketing"))
    del profile.sent[:-limit]
