"""Random rulebooks, as the tables that become YAML, and random histories. `dice` may be hypothesis's own Random."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from random import Random
from typing import Any

from ruamel.yaml import YAML

from oracle.people import Told

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
TEMPLATES = ("hello", "offer", "news", "receipt", "digest")
EVENTS = ("purchase", "add", "View", "page")
OWN_NAMES = {"purchase": "Order Completed", "add": "Product Added"}
WINDOWS = ("10m", "1h", "90 minutes", "24h", "1d", "3d", "1h 30m", "7 days")
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kathmandu", "UTC")
SIGNS = ("==", "!=", "<", "<=", ">", ">=")
FIELDS = ("total", "sku", "tags", "deep.x", "flag")
BEGINNINGS = (
    datetime(2026, 10, 23, 12, tzinfo=UTC),
    datetime(2026, 10, 30, 18, tzinfo=UTC),
    datetime(2026, 10, 2, 15, tzinfo=UTC),
    datetime(2026, 4, 3, 9, tzinfo=UTC),
    datetime(2026, 3, 27, 23, tzinfo=UTC),
    datetime(2026, 12, 30, 12, tzinfo=UTC),
)

Table = dict[str, Any]


def maybe(dice: Random, chance: float) -> bool:
    return dice.random() < chance


# Values.


def some_value(dice: Random) -> Any:
    return dice.choice((0, 1, 2, 5, 10, 50, 50.5, -1, 0.25, "a", "A-1", "gold", "10", "", True, False, None, ["a", 1]))


def some_constant(dice: Random) -> Any:
    return dice.choice((0, 1, 2, 5, 10, 50, 50.5, -1, "a", "A-1", "gold", "10", True, False))


def written(constant: Any) -> str:
    return f'"{constant}"' if isinstance(constant, str) else str(constant)


# Conditions.


class Words:
    """What a condition may name where it stands."""

    def __init__(self, dice: Random, segments: list[str], has_event: bool) -> None:
        self.dice = dice
        self.segments = segments
        self.has_event = has_event

    def condition(self) -> Any:
        """As a rule file has it: a text, or lists of conditions."""
        if maybe(self.dice, 0.75):
            return self.text(2)
        words = self.dice.sample(("all", "any", "none"), self.dice.choice((1, 1, 2)))
        return {word: [self.condition_within() for _ in range(self.dice.randint(1, 3))] for word in words}

    def condition_within(self) -> Any:
        if maybe(self.dice, 0.8):
            return self.text(1)
        return {self.dice.choice(("all", "any", "none")): [self.text(1) for _ in range(self.dice.randint(1, 2))]}

    def text(self, depth: int) -> str:
        if depth == 0 or maybe(self.dice, 0.45):
            return self.test()
        if maybe(self.dice, 0.25):
            return f"not {self.text(depth - 1)}" if maybe(self.dice, 0.5) else f"not ({self.text(depth - 1)})"
        join = self.dice.choice((" and ", " or "))
        return "(" + join.join(self.text(depth - 1) for _ in range(self.dice.choice((2, 2, 3)))) + ")"

    def test(self) -> str:
        dice = self.dice
        match dice.randrange(18):
            case 16:
                named = ("busy", "not mixed", "mixed", "count(page) < usual", f"{self.path()} in wanted", "usual > 1")
                return dice.choice((*named, f"{self.path()} not in wanted", 'did(purchase[sku in wanted], "3d")'))
            case 14:
                return self.score_test()
            case 15:
                return self.sequence()
            case 0 if self.segments:
                return f'"{dice.choice(self.segments)}" {dice.choice(("in", "not in"))} segments'
            case 1 if maybe(dice, 0.3):
                return f"{self.operand()} {dice.choice(('in', 'not in'))} {self.path()}"
            case 1:
                listed = ", ".join(written(some_constant(dice)) for _ in range(dice.randint(1, 3)))
                return f"{self.operand()} {dice.choice(('in', 'not in'))} [{listed}]"
            case 2:
                return f"{self.operand()} {dice.choice(SIGNS)} {self.operand()}"
            case 3:
                function = dice.choice(("contains", "starts_with", "ends_with"))
                return f"{function}({self.operand()}, {written(some_constant(dice))})"
            case 4:
                return f"exists({self.operand()})"
            case 5:
                low, high = sorted(dice.sample(range(-1, 7), 2))
                return f"{low} {dice.choice(('<', '<='))} {self.operand()} {dice.choice(('<', '<='))} {high}"
            case 6:
                return f"matches({self.path()}, {written(dice.choice(('^A', '[0-9]+$', 'o', '^$')))})"
            case 7:
                return f"local.hour {dice.choice(SIGNS)} {dice.randrange(24)}"
            case 8:
                return dice.choice(('local.weekday in ["saturday", "sunday"]', 'local.date > "2026-10-25"'))
            case 9:
                return f"did({self.selector()}{self.window()})"
            case 10 | 11:
                return self.since_test()
            case 12:
                constant = some_constant(dice)
                sign = dice.choice(SIGNS[:2] if isinstance(constant, bool) else SIGNS)
                return f"{self.path()} {sign} {written(constant)}"
        return f"{self.figure()} {dice.choice(SIGNS)} {dice.choice((0, 1, 1, 2, 3, 5, 24, 50, 50.5, 100))}"

    def since_test(self) -> str:
        unit, bounds = self.dice.choice(
            (
                ("minutes_since", (0, 1, 10, 30, 90.5, 600)),
                ("hours_since", (0, 0.5, 1, 2, 24, 25)),
                ("days_since", (0, 0.1, 1, 2, 3)),
            )
        )
        asked = f"{unit}({self.selector()})"
        if maybe(self.dice, 0.2):
            low, high = sorted(self.dice.sample(bounds, 2))
            return f"{low} <= {asked} < {high}"
        if maybe(self.dice, 0.1):
            return f"{self.dice.choice(bounds)} {self.dice.choice(SIGNS)} {asked}"
        return f"{asked} {self.dice.choice(SIGNS)} {self.dice.choice(bounds)}"

    def score_test(self) -> str:
        dice = self.dice
        what = self.selector() + dice.choice(("", "", ".total"))
        bound = dice.choice((0, 0.25, 0.3, 0.7, 1, 1.2, 2.5, 7, 30, -1))
        half_life = dice.choice(("10m", "1h", "90 minutes", "1d", "3d"))
        return f'score({what}, half_life="{half_life}") {dice.choice(SIGNS)} {bound}'

    def sequence(self) -> str:
        dice = self.dice
        is_not = maybe(dice, 0.5)
        within = dice.choice(("10m", "1h", "1d"))
        window = dice.choice(("", "", ', window="3d"', ', window="2d"', "" if is_not else ', window="1h"'))
        spelled = f'"{within}"' if maybe(dice, 0.2) else f'within="{within}"'
        return f"sequence({self.selector()}, {'not ' if is_not else ''}{self.selector()}, {spelled}{window})"

    def figure(self) -> str:
        dice = self.dice
        name = dice.choice(("count", "count", "sum", "avg", "min", "max", "last", "first", "distinct", "trend"))
        if name == "trend":
            short, long = dice.choice((("10m", "1h"), ("1h", "1d"), ("90 minutes", "3d"), ("1d", "7 days")))
            what = self.selector() + dice.choice(("", "", ".total"))
            if maybe(dice, 0.3):
                return f'trend({what}, "{short}", "{long}")'
            return f'trend({what}, long="{long}", short="{short}")'
        if name == "count":
            return f"count({self.selector()}{self.window()})"
        return f"{name}({self.selector()}.{dice.choice(('total', 'total', 'sku', 'deep.x'))}{self.window()})"

    def selector(self) -> str:
        event = self.dice.choice((*EVENTS, '"Order Completed"', "purchase", "Badge"))
        return event + (f"[{self.filter()}]" if maybe(self.dice, 0.3) else "")

    def filter(self) -> str:
        tests = ("total > 5", "total >= 50", 'sku == "A-1"', 'not sku == "a"', "exists(total)", "flag")
        tests += ('contains(tags, "a")', "deep.x > 1", "default(total, 7) < 10", 'sku in ["a", "A-1"]', "total != 1")
        text = self.dice.choice(tests)
        return f"{text} {self.dice.choice(('and', 'or'))} {self.dice.choice(tests)}" if maybe(self.dice, 0.3) else text

    def window(self) -> str:
        named = "window=" if maybe(self.dice, 0.1) else ""
        return f', {named}"{self.dice.choice(WINDOWS)}"' if maybe(self.dice, 0.6) else ""

    def path(self) -> str:
        traits = ("traits.plan", "traits.age", 'traits["First Name"]', "traits.tags", "traits.mark")
        if not self.has_event or maybe(self.dice, 0.4):
            return self.dice.choice(traits)
        if maybe(self.dice, 0.1):
            return self.dice.choice(("context.locale", "context.page.path", "segment"))
        return f"event.{self.dice.choice(FIELDS)}"

    def operand(self) -> str:
        dice = self.dice
        match dice.randrange(8):
            case 0:
                return f"lower({self.path()})"
            case 1:
                return f"default({self.path()}, {written(some_constant(dice))})"
            case 2:
                return f"({self.path()} {dice.choice('+-*/')} {dice.choice((self.path(), '2', '0'))})"
            case 3 | 4:
                return self.figure()
        return self.path()


# Rulebooks.


def some_book(dice: Random) -> list[Table]:
    """The tables of some rule files."""
    base: Table = {"events": dict(OWN_NAMES)}
    base["policy"] = some_policy(dice)
    base["define"] = {
        "busy": f'count({Words(dice, [], False).selector()}, "1d") > 1',
        "usual": dice.choice((1, 2, 5, "traits.age", 'count(View, "3d")')),
        "wanted": dice.sample(("gold", "a", "A-1", 1, 50), 3),
        "mixed": {dice.choice(("all", "any", "none")): ["busy", "usual > 1", "traits.plan in wanted"]},
    }
    names = [f"s{number}" for number in range(dice.choice((0, 1, 2, 3, 4, 6)))]
    known: list[str] = []
    left = list(names)
    base["segments"] = some_segments(dice, left, known, 0, 99) if names else []
    while left:
        base["segments"] += some_segments(dice, left, known, 0, 99)
    sets = [some_ruleset(dice, f"set-{number}", known) for number in range(dice.choice((1, 1, 2, 3)))]
    if maybe(dice, 0.4):
        crowd(dice, base["policy"], sets)
    for cap in base["policy"]["caps"]:
        cap |= some_filter(dice, sets)
    return [base, *sets]


def crowd(dice: Random, policy: Table, sets: list[Table]) -> None:
    """Let many messages want to leave, so that they come into one another's way."""
    policy["caps"] = [{"sends": dice.randint(1, 2), "within": dice.choice(("1h", "24h"))}][: dice.randint(0, 1)]
    if maybe(dice, 0.6):
        policy["arbitration"] = {"window": dice.choice(("10m", "30m", "2h")), "most": dice.choice((1, 1, 2))}
    for each in sets:
        each["max_age"] = "30 days"
        for rule in each["rules"]:
            rule.pop("max_age", None)
            if maybe(dice, 0.8):
                rule.pop("when", None)
            if isinstance(rule["on"], str) and rule["on"] in EVENTS:
                rule["on"] = list(EVENTS)
            rule.get("then", rule.get("steps")).insert(0, {"send": dice.choice(TEMPLATES)})


