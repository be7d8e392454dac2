"""Traces: what conditions remember of a person's events when counting them is not enough.

Score fades, Distinct tells values apart, Followed and Unfollowed wait for one event after another. Each is small,
however many events there are; events may come in any order, and two people's traces unite into what one person's would
have been. The bounds are TRACE_LIMIT values and TRACE_LIMIT instants of each event: each class says what lies beyond.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from hashlib import blake2b
from typing import Any

from msgspec import Struct

from triggerfish.clock import Instant, Millis

TRACE_LIMIT = 512
LARGEST = 1.7976931348623157e308
"""The largest float (IEEE 754, binary64)."""
FADED = 2_200
"""After so many half-lives nothing is left even of that."""


class Score(Struct, array_like=True, tag="s", gc=False):
    """Events that count ever less: each its weight when it happens, and half of that a half-life later.

    Exponential decay needs one number and the instant for which it holds, that of the newest event.
    """

    half_life: Millis
    at: Instant | None = None
    value: float = 0.0

    def copy(self) -> Score:
        return Score(self.half_life, self.at, self.value)

    def add(self, at: Instant, weight: float) -> None:
        """Add an event, wherever its time falls."""
        if self.at is None or at > self.at:
            self.value = _finite(self.value_at(at) + weight)
            self.at = at
        else:
            self.value = _finite(self.value + weight * self._left(at - self.at))

    def unite(self, other: Score) -> None:
        """Take in another person's score (the two are one person)."""
        if other.at is not None:
            self.add(other.at, other.value)

    def value_at(self, now: Instant) -> float:
        """The score at an instant that is not before the newest event; 0 without any."""
        return 0.0 if self.at is None else self.value * self._left(min(0, self.at - now))

    def crosses(self, bound: float, now: Instant) -> Instant | None:
        """The first instant after `now` at which the score has reached or passed `bound`, or left it; None for never.

        A score moves toward 0 alone, so that it is once on each side; the very function that tells it is asked.
        """
        here = self._side(bound, now)
        if here == (bound < 0) - (bound > 0):
            return None  # it is on the side of 0, where it stays
        first, last = now, max(now, self.at or now) + FADED * self.half_life
        while last - first > 1:
            middle = (first + last) // 2
            if self._side(bound, middle) == here:
                first = middle
            else:
                last = middle
        return last

    def _side(self, bound: float, at: Instant) -> int:
        value = self.value_at(at)
        return (value > bound) - (value < bound)

    def _left(self, age: Millis) -> float:
        """What is left of 1 after an age, given as a negative number."""
        return float(2.0 ** (age / self.half_life))


def _finite(value: float) -> float:
    return max(-LARGEST, min(LARGEST, value))


class Distinct(Struct, array_like=True, tag="d", gc=False):
    """The different values of a property: a digest of each, with the instant at which it was last seen.

    The TRACE_LIMIT values that were seen last are kept; so the count is exact up to that, and stands still beyond.
    """

    seen: dict[int, Instant] = {}

    def copy(self) -> Distinct:
        return Distinct(self.seen.copy())

    def add(self, at: Instant, value: Any, since: Instant | None = None) -> None:
        """Add a text, number or boolean (others are no values); forget what was last seen at or before `since`."""
        self._forget(since)
        if type(value) not in (str, int, float, bool) or (since is not None and at <= since):
            return
        digest = _digest(value)
        known = self.seen.get(digest)
        if known is None or known < at:
            self.seen[digest] = at
            self._limit()

    def unite(self, other: Distinct) -> None:
        """Take in another person's values (the two are one person)."""
        for digest, at in other.seen.items():
            self.seen[digest] = max(at, self.seen.get(digest, at))
        self._limit()

    def count_since(self, after: Instant | None) -> int:
        """How many values were seen after `after`."""
        return len(self.seen) if after is None else len([at for at in self.seen.values() if at > after])

    def oldest_since(self, after: Instant) -> Instant | None:
        """The instant at which, of the values seen after `after`, one was last seen the longest ago."""
        return min((at for at in self.seen.values() if at > after), default=None)

    def _forget(self, since: Instant | None) -> None:
        if since is not None and self.seen and min(self.seen.values()) <= since:
            self.seen = {digest: at for digest, at in self.seen.items() if at > since}

    def _limit(self) -> None:
        if len(self.seen) > TRACE_LIMIT:
            kept = sorted(self.seen.items(), key=_by_instant)[-TRACE_LIMIT:]
            self.seen = dict(kept)


def _by_instant(entry: tuple[int, Instant]) -> tuple[Instant, int]:
    return entry[1], entry[0]


def _digest(value: str | int | float | bool) -> int:
    """63 bits that tell values apart as `==` in conditions does: 1 and 1.0 are one value, 1 and "1" and True three."""
    if isinstance(value, str):
        text = "t" + value
    elif isinstance(value, bool):
        text = f"b{value}"
    else:
        text = f"n{int(value) if value == int(value) else value!r}"
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest()) >> 1


