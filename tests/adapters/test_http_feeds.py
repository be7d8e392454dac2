"""Feeds over HTTP: from a real server on this machine, which the operator trusts; and all that must not be reached."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggerfish.adapters import http_feeds
from triggerfish.adapters.http_feeds import FAILED_FOR, HttpFeeds
from triggerfish.adapters.public_net import is_public
from triggerfish.clock import SECOND
from triggerfish.feeds import Fetched, Wanted
from worlds import NOON

Answer = Callable[[str, asyncio.StreamWriter], Awaitable[None]]


class SetClock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> int:
        return self.at


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[tuple[str, list[str]]]:
    """A server on 127.0.0.1: its address, and the paths that it was asked for."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode()
            asked.append(path)
            await answer(path, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked


def said(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def weather(path: str, writer: asyncio.StreamWriter) -> None:
    writer.write(said("200 OK", json.dumps({"path": path, "temp": 21}).encode()))


@asynccontextmanager
async def fetching(clock: SetClock | None = None, *trusted: str) -> AsyncIterator[HttpFeeds]:
    feeds = HttpFeeds(clock or SetClock(), trusted)
    try:
        yield feeds
    finally:
        await feeds.close()


def wanted(url: str, *, timeout: int = 2 * SECOND, lifetime: int = 60 * SECOND, largest: int = 10_000) -> Wanted:
    return Wanted(url, timeout, lifetime, largest)


async def error_of(feeds: HttpFeeds, url: str, **more: int) -> str:
    return (await feeds.fetch([wanted(url, **more)]))[url].error


async def test_json_is_fetched_and_kept_for_its_lifetime_and_no_longer() -> None:
    clock = SetClock()
    async with serving(weather) as (url, asked), fetching(clock, "127.0.0.1") as feeds:
        first = await feeds.fetch([wanted(f"{url}/lisbon")])
        assert first == {f"{url}/lisbon": Fetched({"path": "/lisbon", "temp": 21})}
        clock.at += 60 * SECOND - 1
        assert await feeds.fetch([wanted(f"{url}/lisbon")]) == first
        assert asked == ["/lisbon"]
        clock.at += 1
        await feeds.fetch([wanted(f"{url}/lisbon")])
        assert asked == ["/lisbon", "/lisbon"]


async def test_all_who_want_the_same_address_in_one_batch_share_one_request() -> None:
    async with serving(weather) as (url, asked), fetching(None, "127.0.0.1") as feeds:
        found = await feeds.fetch([wanted(f"{url}/{city}") for city in ("a", "b", "a", "a")])
        assert len(found) == 2
        assert sorted(asked) == ["/a", "/b"]


async def test_a_server_that_does_not_answer_costs_its_time_out_once() -> None:
    clock, waits = SetClock(), asyncio.Event()

    async def silent(path: str, writer: asyncio.StreamWriter) -> None:
        await waits.wait()

    async with serving(silent) as (url, asked), fetching(clock, "127.0.0.1") as feeds:
        assert await error_of(feeds, f"{url}/", timeout=100) == "no answer within 0.1 seconds"
        assert await error_of(feeds, f"{url}/", timeout=100) == "no answer within 0.1 seconds"
        assert len(asked) == 1
        clock.at += FAILED_FOR
        await error_of(feeds, f"{url}/", timeout=100)
        assert len(asked) == 2
        waits.set()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (said("500 Oops"), "it answers 500"),
        (said("204 No Content"), "it answers 204"),
        (said("200 OK", b"<html>"), "the answer is no JSON"),
        (said("200 OK", b"[" * 5_000), "the answer is no JSON"),
        (said("200 OK", b"\xff"), "the answer is no JSON"),
        (said("200 OK", b'"' + b"x" * 20_000 + b'"'), "its answer has more than 10,000 bytes"),
        (said("200 OK", b"\x1f\x8b", "Content-Encoding: gzip"), "its answer is packed, which was not asked for"),
        (b"SMTP ready\r\n", "it cannot be reached: RemoteProtocolError"),
        (said("302 Found", b"", "Location: /again"), "it redirects more than 3 times"),
        (said("302 Found", b"", "Location: file:///etc/passwd"), "its address is no web address"),
        (said("302 Found", b"", "Location: http://10.0.0.1/"), "10.0.0.1 is no address of the public internet"),
        (said("302 Found", b"", "Location: //localhost:1/"), "localhost is no address of the public internet"),
        (said("302 Found", b"", "Location: http://[::1]/"), "::1 is no address of the public internet"),
    ],
    ids=[
        "500",
        "204",
        "html",
        "deep",
        "binary",
        "large",
        "packed",
        "smtp",
        "circle",
        "file",
        "private",
        "localhost",
        "v6",
    ],
)
async def test_what_cannot_be_used_is_an_error_in_plain_words(answer: bytes, error: str) -> None:
    async def give(path: str, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    async with serving(give) as (url, _), fetching(None, "127.0.0.1") as feeds:
        assert await error_of(feeds, f"{url}/") == error


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.0.0.1", "0", "10.1.2.3", "192.168.0.1", "172.16.5.5",
     "169.254.169.254", "100.64.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:169.254.169.254]", "[fe80::1]",
     "[fd00::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::]", "224.0.0.1", "255.255.255.255"],
)  # fmt: skip
async def test_nothing_around_us_is_ever_asked(host: str) -> None:
    async with serving(weather) as (url, asked), fetching() as feeds:
        port = url.rpartition(":")[2]
        assert "is no address of the public internet" in await error_of(feeds, f"http://{host}:{port}/")
        assert asked == []


