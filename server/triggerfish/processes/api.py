"""The api process: lets events in, answers reads, shows the pages. It never runs rules."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys

from litestar import Litestar

from triggerfish import meters
from triggerfish.adapters.board import Board
from triggerfish.compose import Desk, brand_language, open_desk
from triggerfish.config import load_settings
from triggerfish.errors import NotFound, TriggerfishError
from triggerfish.processes.control import Control
from triggerfish.processes.doorbell import Bell
from triggerfish.processes.logs import set_up_logs
from triggerfish.processes.orders import Orders, Report, read_orders
from triggerfish.processes.pulse import time_collections
from triggerfish.processes.streams import listening
from triggerfish.profile import Profile
from triggerfish.web import (
    consent,
    holds,
    hooks,
    pages,
    plan,
    preferences,
    profiles,
    reports,
    status,
    suppressions,
    tracking,
)
from triggerfish.web.app import build_app
from triggerfish.web.ready import Examiner
from triggerfish.web.serve import collect_seldom, make_server
from triggerfish.web.visits import Visits


async def run(orders: Orders) -> int:
    """Load, report, wait for the word; then serve until SIGTERM, or until the supervisor is gone."""
    control = await Control.open(orders.control)
    async with contextlib.AsyncExitStack() as stack:
        try:
            settings = load_settings(orders.workspace, os.environ)
            set_up_logs(settings, process="api")
            desk = await stack.enter_async_context(
                open_desk(
                    settings,
                    ring=Bell(orders.bell).ring,
                    public_url=orders.public_url,
                    demo_since=orders.demo_since,
                    board=Board(orders.board) if orders.board >= 0 else None,
                )
            )
        except TriggerfishError as error:
            await control.report(Report(is_ready=False, error=str(error)))
            return 1
        await control.report(Report(is_ready=True))
        if not await control.told_to_go():
            return 0
        server = make_server(app_for(desk))
        collect_seldom()
        time_collections("api")
        # From 0: Prometheus sees no increase in what it has never seen at 0.
        meters.LOG_FAILURES.cell()
        # The kernel queues connections on the listener until the server takes them.
        listener = socket.socket(fileno=orders.listen)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        orphaned = asyncio.create_task(control.gone())
        async with listening(desk):
            await asyncio.wait({serving, orphaned}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
        orphaned.cancel()
    return 0


def app_for(desk: Desk) -> Litestar:
    """All that the server answers, in one application."""
    return build_app(
        desk.front,
        [
            *tracking.routes,
            *preferences.routes,
            *consent.routes,
            *suppressions.routes,
            *holds.routes,
            *hooks.routes,
            *reports.routes,
            *profiles.routes,
            *status.routes,
            *plan.routes,
            *pages.routes,
        ],
        dependencies={
            "visits": visits_of(desk),
            "desk": desk,
            "examiner": Examiner(desk.front, desk, lambda: status.rulebook_state(desk.settings.rulebook_path).state),
        },
    )


def visits_of(desk: Desk) -> Visits:
    """What the pages behind the links in mails work with."""

    def person(profile_id: str) -> Profile | None:
        try:
            return desk.reads.stored(f"profile:{profile_id}")
        except NotFound:
            return None

    return Visits(
        signer=desk.signer,
        person=person,
        purposes=lambda: desk.reads.rulebook().purposes,
        language=lambda: brand_language(desk.settings),
    )


def main() -> None:
    orders = read_orders(sys.argv[1])
    set_up_logs(process="api")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor tells us in order.
    sys.exit(asyncio.run(run(orders)))


if __name__ == "__main__":
    main()
