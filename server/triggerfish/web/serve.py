"""uvicorn runs the application: on a socket that is bound already, with limits on time, size and number."""

from __future__ import annotations

import asyncio
import gc
import resource
import socket
from array import array
from contextlib import suppress
from fcntl import ioctl
from functools import partial
from http import HTTPStatus
from itertools import islice
from termios import FIONREAD
from typing import Any, cast

import httptools
import msgspec
import uvicorn
from litestar import Litestar
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from triggerfish.web.metered import Metered

REQUEST_SECONDS = 30.0
"""How long a request may take to arrive, head and body, before its connection is closed."""

ANSWER_SECONDS = 30.0
"""How long a client may take to read an answer that is ready, before its connection is cut."""

LARGEST_HEAD = 32 * 1024
"""Bytes that a request line and its headers may have."""

LONGEST_PIPELINE = 32
"""Requests that may wait on one connection for the answer to the one before."""

GRACE_SECONDS = 2.0
"""How long a connection may wait for its client before it is closed for the sake of others."""

SPARE_FILES = 128
"""Open files that the process needs beside its connections."""

COLLECT_AFTER = (20_000, 20, 100)
"""New objects after which Python looks for cycles among them; how many such looks before it looks among older ones."""

RETRY_SECONDS = 2
"""When to come back, for who finds every connection taken."""
_COME_BACK = b"retry-after: %d\r\n" % RETRY_SECONDS


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; `port` 0 lets the system choose (`getsockname()[1]`). Raises OSError when it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)


def make_server(app: Litestar, *, connections: int = 1_000, keep_alive_seconds: int = 15) -> uvicorn.Server:
    """A uvicorn server for `app`; `serve_app` runs it, tests may run it in a thread.

    At most `connections` at a time, fewer where the system allows fewer open files. For one beyond those, the one that
    has waited longest for its client is closed, if that is longer than GRACE_SECONDS: a request that does not get on,
    or none at all. Otherwise the new one gets 503. A request that does not arrive in REQUEST_SECONDS, an answer that is
    not read in ANSWER_SECONDS, a head larger than LARGEST_HEAD and a longer pipeline than LONGEST_PIPELINE lose their
    connection.
    """
    return uvicorn.Server(
        PatientConfig(
            app,
            connections=_room_for(connections),
            loop="uvloop",
            http=PatientProtocol,
            ws="none",
            lifespan="on",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=keep_alive_seconds,
            timeout_graceful_shutdown=10,
        )
    )


def serve_app(app: Litestar, sock: socket.socket, **limits: Any) -> None:
    """Serve `app` on a bound socket until SIGTERM or SIGINT; requests under way are answered first. The process must
    have nothing else to do.
    """
    collect_seldom()
    make_server(app, **limits).run(sockets=[sock])


def collect_seldom() -> None:
    """Let Python look for cycles less often in this process, and never again among what is there already.

    Events have no cycles, but a hundred of them are objects enough for a search; one through all that the process has
    loaded stops every request for tens of milliseconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def _room_for(connections: int) -> int:
    """How many connections this process may hold; its soft limit of open files is raised for them, if it can be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE_FILES
    if soft < wanted and soft != resource.RLIM_INFINITY:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return connections if soft == resource.RLIM_INFINITY else max(1, min(connections, soft - SPARE_FILES))