async def test_a_name_that_changes_its_address_after_the_check_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[str] = []

    async def rebinding(host: str, port: int, **_: object) -> list[object]:
        looked_up.append(host)
        address = "93.184.216.34" if len(looked_up) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    async with serving(weather) as (url, asked), fetching() as feeds:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", rebinding)
        error = await error_of(feeds, f"http://rebind.example:{url.rpartition(':')[2]}/", timeout=200)
        # The connection went to the address that was checked, which is not here.
        assert error in ("no answer within 0.2 seconds", "it cannot be reached: ConnectError")
        assert asked == []
        assert looked_up == ["rebind.example"]


@pytest.mark.parametrize(
    "url",
    ["ftp://example.com/", "javascript:alert(1)", "http:///x", "//example.com/", "http://ex\u00e4mple.com/", "",
     "http://example.com/" + "x" * 2_048],
    ids=["ftp", "script", "no-host", "no-scheme", "letters", "empty", "long"],
)  # fmt: skip
async def test_only_web_addresses_are_fetched(url: str) -> None:
    async with fetching() as feeds:
        assert await error_of(feeds, url) == "its address is no web address"


async def test_a_user_name_in_an_address_is_refused() -> None:
    async with fetching() as feeds:
        assert await error_of(feeds, "http://ana@example.com/") == "its address holds a user name"


async def test_only_who_is_trusted_leads_to_who_is_trusted() -> None:
    async def elsewhere(path: str, writer: asyncio.StreamWriter) -> None:
        port = writer.get_extra_info("sockname")[1]
        inner = f"http://{'127.0.0.1' if path == '/open' else 'localhost'}:{port}/inner"
        await weather(path, writer) if path == "/inner" else writer.write(said("302 Found", b"", f"Location: {inner}"))

    async with serving(elsewhere) as (url, asked), fetching(None, "127.0.0.1", "localhost") as feeds:
        assert await error_of(feeds, f"{url}/closed") == ""
        assert asked == ["/closed", "/inner"]
    async with serving(elsewhere) as (url, asked), fetching(None, "127.0.0.1") as feeds:
        assert await error_of(feeds, f"{url}/closed") == "localhost is no address of the public internet"
        # As a server out there, which says where to look inside.
        feeds._trusted = frozenset({"localhost"})
        assert await error_of(feeds, f"{url}/closed/") == "it leads from elsewhere to a host of our own network"
        assert asked == ["/closed", "/closed/"]


async def test_to_stand_in_line_is_not_the_servers_time() -> None:
    async def slow(path: str, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.15)
        await weather(path, writer)

    async with serving(slow) as (url, _), fetching(None, "127.0.0.1") as feeds:
        many = [wanted(f"{url}/{number}", timeout=SECOND // 2) for number in range(5 * http_feeds.CONNECTIONS)]
        assert [each.error for each in (await feeds.fetch(many)).values() if each.error] == []


async def test_a_silent_server_holds_up_a_large_batch_for_one_time_out() -> None:
    waits = asyncio.Event()

    async def silent(path: str, writer: asyncio.StreamWriter) -> None:
        await waits.wait()

    async with serving(silent) as (url, asked), fetching(None, "127.0.0.1") as feeds:
        many = [wanted(f"{url}/{number}", timeout=100) for number in range(10 * http_feeds.CONNECTIONS)]
        async with asyncio.timeout(0.9):  # one after another it were a second at the least
            found = await feeds.fetch(many)
        assert all(each.error for each in found.values())
        assert len(asked) < 3 * http_feeds.CONNECTIONS
        waits.set()


async def test_addresses_count_as_much_as_what_came_from_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_feeds, "CACHE_BYTES", 100_000)
    async with fetching() as feeds:
        for number in range(20):
            await error_of(feeds, f"https://shop.example/{number}{'x' * 50_000}")
        assert sum(len(url) for url in feeds._kept) <= 100_000


async def test_what_is_kept_is_bounded_by_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_feeds, "CACHE_BYTES", 120)
    async with serving(weather) as (url, asked), fetching(None, "127.0.0.1") as feeds:
        for path in ("/a", "/b", "/c", "/c", "/a"):
            await feeds.fetch([wanted(url + path)])
        assert asked == ["/a", "/b", "/c", "/a"]


@given(st.ip_addresses(v=4))
def test_an_address_hidden_in_another_one_is_as_public_as_it_is(address: object) -> None:
    number = int(address)  # type: ignore[call-overload]
    high, low = f"{number >> 16:x}", f"{number & 0xFFFF:x}"
    for hiding in (f"::ffff:{high}:{low}", f"64:ff9b::{high}:{low}", f"2002:{high}:{low}::1"):
        assert is_public(hiding) == is_public(str(address))