def some_policy(dice: Random) -> Table:
    policy: Table = {"time_zone": dice.choice(ZONES)}
    if maybe(dice, 0.4):
        start, end = dice.sample(("21:00", "08:00", "02:30", "00:00", "23:45", "01:30", "02:00", "12:00"), 2)
        policy["quiet_hours"] = {"start": start, "end": end}
    policy["caps"] = [
        {"sends": dice.randint(1, 4), "within": dice.choice(WINDOWS)} for _ in range(dice.choice((0, 0, 1, 2)))
    ]
    if maybe(dice, 0.25):
        policy["send_windows"] = [some_window(dice) for _ in range(dice.choice((1, 1, 2)))]
        # What is shut for ever is no rulebook.
        policy.pop("quiet_hours", None) if maybe(dice, 0.7) else policy["send_windows"].append(ALWAYS)
    if maybe(dice, 0.4):
        policy["arbitration"] = {"window": dice.choice(("1m", "10m", "1h", "2h"))}
        if maybe(dice, 0.4):
            policy["arbitration"]["most"] = dice.randint(1, 3)
    return policy


ALWAYS = {"from": "06:00", "to": "06:00"}


def some_window(dice: Random) -> Table:
    start, end = dice.sample(("00:00", "02:00", "02:30", "09:00", "17:00", "23:00"), 2)
    days = ("weekdays", "weekend", ["sunday"], ["monday", "saturday"], None, None)
    day = dice.choice(days)
    return {"from": start, "to": end} | ({} if day is None else {"days": day})


