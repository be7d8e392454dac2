"""Rule engines next to one another: 200 rules of two to four comparisons over ten numbers, of which some twelve match.

Ours (durable_rules by its extension's own calls, and generated Python) get the rules as rule files and events as
events; the others in the form that their documentation shows: durable_rules' public `assert_fact` and `retract_fact`,
zen-engine as a compiled list of expressions and as a decision table, Drools through drools-jpy on the machine's Java.
Each runs in a process of its own, and each answer is held against plain Python. Time is that process's processor time.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import operator
import os
import shutil
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.measuring import Figure, Wrong, fresh_process

RULES, FIELDS, VALUES = 200, 10, 20
OPERATORS: dict[str, Callable[[int, int], bool]] = {"==": operator.eq, ">": operator.gt, "<": operator.lt}

Test = tuple[int, str, int]
"""A comparison: the field's number, an operator, a bound."""


@cache
def rules() -> list[list[Test]]:
    dice = Random(23)
    made = []
    for _ in range(RULES):
        fields = dice.sample(range(FIELDS), dice.choice((2, 3, 3, 4)))
        made.append([_test(dice, field) for field in fields])
    return made


def _test(dice: Random, field: int) -> Test:
    if dice.random() < 0.16:
        return field, "==", dice.randrange(VALUES)
    if dice.random() < 0.5:
        return field, ">", dice.randrange(8, 14)
    return field, "<", dice.randrange(6, 12)


def messages(count: int) -> list[list[int]]:
    dice = Random(29)
    return [[dice.randrange(VALUES) for _ in range(FIELDS)] for _ in range(count)]


def expected(message: Sequence[int]) -> list[int]:
    return [
        number
        for number, tests in enumerate(rules())
        if all(OPERATORS[sign](message[field], bound) for field, sign, bound in tests)
    ]


def _as_texts() -> list[str]:
    return [" and ".join(f"f{field} {sign} {bound}" for field, sign, bound in tests) for tests in rules()]


def _as_dicts(some: Sequence[Sequence[int]]) -> list[dict[str, int]]:
    return [{f"f{number}": value for number, value in enumerate(message)} for message in some]


def _timed(some: list[list[int]], ask: Callable[[int], list[int]], warm: int = 200) -> float:
    """Microseconds an event. Raises Wrong at an answer that is not the right one."""
    for place in range(warm):
        ask(place)
    began = time.process_time()
    answers = [ask(place) for place in range(warm, len(some))]
    took = time.process_time() - began
    for message, answer in zip(some[warm:], answers, strict=True):
        if sorted(answer) != expected(message):
            raise Wrong(f"{message} fires {sorted(answer)}, and should fire {expected(message)}")
    return 1e6 * took / len(answers)


# --- ours -------------------------------------------------------------------------------------------------------------


def ours(engine: str, count: int) -> float:
    from triggerfish.compose import matcher_of
    from triggerfish.conditions import View
    from triggerfish.ingest import Event
    from triggerfish.profile import Profile
    from triggerfish.rulefile.compile import load_rulebook

    lines = []
    for number, tests in enumerate(rules()):
        when = " and ".join(f"event.f{field} {sign} {bound}" for field, sign, bound in tests)
        lines.append(f"  - {{name: r{number}, on: Asked, when: {json.dumps(when)}, then: [{{set: {{a: 1}}}}]}}\n")
    files = {"rules/all.yaml": "ruleset: all\nmax_age: 1 day\nrules:\n" + "".join(lines)}
    rulebook, _ = load_rulebook(files, templates={}, matcher=matcher_of(engine), channel="outbox")
    some = messages(count)
    profile = Profile("p", 0, 0)
    views = [
        View(profile, 0, rulebook.zones, event=Event("track", "Asked", f"m{number}", 0, "u", properties=values))
        for number, values in enumerate(_as_dicts(some))
    ]
    return _timed(some, lambda place: [int(rule.name[1:]) for rule in rulebook.match(views[place])])


# --- the others -------------------------------------------------------------------------------------------------------


def durable_public(count: int) -> float:
    """durable_rules as its documentation shows it: a Host, `assert_fact`, an action for each rule, `retract_fact`."""
    from durable import engine

    fired: list[int] = []

    def action(number: int) -> Callable[[Any], None]:
        return lambda c: fired.append(number)

    named = {">": "$gt", "<": "$lt"}
    definition = {}
    for number, tests in enumerate(rules()):
        terms = [
            {f"f{field}": bound} if sign == "==" else {named[sign]: {f"f{field}": bound}}
            for field, sign, bound in tests
        ]
        definition[f"r{number}"] = {"all": [{"m": {"$and": terms}}], "run": action(number)}
    host = engine.Host()
    host.set_rulesets({"all": definition})
    some = messages(count)
    facts = _as_dicts(some)

    def ask(place: int) -> list[int]:
        fired.clear()
        fact = {"id": place + 1, "sid": "0", **facts[place]}
        with contextlib.suppress(engine.MessageNotHandledException):
            host.assert_fact("all", fact)
        with contextlib.suppress(engine.MessageNotHandledException):
            host.retract_fact("all", fact)
        return list(fired)

    return _timed(some, ask)


