"""The guard: whatever a channel does, each message has one sound receipt, in time."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggerfish import BlockingChannel, Channel, Features, NotHandedOver, PluginConfig, PluginFailed, Receipt
from triggerfish.clock import MINUTE, SECOND
from triggerfish.plugin import guard as guard_module
from triggerfish.plugin.guard import Breaker, GuardedChannel, check_receipts
from triggerfish.plugin.testing import START, MemoryOutbox, SetClock, make_context, make_message


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch):
    monkeypatch.setattr(guard_module, "_GRACE_SECONDS", 0.05)


def guarded(channel, **more):
    clock = SetClock()
    return GuardedChannel(channel, plugin="test", clock=clock, **more), clock


def misbehaving(*moods, deadline=0.05):
    channel = MemoryOutbox(moods=moods)
    channel.deadline_seconds = deadline
    return channel


async def statuses(guard, *send_ids):
    return [receipt.status for receipt in await guard.send([make_message(each) for each in send_ids])]


async def test_receipts_pass_through_in_the_order_of_the_batch():
    class Backwards(MemoryOutbox):
        async def send(self, batch):
            return [Receipt(message.send_id, "accepted", "x") for message in reversed(batch)]

    guard, _ = guarded(Backwards())
    receipts = await guard.send([make_message("a"), make_message("b")])
    assert receipts == [Receipt("a", "accepted", "x"), Receipt("b", "accepted", "x")]


async def test_an_exception_leaves_the_outcome_unknown_and_its_text_to_the_log(caplog):
    guard, _ = guarded(misbehaving("raise"))
    (receipt,) = await guard.send([make_message("a")])
    assert (receipt.status, receipt.detail) == ("unknown", "the channel failed with RuntimeError")
    assert 'plugin "test", channel "memory": send raised' in caplog.text
    assert "told to fail" in caplog.text


async def test_what_was_not_handed_over_is_tried_again():
    guard, _ = guarded(misbehaving("not handed over"))
    (receipt,) = await guard.send([make_message("a")])
    assert (receipt.status, receipt.detail) == ("retry", "the provider cannot be reached")


@pytest.mark.parametrize("mood", ["hang", "ignore cancellation"])
async def test_a_call_that_hangs_is_left_at_its_deadline_and_unknown(mood):
    guard, _ = guarded(misbehaving(mood))
    began = time.monotonic()
    assert await statuses(guard, "a", "b") == ["unknown", "unknown"]
    assert time.monotonic() - began < 30, "it would never end by itself"
    for task in set(guard._hung):
        while not task.done():
            task.cancel()
            await asyncio.sleep(0)


async def test_an_answer_that_comes_while_the_call_is_cancelled_still_counts():
    class Late(MemoryOutbox):
        deadline_seconds = 0.05

        async def send(self, batch):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return [Receipt(message.send_id, "accepted") for message in batch]

    guard, _ = guarded(Late())
    assert await statuses(guard, "a") == ["accepted"]


async def test_calls_that_ignore_cancellation_are_limited_in_number():
    release = asyncio.Event()

    class Stubborn(MemoryOutbox):
        deadline_seconds = 0.02

        async def send(self, batch):
            self.calls += 1
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue
            return []

    channel = Stubborn()
    guard, _ = guarded(channel, breaker=Breaker(failures=100))
    for _ in range(4):
        assert await statuses(guard, "a") == ["unknown"]
    assert await statuses(guard, "a") == ["retry"]
    assert channel.calls == 4
    release.set()
    await asyncio.sleep(0.05)
    assert await statuses(guard, "a") == ["unknown"]
    assert channel.calls == 5


async def test_a_caller_that_is_cancelled_is_let_go_and_the_call_ends():
    ended = asyncio.Event()

    class Slow(MemoryOutbox):
        async def send(self, batch):
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

    guard, _ = guarded(Slow())
    caller = asyncio.ensure_future(guard.send([make_message("a")]))
    await asyncio.sleep(0.01)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await asyncio.wait_for(ended.wait(), 1)


async def test_a_batch_that_breaks_the_channels_limits_is_the_callers_mistake():
    guard, _ = guarded(MemoryOutbox())
    with pytest.raises(ValueError, match="at most 10"):
        await guard.send([make_message(str(n)) for n in range(11)])
    with pytest.raises(ValueError, match="each once"):
        await guard.send([make_message("a"), make_message("a")])
    assert await guard.send([]) == []


async def test_the_breaker_opens_after_failures_in_a_row_and_closes_after_a_good_probe(caplog):
    channel = misbehaving(*["not handed over"] * 6, "deliver")
    guard, clock = guarded(channel)
    for _ in range(5):
        assert guard.free_at() == clock.at
        assert await statuses(guard, "a") == ["retry"]
    assert "the channel rests" in caplog.text
    assert guard.free_at() == START + 30 * SECOND
    (receipt,) = await guard.send([make_message("a")])
    assert (receipt.status, receipt.retry_after_seconds, channel.calls) == ("retry", 30.0, 5)
    clock.at += 30 * SECOND
    assert await statuses(guard, "a") == ["retry"]
    assert guard.free_at() == clock.at + MINUTE
    clock.at += MINUTE
    assert await statuses(guard, "a") == ["accepted"]
    assert guard.free_at() == clock.at
    assert channel.calls == 7


async def test_only_one_call_probes_a_channel_that_rests():
    channel = misbehaving(*["raise"] * 5, "deliver", deadline=5)
    guard, clock = guarded(channel)
    for _ in range(5):
        await guard.send([make_message("a")])
    clock.at += 30 * SECOND
    channel.lag_seconds = 0.05
    both = await asyncio.gather(statuses(guard, "a"), statuses(guard, "b"))
    assert sorted(both) == [["accepted"], ["retry"]]
    assert channel.calls == 6


async def test_a_probe_that_was_broken_off_does_not_lock_the_channel():
    channel = misbehaving(*["raise"] * 5, "deliver", deadline=5)
    guard, clock = guarded(channel)
    for _ in range(5):
        await guard.send([make_message("a")])
    clock.at += 30 * SECOND
    channel.lag_seconds = 5
    probe = asyncio.ensure_future(guard.send([make_message("a")]))
    await asyncio.sleep(0.01)
    probe.cancel()
    await asyncio.wait([probe])
    channel.lag_seconds = 0
    assert await statuses(guard, "a") == ["accepted"]


async def test_refusals_and_greylisting_do_not_open_the_breaker():
    guard, clock = guarded(misbehaving(*["refuse"] * 10, "retry"))
    for _ in range(20):
        await guard.send([make_message("a")])
    assert guard.free_at() == clock.at


def test_the_rest_doubles_to_its_limit():
    breaker, now, rests = Breaker(failures=1, rest=SECOND, longest=10 * SECOND), 0, []
    for _ in range(6):
        assert breaker.begin(now)
        breaker.failed(now)
        rests.append(breaker.free_at(now) - now)
        now = breaker.free_at(now)
    assert rests == [each * SECOND for each in (1, 2, 4, 8, 10, 10)]


async def test_a_channel_with_a_pace_says_when_the_next_batch_may_come():
    class Paced(MemoryOutbox):
        features = Features(per_second=2, batch_size=10)

    guard, clock = guarded(Paced())
    await guard.send([make_message(str(n)) for n in range(10)])
    assert START + 4 * SECOND < guard.free_at() < START + 5 * SECOND
    clock.at = guard.free_at()
    assert guard.free_at() == clock.at


async def test_a_channel_that_cannot_open_is_named_and_closed_again(tmp_path):
    class NoOpen(MemoryOutbox):
        closed = False

        async def open(self, context):
            raise RuntimeError("no such host")

        async def close(self):
            self.closed = True

    channel = NoOpen()
    guard, _ = guarded(channel)
    with pytest.raises(PluginFailed, match='plugin "test", channel "memory": open failed: RuntimeError: no such host'):
        await guard.open(make_context(tmp_path))
    assert channel.closed


async def test_an_open_that_hangs_stops_the_start_and_a_close_that_fails_is_logged(tmp_path, caplog):
    class Hangs(MemoryOutbox):
        deadline_seconds = 0.02

        async def open(self, context):
            await asyncio.Event().wait()

        async def close(self):
            raise RuntimeError("it sticks")

    guard, _ = guarded(Hangs())
    with pytest.raises(PluginFailed, match="open did not finish within"):
        await guard.open(make_context(tmp_path))
    assert "close failed" in caplog.text


async def test_a_send_that_is_not_async_is_unknown_and_not_a_crash():
    class NotAsync(MemoryOutbox):
        def send(self, batch):
            return []

    guard, _ = guarded(NotAsync())
    assert await statuses(guard, "a") == ["unknown"]


async def test_looking_at_what_a_channel_keeps_fails_by_name():
    class Unreadable(MemoryOutbox):
        def kept(self, limit):
            raise OSError("the folder is gone")

    guard, _ = guarded(Unreadable())
    assert await guard.read_kept("s1") is None
    with pytest.raises(PluginFailed, match='channel "memory": kept failed: OSError: the folder is gone'):
        await guard.kept(10)


BATCH = [make_message("a"), make_message("b")]
GOOD = Receipt("a", "accepted")


@pytest.mark.parametrize(
    ("given_receipts", "fault"),
    [
        (None, "NoneType came"),
        (42, "int came"),
        ([], "no receipt for 2 of 2"),
        ([GOOD], "no receipt for 1 of 2"),
        ([GOOD, "accepted"], "str came"),
        ([GOOD, Receipt("c", "accepted")], "not in the batch"),
        ([GOOD, Receipt(["b"], "accepted")], "not in the batch"),
        ([GOOD, Receipt("b", "delivered")], "no such status: 'delivered'"),
        ([GOOD, Receipt("b", ["accepted"])], "no such status"),
    ],
)
def test_what_is_no_valid_receipt_is_unknown(given_receipts, fault):
    receipts, faults = check_receipts(BATCH, given_receipts)
    assert [receipt.send_id for receipt in receipts] == ["a", "b"]
    assert receipts[1].status == "unknown"
    assert len(faults) == 1
    assert fault in faults[0]


def test_two_answers_for_one_message_are_unknown():
    receipts, faults = check_receipts(BATCH, [GOOD, Receipt("b", "accepted"), Receipt("b", "refused")])
    assert [receipt.status for receipt in receipts] == ["accepted", "unknown"]
    assert faults == ["two receipts for one message"]


def test_texts_of_providers_are_bounded_and_of_one_line():
    wild = Receipt("a", "retry", "id\r\n", "4.7.1\n\x1b[31m" + "x" * 9_999, math.inf)
    receipts, faults = check_receipts(BATCH[:1], [wild])
    assert not faults
    assert receipts[0].provider_id == "id"
    assert len(receipts[0].detail) <= 500
    assert receipts[0].detail.isprintable()
    assert receipts[0].retry_after_seconds is None


junk = st.none() | st.integers() | st.text(max_size=5) | st.floats() | st.lists(st.integers(), max_size=2)
receipts = st.builds(
    Receipt,
    st.sampled_from(["a", "b", "c"]) | junk,
    st.sampled_from(["accepted", "refused", "retry", "unknown"]) | junk,
    junk,
    junk,
    junk,
)


@given(st.lists(receipts | junk, max_size=6) | junk)
def test_whatever_a_channel_answers_each_message_has_one_sound_receipt(answer):
    sound, faults = check_receipts(BATCH, answer)
    assert [receipt.send_id for receipt in sound] == ["a", "b"]
    for receipt in sound:
        assert receipt.status in ("accepted", "refused", "retry", "unknown")
        assert isinstance(receipt.detail, str)
        assert receipt.retry_after_seconds is None or receipt.retry_after_seconds >= 0
    assert faults or {r.send_id for r in sound} == {r.send_id for r in answer}


class Threaded(BlockingChannel):
    name = "threaded"
    threads = 2
    patience_seconds = 0.05

    def __init__(self):
        super().__init__(PluginConfig())
        self.release = threading.Event()
        self.error = None
        self.most, self.running = 0, 0
        self.lock = threading.Lock()

    def send_blocking(self, batch):
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.release.wait(5)
        with self.lock:
            self.running -= 1
        if self.error is not None:
            raise self.error
        return [Receipt(message.send_id, "accepted") for message in batch]


async def test_a_blocking_channel_leaves_the_loop_free_and_keeps_to_its_threads():
    channel = Threaded()
    channel.patience_seconds = 5
    sends = [asyncio.ensure_future(channel.send([make_message(str(n))])) for n in range(6)]
    await asyncio.sleep(0.05)
    assert channel.running == 2
    channel.release.set()
    assert [receipts[0].status for receipts in await asyncio.gather(*sends)] == ["accepted"] * 6
    assert channel.most == 2


async def test_threads_that_hang_hold_their_places_and_later_batches_are_not_handed_over():
    channel = Threaded()
    channel.deadline_seconds = 0.02
    guard, _ = guarded(channel)
    assert await asyncio.gather(statuses(guard, "a"), statuses(guard, "b")) == [["unknown"], ["unknown"]]
    channel.deadline_seconds = 1
    (receipt,) = await guard.send([make_message("c")])
    assert (receipt.status, receipt.detail) == ("retry", "all 2 threads of the channel are busy")
    channel.release.set()
    await asyncio.sleep(0.05)
    assert await statuses(guard, "c") == ["accepted"]


@pytest.mark.parametrize("error", [SystemExit(3), StopIteration(), KeyboardInterrupt()])
async def test_no_exception_in_a_thread_ends_the_server(error):
    channel = Threaded()
    channel.release.set()
    channel.error = error
    guard, _ = guarded(channel)
    assert await statuses(guard, "a") == ["unknown"]


async def test_not_handed_over_comes_out_of_a_thread_as_it_is():
    channel = Threaded()
    channel.release.set()
    channel.error = NotHandedOver("no route")
    with pytest.raises(NotHandedOver, match="no route"):
        await channel.send([make_message("a")])


def test_a_thread_that_outlives_the_loop_is_silent(caplog):
    channel = Threaded()

    async def leave() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(channel.send([make_message("a")]), 0.02)

    with caplog.at_level(logging.DEBUG):
        asyncio.run(leave())
        channel.release.set()
        while channel.running:
            time.sleep(0.01)
        time.sleep(0.05)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_channel_without_send_cannot_be_made():
    class Nothing(Channel):
        name = "nothing"

    with pytest.raises(TypeError, match="send"):
        Nothing(PluginConfig())


@pytest.mark.parametrize("way", ["raise", "hang", "ignore cancellation", "no dict"])
async def test_a_look_up_that_goes_wrong_tells_nothing_in_time(way):
    class Asked(MemoryOutbox):
        deadline_seconds = 0.05

        async def look_up(self, send_ids):
            for _ in range({"hang": 1, "ignore cancellation": 3}.get(way, 0)):
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    if way == "hang":
                        raise
            if way == "raise":
                raise RuntimeError("no such thing")
            return ["a"]

    guard, _ = guarded(Asked())
    began = time.monotonic()
    assert await guard.look_up(["a"]) == {}
    assert time.monotonic() - began < 30, "it would never end by itself"
    for task in set(guard._hung):
        while not task.done():
            task.cancel()
            await asyncio.sleep(0)


async def test_a_channel_rests_while_its_breaker_is_open():
    guard, clock = guarded(misbehaving("not handed over"), breaker=Breaker(failures=2, rest=SECOND))
    assert not guard.is_resting()
    for name in "ab":
        await guard.send([make_message(name)])
    assert guard.is_resting()
    clock.at += MINUTE
    assert guard.is_resting(), "until a call has come through"