class Followed(Struct, array_like=True, tag="f", gc=False):
    """Whether some `then` came after some `first`, at most `within` later: `paired_at` is the newest such `then`.

    Kept are the instants that an event yet to come, perhaps late, could still make part of a newer pair: `firsts` and
    `thens` ascend. Of each the newest TRACE_LIMIT are kept, so that only an event older than those can miss its pair.
    """

    within: Millis
    firsts: list[Instant] = []
    thens: list[Instant] = []
    paired_at: Instant | None = None

    def copy(self) -> Followed:
        return Followed(self.within, self.firsts.copy(), self.thens.copy(), self.paired_at)

    def add_first(self, at: Instant) -> None:
        place = bisect_right(self.thens, at + self.within) - 1
        if place >= 0 and self.thens[place] > at:
            self._pair(self.thens[place])
        if self.paired_at is None or at > self.paired_at - self.within:
            _insert(self.firsts, at, self.within)
            del self.firsts[:-TRACE_LIMIT]

    def add_then(self, at: Instant) -> None:
        if self.paired_at is not None and at <= self.paired_at:
            return
        place = bisect_left(self.firsts, at) - 1
        if place >= 0 and self.firsts[place] >= at - self.within:
            self._pair(at)
            return
        place = bisect_left(self.thens, at)
        if self.thens[place : place + 1] != [at]:
            self.thens.insert(place, at)
            del self.thens[:-TRACE_LIMIT]

    def unite(self, other: Followed) -> None:
        """Take in another person's (the two are one person)."""
        if other.paired_at is not None and (self.paired_at is None or other.paired_at > self.paired_at):
            self._pair(other.paired_at)
        for at in other.firsts:
            self.add_first(at)
        for at in other.thens:
            self.add_then(at)

    def forget(self, since: Instant) -> None:
        """Let go of what can be part of no pair whose `then` is after `since`."""
        del self.firsts[: bisect_left(self.firsts, since + 1 - self.within)]
        del self.thens[: bisect_right(self.thens, since)]

    def holds(self, now: Instant, window: Millis | None) -> bool:
        """Whether there is a pair whose `then` is younger than the window."""
        return self.paired_at is not None and (window is None or self.paired_at > now - window)

    def turns(self, now: Instant, window: Millis | None) -> Instant | None:
        """The next instant after now at which time alone changes `holds`."""
        if self.paired_at is None or window is None:
            return None
        at = self.paired_at + window
        return at if at > now else None

    def _pair(self, at: Instant) -> None:
        """A `then` that followed a `first`, newer than the one before."""
        self.paired_at = at
        del self.firsts[: bisect_right(self.firsts, at - self.within)]
        del self.thens[: bisect_right(self.thens, at)]


class Unfollowed(Struct, array_like=True, tag="u", gc=False):
    """Whether no `then` came after the newest `first` until `within` had passed.

    `thens` are the instants after the newest `first`, ascending, as far as the answer depends on them: the oldest and
    the newest, TRACE_LIMIT at most. Only a `first` that comes late, after more of them, can miss its `then`.
    """

    within: Millis
    first_at: Instant | None = None
    thens: list[Instant] = []

    def copy(self) -> Unfollowed:
        return Unfollowed(self.within, self.first_at, self.thens.copy())

    def add_first(self, at: Instant) -> None:
        if self.first_at is None or at > self.first_at:
            self.first_at = at
            del self.thens[: bisect_right(self.thens, at)]

    def add_then(self, at: Instant) -> None:
        if self.first_at is None or at > self.first_at:
            _insert(self.thens, at, self.within)
            if len(self.thens) > TRACE_LIMIT:
                del self.thens[1]  # the first tells whether the newest `first` was followed

    def unite(self, other: Unfollowed) -> None:
        """Take in another person's (the two are one person)."""
        if other.first_at is not None:
            self.add_first(other.first_at)
        for at in other.thens:
            self.add_then(at)

    def forget(self, since: Instant) -> None:
        """Let go of what can follow no `first` that is after `since`."""
        del self.thens[: bisect_right(self.thens, since)]

    def holds(self, now: Instant, window: Millis | None) -> bool:
        """Whether the newest `first` is older than `within`, younger than the window, and was not followed."""
        at = self.first_at
        if at is None or now <= at + self.within or (window is not None and at <= now - window):
            return False
        return not self._is_followed(at)

    def turns(self, now: Instant, window: Millis | None) -> Instant | None:
        """The next instant after now at which time alone changes `holds`."""
        at = self.first_at
        if at is None or self._is_followed(at):
            return None
        if now <= at + self.within:
            return at + self.within + 1
        return at + window if window is not None and at + window > now else None

    def _is_followed(self, at: Instant) -> bool:
        return bool(self.thens) and self.thens[0] <= at + self.within


def _insert(instants: list[Instant], at: Instant, within: Millis) -> None:
    """Insert an instant into ascending ones, and leave out those that say nothing more: between two that are no more
    than `within` apart, whatever is at most `within` from the one in the middle is so from one of the outer ones.
    """
    place = bisect_left(instants, at)
    if instants[place : place + 1] == [at]:
        return
    instants.insert(place, at)
    for middle in (place + 1, place, place - 1):
        if 0 < middle < len(instants) - 1 and instants[middle + 1] - instants[middle - 1] <= within:
            del instants[middle]
