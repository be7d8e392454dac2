"""Room 5. Rules: which rules an event wakes. The Matcher port decides; two adapters must agree on every answer:
`adapters/durable.py` (durable_rules) and `adapters/compiled.py` (generated Python, the oracle).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from hashlib import blake2b
from typing import Literal, Protocol

from msgspec import Struct

from triggerfish.activity import Activity
from triggerfish.clock import DAY, HOUR, Millis
from triggerfish.conditions import Condition, View
from triggerfish.consent import Purpose
from triggerfish.plan import Plan
from triggerfish.profile import Sent, Wait
from triggerfish.segments import Marks, SegmentTree
from triggerfish.steps import Act, Action, Computed, Send, Steps, Stop, actions_of, conditions_of
from triggerfish.timetable import Anniversary, Timetable
from triggerfish.zones import Zones

Again = Literal["always", "once"] | Millis
Losing = Literal["drop", "defer", "merge"]
Period = Literal["day", "week", "month", "year", "ever"]
Fitting = frozenset[tuple[str, str]]
"""What people are fitted to, as (kind, name): `activity` by its key, `segment` and `calendar` by a fingerprint."""


_PRIORITIES = 2_000_003
"""More than there are priorities: -1,000,000 to 1,000,000."""


class Schedule(Struct, frozen=True):
    """Wakes a rule by the calendar: for people in `segment` by `timetable`, in `time_zone` or else their own; or on a
    day that a trait of theirs tells. `text` is how it was written.
    """

    text: str
    timetable: Timetable | None = None
    segment: str = ""
    time_zone: str = ""
    anniversary: Anniversary | None = None


class Cap(Struct, frozen=True):
    """At most `sends` marketing messages to one person within any `within`: of all, or of those that leave over
    `channel`, have this `purpose`, are of this rule set, of this group; of all that is said.
    """

    sends: int
    within: Millis
    channel: str = ""
    purpose: str = ""
    ruleset: str = ""
    group: str = ""

    def counts(self, sent: Sent) -> bool:
        """Whether this message is one of those that it counts."""
        return (
            sent.is_marketing
            and self.channel in ("", sent.channel)
            and self.purpose in ("", sent.purpose)
            and self.ruleset in ("", sent.ruleset)
            and self.group in ("", sent.group)
        )

    @property
    def said(self) -> str:
        """Which messages it counts: ` over smtp for news of rule set "carts"`; empty for all."""
        over = f" over {self.channel}" if self.channel else ""
        purpose = f" for {self.purpose}" if self.purpose else ""
        of = [f'rule set "{self.ruleset}"' if self.ruleset else "", f'group "{self.group}"' if self.group else ""]
        named = " and ".join(word for word in of if word)
        return f"{over}{purpose}" + (f" of {named}" if named else "")


class Rule(Struct, frozen=True):
    """A rule as compiled. `on` and `unless` hold events' own names (not the plan's short ones).

    `max_age` is the rule set's unless the rule says its own. Of a journey, `key` tells its runs apart, `again` when a
    person may enter once more, `goals` and `exits` what ends a run at once; `is_pinned` keeps people inside to the
    steps that they entered with, `version` names this one.

    Of the messages of one `group`, a round of the arbiter lets one leave (docs/arbitration.md). `losing` says what
    becomes of one of this rule's that loses there, or at a cap. `set_cooldown` lies between any two of its rule set's.
    """

    ruleset: str
    name: str
    on: tuple[str, ...]
    steps: Steps
    when: Condition | None = None
    wait: Millis = 0
    unless: frozenset[str] = frozenset()
    while_waiting: Literal["restart", "keep", "each"] = "restart"
    cooldown: Millis = 0
    once_per: Period | Computed | None = None
    limits: tuple[Cap, ...] = ()
    max_age: Millis = HOUR
    priority: int = 0
    description: str = ""
    schedule: Schedule | None = None
    is_journey: bool = False
    key: Computed | None = None
    again: Again = "always"
    goals: tuple[Stop, ...] = ()
    exits: tuple[Stop, ...] = ()
    is_pinned: bool = False
    version: str = ""
    group: str = ""
    losing: Losing = "drop"
    defer_at_most: Millis = DAY
    set_cooldown: Millis = 0

    @property
    def full_name(self) -> str:
        """`rule set / rule`, as timelines have it."""
        return f"{self.ruleset} / {self.name}"

    @property
    def actions(self) -> list[Action]:
        """Every action that the rule may carry out, in order."""
        return actions_of(self.steps)

    @property
    def sends(self) -> list[Send]:
        """Every message that the rule may send, in order."""
        return [action for action in self.actions if isinstance(action, Send)]

    @property
    def certain_sends(self) -> list[tuple[str, Send]]:
        """The messages that stand in no arm and no variant, with their steps' labels: known before the rule acts."""
        steps = (step for step in self.steps if isinstance(step, Act) and step.is_certain)
        return [(step.label, step.action) for step in steps if isinstance(step.action, Send)]

    @property
    def conditions(self) -> list[Condition]:
        """Every condition that the rule asks."""
        own = [self.when, *(stop.when for stop in (*self.goals, *self.exits))]
        return [condition for condition in own if condition is not None] + conditions_of(self.steps)


def scheduled(ruleset: str, rule: str) -> str:
    """The name of the event that wakes a rule by the calendar."""
    return f"schedule:{ruleset}/{rule}"


class RuleSet(Struct, frozen=True):
    """Rules in the order in which they win: highest priority first, then file order."""

    name: str
    rules: tuple[Rule, ...]
    mode: Literal["first", "all"] = "all"
    priority: int = 0
    description: str = ""


