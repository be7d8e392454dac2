"""The supervisor: starts the api and the worker, starts them again when they die, and hands over to a fresh worker when
rule files or templates change. A new worker loads and checks them before the old one stops: a broken file changes
nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import msgspec
from watchfiles import Change, awatch

from triggerfish.clock import Instant, WallClock, to_iso
from triggerfish.compose import prepare
from triggerfish.config import Settings
from triggerfish.errors import SettingsWrong, TriggerfishError, WorkspaceTaken
from triggerfish.processes.orders import THROUGH, Orders, Report, encode, read_report

log = logging.getLogger("triggerfish.supervisor")

STOP_SECONDS = 15
LOOK_SECONDS = 5
"""How often we look whether files have changed without our being told."""


class NotStarted(TriggerfishError):
    """The rulebook is broken, or a process could not be started; `report` says why."""

    code = "TF414"

    def __init__(self, report: Report) -> None:
        super().__init__(report.error or "a process ended before it was ready")
        self.report = report


class Process:
    """A child process and our end of its control socket."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.started = time.monotonic()
        self.is_through = False
        self.report = Report(is_ready=False)

    async def start(self, module: str, orders: Callable[[int], Orders]) -> Report:
        """Start it and wait for its report."""
        ours, theirs = socket.socketpair()
        given = orders(theirs.fileno())
        inherited = [descriptor for descriptor in (given.bell, given.control, given.listen) if descriptor >= 0]
        self._child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, encode(given).decode(), pass_fds=inherited
        )
        theirs.close()
        reader, self._writer = await asyncio.open_unix_connection(sock=ours, limit=16 * 1024 * 1024)
        try:
            line = await reader.readline()
        except asyncio.CancelledError:
            # We are stopping: nobody waits for it any more.
            with contextlib.suppress(ProcessLookupError):
                self._child.kill()
            await self._child.wait()
            raise
        if not line:
            code = await self._child.wait()
            error = f"the {self.name} process ended with {_ending(code)} before it was ready"
            return Report(is_ready=False, error=error)
        self._listening = asyncio.create_task(self._listen(reader))
        report = read_report(line)
        if not report.is_ready:
            # It is ending; a signal would meet it half-way out.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._child.wait(), STOP_SECONDS)
        return report

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            self.is_through = self.is_through or line == THROUGH

    @property
    def pid(self) -> int:
        return self._child.pid

    def go(self) -> None:
        self._writer.write(b"go")

    async def ended(self) -> int:
        return await self._child.wait()

    async def stop(self) -> None:
        """Ask it to stop; kill it when it does not."""
        if self._child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._child.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await self._child.wait()
            except TimeoutError:
                log.warning("the %s process did not stop in %d s and is killed", self.name, STOP_SECONDS)
                self._child.kill()
                await self._child.wait()
        self._writer.close()


