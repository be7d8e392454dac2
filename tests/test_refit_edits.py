"""Fitting people to what changed in the rules is the same as looking at everything, whatever was edited before, and
wherever it was broken off.
"""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from triggerfish import refit, walk
from triggerfish.adapters.compiled import CompiledMatcher
from triggerfish.adapters.memory import MemoryEventLog
from triggerfish.adapters.memory_store import MemoryStateStore
from triggerfish.clock import DAY, HOUR
from triggerfish.conditions import NEVER
from triggerfish.profile import Profile
from triggerfish.rulefile.compile import load_rulebook
from triggerfish.rules import Rulebook
from triggerfish.underway import Underway
from worlds import NOON, identify, track

NAMES = "abcdef"
PEOPLE = ("ana", "bob", "cem", "dan", "eve")
CONDITIONS = (
    "count(bought) >= 1",
    "count(bought) >= 2",
    "count(bought, '2d') >= 1",
    "sum(bought.total, '3d') > 20",
    "did(looked)",
    "not did(looked, '1d')",
    "days_since(looked) > 2",
    "local.hour >= 15",
    "traits.vip == True",
    'count("segment.entered") >= 1',
    "exists(segments) and contains(traits.name, 'a')",
)


class Died(Exception):
    """As if the worker was killed."""


@st.composite
def rulebooks(draw: st.DrawFn) -> Rulebook:
    """A few segments out of few, so that of two rulebooks many are the same."""
    tree: list[dict[str, Any]] = []
    known: list[dict[str, Any]] = []
    for name in draw(st.permutations(NAMES))[: draw(st.integers(0, len(NAMES)))]:
        when = draw(st.sampled_from(CONDITIONS))
        # A segment may ask for those that stand before it in the file, which are those of earlier trees.
        if tree and draw(st.booleans()):
            when = f'{draw(st.sampled_from(["", "not "]))}"{tree[0]["name"]}" in segments'
        form = {"name": name, "when": when, "exclusive": draw(st.booleans()), "priority": draw(st.integers(0, 1))}
        parent = draw(st.sampled_from([None, *known[-2:]]))
        (tree if parent is None else parent.setdefault("segments", [])).append(form)
        known.append(form)
    book: dict[str, Any] = {"segments": tree} if tree else {}
    book["policy"] = {"time_zone": draw(st.sampled_from(["UTC", "Asia/Tokyo"]))}
    if tree and draw(st.booleans()):
        rule = {"name": "daily", "on": f"schedule every day {draw(st.sampled_from(['09:00', '17:00']))}"}
        book |= {"ruleset": "r", "rules": [rule | {"segment": tree[0]["name"], "then": [{"set": {"rung": True}}]}]}
    made, _ = load_rulebook({"rules/all.yaml": json.dumps(book)}, templates={}, matcher=CompiledMatcher)
    return made


@st.composite
def happenings(draw: st.DrawFn) -> list[tuple[str, str, int]]:
    """Who did what, so many hours after what was before."""
    some = st.tuples(st.sampled_from(PEOPLE), st.sampled_from(["bought", "looked", "is"]), st.integers(0, 40))
    return draw(st.lists(some, max_size=8))


class Here:
    """A worker's world, which goes through one rulebook after the other."""

    def __init__(self) -> None:
        self.log, self.store, self.now = MemoryEventLog(), MemoryStateStore(), NOON

    def house(self, book: Rulebook) -> Any:
        clock = SimpleNamespace(now=lambda: self.now)
        quiet = {"batch_events": 3, "agenda_batch": 1_000, "tell_decision": lambda moment: None}
        return SimpleNamespace(
            rulebook=book, store=self.store, log=self.log, clock=clock, underway=Underway(), **quiet
        )  # fmt: skip

    def live(self, book: Rulebook, happened: list[tuple[str, str, int]]) -> None:
        for who, what, hours in happened:
            self.now += hours * HOUR
            told = {"user": who, "message_id": f"{self.now}-{who}-{what}"}
            event = (
                identify(self.now, vip=hours % 2 == 0, name=who, **told)
                if what == "is"
                else track(what, self.now, properties={"total": hours}, **told)
            )
            asyncio.run(self.log.append([(event, self.now)]))
        while walk.follow(self.house(book)):
            pass

    def fit(self, book: Rulebook, dies_after: int | None = None) -> None:
        """Fit; the worker may be killed when it has written so many times."""
        left = [NEVER if dies_after is None else dies_after]
        write = self.store.refit

        def refit(outcome: Any) -> None:
            if left[0] == 0:
                raise Died
            left[0] -= 1
            write(outcome)

        with patch.object(walk, "FIT_BATCH", 2), patch.object(self.store, "refit", refit):
            try:
                walk.fit(self.house(book))
            except Died:
                assert dies_after is not None

    def people(self) -> list[Profile]:
        return self.store.everybody("", 100)


def _where(people: list[Profile]) -> dict[str, tuple[Any, ...]]:
    return {each.id: (set(each.memberships), each.alarm_at, each.activity, each.traits) for each in people}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(rulebooks(), happenings(), st.sampled_from([None, None, 0, 1, 2]), st.integers(0, 9)),
        min_size=2,
        max_size=5,
    )
)
def test_fitting_to_what_changed_is_the_same_as_looking_at_everything(
    reigns: list[tuple[Rulebook, list[tuple[str, str, int]], int | None, int]],
) -> None:
    here = Here()
    for book, happened, dies_after, again in reigns:
        here.fit(book, dies_after)
        if dies_after is not None and again < 5:
            continue  # the files were changed once more before another worker came
        here.fit(book)
        fitted = here.people()
        # What was counted stays: events that segments made are in no log.
        here.store.note_fitted(frozenset(each for each in book.fitting if each[0] == "activity"))
        here.fit(book)
        anew = here.people()
        assert _where(fitted) == _where(anew)
        for one, other in zip(fitted, anew, strict=True):
            assert (one.recheck_at or NEVER) <= (other.recheck_at or NEVER)
        here.store.refit(refit.only(fitted))
        here.live(book, happened)
        here.now += DAY
