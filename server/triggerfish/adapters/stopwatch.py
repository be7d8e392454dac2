"""What rules cost. The engine reads no clock, so the time is taken here, around the matcher that it is given.

Of every SAMPLE_EVERY-th event, the conditions of the rules that listen to it are asked once more, one by one, each with
the clock running. So the shares are those of the conditions themselves, whichever engine matches (durable_rules shares
its work between rules, and has no time of its own for each), and taking them costs less than a hundredth of the asking.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from triggerfish.clock import DAY
from triggerfish.conditions import View
from triggerfish.health import Spent
from triggerfish.rules import Rule, Rulebook

SAMPLE_EVERY = 101
"""A prime, so that it keeps no step with patterns in what comes."""


class Stopwatch:
    """A Matcher around another one. `take` gives what was measured since it was last asked."""

    def __init__(self, rulebook: Rulebook, *, clock: Callable[[], int] = time.perf_counter_ns) -> None:
        self._match = rulebook.match
        self._clock = clock
        self._events = 0
        self._taken: dict[tuple[str, str, int], tuple[int, int]] = {}
        self._listeners: dict[str, list[Rule]] = {}
        for ruleset in rulebook.rulesets:
            for rule in ruleset.rules:
                for name in dict.fromkeys(rule.on):
                    self._listeners.setdefault(name, []).append(rule)

    def match(self, view: View) -> list[Rule]:
        self._events += 1
        if self._events % SAMPLE_EVERY == 0 and view.event is not None:
            self._measure(view, view.event.name)
        return self._match(view)

    def _measure(self, view: View, event: str) -> None:
        day = view.now // DAY
        for rule in self._listeners.get(event, ()):
            began = self._clock()
            if rule.when is not None:
                rule.when.holds(view)
            took = self._clock() - began
            key = (rule.ruleset, rule.name, day)
            samples, spent = self._taken.get(key, (0, 0))
            self._taken[key] = (samples + 1, spent + took)

    def take(self) -> list[Spent]:
        taken, self._taken = self._taken, {}
        return [Spent(*key, *measured) for key, measured in taken.items()]
