"""Backtests: the stored log played again under one rulebook or two, on all cores.

Each process plays shard by shard (survey.py), circle by circle, so that what it holds is the history of a few people at
a time, and gives back a tally. Rules run as generated Python (adapters/compiled.py), which is held to decide as
durable_rules does.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

from msgspec import Struct

from triggerfish.adapters.sqlite.log import SqliteEventLog
from triggerfish.engine import Arrival
from triggerfish.errors import Unavailable
from triggerfish.log import EventLog
from triggerfish.plugin.manager import load_plugins
from triggerfish.processes.drafts import Draft, compile_draft
from triggerfish.processes.survey import Circle, Shard, Survey, circles_of
from triggerfish.rulefile.backtest import Period, Player, Story
from triggerfish.rulefile.tally import Effect, Tally, new_effect, new_tally
from triggerfish.rules import Rulebook

CHUNK = 2_000
"""Events of one circle, or of some small ones, that are read and decided at a time."""
EVENTS_A_SHARD = 20_000
FEW = 20_000
"""So many events are played sooner than a second process has started."""

OnProgress = Callable[[int, int], None]
"""Gets how many events were played, and how many there are."""


class Task(Struct, frozen=True, kw_only=True):
    """What to play, in a form that a process can be sent: one draft, or the old and the new one. `tables` are the names
    of the settings' plugin tables, `channel` is what messages go over.
    """

    log_path: Path
    drafts: tuple[Draft, ...]
    tables: frozenset[str]
    channel: str
    period: Period
    sample: int


class Result(Struct):
    """A tally for each draft; with two of them also the effect of the change."""

    tallies: list[Tally]
    effect: Effect | None = None

    def add(self, other: Result) -> None:
        for tally, more in zip(self.tallies, other.tallies, strict=True):
            tally.add(more)
        if self.effect is not None and other.effect is not None:
            self.effect.add(other.effect)


class Backtest(Struct, frozen=True):
    """What came of it: `events` were played within the period and `before` it, by `processes`."""

    period: Period
    result: Result
    events: int
    before: int
    processes: int


def run(
    task: Task,
    survey: Survey,
    on_progress: OnProgress = lambda done, total: None,
    *,
    processes: int | None = None,
    events_a_shard: int = EVENTS_A_SHARD,
) -> Backtest:
    """Deal out what was surveyed and play it. `processes` are as many as there are cores, unless said otherwise.

    Raises Unavailable (TF625) when a process dies.
    """
    dealt = survey.deal(task.period.since, task.period.until, events_a_shard)
    total = dealt.events + dealt.before
    count = processes or (1 if total <= FEW else os.cpu_count() or 1)
    count = min(count, max(1, len(dealt.shards)))

    def show(done: int) -> None:
        on_progress(done, total)

    play = _play_here if count == 1 else _play_shared
    return Backtest(task.period, play(task, dealt.shards, count, show), dealt.events, dealt.before, count)


class Bench:
    """What one process plays with: drafts compiled, the log opened."""

    def __init__(self, task: Task, log: EventLog, rulebooks: Sequence[Rulebook]) -> None:
        self._task = task
        self._log = log
        self._rulebooks = rulebooks

    def play(self, shard: Shard, result: Result) -> Iterator[int]:
        """Play the circles of a shard, some at a time, and add to the result what came of them. Gives how many events
        were played each time.
        """
        some: list[Circle] = []
        size = 0
        for circle in circles_of(shard):
            if some and size + len(circle.positions) > CHUNK:
                yield self._play_some(some, result)
                some, size = [], 0
            some.append(circle)
            size += len(circle.positions)
        if some:
            yield self._play_some(some, result)

    def _play_some(self, circles: Sequence[Circle], result: Result) -> int:
        """One circle of any size, or some small ones: those are read together."""
        if len(circles) == 1:
            self._note(self.stories(self._parts(circles[0])), result)
            return len(circles[0].positions)
        marks = [mark for circle in circles for mark in zip(circle.positions, circle.instants, strict=True)]
        arrivals = iter(self._arrivals(marks))
        for circle in circles:
            self._note(self.stories([list(islice(arrivals, len(circle.positions)))]), result)
        return len(marks)

    def stories(self, parts: Sequence[Sequence[Arrival]] | Iterator[list[Arrival]]) -> list[list[Story]]:
        """What comes of a circle's events under each rulebook."""
        last = self._task.period.until - 1
        players = [Player(rulebook, self._task.period) for rulebook in self._rulebooks]
        ahead = iter(parts)
        part = next(ahead, [])
        while True:
            following = next(ahead, None)
            now = last if following is None else part[-1].at
            for player in players:
                player.take(part, now)
            if following is None:
                return [player.finish() for player in players]
            part = following

    def _parts(self, circle: Circle) -> Iterator[list[Arrival]]:
        marks = zip(circle.positions, circle.instants, strict=True)
        while some := list(islice(marks, CHUNK)):
            yield self._arrivals(some)

    def _arrivals(self, marks: Sequence[tuple[int, int]]) -> list[Arrival]:
        entries = {entry.position: entry for entry in self._log.at([position for position, _ in marks])}
        if len(entries) < len(marks):
            raise Unavailable("the log lost events while they were played", code="TF625", hint="run it again")
        return [Arrival(position, at, entries[position].event) for position, at in marks]

    def _note(self, sides: Sequence[Sequence[Story]], result: Result) -> None:
        period = self._task.period
        for stories, tally in zip(sides, result.tallies, strict=True):
            for story in stories:
                tally.note(story, period)
        if result.effect is not None:
            before = {story.id: story for story in sides[0]}
            for story in sides[1]:
                # Who is who follows from the log alone: each is there under both.
                result.effect.note(before[story.id], story, period)


