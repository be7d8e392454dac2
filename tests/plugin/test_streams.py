"""Streams: kept running by their guard, and what they tell is on disk before they go on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import types
from dataclasses import replace
from importlib.metadata import EntryPoint

import pytest

from reports.letters import bounce, complaint
from shop import live, make_workspace, open_shop
from triggerfish import Door, Hit, PluginConfig, Refused, StreamSource, hookimpl, mailroom
from triggerfish.adapters.memory import MemoryEventLog
from triggerfish.errors import Busy, PluginFailed, Unavailable
from triggerfish.plugin import streams as streams_module
from triggerfish.plugin.manager import load_plugins
from triggerfish.plugin.streams import GuardedStream
from triggerfish.plugin.testing import MemoryDoor
from triggerfish.processes import streams as processes_module
from triggerfish.processes.streams import DeskDoor, listening


class Queue(StreamSource):
    """Does one thing a run: tells a Hit, raises, ends, or goes on for ever."""

    name = "queue"

    def __init__(self, config=None, *, script=()):
        super().__init__(config or PluginConfig())
        self.script = list(script)
        self.runs = []

    async def run(self, door: Door) -> None:
        self.runs.append(asyncio.get_running_loop().time())
        step = self.script.pop(0) if self.script else "listen"
        if isinstance(step, BaseException):
            raise step
        if isinstance(step, Hit):
            await door.tell([step], nonce=f"n{len(self.runs)}")
        if step != "end":
            await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def running(queue, door, **more):
    guarded = GuardedStream(queue, plugin="queues", **more)
    task = asyncio.create_task(guarded.run(door))
    try:
        yield guarded
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(is_so):
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110 - it is asked of many things
            await asyncio.sleep(0.005)


async def test_a_stream_that_raises_or_ends_is_started_again(tmp_path, caplog):
    hit = Hit("clicked", "s1", "p1", url="https://shop.example/")
    queue = Queue(script=[RuntimeError("no network"), "end", SystemExit(3), hit])
    door = MemoryDoor(tmp_path)
    with caplog.at_level(logging.WARNING, "triggerfish.plugin"):
        async with running(queue, door, first_rest_seconds=0.01) as guarded:
            await until(lambda: door.told)
            assert guarded.problem == ""
    assert door.told == [("n4", hit)]
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == 'plugin "queues", stream "queue": no network; it is started again in 0.01 s'
    assert "it ended; it is started again in 0.02 s" in said[1]


async def test_rests_grow_up_to_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(streams_module, "LONGEST_REST_SECONDS", 0.04)
    queue = Queue(script=[RuntimeError("no")] * 5)
    async with running(queue, MemoryDoor(tmp_path), first_rest_seconds=0.01) as guarded:
        await until(lambda: guarded.problem)
        await until(lambda: len(queue.runs) == 6)
    gaps = [later - earlier for earlier, later in zip(queue.runs, queue.runs[1:], strict=False)]
    assert all(gap >= least - 0.002 for gap, least in zip(gaps, (0.01, 0.02, 0.04, 0.04, 0.04), strict=True))


async def test_one_that_ran_for_long_rests_shortly_again(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(streams_module, "_HEALTHY_SECONDS", 0.0)
    queue = Queue(script=[RuntimeError("no")] * 3)
    async with running(queue, MemoryDoor(tmp_path), first_rest_seconds=0.01):
        await until(lambda: len(queue.runs) == 4)
    assert [record.getMessage()[-6:] for record in caplog.records] == ["0.01 s"] * 3


# --- the door ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    workspace = make_workspace(tmp_path_factory.mktemp("shop") / "workspace")
    asyncio.run(live(workspace))
    return workspace


class Moody(MemoryEventLog):
    """A log that raises what it is told to first."""

    def __init__(self, *moods):
        super().__init__()
        self.moods = list(moods)

    async def append(self, arrivals, aside=()):
        if self.moods:
            raise self.moods.pop(0)
        await super().append(arrivals, aside)


@pytest.fixture
async def shop(lived):
    async with open_shop(lived) as desk:
        yield desk


def with_log(desk, *moods):
    front = replace(desk.front, log=Moody(*moods))
    return replace(desk, front=front, mailroom=replace(desk.mailroom, front=front))


def heard(desk):
    return [entry.event for entry in desk.front.log.read(0, 100)]


async def test_what_is_told_is_on_disk_and_told_again_changes_nothing(shop):
    desk = with_log(shop)
    door = DeskDoor(desk, "queue")
    call = {"type": "track", "event": "Replied", "userId": "ana"}
    told = [Hit("clicked", "s1", "p1", url="https://shop.example/"), call]
    for nonce in ("n1", "n1", "n2"):
        assert await door.tell(told, nonce=nonce) == 2
    await DeskDoor(desk, "other").tell(told, nonce="n1")
    ids = [event.message_id for event in heard(desk)]
    assert ids[:2] == ids[2:4]
    assert len(set(ids)) == 6


async def test_a_server_that_is_busy_or_full_is_waited_for(shop, monkeypatch):
    monkeypatch.setattr(processes_module, "_WAIT_SECONDS", 0.01)
    desk = with_log(shop, Busy("much to do", retry_after_seconds=0), Unavailable("the disk is full"))
    await DeskDoor(desk, "queue").tell([{"type": "track", "event": "Replied", "userId": "ana"}], nonce="n")
    assert len(heard(desk)) == 1
    desk = with_log(shop, Unavailable("the disk is full"))
    send = next(each for each in desk.reads.sends() if each.status == "sent")
    path = desk.mailroom.verp.address("b+{token}@shop.example", send.id)
    said = await DeskDoor(desk, "queue").tell_mail(bounce(), [path])
    assert (said.outcome, said.send_id, len(heard(desk))) == ("heard", send.id, 1)


async def test_a_name_server_that_never_answers_keeps_no_other_mail_waiting(shop, monkeypatch):
    monkeypatch.setattr(processes_module, "_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(processes_module, "_SIGNATURE_SECONDS", 0.1)
    asked = []

    async def is_trusted(mail, raw):
        asked.append(mail.sender)
        raise Unavailable("the name server does not answer")

    desk = with_log(shop)
    desk = replace(desk, mailroom=replace(desk.mailroom, is_trusted=is_trusted))
    said = await DeskDoor(desk, "queue").tell_mail(complaint())
    assert (said.outcome, said.kind) == ("unmatched", "complained")
    assert len(asked) > 2


async def test_a_mail_that_breaks_the_reader_is_put_aside(shop, monkeypatch, caplog):
    def broken(raw, came_to):
        raise RuntimeError("nobody thought of that")

    monkeypatch.setattr(mailroom, "read_mail", broken)
    said = await DeskDoor(with_log(shop), "queue").tell_mail(bounce())
    assert (said.outcome, said.reason) == ("unmatched", "it could not be read")
    assert "nobody thought of that" in caplog.text


async def test_what_makes_no_sense_is_refused(shop):
    desk = with_log(shop)
    with pytest.raises(Refused):
        await DeskDoor(desk, "queue").tell([{"type": "track", "userId": "ana"}], nonce="n")
    assert heard(desk) == []


async def test_streams_run_as_long_as_the_desk_is_open(shop):
    queue = Queue(script=[Hit("clicked", "s1", "p1")])
    desk = replace(with_log(shop), streams={"queue": GuardedStream(queue, plugin="queues")})
    async with listening(desk):
        await until(lambda: heard(desk))
        assert desk.streams["queue"].problem == ""
        tasks = [task for task in asyncio.all_tasks() if task.get_name() == "stream queue"]
        assert len(tasks) == 1
    assert tasks[0].cancelled()


# --- registering ------------------------------------------------------------------------------------------------------


def registered(monkeypatch, *kinds):
    module = types.ModuleType("queues")
    module.register_sources = hookimpl(lambda: list(kinds), specname="register_sources")
    monkeypatch.setitem(sys.modules, "queues", module)
    return load_plugins({"queue"}, [EntryPoint("queue", "queues", "triggerfish")])


def test_a_stream_with_a_table_is_made_and_is_no_webhook(monkeypatch):
    plugins = registered(monkeypatch, Queue)
    assert plugins.plugins[0].sources == ("queue",)
    assert list(plugins.streams({"queue": {}})) == ["queue"]
    assert plugins.streams({}) == plugins.sources({"queue": {}}) == {}


def test_a_stream_whose_run_is_not_async_is_refused(monkeypatch):
    class Blocking(Queue):
        def run(self, door):
            """Not async."""

    with pytest.raises(PluginFailed, match=r"run has to be async"):
        registered(monkeypatch, Blocking)
