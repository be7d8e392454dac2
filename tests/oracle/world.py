"""The oracle: what follows from events by docs/rules.md, worked out the slow way. It keeps of each person the plain
list of all that they did, and asks every condition anew at every instant at which anything could have changed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from oracle import journeys
from oracle.language import Deed, Scene, Tree, fadings, holds, local, looks_at_the_clock, parts_of, pauses, value
from oracle.people import People, Person, Run, Told, Wait
from oracle.rules import Book, Rule, RuleSet, Table
from oracle.times import next_date, next_time, next_turn, open_from, zone_of

LINKS = 8
FOLLOWERS = 100
WAITS = 100
FAR = 40 * 86_400_000
"""How far to look for what fades: farther than a history lasts."""
Line = tuple[Any, ...]


@dataclass(frozen=True)
class Template:
    is_marketing: bool
    purpose: str


def mailbox_of(person: Person) -> str:
    """The address that they have, in one spelling."""
    email = person.values().get("email")
    return email.strip().lower() if isinstance(email, str) else ""


class Oracle:
    """Everything that happens. `since` is how old all that follows now is: as the event that came or, when time passed,
    as that instant. `timelines` tell of each person what happened, in order, each line beginning with what and when;
    `messages` says of each message where it stands: (person, template, status). `withdrawn` are the lines of messages
    that a goal or an exit stopped. `share` gives a person's share of an experiment, from 0 to 1.
    """

    most_waits = WAITS

    def __init__(self, book: Book, templates: dict[str, Template], share: Callable[[str, str], Fraction]) -> None:
        self.book = book
        self.templates = templates
        self.share = share
        self.people = People()
        self.timelines: dict[str, list[Line]] = {}
        self.messages: dict[str, tuple[str, str, str]] = {}
        self.withdrawn: list[Line] = []
        self.now = 0
        self.since = 0
        self.position = 0
        self.repeats = 0
        self.has_set = False
        self.looks: dict[tuple[str, int], list[int]] = {}
        self.born = 0
        self.following: deque[tuple[Told, int]] = deque()
        self.rivals: set[str] | None = None
        self.winners: list[tuple[Rule, str]] = []
        self.by_calendar = [rule for each in book.sets for rule in each.rules if rule.calendar is not None]
        asked = [stop["when"] for stop in _stops_in([rule for each in book.sets for rule in each.rules])]
        trees = [segment.when for segment in book.segments] + list(book.defined.values()) + asked
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
            deeds = self.looks[person.id, len(person.deeds)] = self.instants(person)
        instants = deeds[bisect_right(deeds, self.now) :][:1] + [wait.due for wait in person.waits]
        if self.has_clock:
            instants.append(next_turn(self.now, self.zone(person)))
        instants += [at for rule in self.by_calendar if (at := self.rings(person, rule, self.now, until)) is not None]
        return min(*instants, until + 1, until + 1)

    def instants(self, person: Person) -> list[int]:
        found = {deed.at + pause for deed in person.deeds for pause in self.pauses}
        scene = self.scene(person, self.now, None)
        for tree in self.trees:
            found |= fadings(tree, scene, self.now + FAR)
        return sorted(found)

    def look(self, person: Person, at: int) -> None:
        """Time has passed: first segments change, then waits end and runs go on, in the order in which they began to
        wait; then the calendar wakes rules, and what follows happens.
        """
        self.since, self.following = at, deque()
        segments = list(person.segments)
        self.settle(person, at, 0)
        due = [
            wait
            for wait in person.waits
            if (wait.due <= at if isinstance(wait, Wait) else journeys.is_due(self, person, wait, at, segments))
            and not 0 < wait.round <= at
        ]
        for wait in due:
            self.end(person, wait, at)
        rivals = [wait for wait in person.waits if 0 < wait.round <= at]
        self.rivals, self.winners = {self.held_message(wait) for wait in rivals}, []
        for wait in sorted(rivals, key=self.rank):
            self.end(person, wait, at)
        self.rivals = None
        self.hear_of_traits(person, at, 0)
        for rule in self.by_calendar:
            if self.rings(person, rule, at - 1, at) == at:
                day = local(at, self.zone(person)).strftime("%Y-%m-%d")
                self.follow("derived", rule.on[0], {"date": day}, 0)
        self.happen(person, at)

    def end(self, person: Person, wait: Wait | Run, at: int) -> None:
        if wait in person.waits and isinstance(wait, Wait):
            person.waits.remove(wait)
            self.end_wait(person, wait, at)
        elif wait in person.waits:
            journeys.resume(self, person, wait, at)

    # Rounds of the arbiter.

    def held_message(self, wait: Wait | Run) -> str:
        return wait.sends[wait.only if isinstance(wait, Wait) else wait.step["label"]]

    def rank(self, wait: Wait | Run) -> tuple[int, ...]:
        """Who comes first: by the rule set, the rule, the files, the event, the step."""
        label = wait.only if isinstance(wait, Wait) else wait.step["label"]
        return (*self.standing(wait.rule), wait.trigger.at, _labels(wait.rule.steps).index(label))

    def standing(self, rule: Rule) -> tuple[int, int, int]:
        rules = [each for ruleset in self.book.sets for each in ruleset.rules]
        ruleset, _ = self.book.rule(rule.ruleset, rule.name)
        return -ruleset.priority, -rule.priority, rules.index(rule)

    def beaten_by(self, rule: Rule, most: int) -> Rule | None:
        """Whom a message of this rule stands back for in the round that ends now."""
        for winner, _ in self.winners:
            if rule.group and winner.group == rule.group:
                return winner
        return self.winners[-1][0] if len(self.winners) >= most else None

    def joined(self, person: Person, at: int, window: int) -> int:
        """The end of the round that a message joins now."""
        open_ = [each.round for each in person.waits if each.round > at or (each.round == at and self.rivals is None)]
        return min([*(each for each in open_ if each <= at + window), at + window])

    def unite_rounds(self, person: Person, at: int) -> None:
        if self.book.arbitration is None:
            return
        soon = [each for each in person.waits if 0 < each.round <= at + self.book.arbitration[0]]
        for each in soon:
            each.round = min(other.round for other in soon)
            if isinstance(each, Wait):
                each.due = each.round
            else:
                each.deadline = each.round

    def rings(self, person: Person, rule: Rule, after: int, until: int) -> int | None:
        """The first instant in (after, until] at which the calendar wakes a rule for a person who stays as they are."""
        calendar = rule.calendar or {}
        if "trait" in calendar:
            return next_date(after, person.values().get(calendar["trait"]), calendar, self.zone(person), until)
        if calendar["segment"] not in person.segments:
            return None
        zone = zone_of(calendar["zone"], "UTC") if calendar["zone"] else self.zone(person)
        at = next_time(after, calendar["times"], zone)
        return at if at <= until else None

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
        if gone:
            journeys.unite(self, person, now)
            self.unite_rounds(person, now)
        self.since, self.following = told.at, deque([(told, 0)])
        person.seen.add(told.message_id)
        self.note(person, "event", now, told.name)
        self.happen(person, now)

    def happen(self, person: Person, at: int) -> None:
        """What is to happen to a person, one after another, and what follows from it."""
        happened = 0
        while self.following:
            event, links = self.following.popleft()
            happened += 1
            if links > LINKS or happened > FOLLOWERS:
                self.note(person, "decision", at, "", "stopped", event.name, "", "", "")
                return
            for wait in list(person.waits):
                if isinstance(wait, Wait) and event.name in wait.rule.unless and event.at >= wait.trigger.at:
                    self.drop(person, wait, at, "unless")
            self.add(person, event)
            self.settle(person, at, links)
            journeys.hear(self, person, event, at, links)
            scene = self.scene(person, at, event)
            for ruleset, rule in [found for each in self.book.sets for found in self.woken(each, event, scene)]:
                self.fire(person, ruleset, rule, event, at, links)
            self.hear_of_traits(person, at, links)

    def hear_of_traits(self, person: Person, at: int, links: int) -> None:
        """Runs look at traits that were set, and at those that they set in turn."""
        while self.has_set:
            self.has_set = False
            journeys.hear(self, person, None, at, links)

    def follow(self, kind: str, name: str, properties: dict[str, Any], links: int, context: Any = None) -> None:
        """Something follows from what happens, and happens after it."""
        self.born += 1
        event = Told(kind, name, f"#{self.born}", self.since, properties=properties, context=context or {})
        self.following.append((event, links))

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
            person.troubles.append((mailbox_of(person), "hard bounce"))
        if event.kind == "feedback" and event.name == "Email Marked as Spam":
            person.troubles.append((mailbox_of(person), "complaint"))
            person.refused.append(("", event.at))

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

    def settle(self, person: Person, at: int, links: int) -> None:
        """Who is in which segment is brought up to date; leaving comes before entering."""
        held = self.segments_of(person, at)
        order = [segment.name for segment in self.book.segments]
        moves = [(name, "left") for name in sorted(person.segments, key=order.index) if name not in held]
        moves += [(name, "entered") for name in held if name not in person.segments]
        person.segments = {name: person.segments.get(name, at) for name in held}
        for name, what in moves:
            self.note(person, "segment", at, name, what)
            self.follow("derived", f"segment.{what}", {"segment": name}, links + 1)

    # Rules.

    def woken(self, ruleset: RuleSet, event: Told, scene: Scene) -> list[tuple[RuleSet, Rule]]:
        found = [
            (ruleset, rule)
            for rule in ruleset.rules
            if event.name in rule.on and (rule.when is None or holds(rule.when, scene))
        ]
        return found[:1] if ruleset.is_first_only else found

    def fire(self, person: Person, ruleset: RuleSet, rule: Rule, event: Told, at: int, links: int) -> None:
        """A rule's event came and its condition held."""
        if at - event.at > rule.max_age:
            return self.decide(person, rule, event, at, "skipped", "age")
        if rule.is_journey:
            return journeys.enter(self, person, rule, event, at, links)
        if not rule.wait:
            self.decide(person, rule, event, at, "acted")
            return self.act(person, rule, event, at, {}, "", links)
        waiting = [
            wait
            for wait in person.waits
            if isinstance(wait, Wait) and wait.rule.ruleset == rule.ruleset
            and (ruleset.is_first_only or wait.rule is rule)
        ]  # fmt: skip
        if waiting and rule.while_waiting == "keep":
            return self.decide(person, rule, event, at, "skipped", "waiting")
        if rule.while_waiting == "restart":
            for wait in waiting:
                self.drop(person, wait, at, "restart")
        if len(person.waits) >= WAITS:
            return self.decide(person, rule, event, at, "skipped", "limit")
        sends = {step["label"]: self.send_id(person, rule, step["label"], event) for step in rule.sends}
        person.waits.append(Wait(at + rule.wait, rule, event, sends))
        self.decide(person, rule, event, at, "waiting")
        for step in rule.sends:
            self.write(person, rule, step, sends[step["label"]], at, "scheduled", "wait")
        return None

    def drop(self, person: Person, wait: Wait, at: int, why: str) -> None:
        person.waits.remove(wait)
        self.skip(person, wait, at, why)

    def skip(self, person: Person, wait: Wait, at: int, why: str) -> None:
        for step in all_steps(wait.rule.steps):
            if step["label"] in wait.sends and wait.only in ("", step["label"]):
                self.write(person, wait.rule, step, wait.sends[step["label"]], at, "skipped", why)

    def end_wait(self, person: Person, wait: Wait, at: int) -> None:
        """The condition is asked again, with the same event and everything else as it is now."""
        if wait.rule.when is not None and not holds(wait.rule.when, self.scene(person, at, wait.trigger)):
            return self.skip(person, wait, at, "untrue")
        return self.act(person, wait.rule, wait.trigger, at, wait.sends, wait.only, 0, wait.lost)

    def act(
        self, person: Person, rule: Rule, event: Told, at: int, sends: dict[str, str], only: str, links: int,
        lost: int = 0,
    ) -> None:  # fmt: skip
        """A rule's actions, in order; or `only` the one message that was held back."""
        pending = [step for step in all_steps(rule.steps) if step["label"] == only] if only else list(rule.steps)
        while pending:
            step = pending.pop(0)
            label = step["label"]
            if "split" in step:
                pending = self.split(person, rule, step, event, at) + pending
            elif "send" in step:
                send = sends.get(label) or self.send_id(person, rule, label, event)
                held = self.offer(person, rule, step, send, event, at, lost)
                if held is not None:
                    until, ends, lost_at = held
                    person.waits.append(Wait(until, rule, event, {label: send}, label, ends, lost_at))
            else:
                self.do(person, rule, step, event, at, links)

    def do(self, person: Person, rule: Rule, step: Table, event: Told, at: int, links: int) -> None:
        """An action that is no message."""
        scene = self.scene(person, at, event)
        if "set" in step:
            person.traits += [(name, told, at) for name, told in _worked_out(step["set"], scene).items()]
            self.has_set = True
            self.settle(person, at, links)
        else:
            self.note(person, "event", at, step["emit"], rule.full_name)
            properties = _worked_out(step.get("properties", {}), scene)
            self.follow("derived", step["emit"], properties, links + 1, event.context)

    def split(self, person: Person, rule: Rule, step: Table, event: Told, at: int) -> list[Table]:
        """The steps of the variant that the person has, and has had since the first time."""
        experiment, variants = step["split"]["name"], step["split"]["variants"]
        if experiment not in person.variants:
            share = self.share(person.id, experiment)
            weights = [each.get("weight", 1) for each in variants]
            left = Fraction(100 - step["split"].get("holdout", 0), 100)
            name, below = "holdout", Fraction(0)
            for variant, weight in zip(variants, weights, strict=True):
                below += Fraction(weight, sum(weights)) * left
                if share < below:
                    name = variant["name"]
                    break
            person.variants[experiment] = (at, name)
        name = person.variants[experiment][1]
        self.decide(person, rule, event, at, "assigned", "", step["label"], name)
        return next((each["steps"] for each in variants if each["name"] == name), [])

    def offer(
        self, person: Person, rule: Rule, step: Table, send: str, event: Told, at: int, lost: int = 0
    ) -> tuple[int, int, int] | None:
        """May this message leave now? None, or until when it is held, the end of its round, and when it first lost."""
        template = self.template(rule, step)
        why = self.refusal(person, rule, template, event, at)
        until, is_lost = at, False
        if not why and template.is_marketing:
            held, until = open_from(at, self.book.quiet, self.book.windows, self.zone(person))
            if not held:
                why, until = self.stands_back(person, rule, template, send, at)
                is_lost = bool(why)
                if not why and self.book.arbitration is not None and send not in (self.rivals or ()):
                    held, until = "arbitration", self.joined(person, at, self.book.arbitration[0])
            if is_lost and rule.losing == "defer":
                lost = lost or at
                why, held = (f"{why} patience", "") if until - lost > rule.patience else ("", f"deferred {why}")
            elif is_lost and rule.losing == "merge" and self.rivals is not None and self.winners:
                showing = [winner for winner, name in self.winners if name == "digest"]
                if showing:
                    self.leave(person, rule, template, event, at, is_marketing=False)
                why = f"merged {showing[0].full_name}" if showing else f"{why} unmerged"
            if not why and held:
                if len(person.waits) >= WAITS:
                    why = "limit"
                else:
                    self.write(person, rule, step, send, at, "scheduled", held)
                    return until, until if self.book.arbitration is not None else 0, lost
        if why:
            self.write(person, rule, step, send, at, "skipped", why)
            return None
        self.leave(person, rule, template, event, at, is_marketing=template.is_marketing)
        if self.rivals is not None and template.is_marketing:
            self.winners.append((rule, step["send"]))
        self.write(person, rule, step, send, at, "due", "")
        return None

    def leave(
        self, person: Person, rule: Rule, template: Template, event: Told, at: int, *, is_marketing: bool
    ) -> None:
        facts = {"purpose": template.purpose, "ruleset": rule.ruleset, "group": rule.group}
        person.sent.append((at, rule.full_name, is_marketing, facts))
        person.once.add((rule.full_name, self.once(person, rule, event, at)))

    def stands_back(self, person: Person, rule: Rule, template: Template, send: str, at: int) -> tuple[str, int]:
        """Whether others came first, by a cap or in the round that ends now; and when it may ask again."""
        own = {"purpose": template.purpose, "ruleset": rule.ruleset, "group": rule.group}
        why, until = "", at
        for cap in self.book.caps:
            asks = {key: cap[key] for key in own if key in cap}
            if any(own[key] != asks[key] for key in asks):
                continue
            had = [
                when for when, _, is_marketing, facts in person.sent
                if is_marketing and at - when < cap["within"] and all(facts[key] == asks[key] for key in asks)
            ]  # fmt: skip
            if len(had) >= cap["sends"]:
                why, until = "cap", max(until, sorted(had)[len(had) - cap["sends"]] + cap["within"])
        if self.book.arbitration is not None and send in (self.rivals or ()):
            window, most = self.book.arbitration
            winner = self.beaten_by(rule, most)
            if winner is not None:
                return f"lost {winner.full_name}", max(until, at + window)
        return why, until

    def template(self, rule: Rule, step: Table) -> Template:
        own = self.templates[step["send"]]
        is_marketing = own.is_marketing if rule.is_marketing is None else rule.is_marketing
        return Template(is_marketing, rule.purpose or own.purpose)

    def refusal(self, person: Person, rule: Rule, template: Template, event: Told, at: int) -> str:
        email = person.values().get("email")
        if not isinstance(email, str) or "@" not in email:
            return "email"
        troubles = [trouble for address, trouble in person.troubles if address in ("", mailbox_of(person))]
        if "hard bounce" in troubles or (troubles and template.is_marketing):
            return "suppressed"
        if template.is_marketing and any(purpose in ("", template.purpose) for purpose, _ in person.refused):
            return "opted out"
        if any(at - when < rule.set_cooldown for when, _, _, facts in person.sent if facts["ruleset"] == rule.ruleset):
            return "set cooldown"
        sent = [when for when, name, *_ in person.sent if name == rule.full_name]
        if any(at - when < rule.cooldown for when in sent):
            return "cooldown"
        if any(len([1 for when in sent if at - when < within]) >= most for most, within in rule.limits):
            return "limited"
        if rule.once_per is not None and (rule.full_name, self.once(person, rule, event, at)) in person.once:
            return "once"
        return ""

    def once(self, person: Person, rule: Rule, event: Told, at: int) -> str:
        """What a rule with `once_per` sends only once for."""
        now = local(at, self.zone(person))
        if isinstance(rule.once_per, tuple):
            told = value(rule.once_per, self.scene(person, at, event))
            return f"{type(told).__name__} {told}"
        forms = {"day": "%Y-%m-%d", "week": "%G-%V", "month": "%Y-%m", "year": "%Y"}
        return now.strftime(forms.get(str(rule.once_per), "ever"))

    # What is written down.

    def send_id(self, person: Person, rule: Rule, label: str, event: Told) -> str:
        return f"{person.id}/{rule.full_name}/{label}/{event.message_id}"

    def decide(
        self, person: Person, rule: Rule, event: Told, at: int, outcome: str, why: str = "", label: str = "",
        arm: str = "",
    ) -> None:  # fmt: skip
        self.note(person, "decision", at, rule.full_name, outcome, event.name, why, label, arm)

    def write(self, person: Person, rule: Rule, step: Table, send: str, at: int, status: str, why: str) -> None:
        if send not in self.messages or self.messages[send][2] == "scheduled":
            self.messages[send] = (person.id, step["send"], status)
        self.note(person, "send", at, send, rule.full_name, step["send"], status, why)

    def withdraw(self, person: Person, run: Run, at: int) -> None:
        """The messages of a run that have not left do not leave."""
        for send in run.sends.values():
            owner, template, status = self.messages[send]
            if status in ("scheduled", "due"):
                self.messages[send] = (owner, template, "skipped")
                self.withdrawn.append((at, send))

    def note(self, person: Person, what: str, at: int, *more: Any) -> None:
        self.timelines.setdefault(person.id, []).append((what, at, *more))


