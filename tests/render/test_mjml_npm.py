"""The compiler against npm's `mjml` 5.4.1, which is MJML: the same tags, texts, attributes and styles in one order.

tests/golden/mjml/npm.json has npm's attributes and a digest of its form of each email, so that most of this needs no
Node.js. `UPDATE_GOLDEN=1 pytest tests/render/test_mjml_npm.py` asks npm anew. Any file in mjml_emails/ is compared.
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


@pytest.fixture(scope="module")
def ours(golden: dict[str, Any]) -> dict[str, list[str]]:
    """Our form of every email."""
    return {name: form_of(compile_here(email)) for name, email in _all(golden["attributes"]).items()}


def _all(known: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    return {**EMAILS, **dict(attributes(known))}


def _digest(form: list[str]) -> str:
    return hashlib.sha256("\n".join(form).encode()).hexdigest()[:16]


def test_every_email_and_attribute_compiles_to_what_npm_makes_of_it(
    golden: dict[str, Any], ours: dict[str, list[str]]
) -> None:
    assert len(ours) > 900
    unlike = {name for name, form in ours.items() if _digest(form) != golden["forms"].get(name)}
    assert unlike == set(DIFFERENCES)


def test_every_attribute_of_npm_is_known(golden: dict[str, Any]) -> None:
    known = components()
    for component, attributes_of_npm in golden["attributes"].items():
        assert attributes_of_npm.keys() <= known.get(component, {}).keys(), component


@pytest.mark.node
def test_npm_still_makes_of_the_emails_what_the_golden_file_says(
    golden: dict[str, Any], ours: dict[str, list[str]]
) -> None:
    emails = _all(golden["attributes"])
    npm = compile_by_npm(list(emails.values()))
    assert npm.attributes == golden["attributes"]
    forms = {name: form_of(page) for name, page in zip(emails, npm.pages, strict=True)}
    assert {name: _digest(form) for name, form in forms.items()} == golden["forms"]
    unlike = [name for name in ours if ours[name] != forms[name] and name not in DIFFERENCES]
    told = [
        line for name in unlike[:5] for line in (name, *difflib.unified_diff(forms[name], ours[name], "npm", "ours"))
    ]
    assert not unlike, "\n".join(told[:200])
