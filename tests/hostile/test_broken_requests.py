"""Requests that are broken, lie about themselves or are far too large: refused at once, and nothing grows."""

from __future__ import annotations

import gzip
import json
import socket
import zlib

import pytest

from hostile.watching import faults_in, memory_of
from hostile.wire import EVENT, answers_to, bomb, connected, is_whole, request, seconds_until_closed, statuses_in
from running import identify

MB = 1024 * 1024
GZIP = "Content-Encoding: gzip"
CHUNKED = "Transfer-Encoding: chunked"


@pytest.fixture(autouse=True)
def nothing_grows(server):
    """Around each test: the api answers as before, holds no more memory than a little, and has not failed once."""
    server.take(identify("warm", name="Ana"))
    pid = server.child("api")
    before = memory_of(pid)
    yield
    server.take(identify("warm", name="Ana"))
    assert server.child("api") == pid
    assert memory_of(pid) < before + 32 * MB
    assert not faults_in(server.said())


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in chunks) + b"0\r\n\r\n"


BODIES = {
    "a bomb of 100 MB in 100 KB": (413, bomb(100 * MB)[: 30 * 1024]),
    "a whole bomb of 20 MB": (413, bomb(20 * MB)),
    "a bomb in a bomb": (400, gzip.compress(bomb(20 * MB))),
    "members without end": (400, gzip.compress(b"") * 1_000),
    "members that add up": (413, gzip.compress(b" " * 8_192) * 12),
    "cut off": (400, gzip.compress(EVENT)[:-9]),
    "no gzip": (400, EVENT),
    "deflate": (400, zlib.compress(EVENT)),
    "raw deflate": (400, zlib.compress(EVENT)[2:-4]),
    "a wrong checksum": (400, gzip.compress(EVENT)[:-8] + b"\0" * 8),
    "rubbish after it": (400, gzip.compress(EVENT) + b"rubbish"),
    "an empty member": (400, gzip.compress(b"")),
    "nothing": (400, b""),
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("path", ["/v1/track", "/v1/consent"])
def test_a_gzip_bomb_or_broken_gzip_is_refused(server, name, path):
    status, body = BODIES[name]
    assert answers_to(server, request(body, GZIP, path=path))[0] == [status]


def test_a_bomb_is_never_inflated(server):
    """A thousandth of what it would be, to every path that inflates."""
    body = bomb(64 * MB)
    for path in ("/v1/batch", "/v1/reports", "/v1/hooks/nobody"):
        statuses, came = answers_to(server, request(body, GZIP, path=path))
        assert statuses in ([413], [404]), came


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "x-gzip", "compress", "\xff"])
def test_another_encoding_is_refused(server, encoding):
    assert answers_to(server, request(EVENT, f"Content-Encoding: {encoding}"))[0] == [415]


