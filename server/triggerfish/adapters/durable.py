"""The matcher on durable_rules. This module alone imports its extension, and calls the extension's functions directly:
no Host, hence no threads, no sessions per person, no state that outlives an event.

What the network sees is ours alone. Each message is a flat object of small whole numbers under generated names: `f0` is
the event's name as a number, and every other field is one of

- a value compared with constants: its place among the constants that rules compare it with (2i + 1 for the i-th
  constant itself, even numbers for what lies between), so that every comparison is exact, be it of numbers beyond 2^53,
  of 1e-07 or of hostile text; the field is left out when the value is missing or of another kind;
- a test that the network cannot say (a negation, a function, two values compared): 1 when it holds, else left out.

The limits below follow from durable_rules 2.0.28's sources (src/rules): 64 partial matches pending at once (events.c,
MAX_STACK_SIZE; each is a path to a rule, so PATHS_OF_AN_EVENT bounds them), 32 marks of $and and $or a rule (rete.c,
MAX_SEQUENCE_EXPRESSIONS, two a join), 255 properties an object (state.h), 16 bits of `pri`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any, Literal

import msgspec
from msgspec import Struct

from triggerfish.conditions import NUMBERS, All, Node, Not, Some, Test, View
from triggerfish.errors import PluginFailed, SettingsWrong
from triggerfish.rules import Rule, RuleSet

RULES_OF_A_NETWORK = 48
PATHS_OF_AN_EVENT = 60
"""Ways in which one event can reach rules of one network; alternatives multiply them."""
FIELDS_OF_A_NETWORK = 200
TESTS_OF_A_RULE = 24
JOINS_OF_A_RULE = 12
PATHS_OF_A_RULE = 8
DEPTH_OF_A_RULE = 4
LAST_ID = 999_999
"""Message ids start again after this one. A message is gone before the next comes; none of these ids has the hash of
the one message that stays, "sid-0" (a test checks it: ids are told apart by a 32-bit hash alone)."""

Kind = Literal["number", "unequal", "text", "truth", "computed"]
"""What a field holds. "unequal" is a number for `!=` alone, which NaN fulfils too."""

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
        wakes_of_all: list[_Wake] = []
        groups: list[tuple[bool, list[_Wake]]] = [(False, wakes_of_all)]
        for ruleset in sorted(rulesets, key=lambda ruleset: -ruleset.priority):
            wakes = wakes_of_all
            if ruleset.mode == "first":
                wakes = []
                groups.append((True, wakes))
            for rule in ruleset.rules:
                shape = _Shape() if rule.when is None else _shape(rule.when.root)
                wakes += [_Wake(len(self._rules), name, shape) for name in dict.fromkeys(rule.on)]
                self._rules.append(rule)
        calls: dict[str, list[list[_Call]]] = {}
        for is_first_only, wakes in groups:
            called: dict[str, list[_Call]] = {}
            for part in _parts(wakes):
                for call in _Network(extension, part, is_first_only).calls():
                    called.setdefault(call.event, []).append(call)
            for event, group in called.items():
                calls.setdefault(event, []).append(group)
        self._plans = {event: _Plan(groups_called) for event, groups_called in calls.items()}

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


# Conditions as the network can say them.


class _Leaf(Struct, frozen=True):
    """A field compared with a constant. `key` names what gives the value."""

    key: str | int
    kind: Kind
    of: Callable[[View], Any]
    operator: str = "=="
    bound: Any = True


class _Join(Struct, frozen=True):
    word: Literal["$and", "$or"]
    parts: tuple[_Leaf | _Join, ...]


class _Shape(Struct, frozen=True):
    """A rule's condition: `parts` all hold. `paths` is in how many ways an event can pass them."""

    parts: tuple[_Leaf | _Join, ...] = ()
    paths: int = 1
    tests: int = 0
    joins: int = 0
    depth: int = 0

    def leaves(self) -> Iterator[_Leaf]:
        pending = list(self.parts)
        while pending:
            part = pending.pop()
            if isinstance(part, _Join):
                pending.extend(part.parts)
            else:
                yield part


def _shape(root: Node) -> _Shape:
    """The condition for the network; what it cannot say safely, or what makes it too large, is a computed test."""
    shape = _Shape(joins=1)
    for node in _flat(root, All):
        part = _part(node)
        grown = _both(shape, part)
        shape = grown if _is_small(grown) else _both(shape, _computed(node))
    return shape if _is_small(shape) else _computed(root)


def _part(node: Node) -> _Shape:
    """A single part, which may be a join of others."""
    match node:
        case Test(value=value, operator=operator, bound=bound) if value is not None and operator is not None:
            kind: Kind = "text" if type(bound) is str else "truth" if type(bound) is bool else "number"
            if kind == "number" and operator == "!=":
                kind = "unequal"
            return _Shape((_Leaf(node.value_key, kind, value, operator, bound),), tests=1)
        case All(parts=(_, *_)):
            inner = _Shape()
            for part in _flat(node, All):
                inner = _both(inner, _part(part))
            return _joined("$and", inner) if _is_small(inner) else _computed(node)
        case Some(parts=(_, *_)):
            either = _Shape(paths=0)
            for part in _flat(node, Some):
                one = _part(part)
                either = _Shape(
                    either.parts + tuple(made for made in one.parts if made not in either.parts),
                    either.paths + one.paths,
                    either.tests + one.tests,
                    either.joins + one.joins,
                    max(either.depth, one.depth),
                )
            return _joined("$or", either) if _is_small(either) else _computed(node)
    return _computed(node)


