"""Stories (backtest.py) summed up. A tally of some people and one of others make one of all, in any order: so the work
may be shared out among processes, and the answer is the same however it was.
"""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b

from msgspec import Struct, field

from triggerfish.rulefile.backtest import Period, Story

Key = tuple[int | str, ...]


class Example(Struct, frozen=True, order=True):
    """A person shown as an example, the least `key` first: the most remarkable, or a sample that is always the same."""

    key: Key
    id: str
    name: str
    note: str = ""


class Examples(Struct):
    """The first `limit` examples of those that were offered."""

    limit: int
    found: list[Example] = []

    def offer(self, example: Example) -> None:
        if self.limit and (len(self.found) < self.limit or example < self.found[-1]):
            self.found = sorted([*self.found, example])[: self.limit]

    def add(self, other: Examples) -> None:
        self.found = sorted([*self.found, *other.found])[: self.limit]


class Times(Struct):
    """How many times something happened, to how many people, and to whom most."""

    examples: Examples
    times: int = 0
    people: int = 0

    def note(self, story: Story, times: int, note: str = "") -> None:
        """It happened to a person this often."""
        self.times += times
        self.people += 1
        self.examples.offer(Example((-times, story.id), story.id, story.name, note))

    def add(self, other: Times) -> None:
        self.times += other.times
        self.people += other.people
        self.examples.add(other.examples)


class RuleTally(Struct):
    """What a rule did. `sent` is by day, `messages` by template, `outcomes` of its decisions; `sample` are some of the
    people who got a message of it.
    """

    sent: list[int]
    sample: Examples
    people: int = 0
    messages: Counter[str] = field(default_factory=Counter)
    held: int = 0
    waiting: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    skipped: dict[str, Times] = {}

    def add(self, other: RuleTally) -> None:
        self.sent = [one + more for one, more in zip(self.sent, other.sent, strict=True)]
        self.sample.add(other.sample)
        self.people += other.people
        self.messages += other.messages
        self.held += other.held
        self.waiting += other.waiting
        self.outcomes += other.outcomes
        for reason, times in other.skipped.items():
            if reason in self.skipped:
                self.skipped[reason].add(times)
            else:
                self.skipped[reason] = times


class SegmentTally(Struct):
    """A segment's size as the period begins and ends, how often it was entered and left, and by how much it grew each
    day.
    """

    growth: list[int]
    start: int = 0
    end: int = 0
    entered: int = 0
    left: int = 0

    def add(self, other: SegmentTally) -> None:
        self.growth = [one + more for one, more in zip(self.growth, other.growth, strict=True)]
        self.start += other.start
        self.end += other.end
        self.entered += other.entered
        self.left += other.left


class Tally(Struct):
    """What came of some people under one rulebook. `crowded` counts those who get two messages or more on one day (and
    such days), `busiest` everybody who gets messages (and these).
    """

    sample: int
    people: int = 0
    rules: dict[str, RuleTally] = {}
    segments: dict[str, SegmentTally] = {}
    crowded: Times = field(default_factory=lambda: Times(Examples(0)))
    busiest: Times = field(default_factory=lambda: Times(Examples(0)))

    def note(self, story: Story, period: Period) -> None:
        """One person's story more."""
        self.people += 1
        for name in story.first:
            self._segment(name, period).start += story.first[name]
        for name in story.last:
            self._segment(name, period).end += 1
        for (name, day, change), count in story.moves.items():
            segment = self._segment(name, period)
            segment.growth[day] += change * count
            if change > 0:
                segment.entered += count
            else:
                segment.left += count
        for name in {message.rule for message in story.sent}:
            rule = self._rule(name, period)
            rule.people += 1
            rule.sample.offer(Example((_shuffled(story.id),), story.id, story.name))
        for message in story.sent:
            rule = self._rule(message.rule, period)
            rule.sent[period.day(message.at)] += 1
            rule.messages[message.template] += 1
        for (name, reason), count in story.skipped.items():
            self._rule(name, period).skipped.setdefault(reason, self._times()).note(story, count)
        for name, count in story.held.items():
            self._rule(name, period).held += count
        for name, count in story.waiting.items():
            self._rule(name, period).waiting += count
        for (name, outcome), times in story.outcomes.items():
            self._rule(name, period).outcomes[outcome] += times
        if story.sent:
            many = len(story.sent)
            self.busiest.note(story, many, "1 message" if many == 1 else f"{many} messages")
        if crowds := crowded_days(story, period):
            date, most = max(crowds.items(), key=lambda crowd: (crowd[1], crowd[0]))
            self.crowded.note(story, len(crowds), f"{most} messages on {date}")

    def add(self, other: Tally) -> None:
        """Take in the tally of other people, over the same period."""
        self.people += other.people
        for name, rule in other.rules.items():
            if name in self.rules:
                self.rules[name].add(rule)
            else:
                self.rules[name] = rule
        for name, segment in other.segments.items():
            if name in self.segments:
                self.segments[name].add(segment)
            else:
                self.segments[name] = segment
        self.crowded.add(other.crowded)
        self.busiest.add(other.busiest)

    def _rule(self, name: str, period: Period) -> RuleTally:
        rule = self.rules.get(name)
        if rule is None:
            rule = self.rules[name] = RuleTally([0] * len(period.days), Examples(self.sample))
        return rule

    def _segment(self, name: str, period: Period) -> SegmentTally:
        segment = self.segments.get(name)
        if segment is None:
            segment = self.segments[name] = SegmentTally([0] * len(period.days))
        return segment

    def _times(self) -> Times:
        return Times(Examples(self.sample))


