"""Activity: what conditions such as `count(purchase, "30d")` remember of a person's events, exact in event time.
Functions that need more than counts, such as `score` and `sequence`, keep traces (traces.py).

Without a window a Tally is enough: a few numbers, however many events. With a window the instants are kept: exactly, up
to EXACT_LIMIT of them; beyond that the older ones share buckets of a 64th of the window, so that an event leaves the
window at most a 64th of its length late. Events may come in any order: the result is the same.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterator
from typing import Any, Literal

from msgspec import Struct

from triggerfish.clock import Instant, Millis
from triggerfish.ingest import Event
from triggerfish.traces import Distinct, Followed, Score, Unfollowed

EXACT_LIMIT = 512
BUCKETS_A_WINDOW = 64


class Summary(Struct, gc=False):
    """Count and figures of some events. `numbers`, `sum`, `low`, `high` regard those whose value is a number."""

    count: int = 0
    numbers: int = 0
    sum: float = 0
    low: float | None = None
    high: float | None = None

    def add(self, other: Summary) -> None:
        self.count += other.count
        self.numbers += other.numbers
        self.sum = _total(self.sum, other.sum)
        if other.low is not None:
            self.low = other.low if self.low is None else min(self.low, other.low)
        if other.high is not None:
            self.high = other.high if self.high is None else max(self.high, other.high)


def summary_of(value: Any) -> Summary:
    """The summary of a single event with this value."""
    if type(value) is int or type(value) is float:
        return Summary(1, 1, value, value, value)
    return Summary(1)


def _total(one: float, other: float) -> float:
    """A sum that can be stored: whole numbers of more than 64 bits become floats."""
    total = one + other
    return total if -(2**63) <= total < 2**63 else float(total)


class Tally(Struct, array_like=True, tag="t", gc=False):
    """All of a person's events of one kind, from the first to the last."""

    count: int = 0
    numbers: int = 0
    sum: float = 0
    low: float | None = None
    high: float | None = None
    first_at: Instant | None = None
    first: Any = None
    last_at: Instant | None = None
    last: Any = None

    def copy(self) -> Tally:
        return Tally(
            self.count, self.numbers, self.sum, self.low, self.high, self.first_at, self.first, self.last_at, self.last
        )

    def add(self, at: Instant, value: Any) -> None:
        self.count += 1
        if type(value) is int or type(value) is float:
            self.numbers += 1
            self.sum = _total(self.sum, value)
            self.low = value if self.low is None else min(self.low, value)
            self.high = value if self.high is None else max(self.high, value)
        if self.first_at is None or at < self.first_at:
            self.first_at, self.first = at, value
        if self.last_at is None or at >= self.last_at:
            self.last_at, self.last = at, value

    def unite(self, other: Tally) -> None:
        """Take in another person's tally (the two are one person)."""
        mine = Summary(self.count, self.numbers, self.sum, self.low, self.high)
        mine.add(Summary(other.count, other.numbers, other.sum, other.low, other.high))
        self.count, self.numbers, self.sum, self.low, self.high = (
            mine.count, mine.numbers, mine.sum, mine.low, mine.high,
        )  # fmt: skip
        if other.first_at is not None and (self.first_at is None or other.first_at < self.first_at):
            self.first_at, self.first = other.first_at, other.first
        if other.last_at is not None and (self.last_at is None or other.last_at >= self.last_at):
            self.last_at, self.last = other.last_at, other.last


class Bucket(Struct, array_like=True, gc=False):
    """Events that share a cell of the window's grid; they leave the window together, at the newest one's instant."""

    cell: int
    newest: Instant
    count: int
    numbers: int
    sum: float
    low: float | None
    high: float | None


