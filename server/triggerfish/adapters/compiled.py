"""The matcher in plain Python: it runs each listening rule's compiled condition, in order.

It is the oracle to which `durable.py` is held (tests/contracts/matcher.py), and the way to run where durable_rules does
not build (`engine = "compiled"` in triggerfish.toml).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from triggerfish.conditions import View, made
from triggerfish.rules import Rule, RuleSet

Listener = tuple[Callable[[View], bool] | None, Rule]
"""A rule's condition as a function (None always holds), and the rule."""


class CompiledMatcher:
    """A Matcher port (rules.py) over the rules' own compiled conditions. It keeps no state between events."""

    def __init__(self, rulesets: Sequence[RuleSet]) -> None:
        self._listeners: dict[str, list[tuple[bool, list[Listener]]]] = {}
        for ruleset in sorted(rulesets, key=lambda ruleset: -ruleset.priority):
            listening: dict[str, list[Listener]] = {}
            for rule in ruleset.rules:
                holds = None if rule.when is None else made(rule.when.holds)
                for name in dict.fromkeys(rule.on):
                    listening.setdefault(name, []).append((holds, rule))
            for name, listeners in listening.items():
                self._listeners.setdefault(name, []).append((ruleset.mode == "first", listeners))

    def match(self, view: View) -> list[Rule]:
        """The rules woken by `view.event` whose condition holds, in the order of the Matcher port."""
        woken: list[Rule] = []
        if view.event is None:
            return woken
        for is_first_only, listeners in self._listeners.get(view.event.name, ()):
            for holds, rule in listeners:
                if holds is None or holds(view):
                    woken.append(rule)
                    if is_first_only:
                        break
        return woken