def some_filter(dice: Random, sets: list[Table]) -> Table:
    """What a cap counts; only names that some rule has."""
    groups = sorted({rule["group"] for each in sets for rule in each["rules"] if "group" in rule})
    match dice.randrange(5):
        case 0:
            return {"ruleset": sets[0]["ruleset"]}
        case 1 if groups:
            return {"group": groups[0]}
        case 2:
            purposes = sorted({purpose for each in sets for rule in each["rules"] for purpose in _purposes(rule)})
            return {"purpose": purposes[0]} if purposes else {}
    return {}


def _purposes(rule: Table) -> set[str]:
    """The purposes of a rule's messages."""

    def within(made: Any) -> set[str]:
        if isinstance(made, list):
            return {each for part in made for each in within(part)}
        if not isinstance(made, dict):
            return set()
        own = {OWN_PURPOSES.get(made["send"], "marketing")} if "send" in made else set()
        return own | within(list(made.values()))

    found = within([rule.get("then"), rule.get("steps")])
    return {rule["purpose"]} if found and "purpose" in rule else found


OWN_PURPOSES = {"news": "news", "receipt": "orders"}


def some_segments(dice: Random, left: list[str], known: list[str], depth: int, most: int) -> list[Table]:
    """Some of the names that are left, as segments. Those of an exclusive parent must be written in the order in which
    they are looked at, for their conditions to name one another: so they get falling priorities half of the time.
    """
    made = []
    for _ in range(min(len(left), most, dice.randint(1, 4))):
        if not left:
            break
        name = left.pop(0)
        segment: Table = {"name": name}
        if maybe(dice, 0.9):
            segment["when"] = Words(dice, list(known), False).condition()
        if maybe(dice, 0.5):
            segment["priority"] = dice.randint(-2, 3)
        known.append(name)
        if left and depth < 3 and maybe(dice, 0.45):
            segment["exclusive"] = maybe(dice, 0.5)
            # A child's condition may name only what is looked at before it, whatever the order of its siblings.
            before = list(known)
            segment["segments"] = some_segments(dice, left, before, depth + 1, 3)
            if not segment["exclusive"]:
                known[:] = before
            else:
                for child in segment["segments"]:
                    _name_only(child, known, dice)
                known += [child for child in before if child not in known]
        made.append(segment)
    return made


