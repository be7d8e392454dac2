"""What a rule does, as compiled: a flat list of steps with the places to go on from, which the engine runs from one
wait to the next (engine/journeys.py).

A rule with `then` has actions only, and splits. A rule with `steps` is a journey: it may wait and branch, and a person
is inside it for a while. Each step has a label: its name, or its place as people count it: "3", "3.vip.2".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from triggerfish.clock import Millis
from triggerfish.conditions import Condition
from triggerfish.timetable import Timetable

STEP_LIMIT = 500
"""Steps of one rule."""


class Computed(Struct, frozen=True):
    """A value worked out when it is needed."""

    text: str
    of: Any  # Callable[[View], Any]


Values = Mapping[str, Any | Computed]


class Send(Struct, frozen=True):
    """Send a template over a channel. `class_` and `purpose` are the rule's, or else the template's. With `best_within`
    it leaves at the person's best hour within that time. `reads_also`: the template shows messages that became part of
    this one.
    """

    template: str
    class_: Literal["marketing", "transactional"] = "marketing"
    purpose: str = "marketing"
    channel: str = ""
    best_within: Millis = 0
    reads_also: bool = False


class Set(Struct, frozen=True):
    """Set traits."""

    values: Values


class Emit(Struct, frozen=True):
    """Let a new event happen to the person, now."""

    event: str
    properties: Values = {}


class Call(Struct, frozen=True):
    """Let a plugin's action do something with these values."""

    action: str
    values: Values = {}


Action = Send | Set | Emit | Call


class Act(Struct, frozen=True):
    """Carry out an action, then go on with the next step. `is_certain` tells what stands in no arm and no variant."""

    label: str
    action: Action
    is_certain: bool = True


class Pause(Struct, frozen=True):
    """Wait for a length of time, or until the next time of a timetable."""

    label: str
    length: Millis = 0
    until: Timetable | None = None


class Stop(Struct, frozen=True):
    """Something that ends a wait or a whole run: one of the events `on` happens and `when` holds (of that event);
    without `on`, `when` comes to hold.
    """

    on: frozenset[str] = frozenset()
    when: Condition | None = None


class Await(Struct, frozen=True):
    """Wait until something happens, but `at_most` so long; then go on at `otherwise`."""

    label: str
    stop: Stop
    at_most: Millis
    otherwise: int


class Arm(Struct, frozen=True):
    """One way of a branch: where to go on if `when` holds; None always holds."""

    name: str
    when: Condition | None
    to: int


class Branch(Struct, frozen=True):
    """Go on with the first arm that holds, or else at `otherwise`, which is called `else_name`."""

    label: str
    arms: tuple[Arm, ...]
    otherwise: int
    else_name: str = "else"


class Variant(Struct, frozen=True):
    name: str
    weight: int
    to: int


class Split(Struct, frozen=True):
    """An experiment: each person always gets the same variant. `holdout` is the weight of those who get none of them
    and go on at `otherwise`.
    """

    label: str
    experiment: str
    variants: tuple[Variant, ...]
    holdout: int
    otherwise: int

    def assign(self, share: float) -> Variant | None:
        """The variant for a share in [0, 1): each has as much of it as its weight; None is the holdout, the last."""
        at = share * (sum(variant.weight for variant in self.variants) + self.holdout)
        for variant in self.variants:
            if at < variant.weight:
                return variant
            at -= variant.weight
        return None


class Jump(Struct, frozen=True):
    """Go on elsewhere: behind the branch that this arm belongs to."""

    label: str
    to: int


class End(Struct, frozen=True):
    """The run is over."""

    label: str
    outcome: Literal["goal", "exit"]
    reason: str


Step = Act | Pause | Await | Branch | Split | Jump | End
Steps = tuple[Step, ...]


def actions_of(steps: Sequence[Step]) -> list[Action]:
    """Every action, in order."""
    return [step.action for step in steps if isinstance(step, Act)]


def conditions_of(steps: Sequence[Step]) -> list[Condition]:
    """Every condition of branches and waits, in order."""
    found: list[Condition | None] = []
    for step in steps:
        if isinstance(step, Branch):
            found += [arm.when for arm in step.arms]
        elif isinstance(step, Await):
            found.append(step.stop.when)
    return [condition for condition in found if condition is not None]


def place_of(steps: Sequence[Step], label: str) -> int | None:
    """Where the step with this label is."""
    return next((place for place, step in enumerate(steps) if step.label == label and not isinstance(step, Jump)), None)
