"""What stands between a rule and a message, gate by gate, and when the way is free again. Each gate is asked for
through the one function that decides (decisions.weigh), with the other gates taken away: so none is described twice.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from triggerfish import decisions
from triggerfish.clock import Instant, say_duration
from triggerfish.conditions import View
from triggerfish.hours import Hours
from triggerfish.rules import Policy, Rule
from triggerfish.steps import Send
from triggerfish.zones import Zones, next_daily

CANDIDATES = 500
"""Instants that are tried at most in search of the next free one."""


class Gate(Struct, frozen=True):
    """One gate before a message: whether it let it pass, and if not, why and until when (None: not with time alone)."""

    gate: str
    passed: bool
    said: str = ""
    until: Instant | None = None


def gates_of(rule: Rule, send: Send, policy: Policy, view: View, zones: Zones, hours: Hours = ()) -> list[Gate]:
    """Every gate that this message of the rule has to pass, in the order in which they are asked. `hours` are what
    everybody's opens weigh by hour.
    """
    open_rule = replace(rule, cooldown=0, set_cooldown=0, limits=(), once_per=None)
    open_policy = replace(policy, quiet=None, windows=(), caps=())
    alone: list[tuple[str, Rule, Policy]] = [("address and consent", open_rule, open_policy)]
    if rule.cooldown:
        alone.append(("cooldown", replace(open_rule, cooldown=rule.cooldown), open_policy))
    if rule.set_cooldown:
        alone.append(("cooldown of the rule set", replace(open_rule, set_cooldown=rule.set_cooldown), open_policy))
    alone += [
        (
            f"limit of {limit.sends} within {say_duration(limit.within)}",
            replace(open_rule, limits=(limit,)),
            open_policy,
        )
        for limit in rule.limits
    ]
    if rule.once_per is not None:
        alone.append(("once per", replace(open_rule, once_per=rule.once_per), open_policy))
    if send.class_ == "marketing":
        if send.best_within:
            alone.append(("best hour", open_rule, open_policy))
        if policy.quiet is not None:
            alone.append(("quiet hours", open_rule, replace(open_policy, quiet=policy.quiet)))
        if policy.windows:
            alone.append(("send windows", open_rule, replace(open_policy, windows=policy.windows)))
        for cap in policy.caps:
            gate = f"cap of {cap.sends} within {say_duration(cap.within)}{cap.said}"
            alone.append((gate, open_rule, replace(open_policy, caps=(cap,))))
    first = decisions.refusal_to(view.profile, send.class_, send.purpose, policy)
    found = []
    for gate, just_rule, just_policy in alone:
        if gate != "address and consent" and first:
            # Without an address nothing else can be asked: it is answered first.
            continue
        asked = send if gate == "best hour" else replace(send, best_within=0)
        verdict = decisions.weigh(view.profile, just_rule, asked, just_policy, view, decisions.Asking(hours=hours))
        passed = verdict.what == "go"
        until = verdict.until if verdict.what == "hold" else None
        if not passed and until is None:
            until = free_from(just_rule, asked, just_policy, view, zones)
        found.append(Gate(gate, passed, verdict.reason, until))
    if policy.arbitration is not None and send.class_ == "marketing" and all(gate.passed for gate in found):
        window = say_duration(policy.arbitration.window)
        found.append(Gate("arbitration", True, f"it would have waited {window} for others that come first"))
    return found


def free_from(rule: Rule, send: Send, policy: Policy, view: View, zones: Zones) -> Instant | None:
    """The next instant at which this message may leave should nothing happen meanwhile; None when time alone does not
    bring it, or not within CANDIDATES looks.
    """
    if decisions.refusal_to(view.profile, send.class_, send.purpose, policy):
        return None
    at: Instant | None = view.now
    for _ in range(CANDIDATES):
        if at is None:
            return None
        then = View(view.profile, at, zones, event=view.event, segment=view.segment)
        verdict = decisions.weigh(view.profile, rule, send, policy, then)
        if verdict.what == "go":
            return at
        if verdict.what == "hold":
            at = verdict.until if verdict.until > at else None
        else:
            at = min((each for each in _turns(rule, policy, then) if each > at), default=None)
    return None


def _turns(rule: Rule, policy: Policy, view: View) -> Iterator[Instant]:
    """Instants at which a refusal can end with time alone."""
    lengths = [
        rule.cooldown,
        rule.set_cooldown,
        *(limit.within for limit in rule.limits),
        *(cap.within for cap in policy.caps),
    ]
    for sent in view.profile.sent:
        for length in lengths:
            if length:
                yield sent.at + length
    if rule.once_per in ("day", "week", "month", "year"):
        # Each of these begins with a local day.
        yield next_daily(view.now, 0, view.local.zone)