def _name_only(segment: Table, known: list[str], dice: Random) -> None:
    """Conditions that name none but these segments, here and below."""
    if "when" in segment:
        segment["when"] = Words(dice, list(known), False).condition()
    for child in segment.get("segments", []):
        _name_only(child, known, dice)


def some_ruleset(dice: Random, name: str, segments: list[str]) -> Table:
    rules = [some_rule(dice, name, f"r{number}", segments) for number in range(dice.randint(1, 4))]
    made: Table = {"ruleset": name, "rules": rules}
    if maybe(dice, 0.5):
        made["priority"] = dice.randint(0, 2)
    if maybe(dice, 0.5):
        made["mode"] = dice.choice(("first", "all"))
    if maybe(dice, 0.6):
        made["max_age"] = dice.choice(("10m", "1h", "2 days", "30 days"))
    if maybe(dice, 0.08):
        made["cooldown"] = dice.choice(WINDOWS)
    return made


def some_rule(dice: Random, ruleset: str, name: str, segments: list[str]) -> Table:
    rule: Table = {"name": name, "on": some_events(dice)}
    if maybe(dice, 0.12):
        rule |= some_calendar(dice, segments)
    if maybe(dice, 0.7):
        rule["when"] = Words(dice, segments, True).condition()
    if segments and "segment.entered" in rule["on"] and maybe(dice, 0.7):
        rule["when"] = f'event.segment == "{dice.choice(segments)}"'
    if maybe(dice, 0.5):
        rule["priority"] = dice.randint(-1, 2)
    if maybe(dice, 0.2):
        rule["max_age"] = dice.choice(("1m", "3h", "7 days"))
    if maybe(dice, 0.15):
        rule["limit"] = {"sends": dice.randint(1, 2), "within": dice.choice(WINDOWS)}
    if maybe(dice, 0.1):
        rule["class"] = dice.choice(("marketing", "transactional"))
    if maybe(dice, 0.25):
        rule["group"] = dice.choice(("g", "h"))
    if maybe(dice, 0.45):
        rule["losing"] = dice.choice(("drop", "defer", "defer", "merge"))
        if rule["losing"] == "defer" and maybe(dice, 0.6):
            rule["defer_at_most"] = dice.choice(("10m", "1h", "6h", "3 days"))
    if maybe(dice, 0.1):
        rule["purpose"] = dice.choice(("news", "marketing"))
    if maybe(dice, 0.45):
        return rule | some_journey(dice, f"{ruleset}-{name}", segments)
    if maybe(dice, 0.5):
        rule["wait"] = dice.choice(("10m", "30 minutes", "1h", "6h", "1d"))
        if maybe(dice, 0.25) and not rule.keys() & {"at", "segment"}:
            # Holds when it begins and not any more when it is over.
            rule["on"], rule["when"] = "View", dice.choice(('did(View, "10m")', "minutes_since(View) < 5"))
        if maybe(dice, 0.5):
            rule["unless"] = some_events(dice)
        if maybe(dice, 0.6):
            rule["while_waiting"] = dice.choice(("restart", "keep", "each"))
    if maybe(dice, 0.3):
        rule["cooldown"] = dice.choice(WINDOWS)
    if maybe(dice, 0.15):
        rule["once_per"] = dice.choice(("day", "week", "month", "year", "ever", "event.sku", "traits.plan"))
    rule["then"] = [some_action(dice, segments) for _ in range(dice.choice((1, 1, 1, 2, 3)))]
    if maybe(dice, 0.1):
        rule["then"].append(some_split(dice, f"{ruleset}-{name}-x", lambda: some_actions(dice, segments)))
    return rule