def all_steps(steps: list[Table]) -> list[Table]:
    """Steps, and those of splits."""
    found = []
    for step in steps:
        found.append(step)
        for variant in step.get("split", {}).get("variants", []):
            found += all_steps(variant["steps"])
    return found


def _labels(steps: Any) -> list[str]:
    """The labels of all steps, each before those within it."""
    found: list[str] = []
    for step in steps:
        found.append(step["label"])
        if "wait_until" in step:
            found += _labels(step["wait_until"]["otherwise"])
        for way in [*step.get("branch", []), *step.get("split", {}).get("variants", [])]:
            found += _labels(way["steps"])
    return found


def _stops_in(made: Any) -> list[Table]:
    """All that runs of journeys wait for, or that ends them."""
    if isinstance(made, Rule):
        return [*made.goals, *made.exits, *_stops_in(made.steps)]
    if isinstance(made, list):
        return [stop for each in made for stop in _stops_in(each)]
    if not isinstance(made, dict):
        return []
    own = [made["wait_until"]] if "wait_until" in made else []
    inner = [made.get("wait_until", {}).get("otherwise"), made.get("branch"), made.get("split", {}).get("variants")]
    return own + _stops_in([*inner, made.get("steps")])


def _worked_out(values: dict[str, Tree], scene: Scene) -> dict[str, Any]:
    return {name: value(tree, scene) for name, tree in values.items()}