class Quiet(Struct, frozen=True):
    """Local minutes of the day between which no marketing leaves; `start` may be after `end` (over midnight)."""

    start: int
    end: int


class SendWindow(Struct, frozen=True):
    """Marketing may leave on these weekdays (Monday is 0) from one local minute of the day to another. One that ends no
    later than it begins ends on the next day.
    """

    days: frozenset[int]
    start: int
    end: int


class Arbitration(Struct, frozen=True):
    """The marketing messages that want to leave to one person within `window` of the first stand against one another;
    `most` of them leave (docs/arbitration.md).
    """

    window: Millis
    most: int = 1


class Policy(Struct, frozen=True):
    """What holds for every rule. `windows` are when marketing may leave; none: always."""

    time_zone: str = "UTC"
    quiet: Quiet | None = None
    caps: tuple[Cap, ...] = ()
    windows: tuple[SendWindow, ...] = ()
    arbitration: Arbitration | None = None
    purposes: Mapping[str, Purpose] = {}


class Rulebook:
    """Everything that rule files say, compiled: what `decide` is given. `version` names its content; `match` is the
    Matcher's, made for these rule sets (highest priority first). `pinned` are rules of earlier versions, for people who
    are still inside.
    """

    def __init__(
        self,
        *,
        matcher: Callable[[Sequence[RuleSet]], Matcher],
        segments: SegmentTree | None = None,
        rulesets: Sequence[RuleSet] = (),
        activities: Sequence[Activity] = (),
        policy: Policy | None = None,
        short_names: Mapping[str, str] | None = None,
        plan: Plan | None = None,
        version: str = "",
        pinned: Sequence[Rule] = (),
    ) -> None:
        self.segments = segments or SegmentTree()
        self.rulesets = tuple(sorted(rulesets, key=lambda ruleset: -ruleset.priority))
        self.match = matcher(self.rulesets).match
        self.policy = policy or Policy()
        self.zones = Zones(self.policy.time_zone)
        self.short_names = dict(short_names or {})
        self.plan = plan or Plan()
        self.version = version
        self.activities = tuple(activities)
        self._rules = {(rule.ruleset, rule.name): rule for ruleset in self.rulesets for rule in ruleset.rules}
        self._rulesets = {ruleset.name: ruleset for ruleset in self.rulesets}
        self._places = {name: place for place, name in enumerate(self._rules)}
        self._pinned = {(rule.ruleset, rule.name, rule.version): rule for rule in pinned}
        self.schedules = tuple(rule for rule in self._rules.values() if rule.schedule is not None)
        counted: dict[str, list[Activity]] = {}
        for activity in activities:
            for event in activity.events:
                counted.setdefault(event, []).append(activity)
        self._counts = counted
        self._listened = frozenset(name for rule in self._rules.values() for name in rule.on)
        self._readers = {event: self.segments.readers(each) for event, each in counted.items()}

    def is_idle(self, event: str) -> bool:
        """Whether nothing counts an event of this name, and no rule listens to it."""
        return event not in self._counts and event not in self._listened

    @cached_property
    def fitting(self) -> Fitting:
        """What people have to be fitted to: the activities that they remember, the segments, and the calendar."""
        schedules = [
            (rule.ruleset, rule.name, rule.schedule.text, rule.schedule.segment, rule.schedule.time_zone,
             rule.schedule.anniversary)
            for rule in self.schedules if rule.schedule is not None
        ]  # fmt: skip
        calendar = repr((schedules, self.policy.time_zone)) if schedules else ""
        return frozenset(
            {("calendar", blake2b(calendar.encode(), digest_size=12).hexdigest())}
            | {("activity", activity.key) for activity in self.activities}
            | {("segment", print_) for print_ in self.segments.fingerprints(self.policy.time_zone).values()}
        )

    def rule(self, ruleset: str, name: str) -> Rule | None:
        return self._rules.get((ruleset, name))

    def rule_of(self, wait: Wait) -> Rule | None:
        """The rule by which a wait goes on: as it is now or, for a run of a journey that is pinned, as it was."""
        rule = self._rules.get((wait.ruleset, wait.rule))
        if not wait.version or (rule is not None and (rule.version == wait.version or not rule.is_pinned)):
            return rule
        return self._pinned.get((wait.ruleset, wait.rule, wait.version))

    def ruleset(self, name: str) -> RuleSet:
        return self._rulesets[name]

    def rank(self, rule: Rule) -> tuple[int, int, int]:
        """What rules are ordered by when they stand against one another, the first to come first: the priority of the
        rule set, their own, the order of the files. A rule of an earlier version comes behind its equals.
        """
        ruleset = self._rulesets.get(rule.ruleset)
        place = self._places.get((rule.ruleset, rule.name), len(self._places))
        return -(ruleset.priority if ruleset is not None else 0), -rule.priority, place

    def priority(self, rule: Rule, class_: str) -> int:
        """The same as one number for the messages of a rule, the higher to leave first; transactional above all."""
        of_set, own, _ = self.rank(rule)
        return -of_set * _PRIORITIES - own + (_PRIORITIES**2 if class_ == "transactional" else 0)

    def counts(self, event: str) -> Sequence[Activity]:
        """The activities that an event of this name adds to."""
        return self._counts.get(event, ())

    def readers(self, event: str) -> Marks:
        """The segments that read any of these."""
        return self._readers.get(event, b"")


class Matcher(Protocol):
    """Which rules an event wakes. `tests/contracts/matcher.py` says what every adapter must do."""

    def match(self, view: View) -> list[Rule]:
        """The rules woken by `view.event` whose condition holds: rule sets by priority, then file order; within a set
        by the rules' order; of a set with `mode: first` at most one.
        """
        ...