def some_calendar(dice: Random, segments: list[str]) -> Table:
    if segments and maybe(dice, 0.6):
        days = dice.choice(("every day", "day", "weekday", "sunday", "monday, saturday", "weekend", "month day 31"))
        days = dice.choice((days, "month last day", "month day 1"))
        made: Table = {"on": f"schedule {days} {some_time(dice)}", "segment": dice.choice(segments)}
        return made | ({"time_zone": dice.choice((*ZONES, "person"))} if maybe(dice, 0.4) else {})
    made = {"on": f"date traits.{dice.choice(('born', 'plan'))}", "at": some_time(dice)}
    if maybe(dice, 0.5):
        made[dice.choice(("before", "after"))] = dice.choice(("1 day", "2 days", "7 days"))
    return made | ({"repeat": dice.choice(("yearly", "monthly", "once"))} if maybe(dice, 0.7) else {})


def some_time(dice: Random) -> str:
    return dice.choice(("00:00", "09:00", "12:00", "02:30", "01:30", "02:00", "03:00", "23:59"))


# Journeys.


def some_journey(dice: Random, name: str, segments: list[str]) -> Table:
    made: Table = {"steps": some_steps(dice, name, segments, 2)}
    if maybe(dice, 0.3):
        made["key"] = dice.choice(("event.sku", "event.total", "traits.plan"))
    if maybe(dice, 0.6):
        made["again"] = dice.choice(("always", "once", "after 1h", "after 1 day"))
    for key in ("goal", "exit"):
        if maybe(dice, 0.4):
            stops = [some_stop(dice, segments) for _ in range(dice.choice((1, 1, 2)))]
            made[key] = stops if len(stops) > 1 or maybe(dice, 0.3) else stops[0]
    return made


def some_stop(dice: Random, segments: list[str]) -> Any:
    match dice.randrange(3):
        case 0:
            return dice.choice(("purchase", "Badge", "page", "segment.left", "alias"))
        case 1:
            return {"on": some_events(dice), "when": Words(dice, segments, True).condition()}
    words = Words(dice, segments, True)
    soon = (words.since_test, words.score_test, words.sequence, words.condition, words.condition)
    return {"when": dice.choice(soon)()}


def some_steps(dice: Random, name: str, segments: list[str], depth: int) -> list[Table]:
    steps = []
    for number in range(dice.choice((1, 2, 2, 3, 4))):
        step = some_step(dice, f"{name}-{number}", segments, depth)
        if maybe(dice, 0.1):
            step["name"] = f"at {name}-{number}"
        steps.append(step)
    return steps


