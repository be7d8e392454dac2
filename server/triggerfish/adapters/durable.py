"""The matcher on durable_rules. This module alone imports its extension, and calls the extension's functions directly:
no Host, hence no threads, no sessions per person, no state that outlives an event.

What the network sees is ours alone. Each message is a flat object of small whole numbers under generated names: `f0` is
the event's name as a number, and every other field is one of

- a value that rules compare with constants: its place among those constants (2i + 1 for the i-th itself, even numbers
  for what lies between), so that every comparison is exact, be it of numbers beyond 2^53, of 1e-07 or of hostile text;
  the field is left out when the value is missing or of another kind;
- a test that the network cannot say (durable_shapes.py): 1 when it holds, else left out.

What makes no difference is not told (durable_telling.py). So most messages have been sent before; and since nothing
outlives a message, its answer is what it was then. The newest are remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from itertools import count
from typing import Any

import msgspec

from triggerfish.adapters.durable_shapes import Join, Key, Leaf, Shape, Wake, cut, shape_of
from triggerfish.adapters.durable_telling import Scale, tell_of, tests_of
from triggerfish.adapters.guards import Lookup, guards_of
from triggerfish.conditions import Late, Test, View
from triggerfish.errors import PluginFailed, SettingsWrong
from triggerfish.rules import Rule, RuleSet

LAST_ID = 999_999
"""Message ids start again after this one. A message is gone before the next comes; none of these ids has the hash of
the one message that stays, "sid-0" (a test checks it: ids are told apart by a 32-bit hash alone)."""

REMEMBERED = 32_768
"""Of so many messages the answers are remembered; each takes some 300 bytes."""

_NETWORK_NAMES = count()
_OPERATORS = {"!=": "$neq", "<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}
_JSON = msgspec.json.Encoder()


class DurableMatcher:
    """A Matcher port (rules.py) over networks of durable_rules.

    Its networks are never taken down (durable_rules frees little of them): a reload wants a fresh process. Once the
    extension has failed, every later call fails too, since what is left in a network would answer for other events.

    Raises SettingsWrong (TF430) when durable_rules cannot be imported, PluginFailed (TF520) when it fails.
    """

    def __init__(self, rulesets: Sequence[RuleSet]) -> None:
        extension = _extension()
        self._rules: list[Rule] = []
        self._failure: PluginFailed | None = None
        wakes_of_all: list[Wake] = []
        groups = [(False, wakes_of_all)]
        by_priority = sorted(rulesets, key=lambda ruleset: -ruleset.priority)
        guards = _guards([rule for ruleset in by_priority for rule in ruleset.rules])
        for ruleset in by_priority:
            wakes = wakes_of_all
            if ruleset.mode == "first":
                wakes = []
                groups.append((True, wakes))
            for rule in ruleset.rules:
                shape = Shape() if rule.when is None else shape_of(rule.when.root)
                for name in dict.fromkeys(rule.on):
                    guard = guards[name, len(self._rules)]
                    wakes.append(Wake(len(self._rules), name, shape, guard))
                self._rules.append(rule)
        self._scales = _scales(leaf for _, wakes in groups for wake in wakes for leaf in wake.shape.leaves())
        self._calls: dict[str, list[list[_Call]]] = {}
        for is_first_only, wakes in groups:
            called: dict[str, list[_Call]] = {}
            for part in cut(wakes, is_ordered=is_first_only):
                for call in _Network(extension, part, self._scales, is_first_only).calls():
                    called.setdefault(call.event, []).append(call)
            for event, group in called.items():
                self._calls.setdefault(event, []).append(group)
        self._answer = lru_cache(REMEMBERED)(_Call.ask)
        self._plans: dict[str, _Plan] = {}

    def match(self, view: View) -> list[Rule]:
        """The rules woken by `view.event` whose condition holds, in the order of the Matcher port."""
        if self._failure is not None:
            raise self._failure
        if view.event is None:
            return []
        plan = self._plans.get(view.event.name)
        if plan is None:
            calls = self._calls.get(view.event.name)
            if calls is None:
                return []
            # Made at the first event of its name: most of a large rulebook's values are not needed for long.
            plan = self._plans[view.event.name] = _Plan(calls, self._scales, self._answer)
        try:
            return [self._rules[place] for place in plan.ask(view)]
        except PluginFailed as failure:
            self._failure = failure
            raise


def _guards(rules: Sequence[Rule]) -> dict[tuple[str, int], Test | None]:
    """By event and place, the test to look each rule up by."""
    listening: dict[str, list[int]] = {}
    for place, rule in enumerate(rules):
        for name in dict.fromkeys(rule.on):
            listening.setdefault(name, []).append(place)
    return {
        (name, place): guard
        for name, places in listening.items()
        for place, guard in zip(places, guards_of([rules[place].when for place in places]), strict=True)
    }


_TRUTHS = Scale([False, True])


def _scales(leaves: Iterator[Leaf]) -> dict[Key, Scale]:
    bounds: dict[Key, set[Any]] = {}
    for leaf in leaves:
        bounds.setdefault(leaf.key, set()).add(leaf.bound)
    return {key: _TRUTHS if key[1] in ("truth", "computed") else Scale(sorted(found)) for key, found in bounds.items()}


class _Call:
    """What one event name means to one network: the code of the name, the rules that it wakes there and the fields that
    these read, and the tests by which all of those rules are looked up, or None.
    """

    def __init__(
        self, network: _Network, event: str, code: int, wakes: Sequence[Wake], names: Mapping[Key, str]
    ) -> None:
        self.network = network
        self.event = event
        self.wakes = wakes
        guards = [wake.guard for wake in wakes if wake.guard is not None]
        self.guards = guards if len(guards) == len(wakes) else None
        self._code = code
        self._starts = [f',"{names[key]}":' for key in tests_of(wakes)]

    def ask(self, told: Sequence[str]) -> list[int]:
        """The places of the rules that are woken when this is told of the fields, each once, ascending."""
        fields = [start + code for start, code in zip(self._starts, told, strict=True) if code]
        return self.network.ask(self._code, "".join(fields))


class _Network:
    """One ruleset of durable_rules. Its rules are called r0, r1, … in the order in which they win."""

    def __init__(self, extension: Any, wakes: Sequence[Wake], scales: Mapping[Key, Scale], is_first_only: bool) -> None:
        self.is_first_only = is_first_only
        self._extension = extension
        self._wakes = wakes
        self._scales = scales
        self._events = {name: code for code, name in enumerate(dict.fromkeys(wake.event for wake in wakes), 1)}
        self._fields: dict[Key, str] = {}
        self._last_id = 0
        for wake in wakes:
            for leaf in wake.shape.leaves():
                self._fields.setdefault(leaf.key, f"f{len(self._fields) + 1}")
        # `pri` keeps 16 bits; the lower number goes first.
        rules = {f"r{rank}": {"all": [{"m": self._rule(wake)}], "pri": rank} for rank, wake in enumerate(wakes)}
        name = f"network{next(_NETWORK_NAMES)}"
        try:
            self._handle: int = extension.create_ruleset(name, _JSON.encode(rules).decode())
        except (extension.error, MemoryError) as error:
            raise _failed(f"it did not take {len(wakes)} rules: {error}") from error

    def calls(self) -> Iterator[_Call]:
        """One for each event name that wakes a rule here."""
        for event, code in self._events.items():
            yield _Call(self, event, code, [wake for wake in self._wakes if wake.event == event], self._fields)

    def ask(self, code: int, fields: str) -> list[int]:
        """The places of the rules that a message wakes, ascending; of mode first, the first one's."""
        self._last_id = self._last_id % LAST_ID + 1
        message = f'{{"id":{self._last_id},"sid":"0","f0":{code}{fields}}}'
        try:
            return self._post(message) if self.is_first_only else self._assert(message)
        except (self._extension.error, MemoryError, ValueError, IndexError) as error:
            raise _failed(f"{message} gave {error!r}") from error

    def _post(self, message: str) -> list[int]:
        """As an event: the first rule that takes it consumes it."""
        extension, handle = self._extension, self._handle
        status, state = extension.assert_event(handle, message)
        if status == 1:
            return []
        started = extension.start_action_for_state(handle, state) if status == 0 else None
        if started is None:
            raise _failed(f"{message} gave status {status} and no rule")
        place = self._place(started[1])
        if extension.complete_and_start_action(handle, state) is not None:
            raise _failed(f"{message} woke a second rule of mode first")
        return [place]

    def _assert(self, message: str) -> list[int]:
        """As a fact, which is taken back once every rule has had it. A rule comes once for each path to it."""
        extension, handle = self._extension, self._handle
        status, state = extension.assert_fact(handle, message)
        if status == 1:
            return []
        started = extension.start_action_for_state(handle, state) if status == 0 else None
        if started is None:
            raise _failed(f"{message} gave status {status} and no rule")
        action = started[1]
        places = []
        while action is not None:
            places.append(self._place(action))
            action = extension.complete_and_start_action(handle, state)
        status, _ = extension.retract_fact(handle, message)
        if status != 0:
            raise _failed(f"taking back {message} gave status {status}")
        return sorted(set(places))

    def _place(self, action: str) -> int:
        """The rule of an action such as `{"r7":{"m":{…}}}`."""
        return self._wakes[int(action[3 : action.index('"', 3)])].place

    def _rule(self, wake: Wake) -> dict[str, Any]:
        event: dict[str, Any] = {"f0": self._events[wake.event]}
        tests = [self._say(part) for part in wake.shape.parts]
        return {"$and": [event, *tests]} if tests else event

    def _say(self, part: Leaf | Join) -> dict[str, Any]:
        if isinstance(part, Join):
            return {part.word: [self._say(inner) for inner in part.parts]}
        name = self._fields[part.key]
        if part.key[1] == "computed":
            return {name: 1}
        test = {name: self._scales[part.key].code(part.bound)}
        return test if part.operator == "==" else {_OPERATORS[part.operator]: test}


