"""The matcher on durable_rules. This module alone imports its extension, and calls the extension's functions directly:
no Host, hence no threads, no sessions per person, no state that outlives an event.

What the network sees is ours alone. Each message is a flat object of small whole numbers under generated names: `f0` is
the event's name as a number, and every other field is one of

- a value that rules compare with constants: its place among those constants (2i + 1 for the i-th itself, even numbers
  for what lies between), so that every comparison is exact, be it of numbers beyond 2^53, of 1e-07 or of hostile text;
  the field is left out when the value is missing or of another kind;
- a test that the network cannot say (durable_shapes.py): 1 when it holds, else left out.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

import msgspec
from msgspec import Struct

from triggerfish.adapters.durable_shapes import Join, Key, Leaf, Shape, Wake, cut, shape_of
from triggerfish.conditions import NUMBERS, View
from triggerfish.errors import PluginFailed, SettingsWrong
from triggerfish.rules import Rule, RuleSet

LAST_ID = 999_999
"""Message ids start again after this one. A message is gone before the next comes; none of these ids has the hash of
the one message that stays, "sid-0" (a test checks it: ids are told apart by a 32-bit hash alone)."""

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
        for ruleset in sorted(rulesets, key=lambda ruleset: -ruleset.priority):
            wakes = wakes_of_all
            if ruleset.mode == "first":
                wakes = []
                groups.append((True, wakes))
            for rule in ruleset.rules:
                shape = Shape() if rule.when is None else shape_of(rule.when.root)
                wakes += [Wake(len(self._rules), name, shape) for name in dict.fromkeys(rule.on)]
                self._rules.append(rule)
        scales = _scales(leaf for _, wakes in groups for wake in wakes for leaf in wake.shape.leaves())
        calls: dict[str, list[list[_Call]]] = {}
        for is_first_only, wakes in groups:
            called: dict[str, list[_Call]] = {}
            for part in cut(wakes):
                for call in _Network(extension, part, scales, is_first_only).calls():
                    called.setdefault(call.event, []).append(call)
            for event, group in called.items():
                calls.setdefault(event, []).append(group)
        self._plans = {event: _Plan(called_groups, scales) for event, called_groups in calls.items()}

    def match(self, view: View) -> list[Rule]:
        """The rules woken by `view.event` whose condition holds, in the order of the Matcher port."""
        if self._failure is not None:
            raise self._failure
        plan = None if view.event is None else self._plans.get(view.event.name)
        if plan is None:
            return []
        messages = plan.read(view)
        try:
            return [self._rules[place] for place in plan.ask(messages)]
        except PluginFailed as failure:
            self._failure = failure
            raise


class _Scale(Struct):
    """The constants with which a value is compared, ascending."""

    bounds: list[Any]

    def code(self, value: Any) -> int:
        at = bisect_left(self.bounds, value)
        return 2 * at + (at < len(self.bounds) and self.bounds[at] == value)


_TRUTHS = _Scale([False, True])


def _scales(leaves: Iterator[Leaf]) -> dict[Key, _Scale]:
    bounds: dict[Key, set[Any]] = {}
    for leaf in leaves:
        bounds.setdefault(leaf.key, set()).add(leaf.bound)
    return {key: _TRUTHS if key[1] in ("truth", "computed") else _Scale(sorted(found)) for key, found in bounds.items()}


class _Field(Struct, frozen=True):
    """A property of a network's messages."""

    name: str
    of: Callable[[View], Any]


class _Call(Struct, frozen=True):
    """What one event name means to one network: the code of the name, and the fields that its rules read there."""

    event: str
    network: _Network
    code: int
    fields: Mapping[Key, _Field]