def new_tally(sample: int) -> Tally:
    """A tally of nobody that shows `sample` examples of each thing."""
    return Tally(sample, crowded=Times(Examples(sample)), busiest=Times(Examples(sample)))


class Turn(Struct):
    """Who enters, and who leaves, because of a change of the rules: at the period's end they are where they would not
    have been, or the other way round.
    """

    entered: Times
    left: Times

    def add(self, other: Turn) -> None:
        self.entered.add(other.entered)
        self.left.add(other.left)


class Effect(Struct):
    """What a change of the rules does to people: in segments by name; who gets `more` and `fewer` messages; `crowded`
    are those who would get two or more in one day and did not before.
    """

    sample: int
    segments: dict[str, Turn] = {}
    more: Times = field(default_factory=lambda: Times(Examples(0)))
    fewer: Times = field(default_factory=lambda: Times(Examples(0)))
    crowded: Times = field(default_factory=lambda: Times(Examples(0)))

    def note(self, old: Story, new: Story, period: Period) -> None:
        """One person, under the old rules and under the new."""
        for name in new.last - old.last:
            self._turn(name).entered.note(new, 1)
        for name in old.last - new.last:
            self._turn(name).left.note(new, 1)
        change = len(new.sent) - len(old.sent)
        if change:
            note = f"{len(old.sent)} before, {len(new.sent)} now"
            (self.more if change > 0 else self.fewer).note(new, abs(change), note)
        before = crowded_days(old, period)
        if crowds := {day: many for day, many in crowded_days(new, period).items() if day not in before}:
            date, most = max(crowds.items(), key=lambda crowd: (crowd[1], crowd[0]))
            self.crowded.note(new, len(crowds), f"{most} messages on {date}")

    def add(self, other: Effect) -> None:
        for name, turn in other.segments.items():
            if name in self.segments:
                self.segments[name].add(turn)
            else:
                self.segments[name] = turn
        self.more.add(other.more)
        self.fewer.add(other.fewer)
        self.crowded.add(other.crowded)

    def _turn(self, name: str) -> Turn:
        turn = self.segments.get(name)
        if turn is None:
            turn = self.segments[name] = Turn(Times(Examples(self.sample)), Times(Examples(self.sample)))
        return turn


def new_effect(sample: int) -> Effect:
    """An effect on nobody."""
    return Effect(sample, more=Times(Examples(sample)), fewer=Times(Examples(sample)), crowded=Times(Examples(sample)))


def crowded_days(story: Story, period: Period) -> dict[str, int]:
    """The days on which a person gets two messages or more, and how many."""
    days = Counter(period.day(message.at) for message in story.sent)
    return {period.days[day]: count for day, count in days.items() if count > 1}


def _shuffled(text: str) -> str:
    """A key by which people come in an order that says nothing about them, always the same."""
    return blake2b(text.encode(), digest_size=8).hexdigest()
