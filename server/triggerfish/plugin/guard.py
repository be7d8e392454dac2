"""The guard around a channel: a deadline, checked receipts, a circuit breaker and a pace, so that a plugin that raises,
hangs or talks nonsense costs its own messages some time and nothing else.

Whatever happens, `send` gives one sound receipt per message. What may have left this machine is "unknown"; only what
certainly did not (`NotHandedOver`, or the breaker is open) is "retry".
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast, get_args

from triggerfish import meters
from triggerfish.clock import MINUTE, SECOND, Clock, Instant, Millis
from triggerfish.deliver import Call, Features, Receipt, Status, free_at, full_bucket, spend
from triggerfish.errors import PluginFailed
from triggerfish.plugin.channel import Channel, Inspection, Kept, NotHandedOver, PluginContext
from triggerfish.render import Message

log = logging.getLogger("triggerfish.plugin")

A = TypeVar("A")
T = TypeVar("T")

_STATUSES = frozenset(get_args(Status))
_GRACE_SECONDS = 1.0
_MOST_HUNG = 4
_LOOK_SECONDS = 10.0
_LONGEST_DETAIL = 500


class Breaker:
    """A circuit breaker: after `failures` failed calls in a row it rests; then one call probes; if that fails, too, it
    rests twice as long, at most `longest`. (M. Nygard, "Release It!", 2007.)
    """

    def __init__(self, failures: int = 5, rest: Millis = 30 * SECOND, longest: Millis = 10 * MINUTE) -> None:
        self._limit = failures
        self._first_rest = rest
        self._longest = longest
        self._rest = rest
        self._failed = 0
        self._until: Instant = 0
        self._probing = False

    def is_open(self) -> bool:
        return self._failed >= self._limit

    def free_at(self, now: Instant) -> Instant:
        """The first instant, `now` or later, at which a call may begin."""
        if not self.is_open():
            return now
        return max(self._until, now + SECOND if self._probing else now)

    def begin(self, now: Instant) -> bool:
        """Whether a call may begin now. If so, exactly one of succeeded, failed and abandoned has to follow."""
        if self.free_at(now) > now:
            return False
        self._probing = self.is_open()
        return True

    def succeeded(self) -> None:
        self._failed, self._rest, self._probing = 0, self._first_rest, False

    def failed(self, now: Instant) -> None:
        was_probe, self._probing = self._probing, False
        self._failed += 1
        if self._failed >= self._limit:
            if was_probe:
                self._rest = min(self._longest, self._rest * 2)
            self._until = now + self._rest

    def abandoned(self) -> None:
        """The call was broken off by us, so it says nothing about the provider."""
        self._probing = False


class GuardedChannel:
    """A `deliver.Channel` that never raises from `send` and never hangs in it.

    `plugin` is the plugin's name, for logs and errors. `clock` drives breaker and pace; deadlines are real time.
    """

    def __init__(self, channel: Channel, *, plugin: str, clock: Clock, breaker: Breaker | None = None) -> None:
        self.name = channel.name
        self.features: Features = channel.features
        self._channel = channel
        self._who = f'plugin "{plugin}", channel "{channel.name}"'
        self._clock = clock
        self._breaker = breaker or Breaker()
        self._pace = channel.features.per_second
        self._bucket = full_bucket(self._pace or 1.0, clock.now())
        self._hung: set[asyncio.Task[Any]] = set()

    async def open(self, context: PluginContext) -> None:
        """Raises PluginFailed when the channel cannot start."""
        try:
            async with asyncio.timeout(self._channel.deadline_seconds):
                await self._channel.open(context)
        except TimeoutError:
            await self.close()
            took = f"{self._channel.deadline_seconds:g} seconds"
            raise PluginFailed(f"{self._who}: open did not finish within {took}", code="TF510") from None
        except Exception as error:
            await self.close()
            raise PluginFailed(f"{self._who}: open failed: {_said(error)}", code="TF510") from error

    async def close(self) -> None:
        """Never raises; what goes wrong is logged."""
        try:
            async with asyncio.timeout(self._channel.deadline_seconds):
                await self._channel.close()
        except Exception:
            log.exception("%s: close failed", self._who)

    def free_at(self) -> Instant:
        """From when on the channel takes a batch: later than now while it rests after failures, or to keep its pace.
        To ask before a send is marked as being sent saves it an attempt.
        """
        now = self._clock.now()
        free = self._breaker.free_at(now)
        return max(free, free_at(self._bucket, self._pace, now)) if self._pace else free

    def is_resting(self) -> bool:
        """Whether it rests after failures, or hangs: what it is given now goes nowhere."""
        return self._breaker.is_open() or len(self._hung) >= _MOST_HUNG

    async def look_up(self, send_ids: Sequence[str]) -> dict[str, bool]:
        """What the channel says of these sends: True, the provider has it; False, it never will. Of those that it says
        nothing sound of, nothing is said. Never raises.
        """
        task = asyncio.ensure_future(self._look_up(send_ids))
        try:
            await asyncio.wait({task}, timeout=self._channel.deadline_seconds)
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=_GRACE_SECONDS)
        except asyncio.CancelledError:
            task.cancel()
            self._watch(task)
            raise
        if not task.done() or task.cancelled():
            self._watch(task)
            meters.PLUGIN_ERRORS.add(1, self.name, "deadline")
            log.warning("%s: look_up ran past its deadline of %g s", self._who, self._channel.deadline_seconds)
            return {}
        return task.result()

    async def _look_up(self, send_ids: Sequence[str]) -> dict[str, bool]:
        try:
            given = await self._channel.look_up(send_ids)
            return {send_id: given[send_id] for send_id in send_ids if isinstance(given.get(send_id), bool)}
        except Exception:
            meters.PLUGIN_ERRORS.add(1, self.name, "raised")
            log.exception("%s: look_up failed", self._who)
            return {}

    async def inspect(self) -> Inspection:
        """What the channel tells of itself. Never raises: what goes wrong is its trouble."""
        try:
            async with asyncio.timeout(self._channel.deadline_seconds):
                return await self._channel.inspect()
        except TimeoutError:
            return Inspection(trouble=f"no answer within {self._channel.deadline_seconds:g} seconds")
        except Exception as error:
            return Inspection(trouble=_said(error))

    async def send(self, batch: Sequence[Message | Call]) -> list[Receipt]:
        """One receipt per message, in the order of the batch. Raises ValueError for a batch that is too large or holds
        a send twice: that is the caller's mistake.
        """
        if len(batch) > self.features.batch_size or len({message.send_id for message in batch}) < len(batch):
            raise ValueError(f"{self._who}: a batch holds at most {self.features.batch_size} messages, each once")
        if not batch:
            return []
        now = self._clock.now()
        if len(self._hung) >= _MOST_HUNG:
            meters.PLUGIN_ERRORS.add(1, self.name, "hung")
            return _all(batch, "retry", f"{len(self._hung)} earlier calls of the channel still hang", 60.0)
        if not self._breaker.begin(now):
            wait = (self._breaker.free_at(now) - now) / SECOND
            meters.PLUGIN_ERRORS.add(1, self.name, "resting")
            return _all(batch, "retry", "the channel rests after repeated failures", wait)
        if self._pace:
            self._bucket = spend(self._bucket, self._pace, len(batch), now)
        try:
            began = time.perf_counter()
            receipts, is_sound = await self._call(batch)
        except asyncio.CancelledError:
            self._breaker.abandoned()
            raise
        meters.PLUGIN_CALLS.observe(time.perf_counter() - began, self.name, "send")
        if is_sound:
            self._breaker.succeeded()
        else:
            self._breaker.failed(self._clock.now())
            if self._breaker.is_open():
                log.warning("%s: send failed again and again; the channel rests", self._who)
        meters.PLUGIN_RESTING.set(float(self._breaker.is_open()), self.name)
        return receipts

    async def _call(self, batch: Sequence[Message | Call]) -> tuple[list[Receipt], bool]:
        """The receipts, and whether the channel kept its contract."""
        deadline = self._channel.deadline_seconds
        task = asyncio.ensure_future(self._channel_send(batch))
        try:
            # Not wait_for, which would go on waiting for a plugin that swallows its cancellation.
            await asyncio.wait({task}, timeout=deadline)
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=_GRACE_SECONDS)
        except asyncio.CancelledError:
            task.cancel()
            self._watch(task)
            raise
        if not task.done() or task.cancelled():
            self._watch(task)
            meters.PLUGIN_ERRORS.add(1, self.name, "deadline")
            log.warning("%s: send ran past its deadline of %g s", self._who, deadline)
            return _all(batch, "unknown", f"no answer within {deadline:g} seconds"), False
        error = task.exception()
        if isinstance(error, NotHandedOver):
            meters.PLUGIN_ERRORS.add(1, self.name, "not-handed-over")
            log.warning("%s: send handed nothing over: %s", self._who, error)
            return _all(batch, "retry", _clean(str(error))), False
        if error is not None:
            meters.PLUGIN_ERRORS.add(1, self.name, "raised")
            log.error("%s: send raised", self._who, exc_info=error)
            return _all(batch, "unknown", f"the channel failed with {type(error).__name__}"), False
        receipts, faults = check_receipts(batch, task.result())
        for fault in faults:
            meters.PLUGIN_ERRORS.add(1, self.name, "contract")
            log.error("%s: send broke its contract: %s", self._who, fault)
        return receipts, not faults

    async def _channel_send(self, batch: Sequence[Message | Call]) -> list[Receipt]:
        # An action's calls go through a channel of their own kind (plugin/action.py).
        return await self._channel.send(cast(Sequence[Message], batch))

    def _watch(self, task: asyncio.Task[Any]) -> None:
        """Keep hold of a call that goes on after we left, count it, and take note of how it ends."""
        if task.done():
            return

        def ended(task: asyncio.Task[Any]) -> None:
            self._hung.discard(task)
            meters.PLUGIN_HUNG.set(len(self._hung), self.name)
            if not task.cancelled() and (error := task.exception()) is not None:
                log.warning("%s: a call that had been given up raised %s", self._who, error)

        self._hung.add(task)
        meters.PLUGIN_HUNG.set(len(self._hung), self.name)
        task.add_done_callback(ended)

    async def kept(self, limit: int) -> list[Kept]:
        """The newest messages that the channel keeps for people to look at, newest first. Raises PluginFailed."""
        return await self._look("kept", self._channel.kept, limit)

    async def read_kept(self, send_id: str) -> bytes | None:
        """A kept message as RFC 5322 bytes, or None. Raises PluginFailed."""
        return await self._look("read_kept", self._channel.read_kept, send_id)

    async def _look(self, method: str, call: Callable[[A], T], argument: A) -> T:
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                return await asyncio.to_thread(call, argument)
        except TimeoutError:
            raise PluginFailed(f"{self._who}: {method} took too long", code="TF512") from None
        except Exception as error:
            raise PluginFailed(f"{self._who}: {method} failed: {_said(error)}", code="TF512") from error


def check_receipts(batch: Sequence[Message | Call], given: object) -> tuple[list[Receipt], list[str]]:
    """One sound receipt per message, in the order of the batch, and what was wrong with those `given`."""
    faults: list[str] = []
    found: dict[str, Receipt] = {}
    wanted = {message.send_id for message in batch}
    if not isinstance(given, Sequence):
        faults.append(f"a list of receipts was expected, and {type(given).__name__} came")
        given = ()
    for receipt in given:
        if not isinstance(receipt, Receipt):
            faults.append(f"a Receipt was expected, and {type(receipt).__name__} came")
        elif not isinstance(receipt.send_id, str) or receipt.send_id not in wanted:
            faults.append("a receipt for a message that is not in the batch")
        elif not isinstance(receipt.status, str) or receipt.status not in _STATUSES:
            faults.append(f"no such status: {str(receipt.status)[:40]!r}")
        elif receipt.send_id in found:
            faults.append("two receipts for one message")
            found[receipt.send_id] = Receipt(receipt.send_id, "unknown", detail="the channel gave two answers")
        else:
            found[receipt.send_id] = _sound(receipt)
    missing = wanted - found.keys()
    if missing and not faults:
        faults.append(f"no receipt for {len(missing)} of {len(batch)} messages")
    nothing = "the channel gave no valid answer"
    return [found.get(m.send_id) or Receipt(m.send_id, "unknown", detail=nothing) for m in batch], faults


def _sound(receipt: Receipt) -> Receipt:
    asked = receipt.retry_after_seconds
    is_wait = isinstance(asked, int | float) and math.isfinite(asked) and asked >= 0
    return Receipt(
        receipt.send_id,
        receipt.status,
        _clean(str(receipt.provider_id)),
        _clean(str(receipt.detail)),
        asked if is_wait else None,
    )


def _all(
    batch: Sequence[Message | Call], status: Status, detail: str, retry_after: float | None = None
) -> list[Receipt]:
    return [Receipt(message.send_id, status, "", detail, retry_after) for message in batch]


def _clean(text: str) -> str:
    """Text from outside, fit for a log line and a page: one line, bounded."""
    return "".join(c if c.isprintable() else " " for c in text[:_LONGEST_DETAIL]).strip()


def _said(error: BaseException) -> str:
    return _clean(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
