"""A server under test behind an interposer that refuses the first requests, as networks and busy servers do."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from running import WRITE_KEY, Running, serving, write_workspace
from triggerfish.adapters.sqlite.log import SqliteEventLog
from triggerfish.ingest import Event
from triggerfish.web.serve import bind

ROOT = Path(__file__).parents[2]
MODULES = ROOT / "tests" / "node" / "node_modules"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
RULES = {
    "people.yaml": """
        segments:
          - name: lookers
            when: count("Product Viewed") >= 20
          - name: customers
            when: count("Order Completed") >= 1
            priority: 10
    """
}

needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not MODULES.is_dir(), reason="needs Node.js and `npm ci` in tests/node"
)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")


@dataclass
class Refusals:
    """An ASGI application that answers the first POST with 429 and the second with 500, and passes the rest on."""

    target: str
    seen: list[tuple[str, int]] = field(default_factory=list)
    _answers: list[int] = field(default_factory=lambda: [429, 500])

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        path = scope["raw_path"].decode()
        if scope["method"] == "POST" and self._answers:
            status = self._answers.pop(0)
            headers = [(b"access-control-allow-origin", b"*"), (b"content-length", b"0")]
            if status == 429:
                headers += [(b"retry-after", b"1"), (b"access-control-expose-headers", b"Retry-After")]
            content = b""
        else:
            async with httpx.AsyncClient() as client:
                answer = await client.request(
                    scope["method"], self.target + path, content=body, headers=scope["headers"], timeout=30
                )
            status, content = answer.status_code, answer.content
            headers = [(name, value) for name, value in answer.headers.raw if name.lower() != b"date"]
        if scope["method"] == "POST":
            self.seen.append((path, status))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content, "more_body": False})


@dataclass
class Server:
    """The server under test: `url` leads through the interposer, `whole` is what it leads to."""

    url: str
    write_key: str
    refusals: Refusals
    stored: Callable[[], list[Event]]
    whole: Running

    def wait_for(self, count: int, seconds: float = 40) -> list[Event]:
        """The stored events without repetitions, once there are `count` of them."""
        deadline = time.monotonic() + seconds
        while True:
            once = {event.message_id: event for event in self.stored()}
            if len(once) >= count or time.monotonic() > deadline:
                return list(once.values())
            time.sleep(0.05)

    def profile(self, identity: str) -> dict[str, Any]:
        """A person as the API shows them, once all that came is decided."""
        self.whole.quiet()
        return self.whole.profile(identity)


@contextmanager
def running(server: uvicorn.Server, sock) -> Iterator[None]:
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    yield
    server.should_exit = True
    thread.join(15)
    assert not thread.is_alive(), "the server did not stop"


@contextmanager
def server_under_test(folder: Path) -> Iterator[Server]:
    """A whole server, as an operator starts it, behind the interposer."""
    with serving(write_workspace(folder / "shop", RULES, hello="marketing")) as whole:
        way = bind("127.0.0.1", 0)
        url = f"http://127.0.0.1:{way.getsockname()[1]}"
        refusals = Refusals(whole.address)
        interposer = uvicorn.Server(
            uvicorn.Config(refusals, interface="asgi3", lifespan="off", log_config=None, access_log=False)
        )
        log = SqliteEventLog(whole.workspace / "data" / "log.sqlite3")
        with closing(log), running(interposer, way):
            yield Server(url, WRITE_KEY, refusals, lambda: [entry.event for entry in log.read(0, 10_000)], whole)


def run_node(script: str, *arguments: str) -> None:
    """Run a script of tests/sdks under Node.js."""
    command = ["node", str(ROOT / "tests" / "sdks" / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
