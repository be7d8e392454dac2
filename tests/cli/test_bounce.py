"""`triggerfish bounce` without a server: nothing is lost, and mailbox files are taken apart as they should be.
tests/e2e/test_bounces.py has it with one.
"""

from __future__ import annotations

import http.server
import io
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from triggerfish.cli import main
from triggerfish.cli.bounce import KEY_VARIABLE, TRY_AGAIN, mails, one_mail
from triggerfish.reports import LARGEST_REPORT

HEARD = {"outcome": "heard", "kind": "bounced", "by": "return path", "send_id": "s1", "is_permanent": True, "events": 1}


@contextmanager
def answering(status: int, body: object) -> Iterator[tuple[str, list[tuple[str, dict[str, str], bytes]]]]:
    """A web server that gives one answer, its address, and what it was asked."""
    asked = []

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append((self.path, dict(self.headers), content))
            said = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *args: object) -> None:
            """Quiet."""

    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def run(raw: bytes, *options: str, **environ: str) -> Result:
    empty = {KEY_VARIABLE: "a-write-key", "ORIGINAL_RECIPIENT": "", "RECIPIENT": ""}
    return CliRunner().invoke(main, ["bounce", *options], input=raw, env=empty | environ)


def test_a_mail_goes_to_the_server_with_the_address_that_it_came_to() -> None:
    with answering(200, HEARD) as (url, asked):
        done = run(b"Subject: x\n\nhello", "--server", url + "/", ORIGINAL_RECIPIENT="bounces+abc@shop.example")
    assert (done.exit_code, done.output) == (0, "heard: bounced, for good about s1, proved by its return path\n")
    ((path, headers, content),) = asked
    assert path == "/v1/reports?to=bounces%2Babc%40shop.example"
    assert headers["Authorization"] == "Basic YS13cml0ZS1rZXk6"
    assert content == b"Subject: x\n\nhello"


def test_what_is_said_on_the_command_line_goes_before_the_environment() -> None:
    with answering(200, HEARD) as (url, asked):
        done = run(b"x", "--server", url, "--to", "b@x.example", "--json", RECIPIENT="a@x.example")
    assert json.loads(done.output)["send_id"] == "s1"
    assert asked[0][0].endswith("?to=b%40x.example")


@pytest.mark.parametrize(
    ("status", "body"), [(401, {}), (404, {}), (429, {}), (500, b"oops"), (503, {}), (200, b"<html>"), (302, {})]
)
def test_whatever_else_the_server_answers_the_mail_server_keeps_the_mail(status: int, body: object) -> None:
    with answering(status, body) as (url, _):
        done = run(b"Subject: x\n\nhello", "--server", url)
    assert done.exit_code == TRY_AGAIN == 75
    assert "TF446" in done.output


def test_a_server_that_is_not_there_is_tried_again(unused_port: int) -> None:
    done = run(b"Subject: x\n\nhello", "--server", f"http://127.0.0.1:{unused_port}")
    assert done.exit_code == TRY_AGAIN
    assert "cannot be reached" in done.output


@pytest.mark.parametrize("server", ["not an address", "http://", "ftp://x.example", "http://x.example:99999"])
def test_an_address_that_is_none_loses_no_mail(server: str) -> None:
    assert run(b"Subject: x\n\nhello", "--server", server).exit_code == TRY_AGAIN


@pytest.mark.parametrize("settings", [None, "broken = [", "[keys]\nwrite = ['${NOWHERE}']"])
def test_settings_that_are_wrong_lose_no_mail(tmp_path: Path, settings: str | None) -> None:
    if settings is not None:
        (tmp_path / "triggerfish.toml").write_text(settings)
    done = run(b"Subject: x\n\nhello", "--workspace", str(tmp_path), **{KEY_VARIABLE: ""})
    assert done.exit_code == TRY_AGAIN
    assert "TF4" in done.output


def test_the_line_that_mail_servers_put_in_front_is_no_part_of_the_mail() -> None:
    assert one_mail(io.BytesIO(b"From x@y Sun Nov 22\nSubject: x\n\nFrom me")) == b"Subject: x\n\nFrom me"


def test_of_a_huge_mail_the_first_is_kept_and_all_of_it_is_read() -> None:
    file = io.BytesIO(b"x" * (3 * LARGEST_REPORT))
    assert len(one_mail(file)) == LARGEST_REPORT
    assert file.read() == b""


def test_a_mailbox_file_is_taken_apart() -> None:
    box = b"From a Sun\nSubject: 1\n\nHi\nFrom me\n>From you\n\nFrom b Mon\nSubject: 2\n\nx\n\nFrom c Tue\nSubject: 3\n"
    apart = [b"Subject: 1\n\nHi\nFrom me\nFrom you\n\n", b"Subject: 2\n\nx\n\n", b"Subject: 3\n"]
    assert list(mails(io.BytesIO(box))) == apart
    with answering(200, HEARD) as (url, asked):
        done = run(box, "--mbox", "--server", url, "--json")
    assert [content for *_, content in asked] == apart
    assert len(json.loads(done.output)) == 3


def test_a_mailbox_file_of_any_size_takes_little_memory() -> None:
    class Endless(io.RawIOBase):
        left = 8 * LARGEST_REPORT

        def readable(self) -> bool:
            return True

        def readinto(self, into: bytearray) -> int:
            size = min(len(into), self.left)
            into[:size] = (b"From x\n" if self.left == 8 * LARGEST_REPORT else b"").ljust(size, b"y")
            self.left -= size
            return size

    (only,) = mails(io.BufferedReader(Endless()))
    assert len(only) == LARGEST_REPORT


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
