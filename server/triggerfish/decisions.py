"""Room 6. Decisions: may this message go to this person now? Every "no" and "not yet" has a reason in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from triggerfish.clock import Instant, say_duration
from triggerfish.conditions import View
from triggerfish.consent import refusal
from triggerfish.hours import Hours, best, rhythm_of
from triggerfish.instructions import Suppression
from triggerfish.profile import Profile, Sent, remember_sent, stamp, stamped_at, suppression_of
from triggerfish.rules import Cap, Policy, Rule
from triggerfish.steps import Computed, Send
from triggerfish.windows import shut as shut_at


class Verdict(Struct, frozen=True):
    """go: let it leave. skip: it never will. hold: ask again at `until`. `has_lost`: others have come before it; were
    it to ask again, `until` is when.
    """

    what: Literal["go", "skip", "hold"]
    reason: str = ""
    until: Instant = 0
    has_lost: bool = False


GO = Verdict("go")


class Asking(Struct, frozen=True):
    """What is known of a message that asks to leave, besides its rule: its id, when it first asked and when it first
    stood back for others (0: not before now), and what everybody's opens weigh by hour (hours.py).
    """

    identifier: str = ""
    offered: Instant = 0
    lost: Instant = 0
    hours: Hours = ()


FIRST = Asking()


def weigh(profile: Profile, rule: Rule, send: Send, policy: Policy, view: View, asking: Asking = FIRST) -> Verdict:
    """Whether a rule's message may leave now. Hours come before caps: what is held counts when it is let go. What the
    arbiter says (engine/rounds.py) comes last.
    """
    refusal = refusal_to(profile, send.class_, send.purpose, policy) or _refusal_of_rule(profile, rule, view)
    if refusal:
        return Verdict("skip", refusal)
    if send.class_ == "transactional":
        return GO
    if send.best_within and (later := _best_hour(profile, send, policy, view, asking)) is not None:
        return later
    if (shut := shut_at(policy, view.local)) is not None:
        return Verdict("hold", shut.reason, shut.until)
    if not policy.caps:
        return GO
    found = reached(policy.caps, profile.sent, as_sent(rule, send, view.now, asking.identifier))
    return GO if found is None else stand_back(rule, found.reason, found.until, view.now, asking)


def stand_back(rule: Rule, reason: str, until: Instant, now: Instant, asking: Asking) -> Verdict:
    """What becomes of a message that others came before: it asks again at `until` if the rule defers, but not for
    longer than it says; else it never leaves.
    """
    if rule.losing != "defer":
        return Verdict("skip", reason, until, has_lost=True)
    if until - (asking.lost or now) > rule.defer_at_most:
        patience = say_duration(rule.defer_at_most)
        return Verdict("skip", f"{reason}, and would stand back for longer than {patience}", until, has_lost=True)
    return Verdict("hold", f"{DEFERRED}{reason}", until, has_lost=True)


DEFERRED = "deferred: "


def _best_hour(profile: Profile, send: Send, policy: Policy, view: View, asking: Asking) -> Verdict | None:
    """Hold a message until the person's best hour, if that is still to come within the time that it may take."""
    rhythm = rhythm_of(profile.openings, asking.hours, view.now)
    until = (asking.offered or view.now) + send.best_within
    found = best(rhythm, view.local, until, lambda local: shut.until if (shut := shut_at(policy, local)) else local.now)
    if found is None or found.at <= view.now:
        return None
    return Verdict("hold", f"best hour, {found.hour:02d}:00 ({found.source})", found.at)


class Reached(Struct, frozen=True):
    """A cap stands in the way, and until when one does."""

    reason: str
    until: Instant


def reached(caps: Sequence[Cap], sent: Iterable[Sent], leaving: Sent) -> Reached | None:
    """The first cap that a message leaving at `leaving.at` would break, after those that were `sent` (in any order, its
    own id among them or not); `until` is when no cap is in its way any more, should no other message leave meanwhile.
    """
    concerned = [cap for cap in caps if cap.counts(leaving)]
    since = leaving.at - max((cap.within for cap in concerned), default=0)
    before = [each for each in sent if each.at > since and not (leaving.send and each.send == leaving.send)]
    reason, until = "", leaving.at
    for cap in concerned:
        instants = sorted(each.at for each in before if leaving.at - each.at < cap.within and cap.counts(each))
        if len(instants) >= cap.sends:
            reason = reason or f"had {_messages(len(instants))}{cap.said} within {say_duration(cap.within)}"
            until = max(until, instants[-cap.sends] + cap.within)
    return Reached(reason, until) if reason else None


