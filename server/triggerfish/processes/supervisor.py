"""The supervisor: starts the api and the worker, starts them again when they die, and hands over to a fresh worker when
rule files or templates change. A new worker loads and checks them before the old one stops: a broken file changes
nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import logging
import os
import shutil
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import msgspec
from watchfiles import Change, awatch

from triggerfish import meters
from triggerfish.adapters.board import Board, new_board
from triggerfish.adapters.catalog.watching import CatalogWatch, keep_copy
from triggerfish.adapters.source_files import SourcesUnfit, is_source, read_sources, stamp, version_of, write_sources
from triggerfish.adapters.versions import KeptVersions
from triggerfish.clock import Instant, WallClock, to_iso
from triggerfish.compose import KEPT_CATALOG, prepare
from triggerfish.config import Settings
from triggerfish.errors import SettingsWrong, WorkspaceTaken
from triggerfish.meters import Beat
from triggerfish.processes.backups import back_up_daily
from triggerfish.processes.child import NotStarted, Process, ending
from triggerfish.processes.orders import Orders, Report
from triggerfish.processes.watchdog import LOOK_SECONDS as WORKER_LOOK_SECONDS
from triggerfish.processes.watchdog import Watchdog
from triggerfish.rulefile.problems import Problem
from triggerfish.versions import Cause
from triggerfish.web.ready import worker as worker_state

log = logging.getLogger("triggerfish.supervisor")

API_SECONDS = 120
"""How long the api process may take to be ready."""
LOOK_SECONDS = 5
"""How often we look whether files have changed without our being told."""
HUNG_STOP_SECONDS = 5
"""How long a worker that hangs may take to hear that it is to stop."""
LOGGED_PROBLEMS = 10
"""How many problems of a refused rulebook the log tells; all of them are in `GET /v1/rulebook`."""


class Supervisor:
    """`demo` runs on the events' own time until they have caught up (clock.EventClock)."""

    def __init__(self, settings: Settings, *, is_demo: bool = False, say: Callable[[str], None]) -> None:
        self.settings = settings
        self.say = say
        self.is_demo = is_demo
        self.worker: Process | None = None
        self.api: Process | None = None
        self.status: dict[str, Any] = {}
        self._versions = KeptVersions(settings.versions_path)
        every = 60.0 * settings.catalog.refresh_minutes if settings.catalog.database else 0.0
        self._catalog = CatalogWatch(settings.catalog_path, every)
        self._contents: dict[str, bytes] = {}
        self._stopping = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._handing_over = asyncio.Lock()
        self._crashes = 0

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises WorkspaceTaken, NotStarted, SettingsWrong before anything is served."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        with _only_one(self.settings.data_path) as lock, _listen(self.settings) as listener:
            with _usable(self.settings.data_path):
                prepare(self.settings)
                self._since = _demo_since(self.settings.data_path) if self.is_demo else None
            self._listener = listener
            self._bell_read, self._bell_write = os.pipe()
            self._board_end = new_board()
            self._board = Board(self._board_end)
            host, port = listener.getsockname()[:2]
            self._address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
            with _usable(self.settings.data_path):
                os.write(lock.fileno(), f"{os.getpid()} {self._address}\n".encode())
            loop.add_signal_handler(signal.SIGHUP, self._reload_soon)
            try:
                await self._serve()
            finally:
                for process in (self.api, self.worker):
                    if process is not None:
                        await process.stop()

    async def _serve(self) -> None:
        for process in ("api", "worker"):
            # From 0: Prometheus sees no increase in what it has never seen at 0.
            meters.RESTARTS.cell(process)
        self._show("starting")
        # The two load side by side; the api lets nobody in before the rulebook is known to be sound.
        api = asyncio.create_task(self._new_api())
        try:
            self.worker = await self._new_worker(*await self._copy_sources())
            self._let_go(self.worker, "start")
            self.api = await api
        except BaseException:
            await _call_off(api)
            raise
        self.api.go()
        self.say(self._address)
        tasks = {
            asyncio.create_task(self._stopping.wait()),
            asyncio.create_task(self._watch_files()),
            asyncio.create_task(self._keep_worker()),
            asyncio.create_task(self._look_after_worker()),
            asyncio.create_task(self._keep_api()),
            *([asyncio.create_task(back_up_daily(self.settings))] if self.settings.backup.folder else []),
        }
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for task in done:
            task.result()

    # The worker.

    async def _new_worker(self, sources: Path, is_tested: bool) -> Process:
        """A worker that has loaded `sources`, and tested them unless they were, and waits for the word.

        Raises NotStarted.
        """

        def orders(control: int) -> Orders:
            return Orders(
                workspace=self.settings.workspace,
                sources=sources,
                bell=self._bell_read,
                control=control,
                public_url=self.settings.server.public_url or self._address,
                board=self._board_end,
                demo_since=self._since,
                crashes=self._crashes,
                is_tested=is_tested,
            )

        worker = Process("worker")
        seconds = self.settings.rules.load_seconds
        report = await worker.start("triggerfish.processes.worker", orders, seconds=seconds)
        if not report.is_ready:
            await worker.stop()
            raise NotStarted(report)
        worker.report = report
        return worker

    async def _copy_sources(self) -> tuple[Path, bool]:
        """A copy of the rules and templates as they are now, and whether they were live before, so that their tests
        passed. What is checked is then what goes live, whoever edits meanwhile; whatever differs from what was seen
        here is a change. Raises NotStarted when they cannot be read.
        """
        copy = self.settings.live_path.with_name("live.new")
        try:
            return copy, await asyncio.to_thread(self._copy, copy)
        except SourcesUnfit as unfit:
            raise NotStarted(Report(is_ready=False, error=str(unfit))) from unfit
        except OSError as error:
            sentence = f"the rules and templates cannot be copied: {error.strerror or error}"
            raise NotStarted(Report(is_ready=False, error=sentence)) from error

    def _copy(self, copy: Path) -> bool:
        self._contents = {}
        with self._versions.hold():
            self._seen = self._stamp()
            self._contents = contents = read_sources(self.settings.workspace)
        shutil.rmtree(copy, ignore_errors=True)
        write_sources(copy, contents)
        if self.settings.catalog.file:
            keep_copy(self.settings.workspace / self.settings.catalog.file, copy / KEPT_CATALOG)
        known = self._versions.known(version_of(contents))
        return known is not None and bool(known.first_at)

    def _stamp(self) -> object:
        """What tells one state of the files from another."""
        return stamp(self.settings.workspace), self._catalog.stamp()

    def _let_go(self, worker: Process, by: Cause) -> None:
        """Let a worker begin that has loaded a fresh copy of the sources, and keep that copy: a crash must not need the
        files as they are then.
        """
        live = self.settings.live_path
        shutil.rmtree(live, ignore_errors=True)
        live.with_name("live.new").rename(live)
        at = to_iso(WallClock().now())
        try:
            with self._versions.hold():
                self._versions.keep(self._contents, by, at)
        except OSError as error:
            log.error("this version of the rulebook is live but cannot be kept: %s", error)
        self.status = {
            "state": "live",
            "loaded_at": at,
            "problems": worker.report.problems,
            **worker.report.rulebook,
        }
        self._note_status()
        worker.go()
        self._show("serving")

    async def _keep_worker(self) -> None:
        """Start the worker again whenever it dies."""
        while True:
            worker = self.worker
            assert worker is not None  # noqa: S101  # started before this runs
            code = await worker.ended()
            if self._stopping.is_set():
                return
            async with self._handing_over:
                if worker is not self.worker:
                    continue
                log.error("the worker process ended with %s; starting it again", ending(code))
                meters.RESTARTS.add(1, "worker")
                self._show("restarting", f"it ended with {ending(code)} and is started again")
                await self._pause_after(worker)
                self.worker = await _persist(lambda: self._new_worker(self.settings.live_path, is_tested=True))
                self.worker.go()
                self._show("serving")

    async def _look_after_worker(self) -> None:
        """Tell in the log, too, when the worker lives and does nothing: once, and once when that is over. End it when
        that lasts; `_keep_worker` starts it again.
        """
        told, watchdog = "", Watchdog(self.settings.limits.worker_silence_seconds)
        while True:
            await asyncio.sleep(WORKER_LOOK_SECONDS)
            beats, now, worker = self._board.beats(), time.monotonic(), self.worker
            if (why := watchdog.look(beats, now)) and worker is not None:
                async with self._handing_over:
                    if worker is self.worker:
                        log.error("the worker hangs, and is ended: %s", why)
                        await worker.stop(HUNG_STOP_SECONDS)
                continue
            found = worker_state(beats, now)
            if found.status == "failed" and not told:
                log.error("the worker is not well: %s", found.says)
            elif found.status != "failed" and told:
                log.warning("the worker is well again")
            told = found.says if found.status == "failed" else ""

    async def _pause_after(self, process: Process) -> None:
        """Not at all if it had got on since the last crash; else longer and longer."""
        got_on = process.is_through or not self._crashes
        self._crashes = 1 if got_on else self._crashes + 1
        wait = min(0.05 * 2 ** min(self._crashes, 10), 5.0) if self._crashes > 3 else 0.0
        await asyncio.sleep(wait)

    # The api.

    async def _new_api(self) -> Process:
        """An api that has loaded, and waits for the word. Raises NotStarted."""

        def orders(control: int) -> Orders:
            return Orders(
                workspace=self.settings.workspace,
                sources=self.settings.live_path,
                bell=self._bell_write,
                control=control,
                public_url=self.settings.server.public_url or self._address,
                listen=self._listener.fileno(),
                board=self._board_end,
                demo_since=self._since,
            )

        api = Process("api")
        report = await api.start("triggerfish.processes.api", orders, seconds=API_SECONDS)
        if not report.is_ready:
            await api.stop()
            raise NotStarted(report)
        return api

    async def _keep_api(self) -> None:
        while True:
            api = self.api
            assert api is not None  # noqa: S101  # started before this runs
            code = await api.ended()
            if self._stopping.is_set():
                return
            log.error("the api process ended with %s; starting it again", ending(code))
            meters.RESTARTS.add(1, "api")
            self._show()
            await asyncio.sleep(0 if time.monotonic() - api.started > 1 else 1)
            self.api = await _persist(self._new_api)
            self.api.go()

    # The files.

    async def _watch_files(self) -> None:
        """Hand over to a fresh worker when a rule file, a template or the catalogue has changed. The system tells of
        files at once, but not of the catalogue, of a folder that took another's place, of some network drives, or of
        what changed before we listened: so every LOOK_SECONDS we look for ourselves.
        """
        while not self._stopping.is_set():
            folders = [path for path in (self.settings.rules_path, self.settings.templates_path) if path.is_dir()]
            if not folders:
                await asyncio.sleep(LOOK_SECONDS)
                if self._stamp() != self._seen:
                    await self._hand_over()
                continue
            async for changes in awatch(
                *folders,
                watch_filter=_is_watched,
                debounce=400,
                step=100,
                stop_event=self._stopping,
                rust_timeout=LOOK_SECONDS * 1_000,
                yield_on_timeout=True,
            ):
                was_missed = not changes and self._stamp() != self._seen
                if changes or was_missed:
                    await self._hand_over()
                if was_missed:
                    break

    def _reload_soon(self) -> None:
        self._reload = asyncio.ensure_future(self._hand_over())

    async def _hand_over(self) -> None:
        """The worker that is there decides on while a fresh one loads, and is started again should it die meanwhile."""
        async with self._reloading:
            try:
                fresh = await self._new_worker(*await self._copy_sources())
            except NotStarted as refused:
                self.status = self.status | {"state": "broken", "problems": refused.report.problems}
                self.status |= {"error": str(refused), "refused": version_of(self._contents)}
                self._note_status()
                meters.RELOADS.add(1, "refused")
                self._show()
                log.error("the changed rulebook is not used: %s", refused.sentence)
                problems = [Problem(**problem) for problem in refused.report.problems]
                for problem in [each for each in problems if not each.is_warning][:LOGGED_PROBLEMS]:
                    log.error("wrong in the changed rulebook: %s", _in_a_line(problem))
                return
            async with self._handing_over:
                self._show("handing over", "a fresh worker takes over, with changed rules")
                old, self.worker = self.worker, fresh
                if old is not None:
                    await old.stop()
                meters.RELOADS.add(1, "live")
                self._let_go(fresh, "reload")
            log.info("the changed rulebook is live: version %s", self.status.get("version"))

    def _show(self, state: str = "", why: str = "") -> None:
        """Show on the board how the processes are; without `state` only what is counted has changed."""
        now = time.monotonic()
        if state:
            self._shown = Beat(pid=os.getpid(), state=state, since=now, beaten=now, turned=now, why=why)
        self._shown.meters, self._shown.beaten = meters.take(), now
        self._board.show("supervisor", self._shown)

    def _note_status(self) -> None:
        """What `GET /v1/rulebook` and the pages show."""
        path = self.settings.rulebook_path
        fresh = path.with_suffix(".new")
        try:
            fresh.write_bytes(msgspec.json.encode(self.status))
            fresh.replace(path)
        except OSError as error:
            # The disk is full, say: what it shows is old then, and everything else goes on.
            log.error("the state of the rulebook cannot be noted: %s", error)