@contextlib.contextmanager
def open_bench(task: Task) -> Iterator[Bench]:
    plugins = load_plugins({task.channel, *task.tables})
    rulebooks = [compile_draft(draft, plugins, task.tables, task.channel) for draft in task.drafts]
    with contextlib.closing(SqliteEventLog(task.log_path)) as log:
        yield Bench(task, log, rulebooks)


def nothing_yet(task: Task) -> Result:
    """The result before anything was played."""
    tallies = [new_tally(task.sample) for _ in task.drafts]
    return Result(tallies, new_effect(task.sample) if len(task.drafts) == 2 else None)


def _play_here(task: Task, shards: Sequence[Shard], count: int, show: Callable[[int], None]) -> Result:
    result = nothing_yet(task)
    done = 0
    with open_bench(task) as bench:
        for shard in shards:
            for played in bench.play(shard, result):
                done += played
                show(done)
    return result


def _play_shared(task: Task, shards: Sequence[Shard], count: int, show: Callable[[int], None]) -> Result:
    """Among `count` processes; a fresh one each, which knows nothing of our threads and open files."""
    spawning = multiprocessing.get_context("spawn")
    played = spawning.Value("q", 0)
    result = nothing_yet(task)
    pool = ProcessPoolExecutor(count, mp_context=spawning, initializer=_begin, initargs=(task, played))
    try:
        waiting = {pool.submit(_play_shard, shard) for shard in shards}
        while waiting:
            done, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
            for each in done:
                result.add(each.result())
            show(played.value)
    except BrokenProcessPool as error:
        raise Unavailable(
            "a process that played events died",
            code="TF625",
            hint="the machine may have run out of memory; try --processes 1",
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return result


class _Here(NamedTuple):
    """What a process of the pool keeps from one shard to the next, until it ends."""

    task: Task
    bench: Bench
    played: Any
    open: contextlib.ExitStack


_here: list[_Here] = []


def _begin(task: Task, played: Any) -> None:
    """In a fresh process of the pool, before its first shard."""
    Thread(target=_end_with_parent, daemon=True).start()
    stack = contextlib.ExitStack()
    _here.append(_Here(task, stack.enter_context(open_bench(task)), played, stack))
    gc.collect()
    gc.freeze()


def _end_with_parent() -> None:
    """A process whose parent was killed has nobody left to tell."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _play_shard(shard: Shard) -> Result:
    here = _here[0]
    result = nothing_yet(here.task)
    for count in here.bench.play(shard, result):
        with here.played.get_lock():
            here.played.value += count
    return result
