"""schemathesis reads what the server says of its API, and tries all that it can think of against it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hostile.watching import faults_in
from running import ADMIN_KEY, WRITE_KEY, Running, identify, track

CONFIG = f"""
[auth.openapi.adminKey]
bearer = "{ADMIN_KEY}"
[auth.openapi.writeKey]
username = "{WRITE_KEY}"
password = ""

# The mail's own words decide, so any text is an address that it may have been delivered to; "0.5" is text.
[[operations]]
include-path = "/v1/reports"
[operations.checks.negative_data_rejection]
enabled = false
"""
LEFT_OUT = (
    # What OpenAPI cannot say is refused: that one of two ids must be there, that a day is no 30th of February.
    "positive_data_acceptance",
    # Litestar answers OPTIONS with the methods of a path's first handler.
    "allow_header_conformance",
)


def attack(server: Running, folder: Path, *options: str) -> None:
    (folder / "schemathesis.toml").write_text(CONFIG)
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(folder / "schemathesis.toml"), "run"]
    command += [f"{server.address}/schema", "--no-shrink", "--exclude-checks", ",".join(LEFT_OUT), *options]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=1_500, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    status = server.quiet()
    assert status["dead_letters"] == 0, server.get("/v1/dead-letters")
    assert not faults_in(server.said())


@pytest.fixture
def known(server):
    """So that reads have something to tell: people, a letter that was sent, one on the suppression list."""
    server.take(
        identify("ana", email="ana@example.org", name="Ana"),
        track("ana", "Letter Wanted", properties={"amount": 1.5}),
        track("ben", "Order Completed"),
    )
    server.sent("hello", "ana")
    return server


def test_the_description_names_every_path_but_those_for_browsers_and_mail_programs(known):
    described = known.http.get("/schema").json()["paths"]
    assert {"/v1/track", "/v1/batch", "/v1/consent", "/v1/reports", "/v1/suppressions", "/metrics"} <= set(described)
    for path, operations in described.items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)
            assert operation["security"] is not None, (method, path)
            refusals = {code for code in operation["responses"] if code >= "400"}
            assert all(
                list(operation["responses"][code]["content"]) == ["application/problem+json"] for code in refusals
            ), (method, path)


def test_the_api_does_what_its_description_says_whatever_comes(known, tmp_path):
    attack(known, tmp_path, "--phases", "coverage,fuzzing", "-n", "1", "--seed", "1")


@pytest.mark.long
def test_it_still_does_after_a_thousand_tries_at_every_path(known, tmp_path):
    attack(known, tmp_path, "--phases", "coverage,fuzzing", "-n", "1000", "-w", "2")
