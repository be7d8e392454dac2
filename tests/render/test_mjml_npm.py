"""The compiler against npm's `mjml` 5.4.1, which is MJML: the same tags, texts, attributes and styles in one order.

tests/golden/mjml/npm.json has npm's attributes and a digest of its form of each email, so that most of this needs no
Node.js. `UPDATE_GOLDEN=1 pytest tests/render/test_mjml_npm.py` asks npm anew. Any file in mjml_emails/ is compared:
to try MJML's official templates, which are in no package, put them there.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from render.mjml_cases import attributes
from render.mjml_form import compile_by_npm, compile_here, form_of
from triggerfish.adapters.mjml_reader import components

EMAILS = {file.stem: file.read_text() for file in sorted((Path(__file__).parent / "mjml_emails").glob("*.mjml"))}
GOLDEN = Path(__file__).parents[1] / "golden" / "mjml" / "npm.json"

DIFFERENCES = {
    "button-variants": "a mailto: button has no target=_blank: Thunderbird would open an empty page, too",
}
"""Emails that we compile otherwise on purpose, and why."""


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    if os.environ.get("UPDATE_GOLDEN"):
        known = compile_by_npm([]).attributes
        emails = _all(known)
        pages = compile_by_npm(list(emails.values())).pages
        forms = {name: _digest(form_of(page)) for name, page in zip(emails, pages, strict=True)}
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(json.dumps({"mjml": "5.4.1", "attributes": known, "forms": forms}, indent=1) + "\n")
    return dict(json.loads(GOLDEN.read_text()))


def _all(known: Mapping[str, Mapping[str, str]], most: int | None = None) -> dict[str, str]:
    return {**EMAILS, **dict(attributes(known, most))}


def _digest(form: list[str]) -> str:
    return hashlib.sha256("\n".join(form).encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    "most", [pytest.param(1, id="one value"), pytest.param(None, id="every value", marks=pytest.mark.long)]
)
def test_every_email_and_attribute_compiles_to_what_npm_makes_of_it(golden: dict[str, Any], most: int | None) -> None:
    emails = _all(golden["attributes"], most)
    assert len(emails) > (400 if most else 900)
    unlike = {
        name for name, email in emails.items() if _digest(form_of(compile_here(email))) != golden["forms"].get(name)
    }
    assert unlike == set(DIFFERENCES)


def test_every_attribute_of_npm_is_known(golden: dict[str, Any]) -> None:
    known = components()
    for component, attributes_of_npm in golden["attributes"].items():
        assert attributes_of_npm.keys() <= known.get(component, {}).keys(), component


@pytest.mark.node
def test_npm_still_makes_of_the_emails_what_the_golden_file_says(golden: dict[str, Any]) -> None:
    emails = _all(golden["attributes"])
    npm = compile_by_npm(list(emails.values()))
    assert npm.attributes == golden["attributes"]
    forms = {name: form_of(page) for name, page in zip(emails, npm.pages, strict=True)}
    assert {name: _digest(form) for name, form in forms.items()} == golden["forms"]


@pytest.mark.node
def test_whole_emails_are_like_npms_line_for_line() -> None:
    told: list[str] = []
    for (name, email), page in zip(EMAILS.items(), compile_by_npm(list(EMAILS.values())).pages, strict=True):
        if name not in DIFFERENCES:
            told += difflib.unified_diff(
                form_of(page), form_of(compile_here(email)), f"npm {name}", "ours", lineterm=""
            )
    assert not told, "\n".join(told[:200])