def as_sent(rule: Rule, send: Send, at: Instant, identifier: str = "") -> Sent:
    """A message of this rule as it counts when it is let go at `at`."""
    return Sent(
        at=at, ruleset=rule.ruleset, rule=rule.name, is_marketing=send.class_ == "marketing", purpose=send.purpose,
        channel=send.channel, send=identifier, group=rule.group,
    )  # fmt: skip


def _refusal_of_rule(profile: Profile, rule: Rule, view: View) -> str:
    """Why the rule itself does not want to send to this person again so soon."""
    if not (rule.cooldown or rule.set_cooldown or rule.limits or rule.once_per):
        return ""
    of_set = [each for each in profile.sent if each.ruleset == rule.ruleset]
    if rule.set_cooldown and of_set and view.now - of_set[-1].at < rule.set_cooldown:
        return f"its rule set sent less than {say_duration(rule.set_cooldown)} ago"
    sent = [each.at for each in of_set if each.rule == rule.name]
    if rule.cooldown and sent and view.now - max(sent) < rule.cooldown:
        return f"this rule sent less than {say_duration(rule.cooldown)} ago"
    for limit in rule.limits:
        recent = sum(1 for at in sent if view.now - at < limit.within)
        if recent >= limit.sends:
            return f"this rule sent {_messages(recent)} within {say_duration(limit.within)}"
    if rule.once_per is not None and stamped_at(profile, _once_stamp(rule, view)) is not None:
        per = rule.once_per.text if isinstance(rule.once_per, Computed) else rule.once_per
        return "this rule sent once before" if per == "ever" else f"this rule sent once for this {per}"
    return ""


def _once_stamp(rule: Rule, view: View) -> str:
    """What `once_per` holds on to: the period by the person's calendar, or the value; a missing value is one, too."""
    match rule.once_per:
        case Computed(of=of):
            value = of(view)
            per = f"{type(value).__name__} {value}"
        case "week":
            year, week, _ = view.local.when.isocalendar()
            per = f"{year}-W{week:02d}"
        case "day" | "month" | "year" as period:
            per = view.local.date[: {"day": 10, "month": 7, "year": 4}[period]]
        case _:
            per = "ever"
    return f"sent {rule.full_name} {per}"


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count} messages"


def refusal_to(profile: Profile, class_: str, purpose: str, policy: Policy) -> str:
    """Why nothing of this class and purpose may go to this person at all; empty when it may.

    Asked when the rule decides and again when the message is handed over.
    """
    email = profile.trait("email")
    if not isinstance(email, str) or "@" not in email:
        return "no email address"
    suppressed = suppression_of(profile)
    if suppressed == "hard bounce" or (suppressed and class_ == "marketing"):
        return f"suppressed: {suppressed}"
    return refusal(profile.consent, purpose, policy.purposes, email) if class_ == "marketing" else ""


def refusal_of_list(lines: Iterable[Suppression], profile: Profile, class_: str, purpose: str) -> str:
    """Why the suppression list keeps a message of this class and purpose from the address that these lines concern
    (`StateStore.suppressed`); empty when it does not. Asked when the message is handed over.

    A hard bounce stops everything, the others marketing. What somebody consents to by name lifts an earlier line that
    came of an unsubscribe; no consent lifts another.
    """
    for line in lines:
        if line.reason != "hard bounce":
            if class_ == "transactional" or line.purpose not in ("", purpose):
                continue
            word = profile.consent.get(purpose)
            if line.reason == "unsubscribe" and word is not None and word.is_given and word.at > line.at:
                continue
        whom = f" ({line.address})" if line.address.startswith("@") else ""
        return f"suppressed: {line.reason}{whom}"
    return ""


def note_sent(
    profile: Profile, rule: Rule, send: Send, view: View, identifier: str, *, is_merged: bool = False
) -> None:
    """Count a message that was let go, in a working copy. One that became part of another counts for its rule's own
    limits and for no cap: there is one message the less.
    """
    sent = as_sent(rule, send, view.now, identifier)
    remember_sent(profile, replace(sent, is_marketing=False) if is_merged else sent)
    if rule.once_per is not None:
        stamp(profile, _once_stamp(rule, view), view.now)
