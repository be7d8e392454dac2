"""A mail provider with an HTTP API like Resend's, on this machine: it keeps what it accepted, delivers an
Idempotency-Key once, and misbehaves as it is told. Real HTTP over a real socket; only the company behind it is missing.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """How to answer one request. `takes` says whether the message is delivered all the same; `seconds` how long the
    answer takes; without `status` the connection is closed without a word.
    """

    status: int | None = 200
    body: Mapping[str, Any] = MappingProxyType({})
    headers: Mapping[str, str] = MappingProxyType({})
    takes: bool = False
    seconds: float = 0.0


class RecordingEsp(ThreadingHTTPServer):
    """`accepted` are the bodies of delivered messages in order, `asked` all requests' keys. `answers` are used up
    first; after that everything is accepted. Being context-managed, it runs in a thread of its own.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, api_key: str = "re_test_key") -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.api_key = api_key
        self.accepted: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.answers: list[Answer] = []
        self.keys: dict[str, tuple[str, bytes]] = {}
        self.lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def deliveries(self) -> Counter[str]:
        """How often each send was delivered, by its id."""
        return Counter(tag["value"] for body in self.accepted for tag in body.get("tags", []) if tag["name"] == "send")

    def __enter__(self) -> RecordingEsp:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def take(self, key: str, raw: bytes) -> tuple[int, dict[str, Any]]:
        """Deliver a message, once for each key."""
        with self.lock:
            known = self.keys.get(key) if key else None
            if known is not None:
                if known[1] != raw:
                    return 409, {"name": "invalid_idempotent_request", "message": "the key was used for another body"}
                return 200, {"id": known[0]}
            identifier = f"esp-{len(self.accepted)}"
            self.accepted.append(json.loads(raw))
            if key:
                self.keys[key] = (identifier, raw)
            return 200, {"id": identifier}


class _Answering(BaseHTTPRequestHandler):
    server: RecordingEsp
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        key = self.headers.get("idempotency-key", "")
        if self.path != "/emails" or self.headers.get("authorization") != f"Bearer {self.server.api_key}":
            return self._say(401, {"name": "missing_api_key", "message": "API key is invalid"})
        with self.server.lock:
            self.server.asked.append(key)
            answer = self.server.answers.pop(0) if self.server.answers else None
        if answer is None:
            return self._say(*self.server.take(key, raw))
        if answer.takes:
            self.server.take(key, raw)
        time.sleep(answer.seconds)
        if answer.status is None:
            self.close_connection = True
            return None
        with contextlib.suppress(ConnectionError):  # who asked has gone: it took too long
            self._say(answer.status, answer.body, answer.headers)
        return None

    def _say(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        written = json.dumps(dict(body)).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(written)))
        self.end_headers()
        self.wfile.write(written)

    def log_message(self, *_: object) -> None:
        """Nothing: pytest shows what failed."""
