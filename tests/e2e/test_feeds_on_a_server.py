"""A feed from a server to a letter: what another machine says stands in the mail, and never what it must not reach."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from running import BODY, Running, identify, serving, track, write_workspace

RULES = {"shop.yaml": "ruleset: shop\nrules: [{name: hello, on: Hello Wanted, then: [send: hello]}]\n"}
FEEDS = """
feeds:
  weather: {url: "http://HOST:PORT/{{ traits.town }}", cache: 1 minute, timeout: 2 seconds, fallback: {temp: unknown}}
"""


@contextmanager
def weather() -> Iterator[tuple[int, list[str]]]:
    asked: list[str] = []

    class Weather(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = json.dumps({"temp": "<21>"}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: pytest shows what failed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Weather) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1], asked
        server.shutdown()


def shop(folder: Path, host: str, port: int, trusted: str = "") -> Path:
    settings = f'\n[feeds]\ntrusted_hosts = ["{trusted}"]\n' if trusted else ""
    workspace = write_workspace(folder / "shop", RULES, more_settings=settings, hello="marketing")
    email = workspace / "templates" / "hello" / "email.mjml"
    front, body = email.read_text().split("---")[1:]
    feeds = FEEDS.replace("HOST", host).replace("PORT", str(port))
    assert body.strip() == BODY.strip()
    body = body.replace("<mj-text>Hi", "<mj-text>It has {{ feeds.weather.temp }} degrees.</mj-text><mj-text>Hi", 1)
    email.write_text(f"---{front}{feeds}---{body}")
    return workspace


def letter_to(server: Running, name: str) -> str:
    server.take(identify(name, email=f"{name}@example.org", town="bonn/../x"), track(name, "Hello Wanted"))
    part = server.letter(server.sent("hello", name)["id"]).get_body(("html",))
    assert part is not None
    return str(part.get_content())


def test_a_letter_shows_what_a_trusted_server_says_escaped_and_fetched_once(tmp_path: Path) -> None:
    with weather() as (port, asked), serving(shop(tmp_path, "127.0.0.1", port, "127.0.0.1")) as server:
        assert "It has &lt;21&gt; degrees." in letter_to(server, "ana")
        assert "It has &lt;21&gt; degrees." in letter_to(server, "bo")
        assert asked == ["/bonn%2F..%2Fx"]


def test_a_server_around_us_is_not_asked_and_the_fallback_stands_in_the_letter(tmp_path: Path) -> None:
    with weather() as (port, asked), serving(shop(tmp_path, "localhost", port)) as server:
        assert "It has unknown degrees." in letter_to(server, "ana")
        assert asked == []
