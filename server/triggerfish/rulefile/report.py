"""What a backtest or a diff tells, as plain data: the JSON of `triggerfish backtest` and `triggerfish diff`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import accumulate

from msgspec import Struct

from triggerfish.clock import to_iso
from triggerfish.rulefile.backtest import Period
from triggerfish.rulefile.diff import Change
from triggerfish.rulefile.tally import Effect, Examples, RuleTally, SegmentTally, Tally, Times
from triggerfish.rules import Rulebook

_CAP = re.compile(r"had \d+ messages?(?: (?:over|for|of) .+)? within ")
"""How decisions.py says that a cap of the policy holds a message back."""


class Person(Struct, frozen=True):
    """An example: profile id, userId or anonymousId, and what there is to say of them."""

    id: str
    name: str
    note: str = ""


class Count(Struct, frozen=True):
    """How many times, to how many people, and some of them."""

    times: int
    people: int
    examples: tuple[Person, ...] = ()


class Skip(Struct, frozen=True):
    """Messages that did not leave, or decisions that came to nothing, by reason. `is_cap`: a cap of the policy bit."""

    reason: str
    is_cap: bool
    times: int
    people: int
    examples: tuple[Person, ...] = ()


class RuleLine(Struct, frozen=True):
    """What a rule did. `by_day` goes with the report's days, `templates` counts messages; `held` were held until they
    could leave; `waiting` wait still as the period ends; `outcomes` count its decisions.
    """

    ruleset: str
    rule: str
    sent: int
    a_week: float
    people: int
    by_day: list[int]
    templates: dict[str, int]
    held: int
    waiting: int
    outcomes: dict[str, int]
    skipped: tuple[Skip, ...]
    examples: tuple[Person, ...]

    @property
    def name(self) -> str:
        return f"{self.ruleset} / {self.rule}"


class SegmentLine(Struct, frozen=True):
    """A segment's size as the period begins and ends, and at the end of each day."""

    segment: str
    within: str
    start: int
    end: int
    entered: int
    left: int
    by_day: list[int]


class Report(Struct, frozen=True):
    """A backtest. Instants are RFC 3339 in UTC, days those of `time_zone`. `events` happened in the period, `before` it
    those that were played to warm up. `crowded` people get two messages or more on one day (`times` counts such days).
    """

    rules_of: str
    version: str
    clock: str
    since: str
    until: str
    time_zone: str
    days: tuple[str, ...]
    events: int
    before: int
    people: int
    sent: int
    a_week: float
    rules: tuple[RuleLine, ...]
    segments: tuple[SegmentLine, ...]
    caps: Count
    crowded: Count
    busiest: Count


class SegmentEffect(Struct, frozen=True):
    """Members as the period ends, under the old rules and the new; who is in it with one of them only."""

    segment: str
    before: int
    after: int
    entered: Count
    left: Count


class RuleEffect(Struct, frozen=True):
    """Messages of a rule within the period, under the old rules and the new; `a_week` is by how many more."""

    ruleset: str
    rule: str
    before: int
    after: int
    a_week: float

    @property
    def name(self) -> str:
        return f"{self.ruleset} / {self.rule}"


class EffectReport(Struct, frozen=True):
    """What a change of the rules does. Only segments and rules with a difference are listed; `a_week` are all messages;
    `more` and `fewer` are people who get that, with `times` the messages; `crowded` as in Report, but not before.
    """

    summary: str
    a_week: float
    segments: tuple[SegmentEffect, ...]
    rules: tuple[RuleEffect, ...]
    more: Count
    fewer: Count
    crowded: Count


class DiffReport(Struct, frozen=True):
    """`changes` of the definitions; `templates` whose files differ. Without any of the former nothing was played."""

    old: str
    new: str
    changes: tuple[Change, ...]
    templates: tuple[str, ...]
    effect: EffectReport | None = None
    before: Report | None = None
    after: Report | None = None


def report(
    tally: Tally,
    period: Period,
    rulebook: Rulebook,
    *,
    rules_of: str,
    clock: str,
    events: int,
    before: int,
) -> Report:
    """The report of one rulebook; `rules_of` says where its files are from."""
    rules = tuple(
        _rule_line(ruleset.name, rule.name, tally.rules.get(f"{ruleset.name} / {rule.name}"), period)
        for ruleset in rulebook.rulesets
        for rule in ruleset.rules
    )
    caps = Times(Examples(tally.sample))
    for rule in tally.rules.values():
        for reason, times in rule.skipped.items():
            if _CAP.match(reason):
                caps.add(times)
    sent = sum(line.sent for line in rules)
    return Report(
        rules_of=rules_of,
        version=rulebook.version,
        clock=clock,
        since=to_iso(period.since),
        until=to_iso(period.until),
        time_zone=rulebook.policy.time_zone,
        days=period.days,
        events=events,
        before=before,
        people=tally.people,
        sent=sent,
        a_week=_a_week(sent, period),
        rules=rules,
        segments=tuple(
            _segment_line(each.name, each.parent or "", tally, period) for each in rulebook.segments.segments
        ),
        caps=_count(caps),
        crowded=_count(tally.crowded),
        busiest=_count(tally.busiest),
    )


