"""The tracking paths' own way through the server: past Litestar, with an answer that is written in one go."""

from __future__ import annotations

import json
import re
import socket
from base64 import b64encode
from contextlib import contextmanager

import pytest

from running import wait_until
from sdks.harness import running
from triggerfish import meters
from triggerfish.adapters.memory import MemoryEventLog
from triggerfish.clock import WallClock
from triggerfish.errors import Busy
from triggerfish.walk import FrontDoor
from triggerfish.web import bodies
from triggerfish.web.app import build_app
from triggerfish.web.serve import bind, make_server

KEY = "a-write-key"
BODY = json.dumps({"userId": "ana", "event": "ping"}).encode()
PROOF = b64encode(f"{KEY}:".encode())


@contextmanager
def server(log):
    front = FrontDoor(
        log=log, clock=WallClock(), ring=lambda: None, write_keys=frozenset({KEY}), admin_key="an-admin-key"
    )
    sock = bind("127.0.0.1", 0)
    port = sock.getsockname()[1]
    with running(make_server(build_app(front)), sock):
        yield port


@pytest.fixture(scope="module")
def port():
    with server(MemoryEventLog()) as port:
        yield port


def request(path: bytes = b"/v1/track", more: bytes = b"", version: bytes = b"1.1", body: bytes = BODY) -> bytes:
    return b"POST %s HTTP/%s\r\nhost: x\r\nauthorization: Basic %s\r\ncontent-length: %d\r\n%s\r\n%s" % (
        path, version, PROOF, len(body), more, body,
    )  # fmt: skip


def answers(port: int, *sent: bytes, until_closed: bool = False) -> bytes:
    """What comes back for all that is sent at once: as many answers as requests, or all until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(b"".join(sent))
        got = b""
        while until_closed or got.count(b'{"success": true}') < len(sent):
            part = client.recv(65_536)
            if not part:
                assert until_closed, got
                break
            got += part
        return got


STORED = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 17\r\n"
    b"access-control-allow-origin: *\r\naccess-control-expose-headers: Retry-After\r\n\r\n"
    b'{"success": true}'
)


def test_an_answer_is_the_same_to_the_byte_every_time(port):
    assert answers(port, request(), request(), request()) == STORED * 3


@pytest.mark.parametrize(
    ("more", "version"), [(b"connection: close\r\n", b"1.1"), (b"", b"1.0")], ids=["close", "HTTP/1.0"]
)
def test_who_wants_the_connection_closed_is_told_that_it_is(port, more, version):
    answer = answers(port, request(more=more, version=version), until_closed=True)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nconnection: close\r\n" in answer
    assert answer.endswith(b'\r\n\r\n{"success": true}')


def test_who_expects_a_go_ahead_gets_it_before_the_answer(port):
    answer = answers(port, request(more=b"expect: 100-continue\r\n"))
    assert answer == b"HTTP/1.1 100 Continue\r\n\r\n" + STORED


def test_a_slash_at_the_end_takes_the_long_way_to_the_same_answer(port):
    assert answers(port, request(b"/v1/track/")) == STORED


def test_a_fault_of_ours_is_counted_and_a_problem_without_its_details(caplog):
    class Broken(MemoryEventLog):
        async def append(self, arrivals, aside=()):
            raise ZeroDivisionError("a secret of ours")

    def faults():
        return sum(sum(cell[:-1]) for labels, cell in meters.HTTP_REQUESTS.shown() if labels == ("/v1/track", "500"))

    before = faults()
    with server(Broken()) as port:
        answer = answers(port, request(more=b"connection: close\r\n"), until_closed=True)
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"application/problem+json" in answer
    assert b'"code":"TF000"' in answer
    assert b"secret" not in answer
    assert "answered 500" in caplog.text
    assert faults() == before + 1


def test_a_body_is_not_read_when_the_log_has_no_room():
    class Full(MemoryEventLog):
        def check_room(self):
            raise Busy("20000 events wait for the disk already")

    with server(Full()) as port:
        answer = answers(port, request(more=b"connection: close\r\n", body=b"no JSON"), until_closed=True)
    assert answer.startswith(b"HTTP/1.1 429 ")
    assert b"\r\nretry-after: 1\r\n" in answer


def test_half_a_body_is_refused_when_too_much_is_half_here_already(port, monkeypatch):
    monkeypatch.setattr(bodies, "FEW_ARRIVING", 1_000)
    whole = request(b"/v1/batch", body=b'{"batch": []}' + b" " * 5_000)

    def begun():
        client = socket.create_connection(("127.0.0.1", port), timeout=20)
        client.sendall(whole[:-4_400])
        return client

    with begun() as first:
        wait_until(lambda: bodies._Arriving.bytes > 500, "the first half")
        with begun() as second:
            refused = second.recv(65_536)
        assert refused.startswith(b"HTTP/1.1 429 ")
        assert re.search(rb"\r\nretry-after: [1-3]\r\n", refused)
        # One that comes whole is taken all the same, and so is the other half.
        assert answers(port, request()) == STORED
        first.sendall(whole[-4_400:])
        assert first.recv(65_536) == STORED
    assert bodies._Arriving.bytes == 0
    with begun() as third:
        third.sendall(whole[-4_400:])
        assert third.recv(65_536) == STORED