class Supervisor:
    """`demo` runs on the events' own time until they have caught up (clock.EventClock)."""

    def __init__(self, settings: Settings, *, is_demo: bool = False, say: Callable[[str], None]) -> None:
        self.settings = settings
        self.say = say
        self.is_demo = is_demo
        self.worker: Process | None = None
        self.api: Process | None = None
        self.status: dict[str, Any] = {}
        self._stopping = asyncio.Event()
        self._handing_over = asyncio.Lock()
        self._crashes = 0

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises WorkspaceTaken, NotStarted, SettingsWrong before anything is served."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        with _only_one(self.settings.data_path) as lock, _listen(self.settings) as listener:
            prepare(self.settings)
            self._since = _demo_since(self.settings.data_path) if self.is_demo else None
            self._listener = listener
            self._bell_read, self._bell_write = os.pipe()
            host, port = listener.getsockname()[:2]
            self._address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
            lock.write(f"{os.getpid()} {self._address}\n")
            lock.flush()
            loop.add_signal_handler(signal.SIGHUP, self._reload_soon)
            try:
                await self._serve()
            finally:
                for process in (self.api, self.worker):
                    if process is not None:
                        await process.stop()

    async def _serve(self) -> None:
        self.worker = await self._new_worker(self._copy_sources())
        self._let_go(self.worker)
        self.api = await self._new_api()
        self.say(self._address)
        tasks = {
            asyncio.create_task(self._stopping.wait()),
            asyncio.create_task(self._watch_files()),
            asyncio.create_task(self._keep_worker()),
            asyncio.create_task(self._keep_api()),
        }
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for task in done:
            task.result()

    # The worker.

    async def _new_worker(self, sources: Path) -> Process:
        """A worker that has loaded `sources` and waits for the word. Raises NotStarted."""

        def orders(control: int) -> Orders:
            return Orders(
                workspace=self.settings.workspace,
                sources=sources,
                bell=self._bell_read,
                control=control,
                public_url=self.settings.server.public_url or self._address,
                demo_since=self._since,
                crashes=self._crashes,
            )

        worker = Process("worker")
        report = await worker.start("triggerfish.processes.worker", orders)
        if not report.is_ready:
            await worker.stop()
            raise NotStarted(report)
        worker.report = report
        return worker

    def _copy_sources(self) -> Path:
        """A copy of the sources for a worker to load; whatever differs from what was seen here is a change."""
        self._seen = _stamp(self.settings)
        return _copy_sources(self.settings)

    def _let_go(self, worker: Process) -> None:
        """Let a worker begin that has loaded a fresh copy of the sources, and keep that copy: a crash must not need the
        files as they are then.
        """
        shutil.rmtree(self.settings.live_path, ignore_errors=True)
        _copy_of(self.settings).rename(self.settings.live_path)
        self.status = {
            "state": "live",
            "loaded_at": to_iso(WallClock().now()),
            "problems": worker.report.problems,
            **worker.report.rulebook,
        }
        self._note_status()
        worker.go()

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
                log.error("the worker process ended with %s; starting it again", _ending(code))
                await self._pause_after(worker)
                self.worker = await _persist(lambda: self._new_worker(self.settings.live_path))
                self.worker.go()

    async def _pause_after(self, process: Process) -> None:
        """Not at all if it had got on since the last crash; else longer and longer."""
        got_on = process.is_through or not self._crashes
        self._crashes = 1 if got_on else self._crashes + 1
        wait = min(0.05 * 2 ** min(self._crashes, 10), 5.0) if self._crashes > 3 else 0.0
        await asyncio.sleep(wait)

    # The api.

    async def _new_api(self) -> Process:
        def orders(control: int) -> Orders:
            return Orders(
                workspace=self.settings.workspace,
                sources=self.settings.live_path,
                bell=self._bell_write,
                control=control,
                public_url=self.settings.server.public_url or self._address,
                listen=self._listener.fileno(),
                demo_since=self._since,
            )

        api = Process("api")
        report = await api.start("triggerfish.processes.api", orders)
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
            log.error("the api process ended with %s; starting it again", _ending(code))
            await asyncio.sleep(0 if time.monotonic() - api.started > 1 else 1)
            self.api = await _persist(self._new_api)

    # The files.

    async def _watch_files(self) -> None:
        """Hand over to a fresh worker when a rule file or a template has changed. The system tells of that at once, but
        not of a folder that took another's place, of some network drives, or of what changed before we listened: so
        every LOOK_SECONDS we look for ourselves.
        """
        while not self._stopping.is_set():
            folders = [path for path in (self.settings.rules_path, self.settings.templates_path) if path.is_dir()]
            if not folders:
                await asyncio.sleep(LOOK_SECONDS)
                if _stamp(self.settings) != self._seen:
                    await self._hand_over()
                continue
            async for changes in awatch(
                *folders,
                watch_filter=_is_source,
                debounce=400,
                step=100,
                stop_event=self._stopping,
                rust_timeout=LOOK_SECONDS * 1_000,
                yield_on_timeout=True,
            ):
                was_missed = not changes and _stamp(self.settings) != self._seen
                if changes or was_missed:
                    await self._hand_over()
                if was_missed:
                    break

    def _reload_soon(self) -> None:
        self._reloading = asyncio.ensure_future(self._hand_over())

    async def _hand_over(self) -> None:
        async with self._handing_over:
            try:
                fresh = await self._new_worker(self._copy_sources())
            except NotStarted as refused:
                self.status = self.status | {"state": "broken", "problems": refused.report.problems}
                self.status["error"] = str(refused)
                self._note_status()
                log.error("the changed rulebook is not used: %s", refused.sentence)
                return
            old, self.worker = self.worker, fresh
            if old is not None:
                await old.stop()
            self._let_go(fresh)
            log.info("the changed rulebook is live: version %s", self.status.get("version"))

    def _note_status(self) -> None:
        """What `GET /v1/rulebook` and the pages show."""
        path = self.settings.rulebook_path
        fresh = path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(self.status))
        fresh.replace(path)


def _is_source(change: Change, path: str) -> bool:
    name = Path(path).name
    return not name.startswith((".", "#")) and not name.endswith(("~", ".swp", ".tmp"))


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


def _copy_of(settings: Settings) -> Path:
    return settings.live_path.with_name("live.new")


def _copy_sources(settings: Settings) -> Path:
    """A copy of the rules and templates as they are now. What is checked is then what goes live, whoever edits
    meanwhile. Raises NotStarted when they cannot be read.
    """
    copy = _copy_of(settings)
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    try:
        for folder in (settings.rules_path, settings.templates_path):
            if folder.is_dir():
                shutil.copytree(folder, copy / folder.name, ignore=_passing_files)
    except OSError as error:
        raise NotStarted(Report(is_ready=False, error=f"the rules and templates cannot be read: {error}")) from error
    return copy


Stamp = frozenset[tuple[str, int, int, int]]


def _stamp(settings: Settings) -> Stamp:
    """What tells one state of the rules and templates from another, without reading them: path, inode, size, time."""
    found = set()
    for folder in (settings.rules_path, settings.templates_path):
        for path in folder.rglob("*"):
            # A file may vanish while we look.
            with contextlib.suppress(OSError):
                if path.is_file() and _is_source(Change.modified, path.name):
                    facts = path.stat()
                    found.add((str(path), facts.st_ino, facts.st_size, facts.st_mtime_ns))
    return frozenset(found)


def _passing_files(_: str, names: list[str]) -> set[str]:
    """What editors put beside a file for a moment."""
    return {name for name in names if not _is_source(Change.modified, name)}


@contextlib.contextmanager
def _only_one(data: Path) -> Iterator[TextIO]:
    """Hold the workspace's lock. Raises WorkspaceTaken, naming the process that holds it, and SettingsWrong (TF418)."""
    try:
        # What it holds is personal: nobody else on this machine needs to read it.
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (data / "serve.lock").open("a+")
    except OSError as error:
        raise SettingsWrong(
            f"the data folder {data} cannot be used: {error.strerror or error}",
            code="TF418",
            hint="it must be a folder that the server's user may write; [store] path in triggerfish.toml names it",
        ) from error
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


def _ending(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"signal {signal.Signals(-code).name}"
    return f"signal {-code}"