def effect_report(effect: Effect, before: Report, after: Report, period: Period) -> EffectReport:
    """What the change from the one to the other does."""
    was = {line.segment: line.end for line in before.segments}
    now = {line.segment: line.end for line in after.segments}
    segments = tuple(
        SegmentEffect(
            name, was.get(name, 0), now.get(name, 0), _count(effect.segments[name].entered),
            _count(effect.segments[name].left),
        )
        for name in dict.fromkeys([*now, *was]) if name in effect.segments
    )  # fmt: skip
    rules = tuple(_rule_effects(before.rules, after.rules, period))
    a_week = _a_week(after.sent - before.sent, period)
    crowded = _count(effect.crowded)
    return EffectReport(
        summary=_summary(segments, a_week, crowded),
        a_week=a_week,
        segments=segments,
        rules=rules,
        more=_count(effect.more),
        fewer=_count(effect.fewer),
        crowded=crowded,
    )


def say_number(number: float) -> str:
    """1204.0 as `1,204`, 0.5 as `0.5`: a decimal below ten only."""
    return f"{number:,.0f}" if abs(number) >= 9.95 or number == int(number) else f"{number:,.1f}"


def _rule_line(ruleset: str, rule: str, tally: RuleTally | None, period: Period) -> RuleLine:
    if tally is None:
        tally = RuleTally([0] * len(period.days), Examples(0))
    sent = sum(tally.sent)
    return RuleLine(
        ruleset=ruleset,
        rule=rule,
        sent=sent,
        a_week=_a_week(sent, period),
        people=tally.people,
        by_day=tally.sent,
        templates=_sorted(tally.messages),
        held=tally.held,
        waiting=tally.waiting,
        outcomes=_sorted(tally.outcomes),
        skipped=tuple(
            Skip(reason, bool(_CAP.match(reason)), times.times, times.people, _people(times.examples))
            for reason, times in sorted(tally.skipped.items(), key=lambda item: (-item[1].times, item[0]))
        ),
        examples=_people(tally.sample),
    )


def _segment_line(name: str, within: str, tally: Tally, period: Period) -> SegmentLine:
    known = tally.segments.get(name) or SegmentTally([0] * len(period.days))
    sizes = [known.start + grown for grown in accumulate(known.growth)]
    return SegmentLine(name, within, known.start, known.end, known.entered, known.left, sizes)


def _rule_effects(before: Sequence[RuleLine], after: Sequence[RuleLine], period: Period) -> list[RuleEffect]:
    was = {(line.ruleset, line.rule): line.sent for line in before}
    now = {(line.ruleset, line.rule): line.sent for line in after}
    found = []
    for key in dict.fromkeys([*now, *was]):
        one, other = was.get(key, 0), now.get(key, 0)
        if one != other:
            found.append(RuleEffect(*key, one, other, _a_week(other - one, period)))
    return found


def _summary(segments: Sequence[SegmentEffect], a_week: float, crowded: Count) -> str:
    """`+312 enter loyal, -47 leave; 1,204 more messages a week; 3 people would get two in one day`."""
    parts = []
    for segment in segments:
        entered, left = segment.entered.people, segment.left.people
        told = [f"+{entered:,} enter"] * bool(entered) + [f"-{left:,} leave"] * bool(left)
        parts.append(", ".join([f"{told[0]} {segment.segment}", *told[1:]]))
    if a_week:
        parts.append(f"{say_number(abs(a_week))} {'more' if a_week > 0 else 'fewer'} messages a week")
    if crowded.people:
        who = "1 person" if crowded.people == 1 else f"{crowded.people:,} people"
        parts.append(f"{who} would get two in one day")
    return "; ".join(parts) or "no difference to anybody within the period"


def _a_week(count: int, period: Period) -> float:
    return round(count / period.weeks, 1)


def _count(times: Times) -> Count:
    return Count(times.times, times.people, _people(times.examples))


def _people(examples: Examples) -> tuple[Person, ...]:
    return tuple(Person(example.id, example.name, example.note) for example in examples.found)


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items()))
