"""Room 5. Rules: which rules an event wakes. The Matcher port decides; two adapters must agree on every answer:
`adapters/durable.py` (durable_rules) and `adapters/compiled.py` (generated Python, the oracle).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct

from triggerfish.activity import Activity
from triggerfish.clock import HOUR, Millis
from triggerfish.conditions import Condition, View
from triggerfish.expectations import Expectations
from triggerfish.segments import SegmentTree
from triggerfish.zones import Zones


class Computed(Struct, frozen=True):
    """A value worked out when the action runs."""

    text: str
    of: Any  # Callable[[View], Any]


class Send(Struct, frozen=True):
    """Send a template over a channel. `class_` and `purpose` are the template's."""

    template: str
    class_: Literal["marketing", "transactional"] = "marketing"
    purpose: str = "marketing"
    channel: str = ""


class Set(Struct, frozen=True):
    """Set traits."""

    values: Mapping[str, Any | Computed]


class Emit(Struct, frozen=True):
    """Let a new event happen to the person, now."""

    event: str
    properties: Mapping[str, Any | Computed] = {}


Action = Send | Set | Emit


class Rule(Struct, frozen=True):
    """A rule as compiled. `on` and `unless` hold events' own names (not the plan's short ones)."""

    ruleset: str
    name: str
    on: tuple[str, ...]
    actions: tuple[Action, ...]
    when: Condition | None = None
    wait: Millis = 0
    unless: frozenset[str] = frozenset()
    while_waiting: Literal["restart", "keep", "each"] = "restart"
    cooldown: Millis = 0
    priority: int = 0
    description: str = ""

    @property
    def sends(self) -> list[Send]:
        return [action for action in self.actions if isinstance(action, Send)]


class RuleSet(Struct, frozen=True):
    """Rules in the order in which they win: highest priority first, then file order."""

    name: str
    rules: tuple[Rule, ...]
    mode: Literal["first", "all"] = "all"
    priority: int = 0
    max_age: Millis = HOUR
    description: str = ""


class Quiet(Struct, frozen=True):
    """Local minutes of the day between which no marketing leaves; `start` may be after `end` (over midnight)."""

    start: int
    end: int


class Cap(Struct, frozen=True):
    """At most `sends` marketing messages to one person within any `within`."""

    sends: int
    within: Millis


class Policy(Struct, frozen=True):
    """What holds for every rule."""

    time_zone: str = "UTC"
    quiet: Quiet | None = None
    caps: tuple[Cap, ...] = ()


class Rulebook:
    """Everything that rule files say, compiled: what `decide` is given. `version` names its content; `match` is the
    Matcher's, made for these rule sets (highest priority first).
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
        expectations: Expectations | None = None,
        version: str = "",
    ) -> None:
        self.segments = segments or SegmentTree()
        self.rulesets = tuple(sorted(rulesets, key=lambda ruleset: -ruleset.priority))
        self.match = matcher(self.rulesets).match
        self.policy = policy or Policy()
        self.zones = Zones(self.policy.time_zone)
        self.short_names = dict(short_names or {})
        self.expectations = dict(expectations or {})
        self.version = version
        self.activities = tuple(activities)
        self._rules = {(rule.ruleset, rule.name): rule for ruleset in self.rulesets for rule in ruleset.rules}
        self._rulesets = {ruleset.name: ruleset for ruleset in self.rulesets}
        self._counts: dict[str, list[Activity]] = {}
        for activity in activities:
            for event in activity.events:
                self._counts.setdefault(event, []).append(activity)

    def rule(self, ruleset: str, name: str) -> Rule | None:
        return self._rules.get((ruleset, name))

    def ruleset(self, name: str) -> RuleSet:
        return self._rulesets[name]

    def counts(self, event: str) -> Sequence[Activity]:
        """The activities that an event of this name adds to."""
        return self._counts.get(event, ())


class Matcher(Protocol):
    """Which rules an event wakes. `tests/contracts/matcher.py` says what every adapter must do."""

    def match(self, view: View) -> list[Rule]:
        """The rules woken by `view.event` whose condition holds: rule sets by priority, then file order; within a set
        by the rules' order; of a set with `mode: first` at most one.
        """
        ...