def zen_list(count: int) -> float:
    import zen

    compiled = zen.compile_expression("[" + ", ".join(_as_texts()) + "]")
    some = messages(count)
    facts = _as_dicts(some)
    return _timed(some, lambda place: [number for number, holds in enumerate(compiled.evaluate(facts[place])) if holds])


def zen_table(count: int) -> float:
    import zen

    rows = []
    for number, tests in enumerate(rules()):
        row = {f"c{field}": "" for field in range(FIELDS)} | {"_id": f"r{number}", "out": str(number)}
        row |= {f"c{field}": f"{sign} {bound}" for field, sign, bound in tests}
        rows.append(row)
    inputs = [{"id": f"c{field}", "name": f"f{field}", "field": f"f{field}"} for field in range(FIELDS)]
    table = {"hitPolicy": "collect", "inputs": inputs, "outputs": [{"id": "out", "name": "rule", "field": "rule"}]}
    nodes = [
        {"id": "in", "type": "inputNode", "name": "in"},
        {"id": "table", "type": "decisionTableNode", "name": "table", "content": table | {"rules": rows}},
        {"id": "out", "type": "outputNode", "name": "out"},
    ]
    edges = [
        {"id": "e1", "type": "edge", "sourceId": "in", "targetId": "table"},
        {"id": "e2", "type": "edge", "sourceId": "table", "targetId": "out"},
    ]
    decision = zen.ZenEngine().create_decision(json.dumps({"nodes": nodes, "edges": edges}))
    some = messages(count)
    facts = _as_dicts(some)
    return _timed(some, lambda place: [int(row["rule"]) for row in decision.evaluate(facts[place])["result"]])


def drools(count: int) -> float:
    os.environ["DROOLS_JPY_JVM_LOG"] = "defaultLogLevel=error"
    # jpy looks for the virtual machine there.
    os.environ.setdefault("JAVA_HOME", str(Path(shutil.which("java") or "").resolve().parents[1]))
    logging.disable()
    from drools.rule import Rule
    from drools.ruleset import Ruleset

    named = {"==": "EqualsExpression", ">": "GreaterThanExpression", "<": "LessThanExpression"}
    made = []
    for number, tests in enumerate(rules()):
        terms = [
            {named[sign]: {"lhs": {"Event": f"f{field}"}, "rhs": {"Integer": bound}}} for field, sign, bound in tests
        ]
        whole = terms[0]
        for term in terms[1:]:
            whole = {"AndExpression": {"lhs": whole, "rhs": term}}
        made.append({"Rule": {"name": f"r{number}", "condition": {"AllCondition": [whole]}, "enabled": True}})
    text = json.dumps({"name": "all", "match_multiple_rules": True, "hosts": ["all"], "rules": made})
    ruleset = Ruleset(name="all", serialized_ruleset=text)
    fired: list[int] = []
    for number in range(RULES):
        ruleset.add_rule(Rule(f"r{number}", lambda result, number=number: fired.append(number)))  # type: ignore[misc]
    some = messages(count)
    facts = [json.dumps(values) for values in _as_dicts(some)]

    def ask(place: int) -> list[int]:
        fired.clear()
        ruleset.assert_event(facts[place])
        return list(fired)

    # The virtual machine's compiler is at work in the first seconds, on other threads of this process.
    found = _timed(some, ask, warm=count // 2)
    ruleset.end_session()
    return found


PEERS: dict[str, tuple[str, Callable[[int], float]]] = {
    "durable_rules' public calls": ("durable", durable_public),
    "zen-engine, list": ("zen", zen_list),
    "zen-engine, table": ("zen", zen_table),
    "Drools by drools-jpy": ("drools", drools),
}


def peers(count: int) -> tuple[dict[str, float], dict[str, str]]:
    """Microseconds an event by peer; and of those that were left out, why."""
    found: dict[str, float] = {}
    left_out: dict[str, str] = {}
    for name, (module, measure_peer) in PEERS.items():
        if importlib.util.find_spec(module) is None:
            left_out[name] = "it is not installed: make bench installs the group bench"
        elif module == "drools" and shutil.which("java") is None:
            left_out[name] = "there is no Java on this machine"
        else:
            found[name] = fresh_process(measure_peer, count)
    return found, left_out


def measure(quick: bool, folder: Path) -> list[Figure]:
    count = 2_000 if quick else 10_000
    found, left_out = peers(count)
    for name, why in left_out.items():
        print(f"{name} is left out: {why}", flush=True)
    rates = {name: 1e6 / micros for name, micros in found.items()}
    compiled, durable = (1e6 / fresh_process(ours, engine, 4 * count) for engine in ("compiled", "durable"))
    return [
        Figure("200 rules, some 12 match: durable rules", "events/s", durable, peers=rates),
        Figure("  generated Python", "events/s", compiled),
    ]