def _both(one: _Shape, other: _Shape) -> _Shape:
    return _Shape(
        one.parts + other.parts,
        one.paths * other.paths,
        one.tests + other.tests,
        one.joins + other.joins,
        max(one.depth, other.depth),
    )


def _joined(word: Literal["$and", "$or"], inner: _Shape) -> _Shape:
    """Parts as a single one."""
    if len(inner.parts) == 1:
        return inner
    return _Shape((_Join(word, inner.parts),), inner.paths, inner.tests, inner.joins + 1, inner.depth + 1)


def _is_small(shape: _Shape) -> bool:
    return (
        shape.paths <= PATHS_OF_A_RULE
        and shape.tests <= TESTS_OF_A_RULE
        and shape.joins <= JOINS_OF_A_RULE
        and shape.depth <= DEPTH_OF_A_RULE
    )


def _computed(node: Node) -> _Shape:
    return _Shape((_Leaf(id(node), "computed", _holds(node)),), tests=1)


def _flat(node: Node, join: type[All | Some]) -> list[Node]:
    """The parts of nested joins of one kind, in order."""
    if not isinstance(node, join) or not node.parts:
        return [node]
    return [part for inner in node.parts for part in _flat(inner, join)]


def _holds(node: Node) -> Callable[[View], bool]:
    """A tree as one function."""
    match node:
        case Test(holds=holds):
            return holds
        case Not(part=part):
            inner = _holds(part)
            return lambda view: not inner(view)
        case All(parts=parts):
            every = [_holds(part) for part in parts]
            return lambda view: all(holds(view) for holds in every)
        case Some(parts=parts):
            either = [_holds(part) for part in parts]
            return lambda view: any(holds(view) for holds in either)


# Networks.


class _Wake(Struct, frozen=True):
    """A rule, as one of its events can wake it. `place` is the rule's place among all."""

    place: int
    event: str
    shape: _Shape


class _Field(Struct):
    """A property of a network's messages. `bounds` ascend; a value's code is its place among them."""

    name: str
    kind: Kind
    of: Callable[[View], Any]
    bounds: list[Any]

    def code(self, value: Any) -> int:
        at = bisect_left(self.bounds, value)
        return 2 * at + (at < len(self.bounds) and self.bounds[at] == value)


class _Call(Struct):
    """What one event name means to one network: the code of the name, and the fields that its rules read there."""

    event: str
    network: _Network
    code: int
    fields: dict[tuple[str | int, Kind], _Field]


def _parts(wakes: Sequence[_Wake]) -> Iterator[list[_Wake]]:
    """Cut into networks: an event's rules stay together where they can, and in their order."""
    part: list[_Wake] = []
    paths = 0
    fields: set[tuple[str | int, Kind]] = set()
    for wake in sorted(wakes, key=lambda wake: (wake.event, wake.place)):
        paths = wake.shape.paths + (paths if part and part[-1].event == wake.event else 0)
        fields |= {(leaf.key, leaf.kind) for leaf in wake.shape.leaves()}
        is_full = len(part) == RULES_OF_A_NETWORK or paths > PATHS_OF_AN_EVENT or len(fields) > FIELDS_OF_A_NETWORK
        if part and is_full:
            yield part
            part, paths = [], wake.shape.paths
            fields = {(leaf.key, leaf.kind) for leaf in wake.shape.leaves()}
        part.append(wake)
    if part:
        yield part


