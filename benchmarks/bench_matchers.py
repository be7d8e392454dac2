"""Both matchers over the same random rules and events: do they ever differ, how fast are they, does memory stay flat?

    python benchmarks/bench_matchers.py --events 1000000

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

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from contracts.language import some_world
from contracts.matcher import NAMES, some_rulesets
from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.adapters.durable import DurableMatcher


def resident_megabytes() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS in /proc/self/status")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rulebook-events", type=int, default=50_000, help="events before the rules are drawn anew")
    parser.add_argument("--rule-sets", type=int, default=6)
    parser.add_argument("--rules", type=int, default=60, help="rules a rule set, at most")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    dice = Random(options.seed)
    seconds = {"compiled": 0.0, "durable": 0.0}
    done = differences = fired = rules = rulebooks = 0
    while done < options.events:
        rulesets = some_rulesets(dice, options.rule_sets, options.rules)
        rules += sum(len(ruleset.rules) for ruleset in rulesets.rulesets)
        rulebooks += 1
        matchers = {"compiled": CompiledMatcher(rulesets.rulesets), "durable": DurableMatcher(rulesets.rulesets)}
        before = resident_megabytes()
        for _ in range(min(options.rulebook_events, options.events - done)):
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
                    print(f"DIFFERENCE at {world}: compiled {woken[0]}, durable {woken[1]}")
        after = resident_megabytes()
        print(f"{done:>10,} events, {differences} differences, RSS {before:.1f} -> {after:.1f} MB", flush=True)
    print(f"{rules / rulebooks:.0f} rules a rulebook, {rulebooks} rulebooks, {fired / done:.2f} rules woken an event")
    for name, spent in seconds.items():
        print(f"{name:>9}: {done / spent:>9,.0f} events/s")
    print(f"differences = {differences}")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
