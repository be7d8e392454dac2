"""The worker process: follows the log, keeps the agenda, sends. It sleeps until the bell rings or something is due."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import msgspec

from triggerfish import meters, walk
from triggerfish.adapters.apscheduler import Waker
from triggerfish.adapters.board import Board
from triggerfish.channels import channels_of, paces_of
from triggerfish.clock import SECOND, WallClock
from triggerfish.compose import open_house
from triggerfish.config import load_settings
from triggerfish.errors import RulebookBroken, TriggerfishError, Unavailable
from triggerfish.lanes import Lane, read_lane
from triggerfish.processes.control import Control
from triggerfish.processes.doorbell import Ear
from triggerfish.processes.loading import Loading
from triggerfish.processes.logs import set_up_logs
from triggerfish.processes.orders import Orders, Report, read_orders
from triggerfish.processes.patience import Patience, as_soon_as_it_can
from triggerfish.processes.poison import Taster
from triggerfish.processes.portions import Portions
from triggerfish.processes.post import SHORTEST_REST, Post
from triggerfish.processes.pulse import Pulse, time_collections

log = logging.getLogger("triggerfish.worker")

PROBLEMS_TOLD = 200
"""Of a rulebook, at most this many problems are told."""
LAST_BATCH_SECONDS = 10
"""How long the batch under way may take when the worker is told to stop; the supervisor waits longer (STOP_SECONDS)."""

TURNS = 10
"""So often the event loop comes round between two batches while messages leave: an answer takes some turns from the
socket to whom it is for, and each of them would otherwise wait for a batch.
"""


async def run(orders: Orders) -> int:
    """Load, report, wait for the word; then work until told to stop (SIGTERM, or the supervisor is gone)."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    control = await Control.open(orders.control)
    try:
        settings = load_settings(orders.workspace, os.environ)
        set_up_logs(settings, process="worker")
        loading = Loading(settings, orders.sources)
        workshop = loading.load(is_tested=orders.is_tested)
        # What the settings say of channels is wrong now or never: they are opened only when we may go.
        paces_of(settings, channels_of(settings, workshop.plugins, WallClock(), is_demo=orders.demo_since is not None))
    except RulebookBroken as broken:
        problems = [msgspec.to_builtins(problem) for problem in broken.problems[:PROBLEMS_TOLD]]
        await control.report(Report(is_ready=False, error=str(broken), problems=problems))
        return 1
    except MemoryError:
        await control.report(Report(is_ready=False, error=str(_too_much(settings.rules.load_mb))))
        return 1
    except TriggerfishError as error:
        await control.report(Report(is_ready=False, error=str(error)))
        return 1
    warnings = [msgspec.to_builtins(problem) for problem in workshop.warnings[:PROBLEMS_TOLD]]
    await control.report(Report(is_ready=True, rulebook=loading.describe(workshop), problems=warnings))
    loading.keep()
    if not await control.told_to_go():
        return 0
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(await _alone(settings.data_path))
        time_collections("worker")
        pulse = Pulse(Board(orders.board) if orders.board >= 0 else None)
        pulse.start()
        stack.callback(pulse.stop)
        stack.callback(asyncio.create_task(_turn(pulse)).cancel)
        try:
            house = await as_soon_as_it_can(
                lambda: stack.enter_async_context(
                    open_house(settings, workshop, public_url=orders.public_url, demo_since=orders.demo_since)
                ),
                stopping,
            )
            pulse.ask(lambda: house.store.trouble)
            await _prepare(house, stopping, pulse)
        except TriggerfishError as error:
            # It says what to do about it; where in our code it came up helps nobody.
            log.error("the worker cannot begin: %s", error)
            return 1
        await _work(house, orders, control, stopping, pulse)
    return 0


