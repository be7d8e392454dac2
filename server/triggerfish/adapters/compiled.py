"""The matcher in plain Python: it runs each listening rule's compiled condition, in order.

It is the oracle to which `durable.py` is held (tests/contracts/matcher.py), and the way to run where durable_rules does
not build (`engine = "compiled"` in triggerfish.toml). Both look rules up by their guards (guards.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from triggerfish.adapters.guards import Lookup, guards_of
from triggerfish.conditions import View, made
from triggerfish.rules import Rule, RuleSet

_Listener = tuple[Callable[[View], bool] | None, Rule, int]
"""A rule's condition as a function (None always holds), the rule, and a number for its rule set, if that is one of mode
first; else -1. (Python takes a plain tuple apart in a third of the time that a named one needs.)
"""


class _Listeners:
    """The rules that listen to one event, rule sets by priority."""

    def __init__(self, given: Sequence[tuple[Rule, int]]) -> None:
        guards = guards_of([rule.when for rule, _ in given])
        # What is looked up is seldom asked, if ever: of ten thousand such rules few functions are made.
        self._rows: list[_Listener] = [
            (None if rule.when is None else made(rule.when.holds) if guard is None else rule.when.holds, rule, first_of)
            for (rule, first_of), guard in zip(given, guards, strict=True)
        ]
        self._lookup = Lookup([None if guard is None else [guard] for guard in guards])

    def woken(self, view: View) -> list[Rule]:
        woken: list[Rule] = []
        taken = -2
        rows = self._rows
        for place in self._lookup.open(view):
            holds, rule, first_of = rows[place]
            if first_of != taken and (holds is None or holds(view)):
                woken.append(rule)
                if first_of >= 0:
                    taken = first_of
        return woken


class CompiledMatcher:
    """A Matcher port (rules.py) over the rules' own compiled conditions. It keeps no state between events."""

    def __init__(self, rulesets: Sequence[RuleSet]) -> None:
        self._given: dict[str, list[tuple[Rule, int]]] = {}
        self._listeners: dict[str, _Listeners] = {}
        for number, ruleset in enumerate(sorted(rulesets, key=lambda ruleset: -ruleset.priority)):
            for rule in ruleset.rules:
                for name in dict.fromkeys(rule.on):
                    self._given.setdefault(name, []).append((rule, number if ruleset.mode == "first" else -1))

    def match(self, view: View) -> list[Rule]:
        """The rules woken by `view.event` whose condition holds, in the order of the Matcher port."""
        if view.event is None:
            return []
        listeners = self._listeners.get(view.event.name)
        if listeners is None:
            given = self._given.get(view.event.name)
            if given is None:
                return []
            # Made at the first event of its name: most of a large rulebook's conditions are not needed for long.
            listeners = self._listeners[view.event.name] = _Listeners(given)
        return listeners.woken(view)