LENGTHS = {
    "chunked": ([200], request(chunked(EVENT[:9], EVENT[9:]), CHUNKED)),
    "a chunk at a time": ([200], request(chunked(*(EVENT[i : i + 1] for i in range(len(EVENT)))), CHUNKED)),
    "neither length nor chunks": ([400], request(b"", "Content-Length: 0")),
    "the sum of chunks is too large": ([413], request(chunked(*([b" " * 4_096] * 9)), CHUNKED)),
    "a chunk of 8 exabytes": ([400], request(b"7fffffffffffffff0\r\n{", CHUNKED)),
    "a chunk beyond 64 bits": ([400], request(b"f" * 40 + b"\r\n{", CHUNKED)),
    "a negative chunk": ([400], request(b"-1\r\n{", CHUNKED)),
    "a chunk that is longer than it says": ([400], request(b"2\r\n{}}}\r\n0\r\n\r\n", CHUNKED)),
    "a length that is none": ([400], request(EVENT, "Content-Length: ten")),
    "a negative length": ([400], request(EVENT, "Content-Length: -1")),
    "a length with a sign": ([400], request(EVENT, f"Content-Length: +{len(EVENT)}")),
    "a length of 10 GB": ([413], request(EVENT, "Content-Length: 10000000000")),
    "a length beyond 64 bits": ([400], request(EVENT, "Content-Length: 99999999999999999999999")),
    "two lengths": ([400], request(EVENT, f"Content-Length: {len(EVENT)}", "Content-Length: 5")),
    "the same length twice": ([400], request(EVENT, *[f"Content-Length: {len(EVENT)}"] * 2)),
    "a length and chunks": ([400], request(chunked(EVENT), f"Content-Length: {len(EVENT)}", CHUNKED)),
    "chunks and a length": ([400], request(chunked(EVENT), CHUNKED, "Content-Length: 4")),
    "chunks that are not last": ([400], request(chunked(EVENT), "Transfer-Encoding: chunked, identity")),
    "an unknown transfer": ([400], request(chunked(EVENT), "Transfer-Encoding: xchunked")),
    "chunks behind a blank": ([400], request(chunked(EVENT), "Transfer-Encoding : chunked")),
    "chunks on a folded line": ([400], request(chunked(EVENT), "X: y\r\n Transfer-Encoding: chunked", CHUNKED)),
    "a bare line feed": ([400], request(EVENT).replace(b"\r\n", b"\n")),
    "a bare carriage return": ([400], request(EVENT, "X: a\rContent-Length: 3")),
    "NUL in a header": ([400], request(EVENT, "X: a\0b")),
    "NUL in the path": ([400], request(EVENT, path="/v1/tr\0ack")),
    "a blank in the path": ([400], request(EVENT, path="/v1/ track")),
    "no such protocol": ([400], b"GET / HTTP/9.9\r\n\r\n"),
    "TLS": ([400], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200)),
    "HTTP/2": ([400], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "rubbish": ([400], bytes(range(256)) * 20),
    "a path that is no ASCII": ([400], "GET /ü HTTP/1.1\r\nHost: a\r\n\r\n".encode()),
    "a path that is broken UTF-8": ([404], b"GET /%ff%fe HTTP/1.1\r\nHost: a\r\n\r\n"),
    "another's address": ([404], b"GET http://elsewhere.example/healthz/x HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a tunnel": ([400], b"CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: a\r\n\r\n"),
    "HTTP/1.0": ([200], b"GET /healthz HTTP/1.0\r\n\r\n"),
    "a socket instead": ([200], b"GET /healthz HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
}


@pytest.mark.parametrize("name", LENGTHS)
def test_a_request_that_lies_about_itself_is_one_answer_and_never_two(server, name):
    """The second request of a smuggler would be answered as well: one answer, or a 400 that closes."""
    wanted, sent = LENGTHS[name]
    statuses, came = answers_to(server, sent, timeout=5)
    assert statuses == wanted, came


@pytest.mark.parametrize(
    "between", [[CHUNKED, "Content-Length: 4"], ["Content-Length: 4", CHUNKED]], ids=["TE.CL", "CL.TE"]
)
def test_no_second_request_can_be_smuggled(server, between):
    hidden = request(b"", path="/healthz", method="GET")
    statuses, came = answers_to(server, request(b"0\r\n\r\n" + hidden, *between), timeout=3)
    assert statuses == [400], came


LARGE_HEADS = {
    "a header of 1 MB": request(EVENT, "X: " + "a" * MB),
    "a header of 40 KB": request(EVENT, "X: " + "a" * 40_000),
    "10,000 headers": request(EVENT, *[f"X-{number}: a" for number in range(10_000)]),
    "a path of 64 KB": request(EVENT, path="/v1/" + "a" * 65_536),
    "a query of 1 MB": request(EVENT, path="/v1/status?" + "a=b&" * 250_000, method="GET"),
    "a method of 100 KB": b"G" * 100_000,
}


@pytest.mark.parametrize("name", LARGE_HEADS)
def test_a_head_that_is_too_large_is_refused(server, name):
    statuses, _ = answers_to(server, LARGE_HEADS[name])
    assert statuses in ([431], [400])


def test_a_head_of_30_kb_is_none_too_large(server):
    assert answers_to(server, request(EVENT, "X: " + "a" * 30_000))[0] == [200]


def test_requests_in_one_go_are_answered_in_their_order_and_not_without_end(server):
    good = request(EVENT)
    statuses, _ = answers_to(server, good * 20, answers=20)
    assert statuses == [200] * 20
    mixed = request(EVENT) + request(b"{") + request(b"", path="/healthz", method="GET") + b"rubbish\r\n\r\n"
    with connected(server) as connection:
        connection.sendall(mixed)
        came = b""
        while part := connection.recv(65_536):
            came += part
    # What came before the rubbish is answered first, or nothing is: a 400 there would be the first one's answer.
    assert statuses_in(came) in ([], [200], [200, 400], [200, 400, 200]), came
    with connected(server) as connection:
        connection.sendall(request(b"", path="/schema", method="GET") * 2_000)
        assert seconds_until_closed(connection, 15) is not None


def test_an_answer_that_comes_before_the_body_ends_the_connection_in_time(server):
    """Refused for its length, a client goes on sending: nothing of that is kept."""
    with connected(server) as connection:
        connection.sendall(request(b"", "Content-Length: 100000000"))
        assert b" 413 " in connection.recv(65_536)
        try:
            for _ in range(50):
                connection.sendall(bytes(MB))
        except (ConnectionError, TimeoutError):
            return
        # All of it was read and dropped; the server still answers others (nothing_grows).


def test_who_says_what_is_to_come_and_goes_leaves_nothing(server):
    for cut in (10, 60, 150, 200):
        for _ in range(50):
            with connected(server) as connection:
                connection.sendall(request(EVENT)[:cut])
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def test_every_refusal_is_a_problem_with_a_reason(server):
    for sent in (request(EVENT, "Content-Length: ten"), LARGE_HEADS["a header of 40 KB"], request(b"{")):
        _, came = answers_to(server, sent)
        head, _, body = came.partition(b"\r\n\r\n")
        assert b"content-type: application/problem+json" in head.lower()
        assert is_whole(came)
        assert json.loads(body)["detail"]
