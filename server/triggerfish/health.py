"""How rules are doing: when each fired last, how often it matches, what failed, what it costs, whether it has stopped.

The store counts as it commits, a day at a time (days are UTC, and as of the instant up to which is decided, not of a
clock on the wall). Here is what the counts come to.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Literal

from msgspec import Struct

from triggerfish.clock import DAY, Instant, to_iso

DAYS_KEPT = 400
"""Days of which the counts are kept."""
DAYS_SHOWN = 30
USUAL_DAYS = 5
"""A rule that fired on so many of the USUAL_WITHIN days up to the last on which it did was a usual thing."""
USUAL_WITHIN = 14
QUIET_DAYS = 3
"""It has stopped when it has not fired for so many days, or three times as long as it usually pauses."""

FIRED = frozenset({"acted", "waiting", "entered"})
"""Decisions by which something comes of a rule's event."""
MATCHED = FIRED | {"skipped"}
"""Decisions that say: its event came, and its condition held."""
ERRORS = frozenset({"failed", "uncertain"})


class RuleDay(Struct, frozen=True):
    """How often a rule came to a decision, or its messages to a status, on a day (days since 1970)."""

    ruleset: str
    rule: str
    day: int
    kind: Literal["decision", "send"]
    outcome: str
    count: int
    last_at: Instant


class Spent(Struct, frozen=True):
    """Time that a rule's condition took on a day, in a sample of the events that would wake it."""

    ruleset: str
    rule: str
    day: int
    samples: int
    nanoseconds: int


class Reign(Struct, frozen=True):
    """From here on a rulebook decided: behind this position of the log, and this instant of the agenda."""

    position: int
    until: Instant
    version: str


class HoldView(Struct, frozen=True):
    """A rule whose messages are held, since when, why and by whom; without `rule` a whole rule set. `waiting` messages
    of it are due.
    """

    ruleset: str
    rule: str
    reason: str
    by: str
    since: str
    waiting: int


class RuleHealth(Struct, frozen=True):
    """How a rule is doing. `matches_a_day` counts how often its event came and its condition held, on the mean of the
    last 7 and 30 days; `by_day` the same of each of the last 30 days, today last. `errors` are messages that failed or
    of which nobody knows whether they left, in the last 7 days. `share_of_time` is its part of what all rules'
    conditions took in the last 7 days (adapters/stopwatch.py); None when nothing was measured. `has_stopped` says that
    it used to fire and does no more, and `sentence` what there is to know. `said` is the rule in plain words. `held`
    says why its messages are held, if they are.
    """

    ruleset: str
    rule: str
    last_fired: str | None
    matches_a_day_7: float
    matches_a_day_30: float
    by_day: list[int]
    errors_7: int
    share_of_time: float | None
    has_stopped: bool
    sentence: str
    said: list[str] = []
    held: str = ""


def tell_health(
    rules: Iterable[tuple[str, str]],
    days: Sequence[RuleDay],
    spent: Sequence[Spent],
    reigns: Sequence[Reign],
    until: Instant,
) -> list[RuleHealth]:
    """The health of these rules (rule set, rule), in their order, as of `until`."""
    today = until // DAY
    counts: dict[tuple[str, str], list[RuleDay]] = {}
    for each in days:
        counts.setdefault((each.ruleset, each.rule), []).append(each)
    took: dict[tuple[str, str], int] = {}
    for one in spent:
        if one.day > today - 7:
            took[one.ruleset, one.rule] = took.get((one.ruleset, one.rule), 0) + one.nanoseconds
    whole = sum(took.values())
    return [
        _health(rule, counts.get(rule, []), took.get(rule, 0) / whole if whole else None, reigns, today)
        for rule in rules
    ]


def _health(
    rule: tuple[str, str], counts: Sequence[RuleDay], share: float | None, reigns: Sequence[Reign], today: int
) -> RuleHealth:
    by_day = [0] * DAYS_SHOWN
    errors, fired_at = 0, 0
    fired_on: set[int] = set()
    for each in counts:
        ago = today - each.day
        if each.kind == "decision" and each.outcome in MATCHED and 0 <= ago < DAYS_SHOWN:
            by_day[DAYS_SHOWN - 1 - ago] += each.count
        if each.kind == "decision" and each.outcome in FIRED:
            fired_on.add(each.day)
            fired_at = max(fired_at, each.last_at)
        if each.kind == "send" and each.outcome in ERRORS and 0 <= ago < 7:
            errors += each.count
    quiet = quiet_days(fired_on, today)
    return RuleHealth(
        ruleset=rule[0],
        rule=rule[1],
        last_fired=to_iso(fired_at) if fired_on else None,
        matches_a_day_7=round(sum(by_day[-7:]) / 7, 2),
        matches_a_day_30=round(sum(by_day) / DAYS_SHOWN, 2),
        by_day=by_day,
        errors_7=errors,
        share_of_time=None if share is None else round(share, 4),
        has_stopped=quiet is not None,
        sentence=_sentence(fired_on, fired_at, quiet, errors, reigns),
    )


def quiet_days(fired_on: Collection[int], today: int) -> int | None:
    """How many days a rule that used to fire has not, when that is too long; else None.

    It used to: on USUAL_DAYS or more of the USUAL_WITHIN days up to the last on which it fired. Too long is QUIET_DAYS
    or more, and three times the mean gap between those days or more.
    """
    if not fired_on:
        return None
    last = max(fired_on)
    usual = sorted(day for day in fired_on if day > last - USUAL_WITHIN)
    if len(usual) < USUAL_DAYS:
        return None
    gap = (usual[-1] - usual[0]) / (len(usual) - 1)
    quiet = today - last
    return quiet if quiet >= max(QUIET_DAYS, 3 * gap) else None


def _sentence(
    fired_on: Collection[int], fired_at: Instant, quiet: int | None, errors: int, reigns: Sequence[Reign]
) -> str:
    said = []
    if not fired_on:
        said.append("has never fired")
    if quiet is not None:
        usual = sum(1 for day in fired_on if day > max(fired_on) - USUAL_WITHIN)
        said.append(f"fired on {usual} of {USUAL_WITHIN} days, and not for {quiet} days since {to_iso(fired_at)}")
        changed = next((reign for reign in reigns if reign.until >= fired_at), None)
        if changed is not None:
            said.append(f"the next rulebook, {changed.version}, went live at {to_iso(changed.until)}")
    if errors:
        said.append(f"{errors} message{'s' if errors != 1 else ''} failed or may have in the last 7 days")
    return "; ".join(said)