async def _persist(start: Callable[[], Awaitable[Process]]) -> Process:
    """Start a process, however often that takes: while it cannot be, the others go on (the api takes events without a
    worker), and whoever mends the cause has nothing to start again.
    """
    wait = 0.1
    while True:
        try:
            return await start()
        except NotStarted as refused:
            log.error("not started again: %s; trying once more in %.1f s", refused.sentence, wait)
            await asyncio.sleep(wait)
            wait = min(wait * 2, 5.0)


async def _call_off(starting: asyncio.Task[Process]) -> None:
    """End a process that may be on its way still."""
    starting.cancel()
    with contextlib.suppress(asyncio.CancelledError, NotStarted):
        await (await starting).stop()


def _in_a_line(problem: Problem) -> str:
    """A problem without the lines that quote the file."""
    lines = msgspec.structs.replace(problem, source="").render().splitlines()
    return "; ".join(line.strip() for line in lines)


def _is_watched(change: Change, path: str) -> bool:
    return is_source(Path(path).name)


@contextlib.contextmanager
def _only_one(data: Path) -> Iterator[TextIO]:
    """Hold the workspace's lock. Raises WorkspaceTaken, naming the process that holds it, and SettingsWrong (TF418)."""
    with _usable(data):
        # What it holds is personal: nobody else on this machine needs to read it.
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (data / "serve.lock").open("a+")
    with file as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            pid, _, address = lock.read().strip().partition(" ")
            where = f" at {address}" if address else ""
            raise WorkspaceTaken(
                f"process {pid or 'unknown'} serves this workspace already{where}",
                hint="stop it first, or serve another workspace",
            ) from None
        lock.truncate(0)
        yield lock
        lock.truncate(0)


@contextlib.contextmanager
def _usable(data: Path) -> Iterator[None]:
    """Around what writes into the data folder before anything is served. Raises SettingsWrong (TF418)."""
    try:
        yield
    except OSError as error:
        hint = "it must be a folder that the server's user may write; [store] path in triggerfish.toml names it"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "make room on its disk, and start the server again; nothing that was acknowledged is lost"
        raise SettingsWrong(
            f"the data folder {data} cannot be used: {error.strerror or error}", code="TF418", hint=hint
        ) from error


@contextlib.contextmanager
def _listen(settings: Settings) -> Iterator[socket.socket]:
    host, port = settings.server.host, settings.server.port
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=2048, reuse_port=False)
    except OSError as error:
        raise SettingsWrong(
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            code="TF416",
            hint="another program may use the port; choose one with --port, or --port 0 for any free one",
        ) from error
    with listener:
        yield listener


def _demo_since(data: Path) -> Instant:
    """When this workspace's demo began: kept, so that a restart goes on by the same clock."""
    path = data / "demo-since"
    if not path.exists():
        path.write_text(str(WallClock().now()))
    return int(path.read_text())
