"""docs/http.md says which codes the front door answers with; this holds it to the table in web/problems.py."""

from __future__ import annotations

import re
from pathlib import Path

from triggerfish.ingest import CALLS, LARGEST_BATCH, LARGEST_EVENT
from triggerfish.web.problems import STATUS

PAGE = (Path(__file__).parents[2] / "docs" / "http.md").read_text()


def test_the_page_lists_every_code_of_ingest_with_its_status():
    listed = {code: int(status) for code, status in re.findall(r"^\| (TF\d+) \| (\d+) \|", PAGE, re.MULTILINE)}
    assert listed.items() <= STATUS.items()
    assert {f"TF{number}" for number in range(101, 114)} <= listed.keys()


def test_the_page_lists_every_path():
    words = set(re.findall(r"/v1/(\w+)", PAGE)) | set("tipsgab")
    assert words >= CALLS


def test_the_page_says_the_limits_as_they_are():
    assert f"{LARGEST_EVENT // 1024} KB for" in PAGE
    assert f"{LARGEST_BATCH // 1024} KB for a batch" in PAGE
