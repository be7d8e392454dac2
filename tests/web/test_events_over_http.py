"""The front door over real HTTP: uvicorn on a loopback socket, a log in memory or on disk."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import sqlite3
import time
import tracemalloc
import zlib
from base64 import b64encode
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from sdks.harness import running
from triggerfish.adapters.memory import MemoryEventLog
from triggerfish.adapters.sqlite.log import SqliteEventLog
from triggerfish.adapters.sqlite.migrate import migrate
from triggerfish.clock import EventClock, WallClock
from triggerfish.errors import Busy, Refused, Unavailable
from triggerfish.ingest import LARGEST_BATCH, LARGEST_EVENT
from triggerfish.walk import FrontDoor
from triggerfish.web import bodies, serve
from triggerfish.web.app import build_app
from triggerfish.web.bodies import inflate
from triggerfish.web.serve import bind, make_server

KEY = "a-write-key"
PING = {"type": "track", "userId": "ana", "event": "ping"}
SUCCESS = b'{"success": true}'
WHOLE = gzip.compress(json.dumps(PING).encode(), mtime=0)


@contextmanager
def door(log, clock=None, **more):
    rung: list[int] = []
    front = FrontDoor(
        log=log,
        clock=clock or WallClock(),
        ring=lambda: rung.append(1),
        write_keys=frozenset({KEY, "another-key"}),
        admin_key="an-admin-key",
        **more,
    )
    sock = bind("127.0.0.1", 0)
    port = sock.getsockname()[1]
    with running(make_server(build_app(front)), sock), httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        client.rung = rung
        client.port = port
        yield client


@pytest.fixture(scope="module")
def log():
    return MemoryEventLog()


@pytest.fixture(scope="module")
def http(log):
    with door(log) as client:
        yield client


@pytest.fixture
def stored(log):
    """The events stored since the test began."""
    start, _ = log.head()
    return lambda: [entry.event for entry in log.read(start, 1_000)]


def is_problem(answer: httpx.Response, status: int, code: str, field: str | None = None) -> bool:
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert problem["title"]
    assert problem["detail"]
    assert problem.get("field") == field
    return True


# --- what is taken ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call", ["track", "identify", "page", "screen", "group", "alias", "t", "i", "p", "s", "g", "a"]
)
def test_every_call_answers_exactly_success(http, stored, call):
    body = {"userId": "ana", "event": "ping", "groupId": "g", "previousId": "b"}
    answer = http.post(f"/v1/{call}", auth=(KEY, ""), json=body)
    assert (answer.status_code, answer.content) == (200, SUCCESS)
    assert answer.headers["content-type"] == "application/json"
    assert len(stored()) == 1


@pytest.mark.parametrize("call", ["batch", "import", "b"])
def test_every_batch_answers_exactly_success(http, stored, call):
    answer = http.post(f"/v1/{call}", auth=(KEY, ""), json={"batch": [PING, PING | {"type": "page"}]})
    assert (answer.status_code, answer.content) == (200, SUCCESS)
    assert [event.kind for event in stored()] == ["track", "page"]


def test_the_write_key_may_stand_in_the_body(http, stored):
    assert http.post("/v1/track", json={**PING, "writeKey": KEY}).content == SUCCESS
    assert http.post("/v1/batch", json={"batch": [PING], "writeKey": "another-key"}).content == SUCCESS
    assert len(stored()) == 2


@pytest.mark.parametrize("media_type", ["application/json", "text/plain;charset=UTF-8", "application/octet-stream", ""])
def test_the_body_is_json_whatever_its_content_type_says(http, stored, media_type):
    headers = {"content-type": media_type} if media_type else {}
    assert http.post("/v1/track", auth=(KEY, ""), content=json.dumps(PING), headers=headers).content == SUCCESS
    assert len(stored()) == 1


def test_gzip_is_undone(http, stored):
    packed = gzip.compress(json.dumps(PING | {"properties": {"text": "y" * 20_000}}).encode())
    answer = http.post("/v1/track", auth=(KEY, ""), content=packed, headers={"content-encoding": "gzip"})
    assert answer.content == SUCCESS
    assert len(stored()[0].properties["text"]) == 20_000


def test_a_body_in_chunks_is_taken(http, stored):
    text = json.dumps(PING).encode()
    answer = http.post("/v1/track", auth=(KEY, ""), content=(text[at : at + 7] for at in range(0, len(text), 7)))
    assert answer.content == SUCCESS
    assert len(stored()) == 1


def test_a_path_with_a_slash_at_its_end_is_the_same(http, stored):
    assert http.post("/v1/track/", auth=(KEY, ""), json=PING).content == SUCCESS
    assert len(stored()) == 1


def test_the_worker_s_bell_is_rung_once_a_request(http):
    before = len(http.rung)
    http.post("/v1/batch", auth=(KEY, ""), json={"batch": [PING] * 5})
    assert len(http.rung) == before + 1
    http.post("/v1/batch", auth=(KEY, ""), json={"batch": [5]})
    assert len(http.rung) == before + 1


def test_a_batch_with_the_same_message_ids_may_be_sent_again(http, stored):
    for _ in range(2):
        http.post("/v1/batch", auth=(KEY, ""), json={"batch": [PING | {"messageId": "m-1"}]})
    assert [event.message_id for event in stored()] == ["m-1", "m-1"]  # profiles know what they have seen


# --- bad input --------------------------------------------------------------------------------------------------------


def basic(text: bytes) -> dict[str, str]:
    return {"authorization": "Basic " + b64encode(text).decode()}


@pytest.mark.parametrize(
    "headers",
    [
        basic(b"wrong:"),
        basic(b":"),
        basic(b"\xff\xfe:"),
        basic(f"{KEY}x:".encode()),
        {"authorization": "Basic not-base64!"},
        {"authorization": f"Bearer {KEY}"},
        {"authorization": ""},
    ],
)
def test_a_wrong_key_is_refused_even_if_the_body_has_a_right_one(http, stored, headers):
    answer = http.post("/v1/track", headers=headers, json={**PING, "writeKey": KEY})
    assert is_problem(answer, 401, "TF110", "Authorization")
    assert answer.headers["www-authenticate"].startswith("Basic")
    assert KEY not in answer.text
    assert stored() == []


@pytest.mark.parametrize("key", [{}, {"writeKey": "wrong"}, {"writeKey": ""}, {"writeKey": None}])
def test_a_missing_or_wrong_key_in_the_body_is_refused(http, stored, key):
    assert is_problem(http.post("/v1/track", json={**PING, **key}), 401, "TF110", "writeKey")
    assert stored() == []


@pytest.mark.parametrize(
    ("call", "body", "status", "code", "field"),
    [
        ("track", b'{"userId": "ana", ', 400, "TF101", None),
        ("track", b"", 400, "TF101", None),
        ("track", {**PING, "userId": {"id": 1}}, 400, "TF102", "userId"),
        ("track", {**PING, "properties": "none"}, 400, "TF102", "properties"),
        ("track", {"event": "ping"}, 400, "TF103", "userId"),
        ("track", {**PING, "timestamp": "the day before"}, 400, "TF104", "timestamp"),
        ("track", {**PING, "properties": {"p": "y" * LARGEST_EVENT}}, 413, "TF105", None),
        ("batch", {"batch": [PING, {**PING, "properties": {"p": "y" * LARGEST_EVENT}}]}, 413, "TF105", "batch[1]"),
        ("batch", {"batch": [{**PING, "properties": {"p": "y" * 30_000}}] * 20}, 413, "TF105", None),
        ("track", b'{"userId":"a","event":"x","traits":{"p":' + b"[" * 40 + b"]" * 40 + b"}}", 400, "TF106", "traits"),
        ("batch", {"batch": [PING, {**PING, "type": "click"}]}, 400, "TF107", "batch[1].type"),
        ("track", {"userId": "ana"}, 400, "TF108", "event"),
        ("track", {**PING, "userId": "a\0b"}, 400, "TF109", "userId"),
    ],
)  # fmt: skip
def test_bad_input_is_a_problem_that_names_the_field_and_nothing_is_stored(
    http, stored, call, body, status, code, field
):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert is_problem(http.post(f"/v1/{call}", auth=(KEY, ""), content=content), status, code, field)
    assert stored() == []
    assert http.post("/v1/track", auth=(KEY, ""), json=PING).content == SUCCESS


def test_nothing_of_a_batch_with_one_bad_event_is_stored(http, stored):
    answer = http.post("/v1/batch", auth=(KEY, ""), json={"batch": [PING, PING, {**PING, "timestamp": "?"}, PING]})
    assert is_problem(answer, 400, "TF104", "batch[2].timestamp")
    assert stored() == []


def test_a_gzip_bomb_is_refused_without_being_inflated(http, stored):
    bomb = gzip.compress(b'{"userId":"a","event":"' + b"x" * 200_000_000)
    assert len(bomb) < LARGEST_BATCH
    answer = http.post("/v1/batch", auth=(KEY, ""), content=bomb, headers={"content-encoding": "gzip"})
    assert is_problem(answer, 413, "TF105")
    tracemalloc.start()
    with pytest.raises(Refused):
        inflate(bomb, LARGEST_BATCH)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * LARGEST_BATCH
    assert stored() == []


def test_several_gzip_members_are_one_body_and_are_bounded_together():
    assert inflate(gzip.compress(b"one ") + gzip.compress(b"two"), 7) == b"one two"
    with pytest.raises(Refused):
        inflate(gzip.compress(b"one ") + gzip.compress(b"two"), 6)
    with pytest.raises(Refused, match="members"):
        inflate(gzip.compress(b"") * 20_000, 10)


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"plain text",
        gzip.compress(b'{"a": 1}', mtime=0)[:-9],
        zlib.compress(b"{}"),
        gzip.compress(b"{}", mtime=0) + b"x",
    ],
)
def test_what_is_no_gzip_is_refused(http, stored, packed):
    answer = http.post("/v1/track", auth=(KEY, ""), content=packed, headers={"content-encoding": "gzip"})
    assert is_problem(answer, 400, "TF111")
    assert stored() == []


def test_an_encoding_that_we_do_not_read_is_refused(http):
    answer = http.post("/v1/track", auth=(KEY, ""), content=b"{}", headers={"content-encoding": "br"})
    assert is_problem(answer, 415, "TF112", "Content-Encoding")


def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(http):
    with socket.create_connection(("127.0.0.1", http.port)) as client:
        credentials = b64encode(f"{KEY}:".encode())
        client.sendall(
            b"POST /v1/track HTTP/1.1\r\nhost: x\r\ncontent-length: 999999999\r\nauthorization: Basic "
            + credentials
            + b"\r\n\r\n"
        )
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_body_in_chunks_is_bounded_too(http, stored):
    answer = http.post("/v1/track", auth=(KEY, ""), content=(b" " * 4_096 for _ in range(9)))
    assert is_problem(answer, 413, "TF105")
    assert stored() == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD"])
def test_another_method_is_refused(http, method):
    answer = http.request(method, "/v1/track")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST, OPTIONS"
    if method != "HEAD":
        assert is_problem(answer, 405, "TF131")


@pytest.mark.parametrize(
    "path", ["/v1/unknown", "/v1/feedback", "/v1/derived", "/v1", "/", "/v1/track/more", "/v2/track"]
)
def test_an_unknown_path_is_a_problem(http, path):
    assert is_problem(http.post(path, auth=(KEY, ""), json=PING), 404, "TF130")


def test_a_wrong_method_elsewhere_is_a_problem(http):
    assert is_problem(http.delete("/healthz"), 405, "TF131")


# --- slow and broken connections --------------------------------------------------------------------------------------


def test_a_slow_body_is_refused_and_a_slow_head_is_cut_off(log, monkeypatch):
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.3)
    monkeypatch.setattr(serve, "REQUEST_SECONDS", 1.0)
    head = b"POST /v1/track HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n"
    with door(log) as http:
        with socket.create_connection(("127.0.0.1", http.port), timeout=10) as client:
            client.sendall(head + b'\r\n{"userId"')
            assert b"408 Request Timeout" in client.recv(1_000)
        for sent in (b"", head, b"POS"):
            with socket.create_connection(("127.0.0.1", http.port), timeout=10) as client:
                client.sendall(sent)
                assert b"408 Request Timeout" in client.recv(1_000)
                assert client.recv(1_000) == b""
        assert http.post("/v1/track", auth=(KEY, ""), json=PING).content == SUCCESS


def test_a_head_without_end_is_cut_off(http):
    with socket.create_connection(("127.0.0.1", http.port), timeout=10) as client:
        client.sendall(b"POST /v1/track HTTP/1.1\r\n")
        with pytest.raises(OSError):  # noqa: PT012  (the server closes while we send)
            for _ in range(1_000):
                client.sendall(b"x-more: " + b"y" * 4_000 + b"\r\n")
                time.sleep(0.001)
            raise AssertionError("it was never closed")


def test_a_connection_serves_many_requests(log, stored):
    with door(log) as http:
        for _ in range(50):
            assert http.post("/v1/track", auth=(KEY, ""), json=PING).content == SUCCESS
    assert len(stored()) == 50


def test_a_client_that_hangs_up_harms_nobody(http, stored):
    head = b"POST /v1/track HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", http.port)) as client:
            client.sendall(head)
    assert http.post("/v1/track", auth=(KEY, ""), json=PING).content == SUCCESS
    assert len(stored()) == 1


# --- when the log cannot take it --------------------------------------------------------------------------------------


class FaultyLog(MemoryEventLog):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def append(self, arrivals, aside=()) -> None:
        raise self.error


def test_busy_says_when_to_come_back():
    with door(FaultyLog(Busy("20000 events wait", retry_after_seconds=3))) as http:
        answer = http.post("/v1/track", auth=(KEY, ""), json=PING)
        assert is_problem(answer, 429, "TF120")
        assert answer.headers["retry-after"] == "3"
        assert answer.headers["access-control-expose-headers"] == "Retry-After"
        assert http.rung == []
        assert is_problem(http.get("/readyz"), 503, "TF121")
        assert http.get("/healthz").status_code == 200


def test_a_disk_that_refuses_is_unavailable():
    with door(FaultyLog(Unavailable("the disk is full"))) as http:
        answer = http.post("/v1/track", auth=(KEY, ""), json=PING)
        assert is_problem(answer, 503, "TF121")
        assert int(answer.headers["retry-after"]) > 0
        assert is_problem(http.get("/readyz"), 503, "TF121")


def test_a_fault_of_ours_tells_no_details(caplog):
    with door(FaultyLog(RuntimeError("the secret of the house"))) as http:
        answer = http.post("/v1/track", auth=(KEY, ""), json=PING)
        assert is_problem(answer, 500, "TF000")
        assert "secret" not in answer.text
        assert http.post("/v1/track", auth=(KEY, ""), content=b"{").status_code == 400
    assert "the secret of the house" in caplog.text


def test_the_answer_comes_only_after_the_disk_has_it(tmp_path):
    path = tmp_path / "log.sqlite"
    migrate(path, Path(__file__).parents[2] / "migrations" / "log.py")
    log = SqliteEventLog(path)
    holder = sqlite3.connect(path, isolation_level=None)
    with door(log) as http:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(httpx.ReadTimeout):
            http.post("/v1/track", auth=(KEY, ""), json=PING, timeout=0.5)
        holder.execute("ROLLBACK")
        assert http.post("/v1/track", auth=(KEY, ""), json=PING | {"messageId": "m"}).content == SUCCESS
        assert log.read(0, 10)[-1].event.message_id == "m"
        assert http.get("/readyz").json()["status"] == "ready"
    log.close()
    holder.close()


def test_many_clients_at_once_are_all_stored(tmp_path):
    path = tmp_path / "log.sqlite"
    migrate(path, Path(__file__).parents[2] / "migrations" / "log.py")
    log = SqliteEventLog(path)

    async def send(client: httpx.AsyncClient, who: int) -> None:
        for turn in range(5):
            answer = await client.post("/v1/track", json=PING | {"messageId": f"{who}-{turn}"})
            assert answer.content == SUCCESS

    async def all_at_once(address: httpx.URL) -> None:
        async with httpx.AsyncClient(base_url=address, auth=(KEY, "")) as client:
            await asyncio.gather(*(send(client, who) for who in range(40)))

    with door(log) as http:
        asyncio.run(all_at_once(http.base_url))
    ids = [entry.event.message_id for entry in log.read(0, 1_000)]
    assert sorted(ids) == sorted(f"{who}-{turn}" for who in range(40) for turn in range(5))
    log.close()


# --- browsers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/t", "/v1/batch", f"/v1/projects/{KEY}/settings"])
def test_the_preflight_lets_pages_of_any_site_send(http, path):
    headers = {
        "origin": "https://shop.example.org",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-retry-count",
    }
    answer = http.options(path, headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "POST" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "content-type", "x-retry-count"} <= set(allowed)
    assert "access-control-allow-credentials" not in answer.headers


def test_a_page_may_read_the_answers_good_or_bad(http):
    for body in (PING, {"event": "ping"}):
        answer = http.post("/v1/t", auth=(KEY, ""), json=body, headers={"origin": "https://shop.example.org"})
        assert answer.headers["access-control-allow-origin"] == "*"


def test_the_browser_sdk_s_settings_point_it_here(http):
    answer = http.get(f"/v1/projects/{KEY}/settings")
    settings = answer.json()["integrations"]["Segment.io"]
    assert settings["apiKey"] == KEY
    assert f"{settings['protocol']}://{settings['apiHost']}" == f"http://127.0.0.1:{http.port}/v1"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.json()["metrics"] == {"sampleRate": 0}


def test_the_settings_name_the_public_address_when_there_is_one(log):
    with door(log, public_url="https://events.example.org/in/") as http:
        settings = http.get(f"/v1/projects/{KEY}/settings").json()["integrations"]["Segment.io"]
    assert (settings["protocol"], settings["apiHost"]) == ("https", "events.example.org/in/v1")


def test_the_settings_of_an_unknown_key_are_not_there(http):
    assert is_problem(http.get("/v1/projects/unknown/settings"), 404, "TF130")


# --- health, time -----------------------------------------------------------------------------------------------------


def test_health_and_readiness_are_plain(http):
    assert http.get("/healthz").json() == {"status": "ok"}
    assert http.get("/readyz").json()["status"] == "ready"


def test_the_server_does_not_say_what_it_is_made_of(http):
    assert "server" not in http.get("/healthz").headers


def test_until_the_demo_has_caught_up_events_are_received_when_they_happened():
    log = MemoryEventLog()
    clock = EventClock(WallClock().now(), newest=lambda: log.head()[1])
    times = ["2020-01-01T00:00:00.000Z", "2020-01-01T00:00:05.000Z", "2020-01-01T00:00:03.000Z"]
    with door(log, clock) as http:
        http.post("/v1/batch", auth=(KEY, ""), json={"batch": [PING | {"timestamp": when} for when in times]})
        received = [entry.received_at for entry in log.read(0, 9)]
        assert received == [1_577_836_800_000, 1_577_836_805_000, 1_577_836_805_000]
        assert clock.now() == 1_577_836_805_000
        http.post("/v1/track", auth=(KEY, ""), json=PING)  # happening now: the events have caught up
        assert clock.has_caught_up()
        http.post("/v1/track", auth=(KEY, ""), json=PING | {"timestamp": times[0]})
    last = log.read(0, 9)[-1]
    assert last.event.timestamp == 1_577_836_800_000
    assert abs(last.received_at - WallClock().now()) < 60_000
