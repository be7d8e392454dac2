"""Bytes to and from a server as an attacker's own socket sends and reads them."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from running import Running, write_key_header

AUTHORIZATION = write_key_header()["Authorization"]
EVENT = json.dumps({"userId": "wire", "event": "Sent"}).encode()


@contextlib.contextmanager
def connected(server: Running, *, timeout: float = 20) -> Iterator[socket.socket]:
    place = urlsplit(server.address)
    with socket.create_connection((place.hostname, place.port), timeout=timeout) as connection:
        yield connection


def request(
    body: bytes = EVENT, *headers: str, path: str = "/v1/track", method: str = "POST", key: bool = True
) -> bytes:
    """A request with a Content-Length, unless one of the headers says how long the body is."""
    lines = [f"{method} {path} HTTP/1.1", "Host: shop.example", *headers]
    if key:
        lines.append(f"Authorization: {AUTHORIZATION}")
    told = [each.partition(":")[0].lower() for each in headers]
    if not {"content-length", "transfer-encoding"} & set(told):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def answers_to(server: Running, sent: bytes, *, answers: int = 1, timeout: float = 20) -> tuple[list[int], bytes]:
    """The statuses that come back for these bytes, with all that came, until the server closes, has been still for
    `timeout` seconds or has answered so often. The write end stays open: nothing but the server ends it.
    """
    came = b""
    with connected(server, timeout=timeout) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(sent)
        with contextlib.suppress(ConnectionError, TimeoutError):
            while part := connection.recv(65_536):
                came += part
                if len(statuses_in(came)) >= answers and is_whole(came):
                    break
    return statuses_in(came), came


def is_whole(came: bytes) -> bool:
    """Whether what came ends with an answer that is there to its last byte."""
    rest = came
    while rest:
        head, found, body = rest.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        if not found or len(body) < length:
            return False
        rest = body[length:]
    return True


def statuses_in(came: bytes) -> list[int]:
    found = []
    rest = came
    while rest.startswith(b"HTTP/1.1 "):
        head, _, body = rest.partition(b"\r\n\r\n")
        found.append(int(head.split()[1]))
        lengths = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        rest = body[lengths[0] if lengths else 0 :]
    return found


def bomb(size: int) -> bytes:
    """gzip of `size` zeros: a thousandth of that."""
    return gzip.compress(bytes(size), 9)


def seconds_until_closed(connection: socket.socket, within: float) -> float | None:
    """How long the server takes to close this connection; None when it does not."""
    began = time.monotonic()
    connection.settimeout(within)
    try:
        while connection.recv(65_536):
            pass
    except ConnectionError:
        pass
    except TimeoutError:
        return None
    return time.monotonic() - began
