"""Rules and segments in plain words, from what the engine runs: a rule said here is the rule that decides.

Each function gives lines; what belongs to a line before it is indented by two more spaces.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

from triggerfish.clock import DAY, HOUR, say_duration
from triggerfish.conditions import All, Node, Not, Test
from triggerfish.profile import Sent
from triggerfish.rules import Policy, Rule, Rulebook, Schedule
from triggerfish.segments import Segment
from triggerfish.steps import (
    Act,
    Await,
    Branch,
    Call,
    Computed,
    Emit,
    End,
    Jump,
    Pause,
    Send,
    Set,
    Split,
    Step,
    Steps,
    Stop,
    Values,
)
from triggerfish.wording import join_words, say_node, say_value, times
from triggerfish.zones import WEEKDAYS

_OWN_NAMES = {
    "page": "a page is viewed", "screen": "a screen is opened", "identify": "someone is identified",
    "group": "someone joins a group", "alias": "someone gets another name",
}  # fmt: skip


def say_rule(rule: Rule, book: Rulebook) -> list[str]:
    """A whole rule, with what its rule set and the policy add to it."""
    names = {name: short for short, name in book.short_names.items()}
    lines = [f"{rule.description.strip()}"] if rule.description.strip() else []
    lines += _JourneyTeller(rule, names).lines() if rule.is_journey else _then(rule, names)
    return lines + list(_around(rule, book))


def say_segment(segment: Segment, book: Rulebook) -> list[str]:
    """Who is in a segment, and what that means."""
    lines = [f"{segment.description.strip()}"] if segment.description.strip() else []
    who = "Everybody is in" if segment.parent is None else f"Everybody in {segment.parent} is in"
    if segment.when is not None:
        inside = "" if segment.parent is None else f"they are in {segment.parent} and "
        lines.append(f"A person is in {segment.name} as long as {inside}{say_node(segment.when.root)}.")
    else:
        lines.append(f"{who} {segment.name}.")
    parent = next((each for each in book.segments.segments if each.name == segment.parent), None)
    if parent is not None and parent.is_exclusive:
        others = [each.name for each in book.segments.segments if each.parent == parent.name]
        before = others[: others.index(segment.name)] if segment.name in others else []
        order = f" It comes after {join_words('and', before)}." if before else ""
        lines.append(f"Of the segments within {parent.name} a person is in one at a time.{order}")
    children = [each.name for each in book.segments.segments if each.parent == segment.name]
    if children:
        lines.append(f"Within it: {', '.join(children)}{' (one at a time)' if segment.is_exclusive else ''}.")
    lines.append(f"Its priority is {segment.priority}: of several, the highest speaks for the person.")
    if segment.when is not None and segment.when.changes:
        lines.append("Time alone can change it; then people enter and leave at that very instant.")
    users = [rule.full_name for each in book.rulesets for rule in each.rules if _asks_for(rule, segment.name)]
    if users:
        lines.append(f"Asked for by {', '.join(users)}.")
    return lines


def _asks_for(rule: Rule, segment: str) -> bool:
    if rule.schedule is not None and rule.schedule.segment == segment:
        return True
    tests = (f"'{segment}' in segments", f"'{segment}' not in segments", f"segment == '{segment}'")
    wanted = (*tests, f"event.segment == '{segment}'")
    return any(text in wanted for each in rule.conditions for text in _texts(each.root))


def _texts(node: Node) -> Iterator[str]:
    match node:
        case Test(text=text):
            yield text
        case Not(part=part):
            yield from _texts(part)
        case _:
            for part in node.parts:
                yield from _texts(part)


# --- when it wakes ----------------------------------------------------------------------------------------------------


def _opening(rule: Rule, names: dict[str, str]) -> str:
    """`When add_to_cart (Product Added) happens, and the event's value is over 200`."""
    if rule.schedule is not None:
        said = _calendar(rule.schedule)
        return said if rule.when is None else f"{said}, if {say_node(rule.when.root)}"
    segment, rest = _segment_asked(rule)
    if segment:
        verb = " or ".join("enters" if name.endswith("entered") else "leaves" for name in rule.on)
        said = f"When someone {verb} {segment}"
        return said if rest is None else f"{said}, and {say_node(rest)}"
    said = f"When {_events(rule.on, names)}"
    return said if rule.when is None else f"{said}, and {say_node(rule.when.root)}"


def _segment_asked(rule: Rule) -> tuple[str, Node | None]:
    """Of a rule on segments: the one that it is about, if it names one, and what else it asks."""
    if not rule.on or any(not name.startswith("segment.") for name in rule.on) or rule.when is None:
        return "", None
    root = rule.when.root
    parts = root.parts if isinstance(root, All) else (root,)
    for place, part in enumerate(parts):
        if isinstance(part, Test) and part.value_key == "event.segment" and part.operator == "==":
            rest = (*parts[:place], *parts[place + 1 :])
            return str(part.bound), (rest[0] if len(rest) == 1 else All(rest)) if rest else None
    return "", None


def _events(on: Sequence[str] | frozenset[str], names: dict[str, str]) -> str:
    """`purchase (Order Completed) or Returned happens`."""
    listed = sorted(on) if isinstance(on, frozenset) else list(on)
    own = [_OWN_NAMES[name] for name in listed if name in _OWN_NAMES]
    segments = [f"someone {'enters' if name.endswith('entered') else 'leaves'} a segment"
                for name in listed if name.startswith("segment.")]  # fmt: skip
    others = [_event(name, names) for name in listed if name not in _OWN_NAMES and not name.startswith("segment.")]
    happen = [f"{join_words('or', others)} happens"] if others else []
    return join_words("or", [*happen, *own, *segments])


def _event(name: str, names: dict[str, str]) -> str:
    return f"{names[name]} ({name})" if name in names and names[name] != name else name


def _calendar(schedule: Schedule) -> str:
    if schedule.anniversary is not None:
        day = schedule.anniversary
        shift = abs(day.shift) // DAY
        when = f"{shift} day{'s' if shift != 1 else ''} {'before' if day.shift < 0 else 'after'}" if shift else "On"
        often = {"yearly": ", every year", "monthly": ", every month", "once": ", once"}[day.repeat]
        said = f"{when} the day in their {day.trait}"
        return f"{said[0].upper()}{said[1:]}{often}, at {_clock(day.minute)} where they are"
    table = schedule.timetable
    zone = f"in {schedule.time_zone}" if schedule.time_zone else "where they are"
    when = (
        "By the calendar" if table is None else f"{_days(table.weekdays, table.day)} at {_clock(table.minute)} {zone}"
    )
    return f"{when}, for everybody in {schedule.segment}"


def _days(weekdays: frozenset[int], day: int) -> str:
    if day:
        return "On the last day of each month" if day > 31 else f"On day {day} of each month"
    if len(weekdays) == 7:
        return "Every day"
    return f"Every {join_words('and', [WEEKDAYS[each] for each in sorted(weekdays)])}"


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


# --- what it does -----------------------------------------------------------------------------------------------------


def _then(rule: Rule, names: dict[str, str]) -> list[str]:
    """A rule that acts at once, or after one wait."""
    lines = [f"{_opening(rule, names)}:"]
    if rule.wait:
        lines.append(f"  wait {say_duration(rule.wait)};")
        if rule.unless:
            lines.append(f"  if {_events(rule.unless, names)} meanwhile, nothing comes of it;")
        lines.append(
            "  then, if all of this still holds:" if rule.when is not None else "  then:"
        )  # fmt: skip
    lines += [f"  {'  ' if rule.wait else ''}{line}" for line in _Teller(rule.steps, names).told()]
    if rule.wait:
        again = {
            "restart": "begins the wait anew, with the newer event",
            "keep": "is passed over",
            "each": "waits for itself",
        }[rule.while_waiting]
        lines.append(f"A second time during the wait {again}.")
    return lines


class _Teller:
    """Tells steps, the arms of branches and splits indented below them."""

    def __init__(self, steps: Steps, names: dict[str, str], *, with_labels: bool = False) -> None:
        self.steps = steps
        self.names = names
        self.with_labels = with_labels

    def told(self) -> list[str]:
        return list(self._between(0, len(self.steps)))

    def _between(self, place: int, end: int) -> Iterator[str]:
        while place < end:
            step = self.steps[place]
            place += 1
            match step:
                case Act(action=action):
                    yield self._line(step, _action(action))
                case Pause():
                    until = "" if step.until is None else f"until the next {step.until.text}, where they are"
                    yield self._line(step, f"wait {until or say_duration(step.length)}")
                case Await():
                    place = yield from self._await(step, place)
                case Branch():
                    place = yield from self._branch(step, place)
                case Split():
                    place = yield from self._split(step, place)
                case End(outcome=outcome, reason=reason):
                    words = "the goal is reached" if outcome == "goal" else "it ends here"
                    yield self._line(step, f"{words}: {reason}")
                case Jump(to=to):
                    place = max(place, to) if to > place else place

    def _await(self, step: Await, place: int) -> Generator[str, None, int]:
        said = f"wait until {_stop(step.stop, self.names)}, at most {say_duration(step.at_most)}"
        if step.otherwise == place:
            yield self._line(step, f"{said}; then go on in either case")
            return place
        after = self._join(step.label, place)
        yield self._line(step, f"{said}; if that does not come in time:")
        yield from self._inside(step.otherwise, after)
        return after

    def _branch(self, step: Branch, place: int) -> Generator[str, None, int]:
        after = self._join(step.label, place)
        yield self._line(step, "the first of these that holds:")
        begins = sorted({arm.to for arm in step.arms} | ({step.otherwise} if step.otherwise < after else set()))
        for arm in step.arms:
            asked = "always" if arm.when is None else f"if {say_node(arm.when.root)}"
            yield f"  {arm.name}: {asked}:" if not arm.name.isdigit() else f"  {asked}:"
            yield from self._inside(arm.to, _next(begins, arm.to, after), 2)
        if step.otherwise < after:
            yield "  else:"
            yield from self._inside(step.otherwise, _next(begins, step.otherwise, after), 2)
        else:
            yield "  else nothing"
        return after

    def _split(self, step: Split, place: int) -> Generator[str, None, int]:
        after = self._join(step.label, place)
        whole = sum(variant.weight for variant in step.variants) + step.holdout
        yield self._line(step, f"experiment {step.experiment}; each person always gets the same:")
        begins = sorted(variant.to for variant in step.variants)
        for variant in step.variants:
            yield f"  {variant.name}, {_share(variant.weight, whole)} of people:"
            yield from self._inside(variant.to, _next(begins, variant.to, after), 2)
        if step.holdout:
            yield f"  {_share(step.holdout, whole)} of people are held out: nothing of this for them"
        return after

    def _inside(self, place: int, end: int, deeper: int = 1) -> Iterator[str]:
        found = [f"{'  ' * deeper}{line}" for line in self._between(place, end)]
        yield from found or [f"{'  ' * deeper}nothing"]

    def _join(self, label: str, place: int) -> int:
        """Where the ways of this step come together again."""
        found = (step.to for step in self.steps[place:] if isinstance(step, Jump) and step.label == label)
        return next(found, place)

    def _line(self, step: Step, said: str) -> str:
        return f"{step.label}. {said}" if self.with_labels else f"- {said}"


def _next(begins: Sequence[int], begin: int, end: int) -> int:
    return next((each for each in begins if each > begin), end)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.4g}%"


def _action(action: Send | Set | Emit | Call) -> str:
    match action:
        case Send(template=template, class_=class_, purpose=purpose, best_within=within):
            said = f"send {template} ({class_}{f', {purpose}' if purpose and purpose != class_ else ''})"
            return f"{said} at their best hour, within {say_duration(within)}" if within else said
        case Set(values=values):
            return f"set their {_values(values)}"
        case Emit(event=event, properties=properties):
            return f"let {event} happen{f' with {_values(properties)}' if properties else ''}"
        case Call(action=name, values=values):
            return f"call {name}{f' with {_values(values)}' if values else ''}"


def _values(values: Values) -> str:
    return join_words("and", [f"{name} to {_shown(value)}" for name, value in values.items()])


def _shown(value: object) -> str:
    if isinstance(value, Computed):
        return say_value(value.text)
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _stop(stop: Stop, names: dict[str, str]) -> str:
    if not stop.on:
        return "always" if stop.when is None else say_node(stop.when.root)
    return _events(stop.on, names) + ("" if stop.when is None else f" and {say_node(stop.when.root)}")


class _JourneyTeller:
    """A journey: who enters, what ends it at once, and its steps by their labels."""

    def __init__(self, rule: Rule, names: dict[str, str]) -> None:
        self.rule = rule
        self.names = names

    def lines(self) -> list[str]:
        rule = self.rule
        lines = [f"{_opening(rule, self.names)}, a journey begins:"]
        lines += [f"  {line}" for line in _Teller(rule.steps, self.names, with_labels=True).told()]
        for stops, words in ((rule.goals, "It has reached its goal"), (rule.exits, "It ends")):
            lines += [f"{words} as soon as {_stop(stop, self.names)}; what still waits is dropped." for stop in stops]
        each = "" if rule.key is None else f" for each value of {say_value(rule.key.text)}"
        again = {"always": "as often as they like", "once": "only once"}.get(
            str(rule.again), ""
        ) or f"again {say_duration(int(rule.again))} after the last time at the earliest"  # fmt: skip
        lines.append(f"A person is inside once at a time{each}, and may enter {again}.")
        lines.append(
            "People inside keep to the steps with which they entered, whatever is edited."
            if rule.is_pinned
            else "Edits hold at once, for people inside, too."
        )
        return lines


# --- what is around it ------------------------------------------------------------------------------------------------


def _around(rule: Rule, book: Rulebook) -> Iterator[str]:
    """What the rule, its set and the policy put between the event and a message."""
    ruleset = book.ruleset(rule.ruleset)
    if rule.max_age != HOUR or rule.schedule is None:
        yield f"An event that is older than {say_duration(rule.max_age)} wakes nothing."
    if ruleset.mode == "first":
        before = []
        for other in ruleset.rules:
            if other.name == rule.name:
                break
            if set(other.on) & set(rule.on):
                before.append(other.name)
        took = f"; {join_words('and', before)} come{'s' if len(before) == 1 else ''} before it" if before else ""
        yield f"Of its set, {ruleset.name}, only the first rule that matches acts{took}."
    if not rule.sends:
        return
    if rule.cooldown:
        yield f"It sends to one person at most every {say_duration(rule.cooldown)}."
    for limit in rule.limits:
        yield f"It sends to one person at most {times(limit.sends)} within {say_duration(limit.within)}."
    match rule.once_per:
        case Computed(text=text):
            yield f"It sends to one person once for each value of {say_value(text)}."
        case "ever":
            yield "It sends to one person once, ever."
        case str() as period:
            yield f"It sends to one person once a {period}, by their own calendar."
    if rule.set_cooldown:
        apart = say_duration(rule.set_cooldown)
        yield f"All rules of {ruleset.name} together send to one person at most every {apart}."
    if any(send.class_ == "marketing" for send in rule.sends):
        yield from _of_marketing(rule, book.policy)


def _of_marketing(rule: Rule, policy: Policy) -> Iterator[str]:
    """What holds marketing back, and what comes of it then."""
    if policy.quiet is not None:
        yield f"Marketing is held from {_clock(policy.quiet.start)} to {_clock(policy.quiet.end)} where they are."
    if policy.windows:
        said = [
            f"from {_clock(window.start)} to {_clock(window.end)}{_on_days(window.days)}" for window in policy.windows
        ]
        yield f"Marketing leaves {join_words('and', said)} where they are, and at no other time."
    caps = [cap for cap in policy.caps if any(cap.counts(_as_sent(rule, send)) for send in rule.sends)]
    for cap in caps:
        of = cap.said or " of all rules together"
        yield f"Marketing{of}: at most {times(cap.sends)} within {say_duration(cap.within)}."
    arbiter = policy.arbitration
    if arbiter is not None:
        most = "1 leaves" if arbiter.most == 1 else f"{arbiter.most} leave"
        group = f", and one of the group {rule.group}" if rule.group else ""
        yield f"Of marketing that wants to leave within {say_duration(arbiter.window)}, {most}{group}: by priority."
    if (caps or arbiter is not None) and rule.losing == "defer":
        yield f"When others come first, it asks again, for at most {say_duration(rule.defer_at_most)}."
    if arbiter is not None and rule.losing == "merge":
        yield "When others come first, it becomes part of one that shows such."


def _as_sent(rule: Rule, send: Send) -> Sent:
    is_marketing = send.class_ == "marketing"
    return Sent(0, rule.ruleset, rule.name, is_marketing, send.purpose, send.channel, group=rule.group)


def _on_days(days: frozenset[int]) -> str:
    named = {frozenset(range(7)): "", frozenset(range(5)): " on weekdays", frozenset((5, 6)): " on the weekend"}
    return named.get(days, f" on {join_words('and', [WEEKDAYS[each] for each in sorted(days)])}")