class PatientConfig(uvicorn.Config):
    """What one server's protocols share. `waiting` are those whose client is to move, the longest waiting first."""

    def __init__(self, app: Litestar, *, connections: int, **settings: Any) -> None:
        super().__init__(Metered(app), **settings)
        self.most_connections = connections
        self.waiting: dict[PatientProtocol, None] = {}


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 with deadlines for requests and answers, and bounds on what a connection may hold; uvicorn
    itself waits for ever.
    """

    waits_since = 0.0
    _deadline: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None
    _is_whole = False
    _has_head = False
    _head_bytes = 0
    _arrived = 0

    # --- connections ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        config = cast(PatientConfig, self.config)
        if len(self.connections) > config.most_connections:
            slow = self._slowest()
            if slow is None:
                self._turn_away(503, "every connection is taken", _COME_BACK)
                return
            slow.give_way()
        self.waits_since = self.loop.time()
        config.waiting[self] = None
        self._start_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        if self._reading is not None:
            self._reading.cancel()
        cast(PatientConfig, self.config).waiting.pop(self, None)
        super().connection_lost(exc)

    def _slowest(self) -> PatientProtocol | None:
        """The connection that has waited longest for its client, if there is one that has waited long. Those where
        something has come that this process had no time to read are not waiting for their client.
        """
        for each in islice(cast(PatientConfig, self.config).waiting, 16):
            if self.loop.time() - each.waits_since < GRACE_SECONDS:
                return None
            if not each.has_unread():
                return each
        return None

    def has_unread(self) -> bool:
        """Whether the kernel holds bytes of the client that have not been read."""
        unread = array("i", [0])
        with suppress(OSError):
            ioctl(self.transport.get_extra_info("socket").fileno(), FIONREAD, unread)
        return unread[0] > 0

    def give_way(self) -> None:
        """Make room for somebody else: this client has kept us waiting longest."""
        cast(PatientConfig, self.config).waiting.pop(self, None)
        self.connections.discard(self)
        self._stop_waiting()
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        elif (self._head_bytes or self._has_head) and not self._is_whole:
            self._turn_away(503, "others needed this connection", _COME_BACK)
        else:
            # No word to who has asked nothing: it would be taken for the answer to what is on its way just now.
            self.transport.close()

    # --- requests ---

    def data_received(self, data: bytes) -> None:
        self._arrived = len(data)
        super().data_received(data)
        if self._is_whole or self.transport.is_closing():
            return
        if self._deadline is None:
            self._start_waiting()
        if not self._has_head:
            self._head_bytes += len(data)
            if self._head_bytes > LARGEST_HEAD:
                self._refuse_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_whole = self._has_head = False
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        self._has_head = True
        # What came at once has not been counted yet.
        if self._arrived > LARGEST_HEAD:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > LARGEST_HEAD:
                self._refuse_head()
        if len(self.pipeline) >= LONGEST_PIPELINE:
            self.transport.close()
        if self.transport.is_closing():
            raise httptools.HttpParserError("the connection is closed")
        super().on_headers_complete()
        cast(dict[str, Any], self.scope)["answer"] = partial(self._answer, self.cycle)

    def on_message_complete(self) -> None:
        self._is_whole = True
        self._stop_waiting()
        cast(PatientConfig, self.config).waiting.pop(self, None)
        super().on_message_complete()

    def _start_waiting(self) -> None:
        self._deadline = self.loop.call_later(
            REQUEST_SECONDS, self._turn_away, 408, f"the request did not arrive within {REQUEST_SECONDS:g} s"
        )

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    # --- answers ---

    def _answer(self, cycle: RequestResponseCycle, whole: bytes) -> bool:
        """Write an answer that stands there whole, in one go: uvicorn takes a system call for its head and one for its
        body. Returns False when it is to take the usual way.
        """
        if cycle.response_started or cycle.disconnected or not cycle.keep_alive or self.flow.write_paused:
            return False
        cycle.response_started = cycle.response_complete = True
        self.transport.write(whole)
        cycle.message_event.set()
        cycle.on_response()
        return True

    def on_response_complete(self) -> None:
        is_last = not self.pipeline
        super().on_response_complete()
        if is_last and not self.transport.is_closing():
            self.waits_since = self.loop.time()
            cast(PatientConfig, self.config).waiting.setdefault(self)
        is_read = not self.transport.get_write_buffer_size()
        if is_read and self._reading is not None:
            self._reading.cancel()
            self._reading = None
        elif not is_read and self._reading is None:
            self._reading = self.loop.call_later(ANSWER_SECONDS, self._cut)

    def _cut(self) -> None:
        """End a connection whose client does not read what it asked for."""
        self._reading = None
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    # --- refusals before there is a request ---

    def send_400_response(self, msg: str) -> None:
        self._turn_away(400, "the request is no HTTP/1.1 that can be read")

    def _refuse_head(self) -> None:
        self._turn_away(431, f"the request line and headers are larger than {LARGEST_HEAD // 1024} KB")

    def _turn_away(self, status: int, detail: str, more_headers: bytes = b"") -> None:
        """Say why, unless an answer is under way, and close."""
        if self.transport.is_closing():
            return
        asked = self.cycle
        if asked is not None and not asked.response_started:
            # Who works on what has come of the request is told that its client is gone.
            asked.disconnected = True
            asked.message_event.set()
        if asked is None or asked.response_complete or not (asked.response_started or self.pipeline):
            title = HTTPStatus(status).phrase
            problem = {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": "TF100"}
            body = msgspec.json.encode(problem)
            self.transport.write(
                b"HTTP/1.1 %d %s\r\ncontent-type: application/problem+json\r\ncontent-length: %d\r\n%s"
                b"connection: close\r\n\r\n%s" % (status, title.encode(), len(body), more_headers, body)
            )
        self.transport.close()
        if self.transport.get_write_buffer_size() and self._reading is None:
            self._reading = self.loop.call_later(ANSWER_SECONDS, self._cut)