@contextlib.contextmanager
def _without_collecting() -> Iterator[None]:
    """Everybody's profiles pass through, and none of them is in a cycle: looking for some would take the longest."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _too_much(megabytes: int) -> TriggerfishError:
    return TriggerfishError(
        f"loading the rules and templates takes more than {megabytes:,} MB",
        code="TF638",
        hint="make them smaller, or let them have more: [rules] load_mb in triggerfish.toml",
    )


async def _alone(data: Path) -> TextIO:
    """Hold the workspace's lock for workers, until it is closed. Who is killed with its supervisor may have left a
    worker that is about to notice: two that send at the same time could send twice.
    """
    lock = (data / "worker.lock").open("a")
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await asyncio.sleep(0.05)
        else:
            return lock


async def _prepare(house: walk.House, stopping: asyncio.Event, pulse: Pulse) -> None:
    """Fit people to the rulebook, and settle what the worker before this one had handed over. Raises Unavailable when
    told to stop while the disk refuses.
    """

    async def fit() -> bool:
        with _without_collecting():
            return walk.fit(house, pulse.turn)

    pulse.is_at("fitting people to changed rules")
    if await as_soon_as_it_can(fit, stopping):
        log.info("people are fitted to what the rulebook asks for")
    lost = await as_soon_as_it_can(lambda: walk.recover(house), stopping)
    if lost:
        log.warning("%d messages were with the channel when the worker stopped; each says what became of it", lost)
    gc.collect()
    gc.freeze()
    # A batch makes tens of thousands of objects and drops nearly all of them by itself: look for cycles less often.
    gc.set_threshold(20_000, 20, 20)


async def _work(house: walk.House, orders: Orders, control: Control, stopping: asyncio.Event, pulse: Pulse) -> None:
    news = asyncio.Event()
    news.set()
    Ear(orders.bell, news)
    post = Post(house, stopping)
    pulse.is_at("working")
    taster = Taster(house, orders.crashes, control.came_through)
    sending = post.start()
    tasks = {
        asyncio.create_task(_follow(house, news, post, taster, Patience(stopping))),
        asyncio.create_task(stopping.wait()),
        asyncio.create_task(control.gone()),
        asyncio.create_task(_show(house)),
        *sending,
    }
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    stopping.set()
    post.ring()
    # What the channels have been given, they answer: else we would not know whether it was sent.
    await asyncio.wait(sending, timeout=LAST_BATCH_SECONDS)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def _follow(house: walk.House, news: asyncio.Event, post: Post, taster: Taster, patience: Patience) -> None:
    """Decide whatever comes, batch by batch; rest when there is nothing, and while the disk refuses."""
    waker, portions = Waker(house.clock, news.set), Portions(house.batch_events)
    while True:
        await news.wait()
        news.clear()
        try:
            while _decided(taster, portions, is_sending=post.is_sending):
                post.ring()
                for _ in range(TURNS if post.is_sending else 1):
                    await asyncio.sleep(0)
                await _gather(house, news)
            next_due = house.store.next_due()
        except Unavailable:
            # Whose file it is has said so. Nothing was committed: the same is decided again, with the same result.
            await patience.rest()
            news.set()
            continue
        patience.over()
        waker.set(next_due)


async def _gather(house: walk.House, news: asyncio.Event) -> None:
    """Unless something waits already, let some of what comes due by and by come together: a batch of one or two costs
    as much as one of fifty. Whatever the bell rings for is not kept waiting.
    """
    next_due = house.store.next_due()
    is_late = next_due is not None and house.clock.now() - next_due > SHORTEST_REST
    if not is_late and house.log.head()[0] <= house.store.position()[0]:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SHORTEST_REST / SECOND):
                await news.wait()
                news.clear()


def _decided(taster: Taster, portions: Portions, *, is_sending: bool) -> int:
    began, own_began = time.perf_counter(), time.thread_time()
    done = taster.follow(portions.next(is_sending=is_sending))
    if done:
        meters.WORKER_BATCH_SECONDS.observe(time.perf_counter() - began)
        portions.took(done, time.thread_time() - own_began)
    return done


async def _turn(pulse: Pulse) -> None:
    """Once a second: the loop is alive."""
    while True:
        pulse.turn()
        await asyncio.sleep(1)


async def _show(house: walk.House) -> None:
    """Once a second: this is how far behind it is."""
    while True:
        # While the state cannot be read there is nothing to show; who decides says why.
        with contextlib.suppress(TriggerfishError):
            _measure(house)
        await asyncio.sleep(1)


def _measure(house: walk.House) -> None:
    now = house.clock.now()
    due = house.store.next_due()
    meters.AGENDA_OVERDUE.set(0.0 if due is None else max(0, now - due) / SECOND)
    overdue: dict[tuple[str, ...], float] = {}
    for text, first in house.store.lanes().items():
        lane = read_lane(text) or Lane(house.channel.name, "marketing")
        # The names of held rules are no labels.
        place = (lane.channel, lane.class_, lane.provider)
        overdue[place] = max(overdue.get(place, 0.0), (now - first) / SECOND)
    meters.LANE_OVERDUE.replace(overdue)


def main() -> None:
    orders = read_orders(sys.argv[1])
    set_up_logs(process="worker")
    sys.exit(asyncio.run(run(orders)))


if __name__ == "__main__":
    main()
