"""The worker process: follows the log, keeps the agenda, sends. It sleeps until the bell rings or something is due."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys

import msgspec

from triggerfish import walk
from triggerfish.adapters.apscheduler import Waker
from triggerfish.clock import SECOND
from triggerfish.compose import load_workshop, open_house
from triggerfish.config import load_settings
from triggerfish.errors import RulebookBroken, TriggerfishError
from triggerfish.processes.control import Control
from triggerfish.processes.doorbell import Ear
from triggerfish.processes.logs import set_up_logs
from triggerfish.processes.orders import Orders, Report, read_orders
from triggerfish.processes.poison import Taster
from triggerfish.reads import describe

log = logging.getLogger("triggerfish.worker")


async def run(orders: Orders) -> int:
    """Load, report, wait for the word; then work until told to stop (SIGTERM, or the supervisor is gone)."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    control = await Control.open(orders.control)
    try:
        settings = load_settings(orders.workspace, os.environ)
        workshop = load_workshop(settings, orders.sources)
    except RulebookBroken as broken:
        problems = [msgspec.to_builtins(problem) for problem in broken.problems]
        await control.report(Report(is_ready=False, error=str(broken), problems=problems))
        return 1
    except TriggerfishError as error:
        await control.report(Report(is_ready=False, error=str(error)))
        return 1
    warnings = [msgspec.to_builtins(problem) for problem in workshop.warnings]
    await control.report(Report(is_ready=True, rulebook=describe(workshop.rulebook), problems=warnings))
    if not await control.told_to_go():
        return 0
    async with open_house(settings, workshop, public_url=orders.public_url, demo_since=orders.demo_since) as house:
        await _work(house, orders, control, stopping)
    return 0


async def _work(house: walk.House, orders: Orders, control: Control, stopping: asyncio.Event) -> None:
    news, outgoing = asyncio.Event(), asyncio.Event()
    news.set()
    outgoing.set()
    Ear(orders.bell, news)
    lost = walk.recover(house)
    if lost:
        log.warning("%d messages were with the channel when the worker stopped; each says what became of it", lost)
    gc.collect()
    gc.freeze()
    tasks = {
        asyncio.create_task(_follow(house, news, outgoing, Taster(house, orders.crashes, control.came_through))),
        asyncio.create_task(_send(house, outgoing)),
        asyncio.create_task(stopping.wait()),
        asyncio.create_task(control.gone()),
    }
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for task in done:
        task.result()


async def _follow(house: walk.House, news: asyncio.Event, outgoing: asyncio.Event, taster: Taster) -> None:
    """Decide whatever comes, batch by batch; rest when there is nothing."""
    waker = Waker(house.clock, news.set)
    while True:
        await news.wait()
        news.clear()
        while taster.follow():
            outgoing.set()
            await asyncio.sleep(0)
        waker.set(house.store.next_due())


async def _send(house: walk.House, outgoing: asyncio.Event) -> None:
    """Send whatever is due, batch by batch; rest when there is nothing."""
    waker = Waker(house.clock, outgoing.set)
    while True:
        await outgoing.wait()
        outgoing.clear()
        has_more = 1
        while has_more:
            has_more = await walk.send(house)
        retry = house.store.next_send()
        if retry is not None:
            waker.set(max(retry, house.channel.free_at(), house.clock.now() + SECOND))


def main() -> None:
    orders = read_orders(sys.argv[1])
    set_up_logs()
    sys.exit(asyncio.run(run(orders)))


if __name__ == "__main__":
    main()