class _Network:
    """One ruleset of durable_rules. Its rules are called r0, r1, … in the order in which they win."""

    def __init__(self, extension: Any, wakes: Sequence[_Wake], is_first_only: bool) -> None:
        self.extension = extension
        self.is_first_only = is_first_only
        self.places = [wake.place for wake in wakes]
        self._wakes = wakes
        self._events = {name: code for code, name in enumerate(dict.fromkeys(wake.event for wake in wakes), 1)}
        self._fields = _fields([leaf for wake in wakes for leaf in wake.shape.leaves()])
        self._last_id = 0
        definition = {f"r{rank}": self._rule(rank, wake) for rank, wake in enumerate(wakes)}
        name = f"network{next(_NETWORK_NAMES)}"
        try:
            self._handle: int = extension.create_ruleset(name, _JSON.encode(definition).decode())
        except (extension.error, MemoryError) as error:
            raise _failed(f"it did not take {len(wakes)} rules: {error}") from error

    def calls(self) -> Iterator[_Call]:
        """One for each event name that wakes a rule here."""
        for event, code in self._events.items():
            keys = {
                (leaf.key, leaf.kind) for wake in self._wakes if wake.event == event for leaf in wake.shape.leaves()
            }
            yield _Call(event, self, code, {key: field for key, field in self._fields.items() if key in keys})

    def ask(self, code: int, fields: str) -> list[int]:
        """The places of the rules that a message wakes; of mode first, the first one's."""
        self._last_id = self._last_id % LAST_ID + 1
        message = f'{{"id":{self._last_id},"sid":"0","f0":{code}{fields}}}'
        try:
            return self._post(message) if self.is_first_only else self._assert(message)
        except (self.extension.error, MemoryError, ValueError, IndexError) as error:
            raise _failed(f"{message} gave {error!r}") from error

    def _post(self, message: str) -> list[int]:
        """As an event: the first rule that takes it consumes it."""
        extension, handle = self.extension, self._handle
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
        extension, handle = self.extension, self._handle
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
        return self.places[int(action[3 : action.index('"', 3)])]

    def _rule(self, rank: int, wake: _Wake) -> dict[str, Any]:
        tests = [{"f0": self._events[wake.event]}, *(self._say(part) for part in wake.shape.parts)]
        return {"all": [{"m": {"$and": tests} if len(tests) > 1 else tests[0]}], "pri": rank}

    def _say(self, part: _Leaf | _Join) -> dict[str, Any]:
        if isinstance(part, _Join):
            return {part.word: [self._say(inner) for inner in part.parts]}
        field = self._fields[part.key, part.kind]
        if part.kind == "computed":
            return {field.name: 1}
        test = {field.name: int(part.bound) if part.kind == "truth" else field.code(part.bound)}
        return test if part.operator == "==" else {_OPERATORS[part.operator]: test}


def _fields(leaves: Sequence[_Leaf]) -> dict[tuple[str | int, Kind], _Field]:
    fields: dict[tuple[str | int, Kind], _Field] = {}
    for leaf in leaves:
        key = leaf.key, leaf.kind
        if key not in fields:
            fields[key] = _Field(f"f{len(fields) + 1}", leaf.kind, leaf.of, [])
        if leaf.kind not in ("truth", "computed"):
            fields[key].bounds.append(leaf.bound)
    for field in fields.values():
        field.bounds = sorted(set(field.bounds))
    return fields


# Events.


class _Column(Struct):
    """A value that an event's rules look at, and where it goes: for each kind, (message, start of the text, field)."""

    of: Callable[[View], Any]
    numbers: list[tuple[int, str, _Field]] = []
    texts: list[tuple[int, str, _Field]] = []
    truths: list[tuple[int, str]] = []


class _Plan:
    """What to do with events of one name. `groups` are networks of which each asks all, or, where only the first rule
    may win, as far as the first answer.
    """

    def __init__(self, groups: Sequence[Sequence[_Call]]) -> None:
        self._groups: list[list[tuple[int, _Call]]] = []
        self._columns: list[_Column] = []
        self._computed: list[tuple[Callable[[View], Any], list[tuple[int, str]]]] = []
        columns: dict[str | int, _Column] = {}
        computed: dict[str | int, list[tuple[int, str]]] = {}
        self._size = 0
        for group in groups:
            self._groups.append(list(enumerate(group, self._size)))
            for at, call in self._groups[-1]:
                for (key, kind), field in call.fields.items():
                    start = f',"{field.name}":'
                    if kind == "computed":
                        if key not in computed:
                            computed[key] = []
                            self._computed.append((field.of, computed[key]))
                        computed[key].append((at, f"{start}1"))
                        continue
                    if key not in columns:
                        columns[key] = _Column(field.of)
                        self._columns.append(columns[key])
                    if kind == "truth":
                        columns[key].truths.append((at, start))
                    else:
                        (columns[key].texts if kind == "text" else columns[key].numbers).append((at, start, field))
            self._size += len(group)

    def read(self, view: View) -> list[str]:
        """The fields of the message to each network. Every value is worked out once."""
        made: list[list[str]] = [[] for _ in range(self._size)]
        for column in self._columns:
            value = column.of(view)
            kind = type(value)
            if kind in NUMBERS:
                is_nan = value != value  # as IEEE 754 says
                for at, start, field in column.numbers:
                    if not is_nan:
                        made[at].append(f"{start}{field.code(value)}")
                    elif field.kind == "unequal":
                        made[at].append(f"{start}0")
            elif kind is str:
                for at, start, field in column.texts:
                    made[at].append(f"{start}{field.code(value)}")
            elif kind is bool:
                for at, start in column.truths:
                    made[at].append(f"{start}{value:d}")
        for holds, targets in self._computed:
            if holds(view):
                for at, text in targets:
                    made[at].append(text)
        return ["".join(fields) for fields in made]

    def ask(self, messages: Sequence[str]) -> list[int]:
        """The places of the rules woken, in order."""
        woken: set[int] = set()
        for group in self._groups:
            for at, call in group:
                places = call.network.ask(call.code, messages[at])
                woken.update(places)
                if places and call.network.is_first_only:
                    break
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
