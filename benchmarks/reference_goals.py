"""The reference workload's figures: on one core beside its floor, with 10,000 rules and 1,000 segments, with a million
people; and how events a second go with each of these sizes. An event a second is one of processor time, so that what
else runs on the machine says little.
"""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from benchmarks import floor
from benchmarks.following import PARTS, Followed
from benchmarks.measuring import Figure, Wrong, fresh_process
from benchmarks.reference import Size, log_of, rulebook_of, run, state_of

GOALS = {"durable": 10_000, "compiled": 14_000}
ENGINES = ("durable", "compiled")
ALIKE = 0.002
"""The floor has to fire as many rules as the server but for such a share: it knows nothing of changes by time alone."""


def size_of(quick: bool) -> Size:
    return Size(profiles=20_000, events=8_000) if quick else Size(events=40_000)


def rate(found: Followed) -> float:
    return found.events / found.cpu


def measure(quick: bool, folder: Path) -> list[Figure]:
    """Both rule engines, which must come to the same, and the floor, which must fire the same rules."""
    size = size_of(quick)
    least = floor_of(size, folder)
    runs = {engine: run(size, engine, folder) for engine in ENGINES}
    durable = runs["durable"]
    check(runs, size)
    fired = durable.rows["moments: decision"]
    if abs(least.fired - fired) > ALIKE * fired:
        raise Wrong(f"the floor fired {least.fired} rules, the server {fired}")
    found = []
    for engine, followed in runs.items():
        found.append(
            Figure(
                f"reference workload, {engine} rules", "events/s a core", rate(followed),
                least.events / least.cpu, goal=GOALS[engine],
            )
        )  # fmt: skip
        found += [
            Figure(f"  of it {part}", "µs an event", 1e6 * followed.spent.get(part, 0) / followed.events)
            for part in PARTS
        ]
    an_event = {
        "rules that fired": fired,
        "segments entered and left": durable.rows.get("moments: segment", 0),
        "people woken by the agenda": durable.woken,
        "messages announced": durable.rows["sends"],
    }
    found += [Figure(f"  {what}, an event", "", count / durable.events) for what, count in an_event.items()]
    return found


def floor_of(size: Size, folder: Path) -> floor.Floor:
    path = folder / "floor.sqlite3"
    floor.convert(state_of(size), path, rulebook_of(size))
    found = fresh_process(floor.follow, log_of(size), path, size.rules, size.segments)
    path.unlink()
    return found


def check(runs: dict[str, Followed], size: Size) -> None:
    """Both engines come to the same, and it is neither nothing nor a flood."""
    if len({followed.digest for followed in runs.values()}) > 1:
        raise Wrong("durable_rules and the compiled rules came to different ends")
    for followed in runs.values():
        if followed.events != size.events:
            raise Wrong(f"{followed.events} events were followed, {size.events} are in the log")
        announced = followed.rows["sends"] / followed.events
        if not 0.005 < announced < 0.5:
            raise Wrong(f"{announced:.3f} messages an event are no shop's")


def measure_many(quick: bool, folder: Path) -> list[Figure]:
    """10,000 rules and 1,000 segments; a million people: next to the usual size."""
    events = 4_000 if quick else 15_000
    usual = Size(profiles=10_000, events=events)
    rulebooks = Size(rules=10_000, segments=1_000, profiles=10_000, events=events)
    crowd = replace(usual, profiles=100_000 if quick else 1_000_000)
    found = []
    for engine in ENGINES:
        of_usual, of_rules = run(usual, engine, folder), run(rulebooks, engine, folder)
        label = f"10,000 rules, 1,000 segments, {engine} rules; the floor has 200 and 50"
        found.append(Figure(label, "events/s a core", rate(of_rules), rate(of_usual), goal=rate(of_usual) / 3))
        if engine == "durable":
            of_crowd = run(crowd, engine, folder)
            label = f"{crowd.profiles:,} people, {engine} rules; the floor has 10,000"
            found.append(Figure(label, "events/s a core", rate(of_crowd), rate(of_usual), goal=rate(of_usual) / 2))
            check({"crowd": of_crowd}, crowd)
        check({"usual": of_usual}, usual)
        check({"rules": of_rules}, rulebooks)
    return found


CURVES: dict[str, tuple[int, ...]] = {
    "rules": (10, 50, 200, 1_000, 10_000),
    "segments": (50, 100, 200, 500, 1_000),
    "profiles": (1_000, 10_000, 100_000, 1_000_000),
}


def measure_curves(quick: bool, folder: Path) -> list[Figure]:
    """Events a second with one size going up, and the others as they are."""
    usual = Size(profiles=10_000, events=3_000 if quick else 10_000)
    found = []
    for what, values in CURVES.items():
        for value in values[:2] if quick else values:
            size = replace(usual, **{what: value})
            runs = {engine: run(size, engine, folder) for engine in (ENGINES if what == "rules" else ENGINES[:1])}
            found += [
                Figure(f"{value:,} {what}, {engine} rules", "events/s a core", rate(followed))
                for engine, followed in runs.items()
            ]
    return found
