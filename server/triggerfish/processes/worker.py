"""The worker process: follows the log, keeps the agenda, sends. It sleeps until the doorbell rings or something is due."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys

from triggerfish import walk
from triggerfish.adapters.apscheduler import Waker
from triggerfish.clock import SECOND
from triggerfish.compose import open_house
from triggerfish.config import load_settings
from triggerfish.processes.doorbell import Ear, end_of
from triggerfish.processes.logs import set_up_logs
from triggerfish.processes.orders import Orders, decode
from triggerfish.processes.poison import Taster

log = logging.getLogger("triggerfish.worker")


async def run(orders: Orders) -> None:
    """Work until told to stop (SIGTERM, or the supervisor is gone)."""
    settings = load_settings(orders.workspace)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with open_house(settings, public_url=orders.public_url, demo_since=orders.demo_since) as house:
        news, outgoing = asyncio.Event(), asyncio.Event()
        news.set()
        outgoing.set()
        Ear(orders.bell, news)
        lost = walk.recover(house)
        if lost:
            log.warning("%d messages were with the channel when the worker stopped; see their reasons", lost)
        gc.collect()
        gc.freeze()
        tasks = [
            asyncio.create_task(_follow(house, news, outgoing, orders.crashes)),
            asyncio.create_task(_send(house, outgoing)),
        ]
        ends = [asyncio.create_task(stopping.wait()), asyncio.create_task(end_of(orders.lifeline))]
        done, _ = await asyncio.wait([*tasks, *ends], return_when=asyncio.FIRST_COMPLETED)
        for task in (*tasks, *ends):
            task.cancel()
        await asyncio.gather(*tasks, *ends, return_exceptions=True)
        for task in done & set(tasks):
            task.result()


async def _follow(house: walk.House, news: asyncio.Event, outgoing: asyncio.Event, crashes: int) -> None:
    """Decide whatever comes, batch by batch; rest when there is nothing."""
    taster = Taster(house, crashes)
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
        while await walk.send(house):
            await asyncio.sleep(0)
        retry = house.store.next_send()
        if retry is not None:
            waker.set(max(retry, house.channel.free_at(), house.clock.now() + SECOND))


def main() -> None:
    orders = decode(sys.argv[1])
    set_up_logs(load_settings(orders.workspace).log.level)
    asyncio.run(run(orders))


if __name__ == "__main__":
    main()