class _Network:
    """One ruleset of durable_rules. Its rules are called r0, r1, … in the order in which they win."""

    def __init__(
        self, extension: Any, wakes: Sequence[Wake], scales: Mapping[Key, _Scale], is_first_only: bool
    ) -> None:
        self.is_first_only = is_first_only
        self._extension = extension
        self._wakes = wakes
        self._scales = scales
        self._events = {name: code for code, name in enumerate(dict.fromkeys(wake.event for wake in wakes), 1)}
        self._fields: dict[Key, _Field] = {}
        self._last_id = 0
        for wake in wakes:
            for leaf in wake.shape.leaves():
                self._fields.setdefault(leaf.key, _Field(f"f{len(self._fields) + 1}", leaf.of))
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
            keys = {leaf.key for wake in self._wakes if wake.event == event for leaf in wake.shape.leaves()}
            yield _Call(event, self, code, {key: field for key, field in self._fields.items() if key in keys})

    def ask(self, code: int, fields: str) -> list[int]:
        """The places of the rules that a message wakes; of mode first, the first one's."""
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
        return places

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
        name = self._fields[part.key].name
        if part.key[1] == "computed":
            return {name: 1}
        test = {name: self._scales[part.key].code(part.bound)}
        return test if part.operator == "==" else {_OPERATORS[part.operator]: test}


class _Target(Struct):
    """Where the code of a value goes: a message, and the start of the field's text there."""

    kind: str
    scale: _Scale
    places: list[tuple[int, str]] = []


class _Column(Struct):
    """A value that an event's rules compare with constants."""

    of: Callable[[View], Any]
    numbers: list[_Target] = []
    texts: list[_Target] = []
    truths: list[_Target] = []


class _Plan:
    """What to do with events of one name. `groups` are networks of which each is asked, or, where only the first rule
    may win, as far as the first answer.
    """

    def __init__(self, groups: Sequence[Sequence[_Call]], scales: Mapping[Key, _Scale]) -> None:
        self._calls = [[(call.network, call.code) for call in group] for group in groups]
        self._computed: list[tuple[Callable[[View], Any], list[tuple[int, str]]]] = []
        columns: dict[Any, _Column] = {}
        calls = [call for group in groups for call in group]
        self._size = len(calls)
        wanted: dict[Key, list[tuple[int, str]]] = {}
        of: dict[Key, Callable[[View], Any]] = {}
        for at, call in enumerate(calls):
            for key, field in call.fields.items():
                wanted.setdefault(key, []).append((at, f',"{field.name}":'))
                of[key] = field.of
        for key, places in wanted.items():
            what, kind = key
            if kind == "computed":
                self._computed.append((of[key], [(at, f"{start}1") for at, start in places]))
                continue
            column = columns.setdefault(what, _Column(of[key]))
            targets = column.texts if kind == "text" else column.truths if kind == "truth" else column.numbers
            targets.append(_Target(kind, scales[key], places))
        self._columns = list(columns.values())

    def read(self, view: View) -> list[str]:
        """The fields of the message to each network. Every value is worked out once."""
        made: list[list[str]] = [[] for _ in range(self._size)]
        for column in self._columns:
            value = column.of(view)
            kind = type(value)
            targets = (
                column.numbers
                if kind in NUMBERS
                else column.texts
                if kind is str
                else column.truths
                if kind is bool
                else ()
            )
            for target in targets:
                if value != value:  # NaN: it has no place, and is unequal to everything
                    if target.kind != "unequal":
                        continue
                    text = "0"
                else:
                    text = str(target.scale.code(value))
                for at, start in target.places:
                    made[at].append(start + text)
        for holds, places in self._computed:
            if holds(view):
                for at, text in places:
                    made[at].append(text)
        return ["".join(fields) for fields in made]

    def ask(self, messages: Sequence[str]) -> list[int]:
        """The places of the rules woken, in order."""
        woken: set[int] = set()
        at = 0
        for group in self._calls:
            is_over = False
            for network, code in group:
                if not is_over:
                    places = network.ask(code, messages[at])
                    woken.update(places)
                    is_over = network.is_first_only and bool(places)
                at += 1
        return sorted(woken)


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
