"""Calls go to a server's `/v1/batch`, in order and one request at a time, until each is answered 200.

What is sent again keeps its messageIds, so that nothing happens twice. Retry-After is honoured (RFC 9110, 10.2.3).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpx
import msgspec
from msgspec import Struct

from triggerfish.cli.replay.calls import Call
from triggerfish.clock import Instant
from triggerfish.config import is_loopback
from triggerfish.errors import Refused, Unavailable

BATCH_BYTES = 400 * 1024
BATCH_CALLS = 500
PATIENCE_SECONDS = 300.0
"""How long one request is tried again before it is given up."""
LONGEST_PAUSE_SECONDS = 30.0

_HEAD, _TAIL = b'{"batch":[', b"]}"
_TIMEOUT = httpx.Timeout(30.0, connect=5.0)


class Sent(Struct):
    """What was sent so far: calls, identifies among them (`people`), requests answered 200, and repeated requests."""

    calls: int = 0
    people: int = 0
    batches: int = 0
    repeats: int = 0
    bytes: int = 0


class Sender:
    """Sends batches. Give it `sleep` and `now` (seconds) of your own to test it without waiting."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.monotonic,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        try:
            where = httpx.URL(url.rstrip("/") + "/v1/batch")
        except httpx.InvalidURL as error:
            raise Refused(f"{url} is no address: {error}", code="TF443") from error
        if where.scheme not in ("http", "https") or not where.host:
            raise Refused(f"{url} is no address", code="TF443", expected="http://127.0.0.1:8400")
        self.sent = Sent()
        self._url = where
        self._sleep = sleep
        self._now = now
        self._client = httpx.Client(
            auth=(key, ""),
            timeout=_TIMEOUT,
            transport=transport,
            trust_env=not is_loopback(where.host),
        )

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def send(self, calls: list[Call]) -> None:
        """Send one batch until the server has it.

        Raises Refused (TF443) when the server refuses it, Unavailable (TF444) when it stays away or stays busy.
        """
        body = _HEAD + b",".join(call.json for call in calls) + _TAIL
        started, attempt = self._now(), 0
        while True:
            pause, reason = self._attempt(body, attempt)
            if pause is None:
                break
            attempt += 1
            self.sent.repeats += 1
            if self._now() - started + pause > PATIENCE_SECONDS:
                raise Unavailable(
                    f"{self._url} did not take the events: {reason}",
                    code="TF444",
                    hint="see that it runs, then run the same command again: what it has had already changes nothing",
                )
            self._sleep(pause)
        self.sent.calls += len(calls)
        self.sent.people += sum(call.is_person for call in calls)
        self.sent.batches += 1
        self.sent.bytes += len(body)

    def _attempt(self, body: bytes, attempt: int) -> tuple[float | None, str]:
        """Seconds to wait before the next attempt, and why; None when it was taken."""
        pause = min(0.25 * 2**attempt, LONGEST_PAUSE_SECONDS)
        try:
            answer = self._client.post(self._url, content=body, headers={"Content-Type": "application/json"})
        except httpx.ConnectError as error:
            return pause, f"no connection ({error})"
        except httpx.TransportError as error:
            return pause, f"{type(error).__name__} {error}".strip()
        if answer.status_code == 200:
            return None, ""
        if answer.status_code == 429 or answer.status_code >= 500:
            return max(pause, retry_after(answer)), f"it answered {answer.status_code}"
        raise _refusal(answer)


def retry_after(answer: httpx.Response) -> float:
    """The seconds of a Retry-After header, at most LONGEST_PAUSE_SECONDS; 0 without one."""
    text = answer.headers.get("Retry-After", "")
    return min(float(text), LONGEST_PAUSE_SECONDS) if text.isdigit() else 0.0


def batches_of(calls: Iterable[Call]) -> Iterator[list[Call]]:
    """Batches as large as one request may be."""
    batch: list[Call] = []
    size = 0
    for call in calls:
        if batch and (size + len(call.json) > BATCH_BYTES or len(batch) >= BATCH_CALLS):
            yield batch
            batch, size = [], 0
        batch.append(call)
        size += len(call.json) + 1
    if batch:
        yield batch


def paced(
    calls: Iterable[Call], speed: float, sleep: Callable[[float], None], now: Callable[[], float]
) -> Iterator[list[Call]]:
    """Batches at `speed` times the pace at which things happened: none is sent before its time."""
    started: float | None = None
    first: Instant = 0
    batch: list[Call] = []
    size = 0
    for call in calls:
        if started is None:
            started, first = now(), call.at
        due = started + (call.at - first) / 1000 / speed
        if batch and (due > now() or size + len(call.json) > BATCH_BYTES or len(batch) >= BATCH_CALLS):
            yield batch
            batch, size = [], 0
        while (ahead := due - now()) > 0:
            sleep(min(ahead, 60.0))
        batch.append(call)
        size += len(call.json) + 1
    if batch:
        yield batch


def _refusal(answer: httpx.Response) -> Refused:
    problem: dict[str, Any] = {}
    try:
        problem = msgspec.json.decode(answer.content, type=dict[str, Any])
    except msgspec.DecodeError:
        problem["detail"] = answer.text[:200]
    detail = str(problem.get("detail") or problem.get("title") or "it says no more")
    return Refused(
        f"the server answered {answer.status_code}: {detail}",
        code="TF443",
        field=str(problem.get("field", "")),
        hint=str(problem.get("hint", "")),
    )
