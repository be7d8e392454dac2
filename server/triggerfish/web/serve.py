"""uvicorn runs the application: on a socket that is bound already, with limits on time, size and number."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn
from litestar import Litestar
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

REQUEST_SECONDS = 30.0
"""How long a request may take to arrive, head and body, before its connection is closed."""

LARGEST_HEAD = 32 * 1024
"""Bytes that a request line and its headers may have."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; `port` 0 lets the system choose (`getsockname()[1]`). Raises OSError when it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)


def make_server(app: Litestar, *, connections: int = 1_000, keep_alive_seconds: int = 15) -> uvicorn.Server:
    """A uvicorn server for `app`; `serve_app` runs it, tests may run it in a thread.

    At most `connections` at a time; those beyond get 503. A request that does not arrive in REQUEST_SECONDS, or whose
    head is larger than LARGEST_HEAD, loses its connection.
    """
    return uvicorn.Server(
        uvicorn.Config(
            app,
            loop="uvloop",
            http=PatientProtocol,
            ws="none",
            lifespan="on",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=connections,
            timeout_keep_alive=keep_alive_seconds,
            timeout_graceful_shutdown=10,
        )
    )


def serve_app(app: Litestar, sock: socket.socket, **limits: Any) -> None:
    """Serve `app` on a bound socket until SIGTERM or SIGINT; requests under way are answered first."""
    make_server(app, **limits).run(sockets=[sock])


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 with a deadline for each request and a bound on its head; uvicorn itself waits for ever."""

    _deadline: asyncio.TimerHandle | None = None
    _is_whole = False
    _has_head = False
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_whole or self.transport.is_closing():
            return
        if self._deadline is None:
            self._start_waiting()
        if not self._has_head:
            self._head_bytes += len(data)
            if self._head_bytes > LARGEST_HEAD:
                self._turn_away(b"431 Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_whole = self._has_head = False
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        self._has_head = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._is_whole = True
        self._stop_waiting()
        super().on_message_complete()

    def _start_waiting(self) -> None:
        self._deadline = self.loop.call_later(REQUEST_SECONDS, self._turn_away, b"408 Request Timeout")

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _turn_away(self, status: bytes) -> None:
        """Say why, unless an answer is under way, and close."""
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        self.transport.close()