def some_step(dice: Random, name: str, segments: list[str], depth: int) -> Table:
    match dice.randrange(12):
        case 0 | 1:
            return {"wait": dice.choice(("10m", "1h", "6h", "1d", "2 days", f"until {some_time(dice)}", WEEKLY))}
        case 2 | 3:
            stop: Table = {"at_most": dice.choice(("10m", "1h", "1d", "3 days"))}
            if maybe(dice, 0.7):
                stop["on"] = some_events(dice)
            if "on" not in stop or maybe(dice, 0.4):
                stop["when"] = Words(dice, segments, True).condition()
            if depth and maybe(dice, 0.5):
                stop["otherwise"] = some_steps(dice, f"{name}-o", segments, depth - 1)
            return {"wait_until": stop}
        case 4 | 5 if depth:
            arms: list[Table] = []
            for number in range(dice.randint(1, 2)):
                inner = some_steps(dice, f"{name}-b{number}", segments, depth - 1)
                arms.append({"when": Words(dice, segments, True).condition(), "steps": inner})
                if maybe(dice, 0.5):
                    arms[-1]["name"] = f"arm {number}"
            if maybe(dice, 0.5):
                arms.append({"steps": some_steps(dice, f"{name}-e", segments, depth - 1)})
            return {"branch": arms}
        case 6 if depth:
            return some_split(dice, name, lambda: some_steps(dice, f"{name}-v{dice.random()}", segments, 0))
        case 7 if maybe(dice, 0.4):
            return {dice.choice(("goal", "exit")): dice.choice(("done", "enough"))}
    return some_action(dice, segments)


WEEKLY = "until monday, thursday 09:00"


def some_split(dice: Random, name: str, steps: Callable[[], list[Table]]) -> Table:
    variants: list[Table] = []
    for number in range(dice.randint(1, 3)):
        variants.append({"name": f"v{number}"})
        if maybe(dice, 0.8):
            variants[-1]["steps"] = steps()
        if maybe(dice, 0.4):
            variants[-1]["weight"] = dice.randint(1, 5)
    split: Table = {"name": name, "variants": variants}
    return {"split": split | ({"holdout": dice.choice((0, 10, 50))} if maybe(dice, 0.5) else {})}


def some_actions(dice: Random, segments: list[str]) -> list[Table]:
    return [some_action(dice, segments) for _ in range(dice.randint(1, 2))]


def some_events(dice: Random) -> Any:
    names = (*EVENTS, "Order Completed", "Badge", "segment.entered", "segment.left", "identify")
    listed = [dice.choice(names) for _ in range(dice.choice((1, 1, 2, 3)))]
    return listed if len(listed) > 1 or maybe(dice, 0.3) else listed[0]


def some_action(dice: Random, segments: list[str]) -> Table:
    match dice.randrange(6):
        case 0:
            traits = ("plan", "mark", "age", "email") if maybe(dice, 0.3) else ("plan", "mark", "age")
            names = dice.sample(traits, dice.choice((1, 1, 2)))
            return {"set": {name: some_written_value(dice, segments) for name in names}}
        case 1:
            properties = {name: some_written_value(dice, segments) for name in dice.sample(("total", "sku"), 1)}
            made: Table = {"emit": dice.choice(("Badge", "Badge", "View"))}
            return made | ({"properties": properties} if maybe(dice, 0.6) else {})
    return {"send": dice.choice(TEMPLATES)}


def some_written_value(dice: Random, segments: list[str]) -> Any:
    if maybe(dice, 0.5):
        value = some_value(dice)
        return None if isinstance(value, list) else value
    words = Words(dice, segments, True)
    return {"value": dice.choice((words.path, words.figure, words.operand))()}


def as_files(tables: list[Table]) -> dict[str, str]:
    """The rule files' text: path -> YAML."""
    yaml = YAML(pure=True)
    yaml.width = 4096
    files = {}
    for number, table in enumerate(tables):
        stream = StringIO()
        yaml.dump(table, stream)
        files[f"rules/{number}.yaml"] = stream.getvalue()
    return files


# Histories: (instant at which the log takes it, event), the instants ascending.

History = list[tuple[int, Told]]
PAUSES = (0, 0, 1, SECOND, 10 * MINUTE, 30 * MINUTE, HOUR, 90 * MINUTE, 6 * HOUR, DAY - 1, DAY, 2 * DAY)
LATE = (0, 0, 0, 0, 0, 1, 5 * MINUTE, HOUR, HOUR + 1, 3 * HOUR, DAY, 3 * DAY)
LENGTHS = (10 * MINUTE, HOUR, 90 * MINUTE, DAY, 3 * DAY)