class _Plan:
    """What to do with events of one name. Of the networks that are one rule set, where only the first rule may win, no
    more are asked after the first answer. Networks that are looked up are told what they read when they are found; to
    the others it is told together, so that every value is worked out once.
    """

    def __init__(
        self,
        groups: Sequence[Sequence[_Call]],
        scales: Mapping[Key, Scale],
        answer: Callable[[_Call, tuple[str, ...]], list[int]],
    ) -> None:
        calls = [call for group in groups for call in group]
        self._answer = answer
        # Of each: the call, and a number for its rule set if only the first rule may win there, else -1.
        self._askings = [
            (call, number if call.network.is_first_only else -1)
            for number, group in enumerate(groups)
            for call in group
        ]
        together = {at: call.wakes for at, call in enumerate(calls) if call.guards is None}
        self._tell = tell_of(together, scales)
        self._tell_one = [Late(partial(tell_of, {at: call.wakes}, scales)) for at, call in enumerate(calls)]
        self._lookup = Lookup([call.guards for call in calls])

    def ask(self, view: View) -> list[int]:
        """The places of the rules woken, in order."""
        askings, answer, taken = self._askings, self._answer, -2
        told = self._tell(view)
        woken: list[int] = []
        for at in self._lookup.open(view):
            call, first_of = askings[at]
            if first_of == taken:
                continue
            fields = told[at] if at in told else self._tell_one[at](view)[at]
            if more := answer(call, fields):
                woken += more
                taken = first_of if first_of >= 0 else taken
        woken.sort()
        return woken


def _extension() -> Any:
    try:
        import durable_rules_engine
    except ImportError as error:
        raise SettingsWrong(
            f"durable_rules cannot be loaded: {error}",
            code="TF430",
            hint='set engine = "compiled" in triggerfish.toml, which needs no C extension and decides the same',
        ) from error
    return durable_rules_engine


def _failed(what: str) -> PluginFailed:
    hint = 'restart the worker; if it comes back, set engine = "compiled" in triggerfish.toml and report this'
    return PluginFailed(f"durable_rules: {what}", code="TF520", hint=hint)
