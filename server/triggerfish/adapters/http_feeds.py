"""Feeds over HTTP: JSON from the public internet, fetched once for all who want it at the same time, and kept for as
long as the template allows. httpcore, because it lets us choose the address that a connection goes to (public_net.py).
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Collection
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

import httpcore
import msgspec

from triggerfish.adapters.public_net import NotPublic, PublicNetwork
from triggerfish.clock import SECOND, Clock, Instant
from triggerfish.feeds import Fetched, Wanted

CACHE_BYTES = 64 * 1024 * 1024
"""Bytes of JSON that stand for what is kept; decoded it takes a few times as much."""
CACHE_ENTRIES = 10_000
CONNECTIONS = 20
REDIRECTS = 3
LONGEST_URL = 2_048
FAILED_FOR = 10 * SECOND
"""For so long an address that failed is not asked again: a slow server must not hold up every batch."""
SILENT_AFTER = 3
"""Time-outs of one host in one batch after which the batch's other addresses there are not asked any more."""

_HEADERS = [
    ("Accept", "application/json"),
    # An answer that grows when it is unpacked could be any size.
    ("Accept-Encoding", "identity"),
    ("User-Agent", "Triggerfish"),
]
_MOVED = frozenset({301, 302, 303, 307, 308})


class _Kept(NamedTuple):
    fetched: Fetched
    until: Instant
    size: int


class _Refused(Exception):
    """Nothing comes of this feed; the text says why."""


class HttpFeeds:
    """A `Feeds` (feeds.py). `trusted_hosts` may be inside our own network; no other host may. To be closed."""

    def __init__(self, clock: Clock, trusted_hosts: Collection[str] = ()) -> None:
        self._clock = clock
        self._trusted = frozenset(trusted_hosts)
        self._pool = httpcore.AsyncConnectionPool(
            max_connections=CONNECTIONS,
            max_keepalive_connections=CONNECTIONS,
            keepalive_expiry=30.0,
            network_backend=PublicNetwork(trusted_hosts),
        )
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes = 0
        self._places = asyncio.Semaphore(CONNECTIONS)

    async def close(self) -> None:
        await self._pool.aclose()

    async def fetch(self, wanted: Collection[Wanted]) -> dict[str, Fetched]:
        now = self._clock.now()
        found: dict[str, Fetched] = {}
        missing: dict[str, Wanted] = {}
        for each in wanted:
            kept = self._kept.get(each.url)
            if kept is not None and now < kept.until:
                self._kept.move_to_end(each.url)
                found[each.url] = kept.fetched
            else:
                missing[each.url] = each
        silences: Counter[str] = Counter()
        answers = await asyncio.gather(*(self._fetch_one(each, silences) for each in missing.values()))
        for each, (fetched, size) in zip(missing.values(), answers, strict=True):
            found[each.url] = fetched
            until = now + (FAILED_FOR if fetched.error else each.lifetime)
            self._keep(each.url, _Kept(fetched, until, len(each.url) + size))
        return found

    def _keep(self, url: str, kept: _Kept) -> None:
        former = self._kept.pop(url, None)
        self._bytes += kept.size - (former.size if former else 0)
        self._kept[url] = kept
        while len(self._kept) > CACHE_ENTRIES or self._bytes > CACHE_BYTES:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= dropped.size

    async def _fetch_one(self, wanted: Wanted, silences: Counter[str]) -> tuple[Fetched, int]:
        """What came, and how many bytes it had. To stand in line behind others of a large batch is not counted as time
        of the server's; `silences` are the time-outs of this batch by host.
        """
        host = wanted.url.partition("://")[2].partition("/")[0]
        error = f"no answer within {wanted.timeout / SECOND:g} seconds"
        try:
            async with self._places:
                if silences[host] >= SILENT_AFTER:
                    return Fetched(error="its server does not answer"), 0
                async with asyncio.timeout(wanted.timeout / SECOND):
                    body = await self._follow(wanted)
            return Fetched(msgspec.json.decode(body)), len(body)
        except TimeoutError:
            silences[host] += 1
        except _Refused as refused:
            error = str(refused)
        except NotPublic as refused:
            error = str(refused)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            error = "the answer is no JSON"
        except (
            httpcore.NetworkError,
            httpcore.ProtocolError,
            httpcore.TimeoutException,
            OSError,
            ValueError,
        ) as failed:
            error = f"it cannot be reached: {type(failed).__name__}"
        return Fetched(error=error), 0

    async def _follow(self, wanted: Wanted) -> bytes:
        """The body at the end of the redirects. Raises _Refused, and httpcore's errors."""
        url = wanted.url
        for _ in range(REDIRECTS + 1):
            answer = await self._ask(url, wanted.largest)
            if isinstance(answer, bytes):
                return answer
            further = urljoin(url, answer.location)
            if urlsplit(url).scheme == "https" and urlsplit(further).scheme != "https":
                raise _Refused("it leads from https to another scheme")
            if self._is_trusted(further) and not self._is_trusted(url):
                raise _Refused("it leads from elsewhere to a host of our own network")
            url = further
        raise _Refused(f"it redirects more than {REDIRECTS} times")

    def _is_trusted(self, url: str) -> bool:
        return (urlsplit(url).hostname or "") in self._trusted

    async def _ask(self, url: str, largest: int) -> bytes | _Elsewhere:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or len(url) > LONGEST_URL or not url.isascii():
            raise _Refused("its address is no web address")
        if parts.username is not None or parts.password is not None:
            raise _Refused("its address holds a user name")
        async with self._pool.stream("GET", url, headers=_HEADERS) as response:
            headers = {name.lower(): value for name, value in response.headers}
            if response.status in _MOVED and b"location" in headers:
                return _Elsewhere(headers[b"location"].decode("ascii", "replace"))
            if response.status != 200:
                raise _Refused(f"it answers {response.status}")
            if headers.get(b"content-encoding", b"identity").lower() != b"identity":
                raise _Refused("its answer is packed, which was not asked for")
            body = b""
            async for chunk in response.aiter_stream():
                body += chunk
                if len(body) > largest:
                    raise _Refused(f"its answer has more than {largest:,} bytes")
            return body


class _Elsewhere(NamedTuple):
    location: str