def some_history(dice: Random, most: int = 24) -> History:
    begin = int(dice.choice(BEGINNINGS).timestamp() * 1000) + dice.choice((0, 1, 12_345))
    people = [("ana", None), ("ana", "a1"), (None, "a1"), (None, "a2"), ("bo", "a2"), ("bo", None)]
    people = people[: dice.choice((1, 1, 2, 4, 6))]
    history: History = []
    now = begin
    if maybe(dice, 0.8):
        day = datetime.fromtimestamp((begin + dice.choice((0, 1, 2, 8)) * DAY) / 1000, UTC).date()
        born = dice.choice(
            (day.isoformat(), f"{day}T10:00:00Z", str(day.replace(year=1988)), begin, "soon", "1990-01-31")
        )
        traits = {"email": "ana@example.org", "plan": dice.choice(("gold", "a", 1)), "born": born}
        history.append((now, Told("identify", "identify", "first", now, "ana", None, traits=traits)))
        if maybe(dice, 0.5):
            email = {"email": "bo@example.org"}
            history.append((now, Told("identify", "identify", "second", now, "bo", None, traits=email)))
    for number in range(dice.randint(1, most)):
        now += dice.choice(PAUSES) * dice.choice((1, 1, 1, 0))
        if history and maybe(dice, 0.15):
            # Exactly when something leaves a window, or a millisecond before or after.
            then = dice.choice(history)[1].at + dice.choice(LENGTHS) + dice.choice((-1, 0, 1))
            now = max(now, min(then, now + 3 * DAY))
        if history and maybe(dice, 0.06):
            history.append((now, dice.choice(history)[1]))
            continue
        history.append((now, some_told(dice, number, now, dice.choice(people))))
    return history


def some_told(dice: Random, number: int, now: int, person: tuple[str | None, str | None]) -> Told:
    user, anon = person
    at = now - dice.choice(LATE)
    context: Table = {"timezone": dice.choice((*ZONES, "nowhere"))} if maybe(dice, 0.12) else {}
    if maybe(dice, 0.1):
        context |= {"locale": dice.choice(("de-DE", "a")), "page": {"path": "A-1"}}
    identifier = f"m{number}"
    match dice.randrange(14):
        case 0 | 1:
            names = dice.sample(("plan", "age", "First Name", "tags", "mark"), 2)
            traits = {name: some_value(dice) for name in names}
            if maybe(dice, 0.3):
                traits["email"] = dice.choice(("ana@example.org", "BO@example.org ", "none", None))
            return Told("identify", "identify", identifier, at, user, anon, traits=traits, context=context)
        case 2 if maybe(dice, 0.4):
            return Told(
                "alias", "alias", identifier, at, user or "ana", previous=dice.choice(("a1", "a2", "bo", "zoe"))
            )
        case 3 if maybe(dice, 0.5):
            name = dice.choice(("Unsubscribed", "Unsubscribed", "Email Bounced", "Email Marked as Spam"))
            told = {"purpose": dice.choice(("", "news", "marketing")), "is_permanent": maybe(dice, 0.5)}
            # Whom it is about is said by a name; the two sides make it the id of that person.
            about = f"{'user' if user else 'anonymous'}:{user or anon}"
            return Told("feedback", name, identifier, at, about=about, properties=told)
        case 4:
            return Told("page", "page", identifier, at, user, anon, properties=some_properties(dice), context=context)
    name = dice.choice(EVENTS[:3])
    name = OWN_NAMES.get(name, name)
    return Told("track", name, identifier, at, user, anon, properties=some_properties(dice), context=context)


def some_properties(dice: Random) -> Table:
    made: Table = {}
    if maybe(dice, 0.8):
        made["total"] = dice.choice((0, 1, 2, 5, 10, 50, 50.5, 0.25, 100, "10", None, True))
    if maybe(dice, 0.5):
        made["sku"] = dice.choice(("a", "A-1", "gold", "", None, 3))
    for name in ("tags", "flag"):
        if maybe(dice, 0.3):
            made[name] = some_value(dice)
    if maybe(dice, 0.3):
        made["deep"] = {"x": some_value(dice)}
    return made