class Window(Struct, array_like=True, tag="w", gc=False):
    """A person's events of one kind within a sliding window: `times` ascend; `values` go with them.

    An event counts at instant t while `t - window < at <= t`. `width` is the grid's cell, used beyond EXACT_LIMIT.
    """

    width: Millis
    times: list[Instant] = []
    values: list[Any] = []
    buckets: list[Bucket] = []

    def copy(self) -> Window:
        return Window(self.width, self.times.copy(), self.values.copy(), self.buckets.copy())

    def add(self, at: Instant, value: Any, since: Instant) -> None:
        """Add an event; forget what happened at or before `since`."""
        self._forget(since)
        if at <= since:
            return
        if self.buckets and at // self.width <= self.buckets[-1].cell:
            self._to_bucket(at, value)
            return
        place = bisect_right(self.times, at)
        self.times.insert(place, at)
        self.values.insert(place, value)
        if len(self.times) > EXACT_LIMIT:
            self._compact()

    def unite(self, other: Window) -> None:
        """Take in another person's window (the two are one person)."""
        if self.buckets or other.buckets or len(self.times) + len(other.times) > EXACT_LIMIT:
            self._compact(0)
            for bucket in other.buckets:
                self._merge_bucket(bucket)
            for at, value in zip(other.times, other.values, strict=True):
                self._to_bucket(at, value)
            return
        merged = sorted(
            [*zip(self.times, self.values, strict=True), *zip(other.times, other.values, strict=True)], key=_at
        )
        self.times = [at for at, _ in merged]
        self.values = [value for _, value in merged]

    def since(self, after: Instant) -> Iterator[tuple[Instant, Summary, Any]]:
        """Instant, summary and value (None for a bucket) of what happened after `after`, oldest first."""
        for bucket in self.buckets:
            if bucket.newest > after:
                yield bucket.newest, Summary(bucket.count, bucket.numbers, bucket.sum, bucket.low, bucket.high), None
        for place in range(bisect_right(self.times, after), len(self.times)):
            yield self.times[place], summary_of(self.values[place]), self.values[place]

    def numbers_since(self, after: Instant) -> list[float]:
        """The values after `after` that are numbers, oldest first, of those events that are kept exactly."""
        values = self.values[bisect_right(self.times, after) :]
        return [value for value in values if type(value) is float or type(value) is int]

    def count_since(self, after: Instant) -> int:
        """How many events happened after `after`."""
        times = self.times
        exact = len(times) - bisect_right(times, after)
        if not self.buckets:
            return exact
        return exact + sum(bucket.count for bucket in self.buckets if bucket.newest > after)

    def oldest_since(self, after: Instant) -> Instant | None:
        """The instant of the first event (or bucket) after `after`."""
        for bucket in self.buckets:
            if bucket.newest > after:
                return bucket.newest
        place = bisect_right(self.times, after)
        return self.times[place] if place < len(self.times) else None

    def newest(self) -> tuple[Instant, Any] | None:
        """Instant and value of the last event."""
        if self.times:
            return self.times[-1], self.values[-1]
        return (self.buckets[-1].newest, None) if self.buckets else None

    def _forget(self, since: Instant) -> None:
        gone = bisect_right(self.times, since)
        if gone:
            del self.times[:gone], self.values[:gone]
        while self.buckets and self.buckets[0].newest <= since:
            del self.buckets[0]

    def _compact(self, keep: int = EXACT_LIMIT // 2) -> None:
        """Move the older events into buckets. A cell is moved whole, so that cells and exact events never overlap."""
        cut = len(self.times) - keep
        while 0 < cut < len(self.times) and self.times[cut] // self.width == self.times[cut - 1] // self.width:
            cut += 1
        for at, value in zip(self.times[:cut], self.values[:cut], strict=True):
            self._to_bucket(at, value)
        del self.times[:cut], self.values[:cut]

    def _to_bucket(self, at: Instant, value: Any) -> None:
        one = summary_of(value)
        self._merge_bucket(Bucket(at // self.width, at, 1, one.numbers, one.sum, one.low, one.high))

    def _merge_bucket(self, new: Bucket) -> None:
        for place, bucket in enumerate(self.buckets):
            if bucket.cell == new.cell:
                both = Summary(bucket.count, bucket.numbers, bucket.sum, bucket.low, bucket.high)
                both.add(Summary(new.count, new.numbers, new.sum, new.low, new.high))
                newest = max(bucket.newest, new.newest)
                self.buckets[place] = Bucket(new.cell, newest, both.count, both.numbers, both.sum, both.low, both.high)
                return
        insort(self.buckets, new, key=_cell)


def _at(entry: tuple[Instant, Any]) -> Instant:
    return entry[0]


def _cell(bucket: Bucket) -> int:
    return bucket.cell


State = Tally | Window | Score | Distinct | Followed | Unfollowed
"""What a profile keeps of one activity."""

Kind = Literal["count", "score", "distinct", "followed", "unfollowed"]


class Pick(Struct, frozen=True):
    """Events called `event`, perhaps only those that `keeps`."""

    event: str
    keeps: Callable[[dict[str, Any]], bool] | None = None

    def takes(self, event: Event) -> bool:
        return event.name == self.event and (self.keeps is None or self.keeps(event.properties))


class Activity(Struct, frozen=True):
    """What to remember: events called `event`, perhaps only those that `keeps`, perhaps one `field` of them, perhaps
    only within a `window`. `key` names the state within a profile; `text` is how a rule file writes it.

    `kind` says what is made of them: "count" keeps a Tally, or a Window's; "score" and "distinct" their traces;
    "followed" and "unfollowed" look out for `then` after them. `span` is a score's half-life, or how soon `then` comes.
    """

    key: str
    text: str
    event: str
    field: tuple[str, ...] | None = None
    window: Millis | None = None
    keeps: Callable[[dict[str, Any]], bool] | None = None
    kind: Kind = "count"
    span: Millis = 0
    then: Pick | None = None

    @property
    def events(self) -> tuple[str, ...]:
        """The names of the events that it listens to, each once."""
        return (self.event,) if self.then is None else tuple(dict.fromkeys((self.event, self.then.event)))

    def start(self) -> State:
        """The state before the first event."""
        match self.kind:
            case "score":
                return Score(self.span)
            case "distinct":
                return Distinct()
            case "followed":
                return Followed(self.span)
            case "unfollowed":
                return Unfollowed(self.span)
        return Tally() if self.window is None else Window(max(1, self.window // BUCKETS_A_WINDOW))

    def count(self, state: State, event: Event, now: Instant) -> None:
        """Add an event to the state, if it is one of those."""
        since = None if self.window is None else now - self.window
        if self.then is not None and (type(state) is Followed or type(state) is Unfollowed):
            self._follow(state, self.then, event, since)
            return
        if self.keeps is not None and not self.keeps(event.properties):
            return
        value = self._value(event)
        if value is None and self.field is not None:
            return
        if type(state) is Tally:
            state.add(event.timestamp, value)
        elif type(state) is Window and since is not None:
            state.add(event.timestamp, value, since)
        elif type(state) is Score and self.field is None:
            state.add(event.timestamp, 1.0)
        elif type(state) is Score and (type(value) is int or type(value) is float):
            state.add(event.timestamp, float(value))
        elif type(state) is Distinct:
            state.add(event.timestamp, value, since)

    def _follow(self, state: Followed | Unfollowed, then: Pick, event: Event, since: Instant | None) -> None:
        if since is not None:
            state.forget(since)
        if event.name == self.event and (self.keeps is None or self.keeps(event.properties)):
            state.add_first(event.timestamp)
        if then.takes(event):
            state.add_then(event.timestamp)

    def _value(self, event: Event) -> Any:
        if self.field is None:
            return None
        value: Any = event.properties
        for name in self.field:
            value = value.get(name) if isinstance(value, dict) else None
        return value
