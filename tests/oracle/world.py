"""The oracle: what follows from events by docs/rules.md, worked out the slow way. It keeps of each person the plain
list of all that they did, and asks every condition anew at every instant at which anything could have changed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

from oracle.language import Deed, Scene, Tree, fadings, holds, looks_at_the_clock, parts_of, pauses, value
from oracle.people import People, Person, Told, Wait
from oracle.rules import Book, Rule, RuleSet
from oracle.times import next_turn, quiet_until, zone_of

LINKS = 8
FOLLOWERS = 100
WAITS = 100
Line = tuple[Any, ...]


@dataclass(frozen=True)
class Template:
    is_marketing: bool
    purpose: str


class Oracle:
    """Everything that happens. `since` is how old all that follows now is: as the event that came or, when time passed,
    as that instant. `timelines` tell of each person what happened, in order, each line beginning with what
    and when; `messages` says of each message where it stands: (person, template, status).
    """

    def __init__(self, book: Book, templates: dict[str, Template]) -> None:
        self.book = book
        self.templates = templates
        self.people = People()
        self.timelines: dict[str, list[Line]] = {}
        self.messages: dict[str, tuple[str, str, str]] = {}
        self.now = 0
        self.since = 0
        self.position = 0
        self.repeats = 0
        self.looks: dict[tuple[str, int], list[int]] = {}
        trees = [segment.when for segment in book.segments] + list(book.defined.values())
        self.trees = [tree for tree in trees if any(part[:2] == ("call", "score") for part in parts_of(tree))]
        self.pauses = {pause for tree in trees for pause in pauses(tree)}
        self.has_clock = any(looks_at_the_clock(tree) for tree in trees)

    # Time and events.

    def pass_time(self, until: int) -> None:
        """Look at everybody at every instant up to and including `until` at which something could change."""
        while (at := min((self.next_look(each, until) for each in self.people.all), default=until + 1)) <= until:
            for person in list(self.people.all):
                if self.next_look(person, until) == at:
                    self.look(person, at)
            self.now = at
        self.now = max(self.now, until)

    def next_look(self, person: Person, until: int) -> int:
        deeds = self.looks.get((person.id, len(person.deeds)))
        if deeds is None:
            deeds = self.looks[person.id, len(person.deeds)] = self.instants(person, until)
        instants = deeds[bisect_right(deeds, self.now) :][:1] + [wait.due for wait in person.waits]
        if self.has_clock:
            instants.append(next_turn(self.now, self.zone(person)))
        return min(*instants, until + 1, until + 1)

    def instants(self, person: Person, until: int) -> list[int]:
        found = {deed.at + pause for deed in person.deeds for pause in self.pauses}
        scene = self.scene(person, self.now, None)
        for tree in self.trees:
            found |= fadings(tree, scene, until)
        return sorted(found)

    def look(self, person: Person, at: int) -> None:
        """Time has passed: first segments change, then waits end, the earliest first; then what follows happens."""
        self.since = at
        cause = Told("derived", "time", f"time:{person.id}:{at}", at)
        following: deque[tuple[Told, int]] = deque()
        self.settle(person, at, cause, 0, following)
        due = sorted((wait for wait in person.waits if wait.due <= at), key=lambda wait: wait.due)
        person.waits = [wait for wait in person.waits if wait.due > at]
        for wait in due:
            self.end_wait(person, wait, at, following)
        self.happen(person, at, following)

    def arrive(self, told: Told, now: int) -> None:
        """The log takes an event at `now`; what is due by then happens first."""
        self.pass_time(now)
        self.position += 1
        if self.people.had(told):
            self.repeats += 1
            return
        person, gone = self.people.whose(told, self.position, now)
        if person is None:
            return
        for former in gone:
            self.note(person, "merge", now, former)
            for message, (owner, template, status) in self.messages.items():
                if owner == former and status in ("scheduled", "due"):
                    self.messages[message] = (person.id, template, status)
        self.since = told.at
        person.seen.add(told.message_id)
        self.note(person, "event", now, told.name)
        self.happen(person, now, deque([(told, 0)]))

    def happen(self, person: Person, at: int, following: deque[tuple[Told, int]]) -> None:
        """An event happens to a person, and then, one after another, what follows from it."""
        happened = 0
        while following:
            event, links = following.popleft()
            happened += 1
            if links > LINKS or happened > FOLLOWERS:
                self.note(person, "decision", at, "", "stopped", event.name, "")
                return
            for wait in list(person.waits):
                if event.name in self.book.rule(wait.ruleset, wait.rule)[1].unless:
                    self.drop(person, wait, at, "unless")
            self.add(person, event)
            self.settle(person, at, event, links, following)
            scene = self.scene(person, at, event)
            for ruleset, rule in [found for each in self.book.sets for found in self.woken(each, event, scene)]:
                self.fire(person, ruleset, rule, event, at, links, following)

    def add(self, person: Person, event: Told) -> None:
        """To what the person did, said and is."""
        person.deeds.append(Deed(event.name, event.at, event.properties))
        if event.kind == "identify":
            person.traits += [(name, told, event.at) for name, told in event.traits.items()]
        zone = event.context.get("timezone")
        if isinstance(zone, str) and zone and event.kind != "derived":
            person.zone = zone
        if event.kind == "feedback" and event.name == "Unsubscribed":
            person.refused.append((event.properties.get("purpose", ""), event.at))
        if event.kind == "feedback" and event.name == "Email Bounced" and event.properties.get("is_permanent"):
            person.suppressed = "hard bounce"
        if event.kind == "feedback" and event.name == "Email Marked as Spam":
            person.suppressed = "complaint"

    # Segments.

    def zone(self, person: Person) -> Any:
        return zone_of(person.zone, self.book.time_zone)

    def scene(self, person: Person, at: int, event: Told | None, segments: list[str] | None = None) -> Scene:
        held = list(person.segments) if segments is None else segments
        ranked = [each for each in self.book.segments if each.name in held]
        ranked.sort(key=lambda each: (-each.priority, -each.depth, self.book.segments.index(each)))
        return Scene(
            now=at,
            deeds=person.deeds,
            traits=person.values(),
            segments=tuple(held),
            primary=ranked[0].name if ranked else None,
            zone=self.zone(person),
            properties={} if event is None else event.properties,
            context={} if event is None else event.context,
            names=self.book.names,
            defined=self.book.defined,
        )

    def segments_of(self, person: Person, at: int) -> list[str]:
        """Those that the person is in now, in the order in which they are looked at."""
        held: list[str] = []
        exclusive = {segment.name for segment in self.book.segments if segment.is_exclusive}
        taken: set[str] = set()
        for segment in self.book.segments:
            if segment.parent is not None and segment.parent not in held:
                continue
            if segment.parent in taken:
                continue
            if segment.when is None or holds(segment.when, self.scene(person, at, None, held)):
                held.append(segment.name)
                if segment.parent in exclusive:
                    taken.add(str(segment.parent))
        return held

    def settle(self, person: Person, at: int, cause: Told, links: int, following: deque[tuple[Told, int]]) -> None:
        """Who is in which segment is brought up to date; leaving comes before entering."""
        held = self.segments_of(person, at)
        order = [segment.name for segment in self.book.segments]
        moves = [(name, "left") for name in sorted(person.segments, key=order.index) if name not in held]
        moves += [(name, "entered") for name in held if name not in person.segments]
        person.segments = {name: person.segments.get(name, at) for name in held}
        for name, what in moves:
            self.note(person, "segment", at, name, what)
            identifier = f"{cause.message_id}/{what}:{name}@{at}"
            event = Told("derived", f"segment.{what}", identifier, self.since, properties={"segment": name})
            following.append((event, links + 1))

    # Rules.

    def woken(self, ruleset: RuleSet, event: Told, scene: Scene) -> list[tuple[RuleSet, Rule]]:
        found = [
            (ruleset, rule)
            for rule in ruleset.rules
            if event.name in rule.on and (rule.when is None or holds(rule.when, scene))
        ]
        return found[:1] if ruleset.is_first_only else found

    def fire(
        self, person: Person, ruleset: RuleSet, rule: Rule, event: Told, at: int, links: int,
        following: deque[tuple[Told, int]],
    ) -> None:  # fmt: skip
        """A rule's event came and its condition held."""

        def decide(outcome: str, why: str = "") -> None:
            self.note(person, "decision", at, rule.full_name, outcome, event.name, why)

        if at - event.at > rule.max_age:
            return decide("skipped", "age")
        sends = [f"{person.id}/{rule.full_name}/{place}/{event.message_id}" for place in range(len(rule.sends))]
        if not rule.wait:
            decide("acted")
            return self.act(person, rule, event, at, sends, None, links, following)
        waiting = [
            wait
            for wait in person.waits
            if wait.ruleset == rule.ruleset and (ruleset.is_first_only or wait.rule == rule.name)
        ]
        if waiting and rule.while_waiting == "keep":
            return decide("skipped", "waiting")
        if rule.while_waiting == "restart":
            for wait in waiting:
                self.drop(person, wait, at, "restart")
        if len(person.waits) >= WAITS:
            return decide("skipped", "limit")
        person.waits.append(Wait(at + rule.wait, rule.ruleset, rule.name, event, sends))
        decide("waiting")
        for place, send in enumerate(sends):
            self.write(person, rule, place, send, at, "scheduled", "wait")
        return None

    def drop(self, person: Person, wait: Wait, at: int, why: str) -> None:
        person.waits.remove(wait)
        self.skip(person, wait, at, why)

    def skip(self, person: Person, wait: Wait, at: int, why: str) -> None:
        _, rule = self.book.rule(wait.ruleset, wait.rule)
        for place, send in enumerate(wait.sends):
            if wait.only in (None, place):
                self.write(person, rule, place, send, at, "skipped", why)

    def end_wait(self, person: Person, wait: Wait, at: int, following: deque[tuple[Told, int]]) -> None:
        """The condition is asked again, with the same event and everything else as it is now."""
        _, rule = self.book.rule(wait.ruleset, wait.rule)
        if rule.when is not None and not holds(rule.when, self.scene(person, at, wait.trigger)):
            return self.skip(person, wait, at, "untrue")
        return self.act(person, rule, wait.trigger, at, wait.sends, wait.only, 0, following)

    def act(
        self, person: Person, rule: Rule, event: Told, at: int, sends: list[str], only: int | None, links: int,
        following: deque[tuple[Told, int]],
    ) -> None:  # fmt: skip
        place = -1
        for action in rule.actions:
            if "send" in action:
                place += 1
                if only in (None, place):
                    self.offer(person, rule, place, sends, event, at)
            elif only is None:
                scene = self.scene(person, at, event)
                if "set" in action:
                    person.traits += [(name, told, at) for name, told in _worked_out(action["set"], scene).items()]
                    self.settle(person, at, event, links, following)
                else:
                    properties = _worked_out(action.get("properties", {}), scene)
                    identifier = f"{event.message_id}/{rule.full_name}/{action['emit']}"
                    emitted = Told("derived", action["emit"], identifier, self.since, properties=properties)
                    self.note(person, "event", at, emitted.name, rule.full_name)
                    following.append((replace(emitted, context=event.context), links + 1))

    def offer(self, person: Person, rule: Rule, place: int, sends: list[str], event: Told, at: int) -> None:
        """May this message leave now?"""
        template = self.templates[rule.sends[place]]
        why = self.refusal(person, rule, template, at)
        if why:
            return self.write(person, rule, place, sends[place], at, "skipped", why)
        if template.is_marketing and self.book.quiet is not None:
            until = quiet_until(at, self.book.quiet, self.zone(person))
            if until is not None and len(person.waits) >= WAITS:
                return self.write(person, rule, place, sends[place], at, "skipped", "limit")
            if until is not None:
                person.waits.append(Wait(until, rule.ruleset, rule.name, event, sends, place))
                return self.write(person, rule, place, sends[place], at, "scheduled", "quiet")
        if template.is_marketing:
            for most, within in self.book.caps:
                if len([1 for sent, _, is_marketing in person.sent if is_marketing and at - sent < within]) >= most:
                    return self.write(person, rule, place, sends[place], at, "skipped", "cap")
        person.sent.append((at, rule.full_name, template.is_marketing))
        return self.write(person, rule, place, sends[place], at, "due", "")

    def refusal(self, person: Person, rule: Rule, template: Template, at: int) -> str:
        email = person.values().get("email")
        if not isinstance(email, str) or "@" not in email:
            return "email"
        if person.suppressed == "hard bounce" or (person.suppressed and template.is_marketing):
            return "suppressed"
        if template.is_marketing and any(purpose in ("", template.purpose) for purpose, _ in person.refused):
            return "opted out"
        if rule.cooldown and any(name == rule.full_name and at - sent < rule.cooldown for sent, name, _ in person.sent):
            return "cooldown"
        return ""

    # What is written down.

    def write(self, person: Person, rule: Rule, place: int, send: str, at: int, status: str, why: str) -> None:
        if send not in self.messages or self.messages[send][2] == "scheduled":
            self.messages[send] = (person.id, rule.sends[place], status)
        self.note(person, "send", at, send, rule.full_name, rule.sends[place], status, why)

    def note(self, person: Person, what: str, at: int, *more: Any) -> None:
        self.timelines.setdefault(person.id, []).append((what, at, *more))


def _worked_out(values: dict[str, Tree], scene: Scene) -> dict[str, Any]:
    return {name: value(tree, scene) for name, tree in values.items()}
