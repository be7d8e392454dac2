"""Both matchers over the same random rules and events: do they ever differ, how fast are they, does memory stay flat?

    python -m benchmarks.matchers --events 1000000

Rules and people come from the contract suite's generator (tests/contracts/language.py): all operators, missing values,
unlike types, hostile text, activity, segments, local time. Every `--rulebook-events` events the rules are new, and
every event is a combination not seen before. Exit code 1 when an answer differs.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from random import Random
from typing import NamedTuple

from benchmarks.measuring import Figure, Wrong, fresh_process
from benchmarks.streams import ROOT

sys.path.insert(0, str(ROOT / "tests"))

from contracts.language import some_world
from contracts.matcher import NAMES, some_rulesets
from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.adapters.durable import DurableMatcher


class Compared(NamedTuple):
    """Seconds by matcher, and how often their answers differed."""

    seconds: dict[str, float]
    differences: int
    fired: int


def resident_megabytes() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS in /proc/self/status")


def compare(events: int, *, a_rulebook: int = 50_000, rule_sets: int = 6, rules: int = 60, seed: int = 1) -> Compared:
    """Ask both about each of so many events; the rules are drawn anew every `a_rulebook` events."""
    dice = Random(seed)
    seconds = {"compiled": 0.0, "durable": 0.0}
    done = differences = fired = 0
    while done < events:
        rulesets = some_rulesets(dice, rule_sets, rules)
        matchers = {"compiled": CompiledMatcher(rulesets.rulesets), "durable": DurableMatcher(rulesets.rulesets)}
        before = resident_megabytes()
        for _ in range(min(a_rulebook, events - done)):
            world = some_world(dice, NAMES[:3])
            view = world.view(rulesets.activities)
            answers = []
            for name, matcher in matchers.items():
                began = time.perf_counter()
                answers.append(matcher.match(view))
                seconds[name] += time.perf_counter() - began
            done += 1
            fired += len(answers[0])
            if answers[0] != answers[1]:
                differences += 1
                if differences <= 3:
                    woken = [[f"{rule.ruleset}/{rule.name}" for rule in answer] for answer in answers]
                    print(f"DIFFERENCE at {world}: compiled {woken[0]}, durable {woken[1]}", file=sys.stderr)
        after = resident_megabytes()
        print(f"{done:>10,} events, {differences} differences, RSS {before:.1f} -> {after:.1f} MB", file=sys.stderr)
    return Compared(seconds, differences, fired)


def measure(quick: bool, folder: Path) -> list[Figure]:
    events = 5_000 if quick else 20_000
    found = fresh_process(compare, events, a_rulebook=events // 2)
    if found.differences:
        raise Wrong(f"the matchers differ at {found.differences} of {events} events")
    rates = {name: events / spent for name, spent in found.seconds.items()}
    return [
        Figure("durable_rules; the floor is generated Python", "events/s", rates["durable"], rates["compiled"]),
        Figure("  rules woken, an event", "", found.fired / events),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rulebook-events", type=int, default=50_000, help="events before the rules are drawn anew")
    parser.add_argument("--rule-sets", type=int, default=6)
    parser.add_argument("--rules", type=int, default=60, help="rules a rule set, at most")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    found = compare(
        given.events, a_rulebook=given.rulebook_events, rule_sets=given.rule_sets, rules=given.rules, seed=given.seed
    )
    print(f"{found.fired / given.events:.2f} rules woken an event")
    for name, spent in found.seconds.items():
        print(f"{name:>9}: {given.events / spent:>9,.0f} events/s")
    print(f"differences = {found.differences}")
    return 1 if found.differences else 0


if __name__ == "__main__":
    sys.exit(main())
